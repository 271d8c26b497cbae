"""A page of the documentation as its reader meets it: headings, links, and blocks with what is said about them.

What a test has to know, and a reader need not see, stands in comments before a block:

    <!-- terminal 2 -->          runs on in a terminal of its own; one that is busy gets a Ctrl-C first
    <!-- terminal 2 shows -->    a `text` block: what that terminal has printed since the last look
    <!-- file NAME -->           is written to that file, in the folder where the page is followed
    <!-- exit 7 -->              ends with this exit code
    <!-- types y -->             what the reader types while it runs
    <!-- a server runs -->       before the first one of a page that starts a server later on
    <!-- as the owner -->        an `rpc` block: in namespace `default`; else each has a fresh one
    <!-- dry run: REASON -->     lines of make, of which only the plan is checked
    <!-- not run: REASON -->     cannot be run in a test, and why
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

__all__ = ["ROOT", "Block", "Page", "pages"]

ROOT = Path(__file__).resolve().parents[2]

_FENCE = re.compile(r"^(`{3,})(\S*)$")
_MARK = re.compile(r"^<!-- (.*) -->$")
_HEADING = re.compile(r"^(#{1,6}) (.+)$")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_NOT_IN_ANCHORS = re.compile(r"[^\w\- ]")


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    language: str
    text: str
    line: int
    marks: tuple[str, ...] = ()

    def mark(self, start: str) -> str:
        """What a mark says behind its first words; empty: there is no such mark."""
        found = [mark.removeprefix(start).strip(": ") for mark in self.marks if mark.startswith(start)]
        return found[0] if found else ""

    @property
    def terminal(self) -> str:
        return self.mark("terminal").removesuffix(" shows")

    @property
    def exit(self) -> int:
        return int(self.mark("exit") or 0)


@dataclass(frozen=True)
class Page:
    """One Markdown file."""

    path: Path
    text: str = field(repr=False)

    @property
    def name(self) -> str:
        return str(self.path.relative_to(ROOT))

    @cached_property
    def blocks(self) -> list[Block]:
        return self._parsed[0]

    @cached_property
    def prose(self) -> list[str]:
        """The lines outside blocks."""
        return self._parsed[1]

    @cached_property
    def anchors(self) -> set[str]:
        """What a link may name behind `#`, by the rules of the sites that show Markdown."""
        headings = [match[2] for line in self.prose if (match := _HEADING.match(line))]
        return {_NOT_IN_ANCHORS.sub("", heading.lower()).replace(" ", "-") for heading in headings}

    @cached_property
    def links(self) -> list[str]:
        return [target for line in self.prose for target in _LINK.findall(re.sub(r"`[^`]*`", "", line))]

    @cached_property
    def _parsed(self) -> tuple[list[Block], list[str]]:
        blocks: list[Block] = []
        prose: list[str] = []
        marks: list[str] = []
        lines = iter(enumerate(self.text.splitlines(), 1))
        for number, line in lines:
            if fence := _FENCE.match(line):
                inside = []
                for _, inner in lines:
                    if inner == fence[1]:
                        break
                    inside.append(inner)
                blocks.append(Block(fence[2], "\n".join(inside) + "\n", number, tuple(marks)))
                marks = []
            elif mark := _MARK.match(line):
                marks.append(mark[1])
            else:
                prose.append(line)
                marks = marks if not line else []
        return blocks, prose


def pages() -> list[Page]:
    """README.md and everything below docs/."""
    paths = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [Page(path, path.read_text()) for path in paths]
