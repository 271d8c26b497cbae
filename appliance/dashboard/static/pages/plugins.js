// Plugins: a card for each, what it shows, keeps and offers; parked ones with their reason and the way back.
import { ago, amount, count, duration } from "../format.js";
import { html, useState } from "../html.js";
import { act, api, refresh, useData } from "../state.js";
import { Act, Card, Code, Drawer, Empty, Facts, Head, Line, Loaded, Section, Tag, Trouble } from "../ui.js";

const PLUGINS = "/api/v1/plugins";
const KINDS = { ready: "good", parked: "bad", paused: "warn", starting: "warn", disabled: "" };
export function Plugins({ path: [opened], go }) {
  const full = useData(PLUGINS, { every: 5 }), status = useData(full.error?.missing ? "/status" : null, { every: 5 });
  const data = full.error?.missing ? { ...status, value: status.value?.plugins } : { ...full, value: full.value?.plugins };
  return html`<${Head} title="Plugins" about="What teaches the appliance your trade" />
    <${Loaded} data=${data} what="The list of plugins">${(all) => (all.length === 0
    ? html`<${Card}><${Empty} icon="plugins" title="No plugins"><p>A plugin is a folder with one Python file. This makes one with a passing test:</p><${Line}>appliance plugin new greeter</${Line}></${Empty}></${Card}>`
    : html`<div class="cards">${all.map((one) => html`<${Plugin} key=${one.name} one=${one} rich=${!full.error} open=${() => go(`/dashboard/plugins/${one.name}`)} />`)}</div>`)}</${Loaded}>
    ${opened && data.value && html`<${PluginDrawer} one=${data.value.find((other) => other.name === opened)} name=${opened} rich=${!full.error} close=${() => go("/dashboard/plugins")} />`}`;
}

const restart = (one) => act(async () => { await api.post(`${PLUGINS}/${one.name}/restart`); refresh(PLUGINS, "/status"); }, `${one.name} starts afresh, code and configuration`);

function Plugin({ one, rich, open }) {
  const offers = [[one.routes, "route"], [one.events, "event"], [one.consumers, "consumer"], [one.jobs, "job"], [one.actions, "action"], [one.services, "service"]].filter(([list]) => list?.length);
  return html`<section class="card" aria-label=${`plugin ${one.name}`}><div class="card-head"><h2><a href=${`/dashboard/plugins/${one.name}`}>${one.name}</a> <span class="faint small">${one.version}</span></h2><${Tag} kind=${KINDS[one.state]}>${one.state}</${Tag}></div>
    <div class="stack tight"><p class="soft">${one.summary}</p>
    ${one.state === "parked" ? html`<div class="trouble"><strong class="wrap">${one.reason}</strong>${one.hint && html`<span>${one.hint}</span>`}<div class="actions"><${Act} class="mini" do=${() => restart(one)}>Restart</${Act}></div></div>` : one.reason && html`<p class="note warn">Last crash: ${one.reason}</p>`}
    ${rich && one.panels?.length > 0 && one.state === "ready" && html`<${Panels} name=${one.name} />`}
    <div class="row small soft">${offers.map(([list, word]) => html`<span>${amount(list.length, word)}</span>`)}${one.restarts > 0 && html`<${Tag} kind="warn">${amount(one.restarts, "restart")}</${Tag}>`}${one.stalls > 0 && html`<${Tag} kind="warn">${amount(one.stalls, "stall")}</${Tag}>`}<button type="button" class="plain mini" onClick=${open}>More</button></div></div></section>`;
}

function Panels({ name }) {
  const data = useData(`${PLUGINS}/${encodeURIComponent(name)}/panels`, { every: 5 });
  if (data.error) return data.error.missing ? null : html`<${Trouble} error=${data.error} what="The panel" />`;
  return (data.value?.panels || []).map((panel) => html`<div class="panel" key=${panel.title}><h3>${panel.title}</h3>${panel.error ? html`<p class="bad small">${panel.error}</p>` : html`<${Facts} rows=${Object.entries(panel.values).map(([name, value]) => [name, shown(value)])} />`}</div>`);
}

const shown = (value) => (typeof value === "number" ? count(value) : typeof value === "object" && value !== null ? JSON.stringify(value) : String(value));

function PluginDrawer({ one, name, rich, close }) {
  if (!one) return html`<${Drawer} title=${name} close=${close}><${Empty} title="There is no such plugin"><p><code>appliance plugin list</code> names them.</p></${Empty}></${Drawer}>`;
  const list = (title, items) => items?.length > 0 && html`<${Section} title=${title}><ul class="stack tight small">${items}</ul></${Section}>`;
  return html`<${Drawer} title=${one.name} about=${one.summary} close=${close}>
    <div class="row spread"><${Tag} kind=${KINDS[one.state]}>${one.state}</${Tag}>${one.state === "parked" && html`<${Act} do=${() => restart(one)}>Restart</${Act}>`}</div>
    ${one.reason && html`<div class="trouble"><strong>${one.reason}</strong>${one.hint && html`<span>${one.hint}</span>`}</div>`}
    ${one.traceback && html`<${Section} title="Last crash"><${Code}>${one.traceback}</${Code}></${Section}>`}
    <${Section} title="Facts"><${Facts} rows=${[["version", one.version], ["since", one.since && ago(one.since)], ["restarts", count(one.restarts)], ["stalls", count(one.stalls)], ["comes", one.bundled ? "with the appliance" : "from your own folder"]]} /></${Section}>
    ${list("Routes", one.routes?.map((route) => html`<li><code>${route.method} ${route.path}</code> <span class="soft">${[route.scope, route.summary].filter(Boolean).join(" · ")}</span></li>`))}
    ${list("Events", one.events.map((event) => html`<li><a href=${`/dashboard/events?filter=${event}`}>${event}</a></li>`))}
    ${list("Consumers", one.consumers?.map((each) => html`<li><b>${each.name}</b> <span class="soft">${each.events.join(", ")}${each.when && html` when <code>${each.when}</code>`} · ${each.lag ? `${count(each.lag)} behind` : "level"}${each.failed ? ` · ${count(each.failed)} failed` : ""}</span></li>`))}
    ${list("Jobs", one.jobs?.map((job) => html`<li><b>${job.type}</b> <span class="soft">${count(job.concurrency)} at once, ${duration(job.timeout)} at most</span></li>`))}
    ${list("Actions", one.actions?.map((action) => html`<${Action} key=${action.name} plugin=${one.name} action=${action} able=${one.state === "ready"} />`))}
    ${list("Services", one.services.map((service) => html`<li>${service}</li>`))}
    ${one.config?.length > 0 && html`<${Section} title="Configuration"><dl class="facts">${one.config.map((key) => html`<dt><code>${key.key}</code></dt><dd><code>${JSON.stringify(key.value)}</code> <${Tag} kind=${key.origin === "default" ? "" : "accent"}>${key.origin}</${Tag}><div class="faint small">${key.meaning}</div></dd>`)}</dl></${Section}>`}
    ${rich && html`<${Kept} name=${one.name} />`}
  </${Drawer}>`;
}

/** What was typed: JSON if it is that, else a text. */
function meant(text) { try { return JSON.parse(text); } catch { return text; } }

function Action({ plugin, action, able }) {
  const [typed, set] = useState({}), [result, tell] = useState(undefined);
  const ask = async () => {
    const given = Object.entries(typed).filter(([, text]) => text.trim()).map(([name, text]) => [name, meant(text)]);
    tell((await api.post(`${PLUGINS}/${encodeURIComponent(plugin)}/actions/${encodeURIComponent(action.name)}`, Object.fromEntries(given))).result);
    refresh(PLUGINS);
  };
  return html`<li class="stack tight" aria-label=${`action ${action.name}`}><div class="row spread"><span><b>${action.name}</b> <span class="soft">${action.summary}</span></span>${able && html`<${Act} class="mini" sure="run it?" do=${ask}>Run</${Act}>`}</div>
    ${able && action.arguments.map((name) => html`<label class="field"><span>${name}, JSON or text</span><input class="mono" name=${name} value=${typed[name] || ""} onInput=${(event) => set({ ...typed, [name]: event.target.value })} spellcheck="false" autocapitalize="off" /></label>`)}
    ${result !== undefined && html`<div role="status"><${Code}>${JSON.stringify(result, null, 2)}</${Code}></div>`}</li>`;
}

function Kept({ name }) {
  const [prefix, setPrefix] = useState("");
  const data = useData(`${PLUGINS}/${encodeURIComponent(name)}/state?limit=50${prefix ? `&prefix=${encodeURIComponent(prefix)}` : ""}`, { every: 10 });
  if (data.error?.missing) return null;
  const rows = data.value?.items || [];
  return html`<${Section} title=${`State${data.value ? ` (${count(data.value.count)})` : ""}`}>
    <div class="stack tight"><input type="search" placeholder="keys that begin so" aria-label="keys that begin so" value=${prefix} onInput=${(event) => setPrefix(event.target.value)} />
    <${Loaded} data=${data} what="The state">${() => (rows.length === 0 ? html`<p class="soft small">Nothing is kept${prefix ? " under such a key" : ""}.</p>` : rows.map((row) => html`<details><summary><code>${row.key}</code></summary><${Code}>${JSON.stringify(row.value, null, 2)}</${Code}></details>`))}</${Loaded}></div></${Section}>`;
}
