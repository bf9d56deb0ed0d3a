// The line at the top: clock, pace, and the hall's figures.

import { post } from "./api.js";
import { byId, figure, options, say } from "./dom.js";
import { clock, duration, number, speedText } from "./words.js";

const SPEEDS = [["1", "1×"], ["10", "10×"], ["60", "60×"], ["300", "300×"], ["1200", "1,200×"], ["3600", "3,600×"], ["", "as fast as it goes"]];
const BEHIND_S = 5;

export const speedOf = (text) => (text === "" ? null : Number(text));
export const alive = (hall) => hall?.state === "running" || hall?.state === "paused";

export class Top {
  constructor(state, refused) {
    this.state = state;
    options(byId("speed"), SPEEDS, "60");
    options(byId("run-speed"), SPEEDS, "60");
    const ask = async (path, body) => {
      try {
        this.state.hall = await post(path, body);
        this.draw();
      } catch (error) {
        refused(error);
      }
    };
    byId("pause").addEventListener("click", () => ask(this.state.hall?.state === "paused" ? "/hall/resume" : "/hall/pause"));
    byId("step").addEventListener("click", () => ask("/hall/step", { ticks: 1 }));
    byId("speed").addEventListener("change", () => ask("/hall/speed", { speed: speedOf(byId("speed").value) }));
  }

  draw() {
    const { hall, ts, alarms } = this.state, on = alive(hall), at = (on ? hall.ts : null) ?? ts;
    say(byId("hall-name"), nameOf(hall));
    say(byId("clock"), at ? clock(at) : "no data yet");
    byId("clock").dataset.value = at ?? "";
    say(byId("pause"), hall?.state === "paused" ? "Resume" : "Pause");
    for (const id of ["pause", "speed"]) byId(id).disabled = !on;
    byId("step").disabled = hall?.state !== "paused";
    if (on && document.activeElement !== byId("speed")) this.drawSpeed(hall.speed);
    say(byId("lag"), on && hall.lag_s > BEHIND_S ? `${duration(hall.lag_s)} behind` : "");
    figure(byId("pue"), number(on ? hall.pue : null, 2), on ? hall.pue : null);
    figure(byId("it"), power(on ? hall.it_kw : null), on ? hall.it_kw : null);
    figure(byId("cooling"), power(on ? hall.cooling_kw : null), on ? hall.cooling_kw : null);
    const tokens = on ? hall.tokens_ps : sum(this.state.racks, "tokens_ps");
    figure(byId("tokens"), tokens === null ? "–" : `${number(tokens, 0)} tokens/s`, tokens);
    const open = alarms === null ? null : [...alarms.values()].filter((alarm) => alarm.open).length;
    figure(byId("open-alarms"), open === null ? "–" : String(open), open);
    byId("open-alarms").classList.toggle("hot", open > 0);
  }

  drawSpeed(speed) {
    const text = speed === null ? "" : String(speed), select = byId("speed");
    if (![...select.options].some((option) => option.value === text)) options(select, [...SPEEDS, [text, speedText(speed)]], text);
    select.value = text;
  }
}

function nameOf(hall) {
  if (!hall || hall.state === "idle") return "no live hall";
  return `${hall.scenario}, ${hall.state}${hall.message ? `: ${hall.message}` : ""}`;
}

const power = (kw) => (kw === null || kw === undefined ? "–" : `${number(kw, kw < 100 ? 1 : 0)} kW`);

function sum(racks, channel) {
  const values = [...racks.values()].map((rack) => rack[channel]).filter((value) => typeof value === "number");
  return values.length ? values.reduce((total, value) => total + value, 0) : null;
}
