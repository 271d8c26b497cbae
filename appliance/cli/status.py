"""`status`: what runs in the appliance, and how it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from appliance.cli.base import verb
from appliance.cli.desk import Desk, with_desk
from appliance.cli.exits import Exit
from appliance.cli.render import Paint, age, amount, plain
from appliance.client.protocol import rest
from appliance.clock import parse_stamp

__all__ = ["commands", "overview"]

STATE_STYLES = {"ready": "green", "well": "green", "parked": "red", "crashed": "red"}  # all others are yellow
NAME_WIDTH = 22  # columns of the tree


@verb(
    "status",
    examples=[
        "appliance status",
        "appliance status --json | jq -r .state",
        "appliance status --quiet || echo needs a look      exit code 1: not well, 3: not running",
    ],
    fields="""name, version, state, pid, started, uptime_s, urls, data, test_mode,
storage: {kind, events, verified, lost, notes}, counts,
tree: [{name, state, since, restarts, waiting?, crash?, crashed?, children?}],
plugins: [{name, version, state, restarts, reason, …}]""",
)
@with_desk
def status(desk: Desk) -> int:
    """Show the tree of services with restarts and last crashes. The exit code is 1 unless all is well."""
    with desk.client() as client:
        answer: dict[str, Any] = client.run(rest("GET", "/status"))
    if desk.json or not desk.options.quiet:
        desk.show(answer, overview(answer, desk.paint, datetime.now(UTC)))
    return Exit.DONE if answer["state"] == "well" else Exit.FAILED


def overview(answer: Mapping[str, Any], paint: Paint, now: datetime) -> str:
    """The answer of `GET /status` for people."""
    state, storage = answer["state"], answer["storage"]
    program = paint(f"appliance {answer['version']}, process {answer['pid']}", "dim")
    lines = [
        f"{_styled('●', state, paint)} {paint(plain(answer['name']), 'bold')}  {_styled(state, state, paint)}"
        f"  up {age(answer['uptime_s'])}  {program}",
        f"  {'  '.join(answer['urls'])}",
        f"  {answer['data']}  {paint(storage['kind'], 'dim')}" + ("  test mode" if answer["test_mode"] else ""),
        "  " + paint(", ".join(f"{name} {count}" for name, count in answer["counts"].items()), "dim"),
    ]
    if storage["lost"]:
        lines.append(paint(f"  {amount(storage['lost'], 'acknowledged event')} lost", "bold", "red"))
    lines += [f"  {paint('note:', 'yellow')} {plain(note)}" for note in storage["notes"]]
    lines += ["", paint(f"  {'service'.ljust(NAME_WIDTH)}{'up'.ljust(8)}{'restarts'.ljust(10)}state", "dim")]
    lines += [f"  {line}" for line in _tree(answer["tree"], paint, now)]
    return "\n".join(lines)


def _tree(nodes: Sequence[Mapping[str, Any]], paint: Paint, now: datetime, lead: str = "") -> Iterator[str]:
    for number, node in enumerate(nodes):
        last = number == len(nodes) - 1
        yield f"{lead}{'└' if last else '├'} " + _node(node, paint, now, len(lead) + 2)
        if node.get("crash"):
            inner = f"{lead}{' ' if last else '│'}   "
            yield inner + paint(f"last crash {_since(node['crashed'], now)} ago: {plain(node['crash'])}", "red")
        yield from _tree(node.get("children", ()), paint, now, f"{lead}{' ' if last else '│'} ")


def _node(node: Mapping[str, Any], paint: Paint, now: datetime, indent: int) -> str:
    restarts = str(node["restarts"] or "–")
    waiting = f"  {plain(node['waiting'])}" if node.get("waiting") else ""
    name = plain(node["name"]).ljust(NAME_WIDTH - indent)
    state = _styled(node["state"], node["state"], paint)
    return f"{name}{_since(node['since'], now).ljust(8)}{restarts.ljust(10)}{state}{waiting}"


def _since(stamp: str, now: datetime) -> str:
    return age(now.timestamp() - parse_stamp(stamp) / 1_000_000)


def _styled(text: str, state: str, paint: Paint) -> str:
    return paint(text, STATE_STYLES.get(state, "yellow"))


commands = {"status": status}
