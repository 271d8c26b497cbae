"""The tree of services as people see it: what runs, since when, what crashed last, what it waits for."""

from __future__ import annotations

import sysconfig
import traceback
from dataclasses import dataclass
from enum import Enum
from pathlib import PurePath
from typing import Protocol, runtime_checkable

import msgspec

from appliance.clock import stamp

__all__ = ["Busy", "Grows", "Node", "NodeJson", "State", "first_cause", "one_line"]

STDLIB = sysconfig.get_path("stdlib")


class State(Enum):
    """How a service is."""

    WAITING = "waiting"  # its turn to start has not come
    STARTING = "starting"
    READY = "ready"
    PAUSED = "paused"  # crashed, will start again by itself
    PARKED = "parked"  # crashed too often, waits for a person
    DRAINING = "draining"
    STOPPED = "stopped"
    CRASHED = "crashed"  # and took its supervisor along


class NodeJson(msgspec.Struct, frozen=True, omit_defaults=True):
    """A `Node` as `status --json` shows it."""

    name: str
    state: str
    since: str  # RFC 3339
    restarts: int
    waiting: str = ""
    crash: str = ""
    crashed: str = ""  # RFC 3339
    children: list[NodeJson] = []


@dataclass(frozen=True, slots=True)
class Node:
    """One service at one moment."""

    name: str
    state: State
    since_us: int  # wall clock, when it came into this state
    restarts: int = 0
    waiting: str = ""  # what has to happen next, for a reader
    crash: str = ""  # the last one, in a line
    crashed_us: int | None = None
    children: tuple[Node, ...] = ()

    def find(self, *path: str) -> Node:
        """The descendant under these names.

        Raises:
            KeyError: there is none.
        """
        node = self
        for name in path:
            try:
                node = next(child for child in node.children if child.name == name)
            except StopIteration:
                raise KeyError(f"{node.name} has no {name}") from None
        return node

    def json(self) -> NodeJson:
        return NodeJson(
            name=self.name,
            state=self.state.value,
            since=stamp(self.since_us),
            restarts=self.restarts,
            waiting=self.waiting,
            crash=self.crash,
            crashed="" if self.crashed_us is None else stamp(self.crashed_us),
            children=[child.json() for child in self.children],
        )


@runtime_checkable
class Grows(Protocol):
    """A service that supervises others shows them below itself."""

    def branches(self) -> tuple[Node, ...]: ...


@runtime_checkable
class Busy(Protocol):
    """A service that can say what it waits for: "3 couriers, 1 waiting 8 m"."""

    def waits_for(self) -> str: ...


def first_cause(crash: Exception) -> Exception:
    """What is inside groups of one; nurseries wrap a lonely exception once per level."""
    while isinstance(crash, ExceptionGroup) and len(crash.exceptions) == 1:
        crash = crash.exceptions[0]
    return crash


def one_line(crash: Exception) -> str:
    """`KeyError: 'run_id' (plugin.py:41)`, at most 300 characters; the place is the last one that is not Python's."""
    cause = first_cause(crash)
    text = traceback.format_exception_only(cause)[0].strip().splitlines()[0]
    frames = traceback.extract_tb(cause.__traceback__)
    known = [frame for frame in frames if not frame.filename.startswith((STDLIB, "<"))] or frames
    where = f" ({PurePath(known[-1].filename).name}:{known[-1].lineno})" if known else ""
    return text[: 300 - len(where)] + where
