"""The command line before click sees it: clients of the message-store API start us without a verb.

Their suites run `BIN --test-mode --port=N --token=T`, with one dash or two, and write flags as `--test-mode=true`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from appliance.cli.verbs import VERBS

__all__ = ["rewrite", "wants_version"]

KNOWN = frozenset(verb.name for verb in VERBS)
HELP = frozenset({"-h", "--help", "help"})
VERSION = frozenset({"-v", "-V", "--version"})
GO_STYLE = frozenset({"serve", "export", "import"})  # these exist with the same flags elsewhere
SWITCHES = frozenset({"test-mode", "accept-loss", "dev", "gzip", "force"})
TRUE, FALSE = frozenset({"1", "t", "true"}), frozenset({"0", "f", "false"})

_ONE_DASH = re.compile(r"-([a-z][a-z-]+(?:=.*)?)", re.DOTALL)


def wants_version(argv: Sequence[str]) -> bool:
    """Whether only the bare version is asked for."""
    return len(argv) == 1 and (argv[0] in VERSION or argv[0] == "version")


def rewrite(argv: Sequence[str]) -> list[str]:
    """What is meant: `serve` in front if there is no verb, no arguments at all is a call for help.

    A first word that is no verb stays: it is a mistyped one, and click says so.
    """
    args = list(argv)
    if not args:
        return ["--help"]
    if args[0] == "help":
        return [*args[1:2], "--help"]
    if args[0].startswith("-") and not KNOWN.union(HELP, VERSION).intersection(args):
        args.insert(0, "serve")
    return _two_dashes(args) if args[0] in GO_STYLE else args


def _two_dashes(args: Sequence[str]) -> list[str]:
    written = [_ONE_DASH.sub(r"--\1", arg) if _ONE_DASH.fullmatch(arg) else arg for arg in args]
    return [plain for arg in written if (plain := _switch(arg)) is not None]


def _switch(arg: str) -> str | None:
    """`--test-mode=true` is `--test-mode`, and with `=false` it is nothing."""
    name, _, value = arg.removeprefix("--").partition("=")
    if not arg.startswith("--") or name not in SWITCHES or value.lower() not in TRUE | FALSE:
        return arg
    return f"--{name}" if value.lower() in TRUE else None
