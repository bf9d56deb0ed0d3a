// The pictures of a report, from the data in the page. Names are only ever text.
"use strict";
(async () => {
  const byId = (id) => document.getElementById(id);
  const D = JSON.parse(byId("data").textContent), R = D.racks.length, B = D.bins;
  const KNOWN = ["high_load", "thermal_event", "under_utilized", "overcooled", "nominal"];
  const RAMP = ["#30388f", "#2f78b3", "#4bb0a9", "#c9dc8b", "#f7c95c", "#ee7f3b", "#c2263a"].map((hex) => [1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16)));
  const ANOMALOUS = 16, FAULTY = 32, SENSOR = 64;

  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }

  // What the page holds: deflated bytes in base64; numbers of two bytes with all low bytes first.
  async function bytesOf(text) {
    const packed = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    const opened = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(opened).arrayBuffer());
  }
  async function wordsOf(text) {
    const bytes = await bytesOf(text), n = bytes.length / 2, words = new Uint16Array(n);
    for (let i = 0; i < n; i++) words[i] = bytes[i] | (bytes[n + i] << 8);
    return words;
  }
  async function unpacked(packed, racks) {
    const low = await wordsOf(packed.low), high = packed.more ? await wordsOf(packed.more) : null;
    for (let r = 0; r < racks; r++) for (let b = 1, i = r * B + 1; b < B; b++, i++) low[i] += low[i - 1];
    if (high) for (let i = 0; i < low.length; i++) high[i] += low[i];
    const value = (of) => (i) => (of[i] ? packed.from + packed.step * (of[i] - 1) : null);
    return { low: value(low), high: value(high ?? low), step: packed.step };
  }
  const hall = {}, twin = {};
  for (const channel of D.channels) hall[channel.name] = await unpacked(D.hall[channel.name], R);
  for (const [name, packed] of Object.entries(D.twin?.channels ?? {})) twin[name] = await unpacked(packed, D.twin.racks.length);
  const state = D.state ? await bytesOf(D.state) : null;
  const channelOf = Object.fromEntries(D.channels.map((channel) => [channel.name, channel]));
  const profileAt = (i) => D.profiles[state[i] & 15];
  const racksOf = (incident) => (incident.racks === "all" ? D.racks.map((_, rack) => rack) : incident.racks);

  const selected = { bin: 0, rack: 0, channel: channelOf.inlet_c ? "inlet_c" : D.channels[0].name };
  const seconds = (bin) => D.start + bin * D.width * D.tick, binAt = (s) => Math.floor((s - D.start) / (D.width * D.tick));
  const middle = (bin) => seconds(bin) + ((Math.min(D.width, D.ticks - bin * D.width) - 1) / 2) * D.tick;
  const instant = (s) => new Date(s * 1000).toISOString().replace("T", " ").slice(0, 16);
  const text = (value, channel) => (value === null ? "–" : value.toLocaleString("en", { minimumFractionDigits: channel.decimals, maximumFractionDigits: channel.decimals }));
  const unit = (channel) => channel.unit.replace("degC", "°C");

  // Colours of the style sheet, for canvases.
  const probe = document.body.appendChild(make("span", { hidden: "" }));
  let colours = new Map();
  function colour(name) {
    if (!colours.has(name)) {
      probe.style.color = `var(--${name})`;
      colours.set(name, getComputedStyle(probe).color);
    }
    return colours.get(name);
  }
  const profileColour = (name) => colour(KNOWN.includes(name) ? name : "custom");
  const faint = (rgb, part) => rgb.replace(/rgba?\(([^)]*)\)/, (_, of) => `rgb(${of.split(/[ ,/]+/).slice(0, 3).join(" ")} / ${part})`);
  function ramp(t) {
    const at = Math.min(1, Math.max(0, t)) * (RAMP.length - 1), k = Math.min(Math.floor(at), RAMP.length - 2);
    return RAMP[k].map((from, i) => Math.round(from + (at - k) * (RAMP[k + 1][i] - from)));
  }
  const numbers = (rgb) => rgb.match(/[\d.]+/g).slice(0, 3).map(Number);

  // The colour of a rack in a bin, as three numbers, or null without a reading.
  function painter() {
    if (selected.channel === "profile") {
      const of = D.profiles.map((profile) => numbers(profileColour(profile.name)));
      return (i) => of[state[i] & 15];
    }
    if (selected.channel === "labels") {
      const calm = numbers(colour("nominal")), of = [[SENSOR, numbers(colour("twin"))], [FAULTY, numbers(colour("trouble"))], [ANOMALOUS, numbers(colour("high_load"))]];
      return (i) => of.find(([bit]) => state[i] & bit)?.[1] ?? calm;
    }
    const { low, high } = hall[selected.channel], [least, typical, most] = channelOf[selected.channel].ends;
    const span = most > least ? most - least : 1;
    return (i) => {
      const a = low(i), b = high(i);
      return a === null ? null : ramp(((typical - a > b - typical ? a : b) - least) / span);
    };
  }

  function legend() {
    const place = byId("legend");
    if (selected.channel === "profile") {
      const names = D.profiles.map((p) => make("span", {}, swatch(profileColour(p.name)), p.name));
      return place.replaceChildren(make("span", { class: "names" }, ...names));
    }
    if (selected.channel === "labels") {
      const names = [["nominal", "normal"], ["high_load", "anomalous by profile"], ["trouble", "a fault is observed"], ["twin", "a sensor is faulty"]];
      return place.replaceChildren(make("span", { class: "names" }, ...names.map(([c, what]) => make("span", {}, swatch(colour(c)), what))));
    }
    const channel = channelOf[selected.channel], strip = make("span", { class: "strip" });
    strip.style.background = `linear-gradient(to right, ${RAMP.map((c) => `rgb(${c.join(" ")})`).join(", ")})`;
    return place.replaceChildren(text(channel.ends[0], channel), strip, `${text(channel.ends[2], channel)} ${unit(channel)}`);
  }
  function swatch(of) {
    const made = make("i");
    made.style.background = of;
    return made;
  }

  // A canvas as sharp as the screen; gives its context and its size in pixels of the page.
  function sized(canvas, height) {
    const width = canvas.parentElement.clientWidth, ratio = Math.max(2, devicePixelRatio || 1);
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.height = `${height}px`;
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    context.font = "12px system-ui, sans-serif";
    return { context, width, height };
  }

  // Where each rack is drawn at one time: rows of the hall beneath each other, in as many columns as fit.
  let places = [];
  function placed(width) {
    const rows = D.rows.map((name, k) => [name, D.rowOf.flatMap((row, rack) => (row === k ? [rack] : []))]);
    const longest = Math.max(...rows.map(([, racks]) => racks.length)), across = Math.min(longest, 60);
    const lines = rows.flatMap(([name, racks]) => Array.from({ length: Math.ceil(racks.length / across) }, (_, k) => [k ? "" : name, racks.slice(k * across, (k + 1) * across)]));
    let columns = 1;
    while (columns < lines.length && Math.ceil(lines.length / columns) * Math.min(26, width / columns / (across + 2)) > 0.75 * width) columns++;
    const label = Math.min(40, 12 + 7 * Math.max(...D.rows.map((name) => name.length))), block = width / columns;
    const cell = Math.min(220, (block - label - 2) / across), deep = Math.ceil(lines.length / columns), tall = Math.max(5, Math.min(62, Math.max(cell, 360 / deep)));
    const names = [];
    places = Array(R).fill(null);
    lines.forEach(([name, racks], k) => {
      const x = Math.floor(k / deep) * block, y = (k % deep) * tall;
      if (name) names.push([name, x, y + tall / 2]);
      racks.forEach((rack, i) => (places[rack] = [x + label + i * cell, y, cell, tall]));
    });
    return { height: deep * tall + 2, names };
  }

  function drawNow() {
    const canvas = byId("now"), { height, names } = placed(canvas.parentElement.clientWidth), { context } = sized(canvas, height), paint = painter();
    context.fillStyle = colour("muted");
    context.textBaseline = "middle";
    for (const [name, x, y] of names) context.fillText(name.slice(0, 6), x, y);
    places.forEach(([x, y, w, h], rack) => {
      const rgb = paint(rack * B + selected.bin), gap = w > 8 ? 1.5 : 0.5;
      context.fillStyle = rgb ? `rgb(${rgb.join(" ")})` : colour("raised");
      context.fillRect(x, y + gap, w - gap, h - 2 * gap);
      if (rgb && w > 36 && h > 16) told(context, shownValue(rack), rgb, x + w / 2, y + h / 2);
      if (state && state[rack * B + selected.bin] & (FAULTY | SENSOR)) dot(context, x + w - gap - 5, y + gap + 5, Math.max(0.5, Math.min(3, w / 5)));
    });
    const [x, y, w, h] = places[selected.rack];
    frame(context, x - 0.5, y, w, h, "ink", 2);
    Object.assign(canvas.dataset, { bin: String(selected.bin), rack: D.racks[selected.rack], value: shownValue(selected.rack) });
  }
  function told(context, value, rgb, x, y) {
    const [r, g, b] = rgb, short = /^-?[\d.]+$/.test(value) ? brief(Number(Number(value).toPrecision(3))) : "";
    context.fillStyle = 0.299 * r + 0.587 * g + 0.114 * b > 140 ? "#10181d" : "#ffffff";
    context.textAlign = "center";
    if (selected.channel !== "labels") context.fillText(short, x, y);
    context.textAlign = "start";
  }
  function dot(context, x, y, radius) {
    context.fillStyle = "#ffffff";
    context.strokeStyle = "#10181d";
    context.lineWidth = 1.2;
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.fill();
    context.stroke();
  }
  function frame(context, x, y, w, h, name, width) {
    context.strokeStyle = colour(name);
    context.lineWidth = width;
    context.strokeRect(x + width / 2, y + width / 2, Math.max(1, w - width), Math.max(1, h - width));
  }

  // All racks over all time: a pixel for each rack and bin, stretched.
  let picture = null;
  const LEFT = 44, BELOW = 20;
  function drawAll(anew) {
    const tall = Math.max(300, Math.min(560, R * 5)), canvas = byId("all"), { context, width } = sized(canvas, tall + BELOW);
    if (anew || !picture) picture = pixels();
    context.imageSmoothingEnabled = R > 2 * tall;
    context.drawImage(picture, LEFT, 0, width - LEFT, tall);
    context.fillStyle = colour("muted");
    context.textBaseline = "top";
    let free = -20;
    D.rowOf.forEach((row, rack) => {
      const y = (rack / R) * tall;
      if ((rack && D.rowOf[rack - 1] === row) || y < free + 13) return;
      context.fillText(D.rows[row].slice(0, 6), 2, y);
      context.fillRect(LEFT - 8, y, 8, 0.7);
      free = y;
    });
    for (const incident of D.incidents) {
      if (incident.onset === null) continue;
      const from = Math.max(0, binAt(incident.onset)), until = Math.min(B, binAt(incident.gone ?? seconds(B)) + 1), scale = (width - LEFT) / B;
      for (const [first, last] of stretches(racksOf(incident))) frame(context, LEFT + from * scale - 1, (first / R) * tall - 1, Math.max(4, (until - from) * scale + 2), ((last - first + 1) / R) * tall + 2, "ink", 1.2);
    }
    axis(context, LEFT, width, tall);
    const x = LEFT + ((selected.bin + 0.5) / B) * (width - LEFT);
    context.fillStyle = colour("ink");
    context.fillRect(x - 0.75, 0, 1.5, tall + 4);
    context.fillRect(LEFT - 8, ((selected.rack + 0.5) / R) * tall - 1, 8, 2);
  }
  function pixels() {
    const made = document.createElement("canvas"), paint = painter();
    made.width = B;
    made.height = R;
    const context = made.getContext("2d"), image = context.createImageData(B, R);
    for (let i = 0; i < R * B; i++) {
      const rgb = paint(i);
      if (rgb) image.data.set([...rgb, 255], 4 * i);
    }
    context.putImageData(image, 0, 0);
    return made;
  }
  function* stretches(racks) {
    for (let i = 0, first = racks[0]; i < racks.length; i++) {
      if (racks[i + 1] === racks[i] + 1) continue;
      yield [first, racks[i]];
      first = racks[i + 1];
    }
  }
  function axis(context, left, width, y) {
    const from = seconds(0), until = seconds(B), steps = [60, 300, 900, 1800, 3600, 7200, 14400, 28800, 86400, 172800, 604800, 2419200];
    const step = steps.find((s) => ((until - from) / s) * 74 < width - left) ?? 7776000;
    context.textAlign = "center";
    context.textBaseline = "top";
    context.fillStyle = colour("muted");
    for (let s = Math.ceil(from / step) * step; s < until; s += step) {
      const x = left + ((s - from) / (until - from)) * (width - left), label = step < 86400 && s % 86400 ? instant(s).slice(11) : instant(s).slice(5, 10);
      context.fillRect(x - 0.35, y, 0.7, 4);
      if (x > left + 16 && x < width - 16) context.fillText(label, x, y + 6);
    }
    context.textAlign = "start";
  }

  // The selected rack over time.
  const plots = new Map();
  function shownValue(rack) {
    const i = rack * B + selected.bin;
    if (selected.channel === "profile") return profileAt(i).name;
    if (selected.channel === "labels") return String(state[i] >> 4);
    const value = hall[selected.channel].high(i);
    return value === null ? "" : String(Number(value.toFixed(channelOf[selected.channel].decimals)));
  }
  function seriesOf(name) {
    const { low, high, step } = hall[name], at = selected.rack * B, bins = [...Array(B).keys()], of = D.twin?.racks.indexOf(selected.rack) ?? -1;
    const range = (end) => bins.map((b) => (state ? (profileAt(at + b).ranges[name]?.[end] ?? null) : null));
    const apart = (b) => of >= 0 && twin[name] && b >= 0 && b < B && !(Math.abs((low(at + b) + high(at + b)) / 2 - twin[name].low(of * B + b)) <= 2 * step);
    const beside = bins.map((b) => (apart(b - 1) || apart(b) || apart(b + 1) ? twin[name].low(of * B + b) : null));
    return [bins.map(middle), range(0), range(1), beside, bins.map((b) => low(at + b)), bins.map((b) => high(at + b))];
  }
  function drawRack() {
    for (const plot of plots.values()) plot.destroy();
    plots.clear();
    const mine = D.incidents.filter((incident) => racksOf(incident).includes(selected.rack));
    byId("charts").replaceChildren(...D.channels.map((channel) => make("figure", { class: "chart", "data-channel": channel.name }, make("figcaption", {}, make("span", {}, channel.title), make("output")), make("div", { class: "plot" }))));
    for (const channel of D.channels) {
      const holder = byId("charts").querySelector(`[data-channel="${CSS.escape(channel.name)}"]`), data = seriesOf(channel.name);
      const options = chart(holder, channel, { x: { time: true }, y: { range: (u, low, high) => widened(...limits(u, low, high)) } });
      options.series.push(line(null, 0), line(null, 0), line("twin", 1.8), line("data", 1), line("data", 1));
      options.bands = [{ series: [2, 1], fill: colour("band") }, { series: [5, 4], fill: colour("spread") }];
      options.hooks.drawClear = [(u) => shade(u, mine)];
      options.hooks.setCursor = [(u) => caption(holder, channel, u)];
      plots.set(channel.name, new uPlot(options, data, holder.querySelector(".plot")));
      const last = data[5].findLast((value) => value !== null);
      Object.assign(holder.dataset, { points: String(B), last: last === undefined ? "" : String(Number(last.toFixed(channel.decimals))), twin: String(data[3].some((value) => value !== null)) });
    }
    key(mine);
    byId("which").value = String(selected.rack);
    byId("rack").dataset.rack = D.racks[selected.rack];
  }
  // What of the readings is in view; the profile's ranges may be cut off.
  function limits(u, low, high) {
    const [from, until] = u.series[0].idxs ?? [0, B - 1];
    let least = Infinity, most = -Infinity;
    for (const k of [3, 4, 5]) for (let i = from; i <= until; i++) {
      const value = u.data[k][i];
      if (value !== null && value !== undefined) [least, most] = [Math.min(least, value), Math.max(most, value)];
    }
    return least <= most ? [least, most] : [low ?? 0, high ?? 1];
  }
  const widened = (low, high) => {
    const more = high > low ? 0.06 * (high - low) : Math.max(0.5, 0.05 * Math.abs(high));
    return [low - more, high + more];
  };
  const line = (name, width, dash) => ({ stroke: name ? colour(name) : "transparent", width, dash, points: { show: false }, spanGaps: false });
  const brief = (value) => (Math.abs(value) >= 10000 ? `${Math.round(value / 1000)}k` : String(Number(value.toPrecision(4))));
  function chart(holder, channel, scales) {
    const place = holder.querySelector(".plot"), ink = { stroke: colour("muted"), font: "12px system-ui, sans-serif", ticks: { show: false }, grid: { stroke: colour("line"), width: 1 } };
    return {
      width: place.clientWidth, height: place.clientHeight, legend: { show: false }, padding: [6, 8, 0, 0], scales,
      tzDate: (s) => uPlot.tzDate(new Date(s * 1000), "Etc/UTC"),
      cursor: { y: false, points: { show: false }, drag: { x: true, y: false }, sync: { key: "rack" } },
      axes: [{ ...ink, size: 24, space: 64, values: (u, splits, _, __, step) => splits.map((s) => (step < 86400 && s % 86400 ? instant(s).slice(11) : instant(s).slice(5, 10))) }, { ...ink, size: 46, gap: 4, space: 26, values: (u, splits) => splits.map(brief) }],
      series: [{}], hooks: {},
    };
  }
  // Behind the lines: the profile, an incident as planned, and at the top while it can be observed; below, anomalous bins.
  function shade(u, incidents) {
    const { ctx, bbox } = u, ratio = uPlot.pxRatio, at = selected.rack * B, half = (D.width * D.tick) / 2;
    const box = (from, until, top, height, fill) => {
      const [a, b] = [from, until].map((s) => u.valToPos(s, "x", true)), x = Math.max(bbox.left, a), w = Math.min(bbox.left + bbox.width, b) - x;
      ctx.fillStyle = fill;
      if (w > 0) ctx.fillRect(x, top, Math.max(w, ratio), height);
    };
    ctx.save();
    for (let b = 0, from = 0; state && b < B; b++) {
      if (b + 1 < B && (state[at + b + 1] & 31) === (state[at + b] & 31)) continue;
      const [a, z] = [middle(from) - half, middle(b) + half], name = profileAt(at + b).name;
      if (name !== "nominal") box(a, z, bbox.top, bbox.height, faint(profileColour(name), 0.28));
      if (state[at + b] & ANOMALOUS) box(a, z, bbox.top + bbox.height - 3 * ratio, 3 * ratio, colour("trouble"));
      from = b + 1;
    }
    for (const incident of incidents) {
      box(incident.start, incident.end ?? seconds(B), bbox.top, bbox.height, faint(colour("trouble"), 0.12));
      if (incident.onset !== null) box(incident.onset, incident.gone ?? seconds(B), bbox.top, 4 * ratio, colour("ink"));
    }
    ctx.restore();
  }
  function caption(holder, channel, u) {
    const i = u.cursor.idx, shown = holder.querySelector("output");
    if (i === null || i === undefined) shown.textContent = unit(channel);
    else {
      const [low, high] = [u.data[4][i], u.data[5][i]], value = low === high ? text(low, channel) : `${text(low, channel)} to ${text(high, channel)}`;
      shown.textContent = `${instant(u.data[0][i]).slice(5)}  ${value} ${unit(channel)}`;
    }
  }
  function key(incidents) {
    const at = selected.rack * B, seen = new Set(state ? [...Array(B).keys()].map((b) => profileAt(at + b).name) : []);
    seen.delete("nominal");
    const items = [...seen].map((name) => make("li", {}, swatch(faint(profileColour(name), 0.5)), name));
    if (state) items.push(make("li", {}, swatch(colour("band")), "the profile's range"), make("li", {}, swatch(colour("trouble")), "anomalous"));
    if (D.twin?.racks.includes(selected.rack)) {
      items.push(make("li", {}, swatch(colour("twin")), "without incidents, where that differs"));
    }
    const names = incidents.map((incident) => incident.id), more = names.length > 4 ? ` and ${names.length - 4} more` : "";
    if (names.length) items.push(make("li", {}, swatch(colour("ink")), `observed: ${names.slice(0, 4).join(", ")}${more}`));
    byId("key").replaceChildren(...items);
  }

  // The picture of one incident.
  let struck = null;
  function drawIncident(index) {
    const incident = D.incidents[index], drawn = incident?.drawn, figure = byId("struck");
    if (!figure) return;
    for (const row of document.querySelectorAll("#struck-list tr.chosen")) row.classList.remove("chosen");
    document.querySelector(`#struck-list tr[data-index="${index}"]`)?.classList.add("chosen");
    struck?.destroy();
    struck = null;
    figure.hidden = !drawn;
    figure.dataset.shown = drawn ? incident.id : "";
    if (!drawn) return;
    const channel = channelOf[drawn.channel], compared = drawn.twin ?? drawn.at.map(() => null);
    figure.querySelector("figcaption").replaceChildren(make("span", {}, `${incident.id}: ${channel.title} of ${drawn.rack} [${unit(channel)}]`), make("output", {}, drawn.twin ? "dashed: without incidents" : ""));
    const options = chart(figure, channel, { x: { time: true }, y: { range: (u, low, high) => widened(low ?? 0, high ?? 1) } });
    options.cursor = { y: false, points: { show: false }, drag: { x: false, y: false } };
    options.axes[0].values = (u, splits) => splits.map((s) => (s % 86400 ? instant(s).slice(11) : instant(s).slice(5, 10)));
    options.series.push(line("twin", 1.3, [5, 3]), line("data", 1.8));
    options.hooks.drawClear = [(u) => planned(u, incident)];
    struck = new uPlot(options, [drawn.at, compared, drawn.ours], figure.querySelector(".plot"));
    figure.dataset.chosen = String(index);
  }
  function planned(u, incident) {
    const { ctx, bbox } = u, ratio = uPlot.pxRatio, end = u.data[0].at(-1);
    const span = (from, until, top, height, fill) => {
      const [a, b] = [from, until].map((s) => Math.min(bbox.left + bbox.width, Math.max(bbox.left, u.valToPos(s, "x", true))));
      ctx.fillStyle = fill;
      ctx.fillRect(a, top, Math.max(b - a, ratio), height);
    };
    ctx.save();
    span(incident.start, incident.end ?? end, bbox.top, bbox.height, faint(colour("trouble"), 0.14));
    if (incident.onset !== null) span(incident.onset, incident.gone ?? end, bbox.top, 5 * ratio, colour("ink"));
    ctx.restore();
  }

  // Occupancy by hour of the day, beside the law.
  const hours = [];
  function drawHours() {
    const O = D.occupancy;
    if (!O) return;
    for (const plot of hours.splice(0)) plot.destroy();
    const row = O.rows.indexOf(byId("row").value), x = [...Array(48).keys()].map((k) => (k % 2 ? (k + 1) / 2 - 0.001 : k / 2)), step = (of) => x.map((_, k) => (of && of[row][k >> 1] !== null ? of[row][k >> 1] / 100 : null));
    byId("hours").replaceChildren(...D.profiles.map((profile) => make("figure", { class: "chart", "data-profile": profile.name }, make("figcaption", {}, make("span", {}, profile.name), make("output", {}, "%")), make("div", { class: "plot" }))));
    D.profiles.forEach((profile, k) => {
      const holder = byId("hours").children[k], top = Math.max(1, ...D.profiles.flatMap((_, p) => (p === O.nominal) === (k === O.nominal) ? [O.seen, O.law].flatMap((of) => of?.[p][row] ?? []) : [])) / 100;
      const options = chart(holder, { decimals: 1, unit: "%" }, { x: { time: false, range: () => [0, 24] }, y: { range: () => [0, k === O.nominal ? 100 : Math.min(100, 1.1 * top)] } });
      options.cursor = { show: false };
      options.axes[0].values = (u, splits) => splits.map((h) => `${h} h`);
      options.series.push({ ...line("data", 1.5), fill: faint(profileColour(profile.name), 0.55) }, line("ink", 1.3, [5, 3]));
      hours.push(new uPlot(options, [x, step(O.seen[k]), step(O.law?.[k])], holder.querySelector(".plot")));
      holder.dataset.row = byId("row").value;
    });
  }

  // Moving in time and from rack to rack.
  function moveTo(bin) {
    selected.bin = Math.min(B - 1, Math.max(0, bin));
    byId("time").value = String(selected.bin);
    byId("clock").textContent = `${instant(seconds(selected.bin))} UTC`;
    byId("time").setAttribute("aria-valuetext", byId("clock").textContent);
    drawNow();
    drawAll(false);
  }
  function choose(rack) {
    selected.rack = rack;
    drawNow();
    drawAll(false);
    drawRack();
  }
  let playing = null;
  function play(on) {
    clearInterval(playing);
    playing = on ? setInterval(() => (selected.bin + 1 < B ? moveTo(selected.bin + Math.max(1, Math.round(B / 600))) : play(false)), 50) : null;
    byId("play").textContent = on ? "Pause" : "Play";
  }
  const inside = (event) => {
    const box = event.currentTarget.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top, box];
  };
  const rackNow = (event) => {
    const [x, y] = inside(event);
    return places.findIndex(([left, top, w, h]) => x >= left && x < left + w && y >= top && y < top + h);
  };
  const cellAll = (event) => {
    const [x, y, box] = inside(event), bin = Math.floor(((x - LEFT) / (box.width - LEFT)) * B), rack = Math.floor((y / (box.height - BELOW)) * R);
    return bin >= 0 && bin < B && rack >= 0 && rack < R ? [rack, bin] : null;
  };
  function tip(event, rack, bin) {
    const shown = byId("tip");
    shown.hidden = rack < 0;
    if (rack < 0) return;
    const i = rack * B + bin, channel = channelOf[selected.channel] ?? D.channels[0], { low, high } = hall[channel.name], [a, b] = [low(i), high(i)];
    const value = a === b ? text(a, channel) : `${text(a, channel)} to ${text(b, channel)}`;
    shown.textContent = `${D.racks[rack]}  ${instant(seconds(bin))}\n${channel.name} ${value} ${unit(channel)}${state ? `\n${profileAt(i).name}` : ""}`;
    shown.style.left = `${Math.min(innerWidth - shown.offsetWidth - 4, event.clientX + 14)}px`;
    shown.style.top = `${event.clientY + 14}px`;
  }

  function theme() {
    const NEXT = { auto: "light", light: "dark", dark: "auto" }, button = byId("theme");
    let chosen = "auto";
    const apply = () => {
      if (chosen === "auto") delete document.documentElement.dataset.theme;
      else document.documentElement.dataset.theme = chosen;
      button.textContent = { auto: "Auto", light: "Light", dark: "Dark" }[chosen];
      redraw();
    };
    button.addEventListener("click", () => {
      chosen = NEXT[chosen];
      apply();
    });
    for (const query of ["(prefers-color-scheme: dark)", "print"]) matchMedia(query).addEventListener("change", redraw);
  }
  function redraw() {
    colours = new Map();
    legend();
    drawNow();
    drawAll(true);
    drawRack();
    drawHours();
    if (byId("struck")) drawIncident(Number(byId("struck").dataset.chosen ?? 0));
  }

  const choices = D.channels.map((channel) => [channel.name, `${channel.title} [${unit(channel)}]`]);
  if (state) choices.push(["profile", "Profile"], ["labels", "Labels"]);
  byId("channel").append(...choices.map(([value, label]) => make("option", { value }, label)));
  byId("channel").value = selected.channel;
  byId("which").append(...D.racks.map((rack, k) => make("option", { value: String(k) }, rack)));
  const first = D.incidents[D.first ?? -1];
  if (first) [selected.rack, selected.bin] = [D.racks.indexOf(first.drawn.rack), Math.min(B - 1, Math.max(0, binAt((first.onset ?? first.start) + 600)))];
  byId("time").max = String(B - 1);
  if (D.occupancy) {
    byId("row").append(...D.occupancy.rows.map((row) => make("option", { value: row }, row === "all" ? "all rows" : row)));
    byId("row").value = "all";
    byId("row").addEventListener("change", drawHours);
  }
  byId("channel").addEventListener("change", (event) => {
    selected.channel = event.target.value;
    legend();
    drawNow();
    drawAll(true);
  });
  byId("time").addEventListener("input", (event) => moveTo(Number(event.target.value)));
  byId("play").addEventListener("click", () => {
    if (playing === null && selected.bin + 1 >= B) moveTo(0);
    play(playing === null);
  });
  byId("which").addEventListener("change", (event) => choose(Number(event.target.value)));
  byId("now").addEventListener("click", (event) => rackNow(event) >= 0 && choose(rackNow(event)));
  byId("now").addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: R / D.rows.length, ArrowUp: -R / D.rows.length }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    choose(Math.min(R - 1, Math.max(0, selected.rack + Math.round(by))));
  });
  byId("now").addEventListener("pointermove", (event) => tip(event, rackNow(event), selected.bin));
  byId("all").addEventListener("pointermove", (event) => tip(event, ...(cellAll(event) ?? [-1, 0])));
  for (const id of ["now", "all"]) byId(id).addEventListener("pointerleave", () => (byId("tip").hidden = true));
  byId("all").addEventListener("click", (event) => {
    const cell = cellAll(event);
    if (!cell) return;
    selected.rack = cell[0];
    moveTo(cell[1]);
    drawRack();
  });
  byId("struck-list")?.addEventListener("click", (event) => {
    const row = event.target.closest("tr[data-index]");
    if (row) drawIncident(Number(row.dataset.index));
  });
  byId("scenario-save")?.addEventListener("click", (event) => {
    const url = URL.createObjectURL(new Blob([JSON.stringify(JSON.parse(byId("scenario").textContent), null, 2)], { type: "application/json" }));
    make("a", { href: url, download: event.target.dataset.name }).click();
    URL.revokeObjectURL(url);
  });
  while (!byId("now").parentElement.clientWidth) await new Promise((done) => setTimeout(done, 30)); // no layout yet
  theme();
  byId("struck")?.setAttribute("data-chosen", String(D.first ?? 0));
  moveTo(selected.bin);
  redraw();
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth === width || !byId("now").parentElement.clientWidth) return;
    width = innerWidth;
    redraw();
  });
  document.documentElement.dataset.ready = "true";
})();
