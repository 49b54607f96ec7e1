// Plots over time by uPlot: two measures, two scales, gaps where nothing is known.

const COLOURS = { first: "#8ccbe0", second: "#e8b84e", faint: "#808d99", grid: "#1b222a" };
const REFRESH_MS = 60000;
const FEW = 12;

const KINDS = {
  fleet: {
    first: { column: "hashrate_hs", name: "hashrate", scaled: hashrate },
    second: { column: "power_w", name: "power", scaled: watts },
    height: 200,
  },
  machine: {
    first: { column: "hashrate_hs", name: "hashrate", scaled: hashrate },
    second: { column: "power_w", name: "power", scaled: watts },
    height: 200,
  },
  heat: {
    first: { column: "temp_chip_max_c", name: "hottest chip", scaled: () => [1, "°C"] },
    second: { column: "fan_min_rpm", name: "slowest fan", scaled: () => [1, "rpm"] },
    height: 200,
  },
};

function hashrate(most) {
  const steps = [[1e18, "EH/s"], [1e15, "PH/s"], [1e12, "TH/s"], [1e9, "GH/s"]];
  return steps.find(([size]) => most >= size) ?? [1, "H/s"];
}

function watts(most) {
  const steps = [[1e6, "MW"], [1e3, "kW"]];
  return steps.find(([size]) => most >= size) ?? [1, "W"];
}

function largest(values) {
  return values.reduce((most, value) => (value !== null && value > most ? value : most), 0);
}

function digits(value) {
  if (value === null || value === undefined) return "–";
  return String(value >= 1000 ? Math.round(value) : Number(value.toPrecision(3)));
}

async function draw(figure, state) {
  const kind = KINDS[figure.dataset.plot];
  const { first, second } = kind;
  const known = (found) => (found.columns[first.column] ?? []).filter((value) => value !== null).length;
  let hours = 24;
  let series = await fetchSeries(figure.dataset.src);
  if (series && known(series) < FEW) {
    // A mine that was just connected has no day to show yet, but it has an hour.
    hours = 1;
    series = await fetchSeries(figure.dataset.src.replace(/hours=\d+&points=\d+/, "hours=1&points=60"));
  }
  if (!series) return nothing(figure, "The center cannot say just now.");
  figure.closest(".panel").querySelector("[data-span]").textContent = `last ${hours} h`;
  const values = [first, second].map(({ column }) => series.columns[column] ?? []);
  if (values.every((column) => column.every((value) => value === null))) {
    return nothing(figure, "Nothing was recorded in this time.");
  }
  const expected = Number(figure.dataset.expected) || null;
  const scales = [first.scaled(Math.max(largest(values[0]), expected ?? 0)), second.scaled(largest(values[1]))];
  const scale = (column, [size]) => column.map((value) => (value === null ? null : value / size));
  const data = [series.at, scale(values[0], scales[0]), scale(values[1], scales[1])];
  if (expected) data.push(series.at.map(() => expected / scales[0][0]));
  const isSparse = known(series) < FEW;
  const shape = JSON.stringify([scales, data.length, hours, isSparse]);
  if (state.plot && state.shape === shape) return state.plot.setData(data);
  state.plot?.destroy();
  figure.replaceChildren();
  state.shape = shape;
  state.plot = new uPlot(options(figure, kind, scales, expected, series.step_s, isSparse), data, figure);
}

async function fetchSeries(address) {
  const answer = await fetch(address);
  return answer.ok ? answer.json() : null;
}

function nothing(figure, words) {
  const note = document.createElement("p");
  note.className = "nothing";
  note.textContent = words;
  figure.replaceChildren(note);
}

function options(figure, kind, scales, expected, stepS, isSparse) {
  const family = getComputedStyle(document.body).fontFamily;
  const axis = { stroke: COLOURS.faint, font: `11px ${family}`, ticks: { show: false }, gap: 6 };
  const ends = (from, to) => {
    const room = (to - from || to || 1) * 0.08;
    return [Math.max(0, from - room), to + room];
  };
  const readout = figure.closest(".panel").querySelector("[data-readout]");
  const series = [
    {},
    { scale: "first", stroke: COLOURS.first, width: 1.75, points: { show: isSparse, size: 4 }, fill: "rgba(140,203,224,0.06)" },
    { scale: "second", stroke: COLOURS.second, width: 1.25, dash: [5, 3], points: { show: isSparse, size: 4 } },
  ];
  if (expected) {
    series.push({ scale: "first", stroke: COLOURS.faint, width: 1, dash: [2, 3], points: { show: false } });
  }
  return {
    width: figure.clientWidth,
    height: kind.height,
    legend: { show: false },
    padding: [8, 0, 0, 0],
    cursor: { y: false, points: { size: 6 }, drag: { x: false, y: false } },
    scales: {
      x: { time: true },
      first: { range: (_plot, from, to) => (figure.dataset.plot === "heat" ? ends(from, to) : [0, to * 1.08 || 1]) },
      // Lower than the first, so that two lines that move together do not lie on each other.
      second: { range: (_plot, _from, to) => [0, to * 1.5 || 1] },
    },
    axes: [
      {
        ...axis,
        grid: { stroke: COLOURS.grid, width: 1 },
        space: 70,
        size: 24,
        values: (_plot, splits) => splits.map((at) => clock(at)),
      },
      { ...axis, scale: "first", size: 62, space: 40, grid: { stroke: COLOURS.grid, width: 1 }, values: (_plot, splits) => splits.map((value, at) => (at === splits.length - 1 ? `${digits(value)} ${scales[0][1]}` : digits(value))) },
      { ...axis, scale: "second", side: 1, size: 62, space: 40, grid: { show: false }, values: (_plot, splits) => splits.map((value, at) => (at === splits.length - 1 ? `${digits(value)} ${scales[1][1]}` : digits(value))) },
    ],
    series,
    hooks: {
      setCursor: [
        (plot) => {
          const at = plot.cursor.idx;
          if (!readout) return;
          readout.textContent =
            at === null || at === undefined
              ? ""
              : `${clock(plot.data[0][at])}  ${digits(plot.data[1][at])} ${scales[0][1]}  ${digits(plot.data[2][at])} ${scales[1][1]}` +
                (stepS > 60 ? `  (mean of ${Math.round(stepS / 60)} min)` : "");
        },
      ],
    },
  };
}

function clock(at) {
  return new Date(at * 1000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
}

for (const figure of document.querySelectorAll("[data-plot]")) {
  const state = { plot: null, shape: "" };
  const renew = () => draw(figure, state).catch(() => nothing(figure, "The center does not answer."));
  document.fonts.ready.then(renew);
  setInterval(() => document.hidden || renew(), REFRESH_MS);
  new ResizeObserver(() => {
    if (state.plot && figure.clientWidth && state.plot.width !== figure.clientWidth) {
      state.plot.setSize({ width: figure.clientWidth, height: state.plot.height });
    }
  }).observe(figure);
}
