"""What `serve` says when it is ready: where it is, a link that is already authorised, and what to try first.

One line is for programs: `Listening on :PORT`, once, on stdout, when the socket accepts. The rest is for people and
only written to a terminal.
"""

from __future__ import annotations

import io
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from appliance.cli.render import Paint, amount

__all__ = ["Welcome", "banner", "lan_addresses", "qr"]

LINK_MINUTES = 15  # a one-time link works for this long
LABEL = 9  # columns
TRY = ("appliance subscribe", 'appliance publish hello \'{"from": "me"}\'')


@dataclass(frozen=True, slots=True)
class Welcome:
    """What there is to say."""

    name: str
    version: str
    urls: Sequence[str]  # the local one first, then those of the network
    data: str
    events: int | None = None
    link: str = ""  # opens as admin, once
    token: str = ""  # of namespace default; given in test mode only
    ca: str = ""  # where the certificate authority can be fetched
    warnings: Sequence[str] = ()


def banner(welcome: Welcome, paint: Paint, *, code: bool = True) -> str:
    """The first screen.

    Args:
        code: also draw the link, or the network address, as a QR code.
    """
    held = "" if welcome.events is None else f", {amount(welcome.events, 'event')}"
    lines = [f"{paint(welcome.name, 'bold')}  {paint(f'appliance {welcome.version}', 'dim')}", ""]
    if welcome.link:
        once = paint(f"you are its admin there; works once, within {LINK_MINUTES} minutes", "dim")
        lines += [_row("Open", paint(welcome.link, "bold", "cyan"), paint), _row("", once, paint)]
    lines += [_row("Here", welcome.urls[0], paint)] if welcome.urls else []
    lines += [_row("Network" if n == 0 else "", url, paint) for n, url in enumerate(welcome.urls[1:])]
    lines += (
        [_row("Trust", f"{welcome.ca}  {paint('(the certificate authority)', 'dim')}", paint)] if welcome.ca else []
    )
    lines += [_row("Data", f"{welcome.data}{held}", paint)]
    lines += [_row("Token", welcome.token, paint)] if welcome.token else []
    if code and (target := _worth_scanning(welcome)):
        lines += ["", qr(target)]
    lines += [
        "",
        _row("Try", "appliance subscribe", paint),
        _row("", 'appliance publish hello \'{"from": "me"}\'', paint),
    ]
    lines += [f"{paint('warning:', 'bold', 'yellow')} {text}" for text in welcome.warnings]
    return "\n".join(["", *lines, ""])


def qr(text: str) -> str:
    """A QR code in half blocks, for a terminal."""
    import segno

    drawn = io.StringIO()
    segno.make(text, micro=False, error="l").terminal(drawn, border=2, compact=True)
    return drawn.getvalue().rstrip("\n")


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


def _row(label: str, text: str, paint: Paint) -> str:
    return f"  {paint(label, 'dim')}{' ' * (LABEL - len(label))}{text}"


def _worth_scanning(welcome: Welcome) -> str:
    """A phone can use the link only if it leads to an address of the network."""
    return welcome.link if len(welcome.urls) > 1 else ""
