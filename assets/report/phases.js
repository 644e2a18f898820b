// Where the online time goes: one bar per split, in seconds and as fractions.

const PHASES = [
  ["client compute", "var(--client)", (value) => value("client_compute_s_median")],
  ["encrypt", "var(--encrypt)", (value) => value("encrypt_s_median")],
  ["serialise, deserialise", "var(--wire)", (value) => value("serialise_s_median") + value("deserialise_s_median")],
  ["server compute", "var(--server)", (value) => value("server_compute_s_median")],
  ["decrypt", "var(--decrypt)", (value) => value("decrypt_s_median")],
];

const FEW_BARS = 40;
let allPhases = false;

// Phases of a split with their seconds; what no phase accounts for comes last.
function phasesOf(split) {
  const found = PHASES.map(([name, colour, of]) => ({ name, colour, seconds: of(split.value) ?? 0 }));
  const sum = found.reduce((total, phase) => total + phase.seconds, 0);
  found.push({ name: "not attributed", colour: "var(--pale)", seconds: Math.max(0, split.online - sum) });
  return found.filter((phase) => phase.seconds > 0);
}

function drawPhases() {
  const container = byId("chart-phases");
  const listed = shownSplits().filter((split) => split.online > 0);
  const rows = allPhases ? listed : listed.slice(0, FEW_BARS);
  const button = byId("all-phases");
  button.hidden = listed.length <= FEW_BARS;
  button.textContent = allPhases ? `Show the first ${FEW_BARS}` : `Show all ${listed.length}`;
  if (rows.length === 0) {
    return container.replaceChildren(html("p", { class: "note" }, "No finished splits to draw."));
  }
  const longest = Math.max(...rows.map((split) => split.placement.length));
  const [width, line] = [widthOf(container), 21];
  const height = rows.length * line + 52;
  const first = Math.min(longest * 7.4 + 12, width * 0.4);
  const middle = first + (width - first) * 0.62;
  const inSeconds = linearScale(Math.max(...rows.map((split) => split.online)), first, middle - 84);
  const fraction = linearScale(1, middle, width - 18);
  const frame = { top: 0, bottom: height - 44 };
  const spared = width < 560 ? { ticks: [inSeconds.ticks[0], inSeconds.ticks.at(-1)] } : inSeconds;
  const bars = rows.map((split, index) => bar(split, index * line, { inSeconds, fraction, line, most: Math.floor(first / 7.4) }));
  const drawn = svg(
    "svg",
    { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Phases of ${count(rows.length, "split")}` },
    bottomAxis({ ...inSeconds, ...spared }, { ...frame, format: (value) => (value ? tick(seconds(value)) : "0"), title: "linear", middle: (first + middle - 84) / 2 }),
    bottomAxis({ ...fraction, ticks: [0, 0.5, 1] }, { ...frame, format: (value) => `${value * 100} %`, title: "fraction", middle: (middle + width - 18) / 2 }),
    ...bars,
  );
  container.replaceChildren(drawn);
}

function bar(split, top, { inSeconds, fraction, line, most }) {
  const phases = phasesOf(split);
  const sum = phases.reduce((total, phase) => total + phase.seconds, 0);
  const pieces = [];
  let before = 0;
  for (const phase of phases) {
    const after = before + phase.seconds;
    for (const [scale, unit] of [[inSeconds, 1], [fraction, 1 / sum]]) {
      const [x1, x2] = [scale.at(before * unit), scale.at(after * unit)];
      pieces.push(svg("rect", { x: x1, y: top + 4, width: Math.max(0, x2 - x1), height: line - 8, fill: phase.colour }));
    }
    before = after;
  }
  const words = (phase) => `${phase.name} ${seconds(phase.seconds)}, ${percent(phase.seconds / sum)}`;
  const lines = () => [split.placement, ...phases.map(words)];
  const name = split.placement.length > most ? `${split.placement.slice(0, most - 2)}…` : split.placement;
  return svg(
    "g",
    { class: "bar", onclick: () => select(split), ...withTip(lines) },
    svg("rect", { class: "hit", x: 0, y: top, width: "100%", height: line }),
    svg("text", { class: "name", x: 0, y: top + 15 }, name),
    ...pieces,
    svg("text", { class: "figure", x: inSeconds.at(sum) + 6, y: top + 15 }, seconds(split.online)),
  );
}

byId("all-phases").addEventListener("click", () => {
  allPhases = !allPhases;
  drawPhases();
});

drawings.push(() => {
  const marks = [...PHASES, ["not attributed", "var(--pale)"]].map(([name, colour]) => key(swatch(colour), name));
  byId("phases-legend").replaceChildren(...marks);
});
