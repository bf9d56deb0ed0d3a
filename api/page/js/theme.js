// Light, dark, or as the system has it; and the colours of the style sheet as numbers for canvases and scales.

const NEXT = { auto: "light", light: "dark", dark: "auto" };
const listeners = [];
let probe = null, known = new Map();

export function colour(name) {
  if (!known.has(name)) {
    if (!probe) {
      probe = document.createElement("span");
      probe.hidden = true;
      document.body.append(probe);
    }
    probe.style.color = `var(--${name})`;
    known.set(name, getComputedStyle(probe).color);
  }
  return known.get(name);
}

export const rgb = (name) => colour(name).match(/[\d.]+/g).slice(0, 3).map(Number);

export function onTheme(changed) {
  listeners.push(changed);
}

function apply(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  known = new Map();
  for (const changed of listeners) changed();
}

export function installTheme(button) {
  let theme = localStorage.getItem("skadi-theme") ?? "auto";
  const show = () => {
    button.textContent = { auto: "Auto", light: "Light", dark: "Dark" }[theme];
    button.setAttribute("aria-label", `Colours: ${theme}. Change`);
  };
  button.addEventListener("click", () => {
    theme = NEXT[theme];
    localStorage.setItem("skadi-theme", theme);
    show();
    apply(theme);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => apply(theme));
  show();
  apply(theme);
}
