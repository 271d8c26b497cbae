// The first visit: name it, be its admin, send the first event and see it come back. Or bring back what there was.
import { Feed } from "../feed.js";
import { clock, duration, exactly, moment, sentence } from "../format.js";
import { html, useEffect, useMemo, useRef, useState } from "../html.js";
import { act, api, leave, newest, refresh, session, useData } from "../state.js";
import { Act, Card, Head, Line, Trouble } from "../ui.js";
import { Publish } from "../publish.js";
import { Needs, whatNeedsYou } from "./needs.js";

const BY_ITSELF = new Set(["host", "canary"]); // categories that fill without anybody's doing

/** Whether nobody has used this log yet. */
export const nothingYet = (categories) => categories.every((one) => BY_ITSELF.has(one));

export function FirstRun({ begin, done, go }) {
  const name = useData("/api/v1/name", { every: 60 });
  const [arrived, setArrived] = useState(null);
  const over = () => { done(); refresh("/"); };
  const needs = whatNeedsYou({ status: useData("/status", { every: 5 }).value });
  return html`<${Head} title="Welcome" about="Three steps, a minute in all"><button type="button" onClick=${over}>${arrived ? "To the overview" : "Skip this"}</button></${Head}>
    <div class="steps">
      ${needs.length > 0 && html`<${Card} title="Needs you"><${Needs} all=${needs} /></${Card}>`}
      <${Name} data=${name} />
      <${Card} class="step done"><div><h2>You are its admin</h2><p>${session.visit?.name ? html`As <b>${session.visit.name}</b>${session.visit.expires ? html`, until ${moment(session.visit.expires)}` : ""}. ` : "The link was all it took. "}<span class="soft">${session.visit?.kept ? "This device keeps the token." : "Only this tab holds the token, and forgets it when it is closed."} <a href="/dashboard/system/access">Access</a> lists it with all others.</span></p>
        ${session.visit?.id && html`<div><${Act} class="mini" id="end" sure="end it?" do=${leave}>End this access</${Act}></div>`}</div></${Card}>
      <${First} begin=${begin} arrived=${arrived} setArrived=${setArrived} />
      ${arrived && html`<div class="row"><button type="button" class="main-act" id="onward" onClick=${over}>To the overview</button><button type="button" onClick=${() => { done(); go(`/dashboard/events/${arrived}`); }}>See where it went</button></div>`}
      <${Card} title="Or bring back what there was"><div class="stack tight"><p class="soft">A backup is checked whole before anything is touched, and what is there now is put aside. Stop the appliance, then, where it runs:</p><${Line}>appliance restore BACKUP</${Line}><p class="soft small"><code>appliance backup list</code> names those it has. Restored events carry their old numbers, so clients go on where they were.</p></div></${Card}>
    </div>`;
}

function Name({ data }) {
  const [typed, setTyped] = useState(null), known = data.value;
  const save = (event) => { event.preventDefault(); act(async () => { await api.put("/api/v1/name", { name: typed ?? known.name }); await data.again(); setTyped(null); }, "That is its name now"); };
  const named = known && known.origin !== "default";
  return html`<${Card} class=${`step ${named ? "done" : ""}`}><div><h2>${named ? html`It is called <span id="called">${known.name}</span>` : "Name it"}</h2>
    ${data.error && html`<${Trouble} error=${data.error} what="A name given here" />`}
    ${known && (known.changeable ? html`<form class="row" onSubmit=${save}><input id="name" aria-label="its name" value=${typed ?? known.name} onInput=${(event) => setTyped(event.target.value)} maxlength="63" required spellcheck="false" /><button class=${named ? "" : "main-act"}>${named ? "Rename" : "Name it"}</button></form><p class="soft small">Clients and this page show it. <code>name</code> in the configuration, if set, wins.</p>`
    : html`<p class="soft">${sentence(`that stands in ${known.origin}`)} Change it there.</p>`)}</div></${Card}>`;
}

function First({ begin, arrived, setArrived }) {
  const [, redraw] = useState(0);
  const ours = useRef(new Map()); // id → when it was sent
  const [told, tell] = useState("");
  const feed = useMemo(() => new Feed(api, { newest, state: () => {}, draw: () => {
    for (const row of feed.rows) {
      const sent = ours.current.get(row.id);
      if (!sent) continue;
      ours.current.set(row.id, 0);
      tell(`It is back here, live: number ${row.seq} of the log, ${duration((performance.now() - sent) / 1000)} after you asked.`);
      setArrived(row.id);
    }
    redraw((n) => n + 1);
  } }), []);
  useEffect(() => { feed.choose("", "last"); feed.open(); return () => feed.close(); }, []);
  const shown = feed.rows.filter((row) => row.text && (ours.current.has(row.id) || !BY_ITSELF.has(row.stream.split("-", 1)[0]))).slice(-5).reverse();
  return html`<${Card} class=${`step ${arrived ? "done" : ""}`}><div><h2>Send the first event</h2>
    <${Publish} sending=${(id) => { begin(); ours.current.set(id, performance.now()); }}>
    ${told && html`<p class="note good" id="told" role="status">${told}</p>`}
    ${shown.length > 0 && html`<ul class="arrivals" id="events" aria-label="events, newest first">${shown.map((row) => html`<li key=${row.seq} class=${ours.current.has(row.id) ? "mine" : ""}><b>${row.type}</b><span class="at">${row.stream} @ ${row.position} · ${clock(row.time)}</span><code>${JSON.stringify(exactly(row.text).data)}</code></li>`)}</ul>`}</${Publish}></div></${Card}>`;
}
