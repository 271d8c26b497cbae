// One webhook: what was sent to it and what it said, its secret, and how its receiver verifies a request.
import { ago, clock, count, duration, short } from "../format.js";
import { html, useEffect, useState } from "../html.js";
import { act, api, refresh, useData } from "../state.js";
import { Act, Code, Dialog, Drawer, Empty, Facts, Line, Loaded, Section, Tag, Trouble, copyText } from "../ui.js";
import { health, switchHook, testHook } from "./deliveries.js";

const HOOKS = "/api/v1/webhooks";
const KINDS = { succeeded: "good", failed: "bad", retrying: "warn", pending: "" };

export function Endpoint({ id, one, missing, close }) {
  const sent = useData(`${HOOKS}/${id}/deliveries?limit=50`, { every: 4 });
  const [secret, setSecret] = useState("");
  const rotate = () => act(async () => setSecret((await api.post(`${HOOKS}/${id}/rotate`, {})).secret));
  const remove = () => act(async () => { await api.delete(`${HOOKS}/${id}`); refresh(HOOKS); close(); }, "The webhook is gone, and what was known of its deliveries");
  if (missing) return html`<${Drawer} title="Webhook" about=${id} close=${close}><${Empty} title="There is no such webhook"><p>It may have been removed.</p></${Empty}></${Drawer}>`;
  if (!one) return null;
  const [kind, words] = health(one);
  return html`<${Drawer} title=${one.name || "Webhook"} about=${one.url} close=${close}>
    <div class="row spread"><${Tag} kind=${kind}>${words}</${Tag}><div class="actions"><${Act} do=${() => testHook(one)}>Send a test</${Act}><${Act} do=${() => switchHook(one)}>${one.is_active ? "Pause" : "Resume"}</${Act}></div></div>
    <${Section} title="Attempts"><${Loaded} data=${sent} what="The list of deliveries">${(all) => (all.length === 0 ? html`<p class="soft small">Nothing was sent yet.</p>` : html`<${Figures} all=${all} /><div class="stack tight" id="attempts">${all.map((row) => html`<${Attempt} key=${row.id} hook=${id} row=${row} />`)}</div>`)}</${Loaded}></${Section}>
    <${Section} title="Facts"><${Facts} rows=${[["told of", one.events.join(", ") || "everything"], ["condition", one.condition], ["form", one.format], ["come to", `#${count(one.position)} of the log`], ["at once", count(one.concurrency)], ["a minute", one.rate ? count(one.rate) : ""], ["order", one.ordered ? "one after the other within a stream" : ""], ["memories", one.memories?.join(", ")], ["last success", ago(one.last_triggered_at)], ["id", html`<code>${one.id}</code>`]]} /></${Section}>
    <${Section} title="Verify a request"><${Snippets} /></${Section}>
    <${Section} title="Its secret"><p class="soft small">A new one signs beside the old one for a day, so that the receiver has time to change.</p><div class="actions"><${Act} sure="make a new one?" do=${rotate}>Rotate</${Act}></div></${Section}>
    <${Section} title="End it"><div class="actions"><${Act} class="danger" sure="remove it for good?" do=${remove}>Remove this webhook</${Act}></div></${Section}>
    ${secret && html`<${Dialog} title="The new secret" close=${() => setSecret("")}><p>It is shown this once. Requests are signed with both for a day.</p><${Line} id="secret">${secret}</${Line}></${Dialog}>`}
  </${Drawer}>`;
}

function Figures({ all }) {
  const ended = all.filter((row) => row.state === "succeeded" || row.state === "failed");
  const times = ended.filter((row) => row.success).map((row) => row.duration_ms).sort((a, b) => a - b);
  if (!ended.length) return null;
  const share = (100 * times.length) / ended.length;
  return html`<p class="soft small">Of the last ${count(ended.length)}: ${Math.round(share * 10) / 10} % arrived${times.length ? `, 95 of 100 within ${duration(times[Math.min(times.length - 1, Math.floor(times.length * 0.95))] / 1000)}` : ""}.</p>`;
}

function Attempt({ hook, row }) {
  const [open, setOpen] = useState(false);
  const whole = useData(open ? `${HOOKS}/${hook}/deliveries/${row.id}` : null, { every: 30 });
  const again = () => act(async () => { await api.post(`${HOOKS}/${hook}/redeliver`, { delivery: row.id }); refresh(HOOKS); }, "It is sent again");
  const when = row.next_attempt_at && !["succeeded", "failed"].includes(row.state) ? `next try ${ago(row.next_attempt_at)}` : "";
  return html`<details onToggle=${(event) => setOpen(event.target.open)}><summary><span class="row"><${Tag} kind=${KINDS[row.state]}>${row.status_code || row.error_class || row.state}</${Tag}><strong>${row.event_type}</strong><span class="faint small">${row.delivered_at ? clock(row.delivered_at) : ""} · ${duration(row.duration_ms / 1000)}${row.attempt > 1 ? ` · try ${row.attempt}` : ""}${when ? ` · ${when}` : ""}</span></span></summary>
    <div class="stack tight inset"><${Loaded} data=${whole} what="This delivery">${(one) => html`
      ${one.request && html`<p class="soft small">Request</p><${Code}>${`${one.request.method} ${one.request.url}\n${Object.entries(one.request.headers).map(([name, value]) => `${name}: ${value}`).join("\n")}\n\n${one.request.body}`}</${Code}>`}
      <p class="soft small">Answer</p>${one.response_body || one.status_code ? html`<${Code}>${[one.status_code, one.response_body].filter(Boolean).join("\n")}</${Code}>` : html`<p>${one.error_class ? `None: ${one.error_class}.` : "None yet."}</p>`}
      <div class="row">${one.event_id && html`<${Act} class="mini" do=${again}>Send again</${Act}><a href=${`/dashboard/events/${one.event_id}`}>the event ${short(one.event_id)}</a>`}</div>`}</${Loaded}></div></details>`;
}

function Snippets() {
  const [all, setAll] = useState(null), [language, choose] = useState("python"), [error, setError] = useState(null);
  useEffect(() => { fetch(new URL("../snippets.json", import.meta.url)).then((answer) => answer.json()).then(setAll).catch(() => setError({ message: "the programs could not be fetched", hint: "load the page again" })); }, []);
  if (error) return html`<${Trouble} error=${error} />`;
  if (!all) return null;
  return html`<div class="stack tight"><div class="row spread"><label class="row"><span class="soft small">language</span><select value=${language} onChange=${(event) => choose(event.target.value)}>${Object.keys(all).map((one) => html`<option>${one}</option>`)}</select></label><button type="button" class="mini" onClick=${() => copyText(all[language])}>copy</button></div><${Code}>${all[language]}</${Code}></div>`;
}
