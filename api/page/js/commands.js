// Striking the hall, acting on it, starting and stopping it, keeping what was done.

import { get, getIfThere, getText, post } from "./api.js";
import { byId, list, make, options, say } from "./dom.js";
import { alive, speedOf } from "./top.js";
import { dayAndMinute, kindText, number } from "./words.js";

const ACTIONS = {
  increase_batch_window: ["Requests wait longer for company: fewer, fuller batches.", { delta_ms: 20 }],
  decrease_fan_rpm: ["All rack fans slower.", { delta_pct: 5 }],
  increase_supply_temp: ["Warmer supply: the chillers work less.", { delta_c: 1 }],
  shift_traffic_to_cool_row: ["Requests move from warm racks to these (names, with commas).", { traffic_pct: 10, target_racks: "" }],
  pause_low_priority_jobs: ["Jobs under a priority wait.", { priority_threshold: 3, max_pause_pct: 20 }],
  increase_cdu_pump: ["The loops' pumps faster.", { delta_pct: 5 }],
};
const WORDS = {
  delta_ms: "By, ms", delta_pct: "By, % of full speed", delta_c: "By, K", traffic_pct: "Traffic, %", target_racks: "Racks",
  priority_threshold: "Priority under", max_pause_pct: "At most, %",
};

export class Commands {
  constructor(state, changed) {
    this.state = state;
    this.changed = changed;
    this.kinds = new Map();
    installTabs();
    byId("strike-kind").addEventListener("change", () => this.chooseKind());
    byId("act-action").addEventListener("change", () => this.chooseAction());
    options(byId("act-action"), Object.keys(ACTIONS).map((name) => [name, kindText(name)]));
    this.chooseAction();
    this.on("strike", "submit", () => this.strike());
    this.on("act", "submit", () => this.act(byId("act-action").value, values(byId("act-parameters"))));
    this.on("run", "submit", () => this.start(this.startBody()));
    this.on("keep", "submit", () => this.keep());
    this.on("act", "click", () => this.propose(), byId("propose"));
    this.on("run", "click", () => this.stop(), byId("stop"));
    this.on("act", "change", () => this.setMode(), byId("mode"));
    byId("quick-start").addEventListener("click", () => {
      document.getElementById("tab-run").click();
      this.attempt(byId("run"), () => this.start({ scenario: "week", speed: 60 }));
    });
  }

  on(form, event, does, element = byId(form)) {
    element.addEventListener(event, (happened) => {
      if (event === "submit") happened.preventDefault();
      this.attempt(byId(form), does);
    });
  }

  // Do it and say how it went beside the form.
  async attempt(form, does) {
    const answer = form.querySelector(".answer");
    try {
      say(answer, (await does()) ?? "");
      delete answer.dataset.wrong;
    } catch (error) {
      answer.dataset.wrong = "";
      say(answer, error.message);
    }
  }

  async load() {
    const [told, mode, scenarios] = await Promise.all([get("/hall/kinds"), getIfThere("/mode"), get("/hall/scenarios")]);
    byId("scenarios").replaceChildren(...scenarios.scenarios.map(({ name, text }) => make("option", { value: name }, text)));
    this.kinds = new Map(told.kinds.map((kind) => [kind.kind, kind]));
    options(byId("strike-kind"), [...this.kinds.keys()].map((kind) => [kind, kindText(kind)]), this.kinds.has("pump_trip") ? "pump_trip" : undefined);
    if (mode) byId("mode").value = mode.mode;
    this.chooseKind();
    this.draw();
    await this.loadActions();
  }

  async loadActions() {
    const told = await getIfThere("/actions/log?limit=20");
    list(byId("action-list"), told?.actions ?? [], (action) => action.id, actionItem);
  }

  draw() {
    const on = alive(this.state.hall);
    byId("strike").querySelector("[type=submit]").disabled = !on || !this.kinds.size;
    byId("stop").disabled = !on;
    byId("run").querySelector("[type=submit]").disabled = on;
    byId("keep").querySelector("[type=submit]").disabled = !this.state.hall || this.state.hall.state === "idle";
    const print = JSON.stringify([this.state.layout, on]);
    if (print !== this.print) {
      this.print = print;
      this.chooseKind();
    }
  }

  chooseKind() {
    const kind = this.kinds.get(byId("strike-kind").value);
    if (!kind) return;
    say(byId("strike-line"), alive(this.state.hall) ? kind.explanation : `${kind.explanation}. No live hall to strike yet: start one under Run.`);
    const targets = targetsOf(kind, this.state.layout);
    options(byId("strike-target"), kind.target_needed ? targets : [["", "as the kind has it"], ...targets]);
    this.aim();
    byId("strike-severity").value = kind.severity;
    byId("strike-minutes").value = kind.duration_s / 60;
    fields(byId("strike-parameters"), kind.parameters, (name) => wordsOf(name, kind.parameters[name]));
  }

  // Aim at the selected rack, or at its row or loop.
  aim() {
    const { layout, selected } = this.state, row = layout?.rows.find((one) => one.racks.includes(selected)), select = byId("strike-target");
    const near = [`rack:${selected}`, `row:${row?.name}`, `loop:${row?.loop}`].find((target) => [...select.options].some((option) => option.value === target));
    if (near && select.options[0].value !== "") select.value = near;
  }

  chooseAction() {
    const [line, parameters] = ACTIONS[byId("act-action").value];
    say(byId("act-line"), line);
    fields(byId("act-parameters"), parameters, (name) => WORDS[name]);
  }

  async strike() {
    const kind = byId("strike-kind").value, target = byId("strike-target").value, severity = byId("strike-severity").value, minutes = byId("strike-minutes").value;
    const told = await post("/hall/incidents", {
      kind, ...(target ? { target } : {}), ...(severity ? { severity: Number(severity) } : {}),
      ...(minutes ? { duration: `${Math.round(Number(minutes) * 60)}s` } : {}), ...changedOnly(byId("strike-parameters")),
    });
    this.changed();
    return `${kindText(kind)} from ${dayAndMinute(told.ts)}`;
  }

  async act(action, params) {
    const told = await post("/actions/apply", { action, params, reason: "by hand" });
    await this.loadActions();
    return `${kindText(action)}: ${told.status}. ${told.execution_result?.message ?? ""}`;
  }

  async propose() {
    const told = await post("/optimizer/tick");
    const proposals = told.proposals ?? [];
    if (!proposals.length) return told.message ?? "Nothing to propose now.";
    const [best] = proposals;
    byId("act-action").value = best.action;
    this.chooseAction();
    for (const [name, value] of Object.entries(best.params)) {
      const field = byId("act-parameters").querySelector(`[name="${CSS.escape(name)}"]`);
      if (field) field.value = Array.isArray(value) ? value.join(",") : value;
    }
    return `${kindText(best.action)}: ${best.reason}; an estimated ${number(best.pred_saving_pct, 1)} % saved`;
  }

  async setMode() {
    return (await post("/mode", { mode: byId("mode").value })).message;
  }

  startBody() {
    const seed = byId("run-seed").value, duration = byId("run-duration").value.trim();
    return {
      scenario: byId("run-scenario").value.trim(), speed: speedOf(byId("run-speed").value),
      ...(seed === "" ? {} : { seed: Number(seed) }), ...(duration ? { duration } : {}),
    };
  }

  async start(body) {
    const hall = await post("/hall/start", body);
    this.state.hall = hall;
    await this.load();
    this.changed();
    return `${hall.scenario} is running`;
  }

  async stop() {
    const hall = await post("/hall/stop");
    this.state.hall = hall;
    this.changed();
    return `${hall.scenario ?? "the hall"}: ${hall.state}`;
  }

  async keep() {
    const text = await getText("/hall/scenario"), name = `${(this.state.hall?.scenario ?? "live").replace(/[^A-Za-z0-9_-]/g, "_")}_live.yaml`;
    const url = URL.createObjectURL(new Blob([text], { type: "application/yaml" }));
    make("a", { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
    return `saved as ${name}`;
  }
}

function installTabs() {
  const tabs = [...document.querySelectorAll("#commands [role=tab]")];
  const show = (chosen) => {
    for (const tab of tabs) {
      tab.setAttribute("aria-selected", String(tab === chosen));
      tab.tabIndex = tab === chosen ? 0 : -1;
      byId(tab.getAttribute("aria-controls")).hidden = tab !== chosen;
    }
  };
  for (const [i, tab] of tabs.entries()) {
    tab.addEventListener("click", () => show(tab));
    tab.addEventListener("keydown", (event) => {
      const to = { ArrowLeft: i - 1, ArrowRight: i + 1, Home: 0, End: tabs.length - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      const next = tabs[(to + tabs.length) % tabs.length];
      next.focus();
      show(next);
    });
  }
}

// Targets of the classes that a kind may strike, as a scenario names them.
function targetsOf(kind, layout) {
  const rows = layout?.rows ?? [], found = [];
  for (const level of kind.targets ?? []) {
    if (level === "loop") found.push(...(layout?.loops ?? []).map((name) => `loop:${name}`));
    else if (level === "row") found.push(...rows.map((row) => `row:${row.name}`));
    else if (level === "rack") found.push(...rows.flatMap((row) => row.racks).map((name) => `rack:${name}`));
    else found.push(level);
  }
  return found.map((target) => [target, target.replace(":", " ")]);
}

const wordsOf = (name, told) => (told.unit ? `${kindText(name)}, ${told.unit}` : told.text ? `${kindText(name)}: ${told.text}` : kindText(name));

// A field for each parameter: {default} or a bare default, with the choices where there are some.
function fields(place, parameters, words) {
  place.replaceChildren(...Object.entries(parameters).map(([name, told]) => {
    const { default: value, choices, low, high } = told !== null && typeof told === "object" ? told : { default: told };
    const text = String(value ?? ""), numeric = typeof value === "number";
    const field = choices
      ? make("select", { name }, ...choices.map((choice) => make("option", { value: choice }, choice)))
      : make("input", { name, type: numeric ? "number" : "text", step: numeric ? "any" : null, min: low, max: high, inputmode: numeric ? "decimal" : null });
    field.value = field.dataset.default = text;
    return make("label", {}, words(name), " ", field);
  }));
}

const fieldsOf = (place) => [...place.querySelectorAll("input, select")];
const values = (place) => Object.fromEntries(fieldsOf(place).filter((field) => field.value !== "").map((field) => [field.name, valueOf(field)]));
const changedOnly = (place) => Object.fromEntries(fieldsOf(place).filter((field) => field.value !== field.dataset.default).map((field) => [field.name, valueOf(field)]));

function valueOf(field) {
  if (field.type === "number") return Number(field.value);
  const parts = field.value.split(",").map((part) => part.trim()).filter(Boolean);
  return field.name === "target_racks" || parts.length > 1 ? parts : field.value;
}

function actionItem(action) {
  const saved = typeof action.realized_saving_pct === "number" ? `, saved ${number(action.realized_saving_pct, 1)} %` : "";
  return make("li", { class: "action" }, make("span", { class: "what" }, kindText(action.action)), make("span", { class: "when quiet" }, `${dayAndMinute(action.ts)}, ${action.status}${saved}`));
}
