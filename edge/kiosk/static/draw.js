// Builds the page's parts from the machine's state. Text is only ever set as text: nothing a stranger wrote is markup.

import { waiting } from "./paint.js";

const SVG = "http://www.w3.org/2000/svg";

/** An element with a class and children; a string child is a text node, nothing and the empty text are skipped. */
export function el(tag, name, ...children) {
  const node = document.createElement(tag);
  if (name) node.className = name;
  node.append(...children.flat().filter(Boolean));
  return node;
}

function icon(name, size) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", size);
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/** The words of one language: `say("idle.hint")`, `say("more", {n: 2})`. */
export function speaker(config, code) {
  const { labels } = config.languages[code];
  return (key, values = {}) => (labels[key] || "").replace(/\{([a-z_]+)\}/g, (_all, name) => String(values[name] ?? ""));
}

function spoken(config, s) {
  const language = config.languages[s.language];
  return { code: s.language, locale: language.locale, say: speaker(config, s.language), also: speaker(config, language.other) };
}

// Latin words keep a space where the line was broken, Chinese ones do not.
const oneLine = (text) => text.replace(/(\w)\n(\w)/g, "$1 $2").replace(/\n/g, "");

function clock(ms, withSeconds) {
  const at = new Date(ms);
  const parts = [at.getHours(), at.getMinutes(), ...(withSeconds ? [at.getSeconds()] : [])];
  return parts.map((part) => String(part).padStart(2, "0")).join(":");
}

function moment(seconds, nowMs, locale) {
  const at = new Date(seconds * 1000);
  const time = clock(seconds * 1000);
  if (at.toDateString() === new Date(nowMs).toDateString()) return time;
  const isNear = Math.abs(at.getTime() - nowMs) < 300 * 86400000;
  const day = isNear ? { month: "short", day: "numeric" } : { year: "numeric", month: "short", day: "numeric" };
  return `${new Intl.DateTimeFormat(locale, day).format(at)} ${isNear ? time : ""}`.trim();
}

// --- what fills the screen ------------------------------------------------------------------------------------------

const WORD = { accept: "verdict.accept", refer: "verdict.refer", reject: "verdict.reject", stopped: "verdict.stopped" };

/** The middle of the page. `nowMs` is the gate's time. */
export function drawMain(config, s, shown, nowMs) {
  const voice = spoken(config, s);
  if (shown.kind === "idle") return idle(voice, s.gate.asks);
  if (shown.kind === "lost") return plight(voice, "lost", "lost", lostWords(voice, s));
  if (shown.kind === "starting") return plight(voice, "starting", "clock", partWords(voice, "starting"));
  if (shown.kind === "stopped") return stopped(voice, shown.alert);
  return verdict(voice, shown, nowMs, config.slips);
}

/** Make a view smaller until everything in it is inside: words are as many as they are. */
export function fit(view) {
  for (let scale = 1; scale > 0.6 && isOver(view); scale -= 0.04) view.style.setProperty("--fit", scale);
}

// A view that centres what it holds spills over both ends, and only one of them counts as scrollable.
function isOver(view) {
  const frame = view.getBoundingClientRect();
  return [...view.children].some((child) => {
    const box = child.getBoundingClientRect();
    return box.top < frame.top || box.bottom > frame.bottom || box.right > frame.right || child.scrollWidth > child.clientWidth + 1;
  });
}

function head(kind, shapes, word, also) {
  const words = el("div", "words", el("strong", "word", word), el("span", "also", also));
  const [before, after] = shapes;
  return el("div", `head ${kind}`, before, words, after);
}

function verdict(voice, { kind, shown }, nowMs, slips) {
  const shape = () => icon(kind, "shape");
  const many = kind === "accept" ? Math.min(shown.holders.length, 3) : 1;
  // Position tells too: an accept's shape stands before the word, a reject's after it, a refer's on both sides.
  const before = kind === "reject" ? [] : Array.from({ length: Math.max(many, 1) }, shape);
  const after = kind === "accept" ? [] : [shape()];
  const top = head(kind, [before, after].map((some) => el("div", "lamp", some)), voice.say(WORD[kind]), voice.also(WORD[kind]));
  if (many > 1) top.classList.add("many");
  const cards = kind === "reject" ? [] : shown.holders.map((holder) => card(voice, holder, shown));
  if (kind === "accept" && !cards.length) cards.push(el("section", "card bare", el("p", "", voice.say("card.unsigned"))));
  const body = el("div", cards.length ? "body" : "body wide", reasons(voice, kind, shown, nowMs), cards);
  if (!slips || kind === "accept" || !shown.seq || shown.together > 1 || shown.missed) return el("div", `view verdict ${kind}`, top, body);
  top.classList.add("many");
  return el("div", `view verdict ${kind} slipped`, top, body, slipCard(voice, shown));
}

// What is said of a verdict: of several codes, and of an accept that came too late, the page's own words.
function saying(voice, kind, shown) {
  const words = shown.words[voice.code];
  if (shown.missed) {
    const title = shown.missed > 1 ? voice.say("missed.many", { n: shown.missed }) : voice.say("missed.title");
    return { title, detail: voice.say("missed.detail"), next: voice.say("missed.next") };
  }
  if (shown.mixed) {
    const detail = kind === "reject" ? `${words.title} · ${voice.say("two.detail")}` : voice.say("two.detail");
    return { title: voice.say("two.title", { n: shown.mixed }), detail, next: voice.say("two.next") };
  }
  if (shown.holders.length < 2) return words;
  return { ...words, title: `${voice.say("two.accept", { n: shown.holders.length })} · ${words.title}` };
}

function reasons(voice, kind, shown, nowMs) {
  const issuer = shown.issuer ? shown.issuer[voice.code] : "";
  const until = shown.expires_at ? voice.say("result.until", { when: moment(shown.expires_at, nowMs, voice.locale) }) : "";
  const facts = shown.facts ? shown.facts[voice.code] : [];
  const { title, detail, next } = saying(voice, kind, shown);
  const lines = kind === "accept" ? [facts.join(" · ") || detail] : [detail];
  const origin = [issuer, until].filter(Boolean).join(" · ");
  const warnings = shown.warnings.map((warning) => el("p", "warning", icon("refer", "i"), warning[voice.code]));
  return el(
    "div", "why",
    el("p", "title", title),
    lines.map((line) => line && el("p", "detail", line)),
    origin && el("p", "origin", origin),
    warnings,
    el("p", "next", icon("arrow", "i"), el("span", "", next)),
  );
}

function card(voice, holder, shown) {
  const took = shown.took_ms === null ? "" : voice.say("result.took", { seconds: (shown.took_ms / 1000).toFixed(2) });
  const fact = (key, text) => text && el("div", "fact", el("dt", "", voice.say(key)), el("dd", "", text));
  const section = el(
    "section", "card",
    el("p", "label", el("span", "", voice.say("card.title")), el("span", "took", took)),
    el("dl", "name", fact("card.name", holder.name)),
    el("dl", "rest", fact("card.tail", holder.tail && `…${holder.tail}`), fact("card.born", holder.born)),
  );
  section.setAttribute("aria-label", voice.say("card.title"));
  if (holder.name.length > 10) section.classList.add("long");
  return section;
}

function idle(voice, asks) {
  const canvas = el("canvas", "");
  canvas.id = "preview";
  canvas.setAttribute("aria-hidden", "true");
  const frame = el(
    "div", "preview",
    canvas,
    el("div", "empty", icon("phone", ""), el("span", "", voice.say("idle.no_picture"))),
    el("span", "live", voice.say("idle.live")),
    ["a", "b", "c", "d"].map((corner) => el("i", `corner ${corner}`)),
  );
  const words = el(
    "div", "words",
    el("strong", "word", voice.say("idle.word")),
    el("span", "also", oneLine(voice.also("idle.word"))),
    el("p", "hint", voice.say("idle.hint")),
  );
  if (asks) words.append(question(voice, asks));
  return el("div", "view idle", words, frame);
}

// What a live pass must answer here: a phone reads the code, or its owner types the digits.
function question(voice, asks) {
  const code = el("img", "");
  Object.assign(code, { src: `/asks.svg?for=${asks}`, alt: "" });
  const digits = el("b", "", `${asks.slice(0, 4)} ${asks.slice(4)}`);
  return el("div", "asks", code, el("p", "", digits, el("span", "", voice.say("idle.asks"))));
}

function plight(voice, kind, shape, words) {
  const top = head(kind, [el("div", "lamp", icon(shape, "shape")), null], voice.say(`${kind}.word`), voice.also(`${kind}.word`));
  return el("div", `view plight ${kind}`, top, el("div", "body wide", statement(words)));
}

function stopped(voice, alert) {
  const lamp = () => el("div", "lamp", icon("refer", "shape"));
  const words = alert ? alert.words[voice.code] : partWords(voice, "starting");
  const top = head("refer", [lamp(), lamp()], voice.say(WORD.stopped), voice.also(WORD.stopped));
  return el("div", "view plight stopped", top, el("div", "body wide", statement(words)));
}

function statement({ what, why, next }) {
  return el(
    "div", "why",
    el("p", "title", what), el("p", "detail", why), el("p", "next", icon("arrow", "i"), el("span", "", next)),
  );
}

function partWords(voice, part) {
  return { what: voice.say(`${part}.what`), why: voice.say(`${part}.why`), next: voice.say(`${part}.next`) };
}

function lostWords(voice, s) {
  const words = partWords(voice, "lost");
  return s.full ? { ...words, what: voice.say("lost.full") } : words;
}

// --- around it ------------------------------------------------------------------------------------------------------

/** What has not been acknowledged, as the children of its button. */
export function drawStrip(config, s) {
  const voice = spoken(config, s);
  const [first] = s.strip;
  const title = first.label ? voice.say(first.label) : first.title[voice.code];
  const count = s.strip.length > 1 ? voice.say("strip.count", { n: s.strip.length }) : voice.say("strip.one");
  const canPress = !s.main && !s.panel;
  return [
    icon(first.outcome, "i"),
    el("b", "", voice.say(WORD[first.outcome])),
    el("span", "at", clock(first.at_ms, true)),
    el("span", "grow", title),
    el("span", "count", count),
    canPress && el("kbd", "", voice.say("key.space")),
    canPress && el("span", "", voice.say("strip.ack")),
  ].filter(Boolean);
}

/** The most urgent condition that the middle of the page does not show already, or null. */
export function bannerAlert(s, shown) {
  const urgent = s.gate && s.live === "live" ? s.gate.alerts.filter((alert) => alert.severity !== "info") : [];
  const others = shown.kind === "stopped" ? urgent.filter((alert) => alert !== shown.alert) : urgent;
  return others.length ? { alert: others[0], more: others.length - 1 } : null;
}

/** The hatched banner's children. */
export function drawBanner(config, s, { alert, more }) {
  const voice = spoken(config, s);
  const words = alert.words[voice.code];
  return [
    icon("refer", "i"),
    el("div", "grow", el("b", "", words.what), el("span", "why", words.why), el("span", "next", words.next)),
    more > 0 && el("span", "count", voice.say("more", { n: more })),
  ].filter(Boolean);
}

/** A button for a key: `act` is what the machine is told. */
function button(key, text, act, name = "") {
  const node = el("button", `btn ${name}`, el("kbd", "", key), el("span", "", text));
  node.type = "button";
  node.dataset.act = act;
  return node;
}

const STAFF = { not_holder: "N", tail: "T", note: "M", override: "O", slip: "S", undo: "U" };

/** The footer's children: what can be pressed now. */
export function drawFooter(config, s, shown, able) {
  const voice = spoken(config, s);
  const staff = able.filter((act) => STAFF[act]).map((act) => button(STAFF[act], voice.say(`action.${act}`), act));
  if (s.main) {
    const next = button(voice.say("key.space"), voice.say(s.main.kind === "accept" ? "action.next" : "action.seen"), "next", "first");
    const behind = waiting(s);
    const more = behind ? voice.say("queue.waiting", { n: behind }) : "";
    const number = shown.shown.number ? `#${shown.shown.number}` : "";
    return [next, ...staff, el("span", "grow"), more && el("b", "waiting", more), el("span", "number", number)].filter(Boolean);
  }
  const help = [
    ...(able.includes("manual") ? [["D", voice.say("action.manual"), "manual"]] : []),
    ["R", voice.say("action.report"), "report"],
    ["F1", voice.say("action.help"), "help"],
    ["L", otherName(config, s), "language"],
  ].map(([key, text, act]) => (staff.length > 1 ? small(key, text, act) : button(key, text, act)));
  return [...counts(voice, s), el("span", "grow"), ...staff, ...help];
}

/** A button that shows its key alone, where staff actions need the room. */
function small(key, text, act) {
  const node = el("button", "btn small", el("kbd", "", key), el("span", "unseen", text));
  Object.assign(node, { type: "button", title: text });
  node.dataset.act = act;
  return node;
}

function otherName(config, s) {
  const { order } = config;
  return config.languages[order[(order.indexOf(s.language) + 1) % order.length]].name;
}

function counts(voice, s) {
  if (!s.gate || !s.gate.connected) return [];
  const number = new Intl.NumberFormat(voice.locale);
  return [
    el("span", "shift", voice.say("count.title")),
    ...["accept", "refer", "reject"].map((outcome) => {
      const node = el("span", `tally ${outcome}`, icon(outcome, "i"), number.format(s.gate.counts[outcome]));
      node.setAttribute("role", "img");
      node.setAttribute("aria-label", `${voice.say(`count.${outcome}`)} ${s.gate.counts[outcome]}`);
      return node;
    }),
  ];
}

/** The side panel's children: help, a note, or an override. */
export function drawPanel(config, s) {
  const voice = spoken(config, s);
  const close = button("Esc", voice.say("action.close"), "close");
  if (s.panel.kind === "help") return [el("h2", "", voice.say("help.title")), close, ...help(voice, s)];
  const { panel } = s;
  if (panel.kind === "manual") return [el("h2", "", voice.say("panel.manual")), ...byHand(voice, panel), close];
  const about = voice.say("panel.about", {
    number: `#${panel.number}`, outcome: voice.say(WORD[panel.outcome]), time: clock(panel.at_ms, true),
  });
  if (panel.kind === "slip") return [el("h2", "", voice.say("panel.slip")), el("p", "about", about), slipCode(voice, panel), close];
  if (panel.kind === "tail") {
    const tail = { type: "text", id: "tail", maxLength: 4 };
    const asked = form(voice, panel, tail, ["panel.tail_label", "panel.tail_send"]);
    return [el("h2", "", voice.say("panel.tail")), el("p", "about", about), el("p", "", voice.say("panel.tail_hint")), asked, close];
  }
  const list = el("ul", "notes", config.notes.map((code, at) => {
    const choice = button(String(at + 1), voice.say(`note.${code}`), "choose");
    choice.dataset.note = code;
    return el("li", "", choice);
  }));
  const hint = voice.say(panel.kind === "note" ? "panel.note_hint" : "panel.override_hint");
  const top = [el("h2", "", voice.say(`panel.${panel.kind}`)), el("p", "about", about)];
  if (!panel.note) return [...top, el("p", "", hint), list, close];
  return [...top, el("p", "chosen", `1. ${voice.say(`note.${panel.note}`)}`), pinForm(voice, panel), close];
}

// The same beside the verdict, where the technician wants it unasked: no key is taken from anything else.
function slipCard(voice, shown) {
  const card = el("section", "card unasked", el("p", "label", el("span", "", voice.say("panel.slip"))), slipCode(voice, shown));
  card.setAttribute("aria-label", voice.say("panel.slip"));
  return card;
}

// The code to take along; where there is none, why.
function slipCode(voice, { seq }) {
  const code = el("img", "slip");
  const hint = el("p", "", voice.say("panel.slip_hint"));
  Object.assign(code, { src: `/slip.svg?seq=${seq}`, alt: voice.say("panel.slip") });
  code.addEventListener("error", () => {
    code.hidden = true;
    hint.textContent = voice.say("panel.no_slip");
  });
  return el("div", "", code, hint);
}

// Whoever has no code that can be checked: the number of a document, or a registration on paper.
function byHand(voice, panel) {
  const without = button("F2", voice.say("action.registration"), "registration");
  without.disabled = panel.sent;
  const number = { type: "text", id: "number", maxLength: 32 };
  return [
    el("p", "", voice.say("panel.manual_hint")),
    form(voice, panel, number, ["panel.number", "panel.send_number"]),
    el("p", "", voice.say("panel.registration_hint")),
    without,
  ];
}

function pinForm(voice, panel) {
  const pin = { type: "password", id: "pin", inputMode: "numeric", maxLength: 64 };
  return form(voice, panel, pin, ["panel.pin", "panel.send"]);
}

function form(voice, panel, properties, [labelled, sent]) {
  const input = el("input", "");
  Object.assign(input, { autocomplete: "off", spellcheck: false, disabled: panel.sent }, properties);
  const label = el("label", "", voice.say(labelled), input);
  const send = el("button", "btn first", voice.say(sent));
  send.type = "submit";
  send.disabled = panel.sent;
  const node = el("form", "pin", label, send);
  node.noValidate = true;
  return node;
}

function help(voice, s) {
  const shapes = ["accept", "refer", "reject"].map((outcome) =>
    el("div", `row ${outcome}`, icon(outcome, "i"), el("b", "", voice.say(WORD[outcome])), el("span", "", voice.say(`help.${outcome}`))));
  const keys = [
    [voice.say("key.space"), "help.next"], ["N", "help.not_holder"], ["T", "help.tail"], ["M", "help.note"], ["O", "help.override"], ["S", "help.slip"],
    ["D", "help.manual"], ["U", "help.undo"], ["R", "help.report"], ["L", "help.language"], ["F1", "help.help"],
  ];
  const rows = keys.map(([key, text]) => el("div", "row", el("kbd", "", key), el("span", "", voice.say(text))));
  const alerts = s.gate ? s.gate.alerts : [];
  const findings = alerts.map((alert) => {
    const { what, next } = alert.words[voice.code];
    return el("div", `row ${alert.severity}`, icon("refer", "i"), el("div", "", el("b", "", what), el("span", "", next)));
  });
  const nothing = el("p", "", voice.say("help.no_findings"));
  const state = [el("h3", "", voice.say("help.state")), findings.length ? el("div", "rows", findings) : nothing];
  return [
    el("div", "half", el("div", "rows", shapes), el("p", "", voice.say("help.strip")), state),
    el("div", "half rows keys", rows),
  ];
}

function spokenWords(voice, { kind, shown }) {
  return shown.missed ? saying(voice, kind, shown) : shown.words[voice.code];
}

/** What a screen reader is told of the middle of the page; never whom a pass belongs to. */
export function spokenText(config, s, shown) {
  const voice = spoken(config, s);
  if (shown.kind === "idle") return "";
  if (shown.kind === "lost") return `${voice.say("lost.word")}. ${lostWords(voice, s).what}. ${voice.say("lost.why")}`;
  if (shown.kind === "starting") return voice.say("starting.what");
  const words = shown.kind === "stopped" ? shown.alert && shown.alert.words[voice.code] : spokenWords(voice, shown);
  const said = words ? `${words.title || words.what}. ${words.next}` : "";
  const also = shown.shown && shown.shown.mixed ? `${voice.say("two.title", { n: shown.shown.mixed })}. ` : "";
  return `${voice.say(WORD[shown.kind])}. ${also}${said}`;
}

/** The header's time. */
export const timeText = (ms) => (ms ? clock(ms) : "");
