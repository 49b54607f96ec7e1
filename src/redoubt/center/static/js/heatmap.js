// The rack heat map: a canvas that redraws only the cells that changed.
//
// `HeatMap` knows layout, values and drawing, and nothing of the network; site.js feeds it. Values
// lie in typed arrays by cell; NONE stands for unknown. Sizes are CSS pixels, the canvas is scaled by
// devicePixelRatio once per layout.

import { MEASURES, PALETTE, colourOf } from "./ramps.js";

const NONE = -(2 ** 31);
const GAP = 2;
const LABEL = 17;
const BUILDING = 26;
const BETWEEN = 12;
const APART = 36;
const STATE = { hashing: 0, degraded: 1, sleeping: 2, offline: 3, needs_auth: 4, stale: 5, unknown: 6 };
export const STATE_WORDS = {
  hashing: "hashing",
  degraded: "degraded",
  sleeping: "sleeping",
  offline: "offline",
  needs_auth: "needs password",
  stale: "stale",
  unknown: "unknown",
};
const NAMES = Object.keys(STATE);

/** Draw one cell's state as a shape, so that no state is told by colour alone. */
export function drawGlyph(context, state, x, y, size, fill) {
  const thin = Math.max(1, size / 10);
  context.lineWidth = thin;
  if (state === STATE.hashing || state === STATE.degraded) {
    context.fillStyle = fill;
    context.fillRect(x, y, size, size);
    if (state === STATE.degraded) {
      context.fillStyle = PALETTE.ground;
      triangle(context, x + size, y, -size * 0.62, size * 0.62);
      context.fillStyle = PALETTE.warn;
      triangle(context, x + size, y, -size * 0.45, size * 0.45);
    }
    return;
  }
  if (state === STATE.stale) {
    // What was last heard stays visible, but veiled: it must not look like now.
    context.globalAlpha = 0.5;
    context.fillStyle = fill;
    context.fillRect(x, y, size, size);
    context.globalAlpha = 1;
    context.strokeStyle = PALETTE.ground;
    context.lineWidth = Math.max(1.4, size / 8);
    context.beginPath();
    for (let at = size / 3; at <= size * 2; at += size / 3) {
      const over = Math.max(0, at - size);
      context.moveTo(x + over, y + at - over);
      context.lineTo(x + at - over, y + over);
    }
    context.stroke();
    return;
  }
  const inset = thin / 2;
  const isBad = state === STATE.offline;
  context.strokeStyle = isBad ? PALETTE.bad : state === STATE.needs_auth ? PALETTE.warn : PALETTE.line;
  context.strokeRect(x + inset, y + inset, size - thin, size - thin);
  context.fillStyle = context.strokeStyle;
  const middle = [x + size / 2, y + size / 2];
  context.beginPath();
  if (isBad) {
    const arm = size * 0.26;
    context.lineWidth = Math.max(1.4, size / 7);
    context.moveTo(middle[0] - arm, middle[1] - arm);
    context.lineTo(middle[0] + arm, middle[1] + arm);
    context.moveTo(middle[0] + arm, middle[1] - arm);
    context.lineTo(middle[0] - arm, middle[1] + arm);
    context.stroke();
  } else if (state === STATE.sleeping) {
    context.fillRect(x + size * 0.28, middle[1] - thin / 2, size * 0.44, thin);
  } else if (state === STATE.needs_auth) {
    context.arc(middle[0], middle[1], size * 0.17, 0, 7);
    context.fill();
  } else {
    context.fillRect(middle[0] - thin, middle[1] - thin, 2 * thin, 2 * thin);
  }
}

function triangle(context, x, y, dx, dy) {
  context.beginPath();
  context.moveTo(x, y);
  context.lineTo(x + dx, y);
  context.lineTo(x, y + dy);
  context.fill();
}

export class HeatMap {
  /** `map` is a heat map as /api/v1/sites/{site}/heatmap gives it. */
  constructor(canvas, map) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false });
    this.measure = "temp";
    this.map = map;
    this.count = map.machine.length;
    const ints = () => new Int32Array(this.count).fill(NONE);
    this.values = { temp: ints(), rate: ints(), power: ints() };
    this.at = ints();
    this.said = new Uint8Array(this.count).fill(STATE.unknown);
    this.shown = new Uint8Array(this.count).fill(255);
    this.x = new Float32Array(this.count);
    this.y = new Float32Array(this.count);
    this.dirty = new Uint8Array(this.count);
    this.queue = [];
    this.now = map.cells.now;
    this.heardAt = performance.now();
    this.take(map.cells);
  }

  /** Take changed cells; they are drawn by the next `paint`. */
  take(cells) {
    this.now = cells.now;
    this.heardAt = performance.now();
    const { temp, rate, power } = this.values;
    for (let n = 0; n < cells.i.length; n++) {
      const cell = cells.i[n];
      this.said[cell] = cells.state[n];
      temp[cell] = cells.temp[n] ?? NONE;
      rate[cell] = cells.rate[n] ?? NONE;
      power[cell] = cells.power[n] ?? NONE;
      this.at[cell] = cells.at[n] ?? NONE;
      this.mark(cell);
    }
  }

  mark(cell) {
    if (!this.dirty[cell]) {
      this.dirty[cell] = 1;
      this.queue.push(cell);
    }
  }

  markAll() {
    for (let cell = 0; cell < this.count; cell++) this.mark(cell);
  }

  /** The center's time by our clock, in epoch seconds. */
  clock() {
    return this.now + (performance.now() - this.heardAt) / 1000;
  }

  /** Mark what merely grew older: cells that turned stale, and all of them where ages are shown. */
  grow() {
    const limit = this.clock() - this.map.fresh_s;
    for (let cell = 0; cell < this.count; cell++) {
      if (this.measure === "age" || (this.at[cell] < limit && this.shown[cell] < STATE.stale)) {
        this.mark(cell);
      }
    }
  }

  stateOf(cell) {
    if (this.at[cell] === NONE) return STATE.unknown;
    return this.clock() - this.at[cell] > this.map.fresh_s ? STATE.stale : this.said[cell];
  }

  /** A cell's value of the measure shown, or null. */
  valueOf(cell, measure = this.measure) {
    if (measure === "age") return this.at[cell] === NONE ? null : Math.max(0, this.clock() - this.at[cell]);
    const value = this.values[measure][cell];
    return value === NONE ? null : value;
  }

  show(measure) {
    this.measure = measure;
    this.markAll();
  }

  /** Lay the racks out for a width and draw everything. Returns the height. */
  layOut(width) {
    const { racks } = this.map;
    const { size, placed: blocks } = plan(racks, width);
    this.size = size;
    this.pitch = size + GAP;
    this.width = width;
    this.height = blocks.height;
    this.blocks = blocks.racks;
    for (let cell = 0; cell < this.count; cell++) {
      const block = this.blocks[this.map.rack[cell]];
      this.x[cell] = block.x + (this.map.position[cell] - 1) * this.pitch;
      this.y[cell] = block.y + LABEL + (this.map.level[cell] - 1) * this.pitch;
    }
    this.index();
    const ratio = devicePixelRatio || 1;
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(this.height * ratio);
    this.canvas.style.width = `${width}px`;
    this.canvas.style.height = `${this.height}px`;
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.drawGround(blocks.headings);
    this.markAll();
    this.paint();
    return this.height;
  }

  drawGround(headings) {
    const { context } = this;
    context.fillStyle = PALETTE.ground;
    context.fillRect(0, 0, this.width, this.height);
    context.textBaseline = "alphabetic";
    const family = getComputedStyle(this.canvas).fontFamily;
    context.font = `550 13px ${family}`;
    context.fillStyle = PALETTE.soft;
    for (const { text, x, y } of headings) context.fillText(text, x, y);
    context.font = `11px ${family}`;
    this.map.racks.forEach((rack, at) => {
      const block = this.blocks[at];
      context.fillStyle = "#808d99";
      context.fillText(fit(context, rack.name, block.width), block.x, block.y + 11);
      context.fillStyle = PALETTE.slot;
      for (let level = 0; level < rack.levels; level++) {
        for (let position = 0; position < rack.positions; position++) {
          const x = block.x + position * this.pitch;
          const y = block.y + LABEL + level * this.pitch;
          context.fillRect(x, y, this.size, this.size);
        }
      }
    });
  }

  /** Draw the marked cells; returns how many. */
  paint() {
    const { queue, context, size } = this;
    const { part } = MEASURES[this.measure];
    for (const cell of queue) {
      this.dirty[cell] = 0;
      const state = this.stateOf(cell);
      this.shown[cell] = state;
      const value = this.valueOf(cell);
      const x = this.x[cell];
      const y = this.y[cell];
      if (state > STATE.degraded) {
        context.fillStyle = PALETTE.slot;
        context.fillRect(x, y, size, size);
      }
      drawGlyph(context, state, x, y, size, value === null ? PALETTE.blank : colourOf(part(value)));
    }
    this.queue = [];
    return queue.length;
  }

  /** Remember which cell lies where, by a grid of the canvas. */
  index() {
    this.spots = new Map();
    for (let cell = 0; cell < this.count; cell++) {
      this.spots.set(`${this.map.rack[cell]}/${this.map.level[cell]}/${this.map.position[cell]}`, cell);
    }
  }

  /** The cell at a point of the canvas, or -1. */
  pick(x, y) {
    for (let rack = 0; rack < this.blocks.length; rack++) {
      const block = this.blocks[rack];
      const inX = x - block.x;
      const inY = y - block.y - LABEL;
      if (inX < 0 || inY < 0 || inX >= block.width || inY >= block.height - LABEL) continue;
      const spot = `${rack}/${Math.floor(inY / this.pitch) + 1}/${Math.floor(inX / this.pitch) + 1}`;
      return this.spots.get(spot) ?? -1;
    }
    return -1;
  }

  /** The nearest cell in a direction, or the same one where there is none. */
  step(cell, dx, dy) {
    let best = cell;
    let least = Infinity;
    for (let other = 0; other < this.count; other++) {
      const along = (this.x[other] - this.x[cell]) * dx + (this.y[other] - this.y[cell]) * dy;
      const across = Math.abs((this.x[other] - this.x[cell]) * dy) + Math.abs((this.y[other] - this.y[cell]) * dx);
      const distance = along + 4 * across;
      if (along > 0.5 && distance < least) [best, least] = [other, distance];
    }
    return best;
  }

  /** The first cell of the next rack that has one, `by` being 1 or -1. */
  nextRack(cell, by) {
    for (let rack = this.map.rack[cell] + by; rack >= 0 && rack < this.map.racks.length; rack += by) {
      const found = this.map.rack.indexOf(rack);
      if (found >= 0) return found;
    }
    return cell;
  }

  /** A cell in words, for the tip and for screen readers. */
  describe(cell) {
    const { map } = this;
    const value = (measure) => {
      const found = this.valueOf(cell, measure);
      return found === null ? "–" : MEASURES[measure].text(found);
    };
    return {
      machine: map.machine[cell],
      state: STATE_WORDS[NAMES[this.stateOf(cell)]],
      place: [map.racks[map.rack[cell]].name, map.slot[cell]].filter(Boolean).join(", slot "),
      model: map.model[cell] ?? "model unknown",
      values: `${value("temp")} · ${value("rate")} of nominal · ${value("power")}`,
      age: this.at[cell] === NONE ? "never heard of" : this.valueOf(cell, "age"),
    };
  }
}

function fit(context, text, width) {
  let cut = text;
  while (cut.length > 1 && context.measureText(cut).width > width) cut = cut.slice(0, -1);
  return cut;
}

/** How to lay out: the largest cells, and how many buildings beside each other, that fit a screen. */
function plan(racks, width) {
  const highest = width < 600 ? 1400 : 640;
  let least = null;
  for (let size = 24; size >= 9; size--) {
    for (let columns = 1; columns <= Math.max(1, Math.floor(width / 320)); columns++) {
      const placed = placeRacks(racks, width, size + GAP, columns);
      if (placed.height <= highest) return { size, placed };
      if (size === 9 && (!least || placed.height < least.placed.height)) least = { size, placed };
    }
  }
  return least;
}

/** Lay buildings in columns and lines, and each one's racks in lines of their own. */
function placeRacks(racks, width, pitch, columns) {
  const placed = [];
  const headings = [];
  const most = (width - (columns - 1) * APART) / columns;
  let [left, top, lineHeight] = [0, 0, 0];
  let first = 0;
  while (first < racks.length) {
    const { building } = racks[first];
    let last = first;
    while (last < racks.length && racks[last].building === building) last++;
    const block = placeBlock(racks.slice(first, last), most, pitch);
    if (left > 0 && left + block.width > width) {
      [left, top, lineHeight] = [0, top + lineHeight + BETWEEN, 0];
    }
    const head = building ? BUILDING : 0;
    if (building) headings.push({ text: building, x: left, y: top + 13 });
    for (const rack of block.racks) placed.push({ ...rack, x: rack.x + left, y: rack.y + top + head });
    lineHeight = Math.max(lineHeight, block.height + head);
    left += Math.max(block.width, most) + APART;
    first = last;
  }
  return { racks: placed, headings, height: Math.ceil(top + lineHeight + 4) };
}

function placeBlock(racks, most, pitch) {
  const placed = [];
  let [x, y, lineHeight, width] = [0, 0, 0, 0];
  for (const rack of racks) {
    const rackWidth = Math.max(rack.positions * pitch, 30);
    const rackHeight = LABEL + rack.levels * pitch;
    if (x > 0 && x + rackWidth > most) [x, y, lineHeight] = [0, y + lineHeight + BETWEEN, 0];
    placed.push({ x, y, width: rackWidth, height: rackHeight });
    width = Math.max(width, x + rackWidth);
    x += rackWidth + BETWEEN;
    lineHeight = Math.max(lineHeight, rackHeight);
  }
  return { racks: placed, width, height: y + lineHeight };
}

export const STATES = NAMES;
