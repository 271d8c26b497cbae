"""Reading a message-store call: `["method", argument, …]`, each part checked with the API's own words.

Arguments stay undecoded text until somebody asks for them as something, so that data is never made
into objects, and the first wrong argument in the API's order is the one that is named.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec
from msgspec import UNSET, Raw, UnsetType

from appliance.auth.dialect import DialectError, invalid
from appliance.ingress.jsontext import Malformed, check, compact
from appliance.model.event import Draft, Group

__all__ = [
    "CHUNK",
    "MOST_MESSAGES",
    "Call",
    "CategoryOptions",
    "CreateOptions",
    "LastOptions",
    "Message",
    "StreamOptions",
    "StreamsOptions",
    "WriteOptions",
    "batch_size",
    "group_of",
    "integer",
    "is_given",
    "messages",
    "metadata_text",
    "object_text",
    "options",
    "parse_call",
    "text",
]

T = TypeVar("T", bound=msgspec.Struct)

ABSENT = Raw(b"")
CHUNK = 1000  # messages of an answer unless asked otherwise, and of each piece of a longer one
MOST_BATCH = 10_000
MOST_MESSAGES = 10_000  # of one stream.writeMany
FARTHEST = 2**63 - 1  # numbers beyond are taken as this


class Call(msgspec.Struct, array_like=True):
    """What may follow the third argument is ignored."""

    method: Raw = ABSENT
    first: Raw = ABSENT
    second: Raw = ABSENT
    third: Raw = ABSENT

    def needs(self, count: int, what: str) -> None:
        if (self.first, self.second)[count - 1] is ABSENT:
            raise invalid(what)


class Message(msgspec.Struct):
    type: Raw = ABSENT
    data: Raw = ABSENT
    metadata: Raw = ABSENT


class WriteOptions(msgspec.Struct):
    id: Raw = ABSENT
    expected_version: Raw = msgspec.field(default=ABSENT, name="expectedVersion")


class StreamOptions(msgspec.Struct, rename="camel"):
    position: Raw = ABSENT
    global_position: Raw = ABSENT
    batch_size: Raw = ABSENT


class CategoryOptions(StreamOptions, rename="camel"):
    correlation: Raw = ABSENT
    consumer_group: Raw = ABSENT


class LastOptions(msgspec.Struct):
    type: Raw = ABSENT


class CreateOptions(msgspec.Struct):
    description: Raw = ABSENT
    token: Raw = ABSENT
    metadata: Raw = ABSENT


class StreamsOptions(msgspec.Struct):
    prefix: Raw = ABSENT
    limit: Raw = ABSENT
    cursor: Raw = ABSENT


class _Member(msgspec.Struct):
    member: Raw = ABSENT
    size: Raw = ABSENT


class _Entry(msgspec.Struct):
    """One message of stream.writeMany."""

    stream: str
    type: str
    data: Raw
    metadata: Raw = ABSENT
    id: str = ""
    expected_version: int | float | UnsetType = msgspec.field(default=UNSET, name="expectedVersion")


_call = msgspec.json.Decoder(Call).decode
_text = msgspec.json.Decoder(str).decode
_number = msgspec.json.Decoder(int | float).decode
_entries = msgspec.json.Decoder(list[_Entry]).decode


def parse_call(body: bytes) -> tuple[str, Call]:
    """The method's name and its arguments.

    Raises:
        DialectError: 400, it is no call.
    """
    try:
        check(body)
        call = _call(body)
    except (Malformed, msgspec.ValidationError) as error:
        raise invalid("Malformed JSON request", error=str(error)) from error
    if call.method is ABSENT:
        raise invalid("Missing method name")
    try:
        return _text(call.method), call
    except msgspec.ValidationError as error:
        raise invalid("Method name must be a string") from error


def is_given(part: Raw) -> bool:
    return part is not ABSENT


def text(part: Raw, wrong: str, *, empty: bool = False) -> str:
    """A text argument; `empty`: it may be."""
    try:
        value = _text(part)
    except msgspec.DecodeError as error:
        raise invalid(wrong) from error
    if not value and not empty:
        raise invalid(wrong)
    return value


def integer(part: Raw, name: str, default: int) -> int:
    """Any JSON number, cut toward zero; null is no number."""
    if part is ABSENT:
        return default
    try:
        return _whole(_number(part))
    except msgspec.ValidationError as error:
        raise invalid(f"{name} must be a number") from error


def _whole(number: float) -> int:
    return max(-FARTHEST, min(int(number), FARTHEST))


def options(part: Raw, shape: type[T]) -> T:
    """The options argument; left out means none."""
    if part is ABSENT:
        return shape()
    try:
        return msgspec.json.decode(part, type=shape)
    except msgspec.ValidationError as error:
        raise invalid("options must be an object") from error


def object_text(part: Raw, wrong: str) -> str:
    """The compact text of an argument that has to be an object."""
    content = compact(part) if part is not ABSENT else ""
    if not content.startswith("{"):
        raise invalid(wrong)
    return content


def batch_size(part: Raw) -> int | None:
    """How many messages are wanted; None: all."""
    size = integer(part, "options.batchSize", CHUNK)
    if size < -1 or size > MOST_BATCH:
        raise invalid(f"options.batchSize must be <= {MOST_BATCH} or -1 for unlimited")
    return None if size == -1 else size


def group_of(part: Raw) -> Group | None:
    """The consumer group of category.get; `{}` is none."""
    if part is ABSENT:
        return None
    name = "options.consumerGroup"
    try:
        wanted = msgspec.json.decode(part, type=_Member)
    except msgspec.ValidationError as error:
        raise invalid(f"{name} must be an object") from error
    if wanted.member is ABSENT and wanted.size is ABSENT:
        return None
    member, size = integer(wanted.member, f"{name}.member", 0), integer(wanted.size, f"{name}.size", 0)
    if wanted.member is ABSENT or wanted.size is ABSENT:
        raise invalid(f"{name} requires both member and size")
    if member < 0:
        raise invalid(f"{name}.member must be non-negative")
    if size <= 0:
        raise invalid(f"{name}.size must be positive")
    if member >= size:
        raise invalid(f"{name}.member must be < size")
    return Group(member, size)


def messages(part: Raw) -> list[Draft]:
    """The messages of stream.writeMany, in order."""
    try:
        entries = _entries(part)
    except msgspec.DecodeError as error:
        raise invalid(f"stream.writeMany: {error}") from error
    if len(entries) > MOST_MESSAGES:
        raise DialectError(413, "TOO_LARGE", f"stream.writeMany takes {MOST_MESSAGES} messages at most")
    return [_draft(number, entry) for number, entry in enumerate(entries)]


def _draft(number: int, entry: _Entry) -> Draft:
    """Once per event of a batch, so the words of a refusal are put together only for one."""
    if not entry.stream or not entry.type:
        name = "type" if entry.stream else "stream"
        raise invalid(f"messages[{number}].{name} must be a non-empty string")
    data = compact(entry.data)
    if not data.startswith("{"):
        raise invalid(f"messages[{number}].data must be an object")
    metadata = None
    if entry.metadata is not ABSENT:
        metadata = metadata_text(entry.metadata, f"messages[{number}].metadata must be an object")
    expected = None if entry.expected_version is UNSET else _whole(entry.expected_version)
    return Draft(entry.stream, entry.type, data, metadata, entry.id, expected)


def metadata_text(part: Raw, wrong: str) -> str | None:
    """Metadata is an object; left out and null both mean none."""
    if part is ABSENT:
        return None
    content = compact(part)
    if content == "null":
        return None
    if not content.startswith("{"):
        raise invalid(wrong)
    return content
