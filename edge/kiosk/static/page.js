// The staff page: events in, keys in, the machine's state on the screen.
//
// What is shown and when is decided in paint.js; how it looks is built in draw.js. Here are the document, the
// connection and the clock. Nothing of a verdict is kept here: what the machine drops is gone.

import { actions, begin, screen, step, waiting, wakes } from "./paint.js";
import {
  bannerAlert, drawBanner, drawFooter, drawMain, drawPanel, drawStrip, fit, speaker, spokenText, timeText,
} from "./draw.js";
import { Player } from "./sound.js";

const config = JSON.parse(document.getElementById("config").textContent);
config.order = Object.keys(config.languages);
const parts = Object.fromEntries([...document.querySelectorAll("[id]")].map((node) => [node.id, node]));
const player = new Player(config.sound);
const now = () => performance.now();
// By this name, that nobody else knows, the web part tells which pages may have shown a green.
const name = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

let token = config.token;
let heardAt = 0; // when the gate's time in `state.gate.at_ms` was heard
let drawn = {}; // what each part shows, so that an unchanged part keeps its focus
let timer = 0;

let state = begin(
  {
    language: firstLanguage(),
    order: config.order,
    override: config.override,
    notes: config.notes,
    notHolder: Object.fromEntries(config.order.map((code) => [code, config.languages[code].notHolder])),
  },
  now(),
);

function firstLanguage() {
  const kept = config.asked ? null : stored();
  return kept in config.languages ? kept : config.language;
}

function stored() {
  try {
    return localStorage.getItem("language");
  } catch {
    return null; // a kiosk may refuse storage: the configured language then
  }
}

function dispatch(event) {
  state = step(state, event, now());
  const { effects } = state;
  if (effects.length) state = { ...state, effects: [] }; // a PIN must not wait there for the next event
  render();
  for (const effect of effects) EFFECTS[effect.do](effect);
  clearTimeout(timer);
  const wait = wakes(state) - now();
  if (wait < Infinity) timer = setTimeout(() => dispatch({ type: "tick" }), Math.max(wait, 10));
}

const EFFECTS = {
  sound: ({ kind }) => player.play(kind),
  ack: ({ ids }) => tell({ cmd: "ack", ids }), // where it fails the next snapshot brings it back
  not_shown: ({ ids }) => tell({ cmd: "not_shown", ids, page: name }), // where it fails the accept stands
  go: ({ where }) => location.assign(`/${where}?lang=${state.language}`),
  keep({ language }) {
    try {
      localStorage.setItem("language", language);
    } catch {
      return; // then it is asked for again after a reload
    }
  },
  async post({ body, ids }) {
    const event = { type: "reply", cmd: body.cmd, ids, ok: false, code: "scanner" };
    try {
      const response = await post(body);
      if (response.status === 403) {
        event.code = "page";
        setTimeout(() => location.reload(), 2500);
      } else {
        const { ok, code, seq, matched } = await response.json();
        Object.assign(event, { ok: ok === true, code, seq, matched: matched === true });
      }
    } catch {
      event.code = "scanner"; // the web part is away, or answered no JSON
    }
    dispatch(event);
  },
};

function post(body) {
  return fetch("/command", {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Edge-Token": token },
    body: JSON.stringify(body),
  });
}

// An answer nobody needs is read all the same: the browser would keep it.
function tell(body) {
  return post(body).then((answer) => answer.text()).catch(() => {});
}

// --- the connection -------------------------------------------------------------------------------------------------

let source = null;
let triedAt = 0;

function connect() {
  triedAt = now();
  if (source) source.close();
  source = new EventSource(`/events?page=${name}`);
  source.onmessage = ({ data }) => {
    const event = JSON.parse(data);
    if (event.token) token = event.token;
    if (event.type === "snapshot" || event.type === "state") heardAt = now();
    dispatch(event);
  };
  source.onerror = async () => {
    dispatch({ type: "down" });
    if (source.readyState !== EventSource.CLOSED) return;
    // A refusal has no reason here: ask whether it was one page too many.
    const health = await fetch("/healthz").then((response) => response.json()).catch(() => null);
    if (health && health.pages >= health.pages_max) dispatch({ type: "full" });
  };
}

function watch() {
  // A connection that is open and silent, or was refused, is made anew.
  const isDead = source.readyState === EventSource.CLOSED || state.live === "lost";
  if (isDead && now() - triedAt > 3000) connect();
  dispatch({ type: "tick" });
}

// --- the screen -----------------------------------------------------------------------------------------------------

function gateTime() {
  return state.gate && state.gate.at_ms ? state.gate.at_ms + (now() - heardAt) : 0;
}

/** Rebuild a part only when what it shows has changed. */
function refresh(part, key, build) {
  if (drawn[part] === key) return;
  drawn[part] = key;
  parts[part].replaceChildren(...build());
  if (part === "main") fit(parts.main.firstElementChild);
}

function render() {
  const shown = screen(state);
  const language = config.languages[state.language];
  const { body, documentElement: root } = document;
  Object.assign(body.dataset, { kind: shown.kind, lang: state.language });
  root.lang = language.locale;
  root.dir = language.direction;
  renderHeader(shown);
  const alert = shown.alert ? shown.alert.code + shown.alert.words[state.language].what : "";
  const id = shown.shown ? shown.shown.id + shown.shown.outcome : "";
  const asks = shown.kind === "idle" ? state.gate.asks : "";
  refresh("main", String([shown.kind, id, alert, state.language, state.full, asks]), () => [drawMain(config, state, shown, gateTime())]);
  renderAround(shown);
  renderBar(shown);
  const said = spokenText(config, state, shown);
  if (parts.say.textContent !== said) parts.say.textContent = said;
}

let place = null; // where the gate stands does not change while its scanner part is away

function renderHeader(shown) {
  const gate = state.gate && state.gate.connected ? state.gate : null;
  const isLive = shown.kind !== "lost" && state.gate !== null;
  if (gate) place = gate.texts;
  const standing = place ? place[state.language] : {};
  const texts = state.gate ? state.gate.texts[state.language] : {};
  const put = (part, text, level) => {
    const node = parts[part].querySelector("b") || parts[part];
    if (node.textContent !== (text || "")) node.textContent = text || "";
    parts[part].dataset.level = level || "";
    parts[part].hidden = !text;
  };
  put("place", standing.place);
  put("direction", standing.direction);
  put("trust", isLive && gate && texts.trust, gate && gate.band !== "fresh" ? "warn" : "");
  const isOnline = isLive && state.gate.link === "online";
  put("link", isLive && texts.link, isOnline ? "" : "warn");
  parts.link.querySelector("use").setAttribute("href", isOnline ? "#i-online" : "#i-offline");
  put("backlog", isLive && texts.backlog);
  put("time", isLive ? timeText(gateTime()) : "");
}

function renderAround(shown) {
  const say = speaker(config, state.language);
  const able = actions(state);
  const stripKey = state.strip.length && [state.strip[0].id, state.strip.length, Boolean(state.main), Boolean(state.panel), state.language];
  parts.strip.hidden = !state.strip.length;
  parts.strip.dataset.outcome = state.strip.length ? state.strip[0].outcome : "";
  refresh("strip", String(stripKey), () => (state.strip.length ? drawStrip(config, state) : []));
  const banner = bannerAlert(state, shown);
  parts.banner.hidden = !banner;
  const bannerKey = banner ? [JSON.stringify(banner.alert.words[state.language]), banner.more] : "";
  refresh("banner", String(bannerKey), () => (banner ? drawBanner(config, state, banner) : []));
  const counts = state.gate ? JSON.stringify(state.gate.counts) : "";
  const footerKey = [shown.kind, shown.shown ? shown.shown.id : "", able, waiting(state), counts, state.language];
  refresh("footer", String(footerKey), () => drawFooter(config, state, shown, able));
  renderPanel();
  const blocked = player.isBlocked && shown.kind === "idle" ? say("sound.blocked") : "";
  const { key, number } = state.notice || {};
  const about = number ? `#${number}: ` : ""; // of a person who may have gone
  const said = state.notice ? about + (say(key) || say("failed")) : blocked;
  parts.notice.dataset.tone = state.notice ? state.notice.tone : "";
  if (parts.notice.textContent !== said) parts.notice.textContent = said;
}

function renderPanel() {
  const { panel } = state;
  parts.panel.hidden = !panel;
  const findings = panel && panel.kind === "help" && state.gate ? state.gate.alerts.map((alert) => alert.code) : "";
  const key = panel ? String([panel.kind, panel.seq, panel.note, panel.sent, findings, state.language]) : "";
  if (drawn.panel === key) return;
  refresh("panel", key, () => (panel ? drawPanel(config, state) : []));
  if (!panel) return;
  parts.panel.dataset.kind = panel.kind;
  const title = parts.panel.querySelector("h2");
  parts.panel.setAttribute("aria-label", title.textContent);
  const input = parts.panel.querySelector("input");
  if (input && !input.disabled) input.focus();
}

function renderBar({ kind, shown, since, until }) {
  const key = kind + (shown ? shown.id : "");
  if (drawn.bar === key) return;
  drawn.bar = key;
  const lasts = Number.isFinite(until) ? until - since : 0;
  parts.bar.replaceChildren();
  if (!lasts) return;
  const run = document.createElement("i");
  run.style.animationDuration = `${lasts}ms`;
  run.style.animationDelay = `${since - now()}ms`;
  parts.bar.append(run);
}

// --- keys and touch -------------------------------------------------------------------------------------------------

// By place on the keyboard, not by letter: an input method for Chinese takes letters away.
const KEYS = {
  Space: "next", Enter: "next", NumpadEnter: "next", KeyN: "not_holder", KeyM: "note", KeyO: "override", KeyS: "slip", KeyU: "undo",
  KeyD: "manual", KeyT: "tail", F2: "registration",
  F1: "help", KeyL: "language", KeyR: "report", Escape: "close",
};

function onKey(event) {
  player.wake();
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const isTyping = ["pin", "number", "tail"].includes(event.target.id);
  const act = KEYS[event.code];
  if (isTyping && act !== "close" && act !== "registration") return; // numbers of passports begin with letters
  const isOnButton = event.target.closest("button, a") && event.target.matches(":focus-visible");
  if (isOnButton && act === "next") return; // whoever walks by Tab presses the button that has the focus
  const digit = /^(?:Digit|Numpad)([1-9])$/.exec(event.code);
  if (digit && state.panel) {
    event.preventDefault();
    dispatch({ type: "choose", note: config.notes[digit[1] - 1] });
  } else if (act) {
    event.preventDefault();
    if (!event.repeat) dispatch({ type: "key", key: act });
  }
}

function onClick(event) {
  player.wake();
  const button = event.target.closest("button");
  if (!button || button.type === "submit") return;
  // Left with the focus it would take the next press of Space.
  if (!button.matches(":focus-visible")) button.blur();
  if (button.id === "strip") return acknowledgeStrip();
  const { act, note } = button.dataset;
  dispatch(act === "choose" ? { type: "choose", note } : { type: "key", key: act });
}

function acknowledgeStrip() {
  // The strip's own button means the strip, whatever else is on the screen.
  const ids = state.strip.flatMap((entry) => entry.ids);
  dispatch({ type: "ack", ids });
  EFFECTS.ack({ ids });
}

function onSubmit(event) {
  event.preventDefault();
  const input = event.target.querySelector("input");
  const { id, value } = input;
  input.value = "";
  dispatch({ type: id, [id]: id === "number" ? value.trim() : value });
}

// --- the preview ----------------------------------------------------------------------------------------------------

const PREVIEW_MS = 200;
const WIDEST = 640;

/** Draws one picture and lets it go: an open stream of pictures grows by each of them. */
async function preview() {
  const canvas = document.getElementById("preview");
  if (canvas && !document.hidden) {
    const frame = canvas.parentElement;
    const isDrawn = await picture(canvas).catch(() => false);
    frame.classList.toggle("has-picture", isDrawn);
  }
  setTimeout(preview, PREVIEW_MS);
}

async function picture(canvas) {
  const response = await fetch("/preview.jpg");
  if (response.status !== 200) return false;
  const bitmap = await createImageBitmap(await response.blob());
  let scale = 1; // whole, half or quarter size: an odd scale costs time and sharpness
  while (bitmap.width / scale > WIDEST && scale < 4) scale *= 2;
  const [width, height] = [Math.floor(bitmap.width / scale), Math.floor(bitmap.height / scale)];
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  canvas.getContext("2d").drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  return true;
}

document.addEventListener("keydown", onKey);
document.addEventListener("click", onClick);
document.addEventListener("submit", onSubmit);
document.addEventListener("visibilitychange", () => dispatch({ type: "tick" }));
connect();
setInterval(watch, 1000);
preview();
render();
