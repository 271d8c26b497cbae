// What a person should look at, wherever it is shown.
import { ago, amount, count } from "../format.js";
import { html } from "../html.js";
import { Dot } from "../ui.js";
import { health } from "./deliveries.js";

const CANARY = { ok: ["good", "✓"], late: ["bad", "late"], failed: ["bad", "✗"], waiting: ["", "–"], off: ["", "off"] };

export function canaryState(canary) {
  const [kind, value] = CANARY[canary.state] || CANARY.waiting;
  const wrong = canary.legs.filter((leg) => leg.state === "late" || leg.state === "failed").map((leg) => leg.name).join(", ");
  const more = canary.state === "off" ? "switched off" : canary.flown_at ? ago(canary.flown_at) : "has not flown yet";
  return { kind, value, more: canary.trouble || (wrong ? `${wrong}, ${more}` : more) };
}

/** Worst first: [{kind, text, href}]. What is not known yet is left out. */
export function whatNeedsYou({ status, hooks, shelf, canary, backups, jobs }) {
  const found = [];
  const add = (kind, text, href) => found.push({ kind, text, href });
  for (const one of status?.plugins || []) if (one.state === "parked") add("bad", `plugin ${one.name} is parked: ${one.reason}`, `/dashboard/plugins/${one.name}`);
  const walk = (nodes) => { for (const node of nodes || []) { if (["paused", "parked", "crashed"].includes(node.state) && !status.plugins.some((one) => one.name === node.name)) add("bad", `${node.name} is ${node.state}${node.crash ? `: ${node.crash}` : ""}`, "/dashboard/system"); walk(node.children); } };
  walk(status?.tree);
  for (const one of hooks || []) {
    const [kind, words] = health(one);
    if (kind === "bad" && one.reason !== "paused") add(one.is_active ? "warn" : "bad", `webhook “${one.name || new URL(one.url).host}” is ${one.is_active ? words : `off: ${words}`}${one.waiting ? `, ${count(one.waiting)} waiting` : ""}`, `/dashboard/deliveries/${one.id}`);
  }
  if (shelf?.total > 0) add("bad", `${amount(shelf.total, "dead letter")} on the shelf`, "/dashboard/deliveries");
  if (jobs?.failed_last_hour > 0) add("warn", `${amount(jobs.failed_last_hour, "job")} failed in the last hour`, "/dashboard/jobs?status=failed");
  if (canary && canaryState(canary).kind === "bad") add("bad", `the canary is ${canary.state}: ${canaryState(canary).more}`, "/dashboard/system");
  for (const one of backups?.backups || []) if (one.problem) add("bad", `backup ${one.name} is none: ${one.problem}`, "/dashboard/system/backups");
  return found.sort((a, b) => (a.kind === "bad" ? 0 : 1) - (b.kind === "bad" ? 0 : 1));
}

export const Needs = ({ all }) => html`<div class="needs" id="needs">${all.map((one) => html`<a href=${one.href}><${Dot} kind=${one.kind} /><span class="wrap">${one.text}</span></a>`)}</div>`;
