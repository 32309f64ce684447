"use strict";
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const grouped = (number) => number.toLocaleString("en-US");
const short = (number) => (number !== 0 && Math.abs(number) < 1e-3 ? number.toExponential(1) : grouped(number));

// Before and after: the range lies invisibly over its two pictures.
for (const range of all(".slider input"))
  range.addEventListener("input", () => range.parentElement.style.setProperty("--split", range.value + "%"));

// The films: a range shows one of the pictures that lie on each other; the master moves all.
function show(range, index) {
  range.value = index;
  const time = range.dataset.times.split("|")[range.value];
  const step = grouped(Number(range.dataset.steps.split(" ")[range.value])) + (time && ", " + time);
  all(".screen img", range.parentElement).forEach((image, i) => image.classList.toggle("on", i === Number(range.value)));
  range.parentElement.querySelector("output").textContent = "step " + step;
  range.setAttribute("aria-valuetext", "step " + step);
}
const films = all(".film > input");
for (const range of films) range.addEventListener("input", () => show(range, range.value));
const master = document.getElementById("master");
if (master) {
  const all_to = (index) => {
    master.value = index;
    for (const range of films) show(range, Math.round((index / Math.max(1, master.max)) * range.max));
    const longest = films.reduce((a, b) => (Number(a.max) >= Number(b.max) ? a : b));
    master.closest(".master").querySelector("output").textContent = longest.parentElement.querySelector("output").textContent;
  };
  master.addEventListener("input", () => all_to(master.value));
  let timer = 0;
  const play = document.getElementById("play");
  const stop = () => { clearInterval(timer); timer = 0; play.textContent = "Play"; };
  play.addEventListener("click", () => {
    if (timer) return stop();
    play.textContent = "Stop";
    if (master.value === master.max) all_to(0);
    timer = setInterval(() => (master.value === master.max ? stop() : all_to(Number(master.value) + 1)), 400);
  });
}

for (const button of all("[data-copy]"))
  button.addEventListener("click", async () => {
    const text = button.parentElement.querySelector("code");
    try {
      await navigator.clipboard.writeText(text.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(text); // a browser that forbids it: selected, ready for Ctrl-C
      button.textContent = "Selected";
    }
    setTimeout(() => (button.textContent = "Copy"), 1500);
  });

// Curves, in the colours of the scheme; drawn anew when the scheme or the width changes.
const charts = JSON.parse(document.getElementById("charts").textContent);
let drawn = [];
function draw() {
  for (const plot of drawn) plot.destroy();
  const [ink, line] = [colour("--quiet"), colour("--line")];
  const font = "12px system-ui, sans-serif";
  const axis = { stroke: ink, font, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } };
  drawn = all(".plot").map((place) => {
    const chart = charts[place.dataset.chart];
    const names = [...new Set(chart.series.map((series) => series.label.split(",")[0]))];
    const series = chart.series.map((s) => ({
      label: s.label,
      stroke: colour("--c" + (names.indexOf(s.label.split(",")[0]) % 6)),
      width: s.dashed ? 1.5 : 2,
      dash: s.dashed ? [6, 5] : undefined,
      points: { show: !s.dashed && chart.steps.length < 30, size: 5 },
      spanGaps: true,
      value: (_, value) => (value == null ? "–" : Number(value.toPrecision(4)).toString()),
    }));
    const options = {
      width: place.clientWidth,
      height: 240,
      cursor: { focus: { prox: 24 }, points: { size: 7 } },
      scales: { x: { time: false } },
      axes: [{ ...axis, values: (_, ticks) => ticks.map(grouped) }, { ...axis, values: (_, ticks) => ticks.map(short), size: 62 }],
      series: [{ label: "step", value: (_, value, __, i) => (value == null ? "–" : grouped(value) + (chart.times ? ", " + chart.times[i] : "")) }, ...series],
    };
    return new uPlot(options, [chart.steps, ...chart.series.map((s) => s.values)], place);
  });
}
draw();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
let width = innerWidth;
addEventListener("resize", () => {
  if (innerWidth !== width) for (const plot of drawn) plot.setSize({ width: plot.root.parentElement.clientWidth, height: 240 });
  width = innerWidth;
});

// A page that is served, of a training that goes on, looks every few seconds whether it was written anew.
if (location.protocol.startsWith("http") && document.querySelector("[data-live]")) {
  let known = "";
  setInterval(async () => {
    try {
      const { headers } = await fetch(location.pathname, { method: "HEAD", cache: "no-store" });
      const written = headers.get("Last-Modified") + headers.get("Content-Length");
      if (known && written !== known) {
        // Servers tell whole seconds: a page written twice in one would come out of the browser's cache.
        await fetch(location.pathname, { cache: "reload" });
        location.reload();
      }
      known = written;
    } catch {
      // the server is gone; the page stays as it is
    }
  }, 5000);
}
