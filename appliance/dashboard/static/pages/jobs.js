// Jobs: what is queued, what runs and how far it is, what failed.
import { ago, amount, count, duration, moment, short } from "../format.js";
import { html } from "../html.js";
import { act, api, progress, refresh, useCell, useData } from "../state.js";
import { Act, Card, Code, Drawer, Empty, Facts, Head, Loaded, Progress, Section, Tag, Trouble } from "../ui.js";

const JOBS = "/api/v1/jobs";
const KINDS = { pending: "", running: "accent", completed: "good", failed: "bad", cancelled: "" };
const STATES = ["", "running", "pending", "failed", "completed", "cancelled"];
const over = (job) => ["completed", "failed", "cancelled"].includes(job.status);

export function Jobs({ path: [opened], query, go }) {
  const status = query.get("status") || "";
  const data = useData(`${JOBS}?limit=100${status ? `&status=${status}` : ""}`, { every: 5 });
  const held = useData(`${JOBS}/status`, { every: 15 }).value;
  const running = useCell(progress);
  const to = (id) => `/dashboard/jobs/${id}${location.search}`;
  const paused = held?.global === "paused";
  const turn = () => act(async () => { await api.post(`${JOBS}/${paused ? "resume" : "pause"}`); refresh(JOBS); }, paused ? "Jobs go on" : "No new job is begun; what runs goes on to its end");
  return html`<${Head} title="Jobs" about="What is queued, what runs, what failed">${data.value && held && html`<${Act} do=${turn}>${paused ? "Resume all" : "Pause all"}</${Act}>`}</${Head}>
    <${Loaded} data=${data} what="The job queue">${(value) => html`
      <${Tiles} stats=${value} paused=${paused} />
      <nav class="tabs" aria-label="state">${STATES.map((one) => html`<a href=${`/dashboard/jobs${one && `?status=${one}`}`} aria-current=${one === status ? "page" : undefined}>${one || "all"}</a>`)}</nav>
      ${value.jobs.length === 0 ? html`<${Card}><${Empty} icon="jobs" title=${status ? `No job is ${status}` : "No jobs yet"}><p>Plugins queue work here, and <code>POST ${JOBS}</code> does. ${status && html`<a href="/dashboard/jobs">See all</a>`}</p></${Empty}></${Card}>`
    : html`<${Card} flush><div class="scroll"><table class="folds"><thead><tr><th>Job</th><th>State</th><th>Progress</th><th class="num">Retries</th><th>Since</th><th><span class="hush">what to do</span></th></tr></thead>
        <tbody>${value.jobs.map((job) => html`<${Row} key=${job.id} job=${job} live=${running.get(job.id)} open=${() => go(to(job.id))} to=${to(job.id)} />`)}</tbody></table></div></${Card}>`}`}</${Loaded}>
    ${opened && html`<${JobDrawer} id=${opened} live=${running.get(opened)} close=${() => go(`/dashboard/jobs${location.search}`)} />`}`;
}

const Tiles = ({ stats, paused }) => html`<div class="tiles" id="queue">${[
  ["running", stats.processing, paused ? "the queue is paused" : "", "running"], ["waiting", stats.pending, `${count(stats.delayed || 0)} for their time`, "pending"],
  ["done in the last hour", stats.completed_last_hour, "", "completed"], ["failed in the last hour", stats.failed_last_hour, "", "failed"],
].map(([label, value, more, status]) => html`<a class="card tile" href=${`/dashboard/jobs?status=${status}`}><span class="label">${label}</span><span class="value ${status === "failed" && value > 0 ? "bad" : ""}">${count(value)}</span><span class="more">${more}</span></a>`)}</div>`;

const again = (job) => act(async () => { await api.post(`${JOBS}/${job.id}/retry`); refresh(JOBS); }, "It is queued again");
const cancel = (job) => act(async () => { await api.delete(`${JOBS}/${job.id}`); refresh(JOBS); }, "It is cancelled");
const Deeds = ({ job }) => html`<div class="actions">${["failed", "cancelled"].includes(job.status) && html`<${Act} class="mini" do=${() => again(job)}>Retry</${Act}>`}${!over(job) && html`<${Act} class="mini danger" sure="cancel it?" do=${() => cancel(job)}>Cancel</${Act}>`}</div>`;

const reached = (job, live) => (job.status === "completed" ? 100 : Math.max(job.progress_percent || 0, (job.status === "running" && live?.percent) || 0));
function How({ job, live }) {
  const percent = reached(job, live), said = (job.status === "running" && live?.message) || job.progress_message;
  if (job.status === "pending" && !percent) return html`<span class="faint small">${job.next_attempt_at && Date.parse(job.next_attempt_at) > Date.now() ? ago(job.next_attempt_at) : "waits"}</span>`;
  return html`<div class="row"><${Progress} percent=${percent} kind=${job.status === "failed" ? "bad" : job.status === "completed" ? "good" : ""} label=${`progress of ${job.job_type}`} /><span class="small soft">${Math.round(percent)} %${said ? ` · ${said}` : ""}</span></div>`;
}

const Row = ({ job, live, open, to }) => html`<tr class="link" onClick=${open}>
  <td><a href=${to}><strong>${job.job_type}</strong></a> <span class="faint mono">${short(job.id)}</span></td><td><${Tag} kind=${KINDS[job.status]}>${job.status}</${Tag}></td>
  <td class="wide"><${How} job=${job} live=${live} /></td><td class="num" data-label="retries">${count(job.retry_count)} of ${count(job.max_retries)}</td><td class="soft small nowrap" data-label="since">${ago(job.completed_at || job.started_at || job.created_at)}</td><td><${Deeds} job=${job} /></td></tr>`;

function JobDrawer({ id, live, close }) {
  const data = useData(`${JOBS}/${encodeURIComponent(id)}`, { every: 3 }), job = data.value;
  const took = job?.started_at && job.completed_at ? duration((Date.parse(job.completed_at) - Date.parse(job.started_at)) / 1000) : "";
  return html`<${Drawer} title=${job?.job_type || "Job"} about=${id} close=${close}>
    ${data.error && html`<${Trouble} error=${data.error} what="This job" />`}
    ${job && html`<div class="row spread"><${Tag} kind=${KINDS[job.status]}>${job.status}</${Tag}><${Deeds} job=${job} /></div><${How} job=${job} live=${live} />
    ${job.error_message && html`<div class="trouble"><strong>${job.error_message}</strong><span>${amount(job.retry_count, "retry", "retries")} of ${count(job.max_retries)}</span></div>`}
    <${Section} title="Facts"><${Facts} rows=${[["queued", moment(job.created_at)], ["started", job.started_at && moment(job.started_at)], ["ended", job.completed_at && moment(job.completed_at)], ["took", took], ["priority", count(job.priority)], ["note", job.note_id], ["events", html`<a href=${`/dashboard/events?filter=job-${job.id}`}>job-${short(job.id)}</a>`]]} /></${Section}>
    ${job.payload && html`<${Section} title="Asked for"><${Code}>${JSON.stringify(job.payload, null, 2)}</${Code}></${Section}>`}${job.result && html`<${Section} title="Result"><${Code}>${JSON.stringify(job.result, null, 2)}</${Code}></${Section}>`}`}
  </${Drawer}>`;
}
