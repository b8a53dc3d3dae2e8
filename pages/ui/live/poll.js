// Ask for what is new, once a second, while somebody is looking and there is something to come.

const EVERY_MS = 1000
const PATIENCE_MS = 10000
const LONGEST_WAIT_MS = 15000

/**
 * Call `ask(signal)` now and every second, and hand what it answers to `take`, until that returns false. Rests while
 * the tab is hidden, asks at once when it is shown again, never asks twice at a time. While `ask` fails or is refused
 * it waits twice as long each time; `onLost` hears true while it fails, and false once it works again. Returns
 * { wake, close }.
 */
export function poll(ask, take, onLost) {
  const closing = new AbortController()
  let timer = null
  let asking = false
  let inVain = 0
  let more = true

  async function turn() {
    clearTimeout(timer)
    if (!more || asking || document.hidden) return
    asking = true
    const began = performance.now()
    const answer = await ask(AbortSignal.any([closing.signal, AbortSignal.timeout(PATIENCE_MS)])).catch(() => null)
    asking = false
    if (closing.signal.aborted) return
    inVain = answer === null || answer.refused ? inVain + 1 : 0
    onLost(answer === null)
    if (answer !== null) more = take(answer)
    if (more) timer = setTimeout(turn, Math.max(0, pause() - (performance.now() - began)))
  }

  const pause = () => Math.min(EVERY_MS * 2 ** inVain, LONGEST_WAIT_MS)
  document.addEventListener("visibilitychange", turn)
  turn()

  return {
    wake() {
      more = true
      turn()
    },
    close() {
      closing.abort()
      clearTimeout(timer)
      document.removeEventListener("visibilitychange", turn)
    },
  }
}
