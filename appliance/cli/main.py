"""The border: runs one command line and turns whatever happens into text and an exit code."""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence

import click

from appliance.cli.base import GLOBALS_LINE, HELP, Chooser, globals_of, usage_of
from appliance.cli.desk import Desk
from appliance.cli.exits import Exit, exit_code
from appliance.cli.render import Paint, error_text, fields_of_error
from appliance.cli.verbs import EXAMPLES, GROUPS, VERBS, Verb
from appliance.errors import ApplianceError

__all__ = ["overview", "root", "run"]

INTERRUPTED = 130  # as a shell reports Ctrl-C


class Root(Chooser):
    """All verbs; the code of one is imported when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [verb.name for verb in VERBS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        found = next((verb for verb in VERBS if verb.name == cmd_name), None)
        if found is None:
            return None
        module = importlib.import_module(f"appliance.cli.{found.module}")
        command: click.Command = module.commands[cmd_name]
        return command

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write(overview(ctx.ensure_object(Desk).paint))


def overview(paint: Paint | None = None) -> str:
    """The help on one screen: examples, then all verbs by group, two in a line."""
    paint = paint or Paint()
    lines = ["A durable event log with live streams for your own network, in one file."]
    lines += [f"  {call:<46}{paint(what, 'dim')}" for call, what in EXAMPLES]
    lines.append("")
    for group in GROUPS:
        verbs = [verb for verb in VERBS if verb.group == group]
        for n in range(0, len(verbs), 2):
            pair = "".join(_cell(verb, paint) for verb in verbs[n : n + 2])
            lines.append(f"{paint(group.ljust(9), 'dim') if n == 0 else ' ' * 9}{pair}".rstrip())
    lines += ["", "appliance VERB --help tells more. Before or after the verb:", f"  {GLOBALS_LINE}"]
    return "\n".join(lines) + "\n"


def _cell(verb: Verb, paint: Paint) -> str:
    return f"{paint(verb.name, 'bold')}{' ' * (10 - len(verb.name))} {verb.summary:<24} "


root = Root("appliance", params=globals_of(), context_settings=HELP)


def run(argv: Sequence[str]) -> int:
    """Run one command line; the exit code."""
    desk = Desk()
    try:
        result = root.main(list(argv), prog_name="appliance", obj=desk, standalone_mode=False)
        desk.out.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        desk.err.write(f"{error.ctx.get_help() if error.ctx else overview()}\n")
        return Exit.USAGE
    except click.ClickException as error:
        return _failed(usage_of(error), desk)
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except ApplianceError as error:
        return _failed(error, desk)
    return result if isinstance(result, int) else Exit.DONE


def _failed(error: ApplianceError, desk: Desk) -> int:
    if desk.json:
        desk.err.write(json.dumps(fields_of_error(error), ensure_ascii=False) + "\n")
    else:
        desk.err.write(error_text(error, desk.err_paint) + "\n")
    return exit_code(error)
