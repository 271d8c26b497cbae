"""Copies of the log that can be trusted: made online, proven before they count, put back with the old data kept.

    DIR/backups/2026-11-21T09-42-00Z/
        log.db           one consistent state of everything, tokens only as hashes
        appliance.toml   the configuration file, if there is one
        manifest.json    what is in it: counts, positions, digests, and the SHA-256 of each file
        proven           when it was last opened and checked whole

A backup appears under its name whole and proven, or not at all: it is put together in a folder that ends in
`.partial`. The owner's token is in none of it: its text lives in the run folder only.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing, suppress
from itertools import count
from pathlib import Path

import msgspec

from appliance import __version__
from appliance.clock import stamp
from appliance.errors import ApplianceError, Corrupt, NotFound, Unavailable
from appliance.storage.ports import Engine, Proof
from appliance.storage.sqlite import prove, tally
from appliance.storage.sqlite.copying import sync

__all__ = ["Found", "Manifest", "Restored", "facts", "find", "listing", "make", "prune", "restore", "verify"]

LOG, MARK, CONFIG, MANIFEST, PROVEN = "log.db", "log.mark", "appliance.toml", "manifest.json", "proven"
PARTIAL, READY = ".partial", ".restored"
BLOCK = 1024 * 1024  # bytes hashed at once


class File(msgspec.Struct, frozen=True):
    size: int  # bytes
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """What a backup says of itself."""

    name: str
    created: str  # RFC 3339
    program: str  # version of the appliance that made it
    reason: str  # "asked" or "schedule"
    events: int = 0
    namespaces: tuple[Proof, ...] = ()
    files: dict[str, File] = {}
    format: int = 1


class Found(msgspec.Struct, frozen=True):
    """One backup in the folder."""

    name: str
    created: str = ""
    reason: str = ""
    events: int = 0
    size: int = 0  # bytes
    proven: str = ""  # when it was last checked whole
    problem: str = ""  # why it is none, if it is none


class Restored(msgspec.Struct, frozen=True):
    """What a restore did."""

    name: str
    before: tuple[Proof, ...] | None  # of the log that was there; None: there was none, or it cannot be read
    after: tuple[Proof, ...]
    aside: str  # folder that keeps the old data; empty: there was none
    config: str  # copy of the configuration file in the backup; empty: there is none


def make(
    engine: Engine,
    folder: Path,
    *,
    wall_us: int,
    config: Path | None = None,
    reason: str = "asked",
    stop: Callable[[], bool] = lambda: False,
    breathe: Callable[[], None] = lambda: None,
) -> Manifest:
    """Copy the running log into `folder`, prove the copy, and give it its name. Blocks; run it aside.

    Args:
        config: file that is copied along.
        stop: asked now and then; True gives up.
        breathe: called every millisecond or so of checking, so that others get their turn.

    Raises:
        Unavailable: given up, or the disk is full or broken. Nothing is left behind.
        Corrupt: the copy is not what was written. Nothing is left behind.
    """
    name = _free_name(folder, _name(wall_us))
    partial = folder / (name + PARTIAL)
    try:
        partial.mkdir(mode=0o700, parents=True)
        manifest = _fill(engine, partial, Manifest(name, stamp(wall_us), __version__, reason), config, stop, breathe)
        partial.rename(folder / name)
        sync(folder)
    except OSError as error:
        _remove(partial)
        raise Unavailable(f"the backup cannot be written: {error}", hint=f"free space in {folder}") from error
    except BaseException:
        _remove(partial)
        raise
    return manifest


def _fill(
    engine: Engine,
    partial: Path,
    begun: Manifest,
    config: Path | None,
    stop: Callable[[], bool],
    breathe: Callable[[], None],
) -> Manifest:
    with closing(engine.reader()) as reader:
        least = {space.id: reader.newest(space.key) for space in reader.namespaces()}
    engine.backup(partial, stop=stop)
    if config is not None and config.is_file():
        _copy(config, partial / CONFIG)
    proofs = prove(partial, breathe=breathe)
    _compare_with_live(proofs, least)
    files = {file.name: facts(file) for file in sorted(partial.iterdir())}
    events = sum(proof.messages for proof in proofs)
    manifest = msgspec.structs.replace(begun, events=events, namespaces=proofs, files=files)
    _write(partial / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
    _write(partial / PROVEN, manifest.created.encode() + b"\n")
    return manifest


def listing(folder: Path) -> list[Found]:
    """All backups, newest first; those that are none say why."""
    if not folder.is_dir():
        return []
    names = [entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.endswith(PARTIAL)]
    return [_found(entry) for entry in sorted(names, key=lambda entry: entry.name, reverse=True)]


def find(folder: Path, name: str = "") -> Path:
    """The backup of this name, or of an unambiguous ending of it; without a name the newest that is one.

    Raises:
        NotFound: there is no such backup, or there are several.
    """
    sound = [found.name for found in listing(folder) if not found.problem]
    matching = [one for one in sound if one == name] or [one for one in sound if one.endswith(name)]
    if not matching:
        what = f"no backup {name} in {folder}" if name else f"no backup in {folder}"
        raise NotFound(what, hint="see them all with: appliance backup list")
    if name and len(matching) > 1:
        raise NotFound(f"{len(matching)} backups end in {name}", hint="write more of the name")
    return folder / matching[0]


def verify(backup: Path, *, wall_us: int | None = None, breathe: Callable[[], None] = lambda: None) -> Manifest:
    """Open the copy and check it whole: files, pages, every event's digest, and the counts it was made with.

    Args:
        wall_us: the time to note as that of the last proof; None: leave no note.

    Raises:
        NotFound: it is no backup.
        Corrupt: it is not what was written.
        ConfigError: a newer program made it.
    """
    manifest = _manifest(backup)
    for name, file in manifest.files.items():
        path = backup / name
        if not path.is_file():
            raise Corrupt(f"{backup.name} lacks its file {name}", hint="use another backup", file=name)
        if facts(path) != file:
            raise Corrupt(f"{backup.name}/{name} is not what was written", hint="use another backup", file=name)
    if prove(backup, breathe=breathe) != manifest.namespaces:
        raise Corrupt(f"{backup.name} holds other events than it was made with", hint="use another backup")
    if wall_us is not None:
        with suppress(OSError):  # on a read-only disk the proof is as good
            _write(backup / PROVEN, stamp(wall_us).encode() + b"\n")
    return manifest


def restore(
    backup: Path, directory: Path, *, wall_us: int, hold: Callable[[], AbstractContextManager[object]]
) -> Restored:
    """Put a backup in the place of the log in `directory`. What was there is moved aside, not lost.

    If power fails meanwhile the next start refuses, since the high-water mark goes last; restoring again then
    finishes it.

    Args:
        hold: takes the lock of the data folder, and refuses while an appliance works on it.

    Raises:
        Conflict: an appliance works on this data.
        Corrupt, NotFound, ConfigError: as `verify`; nothing has been changed.
        Unavailable: the disk is full or broken.
    """
    manifest = verify(backup)
    with hold():
        try:
            return _put_back(backup, directory, manifest, wall_us)
        except OSError as error:
            raise Unavailable(
                f"the backup cannot be put back: {error}", hint="free space in the data folder, then restore again"
            ) from error


def prune(folder: Path, keep: int) -> list[str]:
    """Remove all but the `keep` newest backups, and what was left unfinished. Returns the names that went."""
    sound = [found.name for found in listing(folder) if not found.problem]
    unfinished = [entry.name for entry in folder.glob(f"*{PARTIAL}")] if folder.is_dir() else []
    gone = sound[max(keep, 1) :]
    for name in gone + unfinished:
        _remove(folder / name)
    return gone


def _put_back(backup: Path, directory: Path, manifest: Manifest, wall_us: int) -> Restored:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    ready = directory / f"{LOG}{READY}"
    _copy(backup / LOG, ready)
    if facts(ready) != manifest.files[LOG]:
        raise Corrupt(f"{backup.name} was not copied as it is", hint="check the disk")
    before = _look(directory)
    aside = _move_aside(directory, wall_us)
    ready.rename(directory / LOG)
    sync(directory)
    config = backup / CONFIG if CONFIG in manifest.files else None
    return Restored(manifest.name, before, prove(directory), str(aside or ""), str(config or ""))


def _look(directory: Path) -> tuple[Proof, ...] | None:
    """What the log holds that is about to be replaced, as far as it can be read."""
    try:
        return tally(directory)
    except ApplianceError:
        return None


def _move_aside(directory: Path, wall_us: int) -> Path | None:
    """The log and all that belongs to it. Its mark goes last: alone it makes a start refuse, and loudly."""
    names = (LOG, f"{LOG}-wal", f"{LOG}-shm", MARK)
    old = [directory / name for name in names if (directory / name).exists()]
    if not old:
        return None
    aside = directory / _free_name(directory, f"replaced-{_name(wall_us)}")
    aside.mkdir(mode=0o700)
    for path in old:
        path.rename(aside / path.name)
        sync(directory)
    sync(aside)
    return aside


def _compare_with_live(proofs: Sequence[Proof], least: dict[str, int]) -> None:
    """The copy holds at least what the log held when it was begun."""
    newest = {proof.namespace: proof.newest for proof in proofs}
    for namespace, position in least.items():
        if newest.get(namespace, position) < position:
            raise Corrupt(f"the copy of namespace {namespace!r} ends at {newest[namespace]}, not at {position}")


def _manifest(backup: Path) -> Manifest:
    try:
        return msgspec.json.decode((backup / MANIFEST).read_bytes(), type=Manifest)
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound(f"{backup} is no backup: it has no {MANIFEST}", hint="see appliance backup list") from None
    except OSError as error:
        raise Unavailable(f"{backup} cannot be read: {error}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Corrupt(f"{backup.name}/{MANIFEST} is damaged: {error}", hint="use another backup") from error


def _found(entry: Path) -> Found:
    try:
        manifest = _manifest(entry)
    except ApplianceError as error:
        return Found(entry.name, problem=error.message)
    proven = entry / PROVEN
    return Found(
        entry.name,
        manifest.created,
        manifest.reason,
        manifest.events,
        sum(file.size for file in manifest.files.values()),
        proven.read_text("ascii", "replace").strip() if proven.is_file() else "",
    )


def _name(wall_us: int) -> str:
    """A time as a file name that sorts: 2026-11-21T09-42-00Z."""
    return stamp(wall_us)[:19].replace(":", "-") + "Z"


def _free_name(folder: Path, name: str) -> str:
    tries = (name if number == 1 else f"{name}-{number}" for number in count(1))
    return next(one for one in tries if not (folder / one).exists() and not (folder / (one + PARTIAL)).exists())


def facts(path: Path) -> File:
    """Size and SHA-256 of a file."""
    with path.open("rb") as file:
        return File(path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
    target.chmod(0o600)
    sync(target)


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_bytes(content)
    sync(fresh)
    fresh.replace(path)
    sync(path.parent)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
