// Builds the page. Every text becomes a text node: nothing that a customer wrote is ever markup.

// el("a", { href: "#/now", class: "x", on: { click: f } }, "text", child, null)
export function el(name, options = {}, ...children) {
  return fill(document.createElement(name), options, children);
}

export function svg(name, options = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", name), options, children);
}

function fill(node, { on = {}, ...attributes }, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    node.setAttribute(key, value === true ? "" : String(value));
  }
  for (const [event, call] of Object.entries(on)) node.addEventListener(event, call);
  node.append(...children.flat().filter(child => child !== null && child !== undefined)
    .map(child => child instanceof Node ? child : String(child)));
  return node;
}

// For those who listen to the page.
export function say(text) {
  const said = document.getElementById("said");
  said.textContent = "";
  requestAnimationFrame(() => { said.textContent = text; });
}

// A table whose rows each lead somewhere: `columns` of [title, row => content, class], `link` gives
// a row's address and name. One row is in the tab order; arrows, Home and End move between rows.
export function list(caption, columns, rows, link) {
  const body = el("tbody");
  for (const row of rows) {
    const to = link(row);
    const anchor = el("a", { href: to.href, class: "row", tabindex: -1 }, to.name);
    body.append(el("tr", {
      on: { click: event => { if (!event.target.closest("a, button")) anchor.click(); } }
    }, columns.map(([title, content, kind], i) => el("td", {
      class: kind, "data-label": title
    }, i === 0 ? anchor : content(row)))));
  }
  walk(body, "a.row");
  return el("div", { class: "scroll" }, el("table", { class: "list" },
    el("caption", { class: "unseen" }, caption),
    el("thead", {}, el("tr", {}, columns.map(([title, , kind]) =>
      el("th", { scope: "col", class: kind }, title)))),
    body));
}

// One of the elements that fit the selector is in the tab order; arrows move among them.
export function walk(container, selector) {
  const all = () => [...container.querySelectorAll(selector)];
  const first = all()[0];
  if (first) first.tabIndex = 0;
  container.addEventListener("focusin", event => {
    const item = event.target.closest(selector);
    if (item) all().forEach(one => { one.tabIndex = one === item ? 0 : -1; });
  });
  container.addEventListener("keydown", event => {
    const items = all();
    const at = items.indexOf(event.target.closest(selector));
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[event.key];
    if (at < 0 || to === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    items[Math.max(0, Math.min(items.length - 1, to))].focus();
  });
}

// A plain table of figures.
export function table(columns, rows) {
  return el("div", { class: "scroll" }, el("table", {},
    el("thead", {}, el("tr", {}, columns.map(([title, kind]) =>
      el("th", { scope: "col", class: kind }, title)))),
    el("tbody", {}, rows.map(row => el("tr", {}, row.map((cell, i) =>
      el("td", { class: columns[i][1], "data-label": columns[i][0] }, cell)))))));
}

export function facts(...pairs) {
  return el("dl", { class: "facts" }, pairs.filter(pair => pair && pair[1] !== null &&
    pair[1] !== "").map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}

// A question before something is done that a customer feels. Resolves to whether it was confirmed;
// Escape is no.
export function sure(title, text, action) {
  const dialog = document.getElementById("sure");
  dialog.replaceChildren(
    el("form", { method: "dialog" },
      el("h2", { id: "sure-title" }, title), el("p", { class: "words" }, text),
      el("p", { class: "actions" },
        el("button", { value: "yes", class: "strong" }, action),
        el("button", { value: "no", class: "plain", autofocus: true }, "Not now"))));
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise(resolve => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
