from __future__ import annotations

import contextlib
import os
import socket

import pytest

from appliance.errors import ConfigError
from appliance.supervise.activation import inherited


@contextlib.contextmanager
def passed(opened: socket.socket):
    """A descriptor as it arrives through an exec: inheritable, owned by nobody."""
    number = os.dup(opened.fileno())
    os.set_inheritable(number, True)
    opened.close()
    yield number
    os.close(number)


def environ_for(pid: int, count: str = "1") -> dict[str, str]:
    return {"LISTEN_PID": str(pid), "LISTEN_FDS": count, "LISTEN_FDNAMES": "web", "HOME": "/"}


def test_a_listening_socket_is_taken_with_its_variables_and_kept_from_children():
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    environ = environ_for(7)

    with passed(listening) as number:
        (taken,) = inherited(environ, pid=7, first=number)
        found = (taken.getsockname()[1], taken.get_inheritable(), taken.getblocking())
        taken.detach()

    assert found == (port, False, False)
    assert environ == {"HOME": "/"}


@pytest.mark.parametrize("environ", [{}, environ_for(8), environ_for(7, "some"), environ_for(7, "0")])
def test_nothing_is_taken_that_was_not_meant_for_us(environ):
    assert inherited(environ, pid=7) == []


def test_a_socket_that_does_not_listen_is_refused():
    plain = socket.socket()

    with passed(plain) as number, pytest.raises(ConfigError, match="does not listen"):
        inherited(environ_for(7), pid=7, first=number)


def test_a_datagram_socket_is_refused():
    datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    with passed(datagram) as number, pytest.raises(ConfigError, match=f"descriptor {number}"):
        inherited(environ_for(7), pid=7, first=number)


def test_a_descriptor_that_is_no_socket_is_refused(tmp_path):
    number = os.open(tmp_path, os.O_RDONLY)

    with pytest.raises(ConfigError, match="no socket"):
        inherited(environ_for(7), pid=7, first=number)

    os.close(number)
