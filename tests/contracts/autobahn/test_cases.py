"""The case families of the Autobahn suite as a table of our own: bytes in, exact frames and close code out.

The suite itself needs an old Python (`python -m tests.contracts.autobahn`); this needs nothing, and is stricter: an end
without its true close code on the wire fails, and so does one frame too many.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import trio

from appliance.model.http import SocketRoute
from tests.contracts.autobahn.echo import LIMITS, echo
from tests.rooms.web.house import Peer, a_house, upgrade

CONTINUED, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
EMPTY = 1005  # a close frame without a code


@dataclass(frozen=True)
class Case:
    """What the peer sends in one write for each piece, and what must come back before the close frame with `code`."""

    name: str
    pieces: tuple[bytes, ...]
    echoes: tuple[tuple[int, bytes], ...] = ()
    code: int = 1000


def frame(
    opcode: int, data: bytes = b"", *, fin: bool = True, rsv: int = 0, mask: bytes = b"\x37\xfa\x21\x3d"
) -> bytes:
    """As a client sends it, masked."""
    size = len(data)
    if size < 126:
        length = bytes([0x80 | size])
    elif size < 65536:
        length = bytes([0x80 | 126]) + struct.pack("!H", size)
    else:
        length = bytes([0x80 | 127]) + struct.pack("!Q", size)
    repeated = (mask * (size // 4 + 1))[:size]
    masked = (int.from_bytes(data, "big") ^ int.from_bytes(repeated, "big")).to_bytes(size, "big")
    return bytes([fin << 7 | rsv << 4 | opcode]) + length + mask + masked


def close(code: int = 1000, reason: bytes = b"") -> bytes:
    return frame(CLOSE, struct.pack("!H", code) + reason)


def dripped(data: bytes, size: int = 1) -> tuple[bytes, ...]:
    return tuple(data[at : at + size] for at in range(0, len(data), size))


def framing() -> Iterator[Case]:
    """Family 1."""
    for number, size in enumerate((0, 125, 126, 127, 128, 65535, 65536), 1):
        for kind, opcode, byte in ((1, TEXT, b"*"), (2, BINARY, b"\xfe")):
            data = byte * size
            yield Case(f"1.{kind}.{number}", (frame(opcode, data), close()), ((opcode, data),))
    for kind, opcode, byte in ((1, TEXT, b"*"), (2, BINARY, b"\xfe")):
        data = byte * 65536
        yield Case(f"1.{kind}.8", (*dripped(frame(opcode, data), 997), close()), ((opcode, data),))


def pings() -> Iterator[Case]:
    """Family 2."""
    for number, data in enumerate((b"", b"Hello, world!", b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff", b"\xfe" * 125), 1):
        yield Case(f"2.{number}", (frame(PING, data), close()), ((PONG, data),))
    yield Case("2.5", (frame(PING, b"\xfe" * 126), close()), code=1002)
    yield Case("2.6", (*dripped(frame(PING, b"\xfe" * 125)), close()), ((PONG, b"\xfe" * 125),))
    yield Case("2.7", (frame(PONG), close()))
    yield Case("2.8", (frame(PONG, b"unsolicited"), close()))
    yield Case("2.9", (frame(PONG, b"unsolicited"), frame(PING, b"x"), close()), ((PONG, b"x"),))
    ten = [b"payload-%d" % n for n in range(10)]
    yield Case("2.10", (b"".join(frame(PING, data) for data in ten), close()), tuple((PONG, data) for data in ten))
    drip = dripped(b"".join(frame(PING, data) for data in ten))
    yield Case("2.11", (*drip, close()), tuple((PONG, data) for data in ten))


def reserved_bits() -> Iterator[Case]:
    """Family 3."""
    hello = frame(TEXT, b"Hello, world!")
    for bits in range(1, 8):
        wrong = frame(TEXT, b"Hello, world!", rsv=bits)
        yield Case(f"3.text-{bits}", (hello + wrong + frame(PING), close()), ((TEXT, b"Hello, world!"),), 1002)
        for opcode in (BINARY, PING, PONG, CLOSE):
            yield Case(f"3.{opcode}-{bits}", (frame(opcode, b"\x03\xe8", rsv=bits),), code=1002)


def opcodes() -> Iterator[Case]:
    """Family 4."""
    hello = frame(TEXT, b"Hello, world!")
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        yield Case(f"4.{opcode}-empty", (frame(opcode), close()), code=1002)
        yield Case(
            f"4.{opcode}", (hello + frame(opcode, b"reserved") + frame(PING),), ((TEXT, b"Hello, world!"),), 1002
        )


def fragments() -> Iterator[Case]:
    """Family 5."""
    first, last = frame(TEXT, b"frag1", fin=False), frame(CONTINUED, b"frag2")
    whole = (TEXT, b"frag1frag2")
    pinged = (PONG, b"between")
    yield Case("5.1", (frame(PING, b"frag1", fin=False) + frame(CONTINUED, b"frag2"),), code=1002)
    yield Case("5.2", (frame(PONG, b"frag1", fin=False) + frame(CONTINUED, b"frag2"),), code=1002)
    yield Case("5.3", (first + last, close()), (whole,))
    yield Case("5.4", (first, last, close()), (whole,))
    yield Case("5.5", (*dripped(first + last), close()), (whole,))
    yield Case("5.6", (first + frame(PING, b"between") + last, close()), (pinged, whole))
    yield Case("5.7", (first, frame(PING, b"between"), last, close()), (pinged, whole))
    yield Case("5.8", (*dripped(first + frame(PING, b"between") + last), close()), (pinged, whole))
    for number, lone in enumerate((frame(CONTINUED, b"lone"), frame(CONTINUED, b"lone", fin=False)), 9):
        yield Case(f"5.{number}", (lone + frame(TEXT, b"Hello"),), code=1002)
    yield Case("5.15", (first + last + frame(CONTINUED, b"lone", fin=False) + frame(TEXT, b"Hello"),), (whole,), 1002)
    yield Case("5.18", (first + frame(TEXT, b"frag2"),), code=1002)
    many = first + frame(CONTINUED, b"2", fin=False) + frame(PING, b"a") + frame(CONTINUED, b"3", fin=False)
    many += frame(CONTINUED, b"4", fin=False) + frame(PING, b"b") + frame(CONTINUED, b"5")
    yield Case("5.19", (many, close()), ((PONG, b"a"), (PONG, b"b"), (TEXT, b"frag12345")))
    yield Case("5.empty", (frame(TEXT, fin=False) + frame(CONTINUED, fin=False) + last, close()), ((TEXT, b"frag2"),))
    binary = frame(BINARY, b"\x00", fin=False) + frame(CONTINUED, b"\xff")
    yield Case("5.binary", (binary, close()), ((BINARY, b"\x00\xff"),))


def utf8() -> Iterator[Case]:
    """Family 6: what UTF-8 has at its edges, and what only looks like it."""
    good = "Hello-µ@ßöäüàá-UTF-8!!".encode()
    yield Case("6.1.1", (frame(TEXT), close()), ((TEXT, b""),))
    yield Case("6.2.1", (frame(TEXT, good), close()), ((TEXT, good),))
    in_two = frame(TEXT, good[:7], fin=False) + frame(CONTINUED, good[7:])
    yield Case("6.2.2", (in_two, close()), ((TEXT, good),))
    bytewise = [frame(CONTINUED if at else TEXT, good[at : at + 1], fin=False) for at in range(len(good))]
    yield Case("6.2.3", (b"".join(bytewise) + frame(CONTINUED), close()), ((TEXT, good),))
    edges = ("\x00", "\x7f", "\x80", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\ufffd", "\ufffe", "\uffff", "\U00010000")
    for text in (*edges, "\U0010ffff", "κόσμε", "\ufeff", "\U0001fffe"):
        data = text.encode()
        yield Case(f"6.good-{data.hex()}", (*dripped(frame(TEXT, data)), close()), ((TEXT, data),))
    broken = (
        "80 bf 80bf80bf c020 e020 f020 f8888080 fc84808080 c0 e080 f08080 c0af e080af f08080af f880808080 c1bf e09fbf"
    )
    broken += (
        " f08fbfbf eda080 edadbf edb080 edbfbf eda080edb080 f4908080 f7bfbfbf fe ff fefeffff cebae1bdb9cf83cebceded8080"
    )
    for text in broken.split():
        data = b"good" + bytes.fromhex(text)
        yield Case(f"6.bad-{text}", (frame(TEXT, data),), code=1007)
        split = frame(TEXT, data[:5], fin=False) + frame(CONTINUED, data[5:])
        yield Case(f"6.bad-split-{text}", (split,), code=1007)
    early = frame(TEXT, b"\xce\xba\xf4\x90", fin=False)
    yield Case("6.4.1", (early,), code=1007)  # said at once, not when the message is whole
    yield Case("6.4.3", (frame(TEXT, b"\xce\xba\xf4\x90\x80\x80" + bytes(100))[:12],), code=1007)  # nor the frame


def closes() -> Iterator[Case]:
    """Family 7."""
    hello = (TEXT, b"Hello")
    yield Case("7.1.1", (frame(TEXT, b"Hello"), close()), (hello,))
    yield Case("7.1.2", (close() + close(),))
    yield Case("7.1.3", (close() + frame(PING, b"late"),))
    yield Case("7.1.4", (close() + frame(TEXT, b"late"),))
    yield Case("7.1.5", (frame(TEXT, b"frag1", fin=False) + close() + frame(CONTINUED, b"frag2"),))
    yield Case("7.3.1", (frame(CLOSE),), code=EMPTY)
    yield Case("7.3.2", (frame(CLOSE, b"\x03"),), code=1002)
    yield Case("7.3.4", (close(1000, b"Hello World!"),))
    yield Case("7.3.5", (close(1000, b"*" * 123),))
    yield Case("7.3.6", (close(1000, b"*" * 124),), code=1002)
    yield Case("7.5.1", (close(1000, b"good\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80"),), code=1007)
    for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999):
        yield Case(f"7.7.{code}", (close(code),), code=code)
    for code in (0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65535):
        yield Case(f"7.9.{code}", (close(code),), code=1002)


def limits() -> Iterator[Case]:
    """Families 9 and 10: long messages whole, in fragments, in slices; and what is longer than allowed."""
    text, binary = b"*" * 262_144, bytes(range(256)) * 4096
    yield Case("9.1", (frame(TEXT, text), close()), ((TEXT, text),))
    yield Case("9.2", (frame(BINARY, binary), close()), ((BINARY, binary),))
    for size in (256, 4096, 65536):
        pieces = dripped(text, size)
        parts = [frame(CONTINUED if n else TEXT, piece, fin=n == len(pieces) - 1) for n, piece in enumerate(pieces)]
        yield Case(f"9.3-{size}", (b"".join(parts), close()), ((TEXT, text),))
    yield Case("9.5", (*dripped(frame(TEXT, text), 1021), close()), ((TEXT, text),))
    yield Case("9.7", (frame(TEXT, b"x" * 16) * 500, close()), ((TEXT, b"x" * 16),) * 500)
    yield Case("9.8", (frame(BINARY, bytes(64)) * 500, close()), ((BINARY, bytes(64)),) * 500)
    yield Case("9.too-long", (frame(TEXT, bytes(LIMITS.ws_message + 1))[:20_000_000],), code=1009)
    yield Case("10.1.1", (frame(TEXT, b"*" * 65536), close()), ((TEXT, b"*" * 65536),))


def masks() -> Iterator[Case]:
    """What a client must do and the suite, being a client, does not leave out: mask, and count its bytes honestly."""
    yield Case("mask-none", (b"\x81\x05Hello",), code=1002)
    yield Case("mask-zero", (frame(TEXT, b"Hello", mask=bytes(4)), close()), ((TEXT, b"Hello"),))
    yield Case("mask-close", (b"\x88\x02\x03\xe8",), code=1002)
    yield Case("length-126-for-125", (b"\x81\xfe\x00\x7d" + bytes(129),), code=1002)
    yield Case("length-127-for-126", (b"\x81\xff" + struct.pack("!Q", 126) + bytes(130),), code=1002)
    yield Case("length-negative", (b"\x82\xff" + struct.pack("!Q", 1 << 63) + bytes(4),), code=1002)


FAMILIES = (framing, pings, reserved_bits, opcodes, fragments, utf8, closes, limits, masks)
CASES = [case for family in FAMILIES for case in family()]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_case_has_its_exact_answer(case: Case):
    async with a_house(sockets=[SocketRoute("/", echo, "echo", binary=True)], limits=LIMITS) as house:
        peer = await house.peer()
        assert (await peer.ask(upgrade("/"))).status == 101

        async with trio.open_nursery() as nursery:
            nursery.start_soon(say, peer, case.pieces)
            echoes = [await peer.frame() for _ in case.echoes]
            opcode, payload = await peer.frame()
            rest = await peer.rest()
            nursery.cancel_scope.cancel()

        assert tuple(echoes) == case.echoes
        assert opcode == CLOSE
        assert (struct.unpack("!H", payload[:2])[0] if payload else EMPTY) == case.code
        assert rest == b""
        await trio.aclose_forcefully(peer.stream)
        await house.settled()
        assert house.front.counts["bugs"] == 0


async def say(peer: Peer, pieces: tuple[bytes, ...]) -> None:
    """Send each piece by itself."""
    try:
        for piece in pieces:
            await peer.send(piece)
            await trio.lowlevel.checkpoint()
    except trio.BrokenResourceError:
        pass  # it has been told why, and need not hear the rest


def test_table_has_every_family():
    families = {case.name[0] for case in CASES}

    assert families >= set("12345679")
    assert len(CASES) == len({case.name for case in CASES}) > 200
