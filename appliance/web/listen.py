"""Listening sockets from a short text."""

from __future__ import annotations

import contextlib
import errno
import socket

from appliance.errors import ConfigError

__all__ = ["listen", "url_host"]

BACKLOG = 4096  # a reconnect storm must fit
_TRIES = 16  # to find one free port in both families

_NAMES = {"loopback": ("127.0.0.1", "::1"), "lan": ("0.0.0.0", "::")}  # noqa: S104 - asked for by name


def listen(spec: str) -> list[socket.socket]:
    """Open the sockets that `spec` names.

    Args:
        spec: `loopback:PORT`, `lan:PORT` (every interface), `host:PORT`, `[v6]:PORT`. Port 0 takes a
            free one, the same in both families.

    Returns:
        Non-blocking listening sockets; a family that this machine does not have is left out.

    Raises:
        ConfigError: not such a text, or the address cannot be had.
    """
    host, port = _split(spec)
    for _ in range(_TRIES):
        try:
            return _open(_addresses(spec, host, port))
        except OSError as error:
            if port == 0 and error.errno == errno.EADDRINUSE:
                continue  # free in one family, taken in the other
            raise _unavailable(spec, error) from error
    raise ConfigError(f"no port is free in both families for {spec}", hint="name a port", key="listen")


def url_host(address: str) -> str:
    """An address as it stands in a URL."""
    return f"[{address}]" if ":" in address else address


def _split(spec: str) -> tuple[str, int]:
    host, colon, port = spec.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535 or not host:
        raise ConfigError(
            f"cannot listen on {spec!r}", hint="write loopback:8420, lan:8420 or an address and a port", key="listen"
        )
    return host.strip("[]"), int(port)


def _addresses(spec: str, host: str, port: int) -> list[tuple[socket.AddressFamily, tuple[str, int]]]:
    names = _NAMES.get(host, (host,))
    found = []
    for name in names:
        try:
            rows = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        except socket.gaierror as error:
            raise ConfigError(f"{host!r} is not an address of this machine: {error}", key="listen") from error
        found += [(family, (str(at[0]), port)) for family, _, _, _, at in rows]
    return list(dict.fromkeys(found))


def _open(addresses: list[tuple[socket.AddressFamily, tuple[str, int]]]) -> list[socket.socket]:
    opened: list[socket.socket] = []
    with contextlib.ExitStack() as undo:
        for family, (host, port) in addresses:
            port = port or (opened[0].getsockname()[1] if opened else 0)
            try:
                opened.append(undo.enter_context(_bound(family, host, port)))
            except OSError as error:
                if not opened or error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                    raise  # else: no IPv6 here
        undo.pop_all()
    return opened


def _bound(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, port))
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def _unavailable(spec: str, error: OSError) -> ConfigError:
    hints = {
        errno.EADDRINUSE: "another program listens there; stop it, or choose another port",
        errno.EACCES: "ports below 1024 need a privilege; choose a higher one",
        errno.EADDRNOTAVAIL: "this machine does not have that address",
    }
    hint = hints.get(error.errno or 0, "")
    return ConfigError(f"cannot listen on {spec}: {error.strerror}", hint=hint, key="listen")
