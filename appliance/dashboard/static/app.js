// The frame: where we are, who we are, how to get about. Pages are in pages/.
import { duration } from "./format.js";
import { html, render, useEffect, useLayoutEffect, useState } from "./html.js";
import { complain, enter, entrance, leave, line, queue, refresh, session, toasts, useCell, useData } from "./state.js";
import { Act, Dialog, Dot, Icon, OVER, Tag } from "./ui.js";
import { Clients } from "./pages/clients.js";
import { Deliveries } from "./pages/deliveries.js";
import { Events } from "./pages/events.js";
import { Gate } from "./pages/gate.js";
import { Jobs } from "./pages/jobs.js";
import { Overview } from "./pages/overview.js";
import { Plugins } from "./pages/plugins.js";
import { System } from "./pages/system.js";

const ROOT = "/dashboard";
const PAGES = [
  ["", "Overview", "overview", "o", Overview], ["events", "Events", "events", "e", Events], ["clients", "Clients", "clients", "c", Clients],
  ["deliveries", "Deliveries", "deliveries", "d", Deliveries], ["jobs", "Jobs", "jobs", "j", Jobs], ["plugins", "Plugins", "plugins", "p", Plugins], ["system", "System", "system", "s", System],
];
const BELOW = ["", "events", "clients", "deliveries"]; // at the lower edge of a phone; the others are under "More"

const here = () => ({ parts: location.pathname.slice(ROOT.length).split("/").filter(Boolean).map(decodeURIComponent), query: new URLSearchParams(location.search) });

export function go(path, { replace = false } = {}) {
  window.history[replace ? "replaceState" : "pushState"](null, "", path.startsWith("?") ? location.pathname + path : path);
  dispatchEvent(new Event("popstate"));
}

function useWhere() {
  const [where, set] = useState(here);
  useLayoutEffect(() => {
    const moved = () => set(here());
    const clicked = (event) => {
      const link = event.target.closest?.("a[href]");
      if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || link.target || link.origin !== location.origin) return;
      if (link.pathname !== ROOT && !link.pathname.startsWith(`${ROOT}/`)) return;
      event.preventDefault();
      go(link.pathname + link.search);
    };
    addEventListener("popstate", moved);
    document.addEventListener("click", clicked);
    return () => { removeEventListener("popstate", moved); document.removeEventListener("click", clicked); };
  }, []);
  return where;
}

// Keys

const typing = (target) => target.closest?.("input, textarea, select, [contenteditable]");

function useKeys(show) {
  useLayoutEffect(() => {
    let led = -Infinity; // when "g" was pressed
    const pressed = (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "Escape" && typing(event.target)) { event.target.blur(); return; }
      if (typing(event.target) || document.querySelector(OVER)) return;
      const page = performance.now() - led < 1500 && PAGES.find(([, , , key]) => key === event.key);
      led = -Infinity;
      if (page) go(`${ROOT}${page[0] && `/${page[0]}`}`);
      else if (event.key === "g") { led = performance.now(); return; }
      else if (event.key === "?") show("keys");
      else if (event.key === "t") changeTheme();
      else if (event.key === "/") document.querySelector('input[type="search"]')?.focus();
      else return;
      event.preventDefault();
    };
    document.addEventListener("keydown", pressed);
    return () => document.removeEventListener("keydown", pressed);
  }, []);
}

const KEYS = [["?", "this list"], ["/", "search on this page"], ...PAGES.map(([, name, , key]) => [`g ${key}`, name]), ["j  k", "next and previous event"], ["Enter", "open what is chosen"], ["Space", "pause and go on, on Events"], ["t", "dark or light"], ["Esc", "close, or leave a field"]];
const Keys = ({ close }) => html`<${Dialog} title="Keys" close=${close}><div class="keys">${KEYS.map(([keys, what]) => html`<span>${keys.split(/ +/).map((key) => html`<kbd>${key}</kbd> `)}</span><span>${what}</span>`)}</div></${Dialog}>`;

// Theme

const isDark = () => (document.documentElement.dataset.theme ? document.documentElement.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches);
function changeTheme() {
  const chosen = isDark() ? "light" : "dark";
  document.documentElement.dataset.theme = chosen;
  try { localStorage.setItem("appliance.theme", chosen); } catch { /* it holds until the page is left */ }
  dispatchEvent(new Event("theme"));
}
function useDark() {
  const [dark, set] = useState(isDark);
  useEffect(() => { const look = () => set(isDark()); addEventListener("theme", look); const media = matchMedia("(prefers-color-scheme: dark)"); media.addEventListener("change", look); return () => { removeEventListener("theme", look); media.removeEventListener("change", look); }; }, []);
  return dark;
}

// The frame

const LINE = { live: ["good", "live"], connecting: ["warn", "connecting"], waiting: ["warn", "no connection"] };
function Pulse() {
  const now = useCell(line);
  const [kind, words] = LINE[now.state];
  const text = now.state === "waiting" ? `${words}, next try in ${duration(Math.ceil(now.seconds))}` : now.again ? "live again, nothing missed" : words;
  return html`<div class="pulse" role="status" id="line" data-state=${now.state}><${Dot} kind=${kind} /><span>${text}</span></div>`;
}

const Brand = ({ name }) => html`<a class="brand" href=${ROOT}><img src=${new URL("./mark.svg", import.meta.url).pathname} alt="" /><span class="cut">${name}</span></a>`;

function Links({ current, below, more }) {
  const waiting = useCell(queue);
  const busy = (waiting?.running || 0) + (waiting?.pending || 0);
  const link = ([path, name, icon]) => html`<a href=${`${ROOT}${path && `/${path}`}`} aria-current=${current === path ? "page" : undefined}><${Icon} name=${icon} /><span>${name}</span>${path === "jobs" && !below && busy > 0 && html`<${Tag} kind="accent">${busy}</${Tag}>`}</a>`;
  if (!below) return html`<nav aria-label="pages">${PAGES.map(link)}</nav>`;
  return html`<nav class="tabs-below" aria-label="pages">${PAGES.filter(([path]) => BELOW.includes(path)).map(link)}<button type="button" onClick=${more} aria-current=${BELOW.includes(current) ? undefined : "page"}><${Icon} name="more" /><span>More</span></button></nav>`;
}

const Tools = ({ show, dark }) => html`<div class="buttons">
  <button type="button" class="plain" onClick=${changeTheme} aria-label=${dark ? "light theme" : "dark theme"} title=${`${dark ? "light" : "dark"} (t)`}><${Icon} name=${dark ? "sun" : "moon"} /></button>
  <button type="button" class="plain" onClick=${() => show("keys")} aria-label="keys" title="keys (?)"><${Icon} name="keys" /></button>
  ${!session.open && html`<${Act} class="plain" do=${leave} sure=${session.visit?.id ? "end it?" : "sign out?"} aria-label=${session.visit?.id ? "end this access" : "sign out"} title=${session.visit?.id ? "end this access: its token is revoked" : "sign out"}><${Icon} name="leave" /></${Act}>`}</div>`;

function More({ close, current, show, dark }) {
  return html`<${Dialog} title="More" close=${close}><div class="needs" onClick=${close}>${PAGES.filter(([path]) => !BELOW.includes(path)).map(([path, name, icon]) => html`<a href=${`${ROOT}/${path}`} aria-current=${current === path ? "page" : undefined}><${Icon} name=${icon} />${name}</a>`)}</div><${Tools} show=${show} dark=${dark} /></${Dialog}>`;
}

function Frame() {
  const { parts, query } = useWhere();
  const [shown, show] = useState("");
  const dark = useDark();
  const name = useData("/api/v1/name", { every: 60 }).value?.name || "appliance";
  const [current = "", ...below] = parts;
  const page = PAGES.find(([path]) => path === current);
  useKeys(show);
  useEffect(() => { document.title = `${page ? page[1] : "Not here"} · ${name}`; }, [current, name]);
  useLayoutEffect(() => { scrollTo(0, 0); if (!document.querySelector(OVER)) document.getElementById("title")?.focus({ preventScroll: true }); }, [current]);
  return html`<div class="frame">
    <a class="skip" href="#title" onClick=${(event) => { event.preventDefault(); document.getElementById("title")?.focus(); }}>To the content</a>
    <aside class="side"><${Brand} name=${name} /><${Links} current=${current} /><div class="foot"><${Pulse} /><${Tools} show=${show} dark=${dark} /></div></aside>
    <div class="top"><${Brand} name=${name} /><${Pulse} /></div>
    <main class="main" key=${current}>${page ? html`<${page[4]} path=${below} query=${query} go=${go} />` : html`<h1 id="title" tabindex="-1">There is no such page</h1><p><a href=${ROOT}>To the overview</a></p>`}</main>
    <${Links} below current=${current} more=${() => show("more")} />
    ${shown === "keys" && html`<${Keys} close=${() => show("")} />`}${shown === "more" && html`<${More} close=${() => show("")} current=${current} show=${show} dark=${dark} />`}
  </div>`;
}

const Toasts = () => html`<div class="toasts" role="status" aria-live="polite">${useCell(toasts).map((one) => html`<div key=${one.id} class="toast ${one.kind}"><strong>${one.text}</strong>${one.hint && html`<small class="soft">${one.hint}</small>`}</div>`)}</div>`;

function App() {
  const { state } = useCell(entrance);
  return html`${state === "in" ? html`<${Frame} />` : state === "out" ? html`<${Gate} />` : ""}<${Toasts} />`;
}

render(html`<${App} />`, document.getElementById("app"));
addEventListener("hashchange", () => location.hash.includes("code=") && enter().catch(complain));
addEventListener("online", () => entrance.value.state === "in" && refresh("/"));
enter();
