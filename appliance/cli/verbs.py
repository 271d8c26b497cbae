"""Every verb, once: its group, where its code is, and what it is for.

The help, the lazy loading, completion, the argument rewriting and the reference page are made of this table. It
imports nothing, so that `--version` and `--help` cost nothing either.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["EXAMPLES", "GROUPS", "VERBS", "Verb"]


class Verb(NamedTuple):
    name: str
    group: str
    module: str  # in appliance.cli; the command in it is called `command`, or as the verb if there are several
    summary: str


VERBS = (
    Verb("serve", "Run", "serve", "start the appliance"),
    Verb("status", "Run", "status", "what runs, and how"),
    Verb("check", "Run", "check", "is all in order?"),
    Verb("stop", "Run", "stop", "end it politely"),
    Verb("publish", "Events", "publish", "append an event"),
    Verb("subscribe", "Events", "subscribe", "watch events live"),
    Verb("stream", "Events", "stream", "list, read, last"),
    Verb("category", "Events", "category", "list, read"),
    Verb("event", "Events", "event", "show, trace, why"),
    Verb("webhook", "Deliver", "webhook", "tell URLs of events"),
    Verb("dlq", "Deliver", "dlq", "list, show, retry, drop"),
    Verb("job", "Automate", "job", "list, show, retry, cancel"),
    Verb("link", "Access", "link", "let a browser in, once"),
    Verb("token", "Access", "token", "create, list, revoke"),
    Verb("namespace", "Access", "namespace", "create, list, delete"),
    Verb("clients", "Access", "clients", "list, close"),
    Verb("plugin", "Extend", "plugin", "list, new, show, restart"),
    Verb("config", "Extend", "config", "show, explain, default"),
    Verb("backup", "Care", "backup", "now, list, verify"),
    Verb("restore", "Care", "backup", "put a backup back"),
    Verb("export", "Care", "transfer", "all events as JSON lines"),
    Verb("import", "Care", "transfer", "events back in"),
    Verb("completion", "Care", "completion", "for bash, zsh, fish"),
    Verb("install-service", "Care", "install_service", "a systemd unit"),
    Verb("bench", "Learn", "bench", "how fast is it here?"),
    Verb("cheat", "Learn", "cheat", "recipes to copy"),
    Verb("error", "Learn", "error", "what a code means"),
    Verb("version", "Learn", "version", "which one this is"),
)

GROUPS = ("Run", "Events", "Deliver", "Automate", "Access", "Extend", "Care", "Learn")

EXAMPLES = (
    ("appliance serve", "start; prints a link"),
    ('appliance publish hello \'{"from": "me"}\'', "append an event"),
    ("appliance subscribe", "watch everything, live"),
    ("appliance subscribe order -- ./script.sh", "a command per event"),
)
