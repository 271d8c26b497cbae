// System: the tree of services, the configuration with its origins, backups, and who may come in.
import { ago, amount, bytes, count, duration, moment } from "../format.js";
import { html, useState } from "../html.js";
import { act, api, refresh, useData } from "../state.js";
import { Act, Card, Empty, Facts, Head, Line, Loaded, Tag } from "../ui.js";
import { Access } from "./access.js";

const TABS = [["", "Tree"], ["config", "Config"], ["backups", "Backups"], ["access", "Access"]];
const STATES = { ready: "good", starting: "warn", waiting: "warn", paused: "warn", parked: "bad", crashed: "bad", draining: "warn", stopped: "" };

export function System({ path: [tab = ""] }) {
  return html`<${Head} title="System" about="What it is made of, and how it is kept" />
    <nav class="tabs" aria-label="parts">${TABS.map(([path, name]) => html`<a href=${`/dashboard/system${path && `/${path}`}`} aria-current=${tab === path ? "page" : undefined}>${name}</a>`)}</nav>
    ${tab === "config" ? html`<${Config} />` : tab === "backups" ? html`<${Backups} />` : tab === "access" ? html`<${Access} />` : html`<${Tree} />`}`;
}

function Tree() {
  const status = useData("/status", { every: 3 }), canary = useData("/api/v1/canary", { every: 15 });
  return html`<${Loaded} data=${status} what="The status">${(value) => html`
    <${Card} flush class="tree"><div class="twig titles"><span>service</span><span>state</span><span class="since">since</span><span class="restarts">restarts</span><span>waiting for, last crash</span></div>${value.tree.map((node) => html`<${Twig} key=${node.name} node=${node} depth=${0} />`)}</${Card}>
    <div class="over"><${Card} title="This appliance"><${Facts} rows=${[["name", value.name], ["version", value.version], ["process", value.pid], ["running", duration(value.uptime_s)], ["addresses", value.urls.join("  ")], ["data", html`<code>${value.data}</code>`], ["storage", value.storage.kind], ["when opened", `${amount(value.storage.events, "event")}, ${count(value.storage.verified)} checked, ${count(value.storage.lost)} lost`], ["notes", value.storage.notes.join("; ")]]} /></${Card}>
    <${Card} title="Counts"><${Facts} rows=${Object.entries(value.counts).map(([name, number]) => [name, count(number)])} /></${Card}></div>
    ${canary.value && html`<${Canary} canary=${canary.value} />`}`}</${Loaded}>`;
}

const LEGS = { ok: "good", late: "bad", failed: "bad", waiting: "" };
const ms = (value) => (value == null ? "–" : duration(value / 1000));
const Canary = ({ canary }) => html`<${Card} flush title="Canary" more=${html`<span class="soft small">${canary.state === "off" ? "switched off: telemetry.canary" : canary.flown_at ? `flew ${ago(canary.flown_at)}` : "has not flown yet"}</span>`}>
  ${canary.trouble && html`<p class="note warn">${canary.trouble}</p>`}
  <div class="scroll"><table class="folds" id="canary"><thead><tr><th>Leg</th><th>State</th><th class="num">Last</th><th class="num">Half within</th><th class="num">95 of 100</th><th class="num">99 of 100</th><th class="num">Promised</th><th class="num">Missed</th></tr></thead>
  <tbody>${canary.legs.map((leg) => html`<tr key=${leg.name}><td><strong>${leg.name}</strong></td><td><${Tag} kind=${LEGS[leg.state]}>${leg.state}</${Tag}></td><td class="num" data-label="last">${ms(leg.last_ms)}</td><td class="num" data-label="half within">${ms(leg.p50_ms)}</td><td class="num" data-label="95 of 100">${ms(leg.p95_ms)}</td><td class="num" data-label="99 of 100">${ms(leg.p99_ms)}</td><td class="num" data-label="promised">${ms(leg.promised_ms)} <span class="faint small">for ${Math.round(leg.quantile * 100)} of 100</span></td><td class="num" data-label="missed">${count(leg.misses)} <span class="faint small">of ${count(leg.runs)}</span></td></tr>`)}</tbody></table></div></${Card}>`;

function Twig({ node, depth }) {
  const waits = [node.waiting, node.crash && html`<span class="bad">${node.crash}</span> <span class="faint">${ago(node.crashed)}</span>`].filter(Boolean);
  return html`<div class="twig"><span class="depth-${depth}">${node.name}</span><span><${Tag} kind=${STATES[node.state]}>${node.state}</${Tag}></span><span class="since soft small">${ago(node.since).replace(" ago", "")}</span><span class="restarts soft small ${node.restarts ? "some" : ""}">${count(node.restarts)}</span><span class="crash small soft wrap">${waits.length ? waits : ""}</span></div>
    ${(node.children || []).map((child) => html`<${Twig} key=${child.name} node=${child} depth=${Math.min(3, depth + 1)} />`)}`;
}

function Config() {
  const data = useData("/api/v1/config", { every: 30 });
  const [wanted, setWanted] = useState(""), [all, setAll] = useState(false);
  return html`<${Loaded} data=${data} what="The configuration">${({ file, keys }) => {
    const changed = keys.filter((row) => row.origin !== "default");
    const shown = (all || wanted ? keys : changed).filter((row) => `${row.key} ${row.meaning} ${row.origin}`.toLowerCase().includes(wanted.toLowerCase()));
    return html`<div class="row spread"><input type="search" placeholder="key or meaning" aria-label="search keys" value=${wanted} onInput=${(event) => setWanted(event.target.value)} /><label class="check"><input type="checkbox" checked=${all} onChange=${(event) => setAll(event.target.checked)} /> also what is at its default (${count(keys.length - changed.length)})</label></div>
      <p class="soft small">${file ? html`From <code>${file}</code>, the environment and the command line.` : "There is no configuration file: defaults, the environment and the command line."} Secrets are never shown. Save the file and <code>systemctl reload appliance</code> applies what is marked live.</p>
      ${shown.length === 0 ? html`<${Card}><${Empty} title=${wanted ? "No key matches" : "Everything is at its default"}><p>This prints a file with every key and its meaning:</p><${Line}>${"appliance config default > appliance.toml"}</${Line}></${Empty}></${Card}>`
    : html`<${Card} flush><div class="scroll"><table class="folds" id="config"><thead><tr><th>Key</th><th>Value</th><th>From</th><th>Meaning</th></tr></thead><tbody>${shown.map((row) => html`<tr key=${row.key}><td><code>${row.key}</code></td><td class="wide wrap"><code>${row.value}</code>${row.default && row.default !== row.value && html`<div class="faint small">default <code>${row.default}</code></div>`}</td><td class="small"><${Tag} kind=${row.origin === "default" ? "" : "accent"}>${row.origin}</${Tag}></td><td class="wide small soft">${row.meaning}${row.reloadable && html` <${Tag}>live</${Tag}>`}</td></tr>`)}</tbody></table></div></${Card}>`}`;
  }}</${Loaded}>`;
}

const BACKUPS = "/api/v1/backups";
function Backups() {
  const data = useData(BACKUPS, { every: 20 });
  const now = () => act(async () => { await api.post(BACKUPS); refresh(BACKUPS); }, "Made and proven");
  const verify = (one) => act(async () => { await api.post(`${BACKUPS}/${encodeURIComponent(one.name)}/verify`); refresh(BACKUPS); }, `${one.name} was opened and checked whole`);
  return html`<${Loaded} data=${data} what="The list of backups">${(value) => html`
    <div class="row spread"><p class="soft">${value.every_s ? `One every ${duration(value.every_s)}, the newest ${count(value.keep)} are kept` : "Only when asked for"}, in <code class="wrap">${value.folder}</code>. Each is opened, checked and counted when it is made.</p><${Act} class="main-act" do=${now}>Make one now</${Act}></div>
    ${value.backups.length === 0 ? html`<${Card}><${Empty} icon="system" title="No backup yet"><p>The first is made a minute after the start, or now.</p></${Empty}></${Card}>`
    : html`<${Card} flush><div class="scroll"><table class="folds" id="backups"><thead><tr><th>Backup</th><th>Proven</th><th class="num">Events</th><th class="num">Size</th><th>Why</th><th><span class="hush">what to do</span></th></tr></thead><tbody>${value.backups.map((one) => html`<tr key=${one.name}><td><code class="wrap">${one.name}</code><div class="faint small">${moment(one.created)}</div></td><td>${one.problem ? html`<${Tag} kind="bad">${one.problem}</${Tag}>` : html`<${Tag} kind="good">${ago(one.proven)}</${Tag}>`}</td><td class="num" data-label="events">${count(one.events)}</td><td class="num" data-label="size">${bytes(one.size)}</td><td class="soft small">${one.reason}</td><td><div class="actions"><${Act} class="mini" do=${() => verify(one)}>Verify</${Act}></div></td></tr>`)}</tbody></table></div></${Card}>`}
    <${Card} title="Restore"><div class="stack tight"><p class="soft">A running appliance does not replace its own log. Stop it, then, where it runs; the backup is verified first, counts are shown before and after, and what is there now is put aside:</p><${Line}>${`appliance restore ${value.backups.find((one) => !one.problem)?.name || "BACKUP"}`}</${Line}></div></${Card}>`}</${Loaded}>`;
}
