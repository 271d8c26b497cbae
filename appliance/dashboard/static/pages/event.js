// One event: what it says, where it went, and why not elsewhere.
import { amount, clock, count, duration, exactly } from "../format.js";
import { html } from "../html.js";
import { useData } from "../state.js";
import { Code, Drawer, Facts, Line, Section, Trouble } from "../ui.js";

const SIGNS = { done: ["✓", "good"], waiting: ["…", "warn"], failed: ["✗", "bad"], skipped: ["–", "faint"] };
const KINDS = { client: "/dashboard/clients", webhook: "/dashboard/deliveries", job: "/dashboard/jobs", plugin: "/dashboard/plugins" };
const RELATION = { cause: "because of", effect: "led to", related: "belongs with" };

export function EventDrawer({ id, row, close, go }) {
  const path = `/api/v1/events/${encodeURIComponent(id)}`;
  const why = useData(`${path}/why`, { every: 5 });
  const trace = useData(why.error?.missing ? `${path}/trace` : null, { every: 5 });
  const envelope = useData(row?.text ? null : path, { every: 3600 });
  const known = why.value || trace.value;
  const error = (why.error?.missing ? trace.error : why.error) || null;
  const data = row?.text ? exactly(row.text).data : envelope.value && Object.fromEntries(Object.entries(envelope.value.payload).filter(([name]) => name !== "type"));
  const type = known?.type || row?.type || envelope.value?.type || "Event";
  const stream = known?.stream || row?.stream;
  const legs = known?.legs || known?.clients?.map((one) => ({ kind: "client", name: one.subject || one.address, outcome: one.sent ? "done" : "waiting", detail: `${one.transport}, ${one.topics.join(", ")}`, id: one.id })) || [];
  return html`<${Drawer} title=${type} about=${stream && `${stream} @ ${known?.position ?? row?.position}`} close=${close}>
    ${error && !known && html`<${Trouble} error=${error} what="The way of an event" />`}
    <${Section} title="Data"><${Code}>${data === undefined ? "…" : JSON.stringify(data, null, 2)}</${Code}></${Section}>
    ${known && html`<${Section} title="Where it went">
      <div class="way"><span>accepted ${clock(known.accepted_at)}</span><i>→</i><span>log <b>#${count(known.seq)}</b></span>${known.bus_ms != null && html`<i>→</i><span>live <span class="soft">${duration(known.bus_ms / 1000)}</span></span>`}${legs.length > 0 && html`<i>→</i><span>${legs.filter((leg) => leg.outcome === "done").length} of ${amount(legs.length, "place")}</span>`}</div>
      ${legs.length === 0 ? html`<p class="soft small">Nobody follows it now. Whoever comes later can still read it: it is in the log.</p>` : html`<ul class="legs" id="legs">${legs.map((leg) => html`<${Leg} leg=${leg} />`)}</ul>`}
    </${Section}>
    ${known.chain.length > 0 && html`<${Section} title="What it belongs to"><ul class="legs">${known.chain.map((link) => html`<li class="leg"><span aria-hidden="true">${link.relation === "cause" ? "←" : link.relation === "effect" ? "→" : "·"}</span><span><a href=${`/dashboard/events/${link.event_id}${location.search}`}>${link.type}</a> <span class="soft">${link.stream}</span></span><span class="faint small">${RELATION[link.relation]}</span></li>`)}</ul></${Section}>`}
    <${Section} title="Facts"><${Facts} rows=${[
      ["accepted", known.accepted_at], ["by", [known.actor?.kind, known.actor?.name || known.actor?.id].filter(Boolean).join(" ")], ["type", known.event_type],
      ["stream", html`<a href=${`/dashboard/events?filter=${encodeURIComponent(known.stream)}`}>${known.stream}</a> @ ${known.position}`], ["memory", known.memory], ["correlation", known.correlation_id], ["caused by", known.causation_id],
    ]} /></${Section}>`}
    <${Section} title="The same in a terminal"><div class="stack tight"><${Line}>${`appliance event ${why.error?.missing ? "trace" : "why"} ${id}`}</${Line}></div></${Section}>
  </${Drawer}>`;
}

function Leg({ leg }) {
  const [sign, kind] = SIGNS[leg.outcome] || SIGNS.waiting;
  const time = leg.after_ms == null ? "" : duration(leg.after_ms / 1000);
  return html`<li class="leg"><span class=${kind} aria-label=${leg.outcome}>${sign}</span><span><span class="soft">${leg.kind}</span> <a href=${KINDS[leg.kind] || "#"}>${leg.name || leg.id}</a></span><span class="faint small nowrap">${time}</span>${leg.detail && html`<span class="detail">${leg.detail}</span>`}</li>`;
}
