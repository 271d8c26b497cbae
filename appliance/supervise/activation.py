"""Sockets that the service manager opened for us, so that no connection is refused during a restart.

Source: sd_listen_fds(3).
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping

from appliance.errors import ConfigError

__all__ = ["inherited"]

FIRST = 3  # descriptors follow stdin, stdout and stderr


def inherited(environ: MutableMapping[str, str], *, pid: int, first: int = FIRST) -> list[socket.socket]:
    """The listening sockets passed to this process; empty: none were, open your own.

    Takes the variables out of `environ` and keeps the descriptors from our children: both are for us only.

    Raises:
        ConfigError: something else than a listening stream socket was passed.
    """
    whose, count = environ.pop("LISTEN_PID", ""), environ.pop("LISTEN_FDS", "")
    environ.pop("LISTEN_FDNAMES", None)
    if whose != str(pid) or not (count.isascii() and count.isdigit()):
        return []
    return [_listener(number) for number in range(first, first + int(count))]


def _listener(number: int) -> socket.socket:
    try:
        os.set_inheritable(number, False)
        passed = socket.socket(fileno=number)
        listening = passed.type == socket.SOCK_STREAM and passed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise ConfigError(
            f"descriptor {number} was announced in LISTEN_FDS and is no socket: {error.strerror}",
            hint="check the .socket unit that starts this service",
        ) from error
    if not listening:
        passed.detach()
        raise ConfigError(
            f"descriptor {number} was passed to us and does not listen for streams",
            hint="the .socket unit needs ListenStream= and Accept=no",
        )
    passed.setblocking(False)
    return passed
