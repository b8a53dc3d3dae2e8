// The finish is a moment: the verdict comes onto the screen once, when the run ends, and never pulls anybody who is just
// moving about the page.

const QUIET_MS = 1500
const GIVE_UP_MS = 15000
const MOVES = ["wheel", "touchmove", "keydown", "pointerdown"]

let movedAt = 0
for (const move of MOVES) addEventListener(move, () => (movedAt = performance.now()), { passive: true, capture: true })

/** Bring the verdict's card into view as soon as it is there and the viewer's hands rest. */
export function showVerdict() {
  const since = performance.now()
  const look = () => {
    const now = performance.now()
    const card = document.querySelector(".st-key-verdict")
    if (now - since > GIVE_UP_MS) return
    if (!card || now - movedAt < QUIET_MS) return void setTimeout(look, 100)
    card.style.scrollMarginTop = "8rem"
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches
    if (!isSeen(card)) card.scrollIntoView({ block: "start", behavior: still ? "auto" : "smooth" })
  }
  look()
}

/** Whether the verdict's own line, the first of the card, stands on the screen. */
function isSeen(card) {
  const { top } = card.getBoundingClientRect()
  return top >= 60 && top < innerHeight * 0.6
}
