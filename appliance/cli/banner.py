"""What `serve` says when it is ready: where it is, a link that is already authorised, and what to try first.

One line is for programs: `Listening on :PORT`, once, on stdout, when the socket accepts. The rest is for people and
only written to a terminal.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

from appliance.auth.codes import LIFETIME
from appliance.cli.render import Paint, amount
from appliance.web.reach import on_loopback

__all__ = ["Welcome", "banner", "qr"]

LABEL = 9  # columns
TRY = ("subscribe", 'publish hello \'{"from": "me"}\'')


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
    program: str = "appliance"  # how the reader starts us
    warnings: Sequence[str] = ()


def banner(welcome: Welcome, paint: Paint, *, code: bool = True) -> str:
    """The first screen.

    Args:
        code: also draw the link as a QR code, if a phone can use it.
    """
    held = "" if welcome.events is None else f", {amount(welcome.events, 'event')}"
    lines = [f"{paint(welcome.name, 'bold')}  {paint(f'appliance {welcome.version}', 'dim')}", ""]
    if welcome.link:
        once = paint(f"you are its admin there; works once, within {LIFETIME / 60:.0f} minutes", "dim")
        lines += [_row("Open", paint(welcome.link, "bold", "cyan"), paint), _row("", once, paint)]
    lines += [_row("Here", welcome.urls[0], paint)] if welcome.urls else []
    lines += [_row("Network" if n == 0 else "", url, paint) for n, url in enumerate(welcome.urls[1:])]
    lines += (
        [_row("Trust", f"{welcome.ca}  {paint('(the certificate authority)', 'dim')}", paint)] if welcome.ca else []
    )
    lines += [_row("Data", f"{welcome.data}{held}", paint)]
    lines += [_row("Token", welcome.token, paint)] if welcome.token else []
    if code and welcome.link and not on_loopback(welcome.link):  # else a phone would look for us in itself
        lines += ["", qr(welcome.link)]
    lines += ["", *(_row("" if n else "Try", f"{welcome.program} {verb}", paint) for n, verb in enumerate(TRY))]
    lines += [f"{paint('warning:', 'bold', 'yellow')} {text}" for text in welcome.warnings]
    return "\n".join(["", *lines, ""])


def qr(text: str) -> str:
    """A QR code in half blocks, for a terminal."""
    import segno

    drawn = io.StringIO()
    segno.make(text, micro=False, error="l").terminal(drawn, border=2, compact=True)
    return drawn.getvalue().rstrip("\n")


def _row(label: str, text: str, paint: Paint) -> str:
    return f"  {paint(label, 'dim')}{' ' * (LABEL - len(label))}{text}"
