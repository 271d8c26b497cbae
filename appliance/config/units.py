"""Durations and sizes as people write them: "30s", "1h30m", "16MiB". Pure."""

from __future__ import annotations

import re

__all__ = ["duration", "duration_text", "size", "size_text"]

DURATIONS = {"w": 604_800.0, "d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}  # in seconds, long to short
SIZES = {
    "TiB": 2**40,
    "GiB": 2**30,
    "MiB": 2**20,
    "KiB": 2**10,
    "TB": 10**12,
    "GB": 10**9,
    "MB": 10**6,
    "kB": 10**3,
    "B": 1,
}

_STEP = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)\s*([a-z]+)\s*", re.ASCII)
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)\s*([A-Za-z]+)", re.ASCII)


def duration(text: str) -> float:
    """Seconds of "250ms", "30s", "90m", "1h30m", "2d", "1w"; units from long to short, each once.

    Raises:
        ValueError: not of this form.
    """
    steps = list(_STEP.finditer(text.strip()))
    units = [step[2] for step in steps]
    in_order = sorted(set(units), key=list(DURATIONS).index) == units if set(units) <= set(DURATIONS) else False
    if not steps or not in_order or "".join(step[0] for step in steps) != text.strip():
        raise ValueError(f'"{text}" is no duration; write "30s", "1h30m" or "2d" (ms, s, m, h, d, w)')
    return sum(float(step[1]) * DURATIONS[step[2]] for step in steps)


def duration_text(seconds: float) -> str:
    """The largest unit up to days that needs no fraction: 7200.0 is "2h"."""
    for unit in ("d", "h", "m", "s"):
        if seconds % DURATIONS[unit] == 0 and seconds:
            return f"{seconds / DURATIONS[unit]:.0f}{unit}"
    return f"{seconds * 1000:g}ms" if 0 < seconds < 1 else f"{seconds:.9g}s"


def size(text: str) -> int:
    """Bytes of "16MiB", "64KiB", "1.5GiB", "500kB", "100B".

    Raises:
        ValueError: not of this form, or not a whole number of bytes.
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None or found[2] not in SIZES:
        raise ValueError(f'"{text}" is no size; write "16MiB" or "500kB" ({", ".join(reversed(SIZES))})')
    whole, _, fraction = found[1].partition(".")
    count, rest = divmod(int(whole + fraction) * SIZES[found[2]], int("1" + "0" * len(fraction)))
    if rest:
        raise ValueError(f'"{text}" is not a whole number of bytes')
    return count


def size_text(count: int) -> str:
    """The largest unit that needs no fraction: 16777216 is "16MiB"."""
    unit = next(unit for unit, length in SIZES.items() if (count % length == 0 and count >= length) or unit == "B")
    return f"{count // SIZES[unit]}{unit}"
