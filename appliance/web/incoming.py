"""What a peer says over a WebSocket: bytes in; whole messages, pings, pongs and a close out (RFC 6455).

wsproto reads the frames. This adds what a server must bound: the bytes of a message (not its characters), the
fragments it comes in, and whether binary ones are taken at all. Nothing is queued: what was received lies in one
buffer until someone asks for the next message, so a handler that is slow makes its peer wait, and nobody else.
"""

from __future__ import annotations

from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage

from appliance.model.closecodes import Close

__all__ = ["CloseConnection", "Foul", "Incoming", "Ping", "Pong", "Said"]

Said = str | bytes | Ping | Pong | CloseConnection


class Foul(Exception):
    """The peer broke a rule; nothing more of it is read."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Incoming:
    """The receiving half of one WebSocket. Pure: bytes are fed, `next` says what they mean.

    Args:
        limit: bytes of one message.
        fragments: frames of one message.
        binary: whether binary messages are taken.
    """

    __slots__ = ("_binary", "_connection", "_fragments", "_gathered", "_limit", "_most")

    def __init__(self, *, limit: int, fragments: int, binary: bool) -> None:
        self._limit = limit
        self._most = fragments
        self._binary = binary
        self._connection = Connection(ConnectionType.SERVER)
        self._gathered = bytearray()  # the beginning of an unfinished message
        self._fragments = 0  # frames of it

    def feed(self, data: bytes) -> None:
        """Take what was received."""
        self._connection.receive_data(data)

    def next(self) -> Said | None:
        """The next thing said, in order; None: more bytes are needed.

        Raises:
            Foul: a rule is broken. Nothing comes after it, nor after a CloseConnection.
        """
        for event in self._connection.events():
            match event:
                case TextMessage() | BytesMessage():
                    message = self._gather(event)
                    if message is not None:
                        return message
                case CloseConnection() if self._connection.state is ConnectionState.OPEN:  # wsproto's own verdict
                    raise Foul(event.code, event.reason or "")
                case Ping() | Pong() | CloseConnection():
                    return event
        return None

    def _gather(self, event: TextMessage | BytesMessage) -> str | bytes | None:
        binary = isinstance(event, BytesMessage)
        if binary and not self._binary:
            raise Foul(Close.UNSUPPORTED, "binary messages are refused here")
        data = event.data
        raw = data.encode() if isinstance(data, str) else bytes(data)
        if len(self._gathered) + len(raw) > self._limit:
            raise Foul(Close.TOO_BIG, f"a message has at most {self._limit} bytes")
        if event.message_finished and not self._fragments and not self._gathered:
            return data if isinstance(data, str) else raw
        self._gathered += raw
        if event.frame_finished:
            self._fragments += 1
            if self._fragments > self._most:
                raise Foul(Close.TOO_BIG, f"a message has at most {self._most} fragments")
        if not event.message_finished:
            return None
        whole, self._gathered, self._fragments = bytes(self._gathered), bytearray(), 0
        return whole if binary else whole.decode()
