"use strict";
// Puts in what the server made; makes nothing itself. The server escapes what it sends.
const POLL_MS = 2000;
const byId = (id) => document.getElementById(id);
const news = byId("news");
const shown = new Map();

function say(text) {
  if (news.textContent !== text) news.textContent = text;
}

async function ask(path, body) {
  const key = sessionStorage.getItem("edgewise-key");
  const headers = key ? { authorization: `Bearer ${key}` } : {};
  const given = body ? { method: "POST", body: JSON.stringify(body) } : {};
  const answer = await fetch(path, { ...given, headers, cache: "no-store" });
  const told = await answer.json();
  if (!answer.ok) {
    if (answer.status === 401) sessionStorage.removeItem("edgewise-key");
    const error = told.error || "no answer";
    throw new Error(typeof error === "string" ? error : error.message);
  }
  return told;
}

const hasKey = () => document.body.dataset.keys === "no" || sessionStorage.getItem("edgewise-key");

function put(element, html) {
  // What has the keyboard's focus stays as it is, until the focus has left it.
  if (element.contains(document.activeElement)) return;
  if (shown.get(element) === html) return;
  const left = element.querySelector(".scroll")?.scrollLeft || 0;
  element.innerHTML = html;
  shown.set(element, html);
  const scroll = element.querySelector(".scroll");
  if (scroll) scroll.scrollLeft = left;
}

async function refresh() {
  const told = await ask("/dashboard/state");
  for (const element of document.querySelectorAll("[data-live]")) {
    put(element, told.sections[element.id]);
  }
  say(told.news);
}

async function show(id, target) {
  const told = await ask(`/dashboard/decision?id=${encodeURIComponent(id)}`);
  byId("replay").innerHTML = told.html;
  target.focus();
}

function failed(error) {
  say(`No news: ${error.message}.`);
}

function dashboard() {
  const pause = byId("pause");
  const paused = () => pause.getAttribute("aria-pressed") === "true";
  pause.addEventListener("click", () => {
    pause.setAttribute("aria-pressed", String(!paused()));
    pause.textContent = paused() ? "Go on" : "Pause";
  });
  document.addEventListener("click", (event) => {
    const id = event.target.dataset?.decision;
    if (id) show(id, byId("replay-section")).catch(failed);
  });
  const turn = async () => {
    if (!paused() && !document.hidden && hasKey()) await refresh().catch(failed);
    setTimeout(turn, POLL_MS);
  };
  turn();
  return () => refresh().catch(failed);
}

function playground() {
  const [rtt, threshold] = [byId("rtt"), byId("threshold")];
  const value = (slider) => (Number(slider.value) < 0 ? null : Number(slider.value));
  const told = () => {
    byId("rtt-said").value = value(rtt) === null ? "as it is" : `${rtt.value} ms`;
    byId("threshold-said").value = value(threshold) === null ? "as it is" : threshold.value;
  };
  let turn = 0;
  const decide = async () => {
    told();
    const mine = ++turn;
    const body = {
      text: byId("text").value, private: byId("private").checked,
      rtt_ms: value(rtt), threshold: value(threshold),
    };
    try {
      const answer = await ask("/playground/decide", body);
      if (mine !== turn) return;
      byId("seen").innerHTML = answer.html;
      say(`Answered by ${answer.location || "nobody"}, in ${answer.steps.length} steps.`);
    } catch (error) {
      failed(error);
    }
  };
  let waiting = 0;
  const soon = () => {
    told();
    clearTimeout(waiting);
    waiting = setTimeout(decide, 150);
  };
  byId("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    decide();
  });
  for (const one of [rtt, threshold]) one.addEventListener("input", soon);
  byId("private").addEventListener("change", soon);
  return decide;
}

const again = byId("pause") ? dashboard() : playground();
byId("key-form")?.addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("edgewise-key", byId("key").value);
  byId("key").value = "";
  again();
});
