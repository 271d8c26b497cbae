// A form that writes an event, and the same as lines for a terminal.
import { duration, quoted } from "./format.js";
import { html, useState } from "./html.js";
import { api, session } from "./state.js";
import { Line, Trouble } from "./ui.js";

function uuid() { // crypto.randomUUID is there over https only
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 15) | 64;
  bytes[8] = (bytes[8] & 63) | 128;
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("").replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

const flat = (text) => (text.trim() || "{}").replace(/\s*\n\s*/g, " ");

/** sending(id): before it leaves. sent({id, stream, position, globalPosition, ms}): when it is stored. */
export function Publish({ type: first = "hello", stream: home = "hello", sending = () => {}, sent = () => {}, children }) {
  const [type, setType] = useState(first);
  const [stream, setStream] = useState(home);
  const [data, setData] = useState('{"from": "me"}');
  const [state, setState] = useState({});
  const written = `{"type": ${JSON.stringify(type)}, "data": ${flat(data)}}`; // as it was typed: a script would round long numbers
  const submit = async (event) => {
    event.preventDefault();
    try { JSON.parse(data || "{}"); } catch (error) { setState({ error: { message: "The data is not JSON", hint: error.message } }); return; }
    const id = uuid(), begun = performance.now();
    setState({ busy: true });
    sending(id);
    try {
      const receipt = await api.post("/rpc", `["stream.write", ${JSON.stringify(stream)}, ${written}, {"id": "${id}"}]`);
      const done = { id, stream, ...receipt, ms: performance.now() - begun };
      setState({ done });
      sent(done);
    } catch (error) { setState({ error }); }
  };
  const field = (id, label, value, set) => html`<label class="field"><span>${label}</span><input id=${id} class="mono" value=${value} onInput=${(event) => set(event.target.value)} required maxlength="200" spellcheck="false" autocapitalize="off" /></label>`;
  return html`<form class="stack tight" onSubmit=${submit} autocomplete="off">
      <div class="pair">${field("type", "Type", type, setType)}${field("stream", "Stream", stream, setStream)}</div>
      <label class="field"><span>Data, a JSON object</span><textarea id="data" value=${data} onInput=${(event) => setData(event.target.value)} spellcheck="false" autocapitalize="off"></textarea></label>
      <div class="row"><button id="send" class="main-act" disabled=${state.busy}>Publish</button>
        <span id="receipt" role="status" class="soft">${state.done && html`<b class="good">${state.done.stream} @ ${state.done.position}</b> is stored, ${duration(Math.max(1, state.done.ms) / 1000)} after you asked.`}</span></div>
      ${state.error && html`<${Trouble} error=${state.error} />`}
    </form>
    ${children}
    <div class="stack tight"><p class="soft small">The same from a terminal, where the appliance runs:</p>
      <${Line} id="publish">${`appliance publish ${quoted(type)} ${quoted(flat(data))}${stream === type ? "" : ` --stream ${quoted(stream)}`}`}</${Line}>
      <p class="soft small">Or from any shell that reaches this address${session.visit ? "; the first line gives it your token" : ""}:</p>
      ${session.visit && html`<${Line} id="export" text=${`export TOKEN=${session.visit.token}`}>${`export TOKEN=${session.visit.token.slice(0, 9)}…`}</${Line}>`}
      <${Line} id="curl">${`curl -s ${location.origin}/rpc${session.visit ? ' -H "Authorization: Bearer $TOKEN"' : ""} -d ${quoted(`["stream.write", ${JSON.stringify(stream)}, ${written}]`)}`}</${Line}>
      ${location.protocol === "https:" && html`<p class="soft small">If curl does not trust this address: fetch <a href="/appliance-ca.crt">the local authority</a> and add <code>--cacert appliance-ca.crt</code>.</p>`}</div>`;
}
