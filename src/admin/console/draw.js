// Charts as SVG, drawn for the width that there is. Colours come from the style sheet by class.
import { el, svg, table } from "/dom.js";
import { brief } from "/words.js";

const LEFT = 46, RIGHT = 12, TOP = 14, BOTTOM = 34;

// A drawing with its title, a sentence that says what it shows, and its figures as a table for
// whoever does not see it. `draw(width)` gives an svg element.
export function figure(title, sentence, draw, columns, rows) {
  const place = el("div", { class: "drawing" });
  let width = 0;
  new ResizeObserver(() => {
    const now = Math.floor(place.clientWidth);
    if (now === width || now === 0) return;
    width = now;
    const drawing = draw(width);
    drawing.setAttribute("role", "img");
    drawing.setAttribute("aria-label", `${title}. ${sentence}`);
    place.replaceChildren(drawing);
  }).observe(place);
  return el("figure", {}, el("figcaption", {}, el("b", {}, title), " ", el("span", {}, sentence)),
    place,
    rows ? el("details", {}, el("summary", {}, "The figures"), table(columns, rows)) : null);
}

function line(kind, x1, y1, x2, y2) { return svg("line", { class: kind, x1, y1, x2, y2 }); }
function words(kind, x, y, text) { return svg("text", { class: kind, x, y }, text); }
function rect(kind, x, y, width, height) {
  return svg("rect", { class: kind, x, y, width: Math.max(0, width), height: Math.max(0, height) });
}
function dot(kind, cx, cy, r) { return svg("circle", { class: kind, cx, cy, r }); }

function frame(width, height) {
  return svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height });
}

// [lowest, highest] of a kind: "linear" begins at 0, "log" and "time" where the values do.
function scale(kind, values, from, to) {
  const finite = values.filter(Number.isFinite);
  let low = kind === "linear" ? 0 : Math.min(...finite), high = Math.max(...finite);
  if (kind === "log") { low = Math.max(low, 1e-3); high = Math.max(high, low * 10); }
  if (kind === "linear") high *= 1.08;
  if (kind === "log") high *= 1.3;
  if (!(high > low)) high = low + 1;
  const turn = kind === "log" ? Math.log10 : value => value;
  const a = turn(low), b = turn(high);
  const at = value => from + (turn(Math.max(value, kind === "log" ? low : -Infinity)) - a) /
    (b - a) * (to - from);
  return { at, low, high, kind };
}

function ticks({ kind, low, high }, most) {
  if (kind === "log") {
    const out = [];
    for (let p = Math.ceil(Math.log10(low)); p <= Math.log10(high) + 1e-9; ++p) out.push(10 ** p);
    const every = Math.max(1, Math.ceil(out.length / 6));
    return out.filter((_, i) => i % every === 0);
  }
  const raw = (high - low) / most, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map(n => n * power).find(n => n >= raw);
  const out = [];
  for (let v = Math.ceil(low / step) * step; v <= high + step * 1e-9; v += step) out.push(v);
  return out;
}

function short_time(ms, span) {
  const text = new Date(ms).toISOString();
  return span > 2 * 86400000 ? text.slice(5, 10) : text.slice(11, span < 600000 ? 19 : 16);
}

// {x: {kind, label}, y: {kind, label}, series: [{name, class, points: [[x, y]], area}],
//  levels: [{y, name, class}], moments: [{x, name}]}
export function lines(width, chart) {
  const height = 250, floor = height - BOTTOM;
  const points = chart.series.flatMap(one => one.points);
  const levels = chart.levels || [], moments = chart.moments || [];
  const x = scale(chart.x.kind, points.map(p => p[0]).concat(moments.map(m => m.x)),
    LEFT, width - RIGHT);
  const y = scale(chart.y.kind, points.map(p => p[1]).concat(levels.map(l => l.y)),
    floor, TOP);
  const out = frame(width, height);
  for (const value of ticks(y, 4)) {
    out.append(line("grid", LEFT, y.at(value), width - RIGHT, y.at(value)),
      words("tick end", LEFT - 6, y.at(value) + 4, brief(value)));
  }
  if (x.kind === "time") {
    const count = width < 480 ? 3 : 5;
    for (let i = 0; i <= count; ++i) {
      const value = x.low + (x.high - x.low) * i / count;
      const side = i === 0 ? "" : i === count ? "end" : "middle";
      out.append(words(`tick ${side}`, x.at(value), floor + 16, short_time(value, x.high - x.low)));
    }
  } else {
    for (const value of ticks(x, width < 480 ? 3 : 6)) {
      out.append(words("tick middle", x.at(value), floor + 16, brief(value)));
    }
  }
  out.append(words("tick end", width - RIGHT, height - 2, chart.x.label));
  let free = LEFT;  // where the next name has room
  for (const moment of moments) {
    const at = x.at(moment.x), size = 7 * moment.name.length + 8;
    out.append(line("moment", at, TOP, at, floor));
    if (at < free || at + size > width) continue;
    out.append(words("tick", at + 4, floor - 6, moment.name));
    free = at + size;
  }
  for (const one of chart.series) out.append(...series(one, x, y, floor));
  for (const level of levels) {
    const at = y.at(level.y);
    out.append(line(`level ${level.class}`, LEFT, at, width - RIGHT, at),
      words(`tick end ${level.class}`, width - RIGHT, at - 4, level.name));
  }
  if (chart.series.length > 1) legend(out, chart.series);
  return out;
}

function series(one, x, y, floor) {
  const at = one.points.map(([a, b]) => [x.at(a), y.at(b)]);
  if (at.length === 0) return [];
  const path = at.map(([a, b], i) => `${i ? "L" : "M"}${a.toFixed(1)} ${b.toFixed(1)}`).join("");
  const out = [];
  if (one.area) {
    out.push(svg("path", { class: `area ${one.class}`,
      d: `${path}L${at.at(-1)[0].toFixed(1)} ${floor}L${at[0][0].toFixed(1)} ${floor}Z` }));
  }
  out.push(svg("path", { class: `curve ${one.class}`, d: path }));
  if (at.length < 40 && !one.area) {
    out.push(...at.map(([a, b]) => dot(`dot ${one.class}`, a, b, 2.5)));
  }
  return out;
}

function legend(out, all) {
  let left = LEFT + 8;
  for (const one of all) {
    out.append(line(`curve ${one.class}`, left, TOP - 5, left + 14, TOP - 5),
      words("tick", left + 18, TOP - 1, one.name));
    left += 34 + 6.6 * one.name.length;
  }
}

// Rows of horizontal bars: [{name, value, class, note}], with a mark where the measure counts.
export function bars(width, rows, { most, mark, mark_name }) {
  const narrow = width < 520;
  const row = narrow ? 40 : 26, name = narrow ? 0 : 200, top = 18;
  const height = top + rows.length * row + 4;
  const out = frame(width, height);
  const from = name + 4, to = width - 64;
  const at = value => from + Math.max(0, Math.min(1, value / most)) * (to - from);
  rows.forEach((one, i) => {
    const y = top + i * row + (narrow ? 16 : 0);
    out.append(
      narrow ? words("label", 0, y - 3, one.name) : words("label end", name - 6, y + 15, one.name),
      rect("track", from, y + 4, to - from, 14),
      rect(`fill ${one.class}`, from, y + 4, Math.max(1, at(one.value) - from), 14),
      words("tick", to + 6, y + 15, one.note));
  });
  if (mark !== undefined) {
    out.append(line("level bad", at(mark), top - 4, at(mark), height),
      words("tick middle bad", Math.min(at(mark), width - 70), 10, mark_name));
  }
  return out;
}

// Where measures lie beside honest ones, in their standard deviations: the band is what is usual.
export function deviations(width, rows) {
  const narrow = width < 420;
  const row = narrow ? 38 : 24, name = narrow ? 0 : 150, top = 18, most = 4;
  const height = top + rows.length * row + 18;
  const from = name + 10, to = width - 12, middle = (from + to) / 2;
  const at = d => middle + Math.max(-most, Math.min(most, d)) / most * (to - from) / 2;
  const out = frame(width, height);
  out.append(rect("usual", at(-1), top - 6, at(1) - at(-1), height - top - 10),
    line("grid", middle, top - 6, middle, height - 16),
    words("tick middle", middle, 9, "usual"),
    words("tick", from, height - 3, "lower"),
    words("tick end", to, height - 3, "higher than honest accounts"));
  rows.forEach((one, i) => {
    const y = top + i * row + (narrow ? 14 : 0);
    const far = Math.abs(one.deviation) >= 2;
    out.append(
      narrow ? words("label", 0, y - 2, one.name) : words("label end", name - 4, y + 12, one.name),
      line("grid", middle, y + 8, at(one.deviation), y + 8),
      dot(`dot ${far ? "bad" : "other"}`, at(one.deviation), y + 8, 5));
  });
  return out;
}

// 24 bars, an hour of the day in UTC each.
export function hours(width, counts) {
  const height = 110, most = Math.max(1, ...counts), step = (width - LEFT - RIGHT) / 24;
  const out = frame(width, height);
  counts.forEach((count, hour) => {
    const high = count / most * (height - TOP - 24);
    out.append(rect("fill student", LEFT + hour * step + 1, height - 24 - high, step - 2, high));
    if (hour % 6 === 0) {
      out.append(words("tick", LEFT + hour * step, height - 8, `${hour}:00`));
    }
  });
  return out;
}
