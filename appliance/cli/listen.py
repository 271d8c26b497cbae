"""`webhook listen`: what a webhook would be sent, brought to a program on this machine.

The server cannot reach a laptop, and need not: we follow its log, ask it for each request as it would send it, sign
it here, and carry it the last step. No port is opened and no endpoint is made.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import click
import httpcore

from appliance import __version__
from appliance.auth.signing import SECRET_BYTES, check_secret, make_secret
from appliance.cli.base import Count, verb
from appliance.cli.desk import Desk, with_desk
from appliance.cli.endings import by_name
from appliance.cli.reading import place_of
from appliance.cli.render import Paint, plain
from appliance.client import Client, Topic
from appliance.client.protocol import rest
from appliance.egress.webhooks.bodies import Message, headers
from appliance.egress.webhooks.endpoint import FORMATS
from appliance.errors import Rejected
from appliance.ids import uuid7

__all__ = ["listen"]

PATH = "/api/v1/webhooks"
LOCAL = "local"  # stands for the id of an endpoint
TIMEOUT = 30.0  # seconds, as the server's is
MOST_READ = 64 * 1024  # bytes of an answer
SHOWN = 200  # characters of an answer
FIELDS = """one line per request:
event_id, event_type, url, headers, body, status, ms, answer, error"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the program here said, or why it said nothing."""

    status: int | None
    ms: int
    text: str = ""
    error: str = ""

    @property
    def good(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


@verb(
    "listen",
    options_metavar="--forward URL | --print-only",
    examples=[
        "appliance webhook listen --forward http://127.0.0.1:3000/hook",
        "appliance webhook listen --forward http://127.0.0.1:3000/hook --event NoteUpdated --format standard",
        "appliance webhook listen --forward http://127.0.0.1:3000/hook --like 4f2a9c1e   as that webhook is told",
        "appliance webhook listen --print-only --since last",
    ],
    fields=FIELDS,
)
@click.option("--forward", metavar="URL", help="where to bring them: http://127.0.0.1:3000/hook")
@click.option("--print-only", is_flag=True, help="show each request, and send it nowhere")
@click.option("--event", "events", metavar="TYPE", multiple=True, help="only these, or a front part: note; repeat")
@click.option("--format", "form", type=click.Choice(FORMATS), help="form of the body; envelope unless said")
@click.option("--memory", metavar="M", help="only events of this memory")
@click.option("--when", "condition", metavar="CONDITION", default="", help='only if it holds: "data.total > 100"')
@click.option("--like", metavar="ID", help="everything as this webhook has it")
@click.option("--secret", metavar="S", help="sign with this; one is made up for this run unless you have one")
@click.option("--since", "start", metavar="WHEN", help="first what came since then: 1h, POS; last: the last event")
@click.option("--count", metavar="N", type=Count(), help="end after N requests")
@with_desk
def listen(desk: Desk, /, forward: str | None, print_only: bool, **wish: Any) -> int:
    """Bring what a webhook would be sent to a program on this machine, signed, and show what it answers.

    Nothing is opened and nothing is left behind. A request that fails is shown and not repeated: --since brings it
    again. The exit code says whether all were taken.
    """
    if (forward is None) is not print_only:
        raise Rejected("say where to bring them", hint="--forward http://127.0.0.1:3000/hook, or --print-only")
    url = _checked(forward) if forward else ""
    secret = wish["secret"] or make_secret(os.urandom(SECRET_BYTES))
    check_secret(secret)
    failures = 0
    with desk.client() as client, closing(httpcore.ConnectionPool(max_connections=1)) as pool:
        ask = _ask(client, wish)
        _greet(desk, url, secret if wish["secret"] is None else "")
        for number, sent in enumerate(_messages(client, ask, wish["start"]), 1):
            lines = _lines(sent, secret)
            answer = _post(pool, url, lines, sent.body) if url else None
            failures += answer is not None and not answer.good
            _show(desk, sent, url, lines, answer)
            if number == wish["count"]:
                break
    return 1 if failures else 0


def _ask(client: Client, wish: dict[str, Any]) -> dict[str, Any]:
    """What each event is asked about with."""
    names = {"events": wish["events"], "format": wish["form"], "memory": wish["memory"], "condition": wish["condition"]}
    given = {name: value for name, value in names.items() if value}
    if wish["like"] is None:
        return given
    if given:
        raise Rejected("--like is all there is to say", hint="leave the others out, or --like")
    return {"webhook": by_name(wish["like"], client.run(rest("GET", PATH)))}


def _messages(client: Client, ask: dict[str, Any], start: str | None) -> Iterator[_Sent]:
    topic = Topic()
    last = client.latest(topic)
    place = topic.place(last) if start == "last" and last else place_of(client, topic, start, last)
    with client.tail(topic, place) as events:
        for event in events:
            seen: dict[str, Any] = client.run(rest("POST", f"{PATH}/preview", {"event": event.id, **ask}))
            if seen["told"]:
                attributes = tuple((name, value) for name, value in seen["attributes"])
                body = seen["body"].encode()
                yield _Sent(
                    seen["message_id"], seen["type"], body, seen["content_type"], attributes, seen["trace"], event.id
                )


@dataclass(frozen=True, slots=True)
class _Sent(Message):
    event: str = ""


def _lines(sent: _Sent, secret: str) -> list[tuple[str, str]]:
    now = time.time_ns() // 1000
    delivery = uuid7(now, os.urandom(10))
    return headers(sent, [secret], webhook=LOCAL, delivery=delivery, now_us=now, version=__version__)


def _post(pool: httpcore.ConnectionPool, url: str, lines: Sequence[tuple[str, str]], body: bytes) -> Answer:
    parts = urlsplit(url)
    times = {"timeout": dict.fromkeys(("connect", "read", "write", "pool"), TIMEOUT)}
    given = [("host", parts.netloc), ("content-length", str(len(body))), *lines]
    began = time.monotonic()
    try:
        with pool.stream("POST", url, headers=given, content=body, extensions=times) as response:
            found = b""
            for part in response.iter_stream():
                found += part
                if len(found) > MOST_READ:
                    break
    except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError) as error:
        return Answer(None, _ms(began), error=str(error) or type(error).__name__)
    return Answer(response.status, _ms(began), found.decode(errors="replace"))


def _ms(began: float) -> int:
    return round((time.monotonic() - began) * 1000)


def _checked(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise Rejected(f"{url} is no address to bring them to", hint="http://127.0.0.1:3000/hook")
    return url


def _greet(desk: Desk, url: str, made_up: str) -> None:
    if made_up:
        desk.note(f"signed with {made_up} (made up for this run)")
    what = f"bringing them to {url}" if url else "showing them"
    desk.note(desk.err_paint(f"listening on {desk.server.url}, {what}; Ctrl-C ends", "dim"))


def _show(desk: Desk, sent: _Sent, url: str, lines: Sequence[tuple[str, str]], answer: Answer | None) -> None:
    if desk.json:
        row: dict[str, Any] = {"event_id": sent.event, "event_type": sent.type, "url": url or None}
        row |= {"headers": dict(lines), "body": sent.body.decode()}
        if answer is not None:
            row |= {"status": answer.status, "ms": answer.ms, "answer": answer.text, "error": answer.error}
        desk.say(json.dumps(row, ensure_ascii=False, separators=(",", ":")))
    elif answer is None:
        desk.say("\n".join([*(f"{name}: {value}" for name, value in lines), "", plain(sent.body.decode()), ""]))
    else:
        desk.say(f"{time.strftime('%H:%M:%S')}  {desk.paint(sent.type, 'bold', 'cyan')}  {_said(answer, desk.paint)}")


def _said(answer: Answer, paint: Paint) -> str:
    if answer.status is None:
        return f"{paint('not sent', 'bold', 'red')}: {plain(answer.error)}"
    text = plain(" ".join(answer.text.split()))
    short = text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
    return f"{paint(str(answer.status), 'bold', 'green' if answer.good else 'red')} in {answer.ms} ms  {short}".rstrip()
