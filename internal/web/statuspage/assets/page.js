// Fetches the page anew every two seconds and exchanges what changed. Without it the page is whole, and reloads itself.
"use strict";

const every = 2000; // ms
const within = 5000;

async function newest() {
  const answer = await fetch(location.pathname, {cache: "no-store", signal: AbortSignal.timeout(within)});
  if (!answer.ok) throw new Error("answer " + answer.status);
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

// exchange replaces only parts that differ, so that a selection or the focus elsewhere stays.
function exchange(page) {
  document.title = page.title;
  document.getElementById("now").replaceWith(page.getElementById("now"));
  const old = [...document.getElementById("main").children];
  const fresh = [...page.getElementById("main").children];
  fresh.forEach((part, i) => {
    if (!part.isEqualNode(old[i])) old[i].replaceWith(part);
  });
}

async function refresh() {
  const stale = document.getElementById("stale");
  try {
    if (!document.hidden) {
      exchange(await newest());
      if (stale.textContent) stale.textContent = "";
    }
  } catch {
    if (!stale.textContent) stale.textContent = "This agent does not answer. What follows is old.";
  }
  setTimeout(refresh, every);
}

setTimeout(refresh, every);
