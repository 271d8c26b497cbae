"""Writes `docs/reference/*.md` from the tables of the code; with `--check` tells whether they still say the same.

    make docs          write them
    make check         among others: are they in step?

Nothing here knows a fact of its own. A page is made of the table that the program itself runs by, so it can be
incomplete in one way only: by a table that is missing from PAGES.
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

import click
from prometheus_client.parser import text_string_to_metric_families

from appliance.cli.error_guide import GUIDE
from appliance.cli.exits import Exit
from appliance.cli.main import overview, root
from appliance.cli.verbs import VERBS
from appliance.config.explain import default_file, reference_rows
from appliance.config.load import BORROWED, EVENTODB
from appliance.model.closecodes import Close
from appliance.web import limits
from appliance.web.metrics import Meter

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "reference"
NOTE = "<!-- Written by `make docs` from the code. Do not edit. -->\n"
WIDTH = 100


def cli() -> Iterator[str]:
    yield "# Command line\n"
    yield fenced(overview())
    with click.Context(root, info_name="appliance") as context:
        for verb in VERBS:
            yield from command_help(root.get_command(context, verb.name), context, verb.name)


def command_help(command: click.Command | None, parent: click.Context, name: str) -> Iterator[str]:
    """A command's own help, and that of the verbs below it."""
    assert command is not None, f"{name} is listed but has no command"
    with click.Context(command, parent=parent, info_name=name, terminal_width=WIDTH) as context:
        depth = "#" * len(context.command_path.split())
        yield f"{depth} {context.command_path}\n"
        yield fenced(command.get_help(context))
        if isinstance(command, click.Group):
            for below in command.list_commands(context):
                yield from command_help(command.get_command(context, below), context, below)


def config() -> Iterator[str]:
    yield "# Configuration\n"
    yield (
        "One optional TOML file. A value comes from the defaults, the file, the environment"
        " (`APPLIANCE_` and the key, `__` for a dot), the command line: the later one wins."
        " `appliance config explain` shows where each came from.\n"
    )
    yield table(
        ("key", "default", "meaning", "applied"), ((f"`{k}`", f"`{v}`", m, a) for k, v, m, a in reference_rows())
    )
    yield "The whole file, as `appliance config default` prints it:\n"
    yield fenced(default_file(), "toml")
    yield "Variables that operators know from other systems of the kind are taken, too; ours come first:\n"
    known = [(name, path, "") for name, path in EVENTODB.items()]
    known += [(name, path, unit) for name, (path, unit) in BORROWED.items()]
    yield table(("variable", "key", "a bare number is in"), ((f"`{n}`", f"`{'.'.join(p)}`", u) for n, p, u in known))


def errors() -> Iterator[str]:
    yield "# Errors\n"
    yield "`appliance error CODE` explains one. Over HTTP they are problem+json with `code`, `message` and `hint`.\n"
    rows = (
        (f"`{e.code}`", e.status or "", int(e.exit), ", ".join(f"`{name}`" for name in e.wire), e.meaning, e.move)
        for e in GUIDE
    )
    yield table(("code", "HTTP", "exit", "message-store API", "meaning", "what to do"), rows)
    yield "## Exit codes\n"
    yield table(("exit", "meaning"), ((int(code), code.name.lower().replace("_", " ")) for code in Exit))


def close_codes() -> Iterator[str]:
    yield "# Close codes of WebSockets\n"
    yield table(("code", "name", "meaning"), ((int(code), code.name.lower(), code.meaning) for code in Close))


def edges() -> Iterator[str]:
    yield "# Limits\n"
    yield "What anyone may ask of the one port. Each is a key of `[limits]`.\n"
    rows = ((f"`{name}`", f"{value:,.0f}", unit, meaning) for name, value, unit, meaning in limits.table())
    yield table(("limit", "default", "unit", "meaning"), rows)


def routes() -> Iterator[str]:
    yield "# Routes\n"
    yield "All on one port. What it needs is a scope of the token, any token of the namespace, or nothing.\n"
    api = json.loads(served("/"))["api"]
    rows = ((entry["method"], f"`{entry['path']}`", entry["scope"] or "", entry["summary"]) for entry in api)
    yield table(("method", "path", "needs", "what it does"), sorted(rows, key=lambda row: row[1]))


def metrics() -> Iterator[str]:
    yield "# Metrics\n"
    yield "`GET /metrics` answers in the text format of Prometheus. Counters begin at 0 with each start.\n"
    labels = {family.name: family._labelnames for family in Meter().collect()}  # also of those without a sample yet
    families = [one for one in text_string_to_metric_families(served("/metrics")) if not one.name.endswith("_created")]
    rows = []
    for one in sorted(families, key=lambda family: family.name):
        name = f"{one.name}_total" if one.type == "counter" else one.name
        found = labels.get(one.name) or dict.fromkeys(key for sample in one.samples for key in sample.labels)
        rows.append((f"`{name}`", one.type, ", ".join(f"`{label}`" for label in found), one.documentation.rstrip(".")))
    yield table(("name", "type", "labels", "meaning"), rows)


@cache
def served(path: str) -> str:
    """What a running appliance says of itself: the composition root alone knows all of it."""
    command = [sys.executable, "-m", "appliance", "serve", "--test-mode", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            port = next(int(found[1]) for line in process.stdout if (found := re.search(r"Listening on :(\d+)", line)))
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("GET", path, headers={"Accept": "application/json"})
            text = connection.getresponse().read().decode()
            connection.close()
        finally:
            process.terminate()
    return text


PAGES: dict[str, Callable[[], Iterator[str]]] = {
    "cli": cli,
    "config": config,
    "errors": errors,
    "close-codes": close_codes,
    "limits": edges,
    "routes": routes,
    "metrics": metrics,
}


def fenced(text: str, language: str = "") -> str:
    return f"```{language}\n{text.rstrip()}\n```\n"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [" | ".join(head), " | ".join("---" for _ in head)]
    lines += [" | ".join(str(cell).replace("|", "\\|") for cell in row) for row in rows]
    return "".join(f"| {line} |\n" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the reference pages.")
    parser.add_argument("--check", action="store_true", help="change nothing; tell which pages are out of step")
    check = parser.parse_args().check
    texts = {FOLDER / f"{name}.md": NOTE + "\n" + "\n".join(page()) for name, page in PAGES.items()}
    stale = [path for path, text in texts.items() if not path.exists() or path.read_text() != text]
    stale += [path for path in FOLDER.glob("*.md") if path not in texts]
    if check and stale:
        sys.exit(f"error: out of step with the code: {', '.join(path.name for path in stale)}; run: make docs")
    if not check:
        FOLDER.mkdir(parents=True, exist_ok=True)
        for path, text in texts.items():
            path.write_text(text)
        print(f"docs/reference: {', '.join(path.name for path in texts)}")


if __name__ == "__main__":
    main()
