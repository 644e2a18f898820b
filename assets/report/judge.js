// Which splits meet conditions and which of them is best: what `splitbench choose` says of the same
// figures, held to it by tests. Nothing here touches the page.

// Instead of the index of the split that dominates.
const [NOT_DOMINATED, FOR_COMPARISON] = [-1, -2];
// Times closer than this fraction are not told apart by a single sample or beside a noisy machine.
const CLOSE = 0.1;

// The splits of a report's figures, in the order of its rows.
function readSplits(figures) {
  const columnAt = new Map(figures.columns.map((column, index) => [column.name, index]));
  return figures.rows.map((cells, index) => {
    const value = (name) => cells[columnAt.get(name)] ?? null;
    const [up, down] = [value("upload_bytes"), value("download_bytes")];
    const [exposure, copies] = [value("exposure"), value("copy_agreement")];
    return {
      index,
      value,
      placement: value("placement"),
      status: value("status"),
      host: value("host"),
      online: value("online_s_median"),
      memory: value("client_peak_rss_bytes"),
      up,
      down,
      bytes: up === null || down === null ? null : up + down,
      keys: value("evaluation_key_bytes") ?? 0,
      rounds: value("rounds") ?? 0,
      exposure,
      // Known or not, it is no less than this.
      leastExposure: exposure ?? value("exposed_weight_share_least") ?? value("client_weight_share"),
      givesAllAway: exposure !== null && exposure >= 1,
      // Of copies after as many queries as the figures tell, and of what images teach without the server.
      copies,
      own: value("own_agreement"),
      isWhollyCopied: copies !== null && copies >= figures.copies.whole_model,
      accuracy: value("simulated_accuracy"),
      dominatedBy: figures.dominated_by[index],
      isOk: figures.dominated_by[index] !== null,
      serverLayers: [...value("placement")].filter((letter) => letter === "S").length,
    };
  });
}

const within = (value, most) => most === null || (value !== null && value <= most);

// Seconds that messages take on a network; none where client and server share a machine.
function transfer(network, up, down, rounds) {
  if (network === null) return 0;
  return (8 * up) / network.up + (8 * down) / network.down + rounds * network.round_trip;
}

// Seconds of one inference, step by step as src/choose/scenario.rs adds them up: at the client, which takes
// `factor` times as long, at the server, on the network, and its part of the keys. Of writing messages the
// client's part is that of the upload in all bytes, of reading that of the download.
function modelled(split, network, { factor, inferences }) {
  const phase = (name) => split.value(`${name}_s_median`) ?? 0;
  const uploadShare = split.bytes > 0 ? split.up / split.bytes : 0;
  const client =
    phase("client_compute") + phase("encrypt") + phase("decrypt") +
    phase("serialise") * uploadShare + phase("deserialise") * (1 - uploadShare);
  const server = Math.max(split.online - client, 0);
  const added = transfer(network, split.up, split.down, split.rounds);
  const making = (split.value("key_generation_s") ?? 0) * factor + (split.value("key_transfer_s") ?? 0);
  const keys = (making + transfer(network, split.keys, 0, split.keys > 0 ? 1 : 0)) / inferences;
  return { split, client: client * factor, server, added, keys, total: client * factor + server + added + keys };
}

// The exposure that is held against the limit; null where it is not known.
const countedExposure = (split, { withUnknown }) => (withUnknown ? split.leastExposure : split.exposure);

// How far copies agree, as it is held against the limit; null where it is not known.
const countedCopies = (split, { withUnknown }) => split.copies ?? (withUnknown ? 0 : null);

// The limits that a split breaks, each in a word; none where it can be taken.
function objections(split, conditions) {
  const { memory, exposure, accuracy, copies, countsWholeCopies } = conditions;
  if (exposure === null && split.givesAllAway) return ["all away"];
  const counted = countedExposure(split, conditions);
  const broken = [
    within(split.memory, memory) ? null : "memory",
    within(counted, exposure) ? null : counted === null ? "unknown" : "exposure",
    accuracy === null || (split.accuracy !== null && split.accuracy >= accuracy) ? null : "accuracy",
    within(countedCopies(split, conditions), copies) ? null : "copies",
  ].filter(Boolean);
  const isLeftOut = countsWholeCopies && exposure === null && copies === null && split.isWhollyCopied;
  return broken.length === 0 && isLeftOut ? ["whole copies"] : broken;
}

const allowed = (splits, conditions) => splits.filter((split) => split.isOk && objections(split, conditions).length === 0);

// What comes first by one figure after the other; what is unknown comes last.
function byFigures(left, right) {
  for (const [at, value] of left.entries()) {
    const other = right[at];
    if (value === other) continue;
    if (value === null || other === null) return value === null ? 1 : -1;
    return value - other;
  }
  return 0;
}

// Of splits that are equally fast the one with the smaller client comes first, then fewer bytes, less exposure.
const tieBreakers = (split, conditions) => [
  split.memory,
  split.bytes + split.keys / conditions.inferences,
  countedExposure(split, conditions),
];

// What meets the conditions, the fastest first.
function ranking(splits, network, conditions) {
  const figures = ({ split, total }) => [total, ...tieBreakers(split, conditions)];
  const costs = allowed(splits, conditions).map((split) => modelled(split, network, conditions));
  return costs.sort((a, b) => byFigures(figures(a), figures(b)));
}

// The best split that an unknown exposure alone keeps out, where it would precede the best one.
function keptOut(splits, network, conditions, best) {
  const open = ranking(splits, network, { ...conditions, withUnknown: true });
  const isOpen = ({ split }) => split.exposure === null && objections(split, conditions).length > 0;
  const first = open.find(isOpen);
  return first && (!best || first.total < best.total) ? first : null;
}

// What to know of the best split: kinds, each with the split that it names.
function caveats(splits, network, conditions) {
  const [best, next] = ranking(splits, network, conditions);
  const out = keptOut(splits, network, conditions, best);
  const last = out === null ? [] : [{ kind: "kept out", ...out }];
  if (!best) return last;
  const isNoisy = ({ split }) => split.value("noisy") === true;
  const isSingle = ({ split }) => split.value("online_s_n") === 1;
  const slower = next ? next.total / best.total - 1 : Infinity;
  const isDoubtful = next !== undefined && [best, next].some((each) => isNoisy(each) || isSingle(each));
  return [
    isNoisy(best) ? { kind: "noisy", ...best } : null,
    isSingle(best) ? { kind: "single", ...best } : null,
    isDoubtful && slower < CLOSE ? { kind: "close", slower, ...next } : null,
    best.split.exposure === null ? { kind: "unknown", ...best } : null,
    best.split.isWhollyCopied && !best.split.givesAllAway ? { kind: "whole copies", ...best } : null,
    ...last,
  ].filter(Boolean);
}

// By how much of each limit a split misses it; more than any other where a figure is unknown.
function excess(split, conditions) {
  const { memory, exposure, accuracy, copies } = conditions;
  const over = (found, most, miss) => (most === null ? 0 : found === null ? Infinity : Math.max(0, miss(found, most)));
  return (
    over(split.memory, memory, (found, most) => found / Math.max(most, 1) - 1) +
    over(countedExposure(split, conditions), exposure, (found, most) => found - most) +
    over(split.accuracy, accuracy, (found, least) => least - found) +
    over(countedCopies(split, conditions), copies, (found, most) => found - most)
  );
}

// Objections of splits that break no limit.
const BY_DEFAULT = ["all away", "whole copies"];

// The split that breaks limits least.
function nearest(splits, conditions) {
  const over = splits.filter((split) => split.isOk && objections(split, conditions).some((word) => !BY_DEFAULT.includes(word)));
  const misses = over.map((split) => excess(split, conditions));
  return over[misses.indexOf(Math.min(...misses))] ?? null;
}
