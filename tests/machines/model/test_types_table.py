"""The table of types on the page is that of the code."""

from __future__ import annotations

from pathlib import Path

from appliance.model.occasions import CORE

PAGE = Path(__file__).parents[3] / "docs" / "protocol" / "events.md"


def test_the_page_lists_the_types_of_the_core():
    """MDB003_7A_T4 (what is documented is so)."""
    table = PAGE.read_text("utf-8").partition("## Types")[2]
    rows = [
        [cell.strip().replace("`", "") for cell in line.strip("|").split("|")]
        for line in table.splitlines()
        if line.startswith("| `")
    ]

    assert rows == [
        [
            type.name,
            type.dotted,
            f"{type.entity} {type.field}".strip(),
            type.priority.value,
            "yes" if type.stored else "no",
        ]
        for type in CORE
        if not type.spoken
    ]
    assert all(f"`{type.name}`" in table for type in CORE)
