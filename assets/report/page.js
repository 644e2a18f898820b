// The figures, what is chosen, and how elements are made. Text from files becomes text nodes and
// attributes only, never markup.

const byId = (id) => document.getElementById(id);

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value);
  }
  // One by one: tens of thousands are more than a call takes.
  for (const child of children.flat()) if (child !== null && child !== undefined) node.append(child);
  return node;
}

const html = (name, attributes = {}, ...children) =>
  fill(document.createElement(name), attributes, children);

const svg = (name, attributes = {}, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);

const figures = JSON.parse(byId("figures").textContent);
const splits = readSplits(figures);

const chosen = { host: figures.hosts.length > 1 ? figures.hosts[0] : null, split: null };
const ofHost = () => splits.filter((split) => chosen.host === null || split.host === chosen.host);
const usable = () => ofHost().filter((split) => split.isOk);

// What draws itself again when the host, the width or the chosen split changes.
const drawings = [];
const selections = [];
const drawAll = () => [...drawings, ...selections].forEach((draw) => draw());

function select(split) {
  chosen.split = split;
  selections.forEach((show) => show());
}

// The letters of a placement, the server's set off by more than colour.
function letters(placement) {
  const runs = placement.match(/S+|[^S]+/g) ?? [];
  const marked = runs.map((run) => html("span", { class: run[0] === "S" ? "s" : "c" }, run));
  return html("span", { class: "placement" }, ...marked);
}

// A link that chooses a split; the browser's way back leads to where it was followed.
function splitLink(split) {
  const isChosen = split === chosen.split;
  return html(
    "a",
    { href: "#split", "data-split": split.index, "aria-current": isChosen ? "true" : null, onclick: () => select(split) },
    letters(split.placement),
  );
}

const names = (list) => list.map((split) => split.placement).join(", ");

// The median time, with its range where there is one.
function onlineWords(split) {
  const n = split.value("online_s_n");
  if (!(n > 1)) return seconds(split.online);
  const range = ["online_s_min", "online_s_max"].map((name) => seconds(split.value(name))).join(" to ");
  return `${seconds(split.online)} (${range}, least and most of n${NBSP}=${NBSP}${n})`;
}

function describe(split) {
  return [
    split.placement,
    `${seconds(split.online)} online`,
    `client ${bytes(split.memory)}`,
    `${bytes(split.up)} up, ${bytes(split.down)} down, ${count(split.rounds, "round")}`,
    `exposure ${exposureWords(split)}`,
    split.copies === null ? null : `copies agree in ${copyWords(split)}`,
  ].filter(Boolean);
}

const tooltip = byId("tooltip");

function showTip(event, lines) {
  tooltip.replaceChildren(...lines.map((line, at) => html(at === 0 ? "b" : "div", {}, line)));
  tooltip.hidden = false;
  const { width, height } = tooltip.getBoundingClientRect();
  const left = Math.min(event.clientX + 14, document.documentElement.clientWidth - width - 8);
  const above = event.clientY - height - 14;
  tooltip.style.left = `${Math.max(8, left)}px`;
  tooltip.style.top = `${above > 8 ? above : event.clientY + 18}px`;
}

const hideTip = () => (tooltip.hidden = true);
addEventListener("scroll", hideTip, { passive: true });
addEventListener("keydown", (event) => event.key === "Escape" && hideTip());

const withTip = (lines) => ({ onpointermove: (event) => showTip(event, lines()), onpointerleave: hideTip });

const widthOf = (container) => Math.max(280, Math.floor(container.clientWidth));

const key = (mark, words) => html("span", { class: "key" }, mark, words);

const swatch = (colour) => html("i", { class: "swatch", style: `background:${colour}` });

// A table from column titles and rows of cells.
function simpleTable(titles, rows) {
  const head = html("tr", {}, ...titles.map((title) => html("th", { scope: "col" }, title)));
  const body = rows.map(([first, ...rest]) =>
    html("tr", {}, html("th", { scope: "row" }, first), ...rest.map((cell) => html("td", {}, cell))),
  );
  return html("table", {}, html("thead", {}, head), html("tbody", {}, ...body));
}

const redraw = () => {
  clearTimeout(redraw.timer);
  redraw.timer = setTimeout(drawAll, 120);
};
let lastWidth = innerWidth;
addEventListener("resize", () => {
  if (innerWidth !== lastWidth) redraw();
  lastWidth = innerWidth;
});

// Nothing that is folded up is lost on paper.
let opened = [];
addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("details:not([open]):not(.screen)")];
  opened.forEach((details) => (details.open = true));
});
addEventListener("afterprint", () => opened.forEach((details) => (details.open = false)));
