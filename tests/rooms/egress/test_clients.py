"""The connection manager on a virtual clock: pings, the dead, the revoked, and an admin who closes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio
import trio.testing

from appliance.egress.clients.routes import clients_routes
from appliance.egress.clients.service import Manager
from appliance.errors import NotFound, TooManyClients
from appliance.model.clients import Habits
from appliance.model.event import Namespace
from appliance.model.frames import ping_frame
from appliance.model.http import Request, Response
from appliance.model.principal import Principal
from appliance.world import RealWorld

HABITS = Habits("eventing", "websocket", 30.0, 90.0, lambda now: ping_frame(b"%d" % int(now * 1000)))
HOME, OTHER = Namespace(1, "default"), Namespace(2, "other")


class Peer:
    """An outlet and a socket that notes what it is given."""

    def __init__(self, *, busy: bool = False) -> None:
        self.sent = 0
        self.latency = None
        self.heard = trio.current_time()
        self.busy = busy
        self.got: list[tuple[float, bytes]] = []
        self.ended: tuple[int, str] | None = None

    def offer(self, data: bytes) -> bool:
        if not self.busy:
            self.got.append((trio.current_time(), data))
        return not self.busy

    def end(self, code: int, reason: str = "") -> None:
        self.ended = (code, reason)


class House:
    def __init__(self, manager: Manager, verdicts: dict[str, str]) -> None:
        self.manager = manager
        self.verdicts = verdicts

    @staticmethod
    def request(token: str = "t1", space: Namespace = HOME, *, operator: bool = False) -> Request:
        principal = Principal(space, subject=token, token_id=token, operator=operator)
        return Request("GET", "/", peer="10.0.0.1", principal=principal)


@asynccontextmanager
async def a_house(limit: int = 100) -> AsyncIterator[House]:
    verdicts: dict[str, str] = {}
    manager = Manager(
        RealWorld(), lambda who: verdicts.get(who.token_id, ""), limit=limit, per_address=limit, per_subject=limit
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(manager.run))
        yield House(manager, verdicts)
        nursery.cancel_scope.cancel()


async def test_a_silent_peer_is_pinged_every_30_s_and_given_up_at_90(autojump_clock: trio.testing.MockClock):
    """test_heartbeat_ping_pong_30s, test_dead_connection_cleanup_90s (#42)"""
    async with a_house() as house:
        peer = Peer()
        with house.manager.enter(house.request(), peer, HABITS, peer):
            begun = trio.current_time()
            await trio.sleep(89)
            assert [round(when - begun) for when, _ in peer.got] == [30, 60]
            assert peer.got[0][1] == ping_frame(b"%d" % int(peer.got[0][0] * 1000))
            assert peer.ended is None
            await trio.sleep(4)
            assert peer.ended is not None
            assert peer.ended[0] == 4003
            assert len(house.manager) == 0


async def test_any_byte_is_a_sign_of_life(autojump_clock: trio.testing.MockClock):
    async with a_house() as house:
        peer = Peer()
        with house.manager.enter(house.request(), peer, HABITS, peer):
            for _ in range(10):
                await trio.sleep(60)
                peer.heard = trio.current_time()
            assert peer.ended is None
            assert len(house.manager) == 1


async def test_a_peer_that_is_behind_is_not_pinged_and_not_forgotten(autojump_clock: trio.testing.MockClock):
    async with a_house() as house:
        peer = Peer(busy=True)
        with house.manager.enter(house.request(), peer, HABITS, peer):
            await trio.sleep(31)
            peer.busy = False
            await trio.sleep(30)
            assert len(peer.got) == 1


@pytest.mark.parametrize("reason", ["Token revoked", "Token expired"])
async def test_who_may_not_stay_is_gone_within_five_seconds(reason: str, autojump_clock: trio.testing.MockClock):
    async with a_house() as house:
        gone, stays = Peer(), Peer()
        with (
            house.manager.enter(house.request("t1"), gone, HABITS, gone),
            house.manager.enter(house.request("t2"), stays, HABITS, stays),
        ):
            await trio.sleep(1)
            house.verdicts["t1"] = reason
            await trio.sleep(5)
            assert (gone.ended, stays.ended) == ((4401, reason), None)


async def test_the_same_user_many_times_and_abrupt_ends_leave_an_empty_roster(autojump_clock: trio.testing.MockClock):
    """test_connection_tracking, test_connection_cleanup_on_disconnect, test_multiple_connections_same_user (#42)"""
    async with a_house() as house:
        peers = [Peer() for _ in range(5)]

        async def live(peer: Peer) -> None:
            with house.manager.enter(house.request(), peer, HABITS, peer):
                await trio.sleep(10)
                if peer is peers[0]:
                    raise trio.BrokenResourceError
                await trio.sleep(10)

        with pytest.RaisesGroup(trio.BrokenResourceError):
            async with trio.open_nursery() as nursery:
                for peer in peers:
                    nursery.start_soon(live, peer)
                await trio.sleep(5)
                assert len(house.manager) == 5
        assert len(house.manager) == 0


async def test_a_full_house_says_so_before_and_while_entering(autojump_clock: trio.testing.MockClock):
    async with a_house(limit=1) as house:
        peer = Peer()
        with house.manager.enter(house.request(), peer, HABITS, peer):
            with pytest.raises(TooManyClients):
                house.manager.check(house.request("t2"))
            with pytest.raises(TooManyClients), house.manager.enter(house.request("t2"), peer, HABITS, peer):
                raise AssertionError("entered a full house")
        house.manager.check(house.request("t2"))


async def test_an_admin_sees_and_closes_its_own_namespace_the_operator_all(autojump_clock: trio.testing.MockClock):
    async with a_house() as house:
        listing, closing = clients_routes(house.manager)
        mine, theirs = Peer(), Peer()
        with (
            house.manager.enter(house.request("t1"), mine, HABITS, mine) as entry,
            house.manager.enter(house.request("t2", OTHER), theirs, HABITS, theirs) as foreign,
        ):
            seen = house.manager.rows(house.request("admin").principal)
            assert [row["id"] for row in seen] == [entry.id]
            answer = listing.handler(house.request("owner", operator=True))
            assert isinstance(answer, Response)
            assert foreign.id.encode() in answer.body

            request = house.request("admin")
            request.params = {"client_id": foreign.id}
            with pytest.raises(NotFound):
                closing.handler(request)
            request.params = {"client_id": entry.id}
            answer = closing.handler(request)
            assert isinstance(answer, Response)
            assert answer.status == 204
            assert mine.ended == (1008, "closed by an admin")
            assert theirs.ended is None
