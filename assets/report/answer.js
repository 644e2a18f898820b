// The answer to the reader's conditions in words, and what else there is to weigh.

const BEST = 5;
const WITHOUT = { memory: null, exposure: null, accuracy: null, copies: null };
// Where everything may be given away, that is not a limit to be lifted.
const whereAll = (limit) => (limit >= 1 ? 1 : null);
const withoutLimits = (conditions) => ({
  ...conditions, ...WITHOUT, exposure: whereAll(conditions.exposure), copies: whereAll(conditions.copies),
  countsWholeCopies: false,
});
const RANKING_TITLES = [
  "split", "exposure", "modelled time", "of it network", "of it keys", "measured online", "client memory", "up", "down", "rounds", "accuracy",
  ...(figures.copies ? ["copies agree"] : []),
];

// A figure in words, with more digits where a limit reads the same.
function apart(figure, limit, words, exact) {
  return limit !== null && figure !== limit && words(figure) === words(limit) ? exact(figure) : words(figure);
}

// What is known of a split besides its time.
function figureWords(split, limits = WITHOUT) {
  const exactly = (size) => `${size}${NBSP}B`;
  const size = split.memory === null ? null : apart(split.memory, limits.memory, bytes, exactly);
  const memory = size === null ? "What the client needs is not known" : `The client needs ${size}`;
  const exposure = split.exposure === null ? exposed(split) : apart(split.exposure, limits.exposure, percent, percentAsTyped);
  const right = split.accuracy === null ? null : apart(split.accuracy, limits.accuracy, percent, percentAsTyped);
  const accuracy = right === null ? "accuracy not known" : `accuracy ${right} (simulated)`;
  const copies = split.copies === null ? "" : `; copies agree in ${copyWords(split, limits.copies)}`;
  return `${memory}; exposure ${exposure}${copies}; ${accuracy}`;
}

const queriesWords = () => `${grouped(figures.copies.queries)}${NBSP}queries`;

// How far copies agree, and what the same images teach without the server.
function copyWords(split, limit = null) {
  const own = split.own === null ? "" : ` (${percent(split.own)} without the server)`;
  return `${apart(split.copies, limit, percent, percentAsTyped)} after ${queriesWords()}${own}`;
}

// What the client ends up with, in words; where no attack ran to its end, the least of it.
function exposed(split) {
  if (split.exposure === null) return split.leastExposure === null ? "unknown" : `unknown, at least ${percent(split.leastExposure)}`;
  return split.exposure === 0 ? `${percent(0)}, none recovered` : percent(split.exposure);
}

// The limits in words, each with whether it is the one the form came with.
function limitWords({ memory, exposure, accuracy, copies, withUnknown }) {
  const preset = (id) => (byId(id).value === byId(id).defaultValue ? " (preset)" : "");
  return [
    exposure === null ? null : `exposure at most ${percentAsTyped(exposure)}${preset("most-exposure")}${withUnknown ? " where what is unknown counts as the least that it can be" : ""}`,
    memory === null ? null : `client memory at most ${bytes(memory)}`,
    accuracy === null ? null : `accuracy at least ${percentAsTyped(accuracy)}`,
    copies === null ? null : `copies agreeing in at most ${percentAsTyped(copies)}${preset("most-copies")}`,
  ].filter(Boolean);
}

function drawAnswer() {
  const [network, conditions] = [yourNetwork(), yourConditions()];
  const limits = limitWords(conditions);
  const ranked = ranking(usable(), network, conditions);
  byId("answer").classList.toggle("unmet", ranked.length === 0);
  if (ranked.length === 0) {
    const words = usable().length === 0 ? "No split is measured with status ok." : limits.length === 0 ? "No split is left." : `No split meets these conditions: ${limits.join(", ")}.`;
    byId("answer").replaceChildren(`${words} `, ...caveatWords(network, conditions), ...nearestWords(conditions), leftOut(conditions));
    return [byId("ranking"), byId("hides-more")].forEach((part) => part.replaceChildren());
  }
  const [{ split, total, added, keys }] = ranked;
  byId("answer").replaceChildren(
    `On ${networkWords(network)}${limits.map((words) => `, ${words}`).join("")}: `,
    splitLink(split),
    ` takes ${seconds(total)} per inference (modelled), of which ${seconds(added)} is the network and ${seconds(keys)} its part of the keys. `,
    `${figureWords(split)}. `,
    ...caveatWords(network, conditions),
    ...costOfLimits(split, network, conditions),
    leftOut(conditions),
  );
  byId("hides-more").replaceChildren(...hidesMore(split, network, conditions));
  drawRanking(ranked);
}

function drawRanking(ranked) {
  const rows = ranked.slice(0, BEST).map(({ split, total, added, keys }) => [
    splitLink(split), exposureWords(split), seconds(total), seconds(added), seconds(keys), seconds(split.online), bytes(split.memory),
    bytes(split.up), bytes(split.down), String(split.rounds), percent(split.accuracy),
    ...(figures.copies ? [percent(split.copies)] : []),
  ]);
  byId("ranking").replaceChildren(simpleTable(RANKING_TITLES, rows));
}

// What the limits cost in time.
function costOfLimits(split, network, conditions) {
  const free = withoutLimits(conditions);
  const [best] = ranking(usable(), network, free);
  const count = Object.keys(WITHOUT).filter((limit) => conditions[limit] !== free[limit]).length;
  if (count === 0 || !best) return [];
  const limits = count === 1 ? "that limit" : "these limits";
  const copies = best.split.copies === null ? "" : `, copies agree in ${percent(best.split.copies)}`;
  if (best.split === split) return [`It is the best without ${limits} too. `];
  return [`Without ${limits} `, splitLink(best.split), ` is best: ${seconds(best.total)}, exposure ${exposed(best.split)}${copies}. `];
}

// Why an exposure is not known; what no attack found is not thereby safe.
const WHY_UNKNOWN = {
  "attack stopped": "an attack on a segment of it was stopped",
  "not mounted": "no attack was mounted on a segment of it",
};
const whyUnknown = (split) => WHY_UNKNOWN[split.value("exposure_is")] ?? "the row does not tell";

const CAVEATS = {
  noisy: () => ["Its times are noisy: beside them a fixed batch of bootstraps strayed by more than a tenth. "],
  single: () => [`Its time is one sample (n${NBSP}=${NBSP}1), which has no spread. `],
  close: ({ split, slower }) => [splitLink(split), ` is ${percent(slower)} slower, which noisy or single samples do not tell apart. `],
  unknown: ({ split }) => {
    const copies = split.copies === null ? "" : `; copies agree in ${percent(split.copies)} after ${queriesWords()}`;
    return [`Its exposure is unknown: ${whyUnknown(split)}, and what was not found is not thereby safe${copies}. `];
  },
  "whole copies": ({ split }) => [`${queriesWords()} teach a copy that agrees in ${percent(split.copies)}, which is as good as the whole model. `],
  "kept out": ({ split, total }) => [splitLink(split), ` would take ${seconds(total)}, but its exposure is ${exposed(split)}: ${whyUnknown(split)}. `],
};

const caveatWords = (network, conditions) => caveats(usable(), network, conditions).flatMap((caveat) => CAVEATS[caveat.kind](caveat));

function nearestWords(conditions) {
  const split = nearest(usable(), conditions);
  if (!split) return [];
  return ["The nearest is ", splitLink(split), `. ${figureWords(split, conditions)}. `];
}

// A word as a shell reads it, whatever a folder is called.
function shellWord(word) {
  return /^[\w./,:@%+][\w./,:@%+-]*$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

// The split that gives away least, as far as is known, at its time, and the settings
// that the sweep ran without.
function hidesMore(split, network, conditions) {
  const others = ranking(usable(), network, { ...withoutLimits(conditions), countsWholeCopies: true });
  const known = ({ split }) => split.exposure ?? split.leastExposure ?? 1;
  const less = others.filter((other) => known(other) < known({ split }));
  const least = less.sort((a, b) => known(a) - known(b) || a.total - b.total)[0];
  const words = least
    ? [least.split.exposure === null ? "Gives away less, as far as is known: " : "Gives away less: ", splitLink(least.split), ` at ${seconds(least.total)}, exposure ${exposed(least.split)}. `]
    : ["No split of this sweep gives away less, as far as is known. "];
  const [answer, protect] = [split.value("answer"), split.value("protect")];
  const unused = [
    answer === "label" || !split.placement.endsWith("S") ? null : "--answer label",
    ...["gate", "bootstrap", "rerandomise"].filter((word) => word !== protect).map((word) => `--protect ${word}`),
  ].filter(Boolean);
  const model = figures.model_folder ? ` --model ${shellWord(figures.model_folder)}` : "";
  const command = `splitbench sweep${model} --placement ${shellWord(split.placement)} ${unused[0]}`;
  words.push("Settings that change what answers tell of the weights, not used in this sweep: ");
  words.push(...unused.flatMap((option, at) => [at === 0 ? "" : ", ", html("code", {}, option)]), "; as in ", html("code", {}, command), ".");
  return words;
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
if (figures.copies) {
  for (const id of ["copies-choice", "copies-note"]) byId(id).hidden = false;
  byId("copies-words").textContent = `Copies after ${queriesWords()} agree in at most`;
  byId("most-copies").setAttribute("value", String(100 * figures.copies.whole_model));
}
byId("conditions").addEventListener("input", (event) => {
  if (event.target.id === "network") takeProfile();
  if (["up", "down", "round-trip"].includes(event.target.id)) byId("network").value = "own";
  drawConditions();
});
byId("conditions").addEventListener("submit", (event) => event.preventDefault());
byId("conditions").addEventListener("reset", () => setTimeout(() => (takeProfile(), drawConditions())));
drawings.push(drawConditions);
