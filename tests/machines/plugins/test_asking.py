"""What handlers ask for, what plugins may declare, and values on their way in and out."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.api import Misdeclared, NotFound, Plugin, Rejected, Response
from appliance.errors import Forbidden
from appliance.model.event import Namespace
from appliance.model.http import Request
from appliance.model.principal import Principal
from appliance.plugins.asking import asked
from appliance.plugins.declared import examine
from appliance.plugins.encoding import View, encoded, pairs, viewed
from appliance.plugins.outside import places_named
from appliance.plugins.requests import asking, rendered

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def declared(declare: Any) -> Any:
    plugin = Plugin("shop")
    declare(plugin)
    return examine(plugin)


async def handler(ctx, order_id: int, note: UUID, name) -> None: ...


def test_parts_of_a_path_come_as_they_are_annotated():
    ask = asked(handler, "route", parameters=["order_id", "note", "name"])

    found = ask.converted({"order_id": "7", "note": "01a1fedb-18e6-7716-bb14-11102d263dd3", "name": "x"})

    assert found == {"order_id": 7, "note": UUID("01a1fedb-18e6-7716-bb14-11102d263dd3"), "name": "x"}
    with pytest.raises(Rejected, match="order_id in the path is no int"):
        ask.converted({"order_id": "seven", "note": "x", "name": "x"})


def test_arguments_of_a_job_are_checked_before_it_is_queued():
    async def work(ctx, name, factor=2) -> None: ...

    ask = asked(work, "job Work", parameters=None)

    ask.check({"name": 1})
    ask.check({"name": 1, "factor": 3})
    with pytest.raises(Rejected, match="needs argument 'name'"):
        ask.check({"factor": 3})
    with pytest.raises(Rejected, match="takes no argument 'nam'") as refused:
        ask.check({"nam": 3, "name": 1})
    assert refused.value.hint == 'did you mean "name"?'


async def fine(ctx) -> None: ...


def plain() -> None: ...


async def strange(path: complex) -> None: ...


async def wants(ctx, job) -> None: ...


async def checks(other) -> None: ...


WRONG = {
    "method": (lambda p: p.route("FETCH", "/x", scope=None)(fine), "no such method"),
    "path": (lambda p: p.route("GET", "x", scope=None)(fine), "is no path"),
    "dots": (lambda p: p.route("GET", "/a/{b}c", scope=None)(fine), "is no path"),
    "twice": (lambda p: p.route("GET", "/{a}/{a}", scope=None)(fine), "two parts of one name"),
    "kind": (lambda p: p.route("GET", "/{path}", scope=None)(strange), "cannot be complex"),
    "answer": (lambda p: p.route("GET", "/x", scope=None, answer=complex)(fine), "nothing JSON can hold"),
    "blocking": (lambda p: p.route("GET", "/x", scope=None, blocking=True)(fine), "is blocking, and an async"),
    "plain": (lambda p: p.route("GET", "/x", scope=None)(plain), "no async function"),
    "nothing": (lambda p: p.on()(fine), "names no event"),
    "foreign": (lambda p: p.on(int)(fine), "int is no event of this plugin"),
    "retry": (lambda p: p.on("A", retry="often")(fine), "is no duration"),
    "job name": (lambda p: p.job("work")(fine), "spelled like TitleGeneration"),
    "timeout": (lambda p: p.job("Work", timeout=0)(fine), "never runs"),
    "process": (lambda p: p.job("Work", process=True)(lambda ctx: None), "cannot have ctx"),
    "check": (lambda p: p.job("Work", check=checks)(fine), "asks for other"),
    "action": (lambda p: p.action("Say hello")(fine), "a name is a word"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_cannot_be_is_told_to_the_author_before_anything_runs(what):
    declare, says = WRONG[what]

    with pytest.raises(Misdeclared, match=says):
        declared(declare)


def test_everything_is_declared_once():
    plugin = Plugin("shop")
    for door in (
        lambda: plugin.route("GET", "/x", scope=None)(fine),
        lambda: plugin.on("A")(fine),
        lambda: plugin.job()(fine),
        lambda: plugin.action("x")(fine),
    ):
        door()
        with pytest.raises(Misdeclared, match="twice"):
            door()


def test_event_that_is_not_of_its_types_is_refused_when_it_is_emitted():
    plugin = Plugin("shop")

    @plugin.event(stream="order-{order}", dotted="shop.paid", priority="low", stored=False, merge="x:{id}")
    class Paid:
        order: str
        total: int

    found = examine(plugin)

    with pytest.raises(Rejected, match="Paid: Expected `int`"):
        found.draft(Paid("7", "much"))
    kind = found.kinds[Paid].type
    assert (kind.dotted, kind.stored, kind.priority.value, kind.merge) == ("shop.paid", False, "low", "x:{id}")
    assert (kind.entity, kind.field) == ("order", "order")


def test_what_an_event_is_about_can_be_said():
    plugin = Plugin("shop")

    @plugin.event(stream="note-{note_id}", entity="index", about="job_id")
    class Indexed:
        note_id: str
        job_id: str

    kind = examine(plugin).kinds[Indexed].type

    assert (kind.entity, kind.field) == ("index", "job_id")


@given(JSON)
def test_view_shows_every_value_as_it_is(value):
    def plainly(shown: Any) -> Any:
        if isinstance(shown, View):
            return {name: plainly(inner) for name, inner in shown.items()}
        return [plainly(inner) for inner in shown] if isinstance(shown, tuple) else shown

    assert plainly(viewed(value)) == value


def test_view_has_members_as_attributes_and_cannot_be_changed():
    view = viewed({"total": 7, "of": {"whom": "anna"}})

    assert (view.total, view.of.whom, view["total"], view.get("more", 1), "of" in view) == (7, "anna", 7, 1, True)
    with pytest.raises(AttributeError, match="the event has no 'totl'; it has total, of"):
        _ = view.totl
    with pytest.raises(AttributeError, match="cannot be changed"):
        view.total = 8


def test_index_is_written_as_pairs():
    assert pairs({"tag": ["a", "b"], "archived": "no"}) == (("tag", "a"), ("tag", "b"), ("archived", "no"))
    assert pairs(None) == ()


@pytest.mark.parametrize("value", [object(), {object(): 1}, "\ud800"])
def test_value_that_json_cannot_hold_is_rejected(value):
    with pytest.raises(Rejected, match="cannot hold"):
        encoded(value, "this")


def request(memories: str = "", **given: Any) -> Request:
    who = Principal(Namespace(1, "default"), frozenset({"read"}), "anna", memories=frozenset(memories.split()))
    return Request("GET", "/x", principal=who, **given)


@pytest.mark.parametrize(
    ("bound", "query", "headers", "memory"),
    [
        ("", "", {}, ""),
        ("", "memory=work", {}, "work"),
        ("", "", {"x-fortemi-memory": "work"}, "work"),
        ("", "", {"x-appliance-memory": "home"}, "home"),
        ("work", "", {}, "work"),
        ("work home", "memory=home", {}, "home"),
    ],
)
def test_memory_of_a_request_is_the_one_named_or_the_only_one(bound, query, headers, memory):
    assert asking(request(bound, raw_query=query, headers=headers)).memory == memory


def test_memory_that_is_not_the_callers_is_forbidden():
    with pytest.raises(Forbidden):
        asking(request("work", raw_query="memory=home"))
    with pytest.raises(Rejected, match="several memories"):
        asking(request("work home"))


def test_answers_are_sent_as_what_they_are():
    sent = {
        "none": rendered(None, 200),
        "json": rendered({"a": 1}, 201),
        "bytes": rendered(Response(b"\x00"), 200),
        "text": rendered(Response("hi", status=202, headers={"X-A": "b"}), 200),
        "page": rendered(Response("<p>", content_type="text/html"), 200),
    }

    assert {name: (one.status, one.content_type) for name, one in sent.items()} == {
        "none": (204, ""),
        "json": (201, "application/json"),
        "bytes": (200, "application/octet-stream"),
        "text": (202, "text/plain; charset=utf-8"),
        "page": (200, "text/html"),
    }
    assert sent["text"].headers == (("x-a", "b"),)
    assert msgspec.json.decode(sent["json"].body) == {"a": 1}


def test_hosts_that_a_config_names_in_urls_are_open():
    config = {"endpoint": "http://ollama.local:11434/v1", "more": ["https://a.example/x"], "text": "http://", "n": 1}

    assert set(places_named(config)) == {("ollama.local", 11434), ("a.example", 443)}


def test_handlers_first_line_is_its_summary():
    plugin = Plugin("shop")

    @plugin.route("GET", "/x", scope="read")
    async def show() -> None:
        """Show it.

        At length.
        """
        raise NotFound("x")

    assert examine(plugin).routes[0][0].summary == "Show it."
