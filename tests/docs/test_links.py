"""Whoever follows a link arrives, and every page can be reached."""

from __future__ import annotations

import pytest

from tests.docs.page import ROOT, Page, pages

PAGES = {page.path: page for page in pages()}


@pytest.mark.parametrize("page", PAGES.values(), ids=lambda page: page.name)
def test_every_link_of_a_page_leads_somewhere(page: Page):
    """MDB003_7A_T5"""
    assert [target for target in page.links if not leads_somewhere(page, target)] == []


def test_every_page_is_reached_from_the_readme():
    """MDB003_7A_T5"""
    reached, ahead = set(), [ROOT / "README.md"]
    while ahead:
        path = ahead.pop()
        if path in PAGES and path not in reached:
            reached.add(path)
            links = [link.partition("#")[0] for link in PAGES[path].links if "://" not in link]
            ahead += [(path.parent / link).resolve() for link in links if link]

    assert sorted(page.name for path, page in PAGES.items() if path not in reached) == []


def leads_somewhere(page: Page, target: str) -> bool:
    if target.startswith("https://"):
        return True  # somebody else's; a test does not leave the machine
    name, _, anchor = target.partition("#")
    path = (page.path.parent / name).resolve() if name else page.path
    return path.exists() and (not anchor or anchor in PAGES[path].anchors)
