// The way in: a one-time link opens it; without one, a token.
import { sentence } from "../format.js";
import { html, useState } from "../html.js";
import { entrance, signIn, useCell } from "../state.js";
import { Line, Trouble } from "../ui.js";

export function Gate() {
  const { reason, hint } = useCell(entrance);
  const [text, setText] = useState("");
  const [kept, setKept] = useState(false);
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);
  const submit = async (event) => {
    event.preventDefault();
    if (!text.trim()) return;
    setBusy(true);
    try { await signIn(text.trim(), kept); } catch (refused) { setError(refused); setBusy(false); }
  };
  return html`<main class="gate">
    <div class="brand"><img src=${new URL("../mark.svg", import.meta.url).pathname} alt="" /><h1>Come in</h1></div>
    ${(reason || hint) && html`<div class="note ${reason ? "warn" : ""}" role="status" id="notice">${reason && html`<strong>${sentence(reason)} </strong>`}${sentence(hint)}</div>`}
    <div class="stack tight"><p>A one-time link opens this dashboard. Where the appliance runs, this prints one, with a code for a phone:</p><${Line}>appliance link</${Line}></div>
    <form class="stack tight" onSubmit=${submit} autocomplete="off">
      <label class="field"><span>Or paste a link or a token</span><input id="token" type="password" value=${text} onInput=${(event) => setText(event.target.value)} spellcheck="false" autocapitalize="off" autofocus /></label>
      <label class="check"><input type="checkbox" checked=${kept} onChange=${(event) => setKept(event.target.checked)} /> Stay signed in on this device</label>
      ${error && html`<${Trouble} error=${error} />`}
      <div><button class="main-act" disabled=${busy}>Open</button></div>
      <p class="soft small">Otherwise only this tab knows the token, and forgets it when it is closed.</p>
    </form>
  </main>`;
}
