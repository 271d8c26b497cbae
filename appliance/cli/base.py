"""The shape of every command: examples first, global options anywhere, errors of one style."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from typing import Any

import click

from appliance.cli.desk import Desk, Globals
from appliance.cli.exits import Usage

__all__ = ["GLOBALS_LINE", "HELP", "Chooser", "Count", "Noun", "VerbCommand", "globals_of", "usage_of", "verb"]

HELP = {"help_option_names": ["-h", "--help"]}
GLOBALS_LINE = "--config FILE  --data DIR  --url URL  --token T  --json  --quiet  --no-color"


class Count(click.ParamType[int]):
    """A whole number from 1 on."""

    name = "count"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if not str(value).isdecimal() or int(value) < 1:
            self.fail(f"{value} is no number from 1 on", param, ctx)
        return int(value)


def globals_of() -> list[click.Parameter]:
    """The global options. Each command has its own copies; all write to the one desk."""

    def option(name: str, help: str, **kind: Any) -> click.Option:
        def remember(ctx: click.Context, param: click.Parameter, value: Any) -> None:
            if value not in (None, False):
                desk = ctx.find_root().ensure_object(Desk)
                setattr(desk.options, str(param.name), value)

        return click.Option([f"--{name}"], expose_value=False, hidden=True, help=help, callback=remember, **kind)

    return [
        option("config", "configuration file", type=click.Path()),
        option("data", "data folder of the local appliance", type=click.Path()),
        option("url", "address of the server"),
        option("token", "token to act with"),
        option("json", "results as JSON on stdout", is_flag=True),
        option("quiet", "nothing but results", is_flag=True),
        option("no-color", "no colours", is_flag=True),
    ]


assert {str(option.name) for option in globals_of()} == set(Globals.__dataclass_fields__)


class VerbCommand(click.Command):
    """A command with examples, the fields of its JSON, and the global options."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), fields: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **{"context_settings": HELP, **kwargs})
        own = {param.name for param in self.params}
        self.params += [param for param in globals_of() if param.name not in own]
        self.examples, self.fields = tuple(examples), fields

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write(f"{' '.join([ctx.command_path, *self.collect_usage_pieces(ctx)])}\n")
        self.format_help_text(ctx, formatter)
        if self.examples:
            _section(ctx, formatter, "Examples", self.examples)
        self.format_options(ctx, formatter)
        if self.fields:
            _section(ctx, formatter, "With --json", self.fields.splitlines())
        _section(ctx, formatter, "Everywhere", [GLOBALS_LINE])

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Arguments before options: what must be given stands first."""
        shown = [param for param in self.get_params(ctx) if isinstance(param, click.Option) and not param.hidden]
        arguments = [piece for param in self.params for piece in param.get_usage_pieces(ctx)]
        return arguments + ([self.options_metavar or "[OPTIONS]"] if shown else [])

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        return _quiet_help(super().get_help_option(ctx))


class Chooser(click.Group):
    """A group that knows what was meant."""

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        return _quiet_help(super().get_help_option(ctx))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        known = self.list_commands(ctx)
        if args and args[0] not in known and not args[0].startswith("-"):
            close = difflib.get_close_matches(args[0], known, n=1)
            hint = f'did you mean "{close[0]}"?' if close else f"see: {ctx.command_path} --help"
            raise Usage(f'{ctx.command_path} has no verb "{args[0]}"', hint=hint)
        return super().resolve_command(ctx, args)


class Noun(Chooser):
    """A command with verbs of its own."""

    command_class = VerbCommand

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **{"context_settings": HELP, **kwargs})
        self.params += globals_of()
        self.examples = tuple(examples)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of their definition."""
        return list(self.commands)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write(f"{ctx.command_path} VERB\n")
        self.format_help_text(ctx, formatter)
        if self.examples:
            _section(ctx, formatter, "Examples", self.examples)
        self.format_commands(ctx, formatter)
        formatter.write(f"\n{ctx.command_path} VERB --help tells more.\n")


def usage_of(error: click.ClickException) -> Usage:
    """The same complaint in our style."""
    where = "appliance" if not isinstance(error, click.UsageError) or error.ctx is None else error.ctx.command_path
    hint = f"see: {where} --help"
    if isinstance(error, click.NoSuchOption):
        close = difflib.get_close_matches(error.option_name, error.possibilities or (), n=1)
        return Usage(f"{where} has no option {error.option_name}", hint=f"did you mean {close[0]}?" if close else hint)
    text = error.format_message().strip().rstrip(".")
    return Usage(text[:1].lower() + text[1:], hint=hint)


def _quiet_help(option: click.Option | None) -> click.Option | None:
    """Whoever reads the help knows how to get it."""
    if option is not None:
        option.hidden = True
    return option


def _section(ctx: click.Context, formatter: click.HelpFormatter, title: str, lines: Sequence[str]) -> None:
    paint = ctx.find_root().ensure_object(Desk).paint
    formatter.write(f"\n{paint(title, 'bold')}:\n" + "".join(f"  {line}\n" for line in lines))


def verb(
    name: str, *, examples: Sequence[str] = (), fields: str = "", **more: Any
) -> Callable[[Callable[..., Any]], VerbCommand]:
    """Make a function a command; its docstring is the help."""
    return click.command(name, cls=VerbCommand, examples=examples, fields=fields, **more)
