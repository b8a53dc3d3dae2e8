// The page around the charts: stages, progress, headline numbers, switches. Text changes only where it differs.

import { metricOf } from "./metric.js"
import { count, percent, plain, stillToGo, timeLeft, timeTaken, UNKNOWN } from "./numbers.js"

const STAGES = ["teacher", "student"]
const ENDED = ["stopped", "finished", "failed", "interrupted"]
const NUMBERS = ["agreement", "student", "teacher", "loss", "lr", "speed", "time"]
const SWITCHES = {
  stage: { label: "Stage shown in the charts", choices: { teacher: "teacher", student: "student" } },
  smoothing: { label: "Smoothing of the lines", choices: { off: "off", light: "light", strong: "strong" } },
  terms: { label: "How the terms are shown", choices: { terms: "terms", shares: "weighted shares" } },
}

const ZOOM_HINT = "Drag across a chart to zoom in; double-click to see all of it again."

export const hasEnded = answer => ENDED.includes(answer.state)

/** Builds the view inside `root`; `onSwitch(name, choice)` hears every switch. */
export class Panel {
  constructor(root, onSwitch) {
    this.root = root
    this.switches = {}
    this.root.replaceChildren(this.head(onSwitch), this.numbers(), this.charts(onSwitch), this.foot(), this.refusal())
  }

  head(onSwitch) {
    this.word = make("span", "live-word", UNKNOWN)
    this.sentence = make("span", "live-sentence")
    this.heard = make("p", "live-unseen")
    this.heard.setAttribute("role", "status")
    this.stages = STAGES.map((name, number) => {
      const item = make("li", "live-stage", make("b", "", String(number + 1)), make("span", "", "\u00a0"))
      item.dataset.stage = name
      return item
    })
    this.done = make("div", "live-done")
    this.progress = make("div", "live-progress", this.done)
    describe(this.progress, { role: "progressbar", "aria-label": "Progress of this stage", "aria-valuemin": 0 })
    this.where = make("p", "live-where")
    const state = make("p", "live-state", this.word, this.sentence)
    const top = make("div", "live-top", make("ol", "live-stages", ...this.stages), state)
    this.stageSwitch = this.switch("stage", onSwitch)
    const below = make("div", "live-below", this.where, this.stageSwitch)
    return make("div", "live-head", top, this.progress, below, this.heard)
  }

  numbers() {
    this.tiles = Object.fromEntries(
      NUMBERS.map(name => {
        const parts = { label: make("dt"), value: make("dd", "live-value", UNKNOWN), aside: make("dd", "live-aside") }
        return [name, parts]
      }),
    )
    const rooms = NUMBERS.map(name => make("div", `live-number live-${name}`, ...Object.values(this.tiles[name])))
    return make("dl", "live-numbers", ...rooms)
  }

  charts(onSwitch) {
    this.rooms = {}
    this.titles = {}
    const figure = (kind, control) => {
      this.rooms[kind] = make("div", "live-chart")
      describe(this.rooms[kind], { role: "img", "aria-label": "Nothing to see yet." })
      const [title, unit] = [make("strong", "", "\u00a0"), make("span", "live-unit")]
      this.titles[kind] = { title, unit }
      const caption = make("figcaption", "", make("span", "live-title", title, unit))
      if (control) caption.append(control)
      return make("figure", `live-figure live-figure-${kind}`, caption, this.rooms[kind])
    }
    return make("div", "live-charts",
      figure("loss", this.switch("smoothing", onSwitch)),
      figure("terms", this.switch("terms", onSwitch)),
      figure("scores"))
  }

  foot() {
    this.lost = make("p", "live-lost", "Connection lost, trying again.")
    this.lost.setAttribute("role", "alert")
    this.lost.hidden = true
    this.promise = make("p", "live-promise", "You can close this tab: training goes on in the background.")
    const hint = matchMedia("(pointer: coarse)").matches ? "Tap a chart to read its values." : ZOOM_HINT
    return make("div", "live-foot", make("p", "", hint), this.promise, this.lost)
  }

  refusal() {
    this.refused = make("p", "live-refused")
    this.refused.setAttribute("role", "alert")
    this.refused.hidden = true
    return this.refused
  }

  /** Nothing but a sentence, because there is nothing to show. */
  refuse(sentence) {
    write(this.refused, sentence)
    for (const part of this.root.children) part.hidden = part !== this.refused
  }

  switch(name, onSwitch) {
    const { label, choices } = SWITCHES[name]
    const buttons = Object.entries(choices).map(([choice, text]) => {
      const button = make("button", "", text)
      button.type = "button"
      button.dataset.choice = choice
      button.addEventListener("click", () => onSwitch(name, choice))
      return button
    })
    this.switches[name] = buttons
    const group = make("div", "live-switch", ...buttons)
    describe(group, { role: "group", "aria-label": label })
    return group
  }

  press(name, choice) {
    for (const button of this.switches[name]) {
      const pressed = String(button.dataset.choice === choice)
      if (button.getAttribute("aria-pressed") !== pressed) button.setAttribute("aria-pressed", pressed)
    }
  }

  title(kind, { title, unit }) {
    write(this.titles[kind].title, title)
    write(this.titles[kind].unit, unit)
  }

  /** What the stages are called: a teacher that is known already has none, and a control learns from nobody. */
  name(stages) {
    this.words = stages
  }

  /** Everything but the charts, from the newest answer. `loss` is the newest value of the line that is drawn. */
  show(run, loss) {
    const { answer } = run
    const ended = hasEnded(answer)
    if (!this.refused.hidden) for (const part of this.root.children) part.hidden = part === this.refused
    this.showStages(run, ended)
    this.showProgress(run, ended)
    this.showNumbers(run, loss, ended)
    write(this.word, answer.state)
    this.word.dataset.state = answer.state
    // Once it has ended the page around this says how.
    write(this.sentence, ended ? "" : answer.sentence)
    write(this.heard, `${answer.state}: ${this.words[answer.stage] ?? answer.sentence.split(":")[0]}`)
    this.promise.hidden = ended
    this.stageSwitch.hidden = !(run.stages.teacher.begun && run.stages.student.begun)
  }

  showStages(run, ended) {
    const { teacher, student } = run.stages
    const known = !teacher.begun && (student.begun || this.words.needs_none)
    const over = { teacher: student.begun || known, student: run.answer.state === "finished" }
    for (const item of this.stages) {
      const name = item.dataset.stage
      const now = !ended && run.answer.stage === name
      item.toggleAttribute("data-over", over[name])
      if (now) item.setAttribute("aria-current", "step")
      else item.removeAttribute("aria-current")
    }
    write(this.stages[0].lastChild, known ? this.words.known : this.words.teacher)
    write(this.stages[1].lastChild, this.words.student)
  }

  showProgress(run, ended) {
    const { step, now } = run.answer
    const total = run.answer.total_steps || run.stages[run.stage].totalSteps
    const share = total ? Math.min(1, step / total) : 0
    this.progress.dataset.stage = run.stage
    this.done.style.transform = `scaleX(${share.toFixed(4)})`
    this.progress.setAttribute("aria-valuemax", total || 1)
    this.progress.setAttribute("aria-valuenow", step)
    const left = now.left_s === null || ended ? "" : `, ${stillToGo(now.left_s)}`
    write(this.where, total ? `Step ${count(step)} of ${count(total)}${left}` : "\u00a0")
  }

  showNumbers(run, loss, ended) {
    const { student, teacher } = run.stages
    const now = run.answer.now
    const metric = metricOf(run)
    const scored = student.newest("scores", "score")
    const teacherNow = student.facts.teacher_score ?? teacher.newest("scores", "score")
    const spent = [teacher.elapsed, student.elapsed].filter(value => value !== null)
    // Beside a result the test part leads, so each score of the validation part says that it is one.
    const part = run.answer.state === "finished" ? "on the validation part" : ""
    this.tile("agreement", "Agreement with the teacher", metric.show(student.newest("scores", "agreement")),
      part || (student.begun ? metric.sameAnswer : "measured once the student learns"))
    const share = kept(scored, teacherNow)
    this.tile("student", `Student ${metric.name}`, metric.show(scored), part && share ? `${share}, ${part}` : part || share)
    this.tile("teacher", `Teacher ${metric.name}`, metric.show(teacherNow),
      part || (student.begun ? "the line to climb to" : "so far"))
    this.root.toggleAttribute("data-finished", Boolean(part))
    this.tile("loss", run.stage === "student" ? "Total loss" : "Teacher’s loss", plain(loss), "lower is better")
    this.tile("lr", "Learning rate", plain(now.lr), "of the next update")
    this.tile("speed", "Speed", plain(now.speed), "texts a second")
    const inAll = spent.length ? spent.reduce((sum, seconds) => sum + seconds) : null
    if (ended) this.tile("time", "Time taken", timeTaken(inAll), "in all")
    else this.tile("time", "Time left", timeLeft(now.left_s), "in this stage")
  }

  tile(name, label, value, aside) {
    write(this.tiles[name].label, label)
    write(this.tiles[name].value, value)
    write(this.tiles[name].aside, aside)
  }

  showLost(lost) {
    if (this.lost.hidden === lost) this.lost.hidden = !lost
  }
}

const kept = (student, teacher) => (student > 0 && teacher > 0 ? `${percent(student / teacher)} kept` : "")

function make(tag, name, ...children) {
  const node = document.createElement(tag)
  if (name) node.className = name
  node.append(...children)
  return node
}

function describe(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value)
}

function write(node, text) {
  if (node.textContent !== text) node.textContent = text
}
