// Numbers, times and the program's words as people read them.
import { el } from "/dom.js";

export function number(value) {
  return Number(value).toLocaleString("en", { maximumFractionDigits: 2 });
}

// Three digits that count: 0.000123, 4,310, 0.1.
export function brief(value) {
  return Number(value).toLocaleString("en", { maximumSignificantDigits: 3 });
}

export function stamp(ms) {
  return new Date(ms).toISOString().replace("T", " ").slice(0, 16) + " UTC";
}

export function time(ms) {
  if (!ms) return "";
  return el("time", { datetime: new Date(ms).toISOString() }, stamp(ms));
}

// How far away a moment is: "in 3 days", "2 hours ago".
export function distance(ms) {
  const seconds = (ms - Date.now()) / 1000;
  const words = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  for (const [unit, length] of [["day", 86400], ["hour", 3600], ["minute", 60]]) {
    if (Math.abs(seconds) >= length) return words.format(Math.trunc(seconds / length), unit);
  }
  return words.format(Math.trunc(seconds), "second");
}

export function duration(ms) {
  if (ms === null || ms === undefined) return "–";
  return ms < 1000 ? `${Math.round(ms)} ms` : `${brief(ms / 1000)} s`;
}

const MOODS = {
  watch: "", warn: "warn", throttle: "warn", suspend: "bad", suspended: "bad", closed: "",
  appealed: "mark", lifted: "good", active: "good", proposed: "bad"
};

export function badge(word) {
  return el("span", { class: `badge ${MOODS[word] || ""}` }, word);
}

export const TRAINING = {
  forbidden: "may not train", "non-competing": "may train what does not compete",
  allowed: "may train"
};

export function limit_words(limit) {
  const what = limit.resource.replace("_micros", " (millionths)").replace("_", " ");
  return limit.window === "now" ? "requests at once" : `${what} a ${limit.window}`;
}

export function limit_bar(limit) {
  const share = limit.most > 0 ? Math.min(1, limit.used / limit.most) : 1;
  const bar = el("i");
  bar.style.width = `${Math.round(share * 100)}%`;
  if (share >= 0.9) bar.className = "full";
  return el("div", { class: "used" }, el("span", { class: "bar" }, bar),
    el("span", {}, `${number(limit.used)} of ${number(limit.most)}`));
}

export function because(error) {
  return el("p", { class: "fault", role: "alert" }, error.message);
}
