// What the staff page shows and when: a pure machine, (state, event, now) -> state.
//
// It touches no document, clock, network or sound. Time is an argument in milliseconds of any steady clock; what must
// happen outside (a sound, a post, a change of page) is listed in `state.effects` and lasts until the next step. The
// rules it keeps are those of docs/staff.md, "What may cover what". Nothing of a holder outlives the result: whatever
// leaves `main`, `queue` and `group` is dropped or shrunk to a strip entry, which holds nothing personal.
//
// Every accept is either painted green or said, once, to be one that this page will never paint (`not_shown`): only then
// may its pass be shown again. Never both.

export const TIMES = Object.freeze({
  accept: 4000, // an accept clears by itself
  reject: 8000, // a reject clears into the strip
  guard: 3000, // a reject or refer is not painted over before
  settle: 400, // a key pressed for the last person does not acknowledge what has just taken its place
  together: 1000, // codes of one frame are waited for
  drain: 1000, // an accept that had to wait is seen at least this long
  patience: 15000, // accepts that came too late let others go first, no longer than this
  lost: 9000, // without a word from the gate the page is not live
  down: 2500, // nor with a broken connection that does not come back
  notice: 6000,
  undo: 10000,
  panel: 45000,
  reach: 30000, // staff may still say "not the holder" of a result that has cleared
});

const MAX_QUEUE = 6;
const MAX_STRIP = 60;
const MAX_SEEN = 64;
const GRAVITY = { accept: 0, refer: 1, reject: 2 };
const CANNOT_RECORD = ["log.unwritable", "log.damaged"];

/** The state of a page that has just been opened. `setup`: {language, order, override, notes, notHolder}. */
export function begin(setup, now) {
  return {
    setup, language: setup.language,
    live: "connecting", heard: now, down: null, full: false,
    gate: null, main: null, queue: [], late: null, group: null, strip: [], reach: null,
    staff: null, notice: null, panel: null, seen: [], effects: [],
  };
}

/** The state after an event. Timers that ran out before it come first. */
export function step(before, event, now) {
  const s = advance({ ...before, effects: [] }, now);
  const handle = HANDLERS[event.type];
  return advance(handle ? handle(s, event, now) : s, now);
}

/** When the state next changes by itself, or Infinity. */
export function wakes(s) {
  const times = [
    s.main && s.main.until,
    waiting(s) > 0 && s.main && s.main.since + s.main.held,
    s.group && s.group.since + TIMES.together,
    s.staff && s.staff.until,
    s.notice && s.notice.until,
    s.panel && s.panel.until,
    s.reach && !s.main && s.reach.until,
    s.live !== "lost" && s.heard + TIMES.lost,
    s.live !== "lost" && s.down !== null && s.down + TIMES.down,
  ];
  return Math.min(...times.filter((time) => typeof time === "number"), Infinity);
}

/** What fills the screen: lost, accept, refer, reject, starting, stopped or idle. */
export function screen(s) {
  if (s.live === "lost") return { kind: "lost" };
  if (s.main) return { kind: s.main.kind, shown: s.main.p, since: s.main.since, until: s.main.until };
  if (s.live === "connecting" || !s.gate || !s.gate.connected) return { kind: "starting" };
  if (!s.gate.admitting) return { kind: "stopped", alert: s.gate.alerts.find((alert) => alert.severity === "stop") };
  return { kind: "idle" };
}

/** How many results wait to be shown. */
export function waiting(s) {
  return s.queue.length + (s.late ? 1 : 0);
}

/** Which staff actions a key would start now. */
export function actions(s) {
  const able = [];
  if (s.live === "lost") return able;
  if (s.main || s.strip.length) able.push("next");
  if (s.reach && s.reach.seq > 0) {
    if (s.reach.isNamed && s.reach.outcome !== "reject") able.push("not_holder");
    if (s.reach.hasTail) able.push("tail");
    able.push("note");
    const isAlone = s.reach.alone && s.reach.outcome !== "accept";
    if (s.setup.override && isAlone) able.push("override");
    if (isAlone) able.push("slip");
  }
  if (s.staff) able.push("undo");
  if (s.live === "live" && s.gate && s.gate.connected && !s.main) able.push("manual");
  return able;
}

const HANDLERS = {
  snapshot(s, event, now) {
    let next = { ...heard(s, now), gate: event.state, full: false };
    const held = new Set([
      ...idsOf(next.main && next.main.p), ...next.queue.flatMap(idsOf), ...idsOf(next.late), ...groupIds(next),
    ]);
    const shown = event.verdict && event.verdict.id;
    const open = event.open.filter((entry) => !held.has(entry.id) && entry.id !== shown);
    // What this page alone knows, such as an accept that another page has shown and this one has not, stays.
    const known = new Set(open.map((entry) => entry.id));
    const own = next.strip.filter((entry) => entry.label && !entry.ids.some((id) => known.has(id)));
    next = { ...next, strip: trimmed([...own, ...open.map((entry) => ({ ...entry, ids: [entry.id] }))]) };
    return event.verdict ? take(next, event.verdict, now, event.age_ms) : next;
  },
  verdict: (s, event, now) => take(heard(s, now), event, now, 0),
  state(s, event, now) {
    const next = { ...heard(s, now), gate: event };
    const green = next.main && next.main.kind === "accept";
    return green && cannotRecord(next) ? { ...next, main: null } : next;
  },
  ack(s, event, now) {
    const gone = new Set(event.ids);
    const next = { ...heard(s, now), strip: s.strip.filter((entry) => !entry.ids.some((id) => gone.has(id))) };
    const main = next.main && next.main.kind !== "accept" && idsOf(next.main.p).some((id) => gone.has(id));
    return main && !next.main.known ? { ...next, main: null } : next;
  },
  down: (s, _event, now) => (s.down === null ? { ...s, down: now } : s),
  full: (s) => ({ ...s, full: true }),
  key: (s, event, now) => (s.panel ? panelKey : mainKey)(s, event.key, now),
  choose: (s, event, now) => (s.panel && !["help", "slip", "manual", "tail"].includes(s.panel.kind) ? choose(s, event.note, now) : s),
  pin(s, event) {
    if (!s.panel || s.panel.kind !== "override" || !s.panel.note || s.panel.sent || !event.pin) return s;
    const body = { cmd: "override", seq: s.panel.seq, note: s.panel.note, pin: event.pin };
    return did({ ...s, panel: { ...s.panel, sent: true } }, { do: "post", body, ids: s.panel.ids });
  },
  // The number goes out with the effect and is kept nowhere here.
  number(s, event, now) {
    if (!s.panel || s.panel.kind !== "manual" || s.panel.sent || !event.number) return s;
    return byHand(s, { way: "document", number: event.number }, now);
  },
  tail(s, event, now) {
    if (!s.panel || s.panel.kind !== "tail" || s.panel.sent || !event.tail) return s;
    const panel = { ...s.panel, sent: true, until: now + TIMES.panel };
    return did({ ...s, panel }, { do: "post", body: { cmd: "tail", seq: panel.seq, tail: event.tail }, ids: [] });
  },
  reply,
};

function heard(s, now) {
  return { ...s, live: "live", heard: now, down: null };
}

function did(s, ...effects) {
  return { ...s, effects: [...s.effects, ...effects] };
}

// --- verdicts -------------------------------------------------------------------------------------------------------

function take(s, view, now, ageMs) {
  if (s.seen.includes(view.id)) return s;
  const next = { ...s, seen: [...s.seen, view.id].slice(-MAX_SEEN) };
  const p = {
    ...view, ids: [view.id], accepts: view.outcome === "accept" ? [view.id] : [],
    holders: view.holder ? [view.holder] : [], holder: null, heard: now - ageMs, aged: ageMs,
  };
  if (p.together > 1) return gather(next, p, now);
  return present(settleGroup(next, now), p, now);
}

// Codes of one frame are answered one after another and shown as one: staff cannot tell whose code is whose.
function gather(s, p, now) {
  const open = s.group && s.group.size === p.together ? s : settleGroup(s, now);
  const group = open.group || { size: p.together, members: [], since: now };
  const next = { ...open, group: { ...group, members: [...group.members, p] } };
  return next.group.members.length === next.group.size ? settleGroup(next, now) : next;
}

function settleGroup(s, now) {
  if (!s.group) return s;
  const { members, size } = s.group;
  const next = { ...s, group: null };
  const ids = members.flatMap(idsOf);
  const worst = members.reduce((a, b) => (GRAVITY[b.outcome] > GRAVITY[a.outcome] ? b : a));
  const isWhole = members.length === size;
  if (worst.outcome === "accept" && isWhole) {
    return present(next, { ...worst, ids, accepts: ids, holders: members.flatMap((member) => member.holders) }, now);
  }
  // One that is missing may have been anything but an accept.
  const outcome = worst.outcome === "accept" ? "refer" : worst.outcome;
  const shown = { ...bare(worst), outcome, ids, mixed: size };
  return present(notShown(next, members), shown, now);
}

function present(s, p, now) {
  if (!waiting(s) && !isHeld(s, now)) return paint(s, p, now);
  if (s.queue.length < MAX_QUEUE) return { ...s, queue: [...s.queue, { ...p, aged: 0, waited: true }] };
  // Behind six that show for a second each an accept's turn comes too late: that is known now.
  return p.outcome === "accept" ? miss(s, [p], now) : { ...s, strip: trimmed([entryOf(p), ...s.strip]) };
}

function paint(s, p, now) {
  if (p.outcome === "accept" && cannotRecord(s)) return paint(notShown(s, [p]), unrecorded(s, p), now);
  if (isLate(p, now)) return miss(s, [p], now);
  const since = now - p.aged; // more than nought only after the page was loaded again
  const lasts = TIMES[p.outcome];
  // What is said of the one before would be read as said of this one, and covers what to do.
  const notice = s.notice && s.notice.number !== undefined ? null : s.notice;
  const cleared = { ...leave(s), notice, panel: s.panel && s.panel.kind === "help" ? null : s.panel };
  const main = { kind: p.outcome, p, since, until: lasts ? since + lasts : Infinity, held: heldFor(p), known: false };
  return did({ ...cleared, main, reach: reachOf(p, now) }, { do: "sound", kind: p.outcome });
}

// An old green may be read as the next person's: it is never painted late.
function isLate(p, now) {
  return p.outcome === "accept" && now - p.heard > TIMES.accept;
}

// Accepts that came too late are one amber, however many, and wait until nobody else does: each telling stands for three
// seconds, which would make those behind it late in turn, without an end. It has a place of its own, because in the strip
// reds would cover it. It names nobody: a card would be matched, and whoever is let through by it could hand on a pass
// that may be shown again.
function miss(s, some, now) {
  const all = s.late ? [s.late, ...some] : some;
  const count = all.reduce((sum, one) => sum + (one.missed || one.ids.length), 0);
  const ids = all.flatMap(idsOf).slice(0, MAX_STRIP);
  const [first] = all;
  const own = { outcome: "refer", ids, missed: count, issuer: count > 1 ? null : first.issuer, aged: 0 };
  return notShown({ ...s, late: { ...bare(first), ...own, missedAt: s.late ? s.late.missedAt : now } }, some);
}

// This page will never paint these accepts green.
function notShown(s, some) {
  const ids = some.flatMap((p) => p.accepts);
  return ids.length ? did(s, { do: "not_shown", ids }) : s;
}

// What stood in `main` goes: a reject or refer that nobody acknowledged shrinks to the strip.
function leave(s) {
  if (!s.main) return s;
  const isOpen = s.main.kind !== "accept" && !s.main.known;
  const strip = isOpen ? trimmed([entryOf(s.main.p), ...s.strip]) : s.strip;
  return { ...s, main: null, strip };
}

// How long it may not be painted over. An accept may be, at once, unless it had to wait: it might never be seen.
function heldFor(p) {
  if (p.outcome !== "accept") return TIMES.guard;
  return p.waited ? TIMES.drain : 0;
}

function isHeld(s, now) {
  return s.main !== null && now - s.main.since < s.main.held;
}

function cannotRecord(s) {
  return Boolean(s.gate) && s.gate.alerts.some((alert) => CANNOT_RECORD.includes(alert.code));
}

function unrecorded(s, p) {
  const alert = s.gate.alerts.find((one) => CANNOT_RECORD.includes(one.code));
  const words = Object.fromEntries(
    Object.entries(alert.words).map(([code, said]) => [code, { title: said.what, detail: said.why, next: said.next }]),
  );
  return { ...bare(p), outcome: "refer", reason: alert.code, words };
}

function bare(p) {
  return { ...p, accepts: [], holders: [], facts: null, expires_at: 0, warnings: [] };
}

function reachOf(p, now) {
  const { ids, seq, number, outcome, at_ms } = p;
  const alone = p.together === 1 && !p.missed;
  return { ids, seq, number, outcome, at_ms, alone, isNamed: alone && p.holders.length > 0, hasTail: alone && p.has_tail, until: now + TIMES.reach };
}

function entryOf(p) {
  const entry = { ids: p.ids, id: p.ids[0], seq: p.seq, number: p.number, outcome: p.outcome, at_ms: p.at_ms };
  if (p.missed) return { ...entry, label: "missed.strip", title: null };
  const title = Object.fromEntries(Object.entries(p.words).map(([code, said]) => [code, said.title]));
  return { ...entry, title };
}

// Reds stand before ambers, the newest first.
function trimmed(strip) {
  const order = [...strip].sort((a, b) => GRAVITY[b.outcome] - GRAVITY[a.outcome] || b.at_ms - a.at_ms);
  return order.slice(0, MAX_STRIP);
}

function idsOf(p) {
  return p ? p.ids : [];
}

function groupIds(s) {
  return s.group ? s.group.members.flatMap(idsOf) : [];
}

// --- time -----------------------------------------------------------------------------------------------------------

function advance(before, now) {
  let s = before;
  const isSilent = now - s.heard >= TIMES.lost || (s.down !== null && now - s.down >= TIMES.down);
  if (s.live !== "lost" && isSilent) s = lose(s, now); // before anything that nobody would see
  if (s.group && now - s.group.since >= TIMES.together) s = settleGroup(s, now);
  if (s.main && s.main.until <= now) s = leave(s);
  while (s.live !== "lost" && waiting(s) && !isHeld(s, now)) s = paintNext(s, now);
  for (const key of ["staff", "notice", "panel"]) if (s[key] && s[key].until <= now) s = { ...s, [key]: null };
  if (s.reach && !s.main && s.reach.until <= now) s = { ...s, reach: null };
  return s;
}

function paintNext(before, now) {
  const late = before.queue.filter((p) => isLate(p, now));
  const queue = before.queue.filter((p) => !late.includes(p));
  const s = late.length ? miss({ ...before, queue }, late, now) : before;
  if (s.late && (!queue.length || now - s.late.missedAt >= TIMES.patience)) return paint({ ...s, late: null }, s.late, now);
  return paint({ ...s, queue: queue.slice(1) }, queue[0], now);
}

function lose(s, now) {
  const unseen = [...s.queue, ...(s.group ? s.group.members : [])];
  const late = unseen.filter((p) => p.outcome === "accept");
  const others = unseen.filter((p) => p.outcome !== "accept");
  const strip = trimmed([...others.map(entryOf), ...leave(s).strip]);
  const next = { ...s, live: "lost", main: null, queue: [], group: null, strip, reach: null, staff: null, panel: null };
  return late.length ? miss(next, late, now) : next; // told when the page is live again
}

// --- keys -----------------------------------------------------------------------------------------------------------

function mainKey(s, key, now) {
  const able = actions(s);
  if (key === "next") return acknowledge(s, now);
  if (key === "not_holder" && able.includes(key)) return notHolder(s, now);
  if (["note", "override", "slip", "tail"].includes(key) && able.includes(key)) return openPanel(s, key, now);
  if (key === "undo" && s.staff) {
    return did({ ...s, staff: null }, { do: "post", body: { cmd: "undo", seq: s.staff.seq }, ids: [] });
  }
  if (key === "manual" && able.includes(key)) {
    return { ...s, panel: { kind: key, sent: false, until: now + TIMES.panel } };
  }
  if (key === "help") return { ...s, panel: { kind: "help", until: Infinity } };
  return everywhere(s, key);
}

function everywhere(s, key) {
  if (key === "report") return did(s, { do: "go", where: "report" });
  if (key !== "language") return s;
  const { order } = s.setup;
  const language = order[(order.indexOf(s.language) + 1) % order.length];
  return did({ ...s, language }, { do: "keep", language });
}

function panelKey(s, key, now) {
  if (key === "close" || (s.panel.kind === "help" && (key === "help" || key === "next"))) return { ...s, panel: null };
  if (key === s.panel.kind) return { ...s, panel: null };
  // Nothing is typed into a slip: while one person photographs it, every key is for whoever is next.
  if (s.panel.kind === "slip") return mainKey(key === "next" ? { ...s, panel: null } : s, key, now);
  if (key === "registration" && s.panel.kind === "manual" && !s.panel.sent) return byHand(s, { way: key }, now);
  return key === "language" ? everywhere(s, key, now) : s;
}

function acknowledge(s, now) {
  if (s.main) {
    if (s.main.held && now - s.main.since < TIMES.settle) return s;
    const reach = s.reach && { ...s.reach, until: now + TIMES.reach };
    return did({ ...s, main: null, reach }, { do: "ack", ids: idsOf(s.main.p) });
  }
  if (!s.strip.length) return s;
  return did({ ...s, strip: [] }, { do: "ack", ids: s.strip.flatMap((entry) => entry.ids) });
}

function notHolder(s, now) {
  const { reach } = s;
  const p = {
    id: `staff-${reach.seq}`, ids: reach.ids, seq: reach.seq, number: reach.number, outcome: "reject",
    reason: "staff.not_holder", at_ms: reach.at_ms, together: 1, words: s.setup.notHolder, issuer: null,
    took_ms: null, accepts: [], holders: [], facts: null, expires_at: 0, warnings: [], heard: now, aged: 0,
  };
  // Staff said it themselves: it needs no acknowledging, and still may not be painted over at once.
  const main = { kind: "reject", p, since: now, until: now + TIMES.reject, held: TIMES.guard, known: true };
  const strip = s.strip.filter((entry) => !entry.ids.some((id) => reach.ids.includes(id)));
  const body = { cmd: "not_holder", seq: reach.seq };
  const next = { ...s, main, strip, reach: { ...reach, outcome: "reject" } };
  return did(next, { do: "post", body, ids: [] }, { do: "ack", ids: reach.ids }, { do: "sound", kind: "reject" });
}

function openPanel(s, kind, now) {
  const { ids, seq, number, outcome, at_ms } = s.reach;
  const panel = { kind, ids, seq, number, outcome, at_ms, note: "", sent: false, until: now + TIMES.panel };
  return { ...s, panel };
}

function byHand(s, body, now) {
  const panel = { ...s.panel, sent: true, until: now + TIMES.panel };
  return did({ ...s, panel }, { do: "post", body: { cmd: "manual", ...body }, ids: [] });
}

function choose(s, note, now) {
  const { panel } = s;
  if (!s.setup.notes.includes(note) || panel.sent) return s;
  if (panel.kind === "override") return { ...s, panel: { ...panel, note, until: now + TIMES.panel } };
  return did({ ...s, panel: null }, { do: "post", body: { cmd: "note", seq: panel.seq, note }, ids: [] });
}

// `ids` are those of the verdict an override was about: it needs no acknowledging after.
function reply(s, event, now) {
  const { cmd, ok } = event;
  if (!ok) {
    const panel = s.panel && s.panel.sent ? { ...s.panel, sent: false, until: now + TIMES.panel } : s.panel;
    return { ...s, panel, notice: { tone: "bad", key: `failed.${event.code}`, until: now + TIMES.notice } };
  }
  // Its verdict comes as every other does; there is nothing of staff's own to take back.
  if (cmd === "manual") return { ...s, panel: null };
  if (cmd === "tail") {
    const [tone, said] = event.matched ? ["good", "done.tail_matched"] : ["bad", "done.tail_differs"];
    const number = s.panel && s.panel.kind === "tail" ? s.panel.number : "";
    return { ...s, panel: null, notice: { tone, key: said, number, until: now + TIMES.reach } };
  }
  const notice = { tone: "good", key: `done.${cmd}`, until: now + (cmd === "override" ? TIMES.undo : TIMES.notice) };
  let next = { ...s, notice, staff: { seq: event.seq, until: now + TIMES.undo } };
  if (cmd === "undo") next = { ...next, staff: null, main: s.main && s.main.known ? null : s.main };
  if (cmd !== "override") return next;
  const mine = (p) => idsOf(p).some((id) => event.ids.includes(id));
  const strip = next.strip.filter((entry) => !mine(entry));
  next = { ...next, panel: null, strip, main: mine(s.main && s.main.p) ? null : s.main };
  return did(next, { do: "ack", ids: event.ids });
}
