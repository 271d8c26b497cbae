"""The reader of these tests is not easily pleased: what he is shown has to be there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.page import ROOT, Page
from tests.docs.sameness import complaint, json_complaint

PAGE = """\
# One

<!-- terminal 2 -->
<!-- exit 7 -->
```sh
false
```

See [that](other.md#two-words), not `[this](there.md)`.

## Two words: here

```
a picture
```
"""


@pytest.mark.parametrize(
    ("page", "program"),
    [
        ("order-1 @ 0", "order-1 @ 0\n"),
        ("12:00:00.000  A  x @ 0", "\x1b[2m09:41:07.113\x1b[0m  A      x @ 0"),
        ("...\nlast", "first\nsecond\nlast"),
        ("it took 3 s ... altogether", "it took 0.2 s or so altogether"),
        ('{"globalPosition":3}', '{"globalPosition":214}'),
        ("Exported: 3 events", "Exported: 1 events...\r\x1b[KExported: 3 events"),
    ],
)
def test_what_differs_from_run_to_run_is_the_same(page: str, program: str):
    assert complaint(page, program) == ""


@pytest.mark.parametrize(
    ("page", "program"),
    [
        ("order-1 @ 0", "order-1 @ 1"),
        ("order-1 @ 0", "order-1 @ 0\nerror: more"),
        ("a\nb", "a"),
        ("a\n...\nc", "a\nb"),
        ("", "something"),
        ("a ... c", "a b\nc"),
        ('{"position":0}', '{"position":1}'),
    ],
)
def test_what_is_otherwise_is_complained_of(page: str, program: str):
    assert complaint(page, program)


def test_json_is_compared_to_the_last_value():
    shown = {"error": {"code": "A"}, "at": "2026-11-21T12:00:00.000000Z", "n": [1, 2]}

    same = json_complaint(shown, {"n": [1, 2], "at": "2025-01-01T00:00:00.123456Z", "error": {"code": "A"}})
    others = [
        json_complaint(shown, shown | {"error": {"code": "B"}}),
        json_complaint(shown, shown | {"n": [1]}),
        json_complaint(shown, shown | {"more": None}),
        json_complaint([1], [True]),
    ]

    assert same == ""
    assert all(others)


def test_a_page_has_blocks_with_their_marks_and_links_with_their_anchors():
    page = Page(ROOT / "docs/page.md", PAGE)

    first, second = page.blocks

    assert (first.language, first.text, first.terminal, first.exit) == ("sh", "false\n", "2", 7)
    assert (second.language, second.marks) == ("", ())
    assert page.anchors == {"one", "two-words-here"}
    assert page.links == ["other.md#two-words"]
    assert page.path.parent == Path(ROOT, "docs")
