// A client of the appliance for any page: its API, and its live streams over a WebSocket that comes back by itself.
// It knows no DOM and no framework; copy it and use it.

const KEY = "appliance.visit";
const FIRST_PAUSE = 500; // ms before the second try, doubling
const LONGEST_PAUSE = 15_000;
const QUIET = 40_000; // ms without a word until a probe is sent
const PROBE_ANSWER = 10_000; // ms for its answer

/** What the appliance refused, in its own words. `missing`: this version has no such address. */
export class Refused extends Error {
  constructor(status, said = {}, requestId = "") {
    const inner = typeof said.error === "object" && said.error ? said.error : {};
    super(said.message || inner.message || `the answer was ${status}`);
    this.status = status;
    this.code = said.code || inner.code || "";
    this.hint = said.hint || "";
    this.requestId = said.request_id || requestId;
    this.missing = status === 404 && inner.code === "NOT_FOUND" && inner.message === "Endpoint not found";
  }
}

/** The appliance did not answer at all. */
export class Silent extends Error {
  constructor() {
    super("the appliance did not answer");
    this.hint = "is this device on its network, and does it run?";
  }
}

/** Who we are: a token, for this tab alone or, if asked, for this device. */
export class Session {
  constructor() {
    this.visit = null; // {token, id?, name?, expires?, kept?}
    this.open = false; // no token is needed here (test mode)
  }

  recall() {
    for (const store of stores()) {
      try {
        const found = JSON.parse(store.getItem(KEY));
        if (found?.token) return (this.visit = found);
      } catch { /* not ours */ }
    }
    return null;
  }

  remember(visit) {
    this.forget();
    this.visit = visit;
    try { (visit.kept ? localStorage : sessionStorage).setItem(KEY, JSON.stringify(visit)); } catch { /* for this page only, then */ }
  }

  forget() {
    this.visit = null;
    for (const store of stores()) store.removeItem(KEY);
  }
}

function stores() {
  try { return [sessionStorage, localStorage]; } catch { return []; }
}

/** Calls the API. `ended` is told when our token is not taken any more. */
export class Api {
  constructor(session, ended = () => {}) {
    this.session = session;
    this.ended = ended;
  }

  get(path, options) { return this.call("GET", path, undefined, options); }
  post(path, body, options) { return this.call("POST", path, body, options); }
  put(path, body) { return this.call("PUT", path, body); }
  patch(path, body) { return this.call("PATCH", path, body); }
  delete(path) { return this.call("DELETE", path); }
  rpc(...call) { return this.call("POST", "/rpc", call); }

  /** The answer: JSON as a value, other text as it is, null for nothing. A body that is text is sent as it stands. */
  async call(method, path, body, { signal, parse = JSON.parse } = {}) {
    const headers = { accept: "application/json" };
    if (body !== undefined) headers["content-type"] = "application/json";
    if (this.session.visit) headers.authorization = `Bearer ${this.session.visit.token}`;
    let answer, text;
    try {
      answer = await fetch(path, { method, headers, signal, cache: "no-store", body: typeof body === "string" || body === undefined ? body : JSON.stringify(body) });
      text = await answer.text();
    } catch (error) {
      throw error.name === "AbortError" ? error : new Silent();
    }
    const isJson = /json/.test(answer.headers.get("content-type") || "");
    if (!answer.ok) {
      const refused = new Refused(answer.status, isJson ? JSON.parse(text) : {}, answer.headers.get("x-request-id") || "");
      if (answer.status === 401 && this.session.visit) this.ended(refused);
      throw refused;
    }
    return text === "" ? null : isJson ? parse(text) : text;
  }
}

/**
 * A live stream that survives its connection. Each connection shows a fresh ticket, so the token is in no address.
 *
 * path, query: where; `query()` is asked for each connection, and says from which place on.
 * heard(text): each message. state(kind, more): "connecting", "live" ({again}: after a break), "waiting" ({seconds}).
 * probe: a message the other side answers, sent when it has been quiet for long; a script cannot see pings.
 */
export class Live {
  constructor(api, { path, query = () => ({}), heard, state = () => {}, probe = "" }) {
    Object.assign(this, { api, path, query, heard, state, probe });
    this.socket = null;
    this.timer = 0;
    this.failures = 0;
    this.stood = false;
    this.closed = true;
    this.wake = () => { if (!this.closed && !this.socket && !document.hidden) this.connect(); };
  }

  open() {
    this.closed = false;
    addEventListener("online", this.wake);
    document.addEventListener("visibilitychange", this.wake);
    this.connect();
    return this;
  }

  close() {
    this.closed = true;
    removeEventListener("online", this.wake);
    document.removeEventListener("visibilitychange", this.wake);
    this.hangUp();
  }

  /** Connect anew, as with another filter. */
  again() {
    this.stood = false;
    this.failures = 0;
    this.connect();
  }

  send(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(message);
  }

  hangUp() {
    clearTimeout(this.timer);
    const socket = this.socket;
    this.socket = null;
    if (socket?.close) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    }
  }

  async connect() {
    this.hangUp();
    const mine = (this.socket = {}); // taken; a later connect takes it over
    this.state("connecting");
    try {
      const parameters = new URLSearchParams(this.query());
      if (!this.api.session.open) parameters.set("ticket", (await this.api.post("/api/v1/tickets")).ticket);
      if (this.closed || this.socket !== mine) return;
      const socket = (this.socket = new WebSocket(`${location.origin.replace("http", "ws")}${this.path}?${parameters}`));
      socket.onopen = () => this.opened();
      socket.onmessage = (message) => {
        this.failures = 0;
        this.listen();
        this.heard(message.data);
      };
      socket.onclose = (closed) => this.lost(closed);
    } catch (error) {
      if (this.closed || this.socket !== mine) return;
      this.socket = null;
      if (error.status !== 401) this.lost({ code: 0, reason: "", error });
    }
  }

  opened() {
    this.state("live", { again: this.stood });
    this.stood = true;
    this.listen();
  }

  listen() {
    clearTimeout(this.timer);
    if (!this.probe) return;
    this.timer = setTimeout(() => {
      this.send(this.probe);
      this.timer = setTimeout(() => { this.hangUp(); this.lost({ code: 1006, reason: "" }); }, PROBE_ANSWER);
    }, QUIET);
  }

  lost({ code, reason, error }) {
    clearTimeout(this.timer);
    this.socket = null;
    const asked = Number(/(\d+) ms/.exec(reason || "")?.[1] || 0); // "Server restarting, retry in 2417 ms"
    const pause = Math.max(asked, Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** this.failures++) * (0.5 + Math.random() / 2));
    this.state("waiting", { seconds: pause / 1000, code, reason, error });
    this.timer = setTimeout(() => this.connect(), pause); // a token that has ended is told of by the next ticket
  }
}

/** Where a time lies in the log: the first global position at or behind it. Looks by halves, some twenty short reads. */
export async function placeAt(api, time, newest) {
  let low = 1, high = newest + 1;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const [found] = await api.rpc("category.get", "", { position: middle, batchSize: 1 });
    if (!found || Date.parse(found[7]) >= time) high = middle;
    else low = found[4] + 1;
  }
  return low;
}

/** The text format of Prometheus as a map: name → [{labels, value}]. */
export function readMetrics(text) {
  const found = new Map();
  for (const line of text.split("\n")) {
    if (!line || line[0] === "#") continue;
    const match = /^([\w:]+)(?:\{(.*)\})? (\S+)/.exec(line);
    if (!match) continue;
    const labels = {};
    for (const [, name, value] of (match[2] || "").matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) labels[name] = value;
    const rows = found.get(match[1]) || [];
    rows.push({ labels, value: Number(match[3]) });
    found.set(match[1], rows);
  }
  return found;
}

/** The sum of a metric over its labels, or of those a test lets pass; null: it is not there. */
export function total(metrics, name, wanted = () => true) {
  const rows = metrics?.get(name);
  return rows ? rows.filter((row) => wanted(row.labels)).reduce((sum, row) => sum + row.value, 0) : null;
}

/** A quantile of a histogram in seconds, of what was counted between two looks; null: nothing was. */
export function quantile(q, metrics, before, name) {
  const buckets = new Map();
  for (const [source, sign] of [[metrics, 1], [before, -1]]) {
    for (const row of source?.get(`${name}_bucket`) || []) {
      const edge = row.labels.le === "+Inf" ? Infinity : Number(row.labels.le);
      buckets.set(edge, (buckets.get(edge) || 0) + sign * row.value);
    }
  }
  const edges = [...buckets.keys()].sort((a, b) => a - b);
  const all = edges.length ? buckets.get(edges.at(-1)) : 0;
  if (!(all > 0)) return null;
  let lower = 0, below = 0;
  for (const edge of edges) {
    const reached = buckets.get(edge);
    if (reached >= q * all) {
      if (edge === Infinity) return lower;
      return lower + (edge - lower) * ((q * all - below) / Math.max(1, reached - below));
    }
    lower = edge;
    below = reached;
  }
  return lower;
}
