// The list of cases; those that wait for a person come first.
import * as api from "/api.js";
import { el, list, say } from "/dom.js";
import { badge, distance, time } from "/words.js";

const EVERY_MS = 10000;

// An appeal that is due soonest, then proposed suspensions, then the gravest steps.
function urgency(one) {
  const steps = ["watch", "warn", "throttle", "suspend"];
  if (one.status === "appealed") return -1e16 + one.decide_by_ms;
  return (one.proposed ? -1e8 : 0) - steps.indexOf(one.step) * 1e4;
}

function waits(one) {
  if (one.status === "appealed") return `appeal, decide ${distance(one.decide_by_ms)}`;
  return one.proposed ? "suspension proposed" : "";
}

function standing(one) {
  const words = [one.step];
  if (one.status !== "open") words.push(one.status);
  return words.map(badge);
}

function drawn(cases) {
  if (cases.length === 0) return el("p", { class: "quiet" }, "There are none.");
  return list("Cases", [
    ["Account", null],
    ["Stands at", standing, "tight"],
    ["Waits for", one => el("strong", {}, waits(one)), "wide"],
    ["Found", one => el("span", { class: "clip" }, one.words.split("\n")[0])],
    ["Opened", one => time(one.opened_ms), "tight"]
  ], cases, one => ({ href: `#/cases/${one.id}`, name: one.name }));
}

export async function show_cases() {
  const all = el("input", { type: "checkbox", id: "all" });
  const place = el("div");
  let shown = "";
  async function load() {
    const { data } = await api.get(all.checked ? "cases?all=1" : "cases");
    const text = JSON.stringify(data);
    if (text === shown) return;
    const news = shown !== "";
    const focused = document.activeElement?.getAttribute?.("href");
    shown = text;
    place.replaceChildren(drawn(data.sort((a, b) => urgency(a) - urgency(b))));
    const row = [...place.querySelectorAll("a.row")]
      .find(link => focused && link.getAttribute("href") === focused);
    if (row) row.focus();
    if (news) say(`The list has changed: ${data.length} cases.`);
  }
  await load();
  all.addEventListener("change", load);
  const timer = setInterval(() => { load().catch(() => {}); }, EVERY_MS);
  return {
    title: "Cases",
    stop: () => clearInterval(timer),
    parts: [
      el("p", { class: "bar-of-tools" },
        el("label", { for: "all" }, all, " also those that are over")),
      place
    ]
  };
}
