"use strict";
// Keeps a page up to date, and spares the reload when a button is pressed. Whatever it does, the page does without it.

// Milliseconds from an answer to the next question.
const PAUSE = 5000;

// Makes one tree of nodes like another, and leaves alone what is the same already: focus, selection and whatever is
// unfolded stay where they are.
function become(old, fresh) {
  if (old.nodeName !== fresh.nodeName || (old.id || "") !== (fresh.id || "")) {
    old.replaceWith(fresh);
  } else if (old.nodeType === Node.ELEMENT_NODE) {
    for (const { name } of [...old.attributes]) {
      if (!fresh.hasAttribute(name)) old.removeAttribute(name);
    }
    for (const { name, value } of fresh.attributes) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    childrenBecome(old, fresh);
  } else if (old.nodeValue !== fresh.nodeValue) {
    old.nodeValue = fresh.nodeValue;
  }
}

// Children with an id are found again wherever they are; of the others one takes the place of another.
function childrenBecome(old, fresh) {
  let here = old.firstChild;
  for (const child of [...fresh.childNodes]) {
    const moved = child.id && child.id !== here?.id;
    const namesake = moved ? [...old.childNodes].find((node) => node.id === child.id) : here;
    if (!namesake || (namesake.id || "") !== (child.id || "")) {
      old.insertBefore(child, here);
      continue;
    }
    if (namesake === here) here = here.nextSibling;
    else old.insertBefore(namesake, here);
    become(namesake, child);
  }
  while (here) {
    const next = here.nextSibling;
    here.remove();
    here = next;
  }
}

async function show(answer) {
  // The session is over: the page itself asks to log in.
  if (answer.status === 401) return location.reload();
  if (!answer.ok) throw new Error(`it answers ${answer.status}`);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of document.querySelectorAll("[data-part]")) {
    const fresh = page.getElementById(part.id);
    if (fresh) become(part, fresh);
  }
}

// Says that the host can not be reached, or that it can again.
function lost(reason) {
  const note = document.getElementById("lost");
  note.hidden = !reason;
  note.textContent = reason ? `What is shown may be out of date: ${reason}. Trying again.` : "";
}

// One question at a time, so that an older answer never comes after a newer one.
let asking = Promise.resolve();
function ask(url, options) {
  asking = asking.then(async () => {
    try {
      await show(await fetch(url, options));
      lost(null);
    } catch (error) {
      lost(error instanceof TypeError ? "the host does not answer" : error.message);
    }
  });
  return asking;
}

let paused = false;
async function keepUpToDate() {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
    if (!paused && !document.hidden) await ask(location.pathname);
  }
}

function offerPause() {
  const button = document.getElementById("live");
  button.hidden = false;
  button.addEventListener("click", () => {
    paused = !paused;
    button.textContent = paused ? "Resume updates" : "Pause updates";
    if (!paused) ask(location.pathname);
  });
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.hasAttribute("data-inline")) return;
  event.preventDefault();
  // Not disabled: it would lose the focus.
  if (form.hasAttribute("aria-busy")) return;
  form.setAttribute("aria-busy", "true");
  await ask(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
  form.removeAttribute("aria-busy");
});

if (document.body.hasAttribute("data-live")) {
  offerPause();
  keepUpToDate();
}
