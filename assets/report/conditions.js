// Which split is best under conditions that a reader sets: all times here are modelled.

// The most that a split may expose; null without a limit, where what is known to give everything away is left out.
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
    inferences: number("inferences", 1000),
    memory: typed("most-memory", mebibytes),
    exposure: typed("most-exposure", hundredths),
    accuracy: typed("least-accuracy", hundredths),
    copies: typed("most-copies", hundredths),
    withUnknown: byId("with-unknown").checked,
    countsWholeCopies: true,
  };
}

const OBJECTIONS = {
  "all away": "known to give the whole model away",
  memory: "with too large a client, or one of unknown size",
  unknown: "with exposure unknown",
  exposure: "exposing too much",
  accuracy: "not accurate enough",
  "whole copies": "whose copies are as good as the whole model",
  copies: "whose copies agree too well, or in an unknown fraction",
};

function leftOut(conditions) {
  const reasons = new Map();
  for (const word of usable().flatMap((split) => objections(split, conditions))) {
    reasons.set(word, (reasons.get(word) ?? 0) + 1);
  }
  if (usable().length === 0) return "";
  const words = [...reasons].map(([word, of]) => `${of}${NBSP}${OBJECTIONS[word]}`);
  return words.length === 0 ? "No split is left out." : `Left out: ${words.join(", ")}.`;
}

const networkWords = ({ name, up, down, round_trip }) =>
  `${name} (${bandwidth(up)} up, ${bandwidth(down)} down, ${tick(seconds(round_trip))})`;

function drawBestByNetwork() {
  const conditions = yourConditions();
  const own = yourNetwork();
  const networks = [...figures.networks, ...(figures.networks.some((network) => network.name === own.name) ? [] : [own])];
  const rows = networks.map((network) => {
    const cells = EXPOSURE_STEPS.map((exposure) => {
      const [best] = ranking(usable(), network, { ...conditions, exposure });
      return best ? html("span", {}, splitLink(best.split), " ", seconds(best.total)) : UNKNOWN;
    });
    return [networkWords(network), ...cells];
  });
  const title = (fraction) => (fraction === null ? "no limit" : fraction === 0 ? "none recovered" : `exposure at most ${percent(fraction)}`);
  byId("best-by-network").replaceChildren(simpleTable(["network", ...EXPOSURE_STEPS.map(title)], rows));
}

function takeProfile() {
  const profile = figures.networks.find((network) => network.name === byId("network").value);
  if (!profile) return;
  byId("up").value = profile.up / 1e6;
  byId("down").value = profile.down / 1e6;
  byId("round-trip").value = Number((profile.round_trip * 1e3).toPrecision(6));
}
