/** What went wrong, for people; the field for the API key; the countdown to the next try. */

import { Problem, setKey } from "./api.js";

const find = (id) => document.getElementById(id);
const name = document.title;
let timer = 0;
/** The page's title before the complaint that it names now. */
let former = null;

/** Take away what an earlier call left. */
export function clear() {
  clearInterval(timer);
  find("notice").hidden = true;
  find("lock").hidden = true;
  if (former !== null) document.title = former;
  former = null;
}

/** Have the page's title tell what it is about. */
export function entitle(subject) {
  document.title = `${subject} - ${name}`;
}

export function say(text) {
  find("status").textContent = text;
}

export function setBusy(busy) {
  find("busy").hidden = !busy;
}

/**
 * Show an error; what it needs is asked for, and then it is tried again.
 *
 * @param {Error} error
 * @param {() => void} again
 * @param {?string} subject name of the picture that it is about
 */
export function complain(error, again, subject = null) {
  clear();
  say("");
  const { status = 0, title = "The page failed", retryAfter = null, id = null } = error;
  const heading = subject ? `${subject}: ${title}` : title;
  find("notice-title").textContent = heading;
  former = document.title;
  entitle(heading);
  find("notice-detail").textContent = error.message;
  find("notice-id").textContent = `Request ${id}`;
  find("notice-id").hidden = !id;
  find("notice").hidden = false;
  find("again").hidden = !(error instanceof Problem) || (status !== 0 && status < 500);
  find("again").onclick = again;
  find("dismiss").onclick = dismiss;
  find("countdown").textContent = "";
  if (status === 401) askForKey(again);
  else if (retryAfter) countDown(retryAfter, again);
  else find("notice-title").focus(); // from here Tab leads to what can be done about it
}

function dismiss() {
  clear();
  find("choose").focus();
}

function askForKey(again) {
  const [form, field] = [find("lock"), find("key")];
  form.hidden = false;
  field.focus();
  form.onsubmit = (event) => {
    event.preventDefault();
    setKey(field.value);
    field.value = "";
    again();
  };
}

function countDown(seconds, again) {
  const end = performance.now() + seconds * 1000;
  const tick = () => {
    const left = Math.ceil((end - performance.now()) / 1000);
    find("countdown").textContent = `Tries again by itself in ${Math.max(0, left)} s`;
    if (left > 0) return;
    clear();
    again();
  };
  tick();
  timer = setInterval(tick, 250);
}
