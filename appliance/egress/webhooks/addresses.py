"""Where a webhook may be sent: judged when it is saved, at every attempt, and on each address a name resolves to.

Pure; whoever asks the resolver and connects does so elsewhere, and connects only to what was judged here.

The public Internet is open. What lies in the house (or in a cloud's own network) must be on the operator's list:

    192.168.1.0/24        any port there
    192.168.1.20:8080     one port of one address
    nas.local             a name; what it resolves to must be listed, too
    nas = 192.168.1.20    a name that needs no resolver

Loopback and link-local addresses are open only when listed exactly, not as part of a network.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

import idna

from appliance.errors import ConfigError, Rejected

__all__ = ["PORTS", "Guard", "Target", "TargetRefused"]

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

LONGEST = 8192  # characters of a URL
LONGEST_NAME = 253
PORTS = {"http": 80, "https": 443}
KEY = "webhooks.allow"
EMBEDDED = "IPv4 inside IPv6"

_UNSAFE = re.compile(r"[\x00-\x20\x7f\\]")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_QUAD = re.compile(r"(0|[1-9][0-9]{0,2})(\.(0|[1-9][0-9]{0,2})){3}")
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_HOUSE = frozenset({
    "local", "localhost", "localdomain", "internal", "intranet", "lan", "home", "corp", "private", "onion", "test",
    "invalid", "example", "arpa", "svc", "consul",
})  # fmt: skip

# What no public service has an address in: RFC 6890 and its successors, and two clouds' own.
_CLOSED_4 = tuple(
    IPv4Network(block)
    for block in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
        "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "168.63.129.16/32",
    )
)  # fmt: skip
_OPEN_6 = IPv6Network("2000::/3")
_CLOSED_6 = tuple(
    IPv6Network(block)
    for block in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
)  # fmt: skip


class TargetRefused(Rejected):
    """This is no place to send a webhook to."""

    code = "target_refused"
    status = 400


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that may be sent to, if its addresses may."""

    scheme: str
    host: str  # a name in lower-case ASCII, or an address without brackets
    port: int
    path: str  # with the query; at least "/"
    address: Address | None  # when the host is one, or the list says it

    @property
    def authority(self) -> str:
        """For the Host header: without the port that the scheme implies."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if PORTS[self.scheme] == self.port else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class _Entry:
    network: Network | None = None
    name: str = ""
    port: int | None = None


class Guard:
    """The operator's list, and the judge over URLs and addresses.

    Args:
        allow: lines as above.

    Raises:
        ConfigError: a line is none of the forms.
    """

    def __init__(self, allow: Iterable[str] = ()) -> None:
        self._entries: list[_Entry] = []
        self._known: dict[str, Address] = {}
        for line in allow:
            self._list(line)

    def target(self, url: str) -> Target:
        """What `url` names.

        Raises:
            TargetRefused: it may never be sent to; the message says why, the hint what to change.
        """
        if len(url) > LONGEST:
            raise _refused(f"a URL holds {LONGEST} characters at most")
        if _UNSAFE.search(url):
            raise _refused("a URL holds no blanks, control characters or backslashes")
        try:
            parts = urlsplit(url)
            port_text = parts.netloc.rpartition("@")[2].rpartition("]")[2].partition(":")[2]
        except ValueError as error:
            raise _refused(f"this is no URL: {error}") from error
        scheme = parts.scheme.lower()
        if scheme not in PORTS:
            raise _refused(f"webhooks go over http and https, not {scheme or 'nothing'!r}")
        if "@" in parts.netloc:
            raise _refused("a URL with a user or password is refused (SSRF)", hint="use a secret: requests are signed")
        host, address = self._host(parts.netloc)
        port = PORTS[scheme] if not port_text and not parts.netloc.endswith(":") else _port(port_text)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        target = Target(scheme, host, port, path, address)
        if address is not None:
            self.judge(target, [str(address)])
        elif not self._named(host, port):
            _check_name(host, port)
        return target

    def judge(self, target: Target, addresses: Sequence[str]) -> list[Address]:
        """The addresses to connect to, in the resolver's order. One that may not be refuses all.

        Raises:
            TargetRefused: there is none, or one of them lies where webhooks do not go.
        """
        if not addresses:
            raise _refused(f"{target.host} has no address")
        found: list[Address] = []
        for text in addresses:
            try:
                address = ip_address(text)
            except ValueError as error:
                raise _refused(f"{target.host} resolves to {text!r}, which is no address (SSRF)") from error
            if not self._listed(address, target.port) and (kind := _kind(address)):
                raise _closed(target, address, kind)
            found.append(address)
        return found

    # -- inside -----------------------------------------------------------------------------

    def _list(self, line: str) -> None:
        name, equals, address = (part.strip() for part in line.partition("="))
        try:
            if equals:
                known = ip_address(address)
                self._known[_ascii(name)] = known
                self._entries.append(_Entry(network=ip_network(known)))
                self._entries.append(_Entry(name=_ascii(name)))
            else:
                self._entries.append(_entry(name))
        except ValueError as error:
            raise ConfigError(
                f"{KEY}: {line!r} is no network, address or name",
                hint='write "192.168.1.0/24", "192.168.1.20:8080", "nas.local" or "nas = 192.168.1.20"',
            ) from error

    def _host(self, netloc: str) -> tuple[str, Address | None]:
        if netloc.startswith("["):
            text = netloc[1:].partition("]")[0]
            try:
                address: Address = IPv6Address(text)
            except ValueError as error:
                raise _refused(f"[{text}] is no IPv6 address (SSRF)") from error
            if "%" in text:
                raise _refused("an address with a zone is refused (SSRF)", hint="leave the zone out")
            return str(address), address
        text = netloc.partition(":")[0]
        if _QUAD.fullmatch(text):
            try:
                return text, IPv4Address(text)
            except ValueError as error:
                raise _refused(f"{text} is no IPv4 address (SSRF)") from error
        try:
            host = _ascii(text)
        except ValueError as error:
            raise _refused(f"{text!r} is no host name (SSRF)") from error
        return host, self._known.get(host)

    def _named(self, host: str, port: int) -> bool:
        return any(entry.name == host and entry.port in (None, port) for entry in self._entries)

    def _listed(self, address: Address, port: int) -> bool:
        kind = _kind(address)
        if kind == EMBEDDED:  # one place has one address here
            return False
        exactly = kind in ("loopback", "link-local")
        for entry in self._entries:
            network = entry.network
            if network is None or network.version != address.version or entry.port not in (None, port):
                continue
            if address in network and (not exactly or network.num_addresses == 1):
                return True
        return False


def _entry(text: str) -> _Entry:
    """Raises ValueError."""
    try:
        return _Entry(network=ip_network(text))
    except ValueError:
        host, _, port = text.rpartition(":")
        if not _PORT.fullmatch(port) or int(port) > 65535:
            return _Entry(name=_ascii(text))
    host = host.removeprefix("[").removesuffix("]")
    try:
        return _Entry(network=ip_network(host), port=int(port))
    except ValueError:
        return _Entry(name=_ascii(host), port=int(port))


def _ascii(name: str) -> str:
    """A host name as DNS has it. Raises ValueError: it cannot be one."""
    plain = name.lower()
    if not plain.isascii():
        plain = idna.encode(name, uts46=False).decode().lower()
    if len(plain) > LONGEST_NAME or not all(_LABEL.fullmatch(label) for label in plain.split(".")):
        raise ValueError(f"{name!r} is no host name")
    if _NUMBER.fullmatch(plain.rpartition(".")[2]):
        raise ValueError(f"{name!r} ends in a number: resolvers read it as an address")
    return plain


def _check_name(host: str, port: int) -> None:
    labels = host.split(".")
    if len(labels) == 1 or labels[-1] in _HOUSE:
        raise _refused(
            f"{host} is a name of the house, not of the Internet (SSRF)",
            hint=f'if that is meant, list it and its address: {KEY} = ["{host}:{port}", "ADDRESS:{port}"]',
            host=host,
        )


def _port(text: str) -> int:
    if not _PORT.fullmatch(text) or int(text) > 65535:
        raise _refused(f"{text!r} is no port", hint="a port is 1 to 65535")
    return int(text)


def _kind(address: Address) -> str:
    """Why an address is not of the public Internet; empty: it is."""
    if isinstance(address, IPv4Address):
        return _kind_4(address)
    if address.ipv4_mapped is not None:
        return EMBEDDED
    if address.is_loopback:
        return "loopback"
    if address.is_link_local:
        return "link-local"
    if address not in _OPEN_6 or any(address in block for block in _CLOSED_6):
        return "private IP"
    return ""


def _kind_4(address: IPv4Address) -> str:
    if address.is_loopback:
        return "loopback"
    if address.is_link_local:
        return "link-local"
    return "private IP" if any(address in block for block in _CLOSED_4) else ""


def _closed(target: Target, address: Address, kind: str) -> TargetRefused:
    where = f"[{address}]" if address.version == 6 else str(address)
    words = "a private IP" if kind == "private IP" else f"a private IP ({kind})"
    named = "" if target.host == str(address) else f"{target.host} resolves to "
    return _refused(
        f"{named}{where} is {words}: refused (SSRF)",
        hint=f'if that is meant, add to the configuration: {KEY} = ["{where}:{target.port}"]',
        host=target.host,
        address=str(address),
    )


def _refused(message: str, *, hint: str = "", **facts: str) -> TargetRefused:
    return TargetRefused(message, hint=hint or "give an http or https URL of the public Internet", **facts)
