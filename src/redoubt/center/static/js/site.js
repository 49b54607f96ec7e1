// A site's page: the heat map live, by mouse, touch, keyboard and ear.

import { formatDuration } from "./ages.js";
import { HeatMap, STATES, STATE_WORDS, drawGlyph } from "./heatmap.js";
import { MEASURES, PALETTE, RAMP, colourOf } from "./ramps.js";

const box = document.querySelector("[data-heat]");
if (box) start(box);

function start(frame) {
  const site = frame.dataset.heat;
  const canvas = frame.querySelector(".map");
  const over = frame.querySelector(".over");
  const tip = frame.querySelector(".tip");
  const says = document.querySelector("[data-heat-says]");
  const note = document.querySelector("[data-heat-state]");
  const view = { heat: null, focus: -1, hover: -1, source: null, wait: 1000, measure: "temp", asked: false };

  drawLegend(view.measure);
  drawShapes();

  async function load() {
    const answer = await fetch(`/api/v1/sites/${encodeURIComponent(site)}/heatmap`);
    if (!answer.ok) throw new Error(`the center answered ${answer.status}`);
    const map = await answer.json();
    const focused = view.heat && view.focus >= 0 ? view.heat.map.machine[view.focus] : null;
    view.heat = new HeatMap(canvas, map);
    view.heat.measure = view.measure;
    view.focus = focused === null ? -1 : map.machine.indexOf(focused);
    view.hover = -1;
    relayOut();
    listen(map);
  }

  function listen(map) {
    view.source?.close();
    const query = new URLSearchParams({ layout: map.layout, version: map.cells.version });
    const source = new EventSource(`/live/sites/${encodeURIComponent(site)}?${query}`);
    view.source = source;
    source.addEventListener("open", () => {
      view.wait = 1000;
      note.textContent = "connected";
    });
    source.addEventListener("cells", (event) => {
      view.heat.take(JSON.parse(event.data));
      ask();
    });
    source.addEventListener("layout", again);
    // The stream remembers nothing of us, so that after a break the whole map is fetched anew.
    source.addEventListener("error", again);
  }

  function again() {
    view.source?.close();
    note.textContent = "connecting";
    setTimeout(() => load().catch(failed), view.wait);
    view.wait = Math.min(30000, view.wait * 2);
  }

  function failed(error) {
    note.textContent = `no live data: ${error.message}`;
    again();
  }

  function ask() {
    if (view.asked) return;
    view.asked = true;
    requestAnimationFrame(() => {
      view.asked = false;
      view.heat.paint();
      if (view.hover >= 0) fillTip(view.hover);
    });
  }

  function relayOut() {
    const width = Math.floor(frame.clientWidth);
    const height = view.heat.layOut(width);
    const ratio = devicePixelRatio || 1;
    over.width = Math.round(width * ratio);
    over.height = Math.round(height * ratio);
    over.style.width = `${width}px`;
    over.style.height = `${height}px`;
    over.getContext("2d").setTransform(ratio, 0, 0, ratio, 0, 0);
    drawRing();
  }

  function drawRing() {
    const context = over.getContext("2d");
    const { heat } = view;
    context.clearRect(0, 0, heat.width, heat.height);
    const rings = [[view.hover, "#e8edf1"]];
    if (document.activeElement === canvas) rings.push([view.focus, "#8ccbe0"]);
    for (const [cell, colour] of rings) {
      if (cell < 0) continue;
      context.strokeStyle = colour;
      context.lineWidth = 2;
      context.strokeRect(heat.x[cell] - 1.5, heat.y[cell] - 1.5, heat.size + 3, heat.size + 3);
    }
  }

  function fillTip(cell) {
    const words = view.heat.describe(cell);
    const age = typeof words.age === "number" ? `heard ${formatDuration(words.age)} ago` : words.age;
    const lines = [`${words.state} · ${words.place}`, words.model, words.values, age];
    const name = document.createElement("b");
    name.textContent = words.machine;
    tip.replaceChildren(
      name,
      ...lines.map((line) => Object.assign(document.createElement("span"), { textContent: line })),
    );
  }

  function hover(cell) {
    if (cell === view.hover) return;
    view.hover = cell;
    canvas.classList.toggle("on-cell", cell >= 0);
    tip.hidden = cell < 0;
    drawRing();
    if (cell < 0) return;
    fillTip(cell);
    const { heat } = view;
    const right = heat.x[cell] + heat.size + 12;
    const fits = right + tip.offsetWidth <= heat.width;
    const left = fits ? right : Math.max(0, heat.x[cell] - tip.offsetWidth - 12);
    const top = Math.min(heat.y[cell], Math.max(0, heat.height - tip.offsetHeight));
    tip.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
  }

  function focusOn(cell) {
    view.focus = cell;
    drawRing();
    const words = view.heat.describe(cell);
    const age = typeof words.age === "number" ? `${Math.round(words.age)} seconds old` : words.age;
    says.textContent = `${words.machine}, ${words.state}, ${words.place}, ${words.values}, ${age}`;
    const top = canvas.getBoundingClientRect().top + view.heat.y[cell];
    if (top < 60 || top > innerHeight - 60) scrollBy({ top: top - innerHeight / 2 });
  }

  function open(cell) {
    location.assign(`/machines/${encodeURIComponent(view.heat.map.machine[cell])}`);
  }

  canvas.addEventListener("pointermove", (event) => {
    if (view.heat && event.pointerType !== "touch") hover(view.heat.pick(event.offsetX, event.offsetY));
  });
  canvas.addEventListener("pointerleave", () => hover(-1));
  canvas.addEventListener("click", (event) => {
    const cell = view.heat ? view.heat.pick(event.offsetX, event.offsetY) : -1;
    if (cell >= 0) open(cell);
  });
  canvas.addEventListener("focus", () => {
    if (view.heat?.count && canvas.matches(":focus-visible")) focusOn(Math.max(0, view.focus));
  });
  canvas.addEventListener("blur", () => view.heat && drawRing());
  canvas.addEventListener("keydown", (event) => {
    const { heat } = view;
    if (!heat?.count || event.altKey || event.ctrlKey || event.metaKey) return;
    const at = Math.max(0, view.focus);
    const moves = {
      ArrowLeft: () => heat.step(at, -1, 0),
      ArrowRight: () => heat.step(at, 1, 0),
      ArrowUp: () => heat.step(at, 0, -1),
      ArrowDown: () => heat.step(at, 0, 1),
      PageUp: () => heat.nextRack(at, -1),
      PageDown: () => heat.nextRack(at, 1),
      Home: () => 0,
      End: () => heat.count - 1,
    };
    if (event.key === "Enter") open(at);
    else if (event.key in moves) focusOn(moves[event.key]());
    else return;
    event.preventDefault();
  });

  document.querySelector("[data-measures]").addEventListener("change", (event) => {
    view.measure = event.target.value;
    drawLegend(view.measure);
    view.heat?.show(view.measure);
    ask();
  });

  new ResizeObserver(() => {
    if (view.heat && Math.floor(frame.clientWidth) !== view.heat.width) relayOut();
  }).observe(frame);

  setInterval(() => {
    if (!view.heat || document.hidden) return;
    view.heat.grow();
    if (view.heat.queue.length) ask();
  }, 2000);

  document.fonts.ready.then(() => load()).catch(failed);
}

function drawLegend(measure) {
  const legend = document.querySelector("[data-legend]");
  const canvas = legend.querySelector("canvas");
  const context = canvas.getContext("2d");
  const { label, ticks } = MEASURES[measure];
  RAMP.forEach((colour, at) => {
    context.fillStyle = colour;
    context.fillRect(at * 2, 0, 2, canvas.height);
  });
  canvas.setAttribute("aria-label", `${label}: from ${ticks[0]} in dark blue to ${ticks.at(-1)} in yellow`);
  legend.querySelector(".ticks").replaceChildren(
    ...ticks.map((text) => Object.assign(document.createElement("span"), { textContent: text })),
  );
}

function drawShapes() {
  const holder = document.querySelector("[data-shapes]");
  STATES.forEach((name, state) => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 28, height: 28 });
    const context = canvas.getContext("2d");
    context.scale(2, 2);
    context.fillStyle = PALETTE.slot;
    context.fillRect(1, 1, 12, 12);
    drawGlyph(context, state, 1, 1, 12, colourOf(name === "stale" ? 0.45 : 0.1));
    const item = document.createElement("span");
    item.append(canvas, STATE_WORDS[name]);
    holder.append(item);
  });
}
