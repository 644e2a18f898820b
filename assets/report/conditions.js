// Which split is best under conditions that a reader sets: all times here are modelled.

const BEST = 5;
const RANKING_TITLES = [
  "split", "modelled time", "of it network", "measured online", "client memory", "up", "down", "rounds", "exposure", "accuracy",
];
// The most that a split may expose; null where that does not matter.
const EXPOSURE_STEPS = [null, 0.75, 0.5, 0.25, 0.1, 0];

const number = (id, otherwise) => {
  const value = byId(id).valueAsNumber;
  return Number.isFinite(value) && value > 0 ? value : otherwise;
};

function yourNetwork() {
  const profile = figures.networks.find((network) => network.name === byId("network").value);
  return {
    name: profile?.name ?? "your network",
    up: number("up", 100) * 1e6,
    down: number("down", 100) * 1e6,
    round_trip: number("round-trip", 0) / 1e3,
  };
}

function yourConditions() {
  return {
    factor: number("client-factor", 1),
    inferences: number("inferences", 1),
    memory: limit("most-memory", 1e9),
    exposure: limit("most-exposure", 1e-2),
    accuracy: limit("least-accuracy", 1e-2),
    withAllClient: byId("with-all-client").checked,
  };
}

// Seconds that the network adds to one inference, its part of the key transfer included.
function transfer(split, network, { inferences }) {
  const up = split.up + split.keys / inferences;
  return (8 * up) / network.up + (8 * split.down) / network.down + split.rounds * network.round_trip;
}

// Seconds of one inference without the network: the client's part takes `factor` times as long.
function computing(split, { factor }) {
  const parts = ["client_compute_s_median", "encrypt_s_median", "serialise_s_median", "deserialise_s_median", "decrypt_s_median"];
  const client = parts.reduce((sum, name) => sum + (split.value(name) ?? 0), 0);
  return split.online + (factor - 1) * client;
}

const modelled = (split, network, conditions) => computing(split, conditions) + transfer(split, network, conditions);

// Why a split is out of the question; null where it is not.
function objection(split, { memory, exposure, accuracy, withAllClient }) {
  if (split.bytes === null) return "without known bytes";
  if (!withAllClient && split.serverLayers === 0) return "without a server";
  // A rounded percentage that a person types is to let the split through that shows it.
  if (!within(split.exposure, exposure === null ? null : exposure + 5e-4)) return `exposed more than ${percent(exposure)}`;
  if (!within(split.memory, memory)) return "with too large a client";
  if (accuracy !== null && !(split.accuracy !== null && split.accuracy + 5e-4 >= accuracy)) return "not accurate enough";
  return null;
}

const allowed = (conditions) => usable().filter((split) => objection(split, conditions) === null);

function leftOut(conditions) {
  const reasons = new Map();
  for (const split of usable()) {
    const reason = objection(split, conditions);
    if (reason !== null) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  }
  const words = [...reasons].map(([reason, of]) => `${of} ${reason}`);
  return words.length === 0 ? "No split is left out." : `Left out: ${words.join(", ")}.`;
}

const networkWords = ({ name, up, down, round_trip }) =>
  `${name} (${bandwidth(up)} up, ${bandwidth(down)} down, ${tick(seconds(round_trip))})`;

// What meets the reader's conditions, the best first.
function ranking(network, conditions) {
  return allowed(conditions)
    .map((split) => ({ split, total: modelled(split, network, conditions), added: transfer(split, network, conditions) }))
    .sort((a, b) => a.total - b.total);
}

function drawAnswer() {
  const [network, conditions] = [yourNetwork(), yourConditions()];
  const ranked = ranking(network, conditions);
  const answer = byId("answer");
  if (ranked.length === 0) {
    answer.replaceChildren("No split meets these conditions. ", leftOut(conditions));
    return byId("ranking").replaceChildren();
  }
  const [{ split, total, added }] = ranked;
  answer.replaceChildren(
    `On ${networkWords(network)}: `,
    splitLink(split),
    ` takes ${seconds(total)} per inference (modelled), of which ${seconds(added)} is the network. `,
    `The client needs ${bytes(split.memory)} and ends up with ${percent(split.exposure)} of the weights; `,
    `accuracy ${percent(split.accuracy)}. `,
    leftOut(conditions),
  );
  const rows = ranked.slice(0, BEST).map((each) => [
    splitLink(each.split), seconds(each.total), seconds(each.added), seconds(each.split.online), bytes(each.split.memory),
    bytes(each.split.up), bytes(each.split.down), String(each.split.rounds), percent(each.split.exposure), percent(each.split.accuracy),
  ]);
  byId("ranking").replaceChildren(simpleTable(RANKING_TITLES, rows));
}

function drawBestByNetwork() {
  const conditions = yourConditions();
  const own = yourNetwork();
  const networks = [...figures.networks, ...(figures.networks.some((network) => network.name === own.name) ? [] : [own])];
  const rows = networks.map((network) => {
    const cells = EXPOSURE_STEPS.map((exposure) => {
      const best = fastest(allowed({ ...conditions, exposure }), network, conditions);
      return best === null ? UNKNOWN : html("span", {}, splitLink(best), " ", seconds(modelled(best, network, conditions)));
    });
    return [networkWords(network), ...cells];
  });
  const title = (share) => (share === null ? "any exposure" : share === 0 ? "none" : `at most ${share * 100} %`);
  byId("best-by-network").replaceChildren(simpleTable(["network", ...EXPOSURE_STEPS.map(title)], rows));
}

function fastest(candidates, network, conditions) {
  const times = candidates.map((split) => modelled(split, network, conditions));
  return candidates[times.indexOf(Math.min(...times))] ?? null;
}

function takeProfile() {
  const profile = figures.networks.find((network) => network.name === byId("network").value);
  if (!profile) return;
  byId("up").value = profile.up / 1e6;
  byId("down").value = profile.down / 1e6;
  byId("round-trip").value = Number((profile.round_trip * 1e3).toPrecision(6));
}

function drawConditions() {
  drawAnswer();
  drawBestByNetwork();
  drawMap();
}

byId("network").append(
  ...figures.networks.map((network) => html("option", { selected: network.name === "wan" }, network.name)),
  html("option", { value: "own" }, "your own"),
);
takeProfile();
byId("conditions").addEventListener("input", (event) => {
  if (event.target.id === "network") takeProfile();
  if (["up", "down", "round-trip"].includes(event.target.id)) byId("network").value = "own";
  drawConditions();
});
byId("conditions").addEventListener("submit", (event) => event.preventDefault());
byId("conditions").addEventListener("reset", () => setTimeout(() => (takeProfile(), drawConditions())));
drawings.push(drawConditions);
