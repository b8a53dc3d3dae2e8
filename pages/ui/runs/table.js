// The list of runs: sorts, ticks and opens. What it shows was written by Python; foreign text only becomes textContent.

const NEWEST = "newest"
const SPARK = { width: 104, height: 30, edge: 2 }
const views = new WeakMap()

export default function (component) {
  const room = component.parentElement
  if (!views.has(room)) views.set(room, new RunTable(room.querySelector(".runs")))
  views.get(room).update(component)
  return () => views.delete(room)
}

class RunTable {
  constructor(root) {
    this.root = root
    this.sort = { key: NEWEST, down: true }
  }

  /** Take in what Python says now; draw again only if that has changed, so that nothing jumps under the mouse. */
  update({ data, setStateValue, setTriggerValue }) {
    this.tell = chosen => setStateValue("chosen", chosen)
    this.open = id => setTriggerValue("open", id)
    // Python's answer to one tick can arrive after the next: once drawn, what is ticked is known here first.
    this.chosen ??= new Set(data.chosen)
    const written = JSON.stringify([data.rows, data.columns])
    if (written !== this.written) {
      this.written = written
      this.data = data
      this.draw()
    }
    this.tick()
  }

  draw() {
    const focused = this.root.getRootNode().activeElement?.dataset.focus
    const body = make("tbody", { role: "rowgroup" }, ...this.sorted().map(row => this.row(row)))
    const table = make("table", { role: "table", "aria-label": "Runs" }, this.head(), body)
    this.root.replaceChildren(this.chooser(), table)
    if (focused) this.root.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus()
  }

  /** The rows by the chosen column; where a run has no such value, it comes last either way. */
  sorted() {
    const { key, down } = this.sort
    if (key === NEWEST) return this.data.rows
    const known = row => row.cells[key].sort !== null
    const rows = this.data.rows.filter(known)
    rows.sort((a, b) => compare(a.cells[key].sort, b.cells[key].sort) * (down ? -1 : 1))
    return [...rows, ...this.data.rows.filter(row => !known(row))]
  }

  /** The first click on a number puts the largest first, on a word the first letter; the third is newest first again. */
  sortBy(column) {
    const first = column.number
    if (this.sort.key !== column.key) this.sort = { key: column.key, down: first }
    else if (this.sort.down === first) this.sort = { key: column.key, down: !first }
    else this.sort = { key: NEWEST, down: true }
    this.draw()
    this.tick()
  }

  head() {
    const titles = this.data.columns.map(column => this.title(column))
    const first = make("th", { role: "columnheader", scope: "col", class: "tick" }, unseen("Choose"))
    return make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, first, ...titles))
  }

  title(column) {
    const attributes = { role: "columnheader", scope: "col", class: column.number ? "number" : "" }
    if (!column.sortable) return make("th", attributes, column.title)
    const mine = this.sort.key === column.key
    attributes["aria-sort"] = mine ? (this.sort.down ? "descending" : "ascending") : "none"
    const button = make("button", { type: "button", "data-focus": `sort ${column.key}`, title: column.help }, column.title)
    button.append(make("span", { class: "arrow", "aria-hidden": "true" }, mine ? (this.sort.down ? "▼" : "▲") : ""))
    button.addEventListener("click", () => this.sortBy(column))
    return make("th", attributes, button)
  }

  /** For narrow screens, whose cards have no heads to click on. */
  chooser() {
    const choices = this.data.columns.filter(column => column.sortable)
    const options = [{ key: NEWEST, title: "Newest first" }, ...choices].map(({ key, title }) => {
      return make("option", { value: key, ...(key === this.sort.key && { selected: "" }) }, title)
    })
    const select = make("select", { "data-focus": "sort" }, ...options)
    select.addEventListener("change", () => {
      const column = choices.find(({ key }) => key === select.value)
      this.sort = { key: select.value, down: column?.number ?? true }
      this.draw()
      this.tick()
    })
    return make("label", { class: "chooser" }, "Sort by ", select)
  }

  row(row) {
    const box = make("input", { type: "checkbox", "aria-label": `Choose ${row.name}`, "data-focus": `tick ${row.id}` })
    box.addEventListener("change", () => this.choose(row.id, box.checked))
    const cells = this.data.columns.map(column => this.cell(row, column))
    const tick = make("td", { role: "cell", class: "tick" }, make("label", {}, box))
    return make("tr", { role: "row", "data-run": row.id }, tick, ...cells)
  }

  cell(row, column) {
    const attributes = { role: "cell", class: `${column.key}${column.number ? " number" : ""}`, "data-title": column.title }
    if (column.key === "name") return make("td", attributes, ...this.name(row))
    if (column.key === "state") return make("td", attributes, make("span", { class: "word", "data-state": row.state }, row.state))
    if (column.key === "loss") return make("td", attributes, spark(row.loss))
    return make("td", attributes, row.cells[column.key].text)
  }

  name(row) {
    const address = new URL(`runs?run=${encodeURIComponent(row.id)}`, document.baseURI)
    const link = make("a", { href: address.href, target: "_self", "data-focus": `open ${row.id}` }, row.name)
    link.addEventListener("click", event => {
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return
      event.preventDefault()
      this.open(row.id)
    })
    return [link, ...[row.recipe, row.sentence, row.notes].filter(Boolean).map(text => make("p", {}, text))]
  }

  choose(id, ticked) {
    if (ticked) this.chosen.add(id)
    else this.chosen.delete(id)
    this.tick()
    this.tell([...this.chosen])
  }

  tick() {
    for (const row of this.root.querySelectorAll("tr[data-run]")) {
      const ticked = this.chosen.has(row.dataset.run)
      row.toggleAttribute("data-chosen", ticked)
      row.querySelector("input").checked = ticked
    }
  }
}

const compare = (a, b) => (typeof a === "number" ? a - b : a.localeCompare(b))

/** A loss as a line, the first value on the left; a dash where nothing was recorded. */
function spark(values) {
  if (values.length < 2) return "–"
  const [low, high] = [Math.min(...values), Math.max(...values)]
  const { width, height, edge } = SPARK
  const x = place => edge + (place / (values.length - 1)) * (width - 2 * edge)
  const y = value => height - edge - ((value - low) / (high - low || 1)) * (height - 2 * edge)
  const points = values.map((value, place) => `${x(place).toFixed(1)},${y(value).toFixed(1)}`).join(" ")
  const said = `Loss from ${values[0].toPrecision(3)} to ${values.at(-1).toPrecision(3)}`
  const drawing = document.createElementNS("http://www.w3.org/2000/svg", "svg")
  set(drawing, { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": said })
  const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline")
  set(line, { points, fill: "none", stroke: "currentColor", "stroke-width": 1.5, "stroke-linejoin": "round" })
  drawing.append(line)
  return drawing
}

const unseen = text => make("span", { class: "unseen" }, text)

function make(tag, attributes, ...children) {
  const node = document.createElement(tag)
  set(node, attributes)
  node.append(...children)
  return node
}

function set(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) if (value !== "" || name === "selected") node.setAttribute(name, value)
}
