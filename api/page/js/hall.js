// The hall as it stands: a cell for each rack, in rows, rows by loop.

import { byId, make, options, say } from "./dom.js";
import { AT_FAST, AT_MOST, AT_PERSIST, ChannelScale, STATE_TROUBLE, gradient, paint, troubleOf } from "./scale.js";
import { onTheme } from "./theme.js";
import { alive } from "./top.js";
import { bare, minute, nameOf, secondsOf, short, titleOf, unitOf, withUnit } from "./words.js";

const CHANNELS = ["inlet_c", "outlet_c", "delta_t", "pdu_kw", "gpu_power_kw", "tokens_ps", "latency_p95_ms", "queue_depth", "fan_rpm_pct", "pump_rpm_pct"];
const TOLD = ["inlet_c", "outlet_c", "pdu_kw", "tokens_ps", "latency_p95_ms", "fan_rpm_pct", "pump_rpm_pct", "deviation"];
const NAME = /^(.*)-([^-]+)$/;
const STALE_S = 3600;

export class Hall {
  constructor(state, select) {
    this.state = state;
    this.select = select;
    this.cells = new Map();
    this.scales = new Map();
    this.grid = byId("racks");
    this.picker = byId("colour");
    options(this.picker, ["mms_state", "deviation", ...CHANNELS].map((name) => [name, withUnitName(name)]), "inlet_c");
    this.picker.addEventListener("change", () => this.draw());
    this.grid.addEventListener("click", (event) => this.chosen(event));
    this.grid.addEventListener("keydown", (event) => this.moved(event));
    this.grid.addEventListener("pointerover", (event) => this.tell(event.target.closest(".cell")));
    this.grid.addEventListener("pointerleave", () => this.tell(null));
    this.grid.addEventListener("focusin", (event) => this.tell(event.target.closest(".cell")));
    this.grid.addEventListener("focusout", () => this.tell(null));
    onTheme(() => this.draw());
  }

  // Make the cells anew where the racks or their places have changed.
  arrange() {
    const rows = arranged(this.state.layout, this.state.racks, (rack) => this.isFresh(rack));
    const print = JSON.stringify(rows);
    if (print === this.print) return;
    this.print = print;
    this.cells.clear();
    this.rows = rows.map((row) => row.racks);
    const widest = Math.max(1, ...this.rows.map((racks) => racks.length));
    this.grid.style.setProperty("--columns", widest);
    const loops = [...new Set(rows.map((row) => row.loop))];
    this.grid.replaceChildren(...loops.map((loop) => this.loop(loop, rows.filter((row) => row.loop === loop))));
    this.grid.dataset.racks = String(this.cells.size);
    if (this.cells.size && !this.cells.has(this.state.selected)) this.select(this.rows[0][0], false);
  }

  // Tell whether a rack was heard lately, by the clock of the live hall where one runs.
  isFresh(rack) {
    const { hall, ts } = this.state;
    return rack !== undefined && secondsOf(alive(hall) ? hall.ts : ts) - secondsOf(rack.ts) < STALE_S;
  }

  loop(loop, rows) {
    const group = make("div", { class: "loop", role: "rowgroup", "data-loop": loop ?? "", "aria-label": loop ? `Loop ${loop}` : null });
    group.append(...rows.map((row) => make(
      "div", { class: "row", role: "row" },
      make("span", { class: "row-name", role: "rowheader" }, row.name),
      ...row.racks.map((rack) => this.cell(rack)),
    )));
    return group;
  }

  cell(rack) {
    const cell = make("div", { class: "cell", role: "gridcell", tabindex: "-1", "data-rack": rack }, make("span", { class: "value" }));
    this.cells.set(rack, cell);
    return cell;
  }

  draw() {
    this.arrange();
    const channel = this.picker.value, { racks, limits } = this.state;
    const scale = this.scaleOf(channel);
    const shown = [...this.cells].map(([rack, cell]) => [cell, this.isFresh(racks.get(rack)) ? racks.get(rack) : undefined]);
    if (scale) scale.fit(shown.map(([, rack]) => rack?.[channel]).filter((value) => typeof value === "number"));
    for (const [cell, rack] of shown) this.drawCell(cell, rack, channel, scale, limits);
    this.drawLegend(channel, scale, limits);
    this.mark();
    byId("hall-empty").hidden = racks.size > 0;
    for (const part of [this.grid.parentElement, byId("told")]) part.hidden = racks.size === 0;
    Object.assign(this.grid.dataset, { channel, ts: this.state.ts ?? "" });
    if (this.pointed) this.tell(this.pointed);
  }

  scaleOf(channel) {
    if (!CHANNELS.includes(channel)) return null;
    if (!this.scales.has(channel)) this.scales.set(channel, new ChannelScale(unitOf(channel).replace("°C", "degC")));
    return this.scales.get(channel);
  }

  drawCell(cell, rack, channel, scale, limits) {
    const value = rack?.[channel] ?? null;
    const [ramp, t] = shade(channel, value, scale, limits);
    const print = `${value}|${t}|${this.state.alarmed.has(cell.dataset.rack)}`;
    if (cell.dataset.print === print && cell.dataset.ramp === ramp && cell.dataset.theme === paint(ramp, 1).fill) return;
    const painted = t === null ? null : paint(ramp, t);
    cell.style.backgroundColor = painted?.fill ?? "";
    cell.style.color = painted?.ink ?? "";
    cell.classList.toggle("blank", t === null);
    cell.classList.toggle("alarmed", this.state.alarmed.has(cell.dataset.rack));
    say(cell.firstChild, channel === "mms_state" ? (value ?? "").slice(0, 1) : short(channel, value));
    Object.assign(cell.dataset, { print, ramp, theme: paint(ramp, 1).fill, value: value ?? "", t: t === null ? "" : t.toFixed(3) });
    cell.setAttribute("aria-label", this.sentence(cell.dataset.rack, rack, channel));
  }

  sentence(name, rack, channel) {
    if (!rack) return `${name}: no sample lately`;
    const shown = channel === "mms_state" ? "" : `, ${nameOf(channel)} ${withUnit(channel, rack[channel])}`;
    const alarmed = this.state.alarmed.has(name) ? ", alarm open" : "";
    return `${name}${shown}${rack.mms_state ? `, ${rack.mms_state.toLowerCase()}` : ""}${alarmed}`;
  }

  drawLegend(channel, scale, limits) {
    const legend = byId("legend"), [words, bar] = legendOf(channel, scale, limits);
    const print = JSON.stringify([words, bar]);
    if (legend.dataset.print === print) return;
    legend.dataset.print = print;
    legend.setAttribute("aria-label", `Legend: ${words.map(([text]) => text).join(", ")}`);
    const strip = make("span", { class: "strip" });
    if (bar) strip.style.backgroundImage = gradient(bar);
    const marks = make("span", { class: "marks" }, ...words.map(([text, at]) => {
      const mark = make("span", {}, text);
      mark.style.left = `${100 * at}%`;
      if (at > 0 && at < 1) mark.className = "inner";
      else if (at === 1) mark.className = "last";
      return mark;
    }));
    legend.replaceChildren(...(bar ? [strip, marks] : [make("span", { class: "quiet" }, words[0]?.[0] ?? "")]));
  }

  // Show which rack is selected; it alone is in the order of the tab key.
  mark() {
    for (const [rack, cell] of this.cells) {
      const selected = rack === this.state.selected;
      cell.tabIndex = selected ? 0 : -1;
      cell.setAttribute("aria-selected", String(selected));
    }
  }

  chosen(event) {
    const cell = event.target.closest(".cell");
    if (!cell) return;
    this.select(cell.dataset.rack);
    cell.focus();
  }

  moved(event) {
    const cell = event.target.closest(".cell");
    if (!cell || event.altKey || event.ctrlKey || event.metaKey) return;
    const y = this.rows.findIndex((racks) => racks.includes(cell.dataset.rack)), x = this.rows[y].indexOf(cell.dataset.rack);
    const last = this.rows.length - 1, to = {
      ArrowLeft: [x - 1, y], ArrowRight: [x + 1, y], ArrowUp: [x, y - 1], ArrowDown: [x, y + 1],
      Home: [0, event.ctrlKey ? 0 : y], End: [this.rows[y].length - 1, y], PageUp: [x, 0], PageDown: [x, last],
    }[event.key];
    if (!to) return;
    event.preventDefault();
    const row = this.rows[Math.min(last, Math.max(0, to[1]))];
    const rack = row[Math.min(row.length - 1, Math.max(0, to[0]))];
    this.select(rack);
    this.cells.get(rack).focus();
  }

  // Tell a rack's readings beside it and under the hall.
  tell(cell) {
    const tip = byId("tip"), rack = cell && this.state.racks.get(cell.dataset.rack);
    this.pointed = rack ? cell : null;
    tip.hidden = !rack;
    if (!rack) return;
    tip.replaceChildren(
      make("strong", {}, cell.dataset.rack), make("span", { class: "quiet" }, ` ${minute(secondsOf(rack.ts))} ${rack.mms_state ?? "not scored"}`),
      make("dl", {}, ...TOLD.map((name) => make("div", {}, make("dt", {}, nameOf(name)), make("dd", {}, withUnit(name, rack[name]))))),
    );
    say(byId("told"), `${cell.dataset.rack}: ${["inlet_c", "outlet_c", "pdu_kw"].map((name) => `${nameOf(name)} ${withUnit(name, rack[name])}`).join(", ")}, ${(rack.mms_state ?? "not scored").toLowerCase()}`);
    place(tip, cell);
  }
}

const withUnitName = (name) => (unitOf(name) ? `${titleOf(name)}, ${unitOf(name)}` : titleOf(name));

// Rows as told by the layout, or made of the racks' names: R-A-07 is rack 07 of row A.
function arranged(layout, racks, isFresh) {
  const rows = layout?.rows ?? [], placed = new Set(rows.flatMap((row) => row.racks));
  const rest = [...racks.keys()].filter((rack) => !placed.has(rack) && isFresh(racks.get(rack)));
  return [...rows, ...byName(rest)];
}

function byName(racks) {
  const rows = new Map();
  for (const rack of racks) {
    const row = NAME.exec(rack)?.[1] ?? "";
    rows.set(row, [...(rows.get(row) ?? []), rack]);
  }
  return [...rows].map(([name, members]) => ({ name: name.replace(/^R-/, "") || "–", loop: null, racks: members.sort() }));
}

function shade(channel, value, scale, limits) {
  if (value === null) return ["channel", null];
  if (channel === "mms_state") return ["trouble", STATE_TROUBLE[value] ?? null];
  if (channel === "deviation") return ["trouble", limits ? troubleOf(value, limits) : null];
  return ["channel", scale.at(value)];
}

function legendOf(channel, scale, limits) {
  if (channel === "mms_state") {
    return limits ? [[["nominal", 0], ["transient, recovering", 0.45], ["persistent", 1]], "trouble"] : [[["no model scores these racks", 0]], null];
  }
  if (channel === "deviation") {
    if (!limits) return [[["no model scores these racks", 0]], null];
    const { tau_fast: fast, tau_persist: persist } = limits;
    return [[[`watch ${bare(channel, fast)}`, AT_FAST], [`high ${bare(channel, persist)}`, AT_PERSIST], [bare(channel, AT_MOST * persist), 1]], "trouble"];
  }
  if (scale.low === null) return [[["no reading yet", 0]], null];
  const middle = (scale.low + scale.high) / 2, unit = unitOf(channel);
  return [[[bare(channel, scale.low), 0], [bare(channel, middle), 0.5], [`${bare(channel, scale.high)} ${unit}`, 1]], "channel"];
}

function place(tip, cell) {
  const at = cell.getBoundingClientRect(), own = tip.getBoundingClientRect(), edge = 8;
  const below = at.bottom + edge + own.height < innerHeight;
  tip.style.left = `${Math.max(edge, Math.min(innerWidth - own.width - edge, at.left + at.width / 2 - own.width / 2))}px`;
  tip.style.top = `${below ? at.bottom + edge : Math.max(edge, at.top - own.height - edge)}px`;
}
