"""`namespace`: worlds of their own."""

from __future__ import annotations

import click

from appliance.cli.base import Noun
from appliance.cli.desk import Desk, fields, with_desk
from appliance.cli.render import amount, table

__all__ = ["commands"]

LISTED = ("namespace", "description", "created", "messages")


@click.group(
    cls=Noun,
    examples=[
        "appliance namespace create tests      prints the token of the new namespace, once",
        "appliance namespace info tests",
        "appliance namespace delete tests      with everything in it",
    ],
)
def namespace() -> None:
    """Worlds of their own: each has its events, positions and tokens."""


@namespace.command("create", fields="namespace, token, created")
@click.argument("name")
@click.option("--description", metavar="TEXT", default="", help="what it is for")
@with_desk
def create(desk: Desk, name: str, description: str) -> None:
    """Create namespace NAME and print its token. It is not shown again."""
    with desk.client() as client:
        made = client.create_namespace(name, description)
    desk.note(f"namespace {made.namespace} is there; its token, shown this once:")
    desk.show(fields(made), made.token)


@namespace.command(
    "list", fields='{"namespaces": [{namespace, description, created, messages, streams, last_activity}]}'
)
@with_desk
def list_(desk: Desk) -> None:
    """List namespaces, newest first."""
    with desk.client() as client:
        found = client.namespaces()
    rows = [(one.namespace, one.messages, one.created, one.description) for one in found]
    desk.show(
        {"namespaces": [{name: fields(one)[name] for name in LISTED} for one in found]},
        table(rows, ("namespace", "events", "created", "description"), desk.paint, right=(1,)),
    )


@namespace.command("info", fields="namespace, description, created, messages, streams, last_activity")
@click.argument("name")
@with_desk
def info(desk: Desk, name: str) -> None:
    """Show what namespace NAME holds."""
    with desk.client() as client:
        found = client.namespace_info(name)
    lines = [
        desk.paint(found.namespace, "bold") + (f"  {found.description}" if found.description else ""),
        f"{amount(found.messages, 'event')} in {amount(found.streams or 0, 'stream')}",
        f"created {found.created}, last event {found.last_activity or 'none'}",
    ]
    desk.show(fields(found), "\n".join(lines))


@namespace.command("delete", fields="namespace, deleted, messages")
@click.argument("name")
@click.option("--force", is_flag=True, help="do not ask")
@with_desk
def delete(desk: Desk, name: str, force: bool) -> None:
    """Delete namespace NAME with everything in it."""
    with desk.client() as client:
        held = client.namespace_info(name).messages
        if not force and not desk.confirm(f"Delete namespace {name} with {amount(held, 'event')}?"):
            desk.note("nothing was deleted")
            return
        gone = client.delete_namespace(name)
    desk.show(fields(gone), f"{gone.namespace} is gone, with {amount(gone.messages, 'event')}")


commands = {"namespace": namespace}
