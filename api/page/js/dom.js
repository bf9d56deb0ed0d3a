// Making and changing elements. Data only ever becomes text.

export const byId = (id) => document.getElementById(id);

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") element.className = value;
    else if (name === "on") for (const [event, handler] of Object.entries(value)) element.addEventListener(event, handler);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

// Say something; elements that say it already are left alone, so that nothing is read out twice.
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// A figure with its bare value beside it for whoever reads the document by program.
export function figure(element, text, value) {
  say(element, text);
  element.dataset.value = value === null || value === undefined ? "" : String(value);
}

export function options(select, choices, chosen) {
  const wanted = chosen ?? select.value;
  select.replaceChildren(...choices.map(([value, text]) => make("option", { value }, text)));
  if (choices.some(([value]) => value === wanted)) select.value = wanted;
}

// Bring a list to what `items` are: kept where their key and what they say is the same, made anew elsewhere.
export function list(parent, items, keyOf, makeOne) {
  const before = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  const now = items.map((item) => {
    const key = String(keyOf(item)), print = JSON.stringify(item), old = before.get(key);
    if (old && old.dataset.print === print) return old;
    const child = makeOne(item);
    child.dataset.key = key;
    child.dataset.print = print;
    return child;
  });
  const same = now.length === parent.children.length && now.every((child, i) => child === parent.children[i]);
  if (same) return;
  const focused = parent.contains(document.activeElement) ? document.activeElement.closest("[data-key]")?.dataset.key : null;
  parent.replaceChildren(...now);
  if (focused) now.find((child) => child.dataset.key === focused)?.querySelector("button")?.focus();
}
