// The audit's lines, newest first; each can be proved.
import * as api from "/api.js";
import { el, walk } from "/dom.js";
import { log_card, prove } from "/proofs.js";
import { because, number, time } from "/words.js";

const MOST = 50;
const FILTERS = ["kind", "account", "case"];
const KINDS = [
  ["", "everything"], ["case", "cases"], ["account", "accounts"], ["request", "requests"],
  ["nameless", "requests of nobody"]
];

function said_by(text) {
  try { return JSON.parse(text); } catch { return {}; }  // shown as it is
}

function what_of(said) {
  if (said.kind === "nameless") return `${said.outcome}: ${number(said.requests || 0)} requests`;
  if (said.kind !== "request") return said.what || "";
  const tokens = (said.input_tokens || 0) + (said.output_tokens || 0);
  return `${said.outcome}: ${said.model || "no model"}, ${number(tokens)} tokens`;
}

function change_of(said) {
  if (said.before || said.after) return `${said.before || "–"} → ${said.after || "–"}`;
  return [said.step, said.status].filter(Boolean).join(", ");
}

// What a line says; the whole of it is in the details.
function row(line) {
  const said = said_by(line.text);
  const place = el("div");
  const rest = [said.actor || said.key, change_of(said), said.reason].filter(Boolean).join(" · ");
  const button = el("button", { type: "button", on: { click: () => prove(line, place) } },
    "Check its proof");
  return el("details", { class: "line" },
    el("summary", {}, el("span", {}, time(said.time_ms)),
      el("span", { class: "kind" }, said.kind || "line"), el("b", {}, what_of(said)),
      el("span", { class: "clip" }, rest)),
    el("pre", {}, line.text), el("p", {}, button), place);
}

function look(event) {
  event.preventDefault();
  const given = [...new FormData(event.target)].filter(([, value]) => value.trim());
  location.hash = `#/audit?${new URLSearchParams(given)}`;
}

function filter_form(query) {
  const field = (name, label) => [
    el("label", { for: name }, label),
    el("input", {
      id: name, name, value: query.get(name) || "", autocomplete: "off", spellcheck: "false"
    })
  ];
  const kind = el("select", { id: "kind", name: "kind" }, KINDS.map(([value, words]) =>
    el("option", { value, selected: value === (query.get("kind") || "") }, words)));
  return el("form", { class: "bar-of-tools", on: { submit: look } },
    el("label", { for: "kind" }, "Kind"), kind, field("account", "Account"), field("case", "Case"),
    el("button", {}, "Look"));
}

export async function show_audit(_, query) {
  const lines = el("div", { class: "lines" }), faults = el("div");
  const fault = error => faults.replaceChildren(because(error));
  const more = el("button", { type: "button", on: { click: () => load().catch(fault) } },
    "Older lines");
  let next = "";
  async function load() {
    const wanted = new URLSearchParams({ most: MOST });
    for (const name of FILTERS) if (query.get(name)) wanted.set(name, query.get(name).trim());
    if (next) wanted.set("before", next);
    const first = !next;
    const page = await api.get(`audit?${wanted}`);
    const rows = page.lines.map(row);
    lines.append(...rows);
    next = page.next;
    more.hidden = next === null;
    if (lines.childElementCount === 0) {
      faults.replaceChildren(el("p", { class: "quiet" },
        more.hidden ? "There are no such lines." : "None among the newest; look further."));
    }
    if (!first) (rows[0]?.querySelector("summary") || more).focus();
  }
  const card = await log_card().catch(because);
  await load().catch(fault);
  walk(lines, "summary");
  return {
    title: "Audit",
    parts: [card, el("h2", {}, "Lines"), filter_form(query), lines, faults, el("p", {}, more)]
  };
}
