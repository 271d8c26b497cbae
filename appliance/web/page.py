"""Pages of ours: each is one file, which may run and load nothing but what that very file holds."""

from __future__ import annotations

import base64
import hashlib
import importlib.resources
import re
from dataclasses import dataclass

__all__ = ["HTML", "Page", "page"]

HTML = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Page:
    source: str
    headers: tuple[tuple[str, str], ...]


def page(name: str) -> Page:
    """The file `pages/NAME.html` and the headers it is sent with."""
    source = importlib.resources.files("appliance.web").joinpath(f"pages/{name}.html").read_text("utf-8")
    headers = (
        ("content-security-policy", _policy(source)),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
    )
    return Page(source, headers)


def _policy(source: str) -> str:
    script, style = (_digest(source, tag) for tag in ("script", "style"))
    return (
        f"default-src 'none'; script-src {script}; style-src {style}; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _digest(source: str, tag: str) -> str:
    inside = re.search(f"<{tag}>(.*?)</{tag}>", source, re.DOTALL)
    assert inside is not None
    return f"'sha256-{base64.b64encode(hashlib.sha256(inside[1].encode()).digest()).decode()}'"
