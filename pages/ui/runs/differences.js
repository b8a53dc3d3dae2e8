// The settings in which runs differ: a row for each, a column for each run. Foreign text only becomes textContent.

export default function ({ data, parentElement }) {
  const letters = data.letters.map(([letter, colour]) => {
    const head = make("th", { role: "columnheader", scope: "col" }, letter)
    head.style.borderBottomColor = colour
    return head
  })
  const titles = make("tr", { role: "row" }, make("th", { role: "columnheader", scope: "col" }, "Setting"), ...letters)
  const rows = data.rows.map(([part, title, values]) => {
    const head = make("th", { role: "rowheader", scope: "row" }, make("small", {}, part), title)
    const cells = values.map((value, place) => make("td", { role: "cell", "data-letter": data.letters[place][0] }, value))
    return make("tr", { role: "row" }, head, ...cells)
  })
  const table = make("table", { role: "table", "aria-label": "Settings that differ" },
    make("thead", { role: "rowgroup" }, titles), make("tbody", { role: "rowgroup" }, ...rows))
  parentElement.querySelector(".differences").replaceChildren(table)
}

function make(tag, attributes, ...children) {
  const node = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value)
  node.append(...children)
  return node
}
