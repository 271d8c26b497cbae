"""Lists and counts small values: one walk along the order of keys, or along one of the index.

With several conditions the walk is along the rarest, so far as a short look at each can tell, and the others are
looked up for each value that is met.
"""

from __future__ import annotations

from typing import Any

import apsw

from appliance.model.state import Index

__all__ = ["count_states", "select_states"]

LOOK = 256  # entries; a condition that has more is common

_ALL = b""  # any BLOB is behind every TEXT
_LAST = 0x10FFFF  # highest code point
_SURROGATES = range(0xD800, 0xE000)  # no text has them

_COLUMNS = "s.namespace, s.owner, s.key, s.value, s.version"
_JOINED = (
    # CROSS JOIN fixes the order: along the index, and from there to the value.
    "state_index i CROSS JOIN state s ON s.namespace = i.namespace AND s.owner = i.owner AND s.key = i.key"
)

_Bindings = dict[str, Any]


def select_states(
    db: apsw.Connection,
    namespace: int,
    owner: str,
    *,
    prefix: str,
    after: str,
    limit: int,
    where: Index,
    newest_first: bool,
) -> list[tuple[Any, ...]]:
    """Rows as `StateRow` has them; see `storage.ports.Reader.states`."""
    bindings = _span(namespace, owner, prefix, after, newest_first=newest_first) | {"limit": limit}
    source, walked = (_JOINED, "i") if where else ("state s", "s")
    conditions = _conditions(db, walked, where, bindings)
    order = "DESC" if newest_first else "ASC"
    text = f"SELECT {_COLUMNS} FROM {source} WHERE {conditions} ORDER BY {walked}.key {order} LIMIT :limit"
    return list(db.execute(text, bindings))


def count_states(db: apsw.Connection, namespace: int, owner: str, *, prefix: str, where: Index) -> int:
    """See `storage.ports.Reader.count_states`."""
    bindings = _span(namespace, owner, prefix, "", newest_first=False)
    source = "state_index i" if where else "state i"
    count: int = db.execute(
        f"SELECT count(*) FROM {source} WHERE {_conditions(db, 'i', where, bindings)}", bindings
    ).get
    return count


def _span(namespace: int, owner: str, prefix: str, after: str, *, newest_first: bool) -> _Bindings:
    """From `low` on and before `high`: two bounds, since an index takes no more."""
    low: str = prefix
    high: str | bytes = _behind(prefix)
    if after and newest_first:
        high = after if isinstance(high, bytes) else min(high, after)
    elif after:
        low = max(low, after + "\0")  # the next text there can be
    return {"namespace": namespace, "owner": owner, "low": low, "high": high}


def _behind(prefix: str) -> str | bytes:
    """The first text behind all that begin with `prefix`, in byte order, which is that of code points."""
    for length in range(len(prefix), 0, -1):
        point = ord(prefix[length - 1]) + 1
        if point <= _LAST:
            return prefix[: length - 1] + chr(_SURROGATES.stop if point in _SURROGATES else point)
    return _ALL


def _conditions(db: apsw.Connection, walked: str, where: Index, bindings: _Bindings) -> str:
    """Conditions on the rows of `walked`; what they name is added to `bindings`."""
    pairs = _rarest_first(db, where, bindings) if len(where) > 1 else list(where)
    terms = [f"{walked}.namespace = :namespace", f"{walked}.owner = :owner"]
    if pairs:
        terms += [f"{walked}.name = :name", f"{walked}.value = :value"]
        bindings |= {"name": pairs[0][0], "value": pairs[0][1]}
    terms += [f"{walked}.key >= :low", f"{walked}.key < :high"]
    for number, (name, value) in enumerate(pairs[1:]):
        bindings |= {f"name{number}": name, f"value{number}": value}
        terms.append(
            "EXISTS (SELECT 1 FROM state_index WHERE namespace = :namespace AND owner = :owner "
            f"AND name = :name{number} AND value = :value{number} AND key = {walked}.key)"
        )
    return " AND ".join(terms)


def _rarest_first(db: apsw.Connection, where: Index, bindings: _Bindings) -> list[tuple[str, str]]:
    def entries(pair: tuple[str, str]) -> int:
        look = (
            "SELECT count(*) FROM (SELECT 1 FROM state_index WHERE namespace = :namespace AND owner = :owner "
            "AND name = :name AND value = :value AND key >= :low AND key < :high LIMIT :look)"
        )
        count: int = db.execute(look, bindings | {"name": pair[0], "value": pair[1], "look": LOOK}).get
        return count

    return sorted(where, key=entries)
