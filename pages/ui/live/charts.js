// One chart: plotly for axes, lines, hover and zoom; our own labels at the ends of the lines.

const MARGIN = { left: 44, right: 16, top: 10, bottom: 44 }
const RELEASES = ["mouseup", "pointercancel"]
const LABEL_GAP = 18
const CLEARANCE = 11
const SNAP = 12
const ENOUGH = 0.75
const WIDEST_CHARACTER = 7.4
const BETWEEN_FINDINGS_MS = 10000

/** Load plotly.js once for the page. Resolves to the library. */
export function loadPlotly(address) {
  loadPlotly.promise ??= new Promise((resolve, reject) => {
    const script = document.createElement("script")
    script.src = address
    script.onload = () => resolve(window.Plotly)
    script.onerror = () => reject(new Error("plotly.js could not be loaded"))
    document.head.append(script)
  })
  return loadPlotly.promise
}

/** A chart inside `room`, which decides its size. `onZoom` hears [from, to] in steps, or null for all of them. */
export class Chart {
  constructor(room, { onZoom, redraw }) {
    this.room = room
    this.plot = room.appendChild(element("div", "live-plot"))
    this.labels = room.appendChild(element("div", "live-labels"))
    this.note = room.appendChild(element("p", "live-note"))
    this.note.style.padding = `0 ${MARGIN.right}px ${MARGIN.bottom}px ${MARGIN.left}px`
    this.onZoom = onZoom
    this.held = false
    this.said = -Infinity
    this.redraw = redraw
    this.width = this.height = 0
    this.sizes = new ResizeObserver(() => this.measure() && redraw())
    this.sizes.observe(room)
    this.plot.addEventListener("pointerdown", () => this.hold(), { capture: true })
  }

  /** Remember the size, because asking for it after every change of text makes the browser lay out the page. */
  measure() {
    const [width, height] = [this.room.clientWidth, this.room.clientHeight]
    const changed = width !== this.width || height !== this.height
    Object.assign(this, { width, height })
    return changed
  }

  get plotWidth() {
    return Math.max(40, this.width - MARGIN.left - MARGIN.right)
  }

  /** Screen distance from the left edge of a step, given the steps in view. */
  across(step, [from, to]) {
    return MARGIN.left + ((step - from) / (to - from)) * this.plotWidth
  }

  /** While somebody drags, drawing would take the rectangle from under the pointer. */
  hold() {
    this.held = true
    const letGo = () => {
      // Later than plotly, which reads the rectangle at the same event.
      setTimeout(() => {
        this.held = false
        if (this.missed) this.redraw()
        this.missed = false
      })
      for (const name of RELEASES) window.removeEventListener(name, letGo)
    }
    for (const name of RELEASES) window.addEventListener(name, letGo)
  }

  draw(plotly, figure, x, look) {
    this.missed = this.held
    if (this.held || !this.width) return
    figure.y = this.steady(figure.y, x)
    const layout = this.layout(figure, x, look)
    const frame = JSON.stringify([layout, figure.traces.map(styleOf)])
    if (frame === this.frame) this.movePoints(plotly, figure.traces)
    else plotly.react(this.plot, figure.traces, layout, OPTIONS)
    this.frame = frame
    this.listen()
    this.placeLabels(figure, x)
    setText(this.note, figure.note)
    this.say(figure.finding)
  }

  /** New points in a frame that stays as it is: half the work of drawing all of it. */
  movePoints(plotly, traces) {
    const data = traces.map(({ x, y, customdata }) => (customdata ? { x, y, customdata } : { x, y }))
    // An update that the next one overtakes is rejected, with no reason given; the next one has all its points.
    plotly.animate(this.plot, { data, traces: [...data.keys()] }, AT_ONCE).catch(reason => {
      if (reason) throw reason
    })
  }

  /** The range that is on the screen, as long as it suits: one that followed every point would never rest. */
  steady(range, x) {
    const [low, high] = this.range ?? range
    const suits = low <= range[0] && high >= range[1] && range[1] - range[0] > ENOUGH * (high - low)
    const same = suits && String(x) === String(this.x)
    this.x = x
    this.range = same ? this.range : range
    return this.range
  }

  listen() {
    if (this.listening) return
    this.listening = true
    this.plot.on("plotly_relayout", change => {
      if ("xaxis.range[0]" in change) this.onZoom([change["xaxis.range[0]"], change["xaxis.range[1]"]])
    })
    this.plot.on("plotly_doubleclick", () => this.onZoom(null))
  }

  /** The finding in words, for those who do not see the chart; not more often than somebody could listen. */
  say(finding) {
    if (performance.now() - this.said < BETWEEN_FINDINGS_MS || !finding) return
    this.said = performance.now()
    this.room.setAttribute("aria-label", finding)
  }

  layout(figure, x, look) {
    const empty = figure.note !== ""
    const axis = { color: look.text, gridcolor: look.grid, linecolor: look.grid, zeroline: false, nticks: 6 }
    return {
      width: this.width,
      height: this.height,
      margin: { l: MARGIN.left, r: MARGIN.right, t: MARGIN.top, b: MARGIN.bottom, pad: 0 },
      // Not transparent: plotly edges its hover line in the contrast of this colour.
      paper_bgcolor: look.background,
      plot_bgcolor: look.background,
      font: { family: look.font, size: 13, color: look.text },
      separators: ".\u202f",
      showlegend: false,
      hovermode: "x unified",
      hoverlabel: { bgcolor: look.background, bordercolor: look.grid, font: { size: 14, color: look.text } },
      dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
      xaxis: {
        ...axis,
        range: [...x],
        showgrid: false,
        showticklabels: !empty || x[1] > 2,
        tickformat: ",d",
        title: { text: "step", font: { size: 13 }, standoff: 6 },
        unifiedhovertitle: { text: "step %{x:,d}" },
        spikethickness: 1,
        spikecolor: look.quiet,
        spikedash: "solid",
      },
      yaxis: { ...axis, range: [...figure.y], fixedrange: true, showgrid: !empty, showticklabels: !empty },
    }
  }

  placeLabels(figure, x) {
    const height = this.height - MARGIN.top - MARGIN.bottom
    const [low, high] = figure.y
    const right = MARGIN.left + this.plotWidth
    const down = y => MARGIN.top + (1 - (y - low) / (high - low)) * height
    const placed = figure.labels.filter(label => label.y >= low && label.y <= high).map(label => {
      const end = this.across(label.x, x)
      const beside = (end > right - SNAP ? right : end) + 4
      // Beside its line's end, or where the chart ends before the words do, above it.
      const last = this.width - widthOf(label)
      const top = beside > last ? offItsLine(figure.avoid ?? [], label, down) : clearOf(figure.avoid ?? [], label, down)
      return { ...label, left: Math.max(MARGIN.left, Math.min(beside, last)), top }
    })
    spread(placed, MARGIN.top + 4, MARGIN.top + height - 4)
    while (this.labels.children.length > placed.length) this.labels.lastChild.remove()
    placed.forEach((label, number) => this.placeLabel(this.labels.children[number] ?? this.newLabel(), label))
  }

  newLabel() {
    const label = this.labels.appendChild(element("span", "live-label"))
    label.append(element("i"), element("span"))
    return label
  }

  placeLabel(node, { text, colour, dash, left, top }) {
    setText(node.lastChild, text)
    node.firstChild.style.borderTop = `3px ${STROKES[dash] ?? "solid"} ${colour}`
    node.style.transform = `translate(${left.toFixed(1)}px, ${top.toFixed(1)}px) translateY(-50%)`
  }

  close(plotly) {
    this.sizes.disconnect()
    plotly?.purge(this.plot)
  }
}

const STROKES = { dash: "dashed", dot: "dotted" }
const AT_ONCE = { frame: { duration: 0, redraw: false }, transition: { duration: 0 }, mode: "immediate" }
const styleOf = ({ x, y, customdata, ...style }) => style
const OPTIONS = { displayModeBar: false, responsive: false, doubleClick: false, showTips: false, scrollZoom: false }

/** Move labels apart that would lie on one another, keeping their order: first downwards, then up from the bottom. */
function spread(labels, highest, lowest) {
  const order = [...labels].sort((a, b) => a.top - b.top)
  const meet = (a, b) => a.left < b.left + widthOf(b) && b.left < a.left + widthOf(a)
  const push = (label, others, limit, tighter, gap) => others.filter(other => meet(label, other))
    .reduce((bound, other) => tighter(bound, other.top + gap), limit)
  order.forEach((label, number) => {
    label.top = Math.max(label.top, push(label, order.slice(0, number), highest, Math.max, LABEL_GAP))
  })
  order.reverse().forEach((label, number) => {
    label.top = Math.min(label.top, push(label, order.slice(0, number), lowest, Math.min, -LABEL_GAP))
  })
}

/** Where a label goes so that no reference line runs through it: on its own side of the line. */
function clearOf(avoid, label, down) {
  const near = avoid.find(y => Math.abs(down(y) - down(label.y)) < CLEARANCE)
  return near === undefined ? down(label.y) : down(near) + (label.y < near ? CLEARANCE : -CLEARANCE)
}

/** Above the line that a label belongs to; below it where a reference line runs closely above. */
function offItsLine(avoid, label, down) {
  const under = avoid.some(y => y > label.y && down(label.y) - down(y) < 2 * CLEARANCE)
  return down(label.y) + (under ? CLEARANCE : -CLEARANCE)
}

const widthOf = label => 22 + label.text.length * WIDEST_CHARACTER

function element(tag, name = "") {
  return Object.assign(document.createElement(tag), { className: name })
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text
}
