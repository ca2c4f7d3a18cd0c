// What goes through the door now: the last quarter of an hour, anew every five seconds.
import * as api from "/api.js";
import { el, say, table } from "/dom.js";
import { figure, lines } from "/draw.js";
import { brief, duration, number } from "/words.js";

const EVERY_MS = 5000;

function figures(traffic) {
  const minute = traffic.last_minute;
  const sum = key => traffic.models.reduce((total, model) => total + (model[key] || 0), 0);
  const one = (name, value) => el("div", {}, el("span", {}, name), el("b", {}, value));
  return el("div", { class: "figures" },
    one("requests a second", brief(minute.requests_per_second)),
    one("tokens answered a second", brief(minute.output_tokens_per_second)),
    one("tokens read a second", brief(minute.input_tokens_per_second)),
    one("first token, median", duration(minute.first_token_ms_p50)),
    one("first token, 95 of 100 within", duration(minute.first_token_ms_p95)),
    one("whole answer, 95 of 100 within", duration(minute.answer_ms_p95)),
    one("running", number(sum("running"))),
    one("waiting", number(sum("waiting"))));
}

// The step under way is not whole yet, so it is left out.
function points(traffic, key, of) {
  const all = traffic[key].slice(0, -1);
  const first = traffic.now_ms - all.length * traffic.step_s * 1000;
  return all.map((value, i) => [first + i * traffic.step_s * 1000, of(value)]);
}

function curves(traffic, title, sentence, series, label) {
  const drawn = series.map(one => ({ ...one, points: points(traffic, one.key, one.of) }));
  const minutes = drawn[0].points.map((_, i) => i).filter(i => i % 12 === 11);
  const rows = minutes.map(i => [
    new Date(drawn[0].points[i][0]).toISOString().slice(11, 16),
    ...drawn.map(one => brief(one.points[i][1]))]);
  return figure(title, sentence, width => lines(width, {
    x: { kind: "time", label: "UTC" }, y: { kind: "linear" }, series: drawn
  }), [["At"], ...series.map(one => [`${one.name} ${label}`, "n"])], rows);
}

function drawn(traffic) {
  const a_second = value => value / traffic.step_s;
  const ms = value => (value || 0) / 1000;
  return [
    figures(traffic),
    curves(traffic, "Requests", "a second, over the last quarter of an hour.", [
      { name: "all", key: "requests", of: a_second, class: "student", area: true },
      { name: "refused", key: "refused", of: a_second, class: "teacher" },
      { name: "failed", key: "failed", of: a_second, class: "bad" }], "a second"),
    curves(traffic, "Tokens", "a second, counted when an answer ends.", [
      { name: "answered", key: "output_tokens", of: a_second, class: "student", area: true },
      { name: "read", key: "input_tokens", of: a_second, class: "teacher" }], "a second"),
    curves(traffic, "Seconds", "that 95 of 100 answers took at most.", [
      { name: "to the first token", key: "first_token_ms_p95", of: ms, class: "student" },
      { name: "to the end", key: "answer_ms_p95", of: ms, class: "teacher" }], "in seconds"),
    el("section", {}, el("h2", {}, "Refused and failed"), traffic.refusals.length
      ? table([["Code"], ["In a quarter of an hour", "n"]],
        [...traffic.refusals].sort((a, b) => b.count - a.count)
          .map(one => [el("code", {}, one.code), number(one.count)]))
      : el("p", { class: "quiet" }, "Nothing in the last quarter of an hour.")),
    el("section", {}, el("h2", {}, "Models"),
      table([["Model"], ["Running", "n"], ["Waiting", "n"], ["Promised", "n"], ["Memory", "n"]],
        traffic.models.map(model => [model.upstream ? `${model.id} (upstream)` : model.id,
          model.running ?? "–", model.waiting ?? "–", model.in_flight,
          model.memory_bytes ? `${number(Math.round(model.memory_bytes / 1048576))} MiB` : "–"])))
  ];
}

export async function show_now() {
  const place = el("div");
  let paused = false, open = [];
  const button = el("button", {
    type: "button", class: "plain", "aria-pressed": "false", on: {
      click: () => {
        paused = !paused;
        button.setAttribute("aria-pressed", String(paused));
        button.textContent = paused ? "Go on" : "Pause";
        say(paused ? "Paused." : "The figures are drawn anew every five seconds.");
      }
    }
  }, "Pause");
  async function load() {
    const traffic = await api.get("traffic");
    // What a reader has opened or holds stays as it is.
    if (place.contains(document.activeElement)) return;
    open = [...place.querySelectorAll("details")].map(one => one.open);
    place.replaceChildren(...drawn(traffic));
    place.querySelectorAll("details").forEach((one, i) => { one.open = open[i] || false; });
  }
  await load();
  const timer = setInterval(() => { if (!paused) load().catch(() => {}); }, EVERY_MS);
  return {
    title: "Now",
    parts: [el("p", { class: "bar-of-tools" }, button), place],
    stop: () => clearInterval(timer)
  };
}
