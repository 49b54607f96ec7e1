// What every page has: ages that grow, the state of the live link, the search key, forms by htmx.

import { startAges } from "./ages.js";

const link = document.querySelector("[data-link]");

function say(state, text) {
  if (link && link.dataset.state !== state) {
    link.dataset.state = state;
    link.textContent = text;
  }
}

document.addEventListener("htmx:sseOpen", () => say("live", "live"));
document.addEventListener("htmx:sseError", () => say("lost", "connection lost"));
document.addEventListener("htmx:responseError", (event) => {
  // Whoever is no longer signed in is led to the form, and back from there.
  if (event.detail.xhr.status === 401) location.reload();
  else say("lost", "no answer");
});
document.addEventListener("htmx:afterSwap", () => say("live", "live"));

document.addEventListener("htmx:beforeRequest", (event) => {
  const region = event.detail.elt;
  const isTick = event.detail.requestConfig.triggeringEvent?.type?.startsWith("sse:");
  // Whoever is in the middle of something there must not have it swapped away under their hands.
  const isBusy = region.contains(document.activeElement) && document.activeElement !== document.body;
  const selected = getSelection();
  const isMarked = selected && !selected.isCollapsed && region.contains(selected.anchorNode);
  if (isTick && (document.hidden || isBusy || isMarked)) event.preventDefault();
});

document.addEventListener("htmx:configRequest", (event) => {
  const token = document.querySelector('meta[name="csrf-token"]');
  if (token) event.detail.headers["X-CSRF-Token"] = token.content;
});

document.addEventListener("keydown", (event) => {
  const box = document.getElementById("search");
  const isTyping = /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement?.tagName ?? "");
  if (event.key === "/" && box && !isTyping && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    box.focus();
  }
});

for (const form of document.querySelectorAll("form[data-filters]")) {
  form.addEventListener("change", (event) => {
    if (event.target.tagName === "SELECT") form.requestSubmit();
  });
  form.addEventListener("submit", () => {
    for (const field of form.elements) if (field.name && !field.value) field.disabled = true;
  });
}

addEventListener("pageshow", () => {
  for (const field of document.querySelectorAll("form[data-filters] :disabled")) field.disabled = false;
});

startAges();
