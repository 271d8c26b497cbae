"""`cheat`: recipes to copy, by verb."""

from __future__ import annotations

import click

from appliance.cli.base import verb
from appliance.cli.desk import Desk, with_desk
from appliance.errors import NotFound

__all__ = ["RECIPES", "commands"]

RECIPES = {
    "publish": (
        ("append, and print where it is", "appliance publish OrderPlaced '{\"total\": 90}' --stream order-7"),
        ("only if nobody was faster", "appliance publish OrderPaid --stream order-7 --expect 0"),
        ("safe to repeat", "appliance publish OrderPlaced '{}' --stream order-8 --key my-key-1"),
        (
            "the same with curl",
            'curl -H "Authorization: Bearer $(cat data/run/owner.token)" http://127.0.0.1:8420/rpc \\\n'
            '    -d \'["stream.write", "order-7", {"type": "OrderPlaced", "data": {"total": 90}}]\'',
        ),
    ),
    "subscribe": (
        ("everything, live", "appliance subscribe"),
        ("a category, the last hour first", "appliance subscribe order --since 1h"),
        ("the newest value, then live", "appliance subscribe host --since last"),
        ("a command per event", 'appliance subscribe order -- sh -c \'notify-send "$EVENT_TYPE" "$EVENT_DATA"\''),
        ("only some fields", "appliance subscribe order | jq -c '[.type, .data.total]'"),
        (
            "pokes with curl",
            'curl -N -H "Authorization: Bearer $(cat data/run/owner.token)" \\\n'
            "    'http://127.0.0.1:8420/subscribe?category=order'",
        ),
    ),
    "stream": (
        ("which streams there are", "appliance stream list order-"),
        ("one from its beginning", "appliance stream read order-7"),
        ("its newest event of a type", "appliance stream last order-7 --type OrderPaid"),
    ),
    "category": (
        ("count by type", "appliance category read order | jq -r .type | sort | uniq -c"),
        ("share the work of two", "appliance category read order --group 0/2"),
    ),
    "token": (
        ("for a program that only reads", "appliance token create --scope read --name dashboard"),
        ("end it", "appliance token revoke ID"),
    ),
    "namespace": (("a place for tests", "appliance namespace create tests"),),
    "export": (
        ("everything into a file", "appliance export --gzip --output events.gz"),
        ("from one server to another", "appliance export | appliance import --url http://box:8420 --token ns_…"),
    ),
    "backup": (
        ("now, while all goes on", "appliance backup now"),
        ("is it good?", "appliance backup verify"),
        ("put it back", "appliance stop; appliance restore"),
    ),
    "serve": (
        ("anywhere, on any port", "appliance serve --data /tmp/try --port 0"),
        ("for every device in the house", "appliance serve --listen lan:8420"),
        ("for a test suite", "appliance serve --test-mode --port 8080"),
        ("as a service", "appliance install-service"),
    ),
    "check": (
        ("in cron", "0 * * * *  appliance check --quiet || mail -s 'appliance needs you' me < /dev/null"),
        ("is it well?", "appliance status --json | jq -r .state"),
    ),
}


@verb("cheat", examples=["appliance cheat", "appliance cheat subscribe"], fields="{verb: [{what, command}]}")
@click.argument("name", metavar="[VERB]", default="")
@with_desk
def cheat(desk: Desk, name: str) -> None:
    """Print recipes to copy, all or those of VERB."""
    if name and name not in RECIPES:
        raise NotFound(f"there are no recipes for {name}", hint=f"there are some for: {', '.join(RECIPES)}")
    chosen = {name: RECIPES[name]} if name else RECIPES
    value = {
        verb: [{"what": what, "command": command} for what, command in recipes] for verb, recipes in chosen.items()
    }
    lines = [
        f"{desk.paint(f'# {what}', 'dim')}\n{command}\n" for recipes in chosen.values() for what, command in recipes
    ]
    desk.show(value, "\n".join(lines).rstrip())


commands = {"cheat": cheat}
