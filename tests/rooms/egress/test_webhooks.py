"""The room of webhooks from its routes to real sockets on loopback, over a log in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import trio

from appliance.model.event import Namespace, Query
from appliance.model.principal import ADMIN, READ, Principal
from tests.contracts.receiver import Receiver, receiving
from tests.rooms.egress.webhook_house import WebhookHouse, a_webhook_house

HOOKS, SHELF = "/api/v1/webhooks", "/api/v1/dead-letters"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


async def hook(house: WebhookHouse, receiver: Receiver, **wish: object) -> Any:
    made = await house.ask("POST", HOOKS, {"url": receiver.url, "events": ["ThingDone"], **wish})
    assert made.status == 201, made.body
    return made.json


async def test_an_event_goes_out_and_is_shown_with_its_request(receiver: Receiver):
    async with a_webhook_house() as house:
        made = await hook(house, receiver, name="erp", format="cloudevents")
        event = await house.write("ThingDone", n=1)
        (row,) = await house.settled(made["id"], 1)
        whole = (await house.ask("GET", f"{HOOKS}/{made['id']}/deliveries/{row['id']}")).json
        nothing = await house.ask("GET", f"{HOOKS}/{made['id']}/deliveries/nothing")
        (leg,) = await house.why(event)

    assert (row["state"], row["status_code"], row["event_id"]) == ("succeeded", 200, event.id)
    assert json.loads(whole["request"]["body"])["id"] == event.id
    assert whole["request"]["headers"]["webhook-signature"] == "(hidden)"
    assert json.loads(receiver.taken[0].body)["source"] == "/namespaces/default"
    assert (leg.name, leg.outcome) == ("erp", "done")
    assert nothing.status == 404


async def test_it_is_changed_paused_and_resumed_and_misses_nothing(receiver: Receiver):
    async with a_webhook_house() as house:
        made = await hook(house, receiver)
        one = f"{HOOKS}/{made['id']}"
        paused = (await house.ask("POST", f"{one}/pause")).json
        event = await house.write("OtherDone", n=1)
        (leg,) = await house.why(event)
        changed = (
            await house.ask("PATCH", one, {"events": ["OtherDone"], "max_retries": 1, "url": f"{receiver.url}?a=b"})
        ).json
        replaced = (await house.ask("PATCH", one, {"secret": "another one", "url": receiver.url})).json
        await house.ask("POST", f"{one}/resume")
        await house.settled(made["id"], 1)
        tested = (await house.ask("POST", f"{one}/test")).json
        (listed,) = (await house.ask("GET", HOOKS)).json
        gone = [await house.ask("DELETE", one), await house.ask("GET", one), await house.ask("POST", f"{one}/test")]

    assert (paused["is_active"], leg.outcome) == (False, "skipped")
    assert (changed["events"], changed["max_retries"], changed["url"]) == (
        ["OtherDone"], 1, f"{receiver.url}?a=(hidden)",
    )  # fmt: skip
    assert replaced["public_key"] is None
    assert (tested["status"], listed["id"]) == ("delivered", made["id"])
    assert [said.status for said in gone] == [204, 404, 404]
    assert [json.loads(taken.body)["event"] for taken in receiver.taken] == ["OtherDone", "test"]


async def test_what_was_given_up_lies_on_the_shelf_and_is_tried_again(receiver: Receiver):
    receiver.answer = lambda _: 503
    async with a_webhook_house() as house:
        made = await hook(house, receiver)
        event = await house.write("ThingDone", n=1)
        (row,) = await house.settled(made["id"], 1)
        (leg,) = await house.why(event)
        (letter,) = (await house.ask("GET", SHELF, kind="webhook")).json["dead_letters"]
        receiver.answer = lambda _: 200
        retried = await house.ask("POST", f"{SHELF}/retry", {"source": made["id"]})
        again = await house.settled(made["id"], 2)
        empty = (await house.ask("GET", SHELF)).json
        told = await house.log.events(query_of("webhook"))

    assert (row["state"], row["attempt"], leg.outcome) == ("failed", 3, "failed")
    assert (letter["event_id"], letter["reason"], letter["detail"]) == (event.id, "server", "thanks")
    assert (retried.json, empty["total"]) == ({"retried": 1, "left": 0}, 0)
    assert again[0]["state"] == "succeeded"
    assert [one.type for one in told] == ["WebhookFailed"]
    assert len({taken.id for taken in receiver.taken}) == 1


async def test_the_shelf_is_looked_at_one_by_one_and_dropped(receiver: Receiver):
    receiver.answer = lambda _: 400
    async with a_webhook_house() as house:
        made = await hook(house, receiver)
        for n in range(3):
            await house.write("ThingDone", n=n)
        await house.settled(made["id"], 3)
        letters = (await house.ask("GET", SHELF, limit="2")).json
        first = letters["dead_letters"][0]["id"]
        shown = await house.ask("GET", f"{SHELF}/{first}")
        dropped = [
            (await house.ask("DELETE", f"{SHELF}/{first}")).status,
            (await house.ask("POST", f"{SHELF}/drop", {})).status,
            (await house.ask("GET", SHELF, limit="0")).status,
        ]
        await house.ask("DELETE", f"{HOOKS}/{made['id']}")
        left = (await house.ask("GET", SHELF)).json

    assert (letters["total"], len(letters["dead_letters"]), shown.json["id"]) == (3, 2, first)
    assert dropped == [204, 422, 422]
    assert left["total"] == 0  # a webhook takes its letters along


async def test_one_a_range_and_everything_since_come_again(receiver: Receiver):
    async with a_webhook_house() as house:
        made = await hook(house, receiver)
        one = f"{HOOKS}/{made['id']}/redeliver"
        events = [await house.write("ThingDone", n=n) for n in range(4)]
        rows = await house.settled(made["id"], 4)
        asked = [
            await house.ask("POST", one, {"delivery": rows[0]["id"]}),
            await house.ask("POST", one, {"event": events[1].id}),
            await house.ask("POST", one, {"since": 2, "through": 3}),
        ]
        await house.settled(made["id"], 8)
        back = await house.ask("POST", one, {"since": 1})
        await house.settled(made["id"], 12)
        await house.ask("POST", f"{HOOKS}/{made['id']}/test")
        refused = [
            await house.ask("POST", one, wish)
            for wish in ({}, {"event": "none"}, {"since": 0}, {"colour": 1}, {"delivery": await newest(house, made)})
        ]

    assert [len(said.json["deliveries"]) for said in asked] == [1, 1, 2]
    assert back.json == {"since": 1}
    assert [said.status for said in refused] == [422, 404, 422, 422, 422]
    assert len({taken.id for taken in receiver.taken}) == 5  # four events, and the test


async def test_gone_and_ten_failures_switch_it_off_and_an_event_says_so(receiver: Receiver):
    receiver.answer = lambda _: 410
    async with a_webhook_house() as house:
        made = await hook(house, receiver)
        await house.write("ThingDone", n=1)

        async def off() -> bool:
            return not (await house.ask("GET", f"{HOOKS}/{made['id']}")).json["is_active"]

        await house.until(off)
        waiting = await house.write("ThingDone", n=2)
        (leg,) = await house.why(waiting)
        told = [event.type for event in await house.log.events(query_of("webhook"))]

    assert (leg.outcome, "410" in leg.detail) == ("waiting", True)
    assert told == ["WebhookFailed", "WebhookDisabled"]


async def test_everything_is_there_after_a_restart_and_nothing_without_the_key(receiver: Receiver):
    async with a_webhook_house() as house:
        made = await hook(house, receiver, signature="v1a")
        engine = house.engine
        await house.ask("POST", f"{HOOKS}/{made['id']}/pause")
        await house.write("ThingDone", n=1)
    async with a_webhook_house(engine) as house:
        resumed = (await house.ask("POST", f"{HOOKS}/{made['id']}/resume")).json
        await house.settled(made["id"], 1)
    async with a_webhook_house(engine, key=b"x" * 32) as house:
        (sealed,) = (await house.ask("GET", HOOKS)).json
        refused = await house.ask("POST", f"{HOOKS}/{made['id']}/test")
        healed = await house.ask(
            "PATCH", f"{HOOKS}/{made['id']}", {"url": receiver.url, "secret": "new", "is_active": True}
        )
        tested = (await house.ask("POST", f"{HOOKS}/{made['id']}/test")).json

    assert resumed["public_key"] == made["public_key"]
    assert (sealed["is_active"], refused.status) == (False, 503)
    assert (healed.status, tested["success"]) == (200, True)


@pytest.mark.parametrize(
    ("wish", "status"),
    [
        ({"url": "http://192.168.1.20/"}, 400),
        ({"url": "ftp://127.0.0.1/"}, 400),
        ({"url": "http://127.0.0.1/", "events": [""]}, 400),
        ({"url": "http://127.0.0.1/", "events": ["QueueStatus"]}, 400),
        ({"url": "http://127.0.0.1/", "secret": "whsec_short"}, 422),
        ({"url": "http://127.0.0.1/", "condition": "data.n >"}, 400),
        ({"url": "http://127.0.0.1/", "signature": "v9"}, 422),
        ({"events": []}, 422),
        (b"no json", 422),
    ],
)
async def test_what_cannot_be_is_refused(wish: Any, status: int):
    async with a_webhook_house() as house:
        said = await house.ask("POST", HOOKS, wish)

        assert said.status == status, said.body
        assert said.json["message"]


async def test_a_name_that_leads_elsewhere_now_is_refused_when_it_is_sent(receiver: Receiver):
    async with a_webhook_house() as house:
        made = await hook(house, receiver, url="https://rebound.example.com/hook")
        tested = (await house.ask("POST", f"{HOOKS}/{made['id']}/test")).json

    assert (tested["status"], tested["error_class"]) == ("failed", "refused")


async def test_a_preview_says_what_would_be_sent_or_why_nothing(receiver: Receiver):
    async with a_webhook_house() as house:
        event = await house.write("ThingDone", n=5)
        made = await hook(house, receiver, condition="data.n > 9")
        ask = {"event": event.id, "format": "standard"}
        told = (await house.ask("POST", f"{HOOKS}/preview", ask)).json
        skipped = (await house.ask("POST", f"{HOOKS}/preview", ask | {"condition": "data.n > 9"})).json
        like = (await house.ask("POST", f"{HOOKS}/preview", {"event": event.id, "webhook": made["id"]})).json
        nothing = [
            (await house.ask("POST", f"{HOOKS}/preview", wish)).status
            for wish in ({"event": "none"}, {"event": event.id, "webhook": "none"}, {})
        ]
        (leg,) = await house.why(event)

    assert (told["told"], json.loads(told["body"])["type"]) == (True, "thing.done")
    assert (skipped["told"], "needed > 9" in skipped["reason"]) == (False, True)
    assert skipped["reason"] == like["reason"] == leg.detail
    assert nothing == [404, 404, 422]


async def test_who_is_bound_to_a_memory_sees_its_own_and_nobody_else_anything(receiver: Receiver):
    space = Namespace(1, "default")
    bound = Principal(space, frozenset({ADMIN}), subject="bound", memories=frozenset({"work"}))
    reader = Principal(space, frozenset({READ}))
    async with a_webhook_house() as house:
        everything = await hook(house, receiver)
        mine = (await house.ask("POST", HOOKS, {"url": receiver.url}, who=bound)).json
        seen = (await house.ask("GET", HOOKS, who=bound)).json
        event = await house.write("ThingDone", memory="work", n=1)
        legs = [len(await house.why(event, who)) for who in (house.caller, bound, reader)]
        statuses = [
            (await house.ask(method, path, who=who)).status
            for method, path, who in (
                ("GET", f"{HOOKS}/{everything['id']}", bound),
                ("GET", SHELF, bound),
                ("GET", HOOKS, reader),
                ("GET", f"{HOOKS}/{mine['id']}", bound),
            )
        ]

    assert [row["id"] for row in seen] == [mine["id"]]
    assert (mine["memories"], legs) == (["work"], [2, 1, 0])
    assert statuses == [404, 403, 403, 200]


async def test_a_redacted_row_has_lengths_and_no_names(receiver: Receiver):
    async with a_webhook_house() as house:
        made = await hook(house, receiver, url=f"{receiver.url}?key=canary", name="canary")
        await house.write("ThingDone", token="canary")
        await house.settled(made["id"], 1)
        row = await house.ask("GET", f"{HOOKS}/{made['id']}", redact="true")
        (delivery,) = (await house.ask("GET", f"{HOOKS}/{made['id']}/deliveries", redact="true")).json
        refused = await house.ask("GET", HOOKS, redact="perhaps")

    assert (row.json["url_secret_candidate"], delivery["payload_secret_candidate"]) == (True, True)
    assert b"canary" not in row.body + json.dumps(delivery).encode()
    assert refused.status == 422


async def test_a_change_while_it_sends_waits_for_what_is_on_its_way(receiver: Receiver):
    async with a_webhook_house() as house:
        made = await hook(house, receiver, ordered=True, rate=100_000)
        for n in range(30):
            await house.write("ThingDone", n=n)
        async with trio.open_nursery() as nursery:
            for name in ("a", "b", "c"):
                nursery.start_soon(house.ask, "PATCH", f"{HOOKS}/{made['id']}", {"name": name})
        await house.settled(made["id"], 30)

    assert [json.loads(taken.body)["data"]["n"] for taken in receiver.taken] == list(range(30))  # none twice


def query_of(category: str) -> Query:
    return Query(1, categories=(category,))


async def newest(house: WebhookHouse, made: Any) -> str:
    id: str = (await house.ask("GET", f"{HOOKS}/{made['id']}/deliveries", limit="1")).json[0]["id"]
    return id
