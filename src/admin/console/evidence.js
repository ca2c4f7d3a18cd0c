// What a case rests on, drawn: the strength of the evidence over time against the policy's bounds,
// how much new ground the requests covered, what their templates are made of, which kinds of
// evidence count, and where the account lies beside honest ones.
import { el } from "/dom.js";
import { bars, deviations, figure, hours, lines } from "/draw.js";
import { brief, number, stamp } from "/words.js";

function strength(shown) {
  const { bounds } = shown.policy_of;
  const points = (shown.watched?.course || []).map(p => [p.time_ms, p.e_value]);
  const e = shown.evidence;
  if (e?.e_value && !points.some(p => p[0] === e.time_ms)) points.push([e.time_ms, e.e_value]);
  points.sort((a, b) => a[0] - b[0]);
  if (points.length === 0) return null;
  const levels = ["warn", "throttle", "suspend"].map(step => ({
    y: 1 / bounds[step], name: `${step}: ${brief(1 / bounds[step])}`,
    class: step === "suspend" ? "bad" : "teacher"
  }));
  const moments = shown.events.filter(one => /opened|advanced|appealed|lift|decided/.test(one.what))
    .map(one => ({ x: one.time_ms, name: one.what === "advanced" ? one.step : one.what }));
  return figure("Strength of the evidence",
    "An honest account reaches a line with at most the chance that the policy allows, however " +
    "long it is watched.",
    width => lines(width, {
      x: { kind: "time", label: "UTC" }, y: { kind: "log" }, levels, moments,
      series: [{ name: "e-value", class: "student", points }]
    }),
    [["When"], ["E-value", "n"]], points.map(([ms, value]) => [stamp(ms), brief(value)]));
}

function coverage(shown) {
  const course = shown.watched?.course || [];
  if (course.length < 2) return null;
  // After a pause of the period the counts begin anew; the last run is the one that is judged.
  let from = 0;
  course.forEach((p, i) => { if (i > 0 && p.requests < course[i - 1].requests) from = i; });
  const run = course.slice(from), last = run.at(-1);
  const diagonal = [last.requests, last.requests];
  const grown = key => [[0, 0], ...run.map(p => [p.requests, p[key]])];
  return figure("New ground",
    `Of ${number(last.requests)} requests about ${number(last.prompts)} were different prompts ` +
    `on about ${number(last.topics)} subjects. A list that is worked through stays on the ` +
    "diagonal; people come back to what they asked.",
    width => lines(width, {
      x: { kind: "linear", label: "requests" }, y: { kind: "linear" },
      series: [
        { name: "all of them new", class: "other", points: [[0, 0], diagonal] },
        { name: "prompts", class: "student", points: grown("prompts") },
        { name: "subjects", class: "teacher", points: grown("topics") }
      ]
    }),
    [["Requests", "n"], ["Prompts", "n"], ["Subjects", "n"]],
    run.map(p => [number(p.requests), number(p.prompts), number(p.topics)]));
}

const KINDS = {
  template: "a template", openers: "other first questions", dialogs: "dialogs that go on"
};

// A template as the words that stay and the slot that changes: how many they are, for no word of
// them is kept.
function skeleton(stream) {
  const fixed = Math.round(stream.fixed_words), slot = Math.round(stream.slot_words);
  const words = (count, kind) => Array.from({ length: Math.min(count, 24) },
    () => el("i", { class: kind }));
  return el("div", { class: "skeleton" },
    el("div", { "aria-hidden": "true" }, words(fixed, "fixed"), words(slot, "slot")),
    el("small", {}, stream.kind === "template"
      ? `${fixed} words stay, about ${slot} change`
      : `about ${fixed + slot} words`));
}

function templates(shown) {
  const streams = [...(shown.watched?.streams || [])].sort((a, b) => b.requests - a.requests);
  if (streams.length === 0) return null;
  return el("section", { class: "streams" },
    el("h3", {}, "Kinds of requests"),
    el("p", { class: "quiet" }, "Prompts that share their first or last words are one kind. No " +
      "word of a prompt is kept: only how many there were."),
    el("ul", { class: "plain" }, streams.map(stream => {
      const novelty = stream.requests ? stream.prompts / stream.requests : 0;
      const bar = el("i");
      bar.style.width = `${Math.round(novelty * 100)}%`;
      return el("li", { class: "card" },
        el("h4", {}, `${number(stream.requests)} requests: ${KINDS[stream.kind]}`,
          stream.judged_by ? el("span", { class: "badge mark" }, "judged by this") : null),
        skeleton(stream),
        el("div", { class: "used" }, el("span", { class: "bar" }, bar),
          el("span", {}, `${Math.round(novelty * 100)} % never asked before, ` +
            `${number(stream.answer_tokens)} tokens of answers`)));
    })));
}

// Where two kinds are needed, one and all others together without it are two.
function rest(evidence, needed) {
  if (needed > 2 || evidence.rest_p_value === undefined) return "";
  return `, or that what is left without the weightiest is as unusual (p ${brief(evidence.rest_p_value)})`;
}

function families(shown) {
  const e = shown.evidence;
  if (!e?.families) return null;
  const strength_of = p => -Math.log10(Math.max(p, 1e-6));
  const { family_p, families: needed } = shown.policy_of.bounds;
  const rows = e.families.map(one => ({
    name: one.family, value: strength_of(one.p_value), class: one.counts ? "bad" : "other",
    note: `p ${brief(one.p_value)}`
  }));
  return figure("Kinds of evidence",
    `${e.families.filter(one => one.counts).length} count by themselves; a suspension needs ` +
    `${needed}${rest(e, needed)}. p is the share of ${number(e.honest_periods)} honest periods ` +
    `that came as high.`,
    width => bars(width, rows, {
      most: Math.max(4, ...rows.map(one => one.value)), mark: strength_of(family_p),
      mark_name: `counts from p ${brief(family_p)}`
    }),
    [["Kind"], ["What"], ["p", "n"], ["Counts"]],
    e.families.map(one => [one.family, one.words, brief(one.p_value), one.counts ? "yes" : "no"]));
}

function measures(shown) {
  const e = shown.evidence;
  if (!e?.measures) return null;
  const most = Math.max(...e.measures.map(one => Math.abs(one.weight)), 0.1);
  return figure("What weighed most",
    "How far each measure moved the score, beside what is usual for honest accounts.",
    width => bars(width, e.measures.map(one => ({
      name: one.measure.replaceAll("_", " "), value: Math.abs(one.weight),
      class: one.weight > 0 ? "bad" : "good",
      note: (one.weight > 0 ? "+" : "−") + brief(Math.abs(one.weight))
    })), { most }),
    [["Measure"], ["What"], ["Here", "n"], ["Usual", "n"], ["Weight", "n"]],
    e.measures.map(one => [one.measure, one.words, brief(one.value), brief(one.usual),
      brief(one.weight)]));
}

function peers(shown) {
  const stream = (shown.watched?.streams || []).find(one => one.judged_by);
  if (!stream) return null;
  const rows = stream.measures.filter(one => one.spread > 0).map(one => ({
    ...one, name: one.measure.replaceAll("_", " "),
    deviation: (one.value - one.usual) / one.spread
  }));
  const by_family = grouped(rows);
  return el("section", {}, el("h3", {}, "Beside honest accounts"),
    el("p", { class: "quiet" }, "Each measure of the requests that the account is judged by, in " +
      "standard deviations of honest traffic. Red lies two or more off."),
    el("div", { class: "peers" }, [...by_family].map(([family, all]) => figure(
      family, "", width => deviations(width, all),
      [["Measure"], ["What"], ["Here", "n"], ["Usual", "n"], ["Off by", "n"]],
      all.map(one => [one.measure, one.words, brief(one.value), brief(one.usual),
        brief(one.deviation)])))),
    figure("Hours of the day", "Requests of this kind, by the hour in UTC.",
      width => hours(width, stream.hours)));
}

function grouped(rows) {
  const out = new Map();
  for (const one of rows) out.set(one.family, [...(out.get(one.family) || []), one]);
  return out;
}

function cluster(shown) {
  const c = shown.evidence?.cluster;
  if (!c) return null;
  return el("p", {}, el("span", { class: "badge mark" }, "several accounts"),
    ` Judged together with about ${number(c.accounts)} accounts with ${c.words}: ` +
    `${number(c.requests)} requests.`);
}

export function evidence(shown) {
  const parts = [cluster(shown), strength(shown), coverage(shown), templates(shown),
    families(shown), measures(shown), peers(shown)].filter(Boolean);
  if (parts.length === 0) {
    parts.push(el("p", { class: "quiet" }, "No figures go with this case: a person opened it."));
  }
  const ids = shown.evidence?.request_ids || [];
  return el("section", {}, el("h2", {}, "What it rests on"), parts,
    ids.length === 0 ? null
      : el("p", { class: "quiet" }, "Some of the requests: ", el("code", {}, ids.join(", "))),
    shown.evidence ? el("details", {}, el("summary", {}, "The evidence as it was stored"),
      el("pre", {}, JSON.stringify(shown.evidence, null, 2))) : null);
}
