import importlib
import inspect
import pkgutil

import pytest

import appliance
from appliance import errors
from appliance.cli.error_guide import GUIDE
from appliance.cli.exits import Exit, Usage, exit_code
from appliance.client import Unreachable
from appliance.client.replies import BY_CODE
from appliance.errors import ApplianceError

BY_NAME = {entry.code: entry for entry in GUIDE}


def all_error_classes():
    """Every kind of error in the package that has a code of its own."""
    for module in pkgutil.walk_packages(appliance.__path__, "appliance."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    waiting, seen = [ApplianceError], set()
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if "code" in vars(kind) and kind is not ApplianceError and kind.__module__.startswith("appliance."):
            seen.add(kind)
    return seen


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Usage("no such verb"), 2),
        (errors.ConfigError("unknown key"), 2),
        (Unreachable("nobody"), 3),
        (errors.Rejected("wrong"), 4),
        (errors.TooLarge("big"), 4),
        (errors.KeyReused("again"), 4),
        (errors.NotFound("gone"), 5),
        (errors.Unauthenticated("who"), 6),
        (errors.Forbidden("no"), 6),
        (errors.VersionConflict("s", expected=1, actual=2), 7),
        (errors.Duplicate("twice"), 7),
        (errors.Unavailable("later"), 1),
        (errors.PeerFailed("broken"), 1),
        (errors.Broken("ours"), 1),
    ],
)
def test_an_exit_code_says_whose_move_is_next(error, code):
    assert exit_code(error) == code


def test_every_error_of_the_package_is_explained():
    assert {kind.code for kind in all_error_classes()} - BY_NAME.keys() == set()


def test_the_guide_agrees_with_the_classes():
    for kind in all_error_classes():
        entry = BY_NAME[kind.code]
        if entry.status is not None:
            assert entry.status == kind.status or kind.code in ("bad_request", "malformed_json"), kind.code
        blank = kind.__new__(kind)
        assert exit_code(blank) == entry.exit, kind.code


def test_every_code_of_the_message_store_is_explained():
    wire = {name for entry in GUIDE for name in entry.wire}

    assert {name for name in BY_CODE if name.isupper()} - wire == set()


def test_the_guide_has_no_code_twice():
    names = [name for entry in GUIDE for name in (entry.code, *entry.wire)]

    assert len(names) == len(set(names))
    assert {entry.exit for entry in GUIDE} == set(Exit) - {Exit.DONE}
    assert inspect.isclass(Usage)
