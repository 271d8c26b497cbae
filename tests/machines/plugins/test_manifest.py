"""`plugin.toml` is read strictly, and every complaint has a place."""

from __future__ import annotations

import pytest

from appliance.errors import ConfigError
from appliance.plugins.manifest import Manifest, parse

GOOD = 'name = "notes"\nversion = "1.2"\napi = 1\n'


def test_module_and_summary_may_be_left_out():
    assert parse(GOOD, "plugin.toml") == Manifest("notes", "1.2", 1, "plugin", "")


@pytest.mark.parametrize(
    ("text", "says", "line"),
    [
        (GOOD + 'sumary = "x"\n', 'unknown key "sumary" in plugin.toml, line 4', 4),
        (GOOD.replace("1.2", "1") + "module = 3\n", "module: expected str, got int", 4),
        (GOOD.replace("api = 1", "api = 2"), "written for api 2, this appliance has api 1", 3),
        (GOOD.replace("notes", "No-tes"), '"No-tes" is no plugin name', 1),
        (GOOD.replace("notes", "n" * 41), "is no plugin name", 1),
        (GOOD + 'module = "a.b"\n', 'module "a.b" is no module name', 4),
        ('name = "notes"\napi = 1\n', "missing required field version", 1),
    ],
)
def test_complaint_names_what_where_and_the_key(text, says, line):
    with pytest.raises(ConfigError) as complaint:
        parse(text, "plugin.toml")

    assert says in complaint.value.message
    assert complaint.value.facts["line"] == line
    assert complaint.value.facts["file"] == "plugin.toml"


def test_typing_error_gets_the_likely_word():
    with pytest.raises(ConfigError) as complaint:
        parse(GOOD + 'sumary = "x"\n', "plugin.toml")

    assert complaint.value.hint == 'did you mean "summary"?'


def test_text_that_is_no_toml_is_told_with_its_place():
    with pytest.raises(ConfigError, match=r"line 1, column 8"):
        parse("name = notes", "plugin.toml")
