// The break-even map: which split is best at each bandwidth and round-trip time.

const MAP_COLOURS = ["client", "server", "decrypt", "orange", "wire", "encrypt", "yellow", "pale"];
const [LEAST_BANDWIDTH, MOST_BANDWIDTH] = [1e6, 1e10];
const [LEAST_ROUND_TRIP, MOST_ROUND_TRIP] = [1e-4, 1];
const [MAP_COLUMNS, MAP_ROWS] = [72, 48];
const cursor = { column: 36, row: 24 };

const steps = (least, most, count) => Array.from({ length: count }, (_, at) => least * (most / least) ** ((at + 0.5) / count));
const bandwidths = steps(LEAST_BANDWIDTH, MOST_BANDWIDTH, MAP_COLUMNS);
const roundTrips = steps(LEAST_ROUND_TRIP, MOST_ROUND_TRIP, MAP_ROWS);

// The best split of every cell, row by row from the shortest round trip.
function bestCells(candidates, conditions) {
  const terms = candidates.map((split) => ({
    split,
    fixed: modelled(split, null, conditions).total,
    bits: 8 * (split.up + split.down + split.keys / conditions.inferences),
    rounds: split.rounds + (split.keys > 0 ? 1 / conditions.inferences : 0),
  }));
  const time = ({ fixed, bits, rounds }, bits_per_s, round_trip) => fixed + bits / bits_per_s + rounds * round_trip;
  return roundTrips.map((round_trip) =>
    bandwidths.map((bits_per_s) => {
      let [best, least] = [null, Infinity];
      for (const term of terms) {
        const found = time(term, bits_per_s, round_trip);
        if (found < least) [best, least] = [term.split, found];
      }
      return { split: best, seconds: least };
    }),
  );
}

function drawMap() {
  const container = byId("map");
  const [conditions, own] = [yourConditions(), yourNetwork()];
  const candidates = allowed(usable(), conditions);
  // Of equals the first one wins a cell.
  candidates.sort((a, b) => byFigures(tieBreakers(a, conditions), tieBreakers(b, conditions)));
  byId("map-words").textContent = "";
  if (candidates.length === 0) {
    byId("map-legend").replaceChildren();
    return container.replaceChildren(html("p", { class: "note" }, "No split meets these conditions."));
  }
  const cells = bestCells(candidates, conditions);
  const areas = new Map();
  cells.flat().forEach(({ split }) => areas.set(split, (areas.get(split) ?? 0) + 1));
  const ranked = [...areas.keys()].sort((a, b) => areas.get(b) - areas.get(a));
  const colour = (split) => `color-mix(in srgb, var(--${MAP_COLOURS[ranked.indexOf(split) % MAP_COLOURS.length]}) 42%, var(--paper))`;
  const width = Math.min(widthOf(container), 900);
  const height = Math.round(Math.max(300, Math.min(460, width * 0.55)));
  const [left, right, top, bottom] = [62, width - 18, 24, height - 46];
  const x = logScale(LEAST_BANDWIDTH, MOST_BANDWIDTH, left, right);
  const y = logScale(LEAST_ROUND_TRIP, MOST_ROUND_TRIP, bottom, top);
  x.ticks = [1e6, 1e7, 1e8, 1e9, 1e10];
  y.ticks = [1e-4, 1e-3, 1e-2, 1e-1, 1];
  const size = [(right - left) / MAP_COLUMNS, (bottom - top) / MAP_ROWS];
  const corner = (column, row) => [left + column * size[0], bottom - row * size[1]];
  const mark = svg("rect", { class: "cursor", width: size[0] + 2, height: size[1] + 2, visibility: "hidden" });
  const drawn = svg(
    "svg",
    {
      width,
      height,
      viewBox: `0 0 ${width} ${height}`,
      role: "application",
      tabindex: 0,
      "aria-label": `Map of the best split by bandwidth and round trip: ${names(ranked)}. Arrow keys move over it.`,
      "aria-describedby": "map-words",
    },
    svg("g", {}, ...runs(cells).map((run) => region(run, corner, size, colour))),
    bottomAxis(x, { top, bottom, format: bandwidth, title: "bandwidth up and down, logarithmic", middle: (left + right) / 2 }),
    leftAxis(y, { left, right, format: (value) => tick(seconds(value)) }),
    svg("text", { class: "tick", x: 0, y: 12 }, "round trip, logarithmic"),
    svg("path", { class: "region-border", d: borders(cells, corner) }),
    ...regionNames(cells, ranked, corner, size),
    ...networkMarks(own, x, y),
    mark,
  );
  listen(drawn, cells, { left, top, right, bottom, width, corner, size, mark });
  container.replaceChildren(drawn);
  const legend = ranked.map((split) => key(swatch(colour(split)), splitLink(split)));
  const everywhere = html("span", {}, splitLink(ranked[0]), " is best everywhere on this map.");
  byId("map-legend").replaceChildren(...(ranked.length === 1 ? [everywhere] : ["best: ", ...legend]));
}

// Cells of one split side by side are one rectangle.
function runs(cells) {
  return cells.flatMap((line, row) => {
    const found = [];
    line.forEach(({ split }, column) => {
      const last = found.at(-1);
      if (last?.split === split) last.length += 1;
      else found.push({ split, row, column, length: 1 });
    });
    return found;
  });
}

function region({ split, row, column, length }, corner, size, colour) {
  const [x, y] = corner(column, row + 1);
  // A little taller than its row, so that no seam shows.
  return svg("rect", { x, y, width: length * size[0] + 0.4, height: size[1] + 0.4, fill: colour(split) });
}

function borders(cells, corner) {
  let path = "";
  cells.forEach((line, row) =>
    line.forEach(({ split }, column) => {
      const [x1, y1] = corner(column + 1, row);
      const [x2, y2] = corner(column + 1, row + 1);
      if (column + 1 < MAP_COLUMNS && line[column + 1].split !== split) path += `M${x1},${y1}V${y2}`;
      const [x3] = corner(column, row + 1);
      if (row + 1 < MAP_ROWS && cells[row + 1][column].split !== split) path += `M${x3},${y2}H${x2}`;
    }),
  );
  return path;
}

// Each name in the middle of its region, where that is large enough.
function regionNames(cells, ranked, corner, size) {
  const all = runs(cells);
  return ranked.flatMap((split) => {
    const needed = split.placement.length * 7.6 + 8;
    const wide = all.filter((run) => run.split === split && run.length * size[0] >= needed);
    if (wide.length * size[1] < 20) return [];
    const run = wide[Math.floor(wide.length / 2)];
    const [x, y] = corner(run.column + run.length / 2, run.row + 0.5);
    return [svg("text", { class: "name halo", x, y: y + 4, "text-anchor": "middle" }, split.placement)];
  });
}

// The profiles, and the reader's own network; one with unequal bandwidths spans both.
function networkMarks(own, x, y) {
  const isProfile = figures.networks.some((network) => network.name === own.name);
  const inside = (value, [least, most]) => Math.min(Math.max(value, least), most);
  return [...figures.networks, ...(isProfile ? [] : [own])].map((network) => {
    const [x1, x2] = [network.up, network.down].map((bits) => x.at(inside(bits, [LEAST_BANDWIDTH, MOST_BANDWIDTH])));
    const cy = y.at(inside(network.round_trip, [LEAST_ROUND_TRIP, MOST_ROUND_TRIP]));
    return svg(
      "g",
      { class: network.name === own.name ? "network-mark own" : "network-mark" },
      svg("line", { x1, x2, y1: cy, y2: cy }),
      svg("circle", { cx: x1, cy, r: 4 }),
      x1 === x2 ? null : svg("circle", { cx: x2, cy, r: 4 }),
      svg("text", { class: "halo", x: (x1 + x2) / 2, y: cy - 9, "text-anchor": "middle" }, network.name),
    );
  });
}

function listen(drawn, cells, { left, top, right, bottom, width, corner, size, mark }) {
  const lines = (column, row) => {
    const { split, seconds: least } = cells[row][column];
    const place = `${bandwidth(bandwidths[column])}, ${seconds(roundTrips[row])}`;
    return [split.placement, `${seconds(least)} at ${place}, modelled`, ...describe(split).slice(1)];
  };
  drawn.addEventListener("pointermove", (event) => {
    const frame = drawn.getBoundingClientRect();
    const scale = width / frame.width;
    const [px, py] = [(event.clientX - frame.left) * scale, (event.clientY - frame.top) * scale];
    if (px < left || px >= right || py <= top || py > bottom) return hideTip();
    showTip(event, lines(Math.floor((px - left) / size[0]), Math.floor((bottom - py) / size[1])));
  });
  drawn.addEventListener("pointerleave", hideTip);
  drawn.addEventListener("blur", () => mark.setAttribute("visibility", "hidden"));
  drawn.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!move) return;
    event.preventDefault();
    cursor.column = Math.min(Math.max(cursor.column + move[0], 0), MAP_COLUMNS - 1);
    cursor.row = Math.min(Math.max(cursor.row + move[1], 0), MAP_ROWS - 1);
    const [x, y] = corner(cursor.column, cursor.row + 1);
    mark.setAttribute("x", x - 1);
    mark.setAttribute("y", y - 1);
    mark.setAttribute("visibility", "visible");
    byId("map-words").textContent = lines(cursor.column, cursor.row).join(" · ");
  });
}
