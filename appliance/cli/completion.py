"""`completion`: what makes a shell complete our verbs."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from appliance.cli.base import verb
from appliance.cli.desk import Desk, with_desk

__all__ = ["VARIABLE", "commands"]

VARIABLE = "_APPLIANCE_COMPLETE"  # the shell sets it when it asks


@verb(
    "completion",
    examples=[
        'bash  eval "$(appliance completion bash)"          in ~/.bashrc',
        'zsh   eval "$(appliance completion zsh)"           in ~/.zshrc',
        "fish  appliance completion fish > ~/.config/fish/completions/appliance.fish",
    ],
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@with_desk
def completion(desk: Desk, shell: str) -> None:
    """Print what SHELL must read to complete verbs and options."""
    kind = get_completion_class(shell)
    assert kind is not None  # the three that are offered exist
    root = click.get_current_context().find_root().command
    desk.say(kind(root, {}, "appliance", VARIABLE).source())


commands = {"completion": completion}
