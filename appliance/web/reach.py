"""Where others find us: addresses that people can type and phones can open."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

from appliance.web.listen import url_host

__all__ = ["lan_addresses", "on_loopback", "reachable", "shareable"]


def reachable(urls: Sequence[str], lan: Sequence[str]) -> tuple[str, ...]:
    """Addresses that people can type: the local one first, then those of the network.

    Args:
        lan: addresses of this machine, for where we listen on all of them.
    """
    local, network = [], []
    for url in map(urlsplit, urls):
        host = ip_address(url.hostname or "")
        if host.is_unspecified:
            local.append(f"{url.scheme}://127.0.0.1:{url.port}")
            network += [f"{url.scheme}://{url_host(found)}:{url.port}" for found in lan]
        else:
            (local if host.is_loopback else network).append(url.geturl())
    return tuple(dict.fromkeys([*local[:1], *network]))


def shareable(urls: Sequence[str], lan: Sequence[str] | None = None) -> str:
    """The one address to hand on: of the network if we listen there, so that a phone finds us too.

    Args:
        lan: as above; None: those of this machine now.
    """
    found = reachable(urls, lan_addresses() if lan is None else lan)
    return next((url for url in found if not on_loopback(url)), found[0])


def on_loopback(url: str) -> bool:
    """Whether it leads other machines to themselves. A name is taken for one of the network."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def lan_addresses() -> list[str]:
    """Addresses under which others on the network may find this machine.

    The kernel is asked which address it would use to send; nothing is sent.
    """
    found = []
    for family, far in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((far, 9))
                found.append(str(probe.getsockname()[0]))
        except OSError:
            continue  # no such network here
    return found
