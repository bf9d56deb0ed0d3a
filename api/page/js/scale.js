// From values to colours: a calm ramp for channels, another towards the accent for what a monitor says.

import { rgb } from "./theme.js";

// Least width of a channel's scale, so that a quiet hall looks quiet and noise is not stretched to the full ramp.
const LEAST = { degC: 8, K: 8, kW: 4, "%": 40, "tokens/s": 4000, ms: 200, requests: 50, J: 100_000 };
const SHRINK_AFTER = 30; // draws

export class ChannelScale {
  constructor(unit) {
    this.least = LEAST[unit] ?? 1;
    this.low = this.high = null;
    this.loose = 0;
  }

  // Take in what is to be drawn. The ends move outwards at once and inwards only after a while: colours keep their meaning.
  fit(values) {
    if (!values.length) return;
    const [low, high] = rounded(Math.min(...values), Math.max(...values), this.least);
    const outside = this.low === null || low < this.low || high > this.high;
    this.loose = !outside && high - low < 0.6 * (this.high - this.low) ? this.loose + 1 : 0;
    if (this.low === null || this.loose > SHRINK_AFTER) [this.low, this.high] = [low, high];
    else if (outside) [this.low, this.high] = [Math.min(low, this.low), Math.max(high, this.high)];
  }

  at(value) {
    return Math.min(1, Math.max(0, (value - this.low) / (this.high - this.low)));
  }
}

function rounded(low, high, least) {
  const short = Math.max(0, least - (high - low)) / 2, span = Math.max(least, high - low);
  const power = 10 ** Math.floor(Math.log10(span / 10)), step = [1, 2, 5, 10].find((k) => k * power * 10 >= span) * power;
  const from = Math.floor((low - short) / step + 1e-9) * step, to = Math.ceil((high + short) / step - 1e-9) * step;
  return low >= 0 && from < 0 ? [0, to - from] : [from, to];
}

// Where on the ramp a model's limits lie, so that they look the same whatever the model; what is under both stays calm.
export const AT_FAST = 0.12, AT_PERSIST = 0.45, AT_MOST = 4;

export function troubleOf(deviation, limits) {
  const { tau_fast: fast, tau_persist: persist } = limits;
  if (deviation <= fast) return AT_FAST * (deviation / fast);
  if (deviation <= persist) return AT_FAST + (AT_PERSIST - AT_FAST) * ((deviation - fast) / (persist - fast));
  return Math.min(1, AT_PERSIST + (1 - AT_PERSIST) * (Math.log(deviation / persist) / Math.log(AT_MOST)));
}

export const STATE_TROUBLE = { NOMINAL: 0, TRANSIENT: 0.45, RECOVERING: 0.45, PERSISTENT: 1 };

const RAMPS = { channel: ["ramp-0", "ramp-1", "ramp-2"], trouble: ["calm", "uneasy", "trouble"] };

// The colour at t of 0 to 1, and the ink that reads on it: whichever of black and white contrasts more.
export function paint(ramp, t) {
  const stops = RAMPS[ramp].map(rgb), at = t * (stops.length - 1), k = Math.min(Math.floor(at), stops.length - 2);
  const mixed = stops[k].map((from, i) => Math.round(from + (at - k) * (stops[k + 1][i] - from)));
  return { fill: `rgb(${mixed.join(" ")})`, ink: luminance(mixed) > 0.179 ? "#000" : "#fff" };
}

export const gradient = (ramp) => `linear-gradient(to right, ${RAMPS[ramp].map((name) => `var(--${name})`).join(", ")})`;

function luminance(mixed) {
  const [r, g, b] = mixed.map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
