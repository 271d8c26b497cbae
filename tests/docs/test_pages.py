"""Every page of the documentation is followed to the letter."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs.follower import RunScript, following
from tests.docs.page import Page, pages

PAGES = pages()
LEFT_OUT = 6  # blocks that no test can run; each says why


@pytest.mark.parametrize("page", [page for page in PAGES if page.blocks], ids=lambda page: page.name)
def test_a_page_is_true(page: Page, tmp_path: Path, browser: Callable[[], RunScript]):
    """MDB003_7A_T1 (examples run), MDB003_7A_T2 (the guides' steps work), MDB003_7A_T3 (so does the migration)."""
    with following(page, tmp_path, browser) as reader:
        reader.follow()


def test_few_blocks_are_left_out_and_each_says_why():
    left_out = [
        (page.name, block.line, reason) for page in PAGES for block in page.blocks if (reason := block.mark("not run"))
    ]

    assert len(left_out) <= LEFT_OUT, left_out
    assert [place for place in left_out if len(place[2].split()) < 4] == []


def test_every_guide_ends_with_a_way_to_see_that_it_worked():
    guides = [page for page in PAGES if "/how-to/" in page.name or "migrating" in page.name]

    last = {page.name: [line for line in page.prose if line.startswith("## ")][-1] for page in guides}

    assert set(last.values()) == {"## Check it worked"}, last
