"""`webhook`: URLs that are told of events, and what became of each delivery."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from appliance.cli.base import Count, Noun
from appliance.cli.desk import Desk, with_desk
from appliance.cli.endings import by_ending, by_name
from appliance.cli.listen import listen
from appliance.cli.render import table
from appliance.client import Client
from appliance.client.protocol import rest
from appliance.config.units import duration
from appliance.egress.webhooks.endpoint import FORMATS
from appliance.egress.webhooks.snippets import SNIPPETS
from appliance.errors import Rejected

__all__ = ["commands"]

PATH = "/api/v1/webhooks"
SHORT = 8  # last characters of an id
FIELDS = """id, name, url, url_class, events, memories, format, is_active, reason, secret_set, max_retries,
concurrency, rate, ordered, signature, public_key, created_at, updated_at, last_triggered_at, failure_count,
position, circuit, waiting,
condition_errors, condition_error"""
WORDS = {
    "connection": "no connection; look at the host, its port, and whether it listens",
    "timeout": "no answer in time",
    "tls": "no TLS with it; look at its certificate",
    "refused": "the address is not allowed",
}  # what the classes of errors mean
DELIVERY = """id, webhook_id, event_id, event_type, seq, payload, state, success, attempt, status_code,
response_body, error_class, duration_ms, delivered_at, next_attempt_at"""


@click.group(
    cls=Noun,
    examples=[
        "appliance webhook create https://example.org/hook --event NoteUpdated",
        "appliance webhook create http://192.168.1.20:8080/ --ordered --format standard",
        "appliance webhook list",
        "appliance webhook test erp                its name, or any unambiguous ending of its id",
        "appliance webhook redeliver 4f2a9c1e --since 1200",
        "appliance webhook listen --forward http://127.0.0.1:3000/hook",
    ],
)
def webhook() -> None:
    """URLs that are told of events, each in its own time. Nothing is lost while one is down or paused."""


@webhook.command("create", fields=f"secret, {FIELDS}")
@click.argument("target", metavar="URL")
@click.option("--event", "events", metavar="TYPE", multiple=True, help="only these, or a front part: note; repeat")
@click.option("--name", metavar="TEXT", default="", help="whose it is, for people")
@click.option("--format", "form", type=click.Choice(FORMATS), default="envelope", help="form of the body")
@click.option("--memory", metavar="M", help="only events of this memory")
@click.option("--when", "condition", metavar="CONDITION", help='only events it holds for: "total > 100"')
@click.option("--concurrency", metavar="N", type=Count(), help="requests at once, at most 16")
@click.option("--rate", metavar="N", type=Count(), help="deliveries a minute, at most")
@click.option("--ordered", is_flag=True, help="the events of a stream one after the other")
@click.option("--ed25519", is_flag=True, help="sign with a key pair: receivers get its public half, and no secret")
@with_desk
def create(desk: Desk, /, target: str, form: str, ed25519: bool, **wish: Any) -> None:
    """Tell URL of events from now on. Prints what receivers verify with: a secret that is not shown again."""
    given = {name: value for name, value in wish.items() if value} | _signature(ed25519)
    with desk.client() as client:
        made: dict[str, Any] = client.run(rest("POST", PATH, {"url": target, "format": form, **given}))
    desk.note(f"webhook {made['id']} is told of {', '.join(made['events']) or 'everything'}; {_what(made)}:")
    desk.show(made, made["public_key"] or made["secret"])


@webhook.command("list", fields=f'{{"webhooks": [{{{FIELDS}}}]}}')
@with_desk
def list_(desk: Desk) -> None:
    """List webhooks, newest first."""
    with desk.client() as client:
        rows: list[dict[str, Any]] = client.run(rest("GET", PATH))
    cells = [
        (row["id"][-SHORT:], row["name"], row["url"], ", ".join(row["events"]) or "everything", _state(row))
        for row in rows
    ]
    headers = ("id", "name", "url", "events", "state")
    desk.show({"webhooks": rows}, table(cells, headers, desk.paint) if cells else "there are no webhooks")


@webhook.command("show", fields=FIELDS)
@click.argument("id_", metavar="ID")
@with_desk
def show(desk: Desk, id_: str) -> None:
    """Show one webhook."""
    with desk.client() as client:
        row: dict[str, Any] = client.run(rest("GET", _path(client, id_)))
    _tell(desk, row)


@webhook.command("update", fields=FIELDS)
@click.argument("id_", metavar="ID")
@click.option("--to", "target", metavar="URL", help="send it there")
@click.option("--event", "events", metavar="TYPE", multiple=True, help='only these; "*": all; repeat')
@click.option("--when", "condition", metavar="CONDITION", help='only events it holds for; "": whatever happens')
@click.option("--name", metavar="TEXT", help="whose it is, for people")
@click.option("--format", type=click.Choice(FORMATS), help="form of the body")
@click.option("--concurrency", metavar="N", type=Count(), help="requests at once, at most 16")
@with_desk
def update(desk: Desk, /, id_: str, target: str | None, **wish: Any) -> None:
    """Change a webhook; what is not named stays."""
    given = {name: value for name, value in {"url": target, **wish}.items() if value or value == ""}
    if not given:
        raise Rejected("nothing to change was named", hint="see appliance webhook update --help")
    with desk.client() as client:
        row: dict[str, Any] = client.run(rest("PATCH", _path(client, id_), given))
    _tell(desk, row)


@webhook.command("delete", fields="id, deleted")
@click.argument("id_", metavar="ID")
@with_desk
def delete(desk: Desk, id_: str) -> None:
    """End a webhook and forget its deliveries."""
    with desk.client() as client:
        path = _path(client, id_)
        client.run(rest("DELETE", path))
    whole = path.rpartition("/")[2]
    desk.show({"id": whole, "deleted": True}, f"webhook {whole} is deleted")


@webhook.command("pause", fields=FIELDS)
@click.argument("id_", metavar="ID")
@with_desk
def pause(desk: Desk, id_: str) -> None:
    """Tell it nothing for now. What happens meanwhile is sent when it is resumed."""
    _switch(desk, id_, "pause")


@webhook.command("resume", fields=FIELDS)
@click.argument("id_", metavar="ID")
@with_desk
def resume(desk: Desk, id_: str) -> None:
    """Go on where it stopped."""
    _switch(desk, id_, "resume")


@webhook.command("test", fields=f"status, {DELIVERY}")
@click.argument("id_", metavar="ID")
@with_desk
def test(desk: Desk, id_: str) -> int:
    """Send a test event now. The exit code says whether it arrived."""
    with desk.client(timeout=330.0) as client:
        row: dict[str, Any] = client.run(rest("POST", f"{_path(client, id_)}/test"))
    what = row["status_code"] or row["error_class"]
    desk.show(row, f"{row['status']}: {WORDS.get(what, what)}, after {row['duration_ms']} ms")
    return 0 if row["success"] else 1


@webhook.command("rotate", fields="id, secret, public_key, overlap_s")
@click.argument("id_", metavar="ID")
@click.option("--overlap", metavar="24h", default="24h", help="how long the secret before stays good")
@click.option("--ed25519", is_flag=True, help="a key pair from now on")
@with_desk
def rotate(desk: Desk, id_: str, overlap: str, ed25519: bool) -> None:
    """Make a new secret and print it. Requests are signed with both for a while."""
    try:
        seconds = int(duration(overlap))
    except ValueError as error:
        raise Rejected(f"--overlap: {error}", hint="write 24h or 30m") from error
    with desk.client() as client:
        made: dict[str, Any] = client.run(
            rest("POST", f"{_path(client, id_)}/rotate", {"overlap_s": seconds} | _signature(ed25519))
        )
    desk.note(f"the one before stays good for {overlap}; {_what(made)}:")
    desk.show(made, made["public_key"] or made["secret"])


@webhook.command("deliveries", fields=f'{{"deliveries": [{{{DELIVERY}}}]}}')
@click.argument("id_", metavar="ID")
@click.option("--limit", metavar="N", type=Count(), default=50, help="the newest N, 50 unless said")
@with_desk
def deliveries(desk: Desk, id_: str, limit: int) -> None:
    """List what was sent, newest first."""
    with desk.client() as client:
        rows: list[dict[str, Any]] = client.run(
            rest("GET", f"{_path(client, id_)}/deliveries", query={"limit": str(limit)})
        )
    cells = [
        (
            row["id"][-SHORT:],
            row["event_type"],
            row["seq"],
            row["state"],
            row["attempt"],
            row["status_code"] or row["error_class"] or "",
            row["duration_ms"],
            (row["delivered_at"] or "")[:19].replace("T", " "),
        )
        for row in rows
    ]
    headers = ("id", "event", "seq", "state", "tries", "answer", "ms", "at")
    desk.show({"deliveries": rows}, table(cells, headers, desk.paint, right=(2, 4, 6)) if cells else "nothing was sent")


@webhook.command("redeliver", fields="deliveries, or since")
@click.argument("id_", metavar="ID")
@click.option("--delivery", metavar="ID", help="one delivery")
@click.option("--event", metavar="ID", help="one event")
@click.option("--since", metavar="POS", type=Count(), help="everything from this global position on")
@click.option("--through", metavar="POS", type=Count(), help="and up to this one")
@with_desk
def redeliver(desk: Desk, /, id_: str, **wish: Any) -> None:
    """Send again: one delivery, one event, a range, or everything since a position."""
    given = {name: value for name, value in wish.items() if value}
    with desk.client() as client:
        path = _path(client, id_)
        if "delivery" in given:
            known = client.run(rest("GET", f"{path}/deliveries", query={"limit": "1000"}))
            given["delivery"] = by_ending(given["delivery"], [row["id"] for row in known])
        done: dict[str, Any] = client.run(rest("POST", f"{path}/redeliver", given))
    many = f"from position {done['since']} on" if "since" in done else f"{len(done['deliveries'])} events"
    desk.show(done, f"sending again: {many}")


@webhook.command("verify", fields="language, program")
@click.option("--lang", type=click.Choice(tuple(SNIPPETS)), default="python", help="language of the receiver")
@with_desk
def verify(desk: Desk, lang: str) -> None:
    """Print how a receiver verifies the signature of a request."""
    desk.show({"language": lang, "program": SNIPPETS[lang]}, SNIPPETS[lang].rstrip("\n"))


def _signature(ed25519: bool) -> dict[str, str]:
    return {"signature": "v1a"} if ed25519 else {}


def _what(made: dict[str, Any]) -> str:
    return "receivers verify with its public key" if made["public_key"] else "its secret, shown once"


def _path(client: Client, text: str) -> str:
    rows: Sequence[dict[str, Any]] = client.run(rest("GET", PATH))
    return f"{PATH}/{by_name(text, rows)}"


def _switch(desk: Desk, id_: str, what: str) -> None:
    with desk.client() as client:
        row: dict[str, Any] = client.run(rest("POST", f"{_path(client, id_)}/{what}"))
    _tell(desk, row)


def _tell(desk: Desk, row: dict[str, Any]) -> None:
    cells = [(name, ", ".join(value) if isinstance(value, list) else value) for name, value in row.items()]
    desk.show(row, table([pair for pair in cells if pair[1] not in ("", None)], ("webhook", ""), desk.paint))


def _state(row: dict[str, Any]) -> str:
    if not row["is_active"]:
        return str(row["reason"])
    return "active" if row["circuit"] == "closed" else f"not answering, {row['waiting']} waiting"


webhook.add_command(listen)
commands = {"webhook": webhook}
