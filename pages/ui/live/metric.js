// How a run's score is called, written and drawn: that depends on what is learned.

import { decimals, percent } from "./numbers.js"

const SHARE = {
  teacherLoss: "cross-entropy", show: percent, factor: 100, hover: "%{y:.3g} %", tick: 5, fineTick: 1, bounds: [0, 100], empty: [45, 100],
}
const METRICS = {
  accuracy: {
    ...SHARE,
    name: "accuracy",
    title: "Validation sentences",
    units: { teacher: "% right", student: "% right, and % agreeing" },
    sameAnswer: "the same answer from both",
    finding: (model, score) => `the ${model} is right on ${score} of the held-out sentences`,
    beside: score => `, the teacher on ${score}`,
    agree: score => `; they agree on ${score}`,
  },
  "masked-word accuracy": {
    ...SHARE,
    empty: [0, 60],
    name: "guesses",
    title: "Masked-word accuracy",
    units: { teacher: "% right", student: "% right, and % agreeing" },
    sameAnswer: "the same word from both",
    finding: (model, score) => `the ${model} guesses ${score} of the hidden words`,
    beside: score => `, the teacher ${score}`,
    agree: score => `; they give the same word for ${score}`,
  },
  correlation: {
    teacherLoss: "squared error",
    show: decimals, factor: 1, hover: "%{y:.3f}", tick: 0.05, fineTick: 0.01, bounds: [-1, 1], empty: [0, 1],
    name: "correlation",
    title: "Correlation",
    units: { teacher: "with the true scores", student: "with the true scores, and agreement" },
    sameAnswer: "correlation of both models’ scores",
    finding: (model, score) => `the ${model}’s scores correlate with the true ones at ${score}`,
    beside: score => `, the teacher’s at ${score}`,
    agree: score => `; with each other at ${score}`,
  },
}

/** The metric that a stage's facts name. Runs that name none, or one from elsewhere, are read as shares of right answers. */
export function metricOf(run) {
  const { student, teacher } = run.stages
  const name = student.facts.metric ?? teacher.facts.metric
  return Object.hasOwn(METRICS, name) ? METRICS[name] : METRICS.accuracy
}
