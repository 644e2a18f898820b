// All splits: sorted, filtered, with the columns that are wanted.

const DEFAULT_COLUMNS = [
  "placement", "exposure", "copy_agreement", "status", "online_s_median", "client_peak_rss_bytes", "server_peak_rss_bytes", "upload_bytes",
  "download_bytes", "evaluation_key_bytes", "rounds", "bootstrap_count", "simulated_accuracy", "log2_p_fail",
  "out_of_range_count", "dominated_by", "reason",
];
const FEW_ROWS = 100;

const DOMINATED_BY = {
  name: "dominated_by",
  title: "dominated by",
  kind: "text",
  note: `A split that is no worse in ${figures.objectives.join(", ")} and better in one of them.`,
};
// What is given away stands beside the split, in sight on a narrow screen too.
const isFirst = (column) => ["placement", "exposure", "copy_agreement"].includes(column.name);
const ordered = [...figures.columns].sort((a, b) => isFirst(b) - isFirst(a));
const allColumns = [...ordered, DOMINATED_BY];
const isEmpty = (name) => name !== "dominated_by" && splits.every((split) => split.value(name) === null);
const shown = new Set(DEFAULT_COLUMNS.filter((name) => !isEmpty(name)));
const order = { name: "online_s_median", direction: 1 };
let allRows = false;

// What is typed as a percentage is exactly what is written so, which a product is not.
const typed = (id, exact) => (Number.isFinite(byId(id).valueAsNumber) ? exact(byId(id).valueAsNumber) : null);
const hundredths = (value) => {
  const exact = Number(`${value}e-2`);
  return Number.isFinite(exact) ? exact : value / 100;
};
const milliseconds = (value) => value / 1e3;
const mebibytes = (value) => value * 2 ** 20;

function wantedPlacement() {
  const words = byId("filter-placement").value.trim();
  const letter = (each) => (each === "?" ? "." : each.replace(/[^A-Za-z0-9]/g, "\\$&"));
  // Layers that are pinned to the client have a small letter, which need not be typed as such.
  const pattern = new RegExp([...words].map(letter).join(""), "i");
  return (split) => pattern.test(split.placement);
}

// The splits of the table in its order.
function shownSplits() {
  const [status, fits] = [byId("filter-status").value, wantedPlacement()];
  const online = typed("filter-online", milliseconds);
  const memory = typed("filter-memory", mebibytes);
  const exposure = typed("filter-exposure", hundredths);
  const hidesDominated = byId("hide-dominated").checked;
  const found = ofHost().filter(
    (split) =>
      fits(split) &&
      (status === "" || split.status === status) &&
      within(split.online, online) &&
      within(split.memory, memory) &&
      within(split.exposure, exposure) &&
      !(hidesDominated && !(split.dominatedBy !== null && split.dominatedBy < 0)),
  );
  return found.sort(compare);
}

function sortValue(split) {
  if (order.name !== "dominated_by") return split.value(order.name);
  return split.dominatedBy === null ? null : (splits[split.dominatedBy]?.placement ?? "");
}

// The unknown comes last either way; equals keep the order of the results folder.
function compare(left, right) {
  const [a, b] = [sortValue(left), sortValue(right)];
  if (a === null || b === null) return (a === null) - (b === null) || left.index - right.index;
  const difference = typeof a === "number" && typeof b === "number" ? a - b : String(a) < String(b) ? -1 : Number(String(a) > String(b));
  return order.direction * difference || left.index - right.index;
}

// What dominates a split, or one of the words for that it is not compared or not dominated.
function dominatedBy(split, notCompared, notDominated) {
  if (split.dominatedBy === null) return notCompared;
  if (split.dominatedBy === FOR_COMPARISON) return "for comparison";
  return split.dominatedBy === NOT_DOMINATED ? notDominated : splitLink(splits[split.dominatedBy]);
}

function cell(split, column) {
  if (column.name === "placement") return html("th", { scope: "row" }, splitLink(split));
  if (column.name === "dominated_by") {
    return html("td", { class: "word" }, dominatedBy(split, UNKNOWN, html("b", {}, "not dominated")));
  }
  const isStatus = column.name === "status";
  const isBad = isStatus && split.status !== "ok";
  const words = isStatus ? statusWords(split) : column.name === "exposure" ? exposureWords(split) : FORMATS[column.kind](split.value(column.name));
  return html("td", { class: isBad ? "bad" : column.kind === "text" ? null : "number" }, words);
}

const statusWords = (split) => (split.value("noisy") === true ? `${split.status}, noisy` : split.status);

function sortBy(name) {
  order.direction = order.name === name ? -order.direction : 1;
  order.name = name;
  drawTable();
  drawPhases();
  document.querySelector(`#rows th[data-column="${CSS.escape(name)}"] button`)?.focus();
}

function headCell(column) {
  const isOrder = column.name === order.name;
  const arrow = !isOrder ? "" : order.direction === 1 ? " ▲" : " ▼";
  const direction = order.direction === 1 ? "ascending" : "descending";
  const mark = html("span", { "aria-hidden": "true" }, arrow);
  return html(
    "th",
    { scope: "col", class: column.kind === "text" ? null : "number", "data-column": column.name, "aria-sort": isOrder && direction },
    html("button", { type: "button", title: column.note, onclick: () => sortBy(column.name) }, column.title, mark),
  );
}

function drawTable() {
  const found = shownSplits();
  const columns = allColumns.filter((column) => shown.has(column.name));
  const rows = (allRows ? found : found.slice(0, FEW_ROWS)).map((split) =>
    html("tr", { class: split.dominatedBy === NOT_DOMINATED ? "undominated" : null }, ...columns.map((column) => cell(split, column))),
  );
  const table = html("table", {}, html("thead", {}, html("tr", {}, ...columns.map(headCell))), html("tbody", {}, ...rows));
  byId("rows").replaceChildren(table);
  const total = ofHost().length;
  byId("shown").textContent = found.length === total ? `${count(total, "split")}.` : `${found.length} of ${count(total, "split")}.`;
  const button = byId("all-rows");
  button.hidden = found.length <= FEW_ROWS;
  button.textContent = allRows ? `Show the first ${FEW_ROWS}` : `Show all ${found.length}`;
}

function chooseColumns() {
  const boxes = allColumns.filter((column) => column.name !== "placement").map((column) => {
    const change = (event) => {
      shown[event.target.checked ? "add" : "delete"](column.name);
      drawTable();
    };
    const box = html("input", { type: "checkbox", checked: shown.has(column.name), onchange: change });
    return html("label", { title: column.note }, box, column.title);
  });
  byId("columns").append(...boxes);
  const notes = figures.columns.map((column) => [html("dt", {}, html("code", {}, column.name)), html("dd", {}, column.note)]);
  byId("column-notes").append(...notes.flat());
}

function drawFiltered() {
  drawTable();
  drawPhases();
}

const statuses = [...new Set(splits.map((split) => split.status))].sort();
byId("filter-status").append(html("option", { value: "" }, "any"), ...statuses.map((word) => html("option", {}, word)));
byId("filters").addEventListener("input", drawFiltered);
byId("filters").addEventListener("submit", (event) => event.preventDefault());
// The fields are empty only after the event.
byId("filters").addEventListener("reset", () => setTimeout(drawFiltered));
byId("all-rows").addEventListener("click", () => {
  allRows = !allRows;
  drawTable();
});
chooseColumns();
drawings.push(drawTable, drawPhases);
selections.push(() => {
  for (const node of document.querySelectorAll("a[data-split]")) {
    const isChosen = Number(node.dataset.split) === chosen.split?.index;
    if (isChosen) node.setAttribute("aria-current", "true");
    else node.removeAttribute("aria-current");
  }
});
