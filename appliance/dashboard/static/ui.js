// The small parts that pages are made of.
import { duration, sentence } from "./format.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "./html.js";
import { complain } from "./state.js";

const PATHS = {
  overview: "M3 12h4l2.5-6 5 13 2.5-7h4", events: "M4 6h16M4 12h10M4 18h13", clients: "M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6ZM2.5 19c.5-3 2.7-4.5 5.5-4.500s5 1.5 5.5 4.500M16 5.500a3 3 0 0 1 0 5.500M17.5 14.700c2 .5 3.5 2 4 4.3",
  deliveries: "M3 11.5 21 4l-6.5 17-3-7.500zM11.5 13.5 21 4", jobs: "M4 7h10M4 12h16M4 17h7M18 5v4M9 10v4M15 15v4", plugins: "M9 3v4M15 3v4M6 7h12v4a6 6 0 0 1-12 0zM12 17v4", system: "M4 6h16v5H4zM4 13h16v5H4zM7.5 8.500h.01M7.5 15.500h.01",
  more: "M5 12h.01M12 12h.01M19 12h.01", moon: "M20 14.500A8 8 0 1 1 9.5 4a6.5 6.5 0 0 0 10.5 10.500Z", sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8ZM12 2v2.500M12 19.500V22M4.9 4.900l1.8 1.800M17.3 17.300l1.8 1.800M2 12h2.500M19.5 12H22M4.9 19.100l1.8-1.800M17.3 6.700l1.8-1.8",
  keys: "M3 7h18v10H3zM7 11h.01M11 11h.01M15 11h.01M8 14h8", leave: "M14 4H5v16h9M10 12h11M17.5 8.5 21 12l-3.5 3.5", close: "M6 6l12 12M18 6 6 18", well: "M4 12.5 9.5 18 20 6.5",
};
export const Icon = ({ name }) => html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d=${PATHS[name]} /></svg>`;

export const Dot = ({ kind = "" }) => html`<span class="dot ${kind}" aria-hidden="true"></span>`;
export const Tag = ({ kind = "", children, title }) => html`<span class="tag ${kind}" title=${title}>${children}</span>`;

export const Head = ({ title, about, children }) => html`<header class="head"><div><h1 tabindex="-1" id="title">${title}</h1>${about && html`<p>${about}</p>`}</div>${children && html`<div class="actions">${children}</div>`}</header>`;

export const Card = ({ title, more, children, flush, class: name = "" }) => html`<section class="card ${flush ? "flush" : ""} ${name}">
  ${title && html`<div class="card-head"><h2>${title}</h2>${more}</div>`}${children}</section>`;

/** Nothing here, and what to do about it. */
export const Empty = ({ icon, title, children }) => html`<div class="empty">${icon && html`<${Icon} name=${icon} />`}<h3>${title}</h3>${children}</div>`;

/** What went wrong, whose move is next, and the number to look for in the log. */
export function Trouble({ error, what = "This" }) {
  if (error.missing) return html`<div class="trouble calm" role="note"><strong>${what} is not available on this version.</strong><small>A newer appliance has it; nothing is wrong here.</small></div>`;
  const hint = error.status === 403 && !error.hint ? "sign in with an admin's token: appliance link prints a way in" : error.hint;
  return html`<div class="trouble" role="alert"><strong>${sentence(error.message)}</strong>${hint && html`<span>${sentence(hint)}</span>`}
    ${error.requestId && html`<small>Request <code>${error.requestId}</code>: the appliance's log has it under this id.</small>`}</div>`;
}

/** What a page shows of an answer: bones until it is there, trouble if it failed, else its children. */
export function Loaded({ data, what, children }) {
  if (data.value !== undefined) return html`<div class="stack">${data.error && html`<${Trouble} error=${data.error} what=${what} />`}${children(data.value)}</div>`;
  return data.error ? html`<${Trouble} error=${data.error} what=${what} />` : html`<div class="bones" role="status" aria-label="loading"></div>`;
}

/** A button that shows that it works, says what went wrong, and asks once more before harm. */
export function Act({ do: work, children, sure = "", class: name = "", ...rest }) {
  const [state, set] = useState("idle");
  const timer = useRef(0);
  const alive = useRef(true);
  useEffect(() => () => { alive.current = false; clearTimeout(timer.current); }, []);
  const press = async (event) => {
    event.stopPropagation();
    if (sure && state === "idle") { set("sure"); timer.current = setTimeout(() => alive.current && set("idle"), 4000); return; }
    clearTimeout(timer.current);
    set("busy");
    try { await work(); } catch (error) { complain(error); }
    if (alive.current) set("idle");
  };
  return html`<button type="button" class="${name} ${state === "sure" ? "sure" : ""}" disabled=${state === "busy"} aria-busy=${state === "busy"} onClick=${press} ...${rest}>${state === "sure" ? sure : children}</button>`;
}

export async function copyText(text) {
  try { await navigator.clipboard.writeText(text); } catch { // which is there over https only
    const box = document.createElement("textarea");
    box.value = text;
    document.body.append(box);
    box.select();
    document.execCommand("copy");
    box.remove();
  }
}

/** A line to take along. `secret` is copied instead of what is shown. */
export function Line({ children, text = children, label = "copy", id }) {
  const [done, set] = useState(false);
  const copy = async () => { await copyText(text); set(true); setTimeout(() => set(false), 1500); };
  return html`<div class="line"><pre class="code" id=${id}>${children}</pre><button type="button" class="mini" onClick=${copy} aria-label=${`${label}: ${children}`}>${done ? "copied" : label}</button></div>`;
}

export function Progress({ percent, kind = "", label = "progress" }) {
  const bar = useRef(null);
  useEffect(() => { bar.current.style.width = `${Math.max(0, Math.min(100, percent || 0))}%`; }, [percent]);
  return html`<div class="bar ${kind}" role="progressbar" aria-label=${label} aria-valuemin="0" aria-valuemax="100" aria-valuenow=${Math.round(percent || 0)}><i ref=${bar}></i></div>`;
}

/** Finds what lies over the page and has the keyboard to itself. */
export const OVER = '[aria-modal="true"]';

const open = []; // the same, the topmost last

/** Keep the keyboard inside, and give it back where it was: from the moment it can be seen. */
function useTrap(close) {
  const box = useRef(null), latest = useRef(close);
  latest.current = close;
  useLayoutEffect(() => {
    const before = document.activeElement;
    const within = () => [...box.current.querySelectorAll('a[href], button:not(:disabled), input, select, textarea, [tabindex="0"]')].filter((one) => one.offsetParent);
    (box.current.querySelector("[autofocus]") || within()[0] || box.current).focus({ preventScroll: true });
    const pressed = (event) => {
      if (open.at(-1) !== node) return;
      if (event.key === "Escape") { event.preventDefault(); event.stopPropagation(); latest.current(); }
      if (event.key !== "Tab") return;
      const all = within(), edge = event.shiftKey ? all[0] : all.at(-1);
      if (document.activeElement === edge || !box.current.contains(document.activeElement)) { event.preventDefault(); (event.shiftKey ? all.at(-1) : all[0])?.focus(); }
    };
    const node = box.current;
    open.push(node);
    document.addEventListener("keydown", pressed, true);
    return () => { open.splice(open.indexOf(node), 1); document.removeEventListener("keydown", pressed, true); if (before?.isConnected) before.focus({ preventScroll: true }); };
  }, []);
  return box;
}

const Veil = ({ close }) => html`<button type="button" class="veil" tabindex="-1" aria-label="close" onClick=${close}></button>`;
const Shut = ({ close }) => html`<button type="button" class="plain" onClick=${close} aria-label="close" title="close (Esc)"><${Icon} name="close" /></button>`;

export function Drawer({ title, about, close, children }) {
  const box = useTrap(close);
  return html`<${Veil} close=${close} /><aside class="drawer" role="dialog" aria-modal="true" aria-label=${title} ref=${box} tabindex="-1">
    <header><div><h2 class="wrap">${title}</h2>${about && html`<p class="soft small wrap">${about}</p>`}</div><${Shut} close=${close} /></header><div class="body">${children}</div></aside>`;
}

export function Dialog({ title, close, children }) {
  const box = useTrap(close);
  return html`<${Veil} close=${close} /><div class="dialog" role="dialog" aria-modal="true" aria-label=${title} ref=${box} tabindex="-1">
    <header><h2>${title}</h2><${Shut} close=${close} /></header><div class="body">${children}</div></div>`;
}

export const Section = ({ title, children }) => html`<section class="section"><h3>${title}</h3>${children}</section>`;

export const Facts = ({ rows }) => html`<dl class="facts">${rows.filter(([, value]) => value !== "" && value != null).map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`;

export const Code = ({ children }) => html`<pre class="code" tabindex="0">${children}</pre>`;

export const Ms = ({ value }) => (value == null ? "–" : duration(value / 1000));
