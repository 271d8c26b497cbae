// Access: every token, key and link by which somebody comes in.
import { ago, moment } from "../format.js";
import { html, useState } from "../html.js";
import { act, api, refresh, session, useData } from "../state.js";
import { Act, Card, Dialog, Line, Loaded, Tag, Trouble } from "../ui.js";

const TOKENS = "/api/v1/tokens";
const SCOPES = [["read", "see events"], ["write", "write events"], ["delete", "delete"], ["admin", "everything, also make and end tokens"], ["mcp", "the tools for agents"]];
const LIVES = [["", "until it is revoked"], ["86400", "a day"], ["2592000", "30 days"], ["31536000", "a year"]];

function stateOf(one) {
  if (one.revoked) return ["", "revoked"];
  return one.expires && Date.parse(one.expires) < Date.now() ? ["", "expired"] : ["good", "valid"];
}

export function Access() {
  const data = useData(TOKENS, { every: 15 });
  const [dialog, show] = useState(""), [all, setAll] = useState(false);
  const revoke = (one) => act(async () => { await api.delete(`${TOKENS}/${encodeURIComponent(one.id)}`); refresh(TOKENS); }, "Revoked: it opens nothing any more");
  return html`<${Loaded} data=${data} what="The list of tokens">${(rows) => {
    const shown = rows.filter((one) => all || stateOf(one)[1] === "valid");
    return html`<div class="row spread"><label class="check"><input type="checkbox" checked=${all} onChange=${(event) => setAll(event.target.checked)} /> also those that have ended</label><div class="actions"><button type="button" onClick=${() => show("link")}>One-time link</button><button type="button" class="main-act" onClick=${() => show("token")}>Make a token</button></div></div>
      <${Card} flush><div class="scroll"><table class="folds" id="tokens"><thead><tr><th>Name</th><th>State</th><th>May</th><th>Memories</th><th>Made</th><th>Ends</th><th><span class="hush">what to do</span></th></tr></thead><tbody>${shown.map((one) => html`<tr key=${one.id}><td><strong class="wrap">${one.name || one.id}</strong> ${one.kind !== "token" && html`<${Tag}>${one.kind}</${Tag}>`} ${one.id === session.visit?.id && html`<${Tag} kind="accent">this page</${Tag}>`}</td><td><${Tag} kind=${stateOf(one)[0]}>${stateOf(one)[1]}</${Tag}></td><td class="wide small">${one.scopes.join(", ")}</td><td class="small">${one.memories.join(", ") || html`<span class="faint">all</span>`}</td><td class="soft small nowrap" data-label="made">${moment(one.created)}</td><td class="soft small nowrap" data-label="ends">${one.expires ? ago(one.expires) : "never"}</td><td><div class="actions">${stateOf(one)[1] === "valid" && one.id !== "owner" && html`<${Act} class="mini danger" sure="revoke it?" do=${() => revoke(one)} aria-label=${`revoke ${one.name || one.id}`}>Revoke</${Act}>`}</div></td></tr>`)}</tbody></table></div></${Card}>
      <p class="soft small">Only a hash of a token is stored. The owner's own stands in <code>run/owner.token</code> of the data folder.</p>`;
  }}</${Loaded}>
  ${dialog === "token" && html`<${NewToken} close=${() => show("")} />`}${dialog === "link" && html`<${NewLink} close=${() => show("")} />`}`;
}

function NewToken({ close }) {
  const [made, setMade] = useState(null), [error, setError] = useState(null), [busy, setBusy] = useState(false);
  const submit = async (event) => {
    event.preventDefault();
    const form = new FormData(event.target), life = Number(form.get("life"));
    const memories = form.get("memories").split(/[\s,]+/).filter(Boolean);
    setBusy(true);
    try { setMade(await api.post(TOKENS, { name: form.get("name"), scopes: form.getAll("scope"), memories, expires: life ? new Date(Date.now() + life * 1000).toISOString() : null })); refresh(TOKENS); } catch (refused) { setError(refused); }
    setBusy(false);
  };
  if (made) return html`<${Dialog} title=${`The token of ${made.name || "this name"}`} close=${close}><p>It is shown this once:</p><${Line} id="made">${made.token}</${Line}><div><button type="button" class="main-act" onClick=${close}>I have it</button></div></${Dialog}>`;
  return html`<${Dialog} title="Make a token" close=${close}><form class="stack tight" onSubmit=${submit} autocomplete="off">
    <label class="field"><span>Name: whose it is</span><input name="name" required maxlength="200" placeholder="Anna's phone" autofocus /></label>
    <div class="stack tight" role="group" aria-label="what it may do">${SCOPES.map(([scope, meaning], n) => html`<label class="check"><input type="checkbox" name="scope" value=${scope} defaultChecked=${n === 0} /> <b>${scope}</b> <span class="soft">${meaning}</span></label>`)}</div>
    <div class="pair"><label class="field"><span>It lives</span><select name="life">${LIVES.map(([value, words]) => html`<option value=${value}>${words}</option>`)}</select></label><label class="field"><span>Only these memories; empty: all</span><input name="memories" spellcheck="false" /></label></div>
    ${error && html`<${Trouble} error=${error} />`}<div><button class="main-act" disabled=${busy}>Make it</button></div></form></${Dialog}>`;
}

function NewLink({ close }) {
  const [made, setMade] = useState(null);
  const make = () => act(async () => setMade(await api.post("/api/v1/welcome/links", {})));
  return html`<${Dialog} title="One-time link" close=${close}><p>Whoever opens it is an admin here. It works once, within 15 minutes.</p>${made ? html`<${Line}>${made.link}</${Line}>` : html`<div><${Act} class="main-act" do=${make}>Make one</${Act}></div>`}</${Dialog}>`;
}
