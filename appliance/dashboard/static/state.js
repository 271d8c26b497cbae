// What all pages share: who we are, what was fetched last, the live line, and messages to the reader.
import { Api, Live, Session, readMetrics } from "./client.js";
import { useEffect, useMemo, useState } from "./html.js";

export const session = new Session();
export const api = new Api(session, (refused) => signedOut(refused));

// A value that tells when it changes

export class Cell {
  constructor(value) { this.value = value; this.readers = new Set(); }
  set(value) { this.value = value; for (const reader of [...this.readers]) reader(value); }
  update(change) { this.set(change(this.value)); }
}

export function useCell(cell) {
  const [value, set] = useState(cell.value);
  useEffect(() => { set(() => cell.value); const reader = (next) => set(() => next); cell.readers.add(reader); return () => cell.readers.delete(reader); }, [cell]);
  return value;
}

export const entrance = new Cell({ state: "asking" }); // asking, in, out {reason, hint}
export const line = new Cell({ state: "connecting" }); // of the live stream
export const queue = new Cell(null); // the newest QueueStatus
export const progress = new Cell(new Map()); // job id → {percent, message}
export const history = new Cell([]); // [{at, metrics}], since the page was opened
export const toasts = new Cell([]);

export function signedOut(refused, hint = "") {
  live.close();
  if (session.visit) session.forget(); // what another visit has put there since is not ours to remove
  cache.clear();
  entrance.set({ state: "out", reason: refused?.message || "", hint: hint || refused?.hint || "" });
}

let toastNumber = 0;
export function toast(text, { kind = "good", hint = "", lasts = 5000 } = {}) {
  const one = { id: ++toastNumber, text, kind, hint };
  toasts.update((all) => [...all.slice(-3), one]);
  setTimeout(() => toasts.update((all) => all.filter((other) => other.id !== one.id)), lasts);
}

/** Say what went wrong, with what to do next. */
export const complain = (error) => toast(error.message, { kind: "bad", hint: [error.hint, error.requestId && `request ${error.requestId}`].filter(Boolean).join(" · "), lasts: 10_000 });

/** Do something that may fail; true if it went well. */
export async function act(work, done = "") {
  try {
    const answer = await work();
    if (done) toast(typeof done === "function" ? done(answer) : done);
    return true;
  } catch (error) {
    complain(error);
    return false;
  }
}

// Answers, fetched once for all who show them, again every so often while the page is looked at

const cache = new Map(); // path → entry

class Entry {
  constructor(path) {
    this.cell = new Cell({ value: undefined, error: null });
    this.path = path;
    this.times = new Map(); // reader → seconds
    this.timer = 0;
    this.asking = null;
  }
  async fetch() {
    clearTimeout(this.timer);
    this.asking ??= api.get(this.path).then(
      (value) => this.cell.set({ value, error: null }),
      (error) => this.cell.set({ value: error.missing ? undefined : this.cell.value.value, error }),
    ).finally(() => { this.asking = null; this.plan(); });
    return this.asking;
  }
  plan() {
    clearTimeout(this.timer);
    const every = Math.min(...this.times.values());
    if (Number.isFinite(every) && !this.cell.value.error?.missing) this.timer = setTimeout(() => (document.hidden ? this.plan() : this.fetch()), every * 1000);
  }
}

function entryOf(path) {
  if (!cache.has(path)) cache.set(path, new Entry(path));
  return cache.get(path);
}

/** {value, error, again}: `value` is undefined until the first answer. Without a path nothing is asked. */
export function useData(path, { every = 10 } = {}) {
  const entry = useMemo(() => (path ? entryOf(path) : new Entry("")), [path]);
  const known = useCell(entry.cell);
  useEffect(() => {
    if (!path) return undefined;
    const reader = {};
    entry.times.set(reader, every);
    entry.fetch();
    return () => { entry.times.delete(reader); entry.plan(); };
  }, [entry, every]);
  return { ...known, again: () => entry.fetch() };
}

/** Ask again for all that begins so, because something has changed it. */
export function refresh(...starts) {
  for (const [path, entry] of cache) if (entry.times.size && starts.some((start) => path.startsWith(start))) entry.fetch();
}

document.addEventListener("visibilitychange", () => { if (!document.hidden && entrance.value.state === "in") for (const entry of cache.values()) if (entry.times.size) entry.fetch(); });

// The live line: what concerns all pages. The Events page has one of its own

let place = 0; // `seq` of the last stored event
let calm = 0;
const NEWS = 20_000; // ms that a new connection is worth mentioning
const pending = new Set();
let soon = 0;
const CONCERNS = [[/^Job/, "/api/v1/jobs"], [/^Webhook|^IncomingWebhook/, "/api/v1/webhooks", "/api/v1/dead-letters"], [/^Plugin/, "/api/v1/plugins"]];

export const live = new Live(api, {
  path: "/api/v1/ws",
  probe: "refresh",
  query: () => ({ types: "job,jobs,queue,webhook,plugin", ...(place ? { since: place } : {}) }),
  heard: (text) => {
    const event = JSON.parse(text);
    if (!event.ephemeral) place = Math.max(place, event.seq);
    else if (event.type === "QueueStatus") { place ||= event.seq; queue.set(event); }
    if (event.type === "EventsLagged") toast(`${event.dropped_count} messages were left out: this device was too slow`, { kind: "warn" });
    if (event.type === "ResyncRequired") { place = event.seq; toast("Part of what came while you were away is not kept any more", { kind: "warn", hint: event.reason }); refresh("/"); }
    if (event.type === "JobProgress") progress.update((all) => new Map(all).set(event.job_id, { percent: event.progress ?? event.progress_percent, message: event.message }));
    for (const [kind, ...paths] of CONCERNS) if (kind.test(event.type) && event.type !== "JobProgress") paths.forEach((path) => pending.add(path));
    if (pending.size && !soon) soon = setTimeout(() => { refresh(...pending); pending.clear(); soon = 0; }, 400);
  },
  state: (state, more) => {
    line.set({ state, ...more });
    clearTimeout(calm);
    if (more?.again) calm = setTimeout(() => line.set({ state }), NEWS);
    if (state === "live" && more?.again) refresh("/");
  },
});

/** The place up to which this page has heard; 0: nothing yet. */
export const newest = () => queue.value?.seq || place;

// Numbers over time: there is no history before the page was opened

const KEPT = 150;
let looking = 0;
export function look() {
  if (!looking) { sample(); looking = setInterval(() => document.hidden || sample(), 2000); }
}
async function sample() {
  try {
    const metrics = readMetrics(await api.get("/metrics"));
    history.update((all) => [...all.slice(1 - KEPT), { at: Date.now() / 1000, metrics }]);
  } catch { /* the line at the side says that nobody answers */ }
}

// Who we are

export async function enter() {
  const code = new URLSearchParams(location.hash.slice(1)).get("code");
  if (code) history_replace(location.pathname === "/welcome" ? "/dashboard" : location.pathname); // out of the address bar and its history
  const before = session.recall();
  try {
    if (code) {
      session.visit = null; // an old token must not be judged before the code
      try { session.remember(await api.post("/api/v1/welcome", { code })); }
      catch (error) { if (!before) throw error; session.visit = before; } // this tab came in earlier, perhaps by this very link
    }
    session.open = !session.visit;
    await api.rpc("sys.version");
    if (session.open) await api.get("/api/v1/events/00000000-0000-0000-0000-000000000000").catch((error) => { if (error.status !== 404) throw error; });
    admitted();
  } catch (error) {
    signedOut(code || before ? error : null);
  }
}

export async function signIn(text, kept) {
  const code = /#code=([\w-]+)/.exec(text)?.[1];
  session.open = false;
  if (code) session.remember({ ...(await api.post("/api/v1/welcome", { code })), kept });
  else {
    session.visit = { token: text, kept };
    try { await api.post("/api/v1/tickets"); } catch (error) { session.visit = null; throw error; }
    session.remember(session.visit);
  }
  admitted();
}

function admitted() {
  entrance.set({ state: "in" });
  place = 0;
  live.open();
  look();
}

export async function leave() {
  const visit = session.visit;
  if (visit?.id) await api.delete(`/api/v1/tokens/${encodeURIComponent(visit.id)}`).catch(() => null);
  signedOut(null, visit?.id ? "you have ended this access, its token is revoked" : "this tab has forgotten its token");
}

function history_replace(path) { window.history.replaceState(null, "", path); }
