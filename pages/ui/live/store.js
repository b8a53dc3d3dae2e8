// What is known of a run: the points of each stage, their smoothed lines, and as much of both as a screen can show.

const STAGES = ["teacher", "student"]

/** A whole run, filled by one answer of the server after the other. */
export class Run {
  constructor() {
    this.clear()
  }

  clear() {
    this.stages = Object.fromEntries(STAGES.map(name => [name, new Stage()]))
    this.offset = 0
    this.answer = null
  }

  /** Take in an answer. False if its points do not follow what is known: then ask from 0 again. */
  add(answer) {
    if (answer.reset) this.clear()
    const parts = STAGES.filter(name => answer.stages[name]).map(name => [this.stages[name], answer.stages[name]])
    if (!parts.every(([stage, part]) => stage.isFollowedBy(part))) return false
    for (const [stage, part] of parts) stage.add(part)
    this.offset = answer.offset
    this.answer = answer
    return true
  }

  get stage() {
    return this.answer?.stage ?? (this.stages.student.begun ? "student" : "teacher")
  }
}

/** One stage: facts, points by step, scores by step. */
class Stage {
  constructor() {
    this.facts = {}
    this.elapsed = null
    this.steps = { step: [] }
    this.scores = { step: [] }
    // What the smoothed lines follow: bucket means where the history was thinned, then every step.
    this.means = { step: [] }
    this.lines = new Map()
  }

  get begun() {
    return this.facts.total_steps !== undefined || this.steps.step.length > 0
  }

  get curves() {
    return Object.keys(this.steps).filter(name => name !== "step")
  }

  get lastStep() {
    return Math.max(this.steps.step.at(-1) ?? 0, this.scores.step.at(-1) ?? 0)
  }

  get totalSteps() {
    return Math.max(this.facts.total_steps ?? 0, this.lastStep)
  }

  isFollowedBy(part) {
    const follows = (old, table) => !table || !old.step.length || table.step[0] > old.step.at(-1)
    return follows(this.steps, part.steps) && follows(this.scores, part.scores)
  }

  add(part) {
    Object.assign(this.facts, part.facts)
    this.elapsed = part.elapsed_s ?? this.elapsed
    append(this.steps, part.steps)
    append(this.means, part.means ?? part.steps)
    append(this.scores, part.scores)
  }

  /** Newest value of a curve of "steps" or "scores"; null if there is none. */
  newest(table, curve) {
    return this[table][curve]?.findLast(value => value !== null) ?? null
  }

  /** A curve averaged over about `span` earlier steps: {step, value}, as long as `means`. */
  smoothed(curve, span) {
    const key = `${curve} ${span}`
    if (!this.lines.has(key)) this.lines.set(key, new Smoothed(span))
    return this.lines.get(key).follow(this.means.step, this.means[curve] ?? [])
  }
}

/** Exponential smoothing by distance in steps, debiased, passing over missing values; goes on where it stopped. */
class Smoothed {
  constructor(span) {
    this.span = span
    this.step = []
    this.value = []
    this.sum = 0
    this.weight = 0
    this.seen = 0
  }

  follow(steps, values) {
    for (let row = this.step.length; row < steps.length; row++) {
      if (values[row] !== null && values[row] !== undefined) this.take(steps[row], values[row])
      this.step.push(steps[row])
      this.value.push(this.weight ? this.sum / this.weight : null)
    }
    return this
  }

  take(step, value) {
    const keep = Math.exp(-(step - this.seen) / this.span)
    this.sum = keep * this.sum + (1 - keep) * value
    this.weight = keep * this.weight + (1 - keep)
    this.seen = step
  }
}

/** Points of a curve in view, thinned to each bucket's least, greatest and gap: {x, y}. One more on either side. */
export function envelope(steps, values, [from, to], buckets) {
  const [start, stop] = rowsInView(steps, from, to)
  const size = (stop - start) / buckets
  const rows = []
  if (size <= 2) {
    for (let row = start; row < stop; row++) rows.push(row)
    return pick(steps, values, rows)
  }
  const edge = bucket => start + Math.floor(bucket * size)
  for (let bucket = 0; bucket < buckets; bucket++) rows.push(...extremes(values, edge(bucket), edge(bucket + 1)))
  if (rows.at(-1) !== stop - 1) rows.push(stop - 1)
  return pick(steps, values, rows)
}

function pick(steps, values, rows) {
  return { x: rows.map(row => steps[row]), y: rows.map(row => values[row]) }
}

/** Points of a smooth line in view, every n-th so that at most `most` remain, and the last: {x, y}. */
export function sample(steps, values, [from, to], most) {
  const [start, stop] = rowsInView(steps, from, to)
  const stride = Math.max(1, Math.ceil((stop - start) / most))
  const rows = []
  // Counted from row 0, so that the chosen points stay the same while the line grows.
  for (let row = Math.floor(start / stride) * stride; row < stop; row += stride) rows.push(row)
  if (stop > start && rows.at(-1) !== stop - 1) rows.push(stop - 1)
  return pick(steps, values, rows)
}

function rowsInView(steps, from, to) {
  return [Math.max(0, firstAtLeast(steps, from) - 1), Math.min(steps.length, firstAtLeast(steps, to) + 1)]
}

function firstAtLeast(steps, wanted) {
  let low = 0
  let high = steps.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (steps[middle] < wanted) low = middle + 1
    else high = middle
  }
  return low
}

function extremes(values, start, stop) {
  let least = -1
  let greatest = -1
  let gap = -1
  for (let row = start; row < stop; row++) {
    if (values[row] === null) gap = gap < 0 ? row : gap
    else {
      if (least < 0 || values[row] < values[least]) least = row
      if (greatest < 0 || values[row] > values[greatest]) greatest = row
    }
  }
  return [...new Set([least, greatest, gap])].filter(row => row >= 0).sort((a, b) => a - b)
}

function append(table, more) {
  if (!more) return
  const before = table.step.length
  for (const [name, values] of Object.entries(more)) {
    // A curve that appears later was missing until then.
    table[name] ??= new Array(before).fill(null)
    for (const value of values) table[name].push(value)
  }
  for (const values of Object.values(table)) while (values.length < table.step.length) values.push(null)
}
