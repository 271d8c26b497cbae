"""Every page of the file carries a checksum, checked whenever it is read.

SQLite notices a damaged page only if its structure breaks. A flipped bit in an index makes rows vanish from
answers without a word. The checksum VFS, from SQLite's own sources, turns both into an I/O error. It is
registered once per process, as the default for every connection made from here on.
"""

from __future__ import annotations

import apsw
import apsw.sqlite_extra

from appliance.errors import Unavailable

__all__ = ["reserve"]

CHECKSUM = 8  # bytes at the end of each page


def _register() -> None:
    if "cksmvfs" not in apsw.vfs_names():
        keeper = apsw.Connection(":memory:")
        try:
            apsw.sqlite_extra.load(keeper, "cksumvfs")
        finally:
            keeper.close()


def reserve(db: apsw.Connection) -> None:
    """Make room for checksums; only a database without a page yet changes its shape."""
    db.reserve_bytes(reserve=CHECKSUM)


try:
    _register()
except (apsw.Error, apsw.sqlite_extra.NotAvailable, OSError) as error:  # pragma: no cover - a broken installation
    raise Unavailable(
        f"SQLite's page checksums cannot be loaded: {error}", hint="install the appliance again"
    ) from error
