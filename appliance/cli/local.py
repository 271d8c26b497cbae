"""Finding the appliance of this machine: where it listens, and the owner's token that only its user can read."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.client import Unreachable
from appliance.config.load import Loaded, load, the_file
from appliance.supervise.lock import holder

if TYPE_CHECKING:
    from appliance.cli.desk import Desk, Globals
    from appliance.storage.ports import Engine

__all__ = [
    "ADDRESS",
    "OWNER_TOKEN",
    "Server",
    "find_server",
    "holder_of",
    "loaded",
    "log_folder",
    "offline",
    "runs_here",
]

ADDRESS = Path("run/address")  # in the data folder, while it runs
OWNER_TOKEN = Path("run/owner.token")
LOCK = Path("run/lock")
CA = Path("tls/ca.crt")


@dataclass(frozen=True, slots=True)
class Server:
    """How to reach one server. `data` is set when it is the local one."""

    url: str
    token: str = ""
    ca: str = ""
    data: Path | None = None


def loaded(options: Globals, environ: Mapping[str, str], flags: Mapping[str, object] | None = None) -> Loaded:
    """The configuration a server started here would have."""
    given = {"data": options.data or None, **(flags or {})}
    return load(the_file(options.config or None, environ), environ=environ, flags=given)


def find_server(desk: Desk) -> Server:
    """The server that was named, or the local one.

    A named address without a token gets the owner's token if it is the local address.

    Raises:
        Unreachable: none was named and none runs here.
    """
    url = desk.options.url or desk.environ.get("APPLIANCE_URL", "")
    token = desk.options.token or desk.environ.get("APPLIANCE_TOKEN", "") or desk.environ.get("EVENTODB_TOKEN", "")
    if url and token:
        return Server(url, token)
    data = desk.data
    here = _first_line(data / ADDRESS)
    if url and url.rstrip("/") != here:
        return Server(url, token)
    if not here:
        raise Unreachable(
            f"no appliance runs on the data in {data.absolute()}",
            hint="start it with: appliance serve\nor name another with --url, or its folder with --data",
        )
    ca = data / CA
    return Server(here, token or _first_line(data / OWNER_TOKEN), str(ca) if ca.is_file() else "", data)


def holder_of(data: Path) -> int | None:
    """The process that works on this data folder; None: nobody. The kernel's lock tells, not the file."""
    path = data / LOCK
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except BlockingIOError:
        by = holder(path)
        return by.pid if by else None
    return None


def runs_here(desk: Desk) -> bool:
    """Whether a process works on the local data folder."""
    return holder_of(desk.data) is not None


def log_folder(desk: Desk) -> Path:
    """Where the log itself is, as `serve` places it: in the data folder, or below it with a name of its own."""
    return desk.data / Path(desk.config.settings.db_url.partition("://")[2]).stem


@contextmanager
def offline(desk: Desk) -> Iterator[Engine]:
    """The log of the data folder, which nobody serves meanwhile; made if there is none yet.

    Raises:
        DataInUse: somebody does.
    """
    from appliance.auth.store import OwnerFile, settle_owner
    from appliance.storage.sqlite import SqliteEngine
    from appliance.supervise.place import hold
    from appliance.world import RealWorld

    world = RealWorld()
    with hold(desk.data) as place:
        folder = log_folder(desk)
        folder.mkdir(mode=0o700, exist_ok=True)
        with closing(SqliteEngine.open(folder)) as engine:
            settle_owner(engine, OwnerFile(place.run), given="", secret=world.secret, now_us=world.wall_us())
            yield engine


def _first_line(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return ""
