// Online time against one more figure: every split a dot, the front larger, ringed and named.

const SCATTERS = [
  { id: "chart-memory", of: (split) => split.memory, format: bytes, base: 2, words: "client memory" },
  { id: "chart-bytes", of: (split) => split.bytes, format: bytes, isLog: true, words: "bytes up and down" },
  { id: "chart-exposure", of: (split) => split.exposure, format: percent, most: 1, words: "exposure" },
];

const layerCount = figures.layers.length;

// From the client's blue over yellow to the server's red, so that neighbours differ in lightness.
function serverColour(layers) {
  const fraction = layers / Math.max(1, layerCount);
  const [from, to, part] = fraction < 0.5 ? ["client", "yellow", 2 * fraction] : ["yellow", "server", 2 * fraction - 1];
  return `color-mix(in srgb, var(--${to}) ${Math.round(100 * part)}%, var(--${from}))`;
}

function drawScatter({ id, of, format, isLog, base, most, words }) {
  const container = byId(id);
  const points = usable().filter((split) => of(split) !== null && split.online > 0);
  const missing = usable().length - points.length;
  if (points.length === 0) {
    return container.replaceChildren(html("p", { class: "note" }, "No finished splits with these figures."));
  }
  const [width, height] = [widthOf(container), 340];
  const [left, right, top, bottom] = [64, width - 16, 26, height - 46];
  const times = points.map((split) => split.online);
  const x = logScale(Math.min(...times) / 1.5, Math.max(...times) * 1.5, left, right);
  const y = verticalScale(points.map(of), { isLog, base, most, top, bottom });
  const place = (split) => [x.at(split.online), y.at(of(split))];
  const isOnFront = (split) => split.dominatedBy === NOT_DOMINATED;
  const front = points.filter(isOnFront).sort((a, b) => a.online - b.online);
  const dots = points.map((split) => dot(split, place(split), isOnFront(split)));
  const title = `Online time against ${words} of ${count(points.length, "split")}; on the front: ${names(front)}`;
  const drawn = svg(
    "svg",
    { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title },
    leftAxis(y, { left, right, format: (value) => (value === 0 ? "0" : tick(format(value))) }),
    bottomAxis(x, { top, bottom, format: (value) => tick(seconds(value)), title: "online time, logarithmic", middle: (left + right) / 2 }),
    svg("text", { class: "tick", x: 0, y: 12 }, isLog ? `${words}, logarithmic` : words),
    svg("g", {}, ...dots.sort((a, b) => a.isFront - b.isFront).map((each) => each.node)),
    svg("g", {}, ...labels(front, place, points, { left, right, top, bottom })),
  );
  const note = missing === 0 ? "" : `${count(missing, "split")} without ${id === "chart-exposure" ? "known " : ""}figures ${missing === 1 ? "is" : "are"} not drawn.`;
  container.replaceChildren(drawn, html("p", { class: "note" }, note));
}

function verticalScale(values, { isLog, base, most, top, bottom }) {
  if (!isLog) return linearScale(most ?? Math.max(...values), bottom, top, base);
  const positive = values.filter((value) => value > 0);
  if (positive.length === 0) return linearScale(1, bottom, top);
  const hasZero = positive.length < values.length;
  const scale = logScale(Math.min(...positive) / 1.6, Math.max(...positive) * 1.6, hasZero ? bottom - 22 : bottom, top, 1024);
  // Nothing at all has a place of its own below the others.
  const at = (value) => (value > 0 ? scale.at(value) : bottom);
  return { at, ticks: hasZero ? [0, ...scale.ticks] : scale.ticks };
}

function dot(split, [cx, cy], isFront) {
  const node = svg("circle", {
    class: isFront ? "dot on-front" : "dot",
    cx,
    cy,
    r: isFront ? 6.5 : 4.5,
    fill: serverColour(split.serverLayers),
    "data-split": split.index,
    onclick: () => select(split),
    ...withTip(() => describe(split)),
  });
  return { node, isFront };
}

// Names of the front and of the split without a server, each where it hides no other name.
function labels(front, place, points, { left, right, top, bottom }) {
  const withoutServer = points.filter((split) => split.serverLayers === 0);
  const taken = points.map(place).map(([x, y]) => [x - 5, y - 5, x + 5, y + 5]);
  const found = [];
  // The ends of the front come first.
  for (const split of new Set([...withoutServer, front[0], front.at(-1), ...front].filter(Boolean))) {
    const [x, y] = place(split);
    const width = split.placement.length * 7.3 + 4;
    const [above, level, below] = [y - 24, y - 8, y + 9];
    const centred = x - width / 2;
    const starts = [[centred, above], [centred, below], [x + 10, level], [x - width - 10, level], [x - width - 10, y - 5], [x + 6, above], [x - width - 6, above]];
    const box = starts
      .map(([start, top]) => [start, top, start + width, top + 15])
      .find(
        ([x1, y1, x2, y2]) =>
          x1 >= left - 4 && x2 <= right + 12 && y1 >= top - 22 && y2 <= bottom + 10 &&
          taken.every(([a, b, c, d]) => x2 < a || c < x1 || y2 < b || d < y1),
      );
    if (!box) continue;
    taken.push(box);
    found.push(svg("text", { class: "name halo", x: box[0] + 2, y: box[3] - 3 }, split.placement));
  }
  return found;
}

function scatterLegend() {
  const most = [...new Set([0, 1, 2, 3, 4, 5].map((fifth) => Math.round((layerCount * fifth) / 5)))];
  const marks = most.map((layers) => key(swatch(serverColour(layers)), String(layers)));
  const ring = html("i", { class: "swatch ring" });
  const chosenRing = html("i", { class: "swatch ring chosen" });
  marks.push(key(ring, "the front: not dominated"), key(chosenRing, "the split chosen"));
  byId("scatter-legend").replaceChildren("layers on the server: ", ...marks);
}

drawings.push(() => SCATTERS.forEach(drawScatter), scatterLegend);
selections.push(() => {
  for (const node of document.querySelectorAll("circle[data-split]")) {
    node.classList.toggle("chosen", Number(node.dataset.split) === chosen.split?.index);
  }
});
