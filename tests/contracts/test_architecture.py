"""The tree keeps the rules of its design, and each rule notices when it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contracts import architecture
from tests.contracts.architecture import RULES, Rule, read_tree, tree_of

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_tree_keeps_the_rule(rule: Rule):
    tree = read_tree(ROOT)

    complaints = list(rule(tree))

    assert len(tree) > 20
    assert not complaints, "\n" + "\n".join(complaints)


PLANTED = {
    "a room imports the floor above": (
        architecture.imports_go_down,
        {"appliance/log/service.py": "from appliance.web.front import Front"},
        "appliance/log/service.py:1: log may not import web",
    ),
    "a room imports its neighbour": (
        architecture.imports_go_down,
        {"appliance/log/service.py": "import trio\nimport appliance.bus.ring"},
        "appliance/log/service.py:2: log may not import bus",
    ),
    "a room imports its neighbour inside a function": (
        architecture.imports_go_down,
        {"appliance/egress/sse.py": "def late():\n    from appliance.ingress import door"},
        "appliance/egress/sse.py:2: egress may not import ingress",
    ),
    "a room imports upward by the package's own name": (
        architecture.imports_go_down,
        {"appliance/bus/ring.py": "from appliance import app"},
        "appliance/bus/ring.py:1: bus may not import app",
    ),
    "a relative import hides where it goes": (
        architecture.imports_go_down,
        {"appliance/bus/ring.py": "from ..web import front"},
        "appliance/bus/ring.py:1: a relative import hides which room it enters",
    ),
    "a room nobody has placed": (
        architecture.imports_go_down,
        {"appliance/attic/box.py": "from appliance.errors import Rejected"},
        "appliance/attic/box.py:1: no floor is known for attic",
    ),
    "the client imports the server": (
        architecture.imports_go_down,
        {"appliance/client/blocking.py": "from appliance.log.service import Log"},
        "appliance/client/blocking.py:1: client may not import log",
    ),
    "the server imports the client": (
        architecture.imports_go_down,
        {"appliance/web/front.py": "from appliance.client import connect"},
        "appliance/web/front.py:1: web may not import client",
    ),
    "a plugin reaches behind the api": (
        architecture.plugins_import_the_api_only,
        {"plugins/host/plugin.py": "from appliance.api import Plugin\nfrom appliance.model.event import Event"},
        "plugins/host/plugin.py:2: a plugin may not import appliance.model.event",
    ),
    "a plugin brings the test harness to work": (
        architecture.plugins_import_the_api_only,
        {"plugins/host/plugin.py": "from appliance.testing.harness import harness"},
        "plugins/host/plugin.py:1: a plugin may not import appliance.testing.harness",
    ),
    "a pure file asks the clock": (
        architecture.pure_files_do_no_io,
        {"appliance/bus/ring.py": "import time"},
        "appliance/bus/ring.py:1: a pure file may not import time",
    ),
    "a pure file waits": (
        architecture.pure_files_do_no_io,
        {"appliance/auth/tokens.py": "from trio import sleep"},
        "appliance/auth/tokens.py:1: a pure file may not import trio",
    ),
    "an excuse outlives its file": (
        architecture.exceptions_are_needed,
        dict.fromkeys(list(architecture.DOING_BESIDES)[1:], "import trio"),
        f"{next(iter(architecture.DOING_BESIDES))}: excused from purity without need",
    ),
    "a handler knows the web framework": (
        architecture.frameworks_stay_in_web,
        {"appliance/ingress/routes.py": "from quart import request"},
        "appliance/ingress/routes.py:1: only appliance/web knows quart",
    ),
    "a list names what is not there": (
        architecture.lists_are_honest,
        {"appliance/bus/ring.py": '__all__ = ["Ring", "Rung"]\nclass Ring: ...'},
        "appliance/bus/ring.py: __all__ lists Rung, which is not there",
    ),
    "a module takes what its neighbour does not offer": (
        architecture.lists_are_honest,
        {
            "appliance/bus/ring.py": '__all__ = ["Ring"]\nclass Ring: ...\nclass Slot: ...',
            "appliance/bus/service.py": "from appliance.bus.ring import Ring, Slot",
        },
        "appliance/bus/service.py:1: Slot is not listed in __all__ of appliance.bus.ring",
    ),
    "a public class explains nothing": (
        architecture.public_names_are_explained,
        {"appliance/bus/ring.py": '"""Rings."""\n__all__ = ["Ring"]\nclass Ring:\n' + 10 * "    size: int\n"},
        "appliance/bus/ring.py:3: Ring has no docstring",
    ),
    "a file explains nothing": (
        architecture.public_names_are_explained,
        {"appliance/bus/ring.py": "import trio"},
        "appliance/bus/ring.py: the file has no docstring",
    ),
    "a file grows too long": (
        architecture.files_fit_a_reader,
        {"appliance/bus/ring.py": "\n" * 401},
        "appliance/bus/ring.py: 401 lines, at most 400",
    ),
}


@pytest.mark.parametrize(("rule", "files", "complaint"), PLANTED.values(), ids=PLANTED)
def test_a_planted_violation_is_named(rule: Rule, files: dict[str, str], complaint: str):
    tree = tree_of(files.items())

    complaints = list(rule(tree))

    assert complaints == [complaint]


def test_every_rule_has_a_planted_violation():
    tried = {rule for rule, _, _ in PLANTED.values()}

    assert tried == set(RULES)


def test_what_only_type_checkers_import_is_no_import():
    tree = tree_of([("appliance/bus/ring.py", "if TYPE_CHECKING:\n    import trio\nelse:\n    import json")])

    found = list(tree["appliance/bus/ring.py"].imports())

    assert found == [(4, "json", ())]


def test_a_test_of_a_plugin_may_use_the_harness():
    tree = tree_of([("plugins/host/tests/test_host.py", "from appliance.testing.harness import harness")])

    assert list(architecture.plugins_import_the_api_only(tree)) == []
