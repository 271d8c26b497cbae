"""Where to listen, as people write it: "loopback:8420", "lan:8420", "192.168.1.5:8420", "[::1]:0". Pure."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

__all__ = ["Address", "address"]

_FORM = re.compile(r"(?P<host>\[[^\]]*\]|[^:]+):(?P<port>[0-9]{1,5})", re.ASCII)

_WORDS = {"loopback": "127.0.0.1", "localhost": "127.0.0.1", "lan": "0.0.0.0"}  # noqa: S104 - asked for


@dataclass(frozen=True, slots=True)
class Address:
    """What a socket is bound to."""

    host: str  # an IP address
    port: int  # 0: any free one

    @property
    def everywhere(self) -> bool:
        """Whether it stands for every address of this machine."""
        return ipaddress.ip_address(self.host).is_unspecified


def address(text: str) -> Address:
    """The address in `text`. "lan" means every interface.

    Raises:
        ValueError: not of this form.
    """
    found = _FORM.fullmatch(text.strip())
    if found is None or int(found["port"]) > 65535:
        raise ValueError(f'"{text}" is no listen address; write "loopback:8420", "lan:8420" or "192.168.1.5:8420"')
    host = _WORDS.get(found["host"], found["host"].strip("[]"))
    try:
        return Address(str(ipaddress.ip_address(host)), int(found["port"]))
    except ValueError:
        raise ValueError(f'"{found["host"]}" is no address of this machine; write "loopback", "lan" or an IP') from None
