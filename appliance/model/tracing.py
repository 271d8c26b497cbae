"""What a request is called on its way: its id in every log line, and the trace it belongs to. Pure.

Both follow the task that serves the request, and the tasks it starts. A trace is named as W3C Trace Context says:
`traceparent: 00-TRACE-PARENT-FLAGS`, hexadecimal digits in lower case.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import Any

import msgspec

__all__ = [
    "REQUEST",
    "TRACE",
    "TRACEPARENT",
    "continued",
    "enter",
    "label_of",
    "served",
    "trace_id",
    "trace_of",
    "traceparent",
]

TRACEPARENT = "traceparent"  # as a header, and as a label of events

REQUEST: ContextVar[str] = ContextVar("request", default="")  # id of the request being served; "": none
TRACE: ContextVar[str] = ContextVar("trace", default="")  # its traceparent; "": it belongs to no trace

_SHAPE = re.compile(
    r"(?!ff)(?P<version>[0-9a-f]{2})-(?P<trace>(?!0{32})[0-9a-f]{32})-(?P<parent>(?!0{16})[0-9a-f]{16})"
    r"-(?P<flags>[0-9a-f]{2})(?P<rest>-.*)?"
)


class _Labels(msgspec.Struct, frozen=True):
    trace: Any = msgspec.field(name=TRACEPARENT, default=None)


_labels = msgspec.json.Decoder(_Labels).decode


def traceparent(text: str) -> str:
    """The header's value in the version we speak; empty: it is none, and must be ignored."""
    found = _SHAPE.fullmatch(text)
    if found is None or (found["version"] == "00" and found["rest"]):
        return ""
    return f"00-{found['trace']}-{found['parent']}-{found['flags']}"


def trace_of(headers: Mapping[str, str]) -> str:
    """The trace a request belongs to; empty: none. What we have made of it goes before what came in."""
    return TRACE.get() or traceparent(headers.get(TRACEPARENT, ""))


def label_of(metadata: str | None) -> str:
    """The trace that an event says it belongs to; empty: none."""
    if metadata is None or TRACEPARENT not in metadata:
        return ""
    try:
        said = _labels(metadata).trace
    except msgspec.MsgspecError:
        return ""
    return traceparent(said) if isinstance(said, str) else ""


def continued(parent: str, span: str) -> str:
    """The traceparent of what `parent` caused.

    Args:
        span: names the new step: 16 hexadecimal digits, not all 0.
    """
    return f"{parent[:36]}{span}{parent[52:]}"


def trace_id(parent: str) -> str:
    """The 32 digits that all steps of a trace share."""
    return parent[3:35]


def enter(request_id: str, headers: Mapping[str, str]) -> None:
    """What this task logs from now on belongs to a request: for one that lasts as long as its connection."""
    REQUEST.set(request_id)
    if trace := traceparent(headers.get(TRACEPARENT, "")):
        TRACE.set(trace)


@contextlib.contextmanager
def served(request_id: str, trace: str = "") -> Iterator[None]:
    """What is logged inside belongs to this request."""
    request, parent = REQUEST.set(request_id), TRACE.set(trace)
    try:
        yield
    finally:
        REQUEST.reset(request)
        TRACE.reset(parent)
