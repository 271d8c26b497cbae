"""Every key of the configuration, once: type, default, unit, meaning, and whether a reload applies it.

The loader, `config default`, `config explain` and the reference page are all made of these classes, so
a key cannot exist in one of them and miss in another. The numbers of `[limits]` come from the front's
own table, because that is where they are enforced.
"""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Iterator
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from appliance.web.limits import MIB, Limits

__all__ = ["ANY", "ROOM_BESIDE", "Key", "Keys", "Secret", "Settings", "Unit", "all_keys"]

Keys = tuple[str, ...]

ANY = "*"  # in a key's path: a name of the user's own
HOURS = 3600.0
ROOM_BESIDE = 256  # connections for plain requests when all places of live clients are taken


class Unit(Enum):
    PLAIN = "plain"
    DURATION = "duration"  # "30s"; held as seconds
    SIZE = "size"  # "16MiB"; held as bytes
    LISTEN = "address"  # "loopback:8420", "lan:8420", "192.168.1.5:8420"
    PATH = "path"  # from the file's own folder, if it stands in a file
    SECRET = "secret"  # noqa: S105 - { env = "NAME" } or { file = "name" }, never shown


_DURATION = Unit.DURATION


class Secret:
    """A value that no representation shows. Ask for it with `reveal`."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "(secret)"


@dataclasses.dataclass(frozen=True, slots=True)
class Doc:
    """What a field's type cannot say."""

    meaning: str
    unit: Unit = Unit.PLAIN
    live: bool = False  # a reload applies it
    start: bool = False  # said when starting, by flag or environment, and never in the file
    least: float | None = None  # both in the held unit
    most: float | None = None


class Category(msgspec.Struct, frozen=True):
    retention: Annotated[float | None, Doc('how long its events are kept; "off": for ever', _DURATION, live=True)] = (
        None
    )


class Log(msgspec.Struct, frozen=True):
    """The events."""

    retention: Annotated[
        float | None,
        Doc('the same for categories that say nothing; "off": for ever', _DURATION, live=True),
    ] = None
    max_event: Annotated[int, Doc("largest data of one event, and import line", Unit.SIZE, least=1024)] = 16 * MIB
    categories: dict[str, Category] = {}


class Clients(msgspec.Struct, frozen=True):
    """Who may be connected."""

    limit: Annotated[
        int, Doc("WebSockets and event streams at once; the next one is refused with 503 and Retry-After", least=1)
    ] = 1000
    per_address: Annotated[int, Doc("connections at once from one address, loopback excepted", least=1)] = 256
    per_subject: Annotated[int, Doc("connections at once with one token", least=1)] = 1000
    heartbeat: Annotated[float, Doc("a client is pinged this often", _DURATION, least=0.05)] = 30.0
    dead_after: Annotated[
        float, Doc("a WebSocket that says nothing for so long is closed (4003)", _DURATION, least=0.1)
    ] = 90.0
    grace: Annotated[float, Doc("a client that stays behind for so long is closed (4008)", _DURATION, least=1)] = 60.0
    ring: Annotated[int, Doc("events held per audience; a client further behind re-reads the log", least=16)] = 4096
    budget: Annotated[int, Doc("bytes all rings may hold together", Unit.SIZE, least=MIB)] = 256 * MIB
    origins: Annotated[
        tuple[str, ...], Doc('pages of other origins that may connect, as "https://app.example:8443"; "*": all')
    ] = ()


class Events(msgspec.Struct, frozen=True):
    """The eventing streams: `/api/v1/ws` and `/api/v1/events`."""

    names: Annotated[Literal["pascal", "dotted"], Doc("how server-sent events are named unless asked otherwise")] = (
        "pascal"
    )
    coalesce: Annotated[float, Doc("progress and status within this time are merged; 0: never", _DURATION, least=0)] = (
        0.5
    )
    queue_status: Annotated[float, Doc("time between two reports of the job queue", _DURATION, least=0.05)] = 5.0


class Channel(msgspec.Struct, frozen=True):
    """One channel, or all whose names begin so: "private-*"."""

    read: Annotated[tuple[str, ...], Doc("who may listen: scopes and names of tokens; empty: who may read")] = ()
    write: Annotated[tuple[str, ...], Doc("who may send: scopes and names of tokens; empty: who may write")] = ()


class Broadcast(msgspec.Struct, frozen=True):
    """The channels of `/ws/broadcast`."""

    anonymous: Annotated[bool, Doc("clients without a token may listen on channels")] = False
    test_route: Annotated[bool, Doc("serve POST /test/broadcast, which needs no token")] = False
    heartbeat: Annotated[float, Doc("a client is pinged this often", _DURATION, least=0.05)] = 25.0
    dead_after: Annotated[float, Doc("one that says nothing for so long is closed (4003)", _DURATION, least=0.1)] = 35.0
    retention: Annotated[
        float | None, Doc('how long messages can be replayed; "off": for ever', _DURATION, least=1)
    ] = 24 * HOURS
    channels: Annotated[int, Doc("channels of one connection", least=1)] = 100
    frames: Annotated[int, Doc("frames a client may send in a second; repeated excess is closed (1008)", least=1)] = 50
    rules: dict[str, Channel] = {}


class Webhooks(msgspec.Struct, frozen=True):
    """URLs that are told of events."""

    allow: Annotated[
        tuple[str, ...],
        Doc('receivers in your own network: "192.168.1.0/24", "192.168.1.20:8080", "nas.local", "nas = 192.168.1.20"'),
    ] = ()
    timeout: Annotated[float, Doc("for one attempt, the whole answer included", _DURATION, least=0.1, most=300)] = 30.0
    schedule: Annotated[tuple[float, ...], Doc("waits before the second, third, … attempt", _DURATION)] = (
        1.0,
        5.0,
        25.0,
        125.0,
    )
    concurrency: Annotated[int, Doc("requests at once to one receiver, unless it says so", least=1, most=16)] = 4


class Incoming(msgspec.Struct, frozen=True):
    """Webhooks that arrive."""

    max_body: Annotated[int, Doc("largest body of one", Unit.SIZE, least=1024)] = MIB


class Jobs(msgspec.Struct, frozen=True):
    """Work that is done later."""

    concurrency: Annotated[int, Doc("jobs at once, of all types; a type may have a limit of its own", least=1)] = 4
    waiting: Annotated[int, Doc("most jobs that wait or run; one more is refused with 429", least=1)] = 100_000
    retry_timeout: Annotated[
        float, Doc("least wait after an attempt that took too long, doubled with each one", _DURATION, least=0)
    ] = 15.0
    retry_rate_limited: Annotated[float, Doc("the same after one that was asked to slow down", _DURATION, least=0)] = (
        30.0
    )
    retry_stale: Annotated[float, Doc("the same after one whose process ended", _DURATION, least=0)] = 30.0
    retry_longest: Annotated[float, Doc("the longest wait", _DURATION, least=0)] = HOURS
    retry_jitter: Annotated[float, Doc("most that is added to a wait, in percent", least=0, most=100)] = 20.0
    sweep: Annotated[float, Doc("time between two looks for jobs whose worker does not end", _DURATION, least=0.05)] = (
        30.0
    )
    grace: Annotated[float, Doc("a cancelled job may take so long to end by itself", _DURATION, least=0)] = 2.0
    keep: Annotated[float | None, Doc('how long jobs that ended are kept; "off": for ever', _DURATION, least=1)] = (
        7 * 24 * HOURS
    )
    keep_count: Annotated[int, Doc("most of them, in a namespace; the oldest go", least=0)] = 10_000


class SigningKey(msgspec.Struct, frozen=True):
    """One of: a secret, a public key, a file of keys."""

    alg: Annotated[
        Literal["HS256", "RS256", "ES256", "EdDSA"], Doc("the one algorithm its tokens may be signed with")
    ] = "HS256"
    secret: Annotated[Secret | None, Doc("of HS256, 32 bytes or more", Unit.SECRET)] = None
    public_key: Annotated[Path | None, Doc("of the others, PEM", Unit.PATH)] = None
    jwks: Annotated[Path | None, Doc("a JWK set; read again when it changes", Unit.PATH)] = None
    issuer: Annotated[str, Doc("what the tokens say in iss; empty: the name of the key")] = ""
    audience: Annotated[str, Doc("what the tokens say in aud")] = "appliance"


class Auth(msgspec.Struct, frozen=True):
    """Signed tokens (JWT) of other issuers that are taken here."""

    leeway: Annotated[float, Doc("how far the clock of an issuer may be off", _DURATION, least=0, most=60)] = 30.0
    longest: Annotated[float, Doc("the longest a signed token may live", _DURATION, least=60)] = 24 * HOURS
    keys: dict[str, SigningKey] = {}


class Tls(msgspec.Struct, frozen=True):
    """Encryption. `tls = "auto"` makes a local authority and a certificate; or name your own files."""

    mode: Annotated[Literal["off", "auto", "files"], Doc('"files" is implied by cert and key')] = "off"
    cert: Annotated[Path | None, Doc("your certificate chain, PEM", Unit.PATH)] = None
    key: Annotated[Path | None, Doc("its private key, PEM", Unit.PATH)] = None


class Backup(msgspec.Struct, frozen=True):
    """Copies made while everything goes on."""

    every: Annotated[
        float | None, Doc('time between two backups; "off": none by itself', _DURATION, live=True, least=60)
    ] = 6 * HOURS
    keep: Annotated[int, Doc("newest backups that are kept", live=True, least=1)] = 12


class Telemetry(msgspec.Struct, frozen=True):
    """What the appliance tells about itself."""

    log: Annotated[Literal["text", "json"], Doc("form of the log lines", live=True)] = "text"
    level: Annotated[Literal["debug", "info", "warning", "error"], Doc("least important line written", live=True)] = (
        "info"
    )
    events: Annotated[
        Literal["auto", "on", "off"],
        Doc(
            'a line for each event and connection, without what anybody wrote; "auto": if the lines are JSON', live=True
        ),
    ] = "auto"
    rate: Annotated[int, Doc("such lines in a second; more are counted and told in one", live=True, least=1)] = 200
    otlp: Annotated[
        str, Doc('where traces go (OTLP over HTTP), as "http://127.0.0.1:4318"; needs the extra otel; empty: nowhere')
    ] = ""
    canary: Annotated[
        float | None, Doc('a test event travels each way this often, and is timed; "off": none', _DURATION, least=1)
    ] = 60.0

    @property
    def records(self) -> bool:
        """Whether events and connections get lines of their own."""
        return self.events == "on" or (self.events == "auto" and self.log == "json")


class Settings(msgspec.Struct, frozen=True):
    """The whole configuration, checked."""

    name: Annotated[str, Doc("how this appliance calls itself to clients; empty: the host's name")] = ""
    listen: Annotated[
        tuple[str, ...], Doc('"loopback:PORT", "lan:PORT", an address, or a list', Unit.LISTEN, least=1)
    ] = ("loopback:8420",)
    port: Annotated[int | None, Doc("replaces the port in listen; 0: any", start=True, least=0, most=65535)] = None
    data: Annotated[Path, Doc("folder of the log, its backups and run files", Unit.PATH)] = Path("data")
    db_url: Annotated[str, Doc("sqlite://NAME.db: a log of that name in the data folder", start=True)] = ""
    token: Annotated[Secret | None, Doc('token of namespace "default"; made up when missing', Unit.SECRET)] = None
    test_mode: Annotated[bool, Doc("for test suites: private temporary data, relaxed tokens", start=True)] = False
    accept_loss: Annotated[bool, Doc("start although acknowledged events are missing", start=True)] = False
    dev: Annotated[bool, Doc("reload when the configuration file is saved", start=True)] = False
    plugins_path: Annotated[tuple[Path, ...], Doc("folders with plugins of your own", Unit.PATH)] = ()
    tls: Tls = Tls()
    log: Log = Log()
    clients: Clients = Clients()
    events: Events = Events()
    broadcast: Broadcast = Broadcast()
    webhooks: Webhooks = Webhooks()
    jobs: Jobs = Jobs()
    incoming: Incoming = Incoming()
    auth: Auth = Auth()
    limits: Limits = Limits()
    backup: Backup = Backup()
    telemetry: Telemetry = Telemetry()
    plugins: dict[str, dict[str, Any]] = {}  # raw: a plugin decodes its own table

    @property
    def shown_name(self) -> str:
        return self.name or socket.gethostname().partition(".")[0]

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where to listen: `listen`, with `port` in place of the ports there."""
        if self.port is None:
            return self.listen
        return tuple(f"{spec.rpartition(':')[0]}:{self.port}" for spec in self.listen)

    @property
    def log_folder(self) -> str:
        """Where the log is in the data folder; empty: in the folder itself."""
        return Path(self.db_url.removeprefix("sqlite://")).stem

    @property
    def front_limits(self) -> Limits:
        """The front's whole table; three of its numbers stand elsewhere in the file."""
        clients = self.clients
        return dataclasses.replace(
            self.limits,
            clients=clients.limit + ROOM_BESIDE,
            per_address=clients.per_address,
            event=self.log.max_event,
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Key:
    """One key, as the loader, the explanations and the reference see it."""

    path: Keys
    type: Any  # of the held value
    default: Any
    doc: Doc

    @property
    def dotted(self) -> str:
        return ".".join(self.path)

    @property
    def optional(self) -> bool:
        return type(None) in get_args(self.type)

    @property
    def many(self) -> bool:
        return get_origin(self.type) is tuple

    @property
    def choices(self) -> tuple[str, ...]:
        return get_args(self.type) if get_origin(self.type) is Literal else ()


# The front's table holds these three; in the file they stand where people look for them.
_ELSEWHERE = ("clients", "per_address", "event")


@cache
def all_keys() -> dict[Keys, Key]:
    """Every key in the order of the file, but for the tables of plugins, whose keys are theirs."""
    return {key.path: key for key in _keys_of(Settings, ())}


def _keys_of(table: type[msgspec.Struct], path: Keys) -> Iterator[Key]:
    hints = get_type_hints(table, include_extras=True)
    for field in msgspec.structs.fields(table):
        hint, here = hints[field.name], (*path, field.name)
        if hint is Limits:
            yield from _limits(here)
        elif get_origin(hint) is Annotated:
            held, doc = get_args(hint)
            yield Key(here, held, field.default, doc)
        elif get_origin(hint) is dict:
            inner = get_args(hint)[1]
            yield from _keys_of(inner, (*here, ANY)) if isinstance(inner, type) else ()
        else:
            yield from _keys_of(hint, here)


def _limits(path: Keys) -> Iterator[Key]:
    units = {"bytes": Unit.SIZE, "seconds": _DURATION}
    hints = get_type_hints(Limits)
    for field in dataclasses.fields(Limits):
        if field.name in _ELSEWHERE:
            continue
        unit, meaning = field.metadata["unit"], field.metadata["meaning"]
        doc = Doc(meaning if unit in units else f"{unit}: {meaning}", units.get(unit, Unit.PLAIN), least=1)
        yield Key((*path, field.name), hints[field.name], field.default, doc)
