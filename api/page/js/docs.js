// Every route of the server from its own description: parameters, bodies and answers with their examples.

import { get } from "./api.js";
import { byId, make, say } from "./dom.js";
import { installTheme } from "./theme.js";

installTheme(byId("theme"));
const described = await get("/openapi.json");
say(byId("version"), described.info.version);

// The thing itself, where a description only points to it.
function whole(thing) {
  return thing?.$ref ? whole(thing.$ref.split("/").slice(1).reduce((at, key) => at[key.replaceAll("~1", "/")], described)) : thing;
}

function exampleOf(content) {
  if (!content) return undefined;
  const schema = whole(content.schema), named = Object.values(content.examples ?? {})[0];
  return content.example ?? named?.value ?? schema?.example ?? schema?.examples?.[0];
}

const shown = (example) => (typeof example === "string" ? example : JSON.stringify(example, null, 2));

function typeOf(schema) {
  const { type, anyOf, enum: choices, default: value } = whole(schema) ?? {};
  const of = choices ? choices.join(", ") : anyOf ? anyOf.map((one) => whole(one).type).join(" or ") : String(type ?? "");
  return value === undefined || value === null ? of : `${of}, ${JSON.stringify(value)} unless given`;
}

function route(path, method, told) {
  const body = Object.entries(told.requestBody?.content ?? {});
  return make(
    "details", { class: "route", "data-route": `${method.toUpperCase()} ${path}` },
    make("summary", {}, make("span", { class: `method ${method}` }, method.toUpperCase()), make("code", {}, path), make("span", { class: "quiet" }, firstLine(told.description ?? told.summary ?? ""))),
    make("div", { class: "body" }, more(told.description), parameters(told.parameters ?? []), ...body.map(([type, content]) => sample(`Send ${type}`, exampleOf(content))), call(path, method, body), ...answers(told.responses)),
  );
}

// What a description says after its first line, which stands above.
function more(description) {
  const text = (description ?? "").split("\n").slice(1).join("\n").trim();
  return text ? make("p", { class: "description" }, text) : null;
}

const firstLine = (text) => text.split("\n", 1)[0];

function parameters(all) {
  if (!all.length) return null;
  return make("table", {}, make("thead", {}, make("tr", {}, ...["Parameter", "In", "Type", "What"].map((head) => make("th", { scope: "col" }, head)))), make("tbody", {}, ...all.map(whole).map((one) => make(
    "tr", {}, make("th", { scope: "row" }, one.required ? `${one.name} (needed)` : one.name), make("td", {}, one.in), make("td", {}, typeOf(one.schema)), make("td", {}, one.description ?? whole(one.schema)?.description ?? ""),
  ))));
}

function sample(title, example) {
  return example === undefined ? null : make("figure", {}, make("figcaption", { class: "quiet" }, title), make("pre", { tabindex: "0" }, shown(example)));
}

function call(path, method, body) {
  const example = body.length ? exampleOf(body[0][1]) : undefined, address = `${location.origin}${path}`;
  const data = example === undefined ? "" : ` -H 'Content-Type: application/json' -d '${JSON.stringify(example)}'`;
  return sample("Try it", `curl${method === "get" ? "" : ` -X ${method.toUpperCase()}`} '${address}'${data}`);
}

function answers(responses) {
  return Object.entries(responses).flatMap(([status, told]) => {
    const contents = Object.entries(whole(told).content ?? {}), examples = contents.map(([type, content]) => [type, exampleOf(content)]).filter(([, example]) => example !== undefined);
    const title = `${status} ${whole(told).description ?? ""}`.trim();
    return examples.length ? examples.map(([type, example]) => sample(`${title}, ${type}`, example)) : [make("p", { class: "quiet" }, title)];
  });
}

const groups = new Map();
for (const [path, methods] of Object.entries(described.paths)) {
  for (const [method, told] of Object.entries(methods)) {
    const tag = told.tags?.[0] ?? "others";
    groups.set(tag, [...(groups.get(tag) ?? []), route(path, method, told)]);
  }
}
byId("routes").append(...[...groups].map(([tag, routes]) => make("section", { class: "panel" }, make("h2", {}, tag[0].toUpperCase() + tag.slice(1)), ...routes)));

function find() {
  const wanted = byId("find").value.trim().toLowerCase();
  let count = 0;
  for (const one of document.querySelectorAll(".route")) {
    one.hidden = !one.dataset.route.toLowerCase().includes(wanted);
    count += one.hidden ? 0 : 1;
  }
  for (const group of document.querySelectorAll("#routes > section")) group.hidden = !group.querySelector(".route:not([hidden])");
  say(byId("count"), `${count} routes`);
}

byId("find").addEventListener("input", find);
find();
document.documentElement.dataset.ready = "";
