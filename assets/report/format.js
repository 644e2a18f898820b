// Numbers as text, by the rules of src/units.rs: three significant digits in the unit that suits.

const UNKNOWN = "–";

function decimal(value, decimals) {
  const digits = Math.abs(value).toFixed(decimals);
  return (value < 0 && Number(digits) !== 0 ? "−" : "") + digits;
}

function threeDigits(value) {
  const size = Number(Math.abs(value).toPrecision(3));
  return decimal(value, size >= 100 ? 0 : size >= 10 ? 1 : 2);
}

function seconds(value) {
  if (value === null) return UNKNOWN;
  if (value === 0) return "0 s";
  const units = [[1, "s"], [1e-3, "ms"], [1e-6, "µs"], [1e-9, "ns"]];
  const fits = ([size]) => Number((Math.abs(value) / size).toPrecision(3)) >= 1;
  const [size, name] = units.find(fits) ?? units[units.length - 1];
  return `${threeDigits(value / size)} ${name}`;
}

function bytes(value) {
  if (value === null) return UNKNOWN;
  const units = [[2 ** 40, "TiB"], [2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"]];
  const found = units.find(([size]) => Math.round((value / size) * 1024) >= 1024);
  return found ? `${threeDigits(value / found[0])} ${found[1]}` : `${value} B`;
}

function percent(share) {
  return share === null ? UNKNOWN : `${decimal(share * 100, 1)} %`;
}

function plain(value) {
  if (value === null || value === "") return UNKNOWN;
  if (typeof value !== "number") return String(value);
  return Number.isInteger(value) ? decimal(value, 0) : threeDigits(value);
}

function logarithm(value) {
  return value === null ? UNKNOWN : `2^${decimal(value, Math.abs(value) >= 1000 ? 0 : 1)}`;
}

const FORMATS = { time: seconds, bytes, share: percent, log2: logarithm, number: plain, text: plain };

// Axis ticks carry no trailing zeros: 1 ms, 2.5 KiB.
function tick(figure) {
  const [number, unit] = figure.split(" ");
  return `${number.includes(".") ? number.replace(/\.?0+$/, "") : number} ${unit}`;
}

function bandwidth(bitsPerSecond) {
  const mbit = bitsPerSecond / 1e6;
  const [value, unit] = mbit >= 1000 ? [mbit / 1000, "Gbit/s"] : [mbit, "Mbit/s"];
  return `${Number(value.toPrecision(3))} ${unit}`;
}

function count(number, word) {
  return `${number} ${word}${number === 1 ? "" : "s"}`;
}
