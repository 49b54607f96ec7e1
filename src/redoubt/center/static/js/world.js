// Sites on a map of the world, in the Natural Earth projection (Šavrič et al., 2015).

const NS = "http://www.w3.org/2000/svg";
const WIDTH = 960;
const HEIGHT = 420;
const SCALE = 172;
const TOP = 84;

function project(longitude, latitude) {
  const l = (longitude * Math.PI) / 180;
  const p = (latitude * Math.PI) / 180;
  const p2 = p * p;
  const p4 = p2 * p2;
  const x = l * (0.8707 - 0.131979 * p2 + p4 * (-0.013791 + p4 * (0.003971 * p2 - 0.001529 * p4)));
  const y = p * (1.007226 + p2 * (0.015085 + p4 * (-0.044475 + 0.028874 * p2 - 0.005916 * p4)));
  return [WIDTH / 2 + x * SCALE, HEIGHT / 2 - y * SCALE + TOP / 2];
}

function make(name, attributes, parent) {
  const element = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  parent?.append(element);
  return element;
}

function outline(geometry) {
  const polygons = geometry.type === "Polygon" ? [geometry.coordinates] : geometry.coordinates;
  // Antarctica would take a quarter of the map and has no mines.
  const near = polygons.filter((rings) => rings[0].some(([, latitude]) => latitude > -58));
  return near
    .flatMap((rings) => rings.map(path))
    .join("");
}

/** A ring as a path; where it crosses the date line it begins anew, or it would cross the map. */
function path(ring) {
  let before = null;
  const steps = ring.map(([longitude, latitude]) => {
    const breaks = before === null || Math.abs(longitude - before) > 180;
    before = longitude;
    const [x, y] = project(longitude, latitude);
    return `${breaks ? "M" : "L"}${x.toFixed(1)} ${y.toFixed(1)}`;
  });
  return `${steps.join("")}Z`;
}

function drawSites(group) {
  const sites = [...document.querySelectorAll("[data-site]")].filter((row) => row.dataset.lat !== "");
  group.replaceChildren();
  for (const { dataset, href } of sites) {
    const [x, y] = project(Number(dataset.lon), Number(dataset.lat));
    const link = make("a", { href, class: "bad" in dataset ? "is-bad" : "" }, group);
    make("title", {}, link).textContent = dataset.name;
    make("circle", { class: "ring", cx: x, cy: y, r: 16 }, link);
    make("circle", { class: "dot", cx: x, cy: y, r: 8 }, link);
    const end = x > WIDTH * 0.75;
    const label = make("text", { x: end ? x - 24 : x + 24, y: y + 6, "text-anchor": end ? "end" : "start" }, link);
    label.textContent = dataset.name.length > 24 ? `${dataset.name.slice(0, 23)}…` : dataset.name;
  }
  return sites.length;
}

async function start(box) {
  const answer = await fetch(box.dataset.world);
  const land = await answer.json();
  const feature = topojson.feature(land, land.objects.land);
  const shapes = feature.type === "FeatureCollection" ? feature.features : [feature];
  const svg = make("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "group", "aria-label": "Sites on a map of the world" });
  make("path", { class: "land", d: shapes.map(({ geometry }) => outline(geometry)).join("") }, svg);
  const group = make("g", {}, svg);
  if (!drawSites(group)) {
    box.hidden = true;
    return;
  }
  box.replaceChildren(svg);
  document.addEventListener("htmx:afterSwap", () => drawSites(group));
}

const box = document.querySelector("[data-world]");
if (box) start(box).catch(() => { box.hidden = true; });
