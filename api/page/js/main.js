// The page: what is known, kept up to date by the stream, and drawn.

import { follow, get, getIfThere } from "./api.js";
import { Commands } from "./commands.js";
import { byId, say } from "./dom.js";
import { Hall } from "./hall.js";
import { drawAlarms, drawIncidents, drawScoreboard } from "./panels.js";
import { Rack } from "./rack.js";
import { installTheme } from "./theme.js";
import { Top } from "./top.js";
import { learnChannels } from "./words.js";

const state = {
  racks: new Map(), ts: null, limits: null, layout: null, hall: null, selected: null,
  alarms: null, alarmed: new Set(), incidents: null, referee: null,
};

const select = (rack, byHand = true) => {
  if (rack === state.selected) return;
  state.selected = rack;
  hall.mark();
  commands.aim();
  if (byHand) history.replaceState(null, "", `#${encodeURIComponent(rack)}`);
  clearTimeout(select.soon); // arrow keys held down: only the last one is fetched
  select.soon = setTimeout(() => rackPanel.show(rack).catch(refused), 60);
};

const refused = (error) => {
  say(byId("link"), error.message);
  byId("link").dataset.state = "refused";
};

const hall = new Hall(state, select);
const rackPanel = new Rack(state);
const top_ = new Top(state, refused);
const commands = new Commands(state, () => ask.all());

// Ask again no sooner than `least` ms after the last answer, however often something happens; a hidden page asks every 15 s.
function calmly(least, does) {
  let last = -Infinity, timer = null, busy = false, again = false;
  const go = async () => {
    timer = null;
    busy = true;
    again = false;
    try {
      await does();
      showLink();
    } catch (error) {
      refused(error);
    }
    busy = false;
    last = performance.now();
    if (again) later();
  };
  const later = () => {
    again = true;
    if (!busy) timer ??= setTimeout(go, Math.max(0, (document.hidden ? 15_000 : least) - (performance.now() - last)));
  };
  return later;
}

const ask = {
  racks: calmly(1000, async () => {
    const told = await get("/racks");
    state.ts = told.ts;
    state.limits = told.limits;
    state.racks = new Map(told.racks.map((rack) => [rack.rack_id, rack]));
    hall.draw();
    top_.draw();
    drawAlarms(state, select, refused);
    await rackPanel.update();
    document.documentElement.dataset.ready = "";
  }),
  alarms: calmly(1000, async () => {
    const told = await get("/alarms?limit=100");
    state.alarms = new Map(told.alarms.map((alarm) => [alarm.alarm_id, alarm]));
    drawAlarmed();
  }),
  hall: calmly(1000, async () => {
    [state.hall, state.layout] = await Promise.all([getIfThere("/hall"), getIfThere("/hall/layout")]);
    learnChannels(state.layout?.channels);
    hall.draw();
    drawHall();
  }),
  incidents: calmly(1000, async () => {
    state.incidents = (await getIfThere("/hall/incidents"))?.incidents ?? null;
    drawIncidents(state, select, refused, ask.incidents);
  }),
  referee: calmly(10_000, async () => {
    state.referee = await getIfThere("/referee");
    drawScoreboard(state);
  }),
  all: () => {
    for (const name of ["hall", "racks", "alarms", "incidents", "referee"]) ask[name]();
  },
};

function drawHall() {
  top_.draw();
  commands.draw();
  drawIncidents(state, select, refused, ask.incidents);
  drawScoreboard(state);
}

function drawAlarmed() {
  state.alarmed = new Set([...state.alarms.values()].filter((alarm) => alarm.open).map((alarm) => alarm.rack_id));
  drawAlarms(state, select, refused);
  hall.draw();
  top_.draw();
}

const TOLD = {
  tick: () => ask.racks(),
  scores: () => ask.racks(),
  alarm: (alarm) => {
    state.alarms ??= new Map();
    state.alarms.set(alarm.alarm_id, alarm);
    drawAlarmed();
    ask.referee();
  },
  hall: (told) => {
    const before = state.hall;
    state.hall = told;
    if (before?.state !== told.state || before?.scenario !== told.scenario) ask.all();
    drawHall();
    ask.incidents();
    ask.referee();
  },
  command: () => {
    ask.incidents();
    ask.hall();
    commands.loadActions().catch(refused);
  },
  referee: (told) => {
    state.referee = told;
    drawScoreboard(state);
  },
};

let isLinked = false;

function linked(yes) {
  isLinked = yes;
  showLink();
  if (yes) ask.all();
}

function showLink() {
  say(byId("link"), isLinked ? "live" : "reconnecting");
  byId("link").dataset.state = isLinked ? "live" : "broken";
}

installTheme(byId("theme"));
if (location.hash.length > 1) state.selected = decodeURIComponent(location.hash.slice(1));
if (state.selected) rackPanel.show(state.selected).catch(refused);
addEventListener("hashchange", () => select(decodeURIComponent(location.hash.slice(1)), false));
document.addEventListener("visibilitychange", () => document.hidden || ask.all());
get("/").then((told) => say(byId("version"), `${told.service} ${told.version}`)).catch(refused);
commands.load().catch(refused);
follow("/stream", (kind, data) => TOLD[kind]?.(data), linked);
