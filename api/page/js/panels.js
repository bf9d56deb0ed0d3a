// What the monitor says, what was done to the hall, and how well it was noticed.

import { post } from "./api.js";
import { byId, list, make, say } from "./dom.js";
import { alive } from "./top.js";
import { bare, cause, dayAndMinute, duration, kindText, number, sensorsText } from "./words.js";

const MOST_ALARMS = 60;

export function drawAlarms(state, select, refused) {
  const alarms = [...(state.alarms?.values() ?? [])].sort((a, b) => Number(b.open) - Number(a.open) || b.opened.localeCompare(a.opened)).slice(0, MOST_ALARMS);
  const open = alarms.filter((alarm) => alarm.open).length;
  list(byId("alarm-list"), alarms, (alarm) => alarm.alarm_id, (alarm) => alarmItem(alarm, select, refused));
  say(byId("alarms-note"), alarms.length ? `${open} open, ${alarms.length - open} over` : "");
  say(byId("alarms-empty"), alarms.length ? "" : whyNoAlarm(state));
}

function whyNoAlarm(state) {
  if (!state.racks.size) return "No telemetry yet, so nothing to judge.";
  return state.limits ? "No alarm: every rack is as its load lets one expect." : "No model is active, so nothing judges the racks. Train one: POST /ims/train.";
}

function alarmItem(alarm, select, refused) {
  const acknowledge = make("button", { type: "button", class: "small", on: { click: async () => {
    try {
      await post(`/alarms/${alarm.alarm_id}/acknowledge`);
      acknowledge.replaceWith(make("span", { class: "quiet" }, "seen"));
    } catch (error) {
      refused(error);
    }
  } } }, "Acknowledge");
  const span = alarm.open ? `since ${dayAndMinute(alarm.onset)}` : `${dayAndMinute(alarm.onset)}, ${duration((Date.parse(alarm.end) - Date.parse(alarm.onset)) / 1000)}`;
  return make(
    "li", { class: alarm.open ? "alarm open" : "alarm over", "data-alarm": alarm.alarm_id, "data-rack": alarm.rack_id, "data-open": String(alarm.open) },
    make("button", { type: "button", class: "rack-link", on: { click: () => select(alarm.rack_id) } }, alarm.rack_id),
    make("span", { class: "what" }, alarm.sensors.length ? sensorsText(alarm.sensors) : cause(alarm.causes[0])),
    make("span", { class: "when quiet" }, `${span}, deviation up to ${bare("deviation", alarm.peak.deviation)}`),
    alarm.acknowledged ? make("span", { class: "quiet" }, "seen") : alarm.open ? acknowledge : make("span", {}),
  );
}

export function drawIncidents(state, select, refused, changed) {
  const incidents = [...(state.incidents ?? [])].sort((a, b) => b.planned_start.localeCompare(a.planned_start));
  list(byId("incident-list"), incidents, (incident) => incident.incident_id, (incident) => incidentItem(incident, refused, changed));
  say(byId("incidents-note"), incidents.length ? `${incidents.filter((i) => i.state === "active").length} active` : "");
  say(byId("incidents-empty"), incidents.length ? "" : alive(state.hall) ? "Nothing was struck that this server may tell. Strike something below." : "No live hall: what is posted here comes without its truth.");
}

function incidentItem(incident, refused, changed) {
  const end = make("button", { type: "button", class: "small", on: { click: async () => {
    try {
      await post(`/hall/incidents/${encodeURIComponent(incident.incident_id)}/end`);
      changed();
    } catch (error) {
      refused(error);
    }
  } } }, "End");
  const from = dayAndMinute(incident.planned_start), until = incident.planned_end ? ` to ${dayAndMinute(incident.planned_end)}` : "";
  const severity = typeof incident.severity === "number" ? `, severity ${number(incident.severity, 2)}` : "";
  return make(
    "li", { class: `incident ${incident.state}`, "data-incident": incident.incident_id, "data-state": incident.state },
    make("strong", {}, kindText(incident.kind)),
    make("span", { class: "what" }, `${incident.target.join(", ") || "the hall"}${severity}`),
    make("span", { class: "when quiet" }, `${incident.state}, ${from}${until}${incident.affected?.length ? `, ${incident.affected.length} racks` : ""}`),
    ["planned", "active"].includes(incident.state) ? end : make("span", {}),
  );
}

export function drawScoreboard(state) {
  const { contestants = [], incidents = [], message = null } = state.referee ?? {};
  byId("scores").hidden = !contestants.length;
  list(byId("score-rows"), contestants, (one) => one.name, scoreRow);
  list(byId("found-list"), incidents.toReversed(), (incident) => incident.incident_id, foundItem);
  const noticed = `${incidents.filter((incident) => incident.observable).length} incidents to be noticed`;
  say(byId("scoreboard-note"), contestants.length ? [noticed, message].filter(Boolean).join("; ") : "");
  say(byId("scoreboard-empty"), contestants.length ? "" : whyNobodyIsJudged(state.hall, message));
}

function whyNobodyIsJudged(hall, message) {
  if (!alive(hall)) return "No live hall: only there is the truth known that monitors are judged by.";
  const said = message ? `${message[0].toUpperCase()}${message.slice(1)}. ` : "";
  return `${said}Any monitor may take part: POST /referee/alarms.`;
}

// Who noticed an incident, and how long after it could be.
function foundItem(incident) {
  const by = incident.found_by.map((one) => `${one.contestant} after ${duration(one.delay_s)}`).join(", ");
  return make(
    "li", { class: "found", "data-found": incident.incident_id, "data-by": String(incident.found_by.length) },
    make("span", { class: "what" }, `${kindText(incident.kind)}, ${incident.target.join(", ")}`),
    make("span", { class: "when quiet" }, by || (incident.observable ? "noticed by nobody so far" : "cannot be noticed: nothing departs for 6 min")),
  );
}

function scoreRow(one) {
  const false_ = one.false_alarms_per_rack_day, hit = one.cause_hit, delay = one.delay_median_s;
  return make(
    "tr", { "data-contestant": one.name, "data-hits": String(one.incidents_found ?? 0) },
    make("th", { scope: "row" }, one.name),
    make("td", { title: interval(one.found_interval, (share) => `${number(100 * share, 0)} %`) }, one.incidents_observable ? `${one.incidents_found} of ${one.incidents_observable}` : "–"),
    make("td", { title: interval(one.delay_median_interval_s, duration) }, delay === null || delay === undefined ? "–" : duration(delay)),
    make("td", { title: interval(one.false_alarms_interval, (per) => number(per, 2)) }, typeof false_ === "number" ? number(false_, 2) : "–"),
    make("td", { title: interval(one.cause_hit_interval, (share) => `${number(100 * share, 0)} %`) }, typeof hit === "number" ? `${number(100 * hit, 0)} %` : "–"),
  );
}

const interval = (ends, words) => (ends?.every((end) => end !== null) ? `95 %: ${words(ends[0])} to ${words(ends[1])}` : null);
