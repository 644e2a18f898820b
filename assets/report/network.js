// One split: the network as layers from top to bottom, the client's at the left, the server's at
// the right, with what crosses between them.

const LAYER_HEIGHT = 46;

const layerAt = (index) => figures.layers[index] ?? { name: `layer ${index + 1}`, op: "" };

function facts(split) {
  const found = [
    ["status", split.value("reason") ? `${split.status}: ${split.value("reason")}` : statusWords(split)],
    ["online time", onlineWords(split)],
    ["client memory", bytes(split.memory)],
    ["server memory", bytes(split.value("server_peak_rss_bytes"))],
    ["up, down", `${bytes(split.up)}, ${bytes(split.down)}`],
    ["keys, once", bytes(split.value("evaluation_key_bytes"))],
    ["exposure", exposed(split)],
    ...exposureFacts(split),
    ...(figures.copies ? [["copies agree in", split.copies === null ? UNKNOWN : copyWords(split)]] : []),
    ["accuracy, simulated", percent(split.accuracy)],
    ["failure per inference", logarithm(split.value("log2_p_fail"))],
    ["· which is", plain(split.value("log2_p_fail_is"))],
    ["· values out of range", outOfRange(split)],
    ["· misread, at most", logarithm(split.value("log2_misread_high"))],
    ["parameters", plain(split.value("parameter_set"))],
  ];
  found.push(["dominated by", dominatedBy(split, "not compared", "no other split")]);
  return html("dl", { class: "facts" }, ...found.flatMap(([name, words]) => [html("dt", {}, name), html("dd", {}, words)]));
}

// Values that simulated inferences read out of range, of how many.
function outOfRange(split) {
  const [count, reads] = [split.value("out_of_range_count"), split.value("simulated_reads")];
  return count === null ? UNKNOWN : `${count} of ${reads} simulated`;
}

// What the exposure is made of, and what solving the server's layers takes.
function exposureFacts(split) {
  const [handed, all] = [split.value("client_weight_share"), split.value("exposed_weight_share")];
  const recovered = handed === null || all === null ? "unknown: an attack was stopped, or none was mounted" : percent(all - handed);
  const queries = split.value("malicious_queries");
  const isEnough = split.value("malicious_queries_are") === "enough";
  return [
    ["· handed over", percent(handed)],
    ["· recovered by attacks", recovered],
    ["· queries to solve the rest", queries === null ? UNKNOWN : isEnough ? `${queries} are enough` : `at least ${queries}`],
  ];
}

function drawNetwork() {
  const container = byId("network-view");
  const split = chosen.split;
  if (!split) return container.replaceChildren();
  const picture = html("div", { class: "picture" });
  container.replaceChildren(picture, facts(split));
  picture.append(networkPicture(split, Math.min(widthOf(picture), 620)));
}

// Stations: the image, the layers, the logits; the ends are at the client.
function stations(split) {
  const times = new Map(figures.layer_times[split.index]);
  const layers = [...split.placement].map((letter, index) => ({ ...layerAt(index), letter, seconds: times.get(index) ?? null }));
  return [{ name: "image", end: true, letter: "C" }, ...layers, { name: "logits", end: true, letter: "C" }];
}

function networkPicture(split, width) {
  const all = stations(split);
  let y = 34;
  all.forEach((station, at) => {
    const crosses = at > 0 && all[at - 1].letter !== station.letter;
    y += at === 0 ? 0 : crosses ? 44 : 16;
    Object.assign(station, { y, height: station.end ? 26 : LAYER_HEIGHT, x: station.letter === "S" ? width * 0.75 : width * 0.25 });
    y += station.height;
  });
  const boxWidth = width * 0.44;
  const lines = all.slice(1).map((station, at) => connection(all[at], station, width));
  const boxes = all.map((station) => box(station, boxWidth));
  const places = all.slice(1, -1).map(({ name, letter }) => `${name} on the ${letter === "S" ? "server" : "client"}`);
  return svg(
    "svg",
    { width, height: y + 8, viewBox: `0 0 ${width} ${y + 8}`, role: "img", "aria-label": `${split.placement}: ${places.join(", ")}` },
    svg("defs", {}, arrowHead()),
    svg("text", { class: "lane", x: width * 0.25, y: 16, "text-anchor": "middle" }, "Client, in the clear"),
    svg("text", { class: "lane", x: width * 0.75, y: 16, "text-anchor": "middle" }, "Server, encrypted"),
    svg("line", { class: "border", x1: width / 2, x2: width / 2, y1: 6, y2: y + 4 }),
    ...lines,
    ...skips(all, width),
    ...boxes,
  );
}

function arrowHead() {
  const size = { markerWidth: 9, markerHeight: 9, markerUnits: "userSpaceOnUse" };
  const head = svg("path", { class: "arrow", d: "M0,0L8,4L0,8z" });
  return svg("marker", { id: "arrow", viewBox: "0 0 8 8", refX: 7, refY: 4, ...size, orient: "auto" }, head);
}

function connection(from, to, width) {
  const [start, end] = [from.y + from.height, to.y];
  if (from.letter === to.letter) {
    return svg("path", { class: "flow", d: `M${from.x},${start}V${end - 1}`, "marker-end": "url(#arrow)" });
  }
  const half = (start + end) / 2;
  const words = to.letter === "S" ? "encrypted upload →" : "← encrypted download";
  return svg(
    "g",
    {},
    svg("path", { class: "flow crossing", d: `M${from.x},${start}V${half + 6}H${to.x}V${end - 1}`, "marker-end": "url(#arrow)" }),
    svg("text", { class: "crossing-words", x: width / 2, y: half + 1, "text-anchor": "middle" }, words),
  );
}

// What a layer reads besides the layer before it.
function skips(all, width) {
  const found = [];
  all.forEach((station, at) => {
    // The image, which no layer makes, is the first station.
    for (const source of (station.reads ?? []).map((index) => (index ?? -1) + 1)) {
      if (source === at - 1) continue;
      const from = all[source];
      const stays = from.letter === station.letter;
      const side = station.letter === "S" ? 1 : -1;
      const edge = (end) => end.x + (end.letter === "S" ? 1 : -1) * width * 0.22;
      const [y1, y2] = [from.y + from.height / 2, station.y + station.height / 2];
      const bend = stays ? edge(station) + side * width * 0.03 : width / 2;
      const d = `M${stays ? edge(from) : from.x},${y1}C${bend},${y1} ${bend},${y2} ${edge(station)},${y2}`;
      found.push(svg("path", { class: stays ? "skip-line" : "skip-line crossing", d, "marker-end": "url(#arrow)" }));
    }
  });
  return found;
}

function box(station, width) {
  const cut = (words, letterWidth) => {
    const room = Math.floor((width - 36) / letterWidth);
    return words.length > room ? `${words.slice(0, room - 1)}…` : words;
  };
  const rect = (inset, more) =>
    svg("rect", { x: station.x - width / 2 + inset, y: station.y + inset, width: width - 2 * inset, height: station.height - 2 * inset, ...more });
  const frame = rect(0, { rx: station.end ? 13 : 4 });
  if (station.end) {
    const words = svg("text", { x: station.x, y: station.y + 18, "text-anchor": "middle" }, station.name);
    return svg("g", { class: "station end" }, frame, words);
  }
  const lookUps = station.letter === "S" && station.bootstraps ? count(station.bootstraps, "look-up") : null;
  const weights = station.parameters ? count(station.parameters, "weight") : null;
  const details = [station.op, station.seconds === null ? null : seconds(station.seconds), lookUps, weights];
  const left = station.x - width / 2 + 10;
  return svg(
    "g",
    { class: `station ${station.letter === "S" ? "server" : "client"}` },
    svg("title", {}, [station.name, ...details].filter(Boolean).join(", ")),
    frame,
    station.op === "block" ? rect(3, { class: "inner", rx: 2 }) : null,
    svg("text", { class: "layer-name", x: left, y: station.y + 19 }, cut(station.name, 8.8)),
    svg("text", { class: "layer-details", x: left, y: station.y + 36 }, cut(details.filter(Boolean).join(" · "), 6.2)),
    svg("text", { class: "letter", x: station.x + width / 2 - 10, y: station.y + 19, "text-anchor": "end" }, station.letter),
  );
}

function listSplits() {
  const options = ofHost().map((split) => html("option", { value: split.index, selected: split === chosen.split }, split.placement));
  byId("selected").replaceChildren(...options);
}

byId("selected").addEventListener("change", (event) => select(splits[Number(event.target.value)]));
drawings.push(listSplits);
selections.push(drawNetwork, () => (byId("selected").value = String(chosen.split?.index)));
