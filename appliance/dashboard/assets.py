"""The files of the dashboard, ready to be sent: digests, compressed bytes and headers, made once at the start.

All of them live below one folder whose name is the digest of everything in it, `assets/3f9c…/app.js`. Modules name each
other by relative paths, so a browser may keep each for ever: after an update the page names another folder. There is
no build step.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.resources
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources.abc import Traversable

__all__ = ["Asset", "Assets", "files_of"]

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
DIGEST = 16  # characters of a digest in an address
PAGE = "index.html"
PLACE = b"{{assets}}"  # in the page: where its files are
PRELOADS = b"{{preloads}}"  # and which modules there are, so that they come side by side


@dataclass(frozen=True, slots=True)
class Asset:
    """One file."""

    body: bytes
    compressed: bytes  # with gzip; empty: that would not pay
    content_type: str
    etag: str


def files_of(package: str, folder: str) -> dict[str, bytes]:
    """Every file below a folder of a package, by its path from there."""
    return dict(_walk(importlib.resources.files(package).joinpath(folder), ""))


class Assets:
    """What the dashboard is made of.

    Args:
        files: by path; `index.html` is the page, and names its files through `{{assets}}`.
        base: address of the folder of assets.
    """

    def __init__(self, files: Mapping[str, bytes], *, base: str) -> None:
        page = files[PAGE]
        rest = {path: body for path, body in files.items() if path != PAGE}
        digest = hashlib.sha256()
        for path, body in sorted(files.items()):
            digest.update(f"{path}\0{len(body)}\0".encode() + body)
        self.digest = digest.hexdigest()[:DIGEST]
        place = f"{base}/{self.digest}"
        modules = [path for path in sorted(rest) if path.endswith(".js") and b"import" in rest[path]]
        preloads = "\n".join(f'<link rel="modulepreload" href="{place}/{path}">' for path in modules)
        self.page = _asset(PAGE, page.replace(PLACE, place.encode()).replace(PRELOADS, preloads.encode()))
        self._files = {path: _asset(path, body) for path, body in rest.items()}

    def find(self, digest: str, path: str) -> Asset | None:
        """A file; None: it is not there, or was there before an update."""
        return self._files.get(path) if digest == self.digest else None


def _asset(path: str, body: bytes) -> Asset:
    kind = TYPES[path[path.rindex(".") :]]
    small = gzip.compress(body, 6, mtime=0)
    etag = f'"{hashlib.sha256(body).hexdigest()[:DIGEST]}"'
    return Asset(body, small if len(small) < len(body) else b"", kind, etag)


def _walk(folder: Traversable, above: str) -> Iterator[tuple[str, bytes]]:
    for entry in sorted(folder.iterdir(), key=lambda one: one.name):
        if entry.is_dir():
            yield from _walk(entry, f"{above}{entry.name}/")
        elif entry.name[entry.name.rfind(".") :] in TYPES:
            yield above + entry.name, entry.read_bytes()
