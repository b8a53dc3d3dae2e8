// The live view: asks, remembers, draws. Streamlit calls `show` at every rerun and theme change; only the first builds.

import { Chart, loadPlotly } from "./charts.js"
import { lossFigure, scoresFigure, sharesFigure, spanOf, termsFigure } from "./figures.js"
import { hasEnded, Panel } from "./panel.js"
import { poll } from "./poll.js"
import { Run } from "./store.js"
import { showVerdict } from "./verdict.js"

const WORTH_DRAWING_PX = 0.5
const WIDTH_OF_A_BUCKET_PX = 1.5
const NO_CHART = "The chart could not be loaded. Reload the page."

const views = new WeakMap()

/** The run that has just finished before this viewer's eyes, until the page with its verdict is there. */
let justFinished = null

/** Mount the view, or update the one that is there. Returns it; its `close` ends everything it started. */
export function show(component, address) {
  const room = component.parentElement
  if (!views.has(room)) views.set(room, new LiveView(room.querySelector(".live"), address))
  const view = views.get(room)
  view.update(component)
  return { close: () => views.delete(room) && view.close() }
}

class LiveView {
  constructor(root, address) {
    this.root = root
    this.address = address
    this.settings = { smoothing: "light", terms: "terms", stage: null }
    this.zoom = null
    this.drawnTo = {}
  }

  update({ data, setTriggerValue }) {
    this.data = data
    this.tell = setTriggerValue
    this.opened ??= this.open()
    this.panel.name(data.stages)
    this.recolour()
    if (data.run === justFinished && !data.watched) {
      justFinished = null
      showVerdict()
    }
    if (data.run !== this.run?.id) this.follow(data.run)
    else if (data.watched && !this.wasWatched) this.polling.wake()
    this.wasWatched = data.watched
  }

  /** Style and plotly come while the first answer is on its way; the numbers do not wait for plotly. */
  async open() {
    const style = document.createElement("link")
    style.rel = "stylesheet"
    style.href = new URL("live.css", import.meta.url)
    const styled = new Promise(resolve => (style.onload = style.onerror = resolve))
    this.root.before(style)
    this.style = style
    for (const [name, colour] of Object.entries(this.data.colours)) this.root.style.setProperty(`--${name}`, colour)
    this.panel = new Panel(this.root, (name, choice) => this.choose(name, choice))
    this.root.style.visibility = "hidden"
    const library = loadPlotly(this.address(this.data.plotly)).catch(() => null)
    await styled
    this.root.style.visibility = ""
    this.plotly = await library
    if (this.closed) return
    const rooms = Object.entries(this.panel.rooms)
    if (!this.plotly) {
      for (const [, room] of rooms) room.textContent = NO_CHART
      return
    }
    this.charts = Object.fromEntries(rooms.map(([kind, room]) => [kind, this.chart(room)]))
    this.draw()
  }

  chart(room) {
    return new Chart(room, {
      redraw: () => this.draw(),
      onZoom: zoom => {
        this.zoom = zoom
        this.draw()
      },
    })
  }

  follow(id) {
    this.polling?.close()
    this.run = Object.assign(new Run(), { id })
    this.zoom = null
    const ask = async signal => {
      const path = `/api/runs/${encodeURIComponent(id)}/live?since=${this.run.offset}`
      const answer = await fetch(this.address(path), { signal })
      if (answer.status >= 500) throw new Error(`the server answered ${answer.status}`)
      return answer.json().then(body => (answer.ok ? body : { refused: body.sentence }))
    }
    this.polling = poll(ask, answer => this.take(answer), lost => this.panel.showLost(lost))
  }

  /** Take in one answer; true if there is more to come. */
  take(answer) {
    if (answer.refused) {
      this.panel.refuse(answer.refused)
      // Not for ever: the folder may have been seen half deleted, or on a disk that comes back.
      return true
    }
    const stageBefore = this.run.stage
    if (!this.run.add(answer)) {
      this.run.clear()
      return true
    }
    if (this.run.stage !== stageBefore) this.zoom = this.settings.stage = null
    this.showNumbers()
    this.draw({ onlyWhatMoved: !answer.reset })
    if (hasEnded(answer)) this.end(answer.state)
    return !hasEnded(answer)
  }

  /** Streamlit hears once that a run ended which it had seen active. */
  end(state) {
    if (this.data.watched && this.toldOf !== this.data) {
      this.toldOf = this.data
      if (state === "finished") justFinished = this.run.id
      this.tell("ended", state)
    }
  }

  choose(name, choice) {
    if (name === "stage") this.zoom = null
    this.settings[name] = choice
    this.showNumbers()
    this.draw()
  }

  recolour() {
    const theme = getComputedStyle(this.root)
    const read = name => theme.getPropertyValue(`--st-${name}`).trim()
    const text = read("text-color")
    const look = {
      text,
      quiet: mixed(text, read("background-color"), 0.6),
      grid: read("border-color"),
      background: read("background-color"),
      font: read("font"),
    }
    if (JSON.stringify(look) === JSON.stringify(this.look)) return
    this.look = look
    this.draw()
  }

  showNumbers() {
    if (!this.run.answer) return
    const { smoothing } = this.settings
    const stage = this.run.stages[this.run.stage]
    const span = spanOf(smoothing, stage)
    const loss = span ? stage.smoothed("loss", span).value.at(-1) : stage.newest("steps", "loss")
    this.panel.show(this.run, loss)
  }

  /** Draw the charts; with `onlyWhatMoved`, those whose newest point is half a pixel from where it was drawn. */
  draw({ onlyWhatMoved = false } = {}) {
    if (!this.charts || !this.run?.answer) return
    const name = this.settings.stage ?? this.run.stage
    const stage = this.run.stages[name]
    const total = Math.max(1, stage.totalSteps)
    const whole = [-0.015 * total, 1.015 * total]
    const x = this.zoom ?? whole
    this.panel.press("smoothing", this.settings.smoothing)
    this.panel.press("terms", this.settings.terms)
    this.panel.press("stage", name)
    const terms = this.settings.terms === "shares" ? sharesFigure : termsFigure
    const figures = { loss: lossFigure, terms, scores: scoresFigure }
    for (const [kind, chart] of Object.entries(this.charts)) {
      const mark = this.mark(kind, stage, chart, x)
      if (onlyWhatMoved && Math.abs(mark - this.drawnTo[kind]) < WORTH_DRAWING_PX) continue
      this.drawnTo[kind] = mark
      const view = {
        name, stage, x, run: this.run, smoothing: this.settings.smoothing, zoomed: this.zoom !== null,
        colours: this.data.colours, terms: this.data.terms, look: this.look, buckets: Math.ceil(chart.plotWidth / WIDTH_OF_A_BUCKET_PX),
      }
      const figure = figures[kind](view)
      this.panel.title(kind, figure)
      chart.draw(this.plotly, figure, x, this.look)
    }
  }

  /** Where on the screen a chart's newest point in view lies: of its own table, since scores come seldom. */
  mark(kind, stage, chart, x) {
    const step = stage[kind === "scores" ? "scores" : "steps"].step.at(-1)
    return step === undefined ? -1 : chart.across(Math.min(step, x[1]), x)
  }

  close() {
    this.closed = true
    this.polling?.close()
    for (const chart of Object.values(this.charts ?? {})) chart.close(this.plotly)
    this.style?.remove()
  }
}

/** A share of one "#rrggbb" colour in another; plotly does not know CSS's color-mix. */
function mixed(colour, other, share) {
  const parts = hex => [1, 3, 5].map(start => parseInt(hex.slice(start, start + 2), 16))
  const [a, b] = [parts(colour), parts(other)]
  return `rgb(${a.map((part, number) => Math.round(share * part + (1 - share) * b[number])).join(", ")})`
}
