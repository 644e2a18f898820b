// Numbers as text, by the rules of src/core/units.rs: three significant digits in the unit that suits.

const UNKNOWN = "–";
const NBSP = "\u00a0";

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
  if (value === 0) return `0${NBSP}s`;
  const units = [[1, "s"], [1e-3, "ms"], [1e-6, "µs"], [1e-9, "ns"]];
  const fits = ([size]) => Number((Math.abs(value) / size).toPrecision(3)) >= 1;
  const [size, name] = units.find(fits) ?? units[units.length - 1];
  return `${threeDigits(value / size)}${NBSP}${name}`;
}

function bytes(value) {
  if (value === null) return UNKNOWN;
  const units = [[2 ** 40, "TiB"], [2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"]];
  const found = units.find(([size]) => Math.round((value / size) * 1024) >= 1024);
  return found ? `${threeDigits(value / found[0])}${NBSP}${found[1]}` : `${Math.round(value)}${NBSP}B`;
}

function percent(fraction) {
  return fraction === null ? UNKNOWN : `${decimal(fraction * 100, 1)}${NBSP}%`;
}

// A fraction that a person typed, with all its digits.
function percentAsTyped(fraction) {
  const value = Number((100 * fraction).toPrecision(12));
  return `${Number.isInteger(value * 10) ? decimal(value, 1) : String(value)}${NBSP}%`;
}

// What the client ends up with, in a table: where that is not known, the least of it.
function exposureWords({ exposure, leastExposure }) {
  if (exposure !== null) return percent(exposure);
  return leastExposure === null ? UNKNOWN : `≥${NBSP}${percent(leastExposure)}, unknown`;
}

function plain(value) {
  if (value === null || value === "") return UNKNOWN;
  if (typeof value !== "number") return String(value);
  return Number.isInteger(value) ? decimal(value, 0) : threeDigits(value);
}

function logarithm(value) {
  if (value === null) return UNKNOWN;
  // Nobody can mean a smaller one.
  const isTiny = value < -1000;
  const power = document.createElement("sup");
  power.textContent = isTiny ? "−1000" : decimal(value, 1);
  const words = document.createElement("span");
  words.append(isTiny ? `<${NBSP}2` : "2", power);
  return words;
}

const FORMATS = { time: seconds, bytes, fraction: percent, log2: logarithm, number: plain, text: plain };

// A count with its digits in threes.
const grouped = (number) => String(number).replace(/\B(?=(\d{3})+$)/g, ",");

// Axis ticks carry no trailing zeros: 1 ms, 2.5 KiB.
function tick(figure) {
  const [number, unit] = figure.split(NBSP);
  return `${number.includes(".") ? number.replace(/\.?0+$/, "") : number}${NBSP}${unit}`;
}

function bandwidth(bitsPerSecond) {
  const mbit = bitsPerSecond / 1e6;
  const [value, unit] = mbit >= 1000 ? [mbit / 1000, "Gbit/s"] : [mbit, "Mbit/s"];
  return `${Number(value.toPrecision(3))}${NBSP}${unit}`;
}

function count(number, word) {
  return `${number}${NBSP}${word}${number === 1 ? "" : "s"}`;
}
