// What each chart shows: traces, range, labels at the lines' ends, and the finding in words. No drawing here.

import { metricOf } from "./metric.js"
import { count, known, plain } from "./numbers.js"
import { envelope, sample } from "./store.js"

const SPANS = { light: 100, strong: 25 }
const FEWEST = { light: 5, strong: 20 }

/** Steps that the smoothed line looks back over: a hundredth or a twenty-fifth of the stage; 0 where it is off. */
export function spanOf(smoothing, stage) {
  return smoothing === "off" ? 0 : Math.max(FEWEST[smoothing], stage.totalSteps / SPANS[smoothing])
}

/** Loss of the stage in view: the teacher's own, or the student's weighted sum. */
export function lossFigure(view) {
  const student = view.name === "student"
  const colour = student ? view.look.text : view.colours.teacher
  const lines = curveLines(view, "loss", { colour, width: 2.5, says: "loss" })
  return {
    title: student ? "Total loss" : "Teacher’s loss",
    unit: student ? "weighted sum" : metricOf(view.run).teacherLoss,
    traces: lines.traces,
    y: lossRange(view, lines.traces),
    labels: endLabels([{ text: student ? "total" : "teacher", colour, ...lines.end }]),
    note: lines.end ? "" : "The curve begins with the first step.",
    finding: fall(student ? "Total loss" : "The teacher’s loss", lines),
  }
}

/** The terms of the student's loss, unweighted. */
export function termsFigure(view) {
  const present = view.stage.curves.filter(name => view.terms.includes(name))
  const linesOf = name => curveLines(view, name, { colour: view.colours[name], width: 2.5, says: name })
  const drawn = present.map(name => [name, linesOf(name)])
  // Faint lines first, so that no smoothed line is hidden by its neighbour's noise.
  const traces = drawn.flatMap(([, lines]) => lines.traces).sort((a, b) => a.line.width - b.line.width)
  return {
    title: "Its terms",
    unit: "unweighted",
    traces,
    y: lossRange(view, traces),
    labels: endLabels(drawn.map(([name, lines]) => ({ text: name, colour: view.colours[name], ...lines.end }))),
    note: present.length ? "" : noTerms(view),
    finding: drawn.map(([name, lines]) => fall(`The ${name} term`, lines)).join(" "),
  }
}

/** What each weighted term is of the total, stacked to 100 %. */
export function sharesFigure(view) {
  const weights = view.stage.facts.weights ?? {}
  const present = view.stage.curves.filter(name => view.terms.includes(name) && weights[name] > 0)
  const rows = present.map(name => weightedRows(view, name, weights[name]))
  const totals = (rows[0]?.y ?? []).map((_, row) => rows.reduce((sum, line) => sum + line.y[row], 0))
  const below = totals.map(() => 0)
  const ends = []
  const traces = rows.map((line, number) => {
    const shares = line.y.map((value, row) => (100 * value) / totals[row])
    const middle = below.at(-1) + shares.at(-1) / 2
    shares.forEach((share, row) => (below[row] += share))
    ends.push({ text: present[number], colour: view.colours[present[number]], x: line.x.at(-1), y: middle })
    return band(line.x, [...below], shares, present[number], view.colours[present[number]], number)
  })
  return {
    title: "Its terms",
    unit: "% of total",
    traces,
    y: [0, 100],
    labels: endLabels(ends),
    note: present.length ? "" : noTerms(view),
    finding: traces.map(trace => `${trace.name}: ${plain(trace.customdata.at(-1))} % of the total.`).join(" "),
  }
}

/** On what was held out: the score of the model in view, and how alike its answers and the teacher's are. */
export function scoresFigure(view) {
  const { stage, look, colours } = view
  const student = view.name === "student"
  const metric = metricOf(view.run)
  const { teacher_score: teacher, majority } = view.run.stages.student.facts
  const lines = student
    ? [scoreLine(view, "agreement", "agreement", look.text), scoreLine(view, "score", "student", colours.student)]
    : [scoreLine(view, "score", "teacher", colours.teacher)]
  const references = [known(majority) && reference(view, majority, "majority", look.quiet, "dot", 1.5)]
  if (student && known(teacher)) {
    references.push(reference(view, teacher, `teacher ${metric.show(teacher)}`, colours.teacher, "dash", 2.5))
  }
  const drawn = [...references.filter(Boolean), ...lines.filter(line => line.trace.x.length)]
  return {
    title: metric.title,
    unit: metric.units[view.name],
    traces: drawn.map(line => line.trace),
    y: scoreRange(view, metric, drawn),
    labels: endLabels(drawn.map(line => line.label)),
    avoid: drawn.filter(line => line.label.dash).map(line => line.label.y),
    note: stage.scores.step.length ? "" : "The first score is on its way.",
    finding: scoreFinding(view, metric, teacher),
  }
}

function scoreFinding({ name, stage }, metric, teacher) {
  const [score, agreement] = [stage.newest("scores", "score"), stage.newest("scores", "agreement")]
  if (!known(score)) return "No score yet."
  const beside = name === "student" && known(teacher) ? metric.beside(metric.show(teacher)) : ""
  const alike = known(agreement) ? metric.agree(metric.show(agreement)) : ""
  return `At step ${count(stage.scores.step.at(-1))} ${metric.finding(name, metric.show(score))}${beside}${alike}.`
}

/** Faint points with a smooth line on top, or, with smoothing off, one plain line. */
function curveLines(view, curve, { colour, width, says }) {
  const { stage, x, buckets } = view
  if (!stage.steps[curve]) return { traces: [], end: null }
  const { step: steps, [curve]: values } = stage.steps
  const points = envelope(steps, values, x, buckets)
  const span = spanOf(view.smoothing, stage)
  if (!span) {
    return { traces: [line(points, says, colour, 1.5, 1)], end: lastOf(steps, values, x), first: values.find(known) }
  }
  const smooth = stage.smoothed(curve, span)
  const traces = [
    line(points, says === "loss" ? "this step" : "", colour, 1, 0.28),
    line(sample(smooth.step, smooth.value, x, buckets), says === "loss" ? "smoothed" : says, colour, width, 1),
  ]
  return { traces, end: lastOf(smooth.step, smooth.value, x), first: smooth.value.find(known) }
}

function line(points, name, color, width, opacity) {
  const hover = name ? { hovertemplate: `${name} %{y:.3g}<extra></extra>` } : { hoverinfo: "skip" }
  const stroke = { color, width, simplify: false }
  return { ...points, ...hover, name, mode: "lines", opacity, line: stroke, connectgaps: false }
}

function weightedRows(view, name, weight) {
  const { stage, x, buckets } = view
  const span = spanOf(view.smoothing, stage) || spanOf("light", stage)
  const smooth = stage.smoothed(name, span)
  const rows = sample(smooth.step, smooth.value, x, buckets)
  return { x: rows.x, y: rows.y.map(value => weight * value) }
}

function band(x, y, shares, name, color, number) {
  return {
    x, y, name, customdata: shares, mode: "lines", line: { color, width: 1 }, fillcolor: `${color}b3`,
    fill: number ? "tonexty" : "tozeroy", hovertemplate: `${name} %{customdata:.3g} %<extra></extra>`,
  }
}

function scoreLine({ stage, run, x: inView }, curve, text, color) {
  const { factor, hover } = metricOf(run)
  const x = stage.scores.step
  const y = (stage.scores[curve] ?? []).map(score => (score === null ? null : score * factor))
  const trace = {
    x: y.length ? x : [], y, name: text, mode: "lines+markers", line: { color, width: 2.5 }, marker: { color, size: 6 },
    hovertemplate: `${text} ${hover}<extra></extra>`, connectgaps: false,
  }
  return { trace, label: { text, colour: color, ...lastOf(x, y, inView) } }
}

function reference(view, score, text, color, dash, width) {
  const y = score * metricOf(view.run).factor
  const trace = { x: view.x, y: [y, y], name: text, mode: "lines", line: { color, dash, width }, hoverinfo: "skip" }
  return { trace, label: { text, colour: color, dash, x: view.x[1], y } }
}

/** From 0 while the whole stage is in view, close around the lines when zoomed in. */
function lossRange(view, traces) {
  const values = traces.flatMap(trace => trace.y).filter(known)
  if (!values.length) return [0, 1]
  const [low, high] = [Math.min(...values), Math.max(...values)]
  const room = (high - low || high || 1) * 0.08
  return view.zoomed ? [low - room, high + room] : [0, high * 1.04 || 1]
}

/** Whole ticks, with room above the best line and below the worst; zoomed in, finer ones around what is in view. */
function scoreRange({ x, zoomed }, { tick, fineTick, bounds, empty }, drawn) {
  const seen = step => step >= x[0] && step <= x[1]
  const inView = ({ trace }) => trace.y.filter((value, row) => known(value) && seen(trace.x[row]))
  const shown = zoomed ? drawn.filter(line => line.label.dash !== "dot") : drawn
  const values = shown.flatMap(inView)
  if (!values.length) return empty
  const step = zoomed ? fineTick : tick
  const [low, high] = [Math.min(...values) - 0.4 * step, Math.max(...values) + 0.4 * step]
  return [Math.max(bounds[0], Math.floor(low / step) * step), Math.min(bounds[1], Math.ceil(high / step) * step)]
}

/** The last known point up to the right edge of the view: where its label goes. */
function lastOf(x, y, [, to]) {
  const row = y.findLastIndex((value, row) => known(value) && x[row] <= to)
  return row < 0 ? null : { x: x[row], y: y[row] }
}

const endLabels = labels => labels.filter(label => known(label.y))

function fall(what, { first, end }) {
  if (!end || !known(first)) return `${what}: nothing yet.`
  const verb = end.y < first ? "fell" : "went"
  return `${what} ${verb} from ${plain(first)} to ${plain(end.y)} by step ${count(end.x)}.`
}

const noTerms = view =>
  view.name === "teacher" ? "The terms begin when the student learns." : "The curves begin with the first step."
