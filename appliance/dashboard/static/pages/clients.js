// Clients: one row for each live connection, whatever its transport.
import { ago, amount, bytes, count, duration } from "../format.js";
import { html, useMemo, useState } from "../html.js";
import { act, api, refresh, useData } from "../state.js";
import { Card, Dialog, Empty, Head, Line, Loaded, Tag } from "../ui.js";

const CLIENTS = "/api/v1/clients";

export function Clients() {
  const data = useData(CLIENTS, { every: 3 });
  const [wanted, setWanted] = useState("");
  const all = data.value?.clients || [];
  const shown = useMemo(() => all.filter((one) => JSON.stringify([one.subject, one.address, one.transport, one.topics, one.id]).toLowerCase().includes(wanted.toLowerCase())), [all, wanted]);
  const lagging = all.filter((one) => one.lag > 0).length;
  const [going, close] = useState(null);
  return html`<${Head} title="Clients" about=${data.value ? `${amount(all.length, "live connection")}, ${lagging ? `${count(lagging)} behind` : "none behind"}` : "Who listens"}>
      ${all.length > 5 && html`<input type="search" placeholder="name, address, topic" aria-label="search clients" value=${wanted} onInput=${(event) => setWanted(event.target.value)} />`}</${Head}>
    <${Loaded} data=${data} what="The list of clients">${() => (all.length === 0
    ? html`<${Card}><${Empty} icon="clients" title="Nobody is connected"><p>A client follows events over a WebSocket or server-sent events. Try one:</p><${Line}>appliance subscribe</${Line}></${Empty}></${Card}>`
    : html`<${Card} flush><div class="scroll"><table class="folds"><thead><tr><th>Who</th><th>From</th><th>Way</th><th>Follows</th><th class="num">Behind</th><th class="num">Latency</th><th class="num">Sent</th><th>Since</th><th><span class="hush">what to do</span></th></tr></thead>
      <tbody>${shown.map((one) => html`<tr key=${one.id}>
        <td><strong class="wrap">${one.subject || "anonymous"}</strong></td><td class="mono">${one.address}</td>
        <td><${Tag}>${one.transport === "websocket" ? "ws" : one.transport}</${Tag}> <span class="faint small">${one.dialect}</span></td>
        <td class="wide small">${one.topics.join(", ") || "–"}</td>
        <td class="num" data-label="behind">${one.lag > 0 ? html`<${Tag} kind="warn">${count(one.lag)}</${Tag}>` : "0"}</td>
        <td class="num" data-label="latency">${one.latency_ms == null ? "–" : duration(one.latency_ms / 1000)}</td>
        <td class="num" data-label="sent">${bytes(one.bytes)}</td><td class="nowrap soft small" data-label="since">${ago(one.connected_at).replace(" ago", "")}</td>
        <td><div class="actions"><button type="button" class="mini danger" onClick=${() => close(one)} aria-label=${`close the connection of ${one.subject || one.address}`}>Close</button></div></td></tr>`)}</tbody></table></div>
      ${shown.length === 0 && html`<${Empty} title="No client matches"><p>Clear the search to see all ${count(all.length)}.</p></${Empty}>`}</${Card}>
      <p class="soft small">A closed client is told 1008 and why, and may come back. To keep somebody out, end the token under <a href="/dashboard/system/access">Access</a>.</p>`)}</${Loaded}>
    ${going && html`<${Close} one=${going} close=${() => close(null)} />`}`;
}

function Close({ one, close }) {
  const [reason, setReason] = useState("closed by an admin");
  const submit = async (event) => {
    event.preventDefault();
    if (await act(() => api.delete(`${CLIENTS}/${one.id}?reason=${encodeURIComponent(reason)}`), `${one.subject || one.address} is told to go`)) { refresh(CLIENTS); close(); }
  };
  return html`<${Dialog} title=${`Close the connection of ${one.subject || one.address}?`} close=${close}><form class="stack tight" onSubmit=${submit} autocomplete="off">
    <label class="field"><span>Why; it is told so</span><input id="reason" value=${reason} onInput=${(event) => setReason(event.target.value)} required maxlength="100" autofocus /></label>
    <div class="actions"><button class="danger">Close it</button><button type="button" onClick=${close}>Leave it</button></div></form></${Dialog}>`;
}
