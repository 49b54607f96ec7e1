// One ramp for every measure: dark blue is calm, yellow wants to be looked at. It follows cividis
// (Nuñez, Anderton and Renslow, 2018), whose lightness rises evenly and which reads the same with
// any colour vision; its darkest part is left out, since it would drown in a dark page.

const STOPS = [
  [0.0, [28, 58, 107]],
  [0.15, [48, 72, 108]],
  [0.3, [74, 90, 110]],
  [0.45, [101, 110, 115]],
  [0.6, [133, 130, 118]],
  [0.75, [172, 158, 109]],
  [0.88, [214, 189, 89]],
  [1.0, [255, 226, 67]],
];
const STEPS = 256;

function mix(at) {
  const upper = Math.max(1, STOPS.findIndex(([stop]) => stop >= at));
  const [from, low] = STOPS[upper - 1];
  const [to, high] = STOPS[upper];
  const part = (at - from) / (to - from);
  return low.map((value, channel) => Math.round(value + (high[channel] - value) * part));
}

/** 256 colours, calm to loud. */
export const RAMP = Array.from({ length: STEPS }, (_, at) => `rgb(${mix(at / (STEPS - 1)).join(" ")})`);

/** The colour of a part of 1; beyond either end it stays at the end. */
export function colourOf(part) {
  return RAMP[Math.max(0, Math.min(STEPS - 1, Math.round(part * (STEPS - 1))))];
}

const PALETTE = {
  ground: "#10151a",
  slot: "#171d24",
  blank: "#2b353e",
  line: "#55626e",
  soft: "#aab5bf",
  warn: "#e8b84e",
  bad: "#ff7a59",
};
export { PALETTE };

/** What a measure shows: how a cell's value becomes a part of the ramp, ticks, and words. */
export const MEASURES = {
  temp: {
    label: "hottest chip",
    ticks: ["55 °C", "70", "85", "100 °C"],
    part: (tenths) => (tenths / 10 - 55) / 45,
    text: (tenths) => `${(tenths / 10).toFixed(0)} °C`,
  },
  rate: {
    label: "hashrate, of nominal",
    ticks: ["105 %", "90", "75", "60 %"],
    part: (thousandths) => (1050 - thousandths) / 450,
    text: (thousandths) => `${(thousandths / 10).toFixed(1)} %`,
  },
  power: {
    label: "power",
    ticks: ["0 kW", "1.3", "2.7", "4 kW"],
    part: (watts) => watts / 4000,
    text: (watts) => (watts >= 1000 ? `${(watts / 1000).toFixed(2)} kW` : `${watts} W`),
  },
  age: {
    label: "age of data",
    ticks: ["0 s", "20", "40", "60 s"],
    part: (seconds) => seconds / 60,
    text: (seconds) => `${Math.round(seconds)} s`,
  },
};
