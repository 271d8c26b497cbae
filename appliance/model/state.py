"""Small values that rooms and plugins keep beside the log, and what a unit of work wants to do to them."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.errors import Conflict

__all__ = ["Index", "StateChange", "StateCheck", "StateRow", "check_version"]

Index = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class StateRow:
    """A small value that a room or plugin keeps beside the log."""

    namespace: int
    owner: str
    key: str
    value: str  # JSON
    version: int  # higher with each change that anybody could see, also when the key was away in between


@dataclass(frozen=True, slots=True)
class StateChange:
    """A value to keep, or to forget."""

    namespace: int
    owner: str
    key: str
    value: str | None  # JSON; None: forget it
    expected: int | None = None  # the version it must have now; 0: it must not be there; None: whatever is there
    index: Index = ()  # (name, value) pairs it can be found and counted by; they replace those it had

    @property
    def size(self) -> int:
        """Characters of it that are written."""
        pairs = sum([len(name) + len(value) + len(self.key) for name, value in self.index])
        return len(self.key) + len(self.value or "") + pairs


@dataclass(frozen=True, slots=True)
class StateCheck:
    """A value that was read, and must still be as it was."""

    namespace: int
    owner: str
    key: str
    version: int  # 0: it was not there


def check_version(change: StateChange | StateCheck, actual: int) -> None:
    """Raises Conflict: the version is not the one that was expected."""
    expected = change.version if isinstance(change, StateCheck) else change.expected
    if expected not in (None, actual):
        raise Conflict(
            f"{change.owner}/{change.key} is at version {actual}, not {expected}",
            hint="read it again and retry with the version you saw",
            owner=change.owner,
            key=change.key,
            expected=expected,
            actual=actual,
        )
