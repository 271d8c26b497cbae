// Events as they come, for a table that stays quick at a thousand a second: a bounded ring, a filter, one drawing per frame.
// No framework; the page asks for `view` whenever `draw` is called.
import { Live } from "./client.js";

const HELD = 5000; // events
const LONGEST = 65_536; // characters of an event's text that are kept; longer ones are fetched when they are opened
const PREVIEW = 200;
const BACK = 200; // events of the past that are shown at first
const BACK_FILTERED = 20_000; // positions that are looked through for a category's
const CALM = 90; // ms between two drawings while many come

export const dotted = (type) => (type.includes(".") ? type.toLowerCase() : (type.match(/[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+|[A-Z]/g) || [type]).join(".").toLowerCase());

/**
 * What a line of words means: `order` a category, `order-7` a stream, `OrderPlaced` or `order.*` types, `"text"` words in the data.
 * All kinds must hold, of one kind any. Streams and categories are chosen by the appliance where it can.
 */
export function understand(text) {
  const wish = { streams: [], categories: [], types: [], words: [] };
  for (const [word, quoted] of text.matchAll(/"([^"]*)"?|\S+/g)) {
    if (quoted !== undefined) quoted && wish.words.push(quoted.toLowerCase());
    else if (/^[A-Z]/.test(word) || /[.*]/.test(word)) wish.types.push(new RegExp(`^${word.toLowerCase().replace(/[^\w*]/g, "\\$&").replaceAll("*", ".*")}$`));
    else if (word.includes("-")) wish.streams.push(word);
    else wish.categories.push(word);
  }
  return wish;
}

export function passes(wish, event) {
  if (wish.streams.length + wish.categories.length) {
    const category = event.stream.split("-", 1)[0];
    if (!wish.streams.includes(event.stream) && !wish.categories.includes(category)) return false;
  }
  if (wish.types.length && !wish.types.some((one) => one.test(event.type.toLowerCase()) || one.test(dotted(event.type)))) return false;
  return wish.words.every((word) => event.preview.toLowerCase().includes(word) || event.text.toLowerCase().includes(word));
}

export class Feed {
  /** draw(): something to show has changed. newest(): the newest position the page knows of. */
  constructor(api, { draw, newest, state }) {
    Object.assign(this, { draw, newest });
    this.rows = []; // oldest first
    this.heard = 0; // since it was opened
    this.last = 0; // global position
    this.since = ""; // a position, or "": the last few
    this.marks = 0;
    this.held = null; // what is shown while it is held
    this.wish = understand("");
    this.scheduled = 0;
    this.drawn = 0;
    this.live = new Live(api, {
      path: "/ws/tail",
      query: () => this.query(),
      heard: (text) => this.took(text),
      state: (now, more) => { if (now === "live" && more?.again) this.mark(`Connected again, and gone on behind #${this.last}: nothing was missed.`, "good"); state(now, more); },
    });
  }

  open() { this.live.open(); }
  close() { this.live.close(); cancelAnimationFrame(this.scheduled); clearTimeout(this.later); }

  /** Show something else, from the past given. */
  choose(text, since = "") {
    this.wish = understand(text);
    this.since = since;
    this.rows = [];
    this.last = 0;
    this.held = null;
    if (!this.live.closed) this.live.again();
    this.schedule();
  }

  query() {
    const { streams, categories } = this.wish;
    const one = !streams.length && categories.length;
    const begin = this.since !== "" ? this.since : Math.max(0, this.newest() - (one || streams.length ? BACK_FILTERED : BACK) + 1);
    return { since: this.last ? this.last + 1 : begin, ...(one ? { categories: categories.join(",") } : {}) };
  }

  took(text) {
    const { id, stream, type, position, globalPosition, data, metadata, time } = JSON.parse(text);
    if (globalPosition <= this.last) return;
    this.last = globalPosition;
    const whole = JSON.stringify(data);
    const row = { id, stream, type, position, seq: globalPosition, time, actor: metadata?.actor, preview: whole.slice(0, PREVIEW), text: text.length > LONGEST ? "" : text };
    if (!passes(this.wish, row)) return;
    this.heard++;
    this.add(row);
  }

  /** A line between events, about the stream itself. */
  mark(words, kind = "") { this.add({ mark: words, kind, seq: `mark ${++this.marks}` }); }

  add(row) {
    this.rows.push(row);
    if (this.rows.length > HELD * 1.2) this.rows.splice(0, this.rows.length - HELD);
    this.schedule();
  }

  schedule() {
    if (this.scheduled) return;
    this.scheduled = requestAnimationFrame((now) => {
      const wait = CALM - (now - this.drawn);
      const show = () => { this.scheduled = 0; this.drawn = performance.now(); this.draw(); };
      if (wait > 0) this.later = setTimeout(show, wait); else show();
    });
  }

  /** Keep showing what is there now; what comes is counted. */
  hold() { this.held ??= { rows: this.rows.slice(-HELD), heard: this.heard }; }
  release() { this.held = null; this.schedule(); }

  get view() { return this.held ? this.held.rows : this.rows; }
  get fresh() { return this.held ? this.heard - this.held.heard : 0; }
}
