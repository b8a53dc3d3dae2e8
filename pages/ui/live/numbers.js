// Numbers as they are spoken of in the dashboard: three significant digits, a thin space before the unit.

const THIN = "\u202f"
const SUPERSCRIPT = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" }

export const UNKNOWN = "–"

export const known = value => typeof value === "number" && Number.isFinite(value)

/** 0.862 → "86.2 %". */
export function percent(share) {
  return known(share) ? `${(share * 100).toPrecision(3)}${THIN}%` : UNKNOWN
}

/** 0.8617 → "0.862", with a true minus: a correlation, which is no share of anything. */
export function decimals(value) {
  return known(value) ? value.toFixed(3).replace("-", "−") : UNKNOWN
}

/** 1.534 → "1.53", 1234 → "1 230", 0.00002 → "2.00 × 10⁻⁵". */
export function plain(value) {
  if (!known(value)) return UNKNOWN
  if (value === 0) return "0"
  const [digits, exponent] = value.toExponential(2).split("e")
  if (Math.abs(exponent) > 3 && exponent < 0) return `${digits}${THIN}×${THIN}10${superscript(exponent)}`
  return grouped(Number(value.toPrecision(3)), Math.max(0, 2 - exponent))
}

/** 12345 → "12 345". */
export function count(value) {
  return known(value) ? grouped(value, 0) : UNKNOWN
}

/** Seconds still to go, with no false precision: 134 → "about 2 min". */
export function timeLeft(seconds) {
  if (!known(seconds)) return UNKNOWN
  if (seconds <= 0) return "almost done"
  if (seconds < 10) return `under 10${THIN}s`
  if (seconds < 55) return `about ${Math.round(seconds / 10) * 10}${THIN}s`
  if (seconds < 3570) return `about ${Math.round(seconds / 60)}${THIN}min`
  return `about ${hours(seconds, 10)}`
}

/** The same in a sentence: "about 2 min left". */
export function stillToGo(seconds) {
  return known(seconds) && seconds <= 0 ? timeLeft(seconds) : `${timeLeft(seconds)} left`
}

/** Seconds that were spent: 134 → "2 min 14 s". */
export function timeTaken(seconds) {
  if (!known(seconds)) return UNKNOWN
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole}${THIN}s`
  if (whole < 3600) return `${Math.floor(whole / 60)}${THIN}min ${whole % 60}${THIN}s`
  return hours(seconds, 1)
}

function hours(seconds, minutesApart) {
  const minutes = Math.round(seconds / 60 / minutesApart) * minutesApart
  return `${Math.floor(minutes / 60)}${THIN}h ${minutes % 60}${THIN}min`
}

function superscript(exponent) {
  return [...String(Number(exponent))].map(sign => SUPERSCRIPT[sign]).join("")
}

function grouped(value, decimals) {
  const [whole, fraction] = value.toFixed(decimals).split(".")
  const spaced = whole.replace(/\B(?=(\d{3})+$)/g, THIN)
  return fraction ? `${spaced}.${fraction}` : spaced
}
