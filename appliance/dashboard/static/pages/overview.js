// Overview: is it well? Every number leads to what is behind it.
import { quantile, total } from "../client.js";
import { ago, amount, bytes, count, duration } from "../format.js";
import { Chart } from "../chart.js";
import { html, useMemo, useState } from "../html.js";
import { api, history, queue, session, useCell, useData } from "../state.js";
import { Card, Dot, Head, Tag, Trouble } from "../ui.js";
import { FirstRun, nothingYet } from "./firstrun.js";
import { Needs, canaryState, whatNeedsYou } from "./needs.js";

const EMIT_PROMISE = 0.01, DELIVERY_PROMISE = 0.5; // seconds: p99 and p95
const WORDS = { well: ["good", "All is well"], degraded: ["warn", "Something is set aside"], starting: ["warn", "It is starting"], stopping: ["bad", "It is stopping"] };

export function Overview({ go }) {
  const [visit, choose] = useState(() => recall());
  const space = session.visit?.namespace || "default";
  const categories = useData("/api/v1/name", { every: 60 }) && useCategories();
  const first = visit !== "done" && categories && (visit === "begun" || nothingYet(categories));
  if (categories === undefined) return html`<${Head} title="Overview" about="Is it well?" /><div class="bones"></div>`;
  if (first) return html`<${FirstRun} begin=${() => { remember("begun"); }} done=${() => { remember("done"); choose("done"); }} go=${go} />`;
  return html`<${Well} space=${space} />`;
}

const KEY = "appliance.first-run";
function recall() { try { return sessionStorage.getItem(KEY) || ""; } catch { return ""; } }
function remember(state) { try { sessionStorage.setItem(KEY, state); } catch { /* it is asked again, then */ } }

/** The categories of the log; null: we may not know them. */
function useCategories() {
  const [known, set] = useState(undefined);
  useMemo(() => { api.rpc("ns.categories").then((rows) => set(rows.map((row) => row.category)), () => set(null)); }, []);
  return known;
}

function Well({ space }) {
  const status = useData("/status", { every: 5 }), clients = useData("/api/v1/clients", { every: 5 }), backups = useData("/api/v1/backups", { every: 60 });
  const hooks = useData("/api/v1/webhooks", { every: 10 }), shelf = useData("/api/v1/dead-letters?limit=100", { every: 15 }), canary = useData("/api/v1/canary", { every: 15 }), jobs = useData("/api/v1/jobs/stats", { every: 10 });
  const info = useInfo(space), past = useCell(history), now = useCell(queue);
  const rates = useMemo(() => past.slice(1).map((one, n) => [one.at, Math.max(0, (total(one.metrics, "appliance_log_events_total") - total(past[n].metrics, "appliance_log_events_total")) / (one.at - past[n].at))]).filter(([, rate]) => Number.isFinite(rate)), [past]);
  const latest = past.at(-1)?.metrics, oldest = past.length > 15 ? past.at(-16).metrics : null; // of the last half minute, else since the start
  const emit = recent(0.99, latest, oldest, "event_emit_latency_seconds"), delivery = recent(0.95, latest, oldest, "event_delivery_latency_seconds");
  const needs = whatNeedsYou({ status: status.value, hooks: hooks.value, shelf: shelf.value, canary: canary.value, backups: backups.value, jobs: jobs.value });
  const [kind, words] = WORDS[status.value?.state] || ["", status.error ? "You see a part of it" : "Looking"];
  const lagging = clients.value?.clients.filter((one) => one.lag > 0).length || 0;
  const proven = backups.value?.backups.find((one) => one.proven && !one.problem);
  const rate = rates.at(-1)?.[1];
  return html`<${Head} title="Overview" about="Is it well?" />
    <div class="stack">
      <${Card}><div class="hero" id="hero"><${Dot} kind=${needs.some((one) => one.kind === "bad") ? "bad" : needs.length ? "warn" : kind} /><h2>${status.value?.state === "well" && needs.length ? "Running, and it needs you" : words}</h2>
        ${status.value && html`<span class="push">up ${duration(status.value.uptime_s)} · version ${status.value.version}${status.value.test_mode ? " · test mode" : ""}</span>`}</div></${Card}>
      ${status.error && html`<${Trouble} error=${status.error} what="The status" />`}
      <div class="over">
        <${Card} title="Events per second" more=${html`<a href="/dashboard/events" class="small">${count(rate ?? 0)} now</a>`}><${Chart} points=${rates} label="events per second" unit="a second" /></${Card}>
        <${Card} title="Needs you">${needs.length === 0 ? html`<p class="soft"><span class="good" aria-hidden="true">✓</span> Nothing. No dead letters, no silent receivers, no parked plugins.</p>` : html`<${Needs} all=${needs} />`}</${Card}>
      </div>
      <div class="tiles" id="tiles">
        <${Tile} href="/dashboard/events" label="Events stored" value=${info ? count(info.messageCount) : "–"} more=${info ? amount(info.streamCount, "stream") : ""} />
        <${Tile} href="/dashboard/clients" label="Clients" value=${clients.value ? count(clients.value.clients.length) : "–"} more=${clients.value ? `${count(lagging)} behind` : ""} warn=${lagging > 0} />
        <${Tile} href="/dashboard/jobs" label="Jobs in the queue" value=${now ? count(now.total_jobs) : "–"} more=${now ? `${count(now.running)} running` : ""} />
        <${Tile} href="/metrics" label="Accepting, 99 of 100" value=${duration(emit)} more=${emit == null ? "nothing measured" : "of 10 ms promised"} warn=${emit > EMIT_PROMISE} />
        <${Tile} href="/metrics" label="Delivering, 95 of 100" value=${duration(delivery)} more=${delivery == null ? "nothing measured" : "of 500 ms promised"} warn=${delivery > DELIVERY_PROMISE} />
        <${Canary} data=${canary} />
        <${Tile} href="/dashboard/deliveries" label="Webhooks" value=${hooks.value ? count(hooks.value.filter((one) => one.is_active).length) : "–"} more=${hooks.value ? `${count(hooks.value.length)} in all` : ""} />
        <${Tile} href="/dashboard/system/backups" label="Last proven backup" value=${backups.value ? (proven ? ago(proven.proven) : "none yet") : "–"} more=${proven ? `${amount(proven.events, "event")}, ${bytes(proven.size)}` : backups.value?.every_s ? "the first comes by itself" : ""} />
      </div>
    </div>`;
}

const Tile = ({ href, label, value, more, warn }) => html`<a class="card tile" href=${href} target=${href.startsWith("/dashboard") ? undefined : "_blank"}><span class="label">${label}</span><span class="value ${warn ? "warn" : ""}">${value}</span><span class="more">${more}</span></a>`;

function Canary({ data }) {
  const state = data.error?.missing ? { kind: "", value: "–", more: "not on this version" } : data.value ? canaryState(data.value) : { kind: "", value: "–", more: "" };
  return html`<${Tile} href="/dashboard/system" label="Canary" value=${state.value} more=${state.more} warn=${state.kind === "bad"} />`;
}

const recent = (q, latest, before, name) => quantile(q, latest, before, name) ?? quantile(q, latest, null, name);

function useInfo(space) {
  const [info, set] = useState(null);
  const beat = Math.floor(useCell(history).length ? Date.now() / 10_000 : 0);
  useMemo(() => { api.rpc("ns.info", space).then(set, () => null); }, [beat]);
  return info;
}
