"""/ws/broadcast and POST /broadcast over a real bus: who hears what, from where on, and what is refused."""

from __future__ import annotations

import random

import pytest
import trio
import trio.testing

from appliance.egress.broadcast.pace import STRIKES
from appliance.errors import TooManyClients, Unauthenticated, Unavailable
from appliance.model.event import Draft, Unit
from appliance.model.http import Request
from appliance.model.principal import READ, Principal
from tests.rooms.egress.broadcast_room import ADMIN, BOUND, READER, SPACE, STRANGER, WRITER, Listener, Room, a_room

quiet = trio.testing.wait_all_tasks_blocked
ITEM = {"channel": "order", "event": "item_added", "payload": {"entity_id": "123"}}


# -- the checklist -----------------------------------------------------------------------------


async def test_a_client_connects_and_subscribes():
    """2.1a: the count of `orders` is 1 after the frame"""
    async with a_room() as room:
        before = await room.channel("orders")
        await room.listens("orders")

        assert (before[1]["subscriber_count"], (await room.channel("orders"))[1]["subscriber_count"]) == (0, 1)
        assert (await room.posts({**ITEM, "channel": "orders"}))[1]["subscriber_count"] == 1


async def test_a_client_receives_a_broadcast():
    """2.1b: channel, event, `payload.entity_id` = 123"""
    async with a_room() as room:
        client = await room.listens("order")

        status, answer = await room.posts(ITEM)

        (said,) = client.messages()
        assert status == 200
        assert {name: said[name] for name in ITEM} == ITEM
        assert said["payload"]["entity_id"] == "123"
        assert (said["id"], said["offset"], list(said)[-1]) == (answer["id"], answer["offset"], "ts")


async def test_several_clients_hear_one_channel():
    """2.1c: count 2, both receive"""
    async with a_room() as room:
        clients = [await room.listens("order") for _ in range(2)]
        elsewhere = await room.listens("orders")

        _, answer = await room.posts(ITEM)

        assert answer["subscriber_count"] == 2
        assert [client.got("event") for client in clients] == [[["item_added"]]] * 2
        assert elsewhere.messages() == []


async def test_a_client_unsubscribes():
    """2.1d: count 1 → 0, no more delivery"""
    async with a_room() as room:
        client = await room.listens("order", "contact")
        _, before = await room.posts(ITEM)

        await room.says(client, {"unsubscribe": ["order", "never-subscribed"]})
        _, after = await room.posts(ITEM)
        await room.posts({**ITEM, "channel": "contact"})

        assert (before["subscriber_count"], after["subscriber_count"]) == (1, 0)
        assert client.got("channel", "offset") == [["order", 0], ["contact", 0]]


@pytest.mark.parametrize("name", ["event", "event_type"])
async def test_both_forms_of_the_body_are_answered_with_the_union(name: str):
    """infra1: POST"""
    async with a_room() as room:
        status, answer = await room.posts({"channel": "order", name: "created", "payload": {}})

        facts = {name: answer.pop(name) for name in ("id", "offset")}
        assert (status, facts["offset"]) == (200, 0)
        assert answer == {
            "success": True,
            "status": "broadcasted",
            "channel": "order",
            "event": "created",
            "event_type": "created",
            "subscriber_count": 0,
        }


async def test_a_client_that_returns_hears_each_message_once():
    """scenario 4: all channels again subscribed, messages flow, once each, the count is right, the gap is replayed"""
    async with a_room() as room:
        first = await room.listens("order", "contact", since={})
        for number in range(3):
            await room.sends("order", "created", n=number)
        await room.sends("contact", "created")
        first.leaves()
        await quiet()
        missed = [await room.sends("order", "created", n=number) for number in (3, 4)]

        seen = dict(first.got("channel", "offset"))
        second = await room.listens("order", "contact", since=seen)
        last = await room.sends("order", "created", n=5)

        assert [one["subscriber_count"] for one in (*missed, last)] == [0, 0, 1]
        assert seen == {"order": 2, "contact": 0}
        assert second.got("channel", "offset") == [["order", 3], ["order", 4], ["order", 5]]
        assert second.control() == [{"type": "subscribed", "channels": ["order", "contact"], "offsets": seen}]
        assert room.bus.members == 2


# -- frames ------------------------------------------------------------------------------------


async def test_the_plain_client_hears_nothing_but_a_welcome_and_its_messages():
    async with a_room() as room:
        client = await room.listens("order")
        await room.says(client, {"unsubscribe": ["order"]})

        (welcome,) = [one for opcode, one in client.frames() if opcode == 1]

        assert client.messages() == []
        assert b'"type":"welcome"' in welcome


async def test_twice_is_once_and_both_keys_end_unsubscribed():
    async with a_room() as room:
        client = await room.listens("a", "a", "b")
        await room.says(client, {"subscribe": ["a"]})
        await room.says(client, {"subscribe": ["b", "c"], "unsubscribe": ["b", "c"]})
        for channel in ("a", "b", "c"):
            await room.sends(channel)

        assert client.got("channel") == [["a"]]
        assert room.bus.members == 1
        assert room.seats.channels(1) == ["a"]


async def test_frames_that_came_with_the_handshake_are_dealt_with():
    async with a_room() as room:
        client = await room.connects()
        client.says({"subscribe": ["a"]})
        client.says({"subscribe": ["b"]})
        await quiet()

        await room.sends("b")

        assert client.got("channel") == [["b"]]


async def test_a_frame_that_is_none_is_answered_and_the_connection_stays():
    async with a_room() as room:
        client = await room.connects()
        for frame in ("hello", "[]", {"subscribe": ["a"], "since": 7}):
            await room.says(client, frame)
        await room.says(client, {"subscribe": ["a"]})
        await room.sends("a")

        assert [one.get("code") for one in client.messages()] == ["bad_frame", "bad_frame", "bad_frame", None]
        assert all(one["message"] and one["hint"] for one in client.control())


async def test_a_client_that_asks_is_told_where_it_begins_and_by_its_own_tag():
    async with a_room() as room:
        await room.sends("a")
        client = await room.listens("a", "b", ack="first")
        await room.says(client, {"unsubscribe": ["b"], "subscribe": ["a"], "ack": 2})

        assert client.control() == [
            {"type": "subscribed", "channels": ["a", "b"], "offsets": {"a": 0, "b": -1}, "ack": "first"},
            {"type": "subscribed", "channels": ["a"], "offsets": {}, "ack": 2},
            {"type": "unsubscribed", "channels": ["b"], "ack": 2},
        ]


async def test_the_roster_knows_the_channels_and_the_welcome_names_the_connection():
    async with a_room() as room:
        client = await room.listens("a", "b")

        (row,) = room.manager.rows(ADMIN)
        (welcome,) = [one for one in super(type(client), client).messages() if one["type"] == "welcome"]

        assert (row["dialect"], row["topics"], row["received"], row["lag"]) == ("broadcast", ["a", "b"], 1, 0)
        assert welcome == {
            "type": "welcome", "connection_id": row["id"], "ping_every_s": 25.0, "ping_deadline_s": 35.0,
        }  # fmt: skip


async def test_a_silent_client_is_pinged_every_25_seconds_and_given_up_after_35(autojump_clock):
    async with a_room() as room:
        client = await room.listens("order")
        began = trio.current_time()

        await trio.sleep(26)
        pings = [opcode for opcode, _ in client.frames()].count(9)
        await client.gone.wait()
        await quiet()

        assert pings == 1
        assert client.ended is not None
        assert client.ended[0] == 4003
        assert 35 <= trio.current_time() - began <= 38
        assert room.seats.count(1, "order") == 0


# -- history -----------------------------------------------------------------------------------


async def test_history_joins_what_is_live_without_gap_or_double():
    async with a_room() as room:
        for number in range(1200):  # more than a page of the log
            await room.sends("order", n=number)
        client = await room.connects()
        client.says({"subscribe": ["order"], "since": {"order": 99}})
        for number in range(1200, 1300):
            await room.sends("order", n=number)
        await quiet()

        assert client.got("offset") == [[offset] for offset in range(100, 1300)]


async def test_a_beginning_told_is_exact_while_messages_are_on_their_way_from_disk():
    """What is on disk and not shown yet comes live: it must not lie behind the offset that is told."""
    async with a_room() as room:
        await room.sends("order", n=0)
        room.log.slow = True
        for number in (1, 2):
            room.log.submit(Unit(1, (Draft("channel-order", "changed", f'{{"n":{number}}}'),)))
        client = await room.listens("order", ack=True)

        room.log.show()
        await quiet()

        assert client.control()[0]["offsets"] == {"order": 0}
        assert client.got("offset") == [[1], [2]]


async def test_who_is_told_that_it_is_subscribed_counts_and_misses_nothing_from_then_on():
    async with a_room() as room:
        client = await room.connects()
        client.says({"subscribe": [f"c{number}" for number in range(50)], "ack": 1})
        while not client.control():
            await client.more()
        answers = [await room.sends(f"c{number}") for number in (0, 49)]
        await quiet()

        assert [answer["subscriber_count"] for answer in answers] == [1, 1]
        assert client.got("channel", "offset") == [["c0", 0], ["c49", 0]]


async def test_everything_that_is_stored_comes_from_minus_one_on():
    async with a_room() as room:
        await room.sends("order")
        client = await room.listens("order", "new", since={"order": -1, "new": -1})
        await room.sends("new")

        assert client.got("channel", "offset") == [["order", 0], ["new", 0]]
        assert client.control()[0]["offsets"] == {"order": -1, "new": -1}


async def test_a_past_that_is_gone_is_told_before_what_is_left():
    async with a_room() as room:
        sent = [await room.sends("order", n=number) for number in range(10)]
        room.log.forget_before(8)
        client = await room.listens("order", since={"order": 2})
        current = await room.listens("order", since={"order": 6})

        kept = [one for one in client.messages() if one.get("type") != "subscribed"]

        assert kept[0] == {"type": "gap", "channels": ["order"], "asked": 3, "next": 7}
        assert client.got("offset") == current.got("offset") == [[7], [8], [9]]
        assert len(sent) == 10
        assert [one["type"] for one in current.control()] == ["subscribed"]


async def test_a_place_that_lies_ahead_is_a_gap_too():
    """The log was emptied, or is an older one: what the client has seen is not what there was here."""
    async with a_room() as room:
        await room.sends("order")
        client = await room.listens("order", since={"order": 41})
        await room.sends("order")

        assert client.control()[1] == {"type": "gap", "channels": ["order"], "asked": 42, "next": 1}
        assert client.control()[0]["offsets"] == {"order": 0}
        assert client.got("offset") == [[1]]


async def test_a_channel_asked_for_again_with_since_comes_again_from_there():
    async with a_room() as room:
        client = await room.listens("order", "contact")
        await room.sends("order")
        await room.sends("order")
        await room.says(client, {"subscribe": ["order", "contact"], "since": {"order": 0}})
        await room.sends("order")

        assert client.got("offset") == [[0], [1], [1], [2]]
        assert room.bus.members == 2
        assert room.seats.count(1, "order") == 1


async def test_a_client_that_falls_behind_reads_on_from_the_log():
    async with a_room(blocks=4) as room:
        slow, quick = await room.listens("order"), await room.listens("order")
        slow.stuck = True
        for number in range(50):
            await room.sends("order", n=number)
        behind = room.manager.rows(ADMIN)[0]["lag"]
        slow.free()
        await quiet()

        assert behind == 50
        assert slow.got("offset") == quick.got("offset") == [[offset] for offset in range(50)]
        assert slow.control() == []


async def test_a_client_that_takes_nothing_is_cut_and_delays_nobody(autojump_clock):
    async with a_room() as room:
        stalled, quick = await room.listens("order", "contact"), await room.listens("order")
        stalled.stuck = True
        for number in range(20):
            await room.sends("order", n=number)
        heard = len(quick.got("offset"))
        await stalled.gone.wait()
        await quiet()

        assert heard == 20
        assert stalled.ended == (4008, "fell behind; resume")
        assert (room.seats.count(1, "order"), room.bus.members) == (1, 1)


async def test_a_log_that_cannot_be_read_ends_the_connection_and_leaves_nothing():
    async with a_room() as room:
        client = Listener()
        client.request = Request("GET", "/ws/broadcast", principal=READER)
        client.says({"subscribe": ["order"], "since": {"order": 0}})
        room.log.failing = Unavailable("the disk is away")

        with pytest.raises(Unavailable):
            await room.endpoint.serve(client)

        assert (room.seats.connections(1), room.seats.channels(1), room.bus.members) == (0, [], 0)


# -- limits ------------------------------------------------------------------------------------


async def test_channels_beyond_the_limit_and_impossible_names_are_refused_by_name():
    async with a_room(channels=2) as room:
        client = await room.listens("a", "x" * 201, "b", "c", "a\x00")
        await room.says(client, {"subscribe": ["a", "d"], "unsubscribe": ["b"]})
        for channel in ("a", "b", "c", "d"):
            await room.sends(channel)

        errors = [(one["code"], one["channels"]) for one in client.control()]
        assert errors == [("bad_channel", ["x" * 201, "a\x00"]), ("too_many_channels", ["c"])]
        assert client.got("channel") == [["a"], ["d"]]


async def test_a_burst_is_heard_a_little_later_and_told_so(autojump_clock):
    """A page that mounts many components at once must not lose a subscription."""
    async with a_room(frames=10) as room:
        client = await room.connects()
        for number in range(25):
            client.says({"subscribe": [f"c{number}"]})
        await trio.sleep(3)

        assert len(room.seats.channels(1)) == 25
        assert [one["code"] for one in client.control()] == ["too_many_frames"] * 2
        assert client.ended is None


async def test_a_flood_ends_with_1008(autojump_clock):
    async with a_room(frames=5) as room:
        client = await room.connects()
        for _ in range(99):
            client.says({"subscribe": ["a"]})
        await client.gone.wait()

        assert client.ended == (1008, "too many frames a second")
        assert len(client.control()) == STRIKES - 1
        assert room.seats.connections(1) == 0


async def test_ten_thousand_channels_cost_their_listeners_and_nobody_else():
    async with a_room() as room:
        clients = [await room.connects() for _ in range(100)]
        for number, client in enumerate(clients):
            client.says({"subscribe": [f"c{number * 100 + each}" for each in range(100)]})
        await quiet()
        reads = room.log.reads

        await room.sends("c4242")

        assert (len(room.seats.channels(1)), room.bus.members, room.bus.audiences) == (10_000,) * 3
        assert room.log.reads == reads == 0
        assert [number for number, client in enumerate(clients) if client.messages()] == [42]


# -- who ---------------------------------------------------------------------------------------


async def test_without_a_token_nobody_comes_in_unless_that_is_allowed():
    async with a_room() as closed, a_room(anonymous=True) as open_room:
        with pytest.raises(Unauthenticated, match="needs a token"):
            closed.endpoint.admit(Request("GET", "/ws/broadcast"))
        client = await open_room.listens("order", principal=None)
        await open_room.sends("order")

        assert client.got("channel") == [["order"]]


async def test_a_token_that_is_shown_and_not_valid_is_refused_although_strangers_may_listen():
    async with a_room(anonymous=True) as room:
        with pytest.raises(Unauthenticated, match="not valid"):
            room.endpoint.admit(Request("GET", "/ws/broadcast", headers={"authorization": "Bearer wrong"}))


async def test_one_too_many_is_refused_before_the_upgrade():
    async with a_room() as room:
        room.manager._roster._total = 1
        await room.connects()

        with pytest.raises(TooManyClients):
            room.endpoint.admit(Request("GET", "/ws/broadcast", principal=READER))


async def test_a_channel_that_is_refused_is_named_and_the_connection_stays():
    def rule(principal: Principal, channel: str, scope: str) -> bool:
        return principal.may(scope) and not channel.startswith("secret")

    async with a_room(may=rule) as room:
        client = await room.listens("order", "secret-a", "secret-b", ack=1)
        await room.sends("order")
        status, refused = await room.posts({**ITEM, "channel": "secret-a"}, ADMIN)

        assert client.control() == [
            {
                "type": "subscribe_error",
                "channels": ["secret-a", "secret-b"],
                "code": "forbidden",
                "message": "you may not listen to these channels",
            },
            {"type": "subscribed", "channels": ["order"], "offsets": {"order": -1}, "ack": 1},
        ]
        assert client.got("channel") == [["order"]]
        assert (status, refused["code"]) == (403, "forbidden")
        assert (await room.channel("secret-a"))[0] == 403
        assert [row["channel"] for row in (await room.channels())[1]["channels"]] == ["order"]


async def test_a_token_without_scope_read_hears_nothing():
    async with a_room() as room:
        writer = Principal(SPACE, frozenset({"write"}))
        client = await room.listens("order", principal=writer)
        await room.sends("order")

        assert [one["code"] for one in client.messages()] == ["forbidden"]
        assert room.seats.count(1, "order") == 0
        assert not writer.may(READ)


async def test_nothing_crosses_namespaces():
    async with a_room() as room:
        ours, theirs = await room.listens("order"), await room.listens("order", principal=STRANGER, since={})
        _, answer = await room.posts(ITEM, WRITER)
        await room.posts({**ITEM, "event": "theirs"}, STRANGER)

        assert answer["subscriber_count"] == 1
        assert (ours.got("event"), theirs.got("event")) == ([["item_added"]], [["theirs"]])
        assert (await room.channels(principal=STRANGER))[1]["total_connections"] == 1


async def test_messages_of_a_memory_are_heard_by_those_who_may():
    async with a_room() as room:
        clients = {who: await room.listens("order", principal=who) for who in (ADMIN, READER, BOUND)}
        await room.posts({**ITEM, "event": "plain"}, WRITER)
        await room.posts({**ITEM, "event": "bound"}, BOUND)  # labelled with its one memory
        await room.posts({**ITEM, "event": "elsewhere", "memory": "home"}, ADMIN)
        late = await room.listens("order", principal=BOUND, since={"order": -1})

        heard = [[event for (event,) in client.got("event")] for client in clients.values()]
        assert heard == [["plain", "bound", "elsewhere"], ["plain"], ["bound"]]
        assert late.got("event") == [["bound"]]
        assert (await room.posts({**ITEM, "memory": "home"}, BOUND))[0] == 403
        assert (await room.channels(principal=BOUND))[0] == 403


# -- sending -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400), (b"{", 400), (b'{"channel":"a"', 400), ([], 422), ({}, 422),
        ({"channel": "a", "event": "e"}, 422), ({"channel": "a", "payload": {}}, 422),
        ({"event": "e", "payload": {}}, 422), ({"channel": 1, "event": "e", "payload": {}}, 422),
        ({"channel": "a", "event": 1, "payload": {}}, 422), ({"channel": "a", "event": "", "payload": {}}, 422),
        ({"channel": "a", "event": "e", "payload": []}, 422), ({"channel": "a", "event": "e", "payload": None}, 422),
        ({"channel": "a", "event": "e", "payload": "x"}, 422), ({"channel": "", "event": "e", "payload": {}}, 422),
        ({"channel": "a\n", "event": "e", "payload": {}}, 422), ({"channel": "a", "event": "e\n", "payload": {}}, 422),
        ({"channel": "a", "event": "e", "event_type": "f", "payload": {}}, 422),
        ({"channel": "a", "event": "e", "payload": {}, "origin": "1", "mutation_id": "2"}, 422),
        ({"channel": "a", "event": "e", "payload": {}, "origin": "x" * 201}, 422),
        ({"channel": "x" * 201, "event": "e", "payload": {}}, 422),
        (b'{"channel":"a","event":"e","payload":{"x":"\\u0000"}}', 400),
        ({"channel": "a", "event": "e", "event_type": "e", "payload": {}}, 200),
        ({"channel": "a", "event": "e", "event_type": None, "payload": {}, "more": 1}, 200),
    ],
)  # fmt: skip
async def test_a_body_is_taken_or_refused_with_a_reason(body: object, status: int):
    """infra1: 422 for a missing or wrongly typed member, 400 for bad JSON"""
    async with a_room() as room:
        found, answer = await room.posts(body)

        assert found == status
        assert status == 200 or answer["message"]
        assert len(room.log.engine.reader().heads(1)) == (status == 200)


async def test_sending_needs_scope_write():
    async with a_room() as room:
        assert (await room.posts(ITEM, READER))[0] == 403
        assert (await room.posts(ITEM, None))[0] == 401


async def test_whatever_its_blanks_a_payload_goes_out_in_one_line_with_its_numbers():
    async with a_room() as room:
        client = await room.listens("order")

        await room.posts(b'{"channel":"order","event":"e","payload": {\n "n" : 1.0,\r\n "big":12345678901234567890 } }')

        (frame,) = [payload for _, payload in client.frames() if payload.startswith(b'{"channel"')]
        assert b'"payload":{"n":1.0,"big":12345678901234567890}' in frame


async def test_an_answer_means_that_every_socket_that_keeps_up_was_offered_the_message():
    async with a_room() as room:
        clients = [await room.listens("order") for _ in range(400)]  # more than one turn of the flusher

        _, answer = await room.posts(ITEM)
        at_once = sum(len(client.messages()) for client in clients)

        assert (answer["subscriber_count"], at_once) == (400, 400)


async def test_a_repeat_with_its_key_is_answered_as_before_and_not_sent_again():
    async with a_room() as room:
        client = await room.listens("order")

        first = await room.posts(ITEM, key="k1")
        again = await room.posts(ITEM, key="k1")
        other = await room.posts({**ITEM, "event": "other"}, key="k1")

        assert first == again
        assert (other[0], other[1]["code"]) == (422, "idempotency_key_reused")
        assert client.got("event") == [["item_added"]]


@pytest.mark.parametrize("name", ["origin", "mutation_id"])
async def test_its_writer_knows_a_message_again(name: str):
    async with a_room() as room:
        client = await room.listens("order")

        await room.posts({**ITEM, name: "m-1"})

        assert client.got("origin") == [["m-1"]]


async def test_a_connection_is_spared_its_own_message():
    async with a_room() as room:
        author, other = await room.listens("order", "contact"), await room.listens("order")
        (row, _) = room.manager.rows(ADMIN)

        await room.posts({**ITEM, "exclude": row["id"]})
        await room.posts({**ITEM, "event": "next"})
        await room.posts({**ITEM, "channel": "contact", "exclude": "nobody"})

        assert author.got("event") == [["next"], ["item_added"]]
        assert other.got("event") == [["item_added"], ["next"]]


async def test_a_spared_connection_that_is_behind_is_spared_when_it_catches_up():
    async with a_room(blocks=2) as room:
        author = await room.listens("order")
        (row,) = room.manager.rows(ADMIN)
        author.stuck = True
        await room.sends("order", "first")
        for number in range(6):
            await room.posts({**ITEM, "event": f"own-{number}", "exclude": row["id"]})
        await room.sends("order", "last")
        author.free()
        await quiet()

        assert author.got("event") == [["first"], ["last"]]
        assert room.seats._seats[row["id"]].outlet.hidden == 0


async def test_nothing_stays_hidden_of_a_message_that_was_not_written():
    async with a_room() as room:
        await room.listens("order")
        (row,) = room.manager.rows(ADMIN)
        await room.posts({**ITEM, "exclude": row["id"]}, key="k")

        await room.posts({**ITEM, "exclude": row["id"]}, key="k")
        await room.posts({**ITEM, "event": "other", "exclude": row["id"]}, key="k")
        await room.posts({**ITEM, "exclude": row["id"]}, READER)

        assert room.seats._seats[row["id"]].outlet.hidden == 0


async def test_what_the_message_store_writes_to_the_stream_is_a_message_too():
    async with a_room() as room:
        client = await room.listens("order")

        room.log.submit(Unit(1, (Draft("channel-order", "created", '{"entity_id":"1"}', '{"origin":[1]}'),)))
        await quiet()

        assert client.got("event", "payload", "offset") == [["created", {"entity_id": "1"}, 0]]


async def test_the_test_route_writes_as_whoever_it_is_given():
    async with a_room() as room:
        client = await room.listens("order")
        route = room.broadcasts.test_route(lambda request: WRITER)

        answer = await route.handler(
            Request("POST", "/test/broadcast", body=b'{"channel":"order","event":"e","payload":{}}')
        )

        assert (route.path, route.scope, answer.status) == ("/test/broadcast", None, 200)
        assert client.got("event") == [["e"]]


# -- looking -----------------------------------------------------------------------------------


async def test_channels_are_listed_by_name_with_listeners_and_offsets():
    async with a_room() as room:
        for channel in ("b", "ä", "b"):
            await room.sends(channel)
        await room.listens("a", "b")
        await room.listens("b")

        status, answer = await room.channels()
        pages = [(await room.channels(f"limit=1&after={after}"))[1] for after in ("", "a", "b")]

        rows = [("a", 1, -1), ("b", 2, 1), ("ä", 0, 0)]
        assert status == 200
        assert answer == {
            "total_connections": 2,
            "channels": [{"channel": name, "subscriber_count": n, "offset": offset} for name, n, offset in rows],
            "next": None,
        }
        assert [page["channels"] for page in pages] == [[row] for row in answer["channels"]]
        assert [page["next"] for page in pages] == ["a", "b", None]


async def test_a_channel_tells_how_far_back_it_can_be_replayed():
    async with a_room() as room:
        for number in range(6):
            await room.sends("order", n=number)
        whole = await room.channel("order")
        room.log.forget_before(5)
        thinned = await room.channel("order")
        room.log.forget_before(99)
        emptied = await room.channel("order")

        assert [one[1]["oldest"] for one in (whole, thinned, emptied)] == [0, 4, None]
        assert [one[1]["offset"] for one in (whole, thinned, emptied)] == [5, 5, 5]
        assert (await room.channel("never"))[1] == {
            "channel": "never", "subscriber_count": 0, "offset": -1, "oldest": None,
        }  # fmt: skip
        assert (await room.channel("x" * 201))[0] == 422


@pytest.mark.parametrize("limit", ["0", "1001", "x", "-1", "", "9" * 30, "٣"])
async def test_a_limit_that_is_none_is_refused(limit: str):
    async with a_room() as room:
        assert (await room.channels(f"limit={limit}"))[0] == 422


# -- anything goes ---------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
async def test_a_client_that_keeps_its_offsets_has_every_message_once_whatever_happens(seed: int):
    """scenario 4, at random: drops, stalls, changes of mind, and messages all the time"""
    rng = random.Random(seed)
    channels = ["a", "b", "c"]
    async with a_room(blocks=4, frames=10_000) as room:
        heard: dict[str, list[int]] = {channel: [] for channel in channels}
        client = await room.listens(*channels, since=dict.fromkeys(channels, -1))
        for _ in range(120):
            match rng.randrange(8):
                case 0:
                    client = await _again(room, client, heard)
                case 1:
                    client.stuck = True
                case 2:
                    client.free()
                case 3:  # while it is away from a channel it hears nothing of it, and asks for it when it is back
                    client.free()
                    await quiet()
                    channel = rng.choice(channels)
                    await room.says(client, {"unsubscribe": [channel]})
                    _take(client, heard)
                    await room.sends(channel)
                    await room.says(client, {"subscribe": [channel], "since": {channel: len(heard[channel]) - 1}})
                case 4:
                    await quiet()
                case _:
                    await room.sends(rng.choice(channels))
        client = await _again(room, client, heard)
        await quiet()
        _take(client, heard)

        written = {channel: (await room.channel(channel))[1]["offset"] + 1 for channel in channels}
        assert heard == {channel: list(range(count)) for channel, count in written.items()}
        assert room.bus.members == 3


async def _again(room: Room, client: Listener, heard: dict[str, list[int]]) -> Listener:
    """The line breaks, and the client comes back with what it had until then."""
    client.leaves()
    await quiet()
    _take(client, heard)
    return await room.listens(*heard, since={channel: len(offsets) - 1 for channel, offsets in heard.items()})


def _take(client: Listener, heard: dict[str, list[int]]) -> None:
    """What arrived since the last look."""
    for channel, offset in client.got("channel", "offset")[client.taken :]:
        heard[channel].append(offset)
        client.taken += 1
