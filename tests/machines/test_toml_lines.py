"""The scanner finds every key that tomllib finds, on the line where it was written."""

from __future__ import annotations

import json
import string
import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from appliance.config.lines import Keys, key_lines

SAMPLE = '''\
# first line
name = "kit#chen = [x]"   # a "comment" with = and [marks]

[log]
retention = "30d"
note = """
[not.a.table]
key = 1 \\""" still """
[log.categories.telemetry]
retention = '2d'

[webhooks]
retries = [ "1s",  # one
  "5s",
  { after = "9s", twice = true },
]
deep.er = 1.5
when = 1979-05-27 07:32:00
[plugins."odd.name"]
secret = { env = "X", "fi le" = { a = 1 } }
raw = \'\'\'
x = ]
\'\'\'
[[jobs]]
id = 1
[[jobs]]
id = 2
'''


def test_every_key_of_a_varied_file_is_found_on_its_line():
    lines = key_lines(SAMPLE)

    assert lines == {
        ("name",): 2,
        ("log",): 4,
        ("log", "retention"): 5,
        ("log", "note"): 6,
        ("log", "categories"): 9,
        ("log", "categories", "telemetry"): 9,
        ("log", "categories", "telemetry", "retention"): 10,
        ("webhooks",): 12,
        ("webhooks", "retries"): 13,
        ("webhooks", "retries", "after"): 15,
        ("webhooks", "retries", "twice"): 15,
        ("webhooks", "deep"): 17,
        ("webhooks", "deep", "er"): 17,
        ("webhooks", "when"): 18,
        ("plugins",): 19,
        ("plugins", "odd.name"): 19,
        ("plugins", "odd.name", "secret"): 20,
        ("plugins", "odd.name", "secret", "env"): 20,
        ("plugins", "odd.name", "secret", "fi le"): 20,
        ("plugins", "odd.name", "secret", "fi le", "a"): 20,
        ("plugins", "odd.name", "raw"): 21,
        ("jobs",): 24,
        ("jobs", "id"): 25,
    }
    assert names_in(tomllib.loads(SAMPLE)) == set(lines)


def test_a_file_without_a_last_line_break_and_an_empty_one_are_fine():
    assert key_lines("a = 1") == {("a",): 1}
    assert key_lines("") == {}


def names_in(value: Any, above: Keys = ()) -> set[Keys]:
    """Every name in what tomllib read, in the scanner's terms."""
    if isinstance(value, list):
        return set().union(*(names_in(item, above) for item in value))
    if not isinstance(value, dict):
        return set()
    found = set()
    for key, below in value.items():
        found |= {(*above, key)} | names_in(below, (*above, key))
    return found


bare = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=8)
names = bare | st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=8)
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=12)


def quoted(text: str) -> str:
    """A TOML basic string."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def literal(text: str) -> str:
    """The same text in another spelling, if TOML allows it."""
    plain = "".join(c for c in text if c.isprintable() and c != "'")
    return f"'{plain}'"


def several_lines(text: str) -> str:
    plain = "".join(c for c in text if c.isprintable() and c not in '"\\')
    return f'"""\n{plain} = [\n# "{plain}\n"""'


scalars = (
    st.integers(-(10**9), 10**9).map(str)
    | st.booleans().map(lambda yes: str(yes).lower())
    | st.floats(allow_nan=False, allow_infinity=False).map(lambda number: repr(number))
    | texts.map(quoted)
    | texts.map(literal)
    | texts.map(several_lines)
    | st.just("1979-05-27T07:32:00Z")
)


def key_text(name: str) -> str:
    plain = name and all(c in string.ascii_letters + string.digits + "_-" for c in name)
    return name if plain else quoted(name)


values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[ # [\n{''.join(f'{item},{chr(10)}' for item in items)}]")
        | st.dictionaries(names, scalars.filter(lambda item: "\n" not in item), max_size=3).map(
            lambda pairs: "{ " + ", ".join(f"{key_text(name)} = {value}" for name, value in pairs.items()) + " }"
        )
    ),
    max_leaves=6,
)


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, dict[Keys, int]]:
    """A TOML text of tables with keys, and the lines on which the keys of its tables were written."""
    lines: list[str] = []
    expected: dict[Keys, int] = {}
    for table in draw(st.lists(names, unique=True, max_size=4)):
        lines += draw(st.sampled_from([[], [""], ["# [x] = 'y'"]]))
        lines.append(f"[ {key_text(table)} ] # {draw(bare)} = 1")
        expected[(table,)] = len(lines)
        for name, value in draw(st.dictionaries(names, values, max_size=4)).items():
            expected[(table, name)] = len(lines) + 1
            lines += f"{key_text(name)} = {value} # 'end".split("\n")
    return "\n".join(lines), expected


@given(documents())
def test_the_scanner_agrees_with_tomllib_and_with_whoever_wrote_the_file(document):
    text, expected = document

    lines = key_lines(text)

    assert set(lines) == names_in(tomllib.loads(text))
    assert {name: lines[name] for name in expected} == expected
