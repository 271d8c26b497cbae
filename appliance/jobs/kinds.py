"""Who does which work: the registry of job types, found by either spelling. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from appliance.errors import Rejected
from appliance.model.jobs import JobType, snake

__all__ = ["BadJob", "Kinds", "pascal"]


class BadJob(Rejected):
    """No such job can be. Clients of this dialect know 400 for it."""

    status = 400


class Kinds:
    """The job types there are."""

    def __init__(self) -> None:
        self._types: dict[str, JobType] = {}
        self._spoken: dict[str, str] = {}  # title_generation → TitleGeneration

    def __iter__(self) -> Iterator[JobType]:
        return iter(self._types.values())

    def register(self, type: JobType) -> None:
        """Raises Rejected: another owner does work of this name."""
        for name in (type.name, self._spoken.get(snake(type.name), "")):
            taken = self._types.get(name)
            if taken is not None and (taken.owner, taken.name) != (type.owner, type.name):
                raise Rejected(
                    f"jobs of type {type.name} are done by {taken.owner} already", hint="give it another name"
                )
        self._types[type.name] = type
        self._spoken[snake(type.name)] = type.name

    def forget(self, owner: str) -> list[JobType]:
        """Those it offered are gone; returns them."""
        gone = [type for type in self._types.values() if type.owner == owner]
        for type in gone:
            del self._types[type.name]
            del self._spoken[snake(type.name)]
        return gone

    def find(self, name: str) -> JobType | None:
        """Who does this work, in either spelling."""
        return self._types.get(name) or self._types.get(self._spoken.get(name, ""))

    def named(self, name: str) -> JobType:
        """Raises BadJob: nobody does this."""
        found = self.find(name)
        if found is None:
            near = get_close_matches(name, [*self._types, *self._spoken], 1)
            known = ", ".join(sorted(self._spoken)) or "no plugin brings any"
            raise BadJob(
                f"there is no job type {name[:100]!r}",
                hint=f'did you mean "{near[0]}"?' if near else f"job types: {known}",
            )
        return found

    def spelled(self, name: str) -> str:
        """The name as events spell it, also of work that nobody does now."""
        found = self.find(name)
        return pascal(name) if found is None else found.name


def pascal(name: str) -> str:
    """title_generation → TitleGeneration; a name that is spelled so already stays."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))
