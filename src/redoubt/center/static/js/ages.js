// Ages that were true when the page was made, kept true. `data-late` turns an age into a warning.

const STEPS = [
  [86400, "d"],
  [3600, "h"],
  [60, "min"],
  [1, "s"],
];

/** The two largest units, as the server writes them: "3 d 4 h", "12 min 5 s". */
export function formatDuration(seconds) {
  let left = Math.max(0, Math.floor(seconds));
  const parts = [];
  for (const [size, unit] of STEPS) {
    const count = Math.floor(left / size);
    left -= count * size;
    if (count || (unit === "s" && !parts.length)) parts.push(`${count} ${unit}`);
    else if (parts.length) break;
  }
  return parts.slice(0, 2).join(" ");
}

function renew() {
  const now = Date.now();
  for (const element of document.querySelectorAll("time.age")) {
    const age = (now - Date.parse(element.dateTime)) / 1000;
    const text = element.querySelector("[data-ago]");
    const words = formatDuration(age);
    if (text && text.textContent !== words) text.textContent = words;
    const late = Number(element.dataset.late);
    if (late) element.classList.toggle("late", age > late);
  }
}

export function startAges() {
  renew();
  setInterval(renew, 1000);
  document.addEventListener("htmx:afterSwap", renew);
}
