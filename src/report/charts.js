// Draws the curves of a report from the JSON in the page; colours follow the page's scheme.
(function () {
  "use strict";
  var data = JSON.parse(document.getElementById("run-data").textContent);
  var charts = [];
  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }
  function axis(title, tick) {
    return {
      title: { display: Boolean(title), text: title, color: colour("--quiet") },
      ticks: { color: colour("--quiet"), maxTicksLimit: 7, callback: tick },
      grid: { color: colour("--rule"), drawBorder: false }
    };
  }
  function plain(value) { return Number(value).toLocaleString("en"); }
  function draw(id, sets, title, from_zero) {
    var canvas = document.getElementById(id);
    if (!canvas) return;
    var x = axis("step", plain), y = axis(title, plain);
    x.type = y.type = "linear";
    x.grid.display = false;
    y.beginAtZero = from_zero;
    x.max = Math.max.apply(null, sets.map(function (set) {
      return set.data.length > 0 ? set.data[set.data.length - 1].x : 1;
    }));
    charts.push(new Chart(canvas, {
      type: "line",
      data: { datasets: sets.filter(function (set) { return set.data.length > 0; }) },
      options: {
        animation: false, responsive: true, maintainAspectRatio: false, parsing: false,
        interaction: { mode: "nearest", axis: "x", intersect: false },
        scales: { x: x, y: y },
        plugins: {
          legend: {
            display: sets.length > 1, align: "end",
            labels: { color: colour("--ink"), boxWidth: 14, boxHeight: 2 }
          }
        }
      }
    }));
  }
  function line(label, points, name, width, radius) {
    return {
      label: label, data: points, borderColor: colour(name), backgroundColor: colour(name),
      borderWidth: width, pointRadius: radius, pointHitRadius: 8, tension: 0, clip: 8
    };
  }
  function draw_all() {
    Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
    Chart.defaults.font.size = 12;
    charts.forEach(function (chart) { chart.destroy(); });
    charts = [];
    var dots = data.held_out.length > 60 ? 0 : 3;
    draw("chart-loss", [
      line("training loss", data.loss, "--student", 1.25, data.loss.length > 1 ? 0 : 3),
      line("held-out loss", data.held_out, "--teacher", 2, dots)
    ], "nats a token", false);
    draw("chart-rate", [
      line("tokens a second", data.rate, "--student", 1.25, data.rate.length > 1 ? 0 : 3)
    ], "", true);
  }
  draw_all();
  ["(prefers-color-scheme: dark)", "print"].forEach(function (query) {
    window.matchMedia(query).addEventListener("change", draw_all);
  });
})();
