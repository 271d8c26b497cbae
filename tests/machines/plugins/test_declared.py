"""What a plugin declares is checked as a whole, and said in the author's words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from appliance.api import UNSET, Misdeclared, Plugin, Rejected, UnsetType
from appliance.plugins.asking import asked
from appliance.plugins.declared import examine, seconds
from appliance.plugins.templates import StreamTemplate


@dataclass
class Ordered:
    order: Any = "7"
    line: Any = "a"
    note: Any = None
    extra: Any = UNSET


def template(text: str) -> StreamTemplate:
    return StreamTemplate.of(text, Ordered)


@pytest.mark.parametrize(
    ("text", "category", "name"),
    [
        ("order-{order}", "order", "order-7"),
        ("order-{order}-{line}", "order", "order-7-a"),
        ("order-x-{order}+{line}", "order", "order-x-7+a"),
        ("order", "order", "order"),
        ("order-{{x}}-{order}", "order", "order-{x}-7"),
    ],
)
def test_stream_is_the_template_with_the_fields_in_it(text, category, name):
    assert template(text).category == category
    assert template(text).fill(Ordered()) == name


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no literal category"),
        ("{order}", "no literal category"),
        ("order{order}", "no literal category"),
        ("-{order}", "no literal category"),
        ("order-{order}{line}", "touch"),
        ("order-{id}", "no field 'id'"),
        ("order-{order.__class__}", "no field 'order.__class__'"),
        ("order-{order!r}", "no field 'order'"),
        ("order-{order:>9}", "no field 'order'"),
        ("order-{}", "no field ''"),
        ("order-{", "no template"),
    ],
)
def test_template_that_cannot_be_a_stream_is_refused(text, says):
    with pytest.raises(Misdeclared, match=says):
        template(text)


@pytest.mark.parametrize(
    "value", [7, "anna", "ä", "a b", "a/b", UUID("12345678-1234-5678-1234-567812345678"), "x" * 200]
)
def test_texts_numbers_and_ids_may_name_a_stream(value):
    assert template("order-{order}").fill(Ordered(value)) == f"order-{value}"


@pytest.mark.parametrize("value", ["", "a\nb", "a\x00", "\ud800", "\u200b", "x" * 201, None, True, 1.5, ["a"], UNSET])
def test_other_values_may_not(value):
    with pytest.raises(Rejected, match=r"Ordered\.order"):
        template("order-{order}").fill(Ordered(value))


def test_two_different_events_never_share_a_stream():
    with pytest.raises(Rejected, match="may not contain it"):
        template("order-{order}-{line}").fill(Ordered("a-b", "c"))

    assert template("order-{order}-{line}").fill(Ordered("a", "b-c")) == "order-a-b-c"


def test_draft_has_the_class_name_as_type_and_leaves_out_what_is_unset():
    plugin = Plugin("shop")

    @plugin.event(stream="order-{order}")
    class Paid:
        order: str
        amount: int
        note: str | None = None
        by: str | UnsetType = UNSET

    draft = examine(plugin).draft(Paid("7", 2**60))

    assert (draft.stream, draft.type) == ("order-7", "Paid")
    assert draft.data == '{"order":"7","amount":1152921504606846976,"note":null}'


@pytest.mark.parametrize("value", [object(), "\ud800", {object(): 1}])
def test_event_that_json_cannot_hold_is_rejected(value):
    plugin = Plugin("shop")
    plugin.event(stream="order-{order}")(Ordered)

    with pytest.raises(Rejected, match="holds something JSON cannot"):
        examine(plugin).draft(Ordered("7", note=value))


def test_event_of_a_class_nobody_declared_is_a_mistake_of_the_author():
    with pytest.raises(Misdeclared, match="does not declare"):
        examine(Plugin("shop")).draft(Ordered())


def test_declared_class_becomes_a_frozen_dataclass_and_a_dataclass_stays_what_it_is():
    plugin = Plugin("shop")

    @plugin.event(stream="order-{order}")
    class Paid:
        order: str

    assert plugin.event(stream="order-{order}")(Ordered) is Ordered
    with pytest.raises(AttributeError):
        Paid("7").order = "8"


def test_names_are_declared_once():
    plugin = Plugin("shop")
    plugin.event(stream="order-{order}")(Ordered)

    async def work() -> None: ...
    async def card() -> dict: ...

    plugin.service(work)
    plugin.panel("Orders")(card)

    with pytest.raises(Misdeclared, match="event Ordered twice"):
        plugin.event(stream="order-{order}")(Ordered)
    with pytest.raises(Misdeclared, match="service work twice"):
        plugin.service(work)
    with pytest.raises(Misdeclared, match="panel 'Orders' twice"):
        plugin.panel("Orders")(card)


def test_handler_is_asked_for_its_arguments_once_and_by_name():
    async def handler(ctx, log, own=3) -> None: ...

    assert asked(handler, "service handler").offered == {"ctx", "log"}


def test_handler_that_cannot_be_called_is_refused_before_anything_runs():
    def plain(ctx) -> None: ...
    async def typo(contex) -> None: ...
    async def many(*ctx) -> None: ...
    async def rest(**ctx) -> None: ...
    async def first(ctx, /) -> None: ...

    for handler, says in {plain: "no async", typo: "contex", many: "takes", rest: "takes", first: "takes"}.items():
        plugin = Plugin("shop")
        plugin.service(handler)
        with pytest.raises(Misdeclared, match=says):
            examine(plugin)


def test_field_of_a_type_that_json_has_not_is_refused():
    plugin = Plugin("shop")

    @plugin.event(stream="order-{order}")
    class Paid:
        order: str
        how: complex

    with pytest.raises(Misdeclared, match="Paid has a field that JSON cannot hold"):
        examine(plugin)


def test_retention_belongs_to_the_category():
    plugin = Plugin("shop")
    plugin.event(stream="order-{order}", retention="36h")(Ordered)

    assert examine(plugin).retention == {"order": 129_600.0}


def test_category_with_two_retentions_is_refused():
    plugin = Plugin("shop")
    plugin.event(stream="order-{order}", retention="1d")(Ordered)

    @plugin.event(stream="order-{order}", retention="2d")
    class Paid:
        order: str

    with pytest.raises(Misdeclared, match="two retentions"):
        examine(plugin)


@pytest.mark.parametrize("text", ["", "2", "d", "-1d", "2 days", "0s"])
def test_retention_is_a_duration_with_a_unit(text):
    with pytest.raises(Misdeclared):
        seconds(text)


def test_scope_that_no_token_has_is_refused_for_a_job_too():
    plugin = Plugin("till")

    @plugin.job(scope="everything")  # type: ignore[arg-type]
    async def count() -> None: ...

    with pytest.raises(Misdeclared, match="job Count: there is no scope 'everything'"):
        examine(plugin)


def test_scope_that_no_token_has_is_refused():
    plugin = Plugin("till")

    @plugin.route("GET", "/api/v1/till", scope="writ")  # type: ignore[arg-type]
    async def till() -> None: ...

    with pytest.raises(Misdeclared, match="no scope 'writ'") as caught:
        examine(plugin)
    assert caught.value.hint == 'did you mean "write"?'
