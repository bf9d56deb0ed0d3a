// The selected rack over time: its channels with the range that is nominal beside the others, the twin, the deviation.

import { get, getIfThere } from "./api.js";
import { byId, make, say } from "./dom.js";
import { colour, onTheme } from "./theme.js";
import { bare, minute, secondsOf, titleOf, unitOf, withUnit } from "./words.js";

const CHARTS = ["deviation", "inlet_c", "outlet_c", "pdu_kw", "gpu_power_kw", "tokens_ps", "latency_p95_ms", "queue_depth", "fan_rpm_pct", "pump_rpm_pct"];
const MOST_POINTS = 3000;

export class Rack {
  constructor(state) {
    this.state = state;
    this.plots = new Map();
    this.series = null;
    this.span = byId("span");
    this.span.addEventListener("change", () => this.show(this.state.selected));
    this.holders = new Map(CHARTS.map((name) => [name, this.holder(name)]));
    byId("charts").append(...this.holders.values());
    new ResizeObserver(() => this.resize()).observe(byId("charts"));
    onTheme(() => this.rebuild());
  }

  holder(name) {
    return make(
      "figure", { class: name === "deviation" ? "chart wide" : "chart", "data-chart": name },
      make("figcaption", {}, make("span", {}, titleOf(name)), make("output", { class: "now" })),
      make("div", { class: "plot" }),
    );
  }

  // Show another rack, or another stretch of time: everything anew.
  async show(rack) {
    this.series = null;
    this.wanted = rack;
    say(byId("rack-title"), rack ? `Rack ${rack}` : "Rack");
    await this.update();
  }

  // Fetch what is new and draw. One request at a time; what was asked for meanwhile follows.
  async update() {
    if (!this.state.racks.has(this.wanted)) return this.drawState();
    if (this.busy) {
      this.again = true;
      return undefined;
    }
    this.busy = true;
    try {
      await this.fetch(this.wanted);
    } finally {
      this.busy = false;
    }
    this.draw();
    if (this.again) {
      this.again = false;
      return this.update();
    }
    return undefined;
  }

  async fetch(rack) {
    const since = secondsOf(this.state.racks.get(rack).ts) - Number(this.span.value);
    const known = this.series, from = known?.ts.length ? known.ts.at(-1) : since;
    const query = `from=${new Date(from * 1000).toISOString()}&points=${MOST_POINTS}`;
    const told = await get(`/racks/${encodeURIComponent(rack)}/series?${query}`);
    const twin = this.state.hall?.reveal ? await getIfThere(`/hall/twin?rack_id=${encodeURIComponent(rack)}&points=${MOST_POINTS}`) : null;
    if (rack !== this.wanted) return;
    const fresh = columns(told);
    this.series = known && this.series === known ? joined(known, fresh, since) : fresh;
    this.series.rack = rack;
    this.limits = told.limits;
    this.twin = twin && Object.fromEntries(Object.entries(twin.series).map(([name, values]) => [name, name === "ts" ? values.map(secondsOf) : values]));
  }

  draw() {
    const { series } = this;
    byId("rack-empty").hidden = Boolean(series?.ts.length);
    byId("charts").hidden = !series?.ts.length;
    this.drawState();
    if (!series?.ts.length) return;
    for (const name of CHARTS) this.drawChart(name);
    Object.assign(byId("rack").dataset, { rack: series.rack, points: String(series.ts.length), last: String(series.ts.at(-1)) });
  }

  drawState() {
    const rack = this.state.racks.get(this.state.selected), badge = byId("rack-state");
    say(badge, rack?.mms_state ?? "");
    badge.dataset.state = rack?.mms_state ?? "";
    byId("key").hidden = !this.series?.ts.length || !this.limits;
    byId("key-twin").hidden = !this.twin;
    say(byId("rack-note"), this.series?.ts.length && !this.limits ? "No model is active: no nominal ranges and no deviation." : "");
  }

  drawChart(name) {
    const data = this.data(name), holder = this.holders.get(name), plot = this.plots.get(name);
    if (plot) plot.setData(data);
    else this.plots.set(name, this.plot(name, holder, data));
    const values = data.at(-1), last = values.findLastIndex((value) => value !== null && value !== undefined);
    this.caption(name, null);
    Object.assign(holder.dataset, {
      last: last < 0 ? "" : String(values[last]), points: String(values.length), low: String(data[1].at(-1) ?? ""), high: String(data[2].at(-1) ?? ""),
    });
  }

  // Columns of a chart: time, the range's low and high (or the two limits), the twin (or the smoothed deviation), the value.
  data(name) {
    const s = this.series, none = s.ts.map(() => null);
    if (name === "deviation") {
      const { tau_fast: fast, tau_persist: persist } = this.limits ?? {};
      return [s.ts, s.ts.map(() => fast ?? null), s.ts.map(() => persist ?? null), s.ema, s.deviation];
    }
    return [s.ts, s[`${name}.low`] ?? none, s[`${name}.high`] ?? none, this.twin ? aligned(this.twin, name, s.ts) : none, s[name]];
  }

  plot(name, holder, data) {
    const place = holder.querySelector(".plot"), own = this, scored = name === "deviation", em = this.em = rootEm();
    const line = (stroke, width, dash) => ({ stroke, width, dash, points: { show: false }, spanGaps: false });
    const axis = { stroke: colour("muted"), font: `${0.8 * em}px system-ui`, ticks: { show: false }, grid: { stroke: colour("line"), width: 1 } };
    return new globalThis.uPlot({
      ...sizeOf(place), legend: { show: false }, padding: [6, 8, 0, 0],
      tzDate: (ts) => globalThis.uPlot.tzDate(new Date(ts * 1000), "Etc/UTC"),
      cursor: { y: false, drag: { x: false, y: false }, sync: { key: "rack" }, points: { show: false } },
      scales: { x: { time: true }, y: scored ? { distr: 4, asinh: this.limits?.tau_persist ?? 1, range: (u, low, high) => [0, Math.max(high ?? 1, (own.limits?.tau_persist ?? 1) * 1.5)] } : { range: widened(name) } },
      axes: [
        { ...axis, size: 1.7 * em, gap: 0.45 * em, space: 4.5 * em, values: (u, splits) => splits.map(minute) },
        { ...axis, size: 3.3 * em, gap: 4, space: 1.9 * em, values: (u, splits) => splits.map((value) => brief(value)), ...(scored ? { splits: (u) => own.marks(u.scales.y.max) } : {}) },
      ],
      series: [
        {},
        scored ? line(colour("muted"), 1, [4, 4]) : line("transparent", 0),
        scored ? line(colour("trouble"), 1, [4, 4]) : line("transparent", 0),
        scored ? line(colour("data-soft"), 1) : line(colour("twin"), 1),
        { ...line(colour("data"), 1.5), points: { show: (u) => u.data[0].length < 3, size: 5, fill: colour("data") } },
      ],
      bands: scored ? [] : [{ series: [2, 1], fill: colour("band") }],
      hooks: { drawClear: [(u) => own.drawStruck(u)], setCursor: [(u) => own.caption(name, u.cursor.idx)] },
    }, data, place);
  }

  // Shade when the rack was struck, as far as that may be told.
  drawStruck(u) {
    const row = this.state.layout?.rows.find((one) => one.racks.includes(this.wanted)), names = [this.wanted, row?.name, row?.loop];
    const struck = (this.state.incidents ?? []).filter((incident) => incident.state !== "planned" && (
      incident.target.some((asset) => names.includes(asset)) || incident.affected?.includes(this.wanted)
    ));
    u.ctx.save();
    u.ctx.fillStyle = colour("struck");
    for (const { planned_start: start, planned_end: end } of struck) {
      const [from, to] = [secondsOf(start), end ? secondsOf(end) : Infinity].map((at) => u.valToPos(Math.min(u.scales.x.max, Math.max(u.scales.x.min, at)), "x", true));
      u.ctx.fillRect(from, u.bbox.top, to - from, u.bbox.height);
    }
    u.ctx.restore();
  }

  // Where the axis of the deviation is labelled: its upper limit and round numbers well above it.
  marks(most) {
    const persist = this.limits?.tau_persist ?? 1;
    return [Number(persist.toPrecision(2)), ...[10, 30, 100, 300].filter((value) => value > 3 * persist && value < most)];
  }

  // The value under the pointer, or the latest.
  caption(name, index) {
    if (!this.series) return;
    const values = this.series[name], i = index ?? values.length - 1;
    const when = index === null || index === undefined ? "" : `${minute(this.series.ts[i])}  `;
    const unit = unitOf(name);
    say(this.holders.get(name).querySelector(".now"), name === "deviation" ? when + bare(name, values[i]) : when + (unit ? withUnit(name, values[i]) : bare(name, values[i])));
  }

  resize() {
    if (this.plots.size && this.em !== rootEm()) return this.rebuild();
    for (const [name, plot] of this.plots) {
      const size = sizeOf(this.holders.get(name).querySelector(".plot"));
      if (size.width !== plot.width || size.height !== plot.height) plot.setSize(size);
    }
    return undefined;
  }

  rebuild() {
    for (const plot of this.plots.values()) plot.destroy();
    this.plots.clear();
    if (this.series) this.draw();
  }
}

const rootEm = () => Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
const sizeOf = (place) => ({ width: Math.max(80, place.clientWidth), height: Math.max(60, place.clientHeight) });

function columns(told) {
  const { ts, ...rest } = told.series, found = { ts: ts.map(secondsOf), ...rest };
  for (const [name, range] of Object.entries(told.nominal ?? {})) {
    found[`${name}.low`] = range.low;
    found[`${name}.high`] = range.high;
  }
  return found;
}

// Known columns with fresh ones behind them, without what is older than a time. Columns that one of both lacks are null there.
function joined(known, fresh, since) {
  const first = known.ts.findIndex((ts) => ts >= since), from = first < 0 ? known.ts.length : first;
  const last = known.ts.at(-1) ?? -Infinity, to = fresh.ts.findIndex((ts) => ts > last);
  const names = new Set([...Object.keys(known), ...Object.keys(fresh)].filter((name) => name !== "rack"));
  const pad = (columns_, name) => columns_[name] ?? columns_.ts.map(() => null);
  return Object.fromEntries([...names].map((name) => [name, [...pad(known, name).slice(from), ...(to < 0 ? [] : pad(fresh, name).slice(to))]]));
}

function aligned(twin, name, ts) {
  const at = new Map(twin.ts.map((t, i) => [t, twin[name]?.[i] ?? null]));
  return ts.map((t) => at.get(t) ?? null);
}

// Never so narrow that the noise of a calm rack fills the chart.
const LEAST = { inlet_c: 4, outlet_c: 6, pdu_kw: 2, gpu_power_kw: 2, tokens_ps: 1000, latency_p95_ms: 40, queue_depth: 20, fan_rpm_pct: 10, pump_rpm_pct: 10 };
function widened(name) {
  return (u, low, high) => {
    if (low === null || high === null) return [0, 1];
    const short = Math.max(0, LEAST[name] - (high - low)) / 2, margin = 0.06 * Math.max(LEAST[name], high - low);
    return [low < 0 ? low - short - margin : Math.max(0, low - short - margin), high + short + margin];
  };
}

function brief(value) {
  if (value === null) return "";
  return Math.abs(value) >= 10_000 ? `${value / 1000}k` : String(Number(value.toFixed(3)));
}
