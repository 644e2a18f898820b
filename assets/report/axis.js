// Scales from figures to pixels, and their ticks.

const LOG_STEPS = [[1], [1, 3], [1, 2, 5]];

// A logarithmic scale over [low, high], both positive. `base` 1024 makes ticks of binary units.
function logScale(low, high, start, end, base = 10) {
  const [from, to] = [Math.log(low), Math.log(Math.max(high, low * 1.0001))];
  const at = (value) => start + ((Math.log(value) - from) / (to - from)) * (end - start);
  const ticks = base === 1024 ? binaryTicks(low, high) : decimalTicks(low, high, Math.abs(end - start));
  return { at, ticks, back: (place) => Math.exp(from + ((place - start) / (end - start)) * (to - from)) };
}

function decimalTicks(low, high, length) {
  const decades = Math.log10(high / low);
  const steps = LOG_STEPS.findLast((all) => (decades * all.length * 64) <= length) ?? LOG_STEPS[0];
  // On a short axis over many decades not every one is named.
  const stride = Math.max(1, Math.ceil((decades * 60) / length));
  const found = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) {
    if (power % stride === 0) found.push(...steps.map((step) => step * 10 ** power));
  }
  return found.filter((value) => value >= low * 0.999 && value <= high * 1.001);
}

function binaryTicks(low, high) {
  const powers = Math.log2(high / low);
  const stride = powers > 16 ? 4 : powers > 6 ? 2 : 1;
  const found = [];
  for (let power = Math.ceil(Math.log2(low)); power <= Math.log2(high); power += 1) {
    if (power % stride === 0) found.push(2 ** power);
  }
  return found;
}

// A linear scale from 0 to a round figure above `high`.
function linearScale(high, start, end, base = 10) {
  const wanted = (high || 1) / 4;
  const power = base ** Math.floor(Math.log(wanted) / Math.log(base));
  const steps = base === 2 ? [1, 2] : [1, 2, 2.5, 5, 10];
  const step = power * steps.find((times) => times * power >= wanted * 0.999);
  const last = Math.ceil((high || 1) / step - 1e-9);
  const ticks = Array.from({ length: last + 1 }, (_, index) => index * step);
  return { at: (value) => start + (value / (last * step)) * (end - start), ticks };
}

// Grid lines with figures below.
function bottomAxis(scale, { top, bottom, format, title, middle }) {
  const marks = scale.ticks.map((value) => [
    svg("line", { class: "grid", x1: scale.at(value), x2: scale.at(value), y1: top, y2: bottom }),
    svg("text", { class: "tick", x: scale.at(value), y: bottom + 18, "text-anchor": "middle" }, format(value)),
  ]);
  const words = svg("text", { class: "tick", x: middle, y: bottom + 38, "text-anchor": "middle" }, title);
  return svg("g", {}, ...marks.flat(), title ? words : null);
}

// Grid lines with figures at the left.
function leftAxis(scale, { left, right, format }) {
  const marks = scale.ticks.map((value) => [
    svg("line", { class: "grid", x1: left, x2: right, y1: scale.at(value), y2: scale.at(value) }),
    svg("text", { class: "tick", x: left - 8, y: scale.at(value) + 4, "text-anchor": "end" }, format(value)),
  ]);
  return svg("g", {}, ...marks.flat());
}
