// Sorting the runs of a fleet, and the colours.
"use strict";
(() => {
  const body = document.querySelector("#list tbody"), heads = [...document.querySelectorAll("#list thead button")];
  heads.forEach((head, k) => head.addEventListener("click", () => {
    const down = head.dataset.order === "up", by = (row) => row.children[k + 1];
    for (const other of heads) delete other.dataset.order;
    head.dataset.order = down ? "down" : "up";
    const numeric = [...body.rows].every((row) => by(row).dataset.sort !== "" || by(row).textContent === "-");
    const key = (row) => (numeric ? (by(row).dataset.sort === "" ? Infinity : Number(by(row).dataset.sort)) : by(row).textContent);
    const order = (a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0);
    body.append(...[...body.rows].sort((a, b) => (down ? order(b, a) : order(a, b))));
  }));
  const NEXT = { auto: "light", light: "dark", dark: "auto" }, button = document.getElementById("theme");
  let chosen = "auto";
  button.addEventListener("click", () => {
    chosen = NEXT[chosen];
    if (chosen === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = chosen;
    button.textContent = { auto: "Auto", light: "Light", dark: "Dark" }[chosen];
  });
  document.documentElement.dataset.ready = "true";
})();
