"""One supervisor over scripted services, under a clock that jumps."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
import trio
import trio.testing

from appliance.errors import Broken, NotFound, Unavailable
from appliance.supervise.restarts import Limits
from appliance.supervise.supervisor import Child, OnCrash, Supervisor
from appliance.supervise.tree import State
from appliance.world import RealWorld

PATIENT = Limits(budget=2, first_pause=1.0, settled=60.0)


@dataclass
class Scripted:
    """A service that does as its script says, and writes down what happens to it."""

    name: str
    diary: list[str]
    ready_after: float = 0.0
    crash_after: Sequence[float] = ()  # seconds until the crash, of one run after the other; then it stays
    drain_takes: float = 0.0
    drain_crashes: bool = False
    returns: bool = False
    clean_up_takes: float = 0.0
    runs: int = 0
    crashes: list[float] = field(default_factory=list)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        self.runs += 1
        lives = self.crash_after[self.runs - 1] if self.runs <= len(self.crash_after) else None
        try:
            if lives == 0.0:
                raise RuntimeError(f"{self.name} fell")
            await trio.sleep(self.ready_after)
            self.diary.append(f"{self.name} ready")
            task_status.started()
            if self.returns:
                return
            await trio.sleep(float("inf") if lives is None else lives)
            self.crashes.append(trio.current_time())
            raise RuntimeError(f"{self.name} fell")
        finally:
            with trio.move_on_after(self.clean_up_takes, shield=True):
                await trio.sleep_forever()
            self.diary.append(f"{self.name} over")

    async def drain(self) -> None:
        self.diary.append(f"{self.name} drains")
        await trio.sleep(self.drain_takes)
        if self.drain_crashes:
            raise RuntimeError("drain fell")
        self.diary.append(f"{self.name} drained")


@asynccontextmanager
async def running(*children: Child, name: str = "top", grace: float = 30.0, started: bool = True):
    """A supervisor in a nursery of its own, cancelled at the end."""
    supervisor = Supervisor(name, children, world=RealWorld(), grace=grace)
    async with trio.open_nursery() as nursery:
        if started:
            await nursery.start(supervisor.run)
        else:
            nursery.start_soon(supervisor.run)
            await trio.testing.wait_all_tasks_blocked()
        yield supervisor
        nursery.cancel_scope.cancel()


def states(supervisor: Supervisor) -> dict[str, State]:
    return {node.name: node.state for node in supervisor.branches()}


async def test_services_start_one_after_the_other_each_when_the_one_before_is_ready(autojump_clock):
    diary: list[str] = []
    children = [Child(Scripted(name, diary, ready_after=after)) for name, after in [("a", 3), ("b", 2), ("c", 1)]]
    begin = trio.current_time()

    async with running(*children) as supervisor:
        assert diary == ["a ready", "b ready", "c ready"]
        assert trio.current_time() - begin == pytest.approx(6.0)
        assert set(states(supervisor).values()) == {State.READY}


async def test_a_service_whose_turn_has_not_come_says_so(autojump_clock):
    diary: list[str] = []
    slow, next_one = Child(Scripted("slow", diary, ready_after=5)), Child(Scripted("next", diary))

    async with running(slow, next_one, started=False) as supervisor:
        waiting = {node.name: node.waiting for node in supervisor.branches()}

    assert waiting == {"slow": "its own readiness", "next": "its turn to start"}
    assert diary == ["slow over"]


async def test_drain_stops_the_last_service_first_and_each_is_over_before_the_next_is_asked(autojump_clock):
    diary: list[str] = []
    children = [Child(Scripted(name, diary, drain_takes=1)) for name in "abc"]

    async with running(*children) as supervisor:
        diary.clear()
        await supervisor.drain()
        assert states(supervisor) == dict.fromkeys("abc", State.STOPPED)

    assert diary == [f"{name} {what}" for name in "cba" for what in ("drains", "drained", "over")]


async def test_a_cancellation_from_above_ends_the_services_in_reverse_too(autojump_clock):
    diary: list[str] = []

    async with running(*(Child(Scripted(name, diary, clean_up_takes=1)) for name in "abc")):
        diary.clear()

    assert diary == ["c over", "b over", "a over"]


async def test_a_drain_that_hangs_is_cut_at_its_own_grace(autojump_clock):
    diary: list[str] = []
    stuck = Child(Scripted("stuck", diary, drain_takes=1e9), drain_grace=7.0)

    async with running(Child(Scripted("below", diary)), stuck) as supervisor:
        begin = trio.current_time()
        await supervisor.drain()

        assert trio.current_time() - begin == pytest.approx(7.0)
        assert diary[-3:] == ["below drains", "below drained", "below over"]


async def test_draining_takes_no_longer_than_the_grace_of_all_together(autojump_clock):
    diary: list[str] = []
    children = [Child(Scripted(name, diary, drain_takes=1e9), drain_grace=7.0) for name in "abcd"]

    async with running(*children, grace=10.0) as supervisor:
        begin = trio.current_time()
        await supervisor.drain()

        assert trio.current_time() - begin == pytest.approx(10.0)


async def test_hurrying_cuts_every_drain_short(autojump_clock):
    diary: list[str] = []
    children = [Child(Scripted(name, diary, drain_takes=1e9), drain_grace=1e9) for name in "ab"]

    async with running(*children, grace=1e9) as supervisor, trio.open_nursery() as nursery:
        begin = trio.current_time()
        nursery.start_soon(supervisor.drain)
        await trio.sleep(2.0)
        supervisor.hurry()
        await supervisor.drain()

        assert trio.current_time() - begin == pytest.approx(2.0)
    assert diary[-3:] == ["b over", "a drains", "a over"]


async def test_a_drain_that_crashes_is_told_and_stops_nobody(autojump_clock):
    diary: list[str] = []
    rude = Child(Scripted("rude", diary, drain_crashes=True))

    async with running(Child(Scripted("below", diary)), rude) as supervisor:
        await supervisor.drain()

        assert supervisor.branches()[1].crash.startswith("RuntimeError: drain fell")
        assert states(supervisor) == {"below": State.STOPPED, "rude": State.STOPPED}


async def test_a_drain_during_the_start_starts_nobody_else(autojump_clock):
    diary: list[str] = []
    children = [Child(Scripted("a", diary)), Child(Scripted("b", diary, ready_after=5)), Child(Scripted("c", diary))]

    async with running(*children, started=False) as supervisor:
        await supervisor.drain()

        assert states(supervisor) == {"a": State.STOPPED, "b": State.STOPPED, "c": State.WAITING}
    assert diary == ["a ready", "b over", "a drains", "a drained", "a over"]


async def test_draining_a_supervisor_that_never_ran_is_over_at_once():
    await Supervisor("idle", [], world=RealWorld()).drain()


async def test_a_crash_of_a_service_others_stand_on_stops_all_and_comes_out(autojump_clock):
    diary: list[str] = []
    children = [
        Child(Scripted("a", diary)),
        Child(Scripted("b", diary, crash_after=[5.0])),
        Child(Scripted("c", diary)),
    ]

    with pytest.raises(RuntimeError, match="b fell") as caught:
        await Supervisor("top", children, world=RealWorld()).run()

    assert diary[3:] == ["b over", "c drains", "c drained", "c over", "a drains", "a drained", "a over"]
    assert caught.value.__notes__ == ["in service b of top"]


async def test_an_edge_comes_back_after_growing_pauses_and_shows_its_last_crash(autojump_clock):
    edge = Scripted("edge", [], crash_after=[5.0, 5.0])

    async with running(Child(edge, OnCrash.RESTART, limits=PATIENT)) as supervisor:
        begin = trio.current_time()
        await trio.sleep(5.5)
        resting = supervisor.branches()[0]
        await trio.sleep(20.0)
        back = supervisor.branches()[0]

    assert (resting.state, resting.waiting) == (State.PAUSED, "restart in 0.5 s")
    assert (back.state, back.restarts, back.waiting) == (State.READY, 2, "")
    assert back.crash.startswith("RuntimeError: edge fell (test_supervisor.py:")
    assert back.crashed_us is not None
    assert [at - begin for at in edge.crashes] == pytest.approx([5.0, 5.0 + 1.0 + 5.0])


async def test_a_spent_budget_stops_the_whole_and_the_crash_comes_out(autojump_clock):
    diary: list[str] = []
    edge = Scripted("edge", diary, crash_after=[5.0] * 9)
    supervisor = Supervisor(
        "top", [Child(Scripted("below", diary)), Child(edge, OnCrash.RESTART, limits=PATIENT)], world=RealWorld()
    )

    with pytest.raises(RuntimeError, match="edge fell"):
        await supervisor.run()

    assert edge.runs == 3
    assert diary[-3:] == ["below drains", "below drained", "below over"]
    assert states(supervisor) == {"below": State.STOPPED, "edge": State.CRASHED}


async def test_an_edge_that_settles_between_its_crashes_never_spends_its_budget(autojump_clock):
    edge = Scripted("edge", [], crash_after=[100.0] * 9)

    async with running(Child(edge, OnCrash.RESTART, limits=PATIENT)) as supervisor:
        await trio.sleep(1000.0)

        assert states(supervisor) == {"edge": State.READY}
    assert edge.runs == 10


async def test_an_edge_that_fails_its_first_start_holds_nobody_up(autojump_clock):
    diary: list[str] = []
    edge = Scripted("edge", diary, crash_after=[0.0])
    begin = trio.current_time()

    async with running(Child(edge, OnCrash.RESTART, limits=PATIENT), Child(Scripted("next", diary))):
        assert trio.current_time() == begin
        await trio.sleep(2.0)

    assert diary[:3] == ["edge over", "next ready", "edge ready"]


async def test_a_plugin_that_keeps_crashing_is_parked_and_the_rest_goes_on(autojump_clock):
    plugin = Scripted("plugin", [], crash_after=[0.0] * 3)

    async with running(Child(Scripted("below", []))), running(Child(plugin, OnCrash.PARK, limits=PATIENT)) as host:
        await trio.sleep(1000.0)
        node = host.branches()[0]

        assert (node.state, node.waiting, plugin.runs) == (State.PARKED, "the next start of the program", 3)


async def test_a_parked_plugin_starts_again_when_a_person_says_so(autojump_clock):
    plugin = Scripted("plugin", [], crash_after=[0.0] * 3)

    async with running(Child(plugin, OnCrash.PARK, limits=PATIENT)) as host:
        await trio.sleep(1000.0)
        host.restart("plugin")
        await trio.testing.wait_all_tasks_blocked()

        assert states(host) == {"plugin": State.READY}
        with pytest.raises(NotFound):
            host.restart("plugin")
        with pytest.raises(NotFound):
            host.restart("nobody")


async def test_a_parked_plugin_does_not_hold_up_the_end(autojump_clock):
    plugin = Scripted("plugin", [], crash_after=[0.0] * 9)

    async with running(Child(plugin, OnCrash.PARK, limits=PATIENT)) as host:
        await trio.sleep(1000.0)
        begin = trio.current_time()
        await host.drain()

        assert (states(host), trio.current_time()) == ({"plugin": State.STOPPED}, begin)


async def test_a_service_that_is_not_ready_in_time_has_crashed(autojump_clock):
    slow = Child(Scripted("slow", [], ready_after=1e9), start_timeout=4.0)
    begin = trio.current_time()

    with pytest.raises(Unavailable, match="slow was not ready within 4 s"):
        await Supervisor("top", [slow], world=RealWorld()).run()

    assert trio.current_time() - begin == pytest.approx(4.0)


async def test_being_ready_lifts_the_deadline_of_the_start(autojump_clock):
    async with running(Child(Scripted("a", [], ready_after=3.9), start_timeout=4.0)) as supervisor:
        await trio.sleep(1000.0)

        assert states(supervisor) == {"a": State.READY}


async def test_a_service_that_returns_has_crashed():
    supervisor = Supervisor("top", [Child(Scripted("leaver", [], returns=True))], world=RealWorld())

    with pytest.raises(Broken, match="leaver returned"):
        await supervisor.run()


async def test_a_crash_while_stopping_still_comes_out_and_cuts_the_drain_short(autojump_clock):
    diary: list[str] = []
    falling = Scripted("falling", diary, crash_after=[5.0], drain_takes=1e9)
    supervisor = Supervisor("top", [Child(Scripted("a", diary)), Child(falling, drain_grace=1e9)], world=RealWorld())

    with pytest.RaisesGroup(pytest.RaisesExc(RuntimeError, match="falling fell")):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(supervisor.run)
            await trio.testing.wait_all_tasks_blocked()
            begin = trio.current_time()
            await supervisor.drain()

    assert trio.current_time() - begin == pytest.approx(5.0)
    assert diary[-3:] == ["a drains", "a drained", "a over"]


async def test_an_edge_that_crashes_while_stopping_is_not_started_again(autojump_clock):
    diary: list[str] = []
    edge = Scripted("edge", diary, crash_after=[2.0])
    slow = Scripted("slow", diary, drain_takes=5.0)

    async with running(Child(edge, OnCrash.RESTART), Child(slow)) as supervisor:
        await supervisor.drain()

        assert states(supervisor)["edge"] is State.CRASHED
    assert edge.runs == 1


@dataclass
class FallsWhenCancelled:
    name: str = "clumsy"

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        task_status.started()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            try:
                await trio.sleep_forever()
            finally:
                raise RuntimeError("fell over its own feet")

    async def drain(self) -> None:
        """Nothing in flight."""

    def waits_for(self) -> str:
        return "its own feet"


async def test_a_crash_in_the_clean_up_is_recorded_and_comes_out():
    supervisor = Supervisor("top", [Child(FallsWhenCancelled())], world=RealWorld())

    with pytest.RaisesGroup(pytest.RaisesExc(RuntimeError), flatten_subgroups=True):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(supervisor.run)
            await trio.testing.wait_all_tasks_blocked()
            assert supervisor.branches()[0].waiting == "its own feet"
            await supervisor.drain()

    assert supervisor.branches()[0].crash.startswith("RuntimeError: fell over its own feet")


async def test_supervisors_nest_and_show_one_tree(autojump_clock):
    diary: list[str] = []
    notes = Supervisor("notes", [Child(Scripted("n1", diary)), Child(Scripted("n2", diary))], world=RealWorld())
    agents = Supervisor(
        "agents",
        [Child(Scripted("a1", diary, crash_after=[1.0] * 9), OnCrash.RESTART, limits=PATIENT)],
        world=RealWorld(),
    )
    plugins = Supervisor(
        "plugins", [Child(notes, OnCrash.PARK), Child(agents, OnCrash.PARK, limits=Limits(budget=1))], world=RealWorld()
    )

    async with running(Child(plugins), name="all") as supervisor:
        await trio.sleep(100.0)
        tree = supervisor.branches()[0]
        diary.clear()
        await supervisor.drain()

    assert tree.find("notes", "n2").state is State.READY
    assert tree.find("agents").state is State.PARKED
    assert tree.find("agents", "a1").state is State.CRASHED
    with pytest.raises(KeyError, match="plugins has no orders"):
        tree.find("orders")
    assert diary == ["n2 drains", "n2 drained", "n2 over", "n1 drains", "n1 drained", "n1 over"]


async def test_a_nested_supervisor_that_takes_too_long_is_cut_by_the_outer_grace(autojump_clock):
    inner = Supervisor(
        "inner", [Child(Scripted("x", [], drain_takes=1e9), drain_grace=1e9)], world=RealWorld(), grace=1e9
    )

    async with running(Child(inner, drain_grace=3.0)) as outer:
        begin = trio.current_time()
        await outer.drain()

        assert trio.current_time() - begin == pytest.approx(3.0)
        assert outer.branches()[0].find("x").state is State.STOPPED


async def test_the_tree_as_json_has_readable_times_and_no_empty_members(autojump_clock):
    async with running(Child(Scripted("a", [], crash_after=[1.0]), OnCrash.RESTART, limits=PATIENT)) as supervisor:
        healthy = supervisor.branches()[0].json()
        await trio.sleep(5.0)
        crashed = supervisor.branches()[0].json()

    assert (healthy.state, healthy.restarts, healthy.crash, healthy.crashed) == ("ready", 0, "", "")
    assert healthy.since.endswith("Z")
    assert (crashed.state, crashed.restarts) == ("ready", 1)
    assert crashed.crashed.endswith("Z")


def test_two_services_of_one_name_are_refused():
    twins = [Child(Scripted("same", [])), Child(Scripted("same", []))]

    with pytest.raises(ValueError, match="same name"):
        Supervisor("top", twins, world=RealWorld())
