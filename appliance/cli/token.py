"""`token`: who may do what. Works with the server up, over HTTP, and down, on the data folder itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import click

from appliance.auth import store
from appliance.auth.credentials import describe
from appliance.auth.store import TokenWish
from appliance.cli.base import Noun
from appliance.cli.desk import Desk, with_desk
from appliance.cli.endings import by_ending
from appliance.cli.local import offline, runs_here
from appliance.cli.render import table
from appliance.client import Client
from appliance.client.protocol import rest
from appliance.clock import parse_stamp
from appliance.config.units import duration
from appliance.errors import Rejected
from appliance.storage.ports import Engine
from appliance.world import RealWorld

__all__ = ["commands"]

FIELDS = "id, kind, name, namespace, scopes, memories, created, expires, revoked"
PATH = "/api/v1/tokens"


@click.group(
    cls=Noun,
    examples=[
        "appliance token create --scope read --name dashboard",
        "appliance token create --scope read --scope write --namespace tests --expires 30d",
        "appliance token list",
        "appliance token revoke 9c1f            any unambiguous ending of its id",
    ],
)
def token() -> None:
    """Who may do what: each token has scopes, in one namespace."""


@token.command("create", fields=f"token, {FIELDS}")
@click.option(
    "--scope", "scopes", metavar="S", multiple=True, required=True, help="read, write, delete, admin, mcp; repeat"
)
@click.option("--namespace", metavar="NS", default="", help="where it holds; default: namespace default")
@click.option("--name", metavar="TEXT", default="", help="whose it is, for people")
@click.option("--memory", "memories", metavar="M", multiple=True, help="only events of this memory; repeat")
@click.option("--expires", metavar="30d|TIME", help="when it ends by itself")
@with_desk
def create(
    desk: Desk, scopes: Sequence[str], namespace: str, name: str, memories: Sequence[str], expires: str | None
) -> None:
    """Make a token and print it. It is not shown again."""
    wanted = tuple(part for scope in scopes for part in scope.split(","))
    with _book(desk) as book:
        made = book.create(wanted, namespace, name, tuple(memories), _expiry(expires))
    desk.note(f"token {made['id']} for namespace {made['namespace']}, shown this once:")
    desk.show(made, made["token"])


@token.command("list", fields=f'{{"tokens": [{{{FIELDS}}}]}}')
@with_desk
def list_(desk: Desk) -> None:
    """List tokens without their texts."""
    with _book(desk) as book:
        rows = book.list()
    cells = [
        (
            row["id"],
            row["kind"],
            row["namespace"],
            ",".join(row["scopes"]),
            ",".join(row["memories"]) or "all",
            row["name"],
            _state(row),
        )
        for row in rows
    ]
    headers = ("id", "kind", "namespace", "scopes", "memories", "name", "state")
    desk.show({"tokens": rows}, table(cells, headers, desk.paint))


@token.command("revoke", fields="id, revoked")
@click.argument("id_", metavar="ID")
@with_desk
def revoke(desk: Desk, id_: str) -> None:
    """End a token at once. Any unambiguous ending of its id will do."""
    with _book(desk) as book:
        whole = by_ending(id_, [row["id"] for row in book.list()])
        book.revoke(whole)
    desk.show({"id": whole, "revoked": True}, f"token {whole} is revoked")


class _Book(Protocol):
    """Where tokens are kept, for this command."""

    def create(
        self, scopes: tuple[str, ...], namespace: str, name: str, memories: tuple[str, ...], expires: str | None
    ) -> dict[str, Any]: ...

    def list(self) -> list[dict[str, Any]]: ...

    def revoke(self, id: str) -> None: ...


@contextmanager
def _book(desk: Desk) -> Iterator[_Book]:
    """The running server if there is one, else the data folder."""
    if runs_here(desk) or desk.options.url:
        with desk.client() as client:
            yield _Server(client)
    else:
        with offline(desk) as engine:
            yield _Folder(engine, RealWorld())


@dataclass(frozen=True, slots=True)
class _Server:
    client: Client

    def create(
        self, scopes: tuple[str, ...], namespace: str, name: str, memories: tuple[str, ...], expires: str | None
    ) -> dict[str, Any]:
        wish = {"scopes": scopes, "namespace": namespace, "name": name, "memories": memories, "expires": expires}
        made: dict[str, Any] = self.client.run(rest("POST", PATH, wish))
        return made

    def list(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.client.run(rest("GET", PATH))
        return rows

    def revoke(self, id: str) -> None:
        self.client.run(rest("DELETE", f"{PATH}/{id}"))


@dataclass(frozen=True, slots=True)
class _Folder:
    engine: Engine
    world: RealWorld

    def create(
        self, scopes: tuple[str, ...], namespace: str, name: str, memories: tuple[str, ...], expires: str | None
    ) -> dict[str, Any]:
        until = None if expires is None else parse_stamp(expires)
        wish = TokenWish(scopes, namespace or store.DEFAULT, name, memories, until)
        text, row = store.create_token(
            self.engine, wish, id=self.world.new_id(), secret=self.world.secret, now_us=self.world.wall_us()
        )
        made, home = next(pair for pair in store.list_tokens(self.engine) if pair[0].id == row.id)
        return {"token": text} | describe(made, home)

    def list(self) -> list[dict[str, Any]]:
        return [describe(row, space) for row, space in store.list_tokens(self.engine)]

    def revoke(self, id: str) -> None:
        store.end_token(self.engine, id, now_us=self.world.wall_us())


def _expiry(text: str | None) -> str | None:
    """RFC 3339 of `30d` or of a time.

    Raises:
        Rejected: neither.
    """
    if text is None:
        return None
    try:
        if text[:1].isdigit() and "-" not in text:
            return (datetime.now(UTC) + timedelta(seconds=duration(text))).isoformat()
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        raise Rejected(f"--expires {text} is not understood", hint="write 30d or 2030-01-31T12:00:00Z") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()


def _state(row: dict[str, Any]) -> str:
    if row["revoked"]:
        return "revoked"
    return f"until {row['expires'][:10]}" if row["expires"] else "valid"


commands = {"token": token}
