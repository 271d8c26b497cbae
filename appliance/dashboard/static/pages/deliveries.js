// Deliveries: which systems are told of events, what became of each, and the shelf of what failed for good.
import { ago, amount, count, duration, short } from "../format.js";
import { html, useState } from "../html.js";
import { act, api, refresh, toast, useData } from "../state.js";
import { Act, Card, Dialog, Empty, Head, Line, Loaded, Tag, Trouble } from "../ui.js";
import { Endpoint } from "./endpoint.js";

const HOOKS = "/api/v1/webhooks", SHELF = "/api/v1/dead-letters";
const FORMATS = ["envelope", "seed", "standard", "cloudevents", "cloudevents-binary"];

export function health(one) {
  if (!one.is_active) return ["bad", one.reason || "paused"];
  if (one.circuit === "open") return ["bad", "not answering"];
  if (one.circuit === "half_open") return ["warn", "being tried"];
  return one.failure_count > 0 ? ["warn", `${amount(one.failure_count, "failure")} in a row`] : ["good", "active"];
}

export function Deliveries({ path: [opened], go }) {
  const hooks = useData(HOOKS, { every: 5 }), shelf = useData(`${SHELF}?limit=100`, { every: 10 });
  const [adding, setAdding] = useState(false);
  return html`<${Head} title="Deliveries" about="Systems that are told of events, and what could not be told"><button type="button" class="main-act" onClick=${() => setAdding(true)}>Add a webhook</button></${Head}>
    <div class="stack">
      <${Loaded} data=${hooks} what="The list of webhooks">${(all) => (all.length === 0
    ? html`<${Card}><${Empty} icon="deliveries" title="No webhooks yet"><p>A webhook is a URL that is told of events by a signed HTTP POST, each at least once. While it is down nothing is lost.</p><button type="button" onClick=${() => setAdding(true)}>Add the first one</button></${Empty}></${Card}>`
    : html`<${Card} flush><div class="scroll"><table class="folds"><thead><tr><th>Webhook</th><th>State</th><th>Events</th><th class="num">Waiting</th><th>Last success</th><th><span class="hush">what to do</span></th></tr></thead>
        <tbody>${all.map((one) => html`<${Row} key=${one.id} one=${one} open=${() => go(`/dashboard/deliveries/${one.id}`)} />`)}</tbody></table></div></${Card}>`)}</${Loaded}>
      <${Shelf} data=${shelf} hooks=${hooks.value || []} />
    </div>
    ${opened && html`<${Endpoint} id=${opened} one=${hooks.value?.find((hook) => hook.id === opened)} missing=${hooks.value && !hooks.value.some((hook) => hook.id === opened)} close=${() => go("/dashboard/deliveries")} />`}
    ${adding && html`<${Add} close=${() => setAdding(false)} />`}`;
}

export const switchHook = (one) => act(async () => { await api.post(`${HOOKS}/${one.id}/${one.is_active ? "pause" : "resume"}`); refresh(HOOKS); }, one.is_active ? "Paused: what happens meanwhile is sent when it is resumed" : "It goes on where it stopped");
export const testHook = (one) => act(async () => {
  const row = await api.post(`${HOOKS}/${one.id}/test`);
  const what = `${row.status_code || row.error_class} in ${duration(row.duration_ms / 1000)}`;
  toast(row.success ? `It arrived: ${what}` : `It did not arrive: ${what}`, { kind: row.success ? "good" : "bad", hint: row.success ? "" : row.response_body || "the attempt is in the list, with its request" });
  refresh(HOOKS);
});

function Row({ one, open }) {
  const [kind, words] = health(one);
  return html`<tr class="link" onClick=${open}><td><a href=${`/dashboard/deliveries/${one.id}`}><strong>${one.name || new URL(one.url).host}</strong></a><div class="faint small mono wrap">${one.url}</div></td>
    <td><${Tag} kind=${kind}>${words}</${Tag}></td><td class="wide small">${one.events.join(", ") || "everything"}</td><td class="num" data-label="waiting">${count(one.waiting)}</td><td class="soft small nowrap" data-label="last success">${ago(one.last_triggered_at)}</td>
    <td><div class="actions"><${Act} class="mini" do=${() => testHook(one)}>Test</${Act}><${Act} class="mini" do=${() => switchHook(one)}>${one.is_active ? "Pause" : "Resume"}</${Act}></div></td></tr>`;
}

function Shelf({ data, hooks }) {
  const called = (letter) => hooks.find((one) => one.id === letter.source)?.name || hooks.find((one) => one.id === letter.source)?.url || letter.source;
  const after = (words) => (answer) => { refresh(SHELF, HOOKS); return words(answer); };
  const retry = (body) => act(() => api.post(`${SHELF}/retry`, body), after((done) => `${amount(done.retried, "letter")} tried again${done.left ? `; ${count(done.left)} cannot be: the event is not kept any more` : ""}`));
  const drop = (body) => act(() => api.post(`${SHELF}/drop`, body), after((done) => `${amount(done.dropped, "letter")} dropped`));
  return html`<${Loaded} data=${data} what="The shelf of dead letters">${({ dead_letters: letters, total }) => html`<${Card} flush title=${`Shelf (${count(total)})`} more=${total > 0 && html`<div class="actions"><${Act} class="mini" do=${() => retry({ all: true })}>Retry all</${Act}><${Act} class="mini danger" sure="drop all?" do=${() => drop({ all: true })}>Drop all</${Act}></div>`}>
    ${total === 0 ? html`<${Empty} icon="well" title="Nothing waits for a person"><p>What failed for good, of webhooks, jobs and plugins, is kept here until you try it again or drop it.</p></${Empty}>`
    : html`<div class="scroll"><table class="folds" id="shelf"><thead><tr><th>What</th><th>For</th><th>Why</th><th class="num">Tries</th><th>When</th><th><span class="hush">what to do</span></th></tr></thead>
      <tbody>${letters.map((one) => html`<tr key=${one.id}><td><strong>${one.event_type}</strong> ${one.event_id && html`<a class="mono faint" href=${`/dashboard/events/${one.event_id}`}>${short(one.event_id)}</a>`}</td><td class="wrap"><${Tag}>${one.kind}</${Tag}> ${called(one)}</td>
        <td class="wide small"><span class="bad">${[one.reason, one.status_code].filter(Boolean).join(" ")}</span>${one.detail && html`<details><summary class="soft">details</summary><pre class="code">${one.detail}</pre></details>`}</td><td class="num" data-label="tries">${count(one.attempts)}</td><td class="soft small nowrap" data-label="when">${ago(one.failed_at)}</td>
        <td><div class="actions"><${Act} class="mini" do=${() => retry({ ids: [one.id] })}>Retry</${Act}><${Act} class="mini danger" sure="drop it?" do=${() => drop({ ids: [one.id] })}>Drop</${Act}></div></td></tr>`)}</tbody></table></div>`}</${Card}>`}</${Loaded}>`;
}

function Add({ close }) {
  const [made, setMade] = useState(null), [error, setError] = useState(null), [busy, setBusy] = useState(false);
  const submit = async (event) => {
    event.preventDefault();
    const form = new FormData(event.target), events = form.get("events").split(/[\s,]+/).filter(Boolean);
    setBusy(true);
    try { setMade(await api.post(HOOKS, { url: form.get("url"), name: form.get("name"), format: form.get("format"), events, ordered: form.has("ordered") })); refresh(HOOKS); } catch (refused) { setError(refused); }
    setBusy(false);
  };
  if (made) return html`<${Dialog} title="It is told from now on" close=${close}><p>Requests are signed with this secret. It is shown this once:</p><${Line} id="secret">${made.secret}</${Line}><div class="actions"><a class="button" href=${`/dashboard/deliveries/${made.id}`} onClick=${close}>How to verify a request</a><button type="button" class="main-act" onClick=${close}>I have it</button></div></${Dialog}>`;
  return html`<${Dialog} title="Add a webhook" close=${close}><form class="stack tight" onSubmit=${submit} autocomplete="off">
    <label class="field"><span>URL</span><input name="url" type="url" required placeholder="https://example.org/hook" autofocus /></label><label class="field"><span>Name, for people</span><input name="name" maxlength="200" /></label>
    <label class="field"><span>Events: types or the front of their names; empty: everything</span><input name="events" placeholder="order, NoteUpdated" spellcheck="false" /></label>
    <div class="pair"><label class="field"><span>Form of the body</span><select name="format">${FORMATS.map((one) => html`<option>${one}</option>`)}</select></label></div>
    <label class="check"><input type="checkbox" name="ordered" /> The events of a stream one after the other</label>
    ${error && html`<${Trouble} error=${error} />`}<div><button class="main-act" disabled=${busy}>Add it</button></div></form></${Dialog}>`;
}
