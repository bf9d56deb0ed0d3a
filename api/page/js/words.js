// Names, numbers with units, instants, and causes in words.

const NAMES = {
  inlet_c: "inlet", outlet_c: "outlet", delta_t: "rise over the rack", pdu_kw: "power", gpu_power_kw: "GPU power",
  gpu_energy_j: "GPU energy", tokens_ps: "throughput", latency_p95_ms: "latency p95", queue_depth: "queue",
  fan_rpm_pct: "fan", pump_rpm_pct: "pump", deviation: "deviation", mms_state: "state",
};
const UNITS = { degC: "°C" };

let channels = new Map([
  ["inlet_c", "degC", 2], ["outlet_c", "degC", 2], ["pdu_kw", "kW", 2], ["tokens_ps", "tokens/s", 1],
  ["latency_p95_ms", "ms", 1], ["queue_depth", "requests", 0], ["fan_rpm_pct", "%", 1], ["pump_rpm_pct", "%", 1],
  ["delta_t", "K", 2], ["gpu_power_kw", "kW", 2], ["gpu_energy_j", "J", 1],
].map(([name, unit, decimals]) => [name, { name, unit, decimals }]));

export function learnChannels(told) {
  if (told?.length) channels = new Map(told.map((channel) => [channel.name, channel]));
}

export const nameOf = (channel) => NAMES[channel] ?? channel;
export const titleOf = (channel) => nameOf(channel).replace(/^./, (first) => first.toUpperCase());
export const unitOf = (channel) => UNITS[channels.get(channel)?.unit] ?? channels.get(channel)?.unit ?? "";

// Digits that an operator reads at a glance: at most one after the point where the unit is small.
const DIGITS = { delta_t: 1, inlet_c: 1, outlet_c: 1, tokens_ps: 0, latency_p95_ms: 0, fan_rpm_pct: 0, pump_rpm_pct: 0, gpu_energy_j: 0 };
const digitsOf = (channel) => (channel === "deviation" ? 2 : DIGITS[channel] ?? channels.get(channel)?.decimals ?? 1);

const formats = new Map();
export function number(value, digits) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (!formats.has(digits)) {
    formats.set(digits, new Intl.NumberFormat("en-GB", { minimumFractionDigits: digits, maximumFractionDigits: digits }));
  }
  return formats.get(digits).format(value).replace("-", "−");
}

export const bare = (channel, value) => number(value, digitsOf(channel));
export function withUnit(channel, value) {
  const unit = unitOf(channel);
  return value === null || value === undefined ? "no reading" : `${bare(channel, value)}${unit ? ` ${unit}` : ""}`;
}

// A value short enough for a cell: 12,345 becomes 12.3k.
export function short(channel, value) {
  if (value === null || value === undefined) return "";
  return Math.abs(value) >= 10_000 ? `${number(value / 1000, 0)}k` : Math.abs(value) >= 1000 ? `${number(value / 1000, 1)}k` : bare(channel, value);
}

const CLOCK = new Intl.DateTimeFormat("en-GB", {
  weekday: "short", day: "2-digit", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", timeZone: "UTC",
});
const MINUTE = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: "UTC" });
const DAY = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", timeZone: "UTC" });

export const secondsOf = (ts) => Date.parse(ts) / 1000;
export const clock = (ts) => `${CLOCK.format(new Date(ts)).replaceAll(",", "")} UTC`;
export const minute = (seconds) => MINUTE.format(new Date(seconds * 1000));
export const dayAndMinute = (ts) => `${DAY.format(new Date(ts))} ${MINUTE.format(new Date(ts))}`;

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 90) return `${number(seconds, 0)} s`;
  if (seconds < 5400) return `${number(seconds / 60, 0)} min`;
  return seconds < 172_800 ? `${number(seconds / 3600, 1)} h` : `${number(seconds / 86_400, 1)} d`;
}

export const speedText = (speed) => (speed === null ? "as fast as it goes" : `${number(speed, speed < 10 && speed % 1 ? 1 : 0)}×`);

export const sensorsText = (sensors) => sensors.map((s) => `${nameOf(s.feature)} sensor ${s.condition}`).join(", ");

// "outlet 4.1 K above what is usual at this load (31.2)"
export function cause(told) {
  if (!told) return "no channel stands out by itself";
  const name = nameOf(told.feature);
  if (told.sign === "inside") return `${name} unusual beside the other channels, though within its range`;
  const unit = told.unit === "degC" ? "K" : told.unit;
  const digits = { K: 1, kW: 2, "%": 0, requests: 0, ms: 0, "tokens/s": 0 }[unit] ?? 1;
  const off = number(Math.abs(told.value - told.usual), digits);
  return `${name} ${off} ${unit} ${told.value > told.usual ? "above" : "below"} what is usual at this load (${number(told.usual, digits)})`;
}

export const kindText = (kind) => kind.replaceAll("_", " ");
