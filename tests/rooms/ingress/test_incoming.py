"""Webhooks that arrive, asked through their routes over a log in memory."""

from __future__ import annotations

import hashlib
import hmac
import json

import pytest
import trio

from appliance.model.event import Namespace, Query
from appliance.model.principal import ADMIN, READ, WRITE, Principal
from tests.rooms.egress.webhook_house import Said, WebhookHouse, a_webhook_house

PATH = "/api/v1/webhooks/incoming"
SECRET = "a secret of the house"
SCHEMA = {"type": "object", "required": ["amount"], "properties": {"amount": {"type": "number"}}}


async def send(house: WebhookHouse, body: bytes, *, secret: str = SECRET, slug: str = "erp", **headers: str) -> Said:
    signature = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    given = {"x-fortemi-signature": signature} | {name.replace("_", "-"): value for name, value in headers.items()}
    return await house.send("POST", f"{PATH}/{slug}", body, given, None)


async def make(house: WebhookHouse, **wish: object) -> Said:
    made = await house.ask("POST", PATH, {"slug": "erp", "hmac_secret": SECRET, **wish})
    assert made.status == 201, made.body
    return made


async def events(house: WebhookHouse) -> list[str]:
    found = await house.log.events(Query(1, categories=("incoming_webhook",)))
    return [event.data for event in found]


async def test_what_is_signed_becomes_one_event_whoever_repeats_it():
    async with a_webhook_house() as house:
        await make(house, headers=["X-Kind"], memory="work")
        first = await send(house, b'{"amount": 1}', idempotency_key="k", x_kind="push")
        again = await send(house, b'{"amount": 1}', idempotency_key="k", x_kind="push")
        other = await send(house, b'{"amount": 2}', idempotency_key="k")
        (data,) = await events(house)
        shown = (await house.ask("GET", f"{PATH}/erp")).json

    assert again.json == first.json | {"idempotency_replay": True}
    assert (first.status, other.status, shown["received"]) == (200, 409, 1)
    assert json.loads(data)["headers"] == {"x-kind": "push"}


async def test_two_at_once_with_one_key_are_one_event():
    async with a_webhook_house() as house:
        await make(house)
        said: list[Said] = []

        async def one() -> None:
            said.append(await send(house, b"{}", idempotency_key="k"))

        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(one)

        assert sum(one.json["idempotency_replay"] for one in said) == 9
        assert len(await events(house)) == 1


async def test_refusals_come_in_their_order_and_leave_nothing():
    async with a_webhook_house() as house:
        await make(house, schema_ref="pay", schema_doc=SCHEMA)
        said = [
            await send(house, b"no json", slug="nobody", secret="wrong"),
            await send(house, b"no json", secret="wrong"),
            await send(house, b"no json"),
            await send(house, b'{"amount": "1"}'),
            await send(house, b'{"amount": 1}', idempotency_key="x" * 300),
        ]
        left = await events(house)

    assert [one.status for one in said] == [404, 401, 400, 400, 422]
    assert "/amount" in said[3].json["message"]
    assert left == []


async def test_a_receiver_is_changed_switched_off_and_ended():
    async with a_webhook_house() as house:
        await make(house)
        changed = (
            await house.ask(
                "PATCH", f"{PATH}/erp", {"provider": "Shop", "schema_doc": SCHEMA, "headers": ["X-A"], "rate": 6}
            )
        ).json
        await house.ask("PATCH", f"{PATH}/erp", {"hmac_secret": "second", "overlap_s": 60})
        both = [(await send(house, b'{"amount": 1}', secret=secret)).status for secret in (SECRET, "second")]
        await house.ask("PATCH", f"{PATH}/erp", {"is_active": False})
        off = (await send(house, b'{"amount": 1}', secret="second")).status
        ended = [(await house.ask(method, f"{PATH}/erp")).status for method in ("DELETE", "GET", "DELETE", "PATCH")]
        free = (await house.ask("POST", PATH, {"slug": "erp"})).json

    assert (changed["provider"], changed["headers"], changed["rate"]) == ("Shop", ["x-a"], 6)
    assert both == [200, 429]  # the second one is signed well, and six a minute are allowed
    assert (off, ended) == (404, [204, 404, 404, 404])
    assert free["hmac_secret"].startswith("whsec_")


async def test_receivers_are_there_after_a_restart():
    async with a_webhook_house() as house:
        await make(house)
        engine = house.engine
    async with a_webhook_house(engine) as house:
        said = await send(house, b"{}")
    async with a_webhook_house(engine, key=b"x" * 32) as house:
        sealed = await send(house, b"{}")

    assert (said.status, sealed.status) == (200, 503)


async def test_a_payload_is_tried_before_it_is_sent():
    async with a_webhook_house() as house:
        await make(house, schema_ref="pay", schema_doc=SCHEMA)
        tried = [
            (await house.ask("POST", f"{PATH}/validate", {"schema_ref": "pay", "payload": payload})).json["valid"]
            for payload in ({"amount": 1}, {}, [])
        ]
        nothing = await house.ask("POST", f"{PATH}/validate", {"schema_ref": "other", "payload": 1})

    assert (tried, nothing.status) == ([True, False, False], 404)


async def test_who_is_bound_to_a_memory_sees_its_own():
    space = Namespace(1, "default")
    bound = Principal(space, frozenset({ADMIN}), subject="bound", memories=frozenset({"work"}))
    reader = Principal(space, frozenset({READ, WRITE}))
    async with a_webhook_house() as house:
        await make(house, memory="home")
        statuses = [
            (await house.ask("POST", PATH, {"slug": "mine", "memory": "work"}, who=bound)).status,
            (await house.ask("POST", PATH, {"slug": "theirs"}, who=bound)).status,
            (await house.ask("GET", f"{PATH}/erp", who=bound)).status,
            (await house.ask("GET", PATH, who=reader)).status,
        ]
        seen = (await house.ask("GET", PATH, who=bound)).json

    assert statuses == [201, 403, 404, 403]
    assert [row["slug"] for row in seen] == ["mine"]


@pytest.mark.parametrize(
    "wish",
    [
        {"slug": "validate"},
        {"slug": "Big"},
        {"slug": "a", "signature_header": "no header"},
        {"slug": "a", "hmac_secret": "whsec_short"},
        {"slug": "a", "schema_doc": {"type": "nonsense"}},
        {"slug": "a", "rate": 0},
        {"slug": "a", "colour": "red"},
        {},
    ],
)
async def test_what_cannot_be_is_refused(wish: dict[str, object]):
    async with a_webhook_house() as house:
        said = await house.ask("POST", PATH, wish)

        assert said.status == 422
        assert said.json["message"]
