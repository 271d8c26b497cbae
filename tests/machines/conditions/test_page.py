"""The tables of the page about conditions are true."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from appliance.conditions import compile
from tests.machines.conditions.asking import explained

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "protocol" / "conditions.md").read_text().replace("\\|", "|")
EXPLAINED = re.findall(r"^\| `(.+)` \| `(\{.*\})` \| `` (.+) `` \|$", PAGE, re.MULTILINE)
SPELLED = re.findall(r"^\| (`[A-Z1].+) \| `([^`]+)` \|$", PAGE, re.MULTILINE)


@pytest.mark.parametrize(("condition", "data", "sentence"), EXPLAINED)
def test_an_explanation_is_as_the_page_says(condition: str, data: str, sentence: str):
    assert explained(condition, json.loads(data)) == sentence


@pytest.mark.parametrize(("written", "canonical"), SPELLED)
def test_other_spellings_are_read_as_the_page_says(written: str, canonical: str):
    assert {compile(one).text for one in re.findall(r"`([^`]+)`", written)} == {canonical}


def test_the_tables_were_found():
    assert (len(EXPLAINED), len(SPELLED)) == (4, 3)
