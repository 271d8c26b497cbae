// Events: what is happening, and where did it go?
import { Feed } from "../feed.js";
import { amount, clock, count } from "../format.js";
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../html.js";
import { placeAt } from "../client.js";
import { act, api, complain, newest, queue } from "../state.js";
import { Dialog, Head, Icon, OVER } from "../ui.js";
import { EventDrawer } from "./event.js";
import { Publish } from "../publish.js";

const ROW = 34; // px, as in pages.css
const SPARE = 6; // rows drawn beyond both edges
const PASTS = [["", "the last 200"], ["900", "15 minutes"], ["3600", "1 hour"], ["86400", "24 hours"], ["0", "the beginning"]];

export function Events({ path: [opened = ""], query, go }) {
  const filter = query.get("filter") || "";
  const [past, setPast] = useState(query.get("since") || "");
  const [typed, setTyped] = useState(filter);
  const [paused, pause] = useState(false);
  const [chosen, setChosen] = useState(-1); // row of the view
  const marked = useRef(-1); // the same, before it is drawn: keys come quicker
  const choose = (n) => { marked.current = n; setChosen(n); };
  const [state, setState] = useState("connecting");
  const [publishing, setPublishing] = useState(false);
  const [, redraw] = useState(0);
  const feed = useMemo(() => new Feed(api, { draw: () => redraw((n) => n + 1), newest, state: setState }), []);
  const box = useRef(null);
  const [scrolled, setScrolled] = useState({ top: 0, height: 600 });

  useEffect(() => { setTyped(filter); }, [filter]);
  useEffect(() => {
    let gone = false, begun = false;
    const begin = async () => {
      if (gone || begun) return;
      begun = true;
      let since = "";
      try { if (past) since = past === "0" ? 0 : await placeAt(api, Date.now() - past * 1000, newest()); } catch (error) { complain(error); }
      if (gone) return;
      feed.choose(filter, since);
      feed.open();
    };
    if (newest()) begin(); else { queue.readers.add(begin); setTimeout(begin, 1500); } // the first status names the newest event
    return () => { gone = true; queue.readers.delete(begin); feed.close(); };
  }, [filter, past]);
  useEffect(() => { if (paused || opened || chosen >= 0 || scrolled.top > ROW) feed.hold(); else feed.release(); redraw((n) => n + 1); }, [paused, opened, chosen >= 0, scrolled.top > ROW]);
  useLayoutEffect(() => {
    const measure = () => box.current && setScrolled((now) => ({ ...now, height: box.current.clientHeight }));
    measure();
    addEventListener("resize", measure);
    return () => removeEventListener("resize", measure);
  }, []);

  const rows = feed.view, size = rows.length;
  const at = (n) => rows[size - 1 - n]; // newest first
  const show = (row) => go(`/dashboard/events/${row.id}${location.search}`);
  const shut = () => go(`/dashboard/events${location.search}`);
  const latest = () => { pause(false); choose(-1); box.current.scrollTop = 0; setScrolled((now) => ({ ...now, top: 0 })); feed.release(); };
  const move = (step) => {
    feed.hold();
    let next = Math.max(0, Math.min(size - 1, marked.current + step));
    while (at(next)?.mark && at(next + step)) next += step;
    choose(next);
    const top = next * ROW;
    if (top < box.current.scrollTop || top + ROW > box.current.scrollTop + box.current.clientHeight) box.current.scrollTop = Math.max(0, top - box.current.clientHeight / 2);
  };
  useLayoutEffect(() => { // comes and goes with what is on the screen: other effects wait for the next picture
    const pressed = (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select") || document.querySelector(OVER)) return;
      if (event.key === "j" || (event.key === "ArrowDown" && chosen >= 0)) move(1);
      else if (event.key === "k" || (event.key === "ArrowUp" && chosen >= 0)) move(-1);
      else if (event.key === "Enter" && at(marked.current)?.id && !event.target.closest("button, a")) show(at(marked.current));
      else if (event.key === "Escape") latest();
      else if (event.key === " " && !event.target.closest("button, a")) (feed.held ? latest() : pause(true));
      else return;
      event.preventDefault();
    };
    document.addEventListener("keydown", pressed);
    return () => document.removeEventListener("keydown", pressed);
  });
  const search = (event) => { event.preventDefault(); const text = typed.trim(); go(`/dashboard/events${text ? `?filter=${encodeURIComponent(text)}` : ""}`); box.current.focus({ preventScroll: true }); };
  const keep = () => act(async () => {
    const lines = rows.filter((row) => row.text).map((row) => row.text).join("\n");
    const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(new Blob([lines, "\n"], { type: "application/x-ndjson" })), download: "events.ndjson" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });

  const first = Math.max(0, Math.floor(scrolled.top / ROW) - SPARE), beyond = Math.min(size, Math.ceil((scrolled.top + scrolled.height) / ROW) + SPARE);
  const visible = [];
  for (let n = first; n < beyond; n++) visible.push([n, at(n)]);
  return html`<${Head} title="Events" about="What is happening, and where did it go?"><button type="button" onClick=${() => setPublishing(true)}>Publish an event</button></${Head}>
    <section class="card flush" aria-label="events">
      <form class="feed-bar" role="search" onSubmit=${search}>
        <input type="search" id="filter" placeholder='order, order-7, OrderPlaced, order.*, "text"' aria-label="Filter: a category, a stream, types, or text in quotes" value=${typed} onInput=${(event) => setTyped(event.target.value)} spellcheck="false" autocapitalize="off" />
        <label class="row"><span class="soft small">from</span><select aria-label="how far back" value=${past} onChange=${(event) => setPast(event.target.value)}>${PASTS.map(([value, words]) => html`<option value=${value}>${words}</option>`)}</select></label>
        <button type="button" id="pause" aria-pressed=${Boolean(feed.held)} onClick=${() => (feed.held ? latest() : pause(true))}>${feed.held ? "Follow" : "Pause"}</button>
        <button type="button" class="plain" onClick=${keep} disabled=${!size} title="save what is shown, one JSON object a line">Export</button>
      </form>
      ${feed.fresh > 0 && html`<button type="button" class="fresh mini" id="fresh" onClick=${latest}>${count(feed.fresh)} new ↑</button>`}
      <div class="feed" ref=${box} tabindex="0" role="listbox" aria-label="events, newest first" aria-activedescendant=${chosen >= 0 ? `e${at(chosen)?.seq}` : undefined} onScroll=${(event) => setScrolled({ top: event.target.scrollTop, height: event.target.clientHeight })}>
        ${size === 0 ? html`<div class="empty"><${Icon} name="events" /><h3>${state === "live" ? "Nothing yet" : "Connecting"}</h3><p>${filter ? html`No event of the chosen time passes <code>${filter}</code>. What comes next will stand here.` : "The next event will stand here at once. Publish one to see."}</p></div>`
    : html`<div class="space" style=${{ height: `${size * ROW}px` }}>${visible.map(([n, row]) => html`<${Row} key=${row.seq} row=${row} top=${n * ROW} chosen=${n === chosen || row.id === opened} show=${show} />`)}</div>`}
      </div>
      <footer class="feed-foot"><span id="told">${state === "live" ? (feed.held ? "holding still" : "live") : state === "connecting" ? "connecting" : "no connection, trying again"}${feed.last ? ` · up to #${count(feed.last)} of the log` : ""}</span><span>${amount(feed.heard, "event")} seen${feed.heard > size ? `, the last ${count(size)} kept` : ""}</span></footer>
    </section>
    ${opened && html`<${EventDrawer} id=${opened} row=${rows.find((row) => row.id === opened)} close=${shut} go=${go} />`}
    ${publishing && html`<${Dialog} title="Publish an event" close=${() => setPublishing(false)}><${Publish} /></${Dialog}>`}`;
}

const Row = ({ row, top, chosen, show }) => (row.mark
  ? html`<div class="event mark ${row.kind}" style=${{ transform: `translateY(${top}px)` }} role="presentation">${row.mark}</div>`
  : html`<button type="button" class="event" id=${`e${row.seq}`} role="option" aria-selected=${chosen} tabindex="-1" style=${{ transform: `translateY(${top}px)` }} onClick=${() => show(row)}>
    <span class="time mono soft">${clock(row.time)}</span><b>${row.type}</b><span class="stream">${row.stream} <span class="faint">@ ${row.position}</span></span><span class="who soft">${row.actor ? row.actor.name || row.actor.id || row.actor.kind : ""}</span><code class="what soft">${row.preview}</code></button>`);
