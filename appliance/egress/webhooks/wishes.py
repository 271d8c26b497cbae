"""What a caller asks of webhooks: the bodies of the routes, checked. Pure."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from appliance.egress.filters import BadFilter, type_names
from appliance.egress.webhooks.endpoint import Format, Signature
from appliance.model.catalog import Catalog

__all__ = ["Again", "Change", "Name", "Names", "New", "Rotation", "wanted_types"]

Retries = Annotated[int, Meta(ge=0, le=100)]
Concurrency = Annotated[int, Meta(ge=1, le=16)]
Rate = Annotated[int, Meta(ge=0, le=1_000_000)]
Name = Annotated[str, Meta(max_length=200)]
Names = Annotated[tuple[Name, ...], Meta(max_length=100)]
Position = Annotated[int, Meta(ge=1)]

DAY = 24 * 3600
PASSING_HINT = "webhooks carry what is stored; follow QueueStatus and JobProgress on /api/v1/events"


class New(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `POST /api/v1/webhooks` takes."""

    url: str
    events: Names = ()  # empty: all
    secret: str | None = None  # none: one is made
    max_retries: Retries | None = None  # none: as many as the schedule has
    name: Name = ""
    format: Format = "envelope"
    memory: Name | None = None
    concurrency: Concurrency | None = None
    rate: Rate = 0  # deliveries a minute; 0: no limit
    ordered: bool = False
    is_active: bool = True
    condition: str = ""  # empty: whatever happens
    signature: Signature = "v1"  # of a secret that is made


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `PATCH /api/v1/webhooks/{id}` takes; what is left out stays."""

    url: str | UnsetType = UNSET
    events: Names | UnsetType = UNSET
    secret: str | UnsetType = UNSET
    max_retries: Retries | UnsetType = UNSET
    name: Name | UnsetType = UNSET
    format: Format | UnsetType = UNSET
    concurrency: Concurrency | UnsetType = UNSET
    rate: Rate | UnsetType = UNSET
    ordered: bool | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET
    condition: str | UnsetType = UNSET


class Rotation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `POST …/rotate` takes."""

    secret: str | None = None
    signature: Signature | None = None  # of a secret that is made; none: as it was
    overlap_s: Annotated[int, Meta(ge=0, le=7 * DAY)] = DAY  # how long the one before is good


class Again(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `POST …/redeliver` takes: one delivery, one event, a range of positions, or everything since one."""

    delivery: str | None = None
    event: str | None = None
    since: Position | None = None
    through: Position | None = None


def wanted_types(catalog: Catalog, names: tuple[str, ...]) -> tuple[str, ...]:
    """Names of types as dotted ones and front parts of them; empty: all. `note.*` is `note`, and `*` is all.

    Raises:
        BadFilter: a name is empty, or none of them can ever be sent.
    """
    plain = [name.removesuffix(".*") for name in names]
    if "*" in plain:
        return ()
    found = [catalog.find(name) for name in plain]
    if plain and all(type is not None and not type.stored for type in found):
        raise BadFilter(f"{', '.join(plain)}: told in passing and stored nowhere", hint=PASSING_HINT)
    return type_names(catalog, plain)
