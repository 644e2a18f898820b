// Which split is best under conditions that a reader sets: all times here are modelled.

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
    memory: limit("most-memory", 9),
    exposure: limit("most-exposure", -2),
    accuracy: limit("least-accuracy", -2),
    withUnknown: byId("with-unknown").checked,
    withAllClient: byId("with-all-client").checked,
  };
}

// The model is that of src/scenario.rs, so that `splitbench choose` gives the same times.

// Seconds that messages take on the network; of the keys, one inference's part.
function transfer(split, network, { inferences }) {
  const rounds = split.rounds + (split.keys > 0 ? 1 / inferences : 0);
  const up = split.up + split.keys / inferences;
  return (8 * up) / network.up + (8 * split.down) / network.down + rounds * network.round_trip;
}

// Seconds of one inference at both parties, the client's part taking `factor` times as long. Of
// writing messages the client's share is that of the upload in all bytes, of reading that of the download.
function computing(split, { factor }) {
  const phase = (name) => split.value(`${name}_s_median`) ?? 0;
  const uploadShare = split.bytes > 0 ? split.up / split.bytes : 0;
  const client =
    phase("client_compute") + phase("encrypt") + phase("decrypt") +
    phase("serialise") * uploadShare + phase("deserialise") * (1 - uploadShare);
  return factor * client + Math.max(0, split.online - client);
}

// Seconds of making the keys, at the client, and of expanding them: one inference's part.
const keyMaking = (split, { factor, inferences }) =>
  (factor * (split.value("key_generation_s") ?? 0) + (split.value("key_transfer_s") ?? 0)) / inferences;

const modelled = (split, network, conditions) =>
  computing(split, conditions) + keyMaking(split, conditions) + transfer(split, network, conditions);

// The exposure that is held against the limit; null where it is not known.
const countedExposure = (split, { withUnknown }) =>
  split.exposure ?? (withUnknown ? split.leastExposure : null);

// Why a split is out of the question; null where it is not.
function objection(split, conditions) {
  const { memory, exposure, accuracy, withAllClient } = conditions;
  if (split.bytes === null) return "without known bytes";
  if (!withAllClient && split.serverLayers === 0) return "without a server";
  const known = countedExposure(split, conditions);
  if (exposure !== null && known === null) return "with exposure unknown";
  if (!within(known, exposure)) return `with exposure above ${percent(exposure)}`;
  if (!within(split.memory, memory)) return "with too large a client";
  if (accuracy !== null && !(split.accuracy !== null && split.accuracy >= accuracy)) return "not accurate enough";
  return null;
}

const allowed = (conditions) => usable().filter((split) => objection(split, conditions) === null);

function leftOut(conditions) {
  const reasons = new Map();
  for (const split of usable()) {
    const reason = objection(split, conditions);
    if (reason !== null) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  }
  const words = [...reasons].map(([reason, of]) => `${of}${NBSP}${reason}`);
  return words.length === 0 ? "No split is left out." : `Left out: ${words.join(", ")}.`;
}

const networkWords = ({ name, up, down, round_trip }) =>
  `${name} (${bandwidth(up)} up, ${bandwidth(down)} down, ${tick(seconds(round_trip))})`;

// What meets the reader's conditions, the best first.
function ranking(network, conditions) {
  return allowed(conditions)
    .map((split) => ({ split, total: modelled(split, network, conditions), added: transfer(split, network, conditions), keys: keyMaking(split, conditions) }))
    .sort((a, b) => a.total - b.total);
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
  const title = (share) => (share === null ? "any exposure" : share === 0 ? "none recovered" : `exposure at most ${percent(share)}`);
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
