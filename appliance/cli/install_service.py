"""`install-service`: the systemd unit and socket, with the paths of this machine."""

from __future__ import annotations

import re
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import click

from appliance import __file__ as _package
from appliance.cli.base import verb
from appliance.cli.desk import Desk, with_desk

__all__ = ["Program", "commands", "service_text", "socket_text"]

DEFAULT_FILE = "/usr/local/lib/appliance/appliance.pyz"  # what the templates name
DEFAULT_PYTHON = "/usr/bin/python3"
PROTECTED_HOMES = ("home", "root", "run/user")  # what ProtectHome= hides, see systemd.exec
STATE = "${STATE_DIRECTORY}"


@dataclass(frozen=True, slots=True)
class Program:
    """How this very program is started."""

    python: str
    file: Path | None = None  # the one file; None: an installed package

    @property
    def command(self) -> str:
        return f"{self.python} -I {'-m appliance' if self.file is None else self.file}"


@verb(
    "install-service",
    options_metavar="[--unit service|socket]",
    examples=[
        "appliance install-service                     both, to read",
        "appliance install-service --unit service | sudo tee /etc/systemd/system/appliance.service",
        "appliance install-service --unit socket | sudo tee /etc/systemd/system/appliance.socket",
        "sudo systemctl daemon-reload && sudo systemctl enable --now appliance.service",
    ],
    fields="service, socket",
)
@click.option("--unit", type=click.Choice(["service", "socket"]), help="only this one")
@with_desk
def install_service(desk: Desk, unit: str | None) -> None:
    """Print a hardened systemd unit, and a socket for it, that start this very program.

    Without --data the service keeps its data in /var/lib/appliance.
    """
    program = _this_program()
    units = {
        "service": service_text(_template("service"), program, desk.options.config, desk.options.data),
        "socket": socket_text(_template("socket"), desk.config.settings.listen[0]),
    }
    for name in [unit] if unit else list(units):
        if not unit and not desk.json:
            desk.say(desk.paint(f"# /etc/systemd/system/appliance.{name}", "bold"))
        if not desk.json:
            desk.say(units[name])
    if desk.json:
        desk.show(units, "")
    if _hidden(program):
        desk.warn(
            f"the service cannot see {program.file or program.python}: home folders are hidden from it.\n"
            f"         put the one file at {DEFAULT_FILE} and run install-service from there"
        )


def service_text(template: str, program: Program, config: str, data: str) -> str:
    """The unit for this program, data folder and configuration."""
    serve = f"{program.command} serve --data {Path(data).absolute() if data else STATE}"
    if config:
        serve += f" --config {Path(config).absolute()}"
    text = re.sub(r"(?m)^ExecStart=.*$", lambda _: f"ExecStart={serve}", template)
    if program.file is None:
        text = re.sub(r"(?m)^Environment=SHIV_ROOT=.*\n", "", text)
        text = re.sub(r"(?m)^#   (?:install -D|SHIV_ROOT=).*\n", "", text)
    else:
        text = text.replace(DEFAULT_FILE, str(program.file)).replace(
            str(Path(DEFAULT_FILE).parent), str(program.file.parent)
        )
    if data:
        text = text.replace("[Install]", f"ReadWritePaths={Path(data).absolute()}\n\n[Install]")
    return text


def socket_text(template: str, listen: str) -> str:
    """The socket for this address of the configuration."""
    host, _, port = listen.rpartition(":")
    stream = {"loopback": f"127.0.0.1:{port}", "localhost": f"127.0.0.1:{port}", "lan": port}.get(host, listen)
    return re.sub(r"(?m)^ListenStream=.*$", f"ListenStream={stream}", template)


def _template(name: str) -> str:
    """The unit as it is shipped: inside the package, or beside it in a source tree."""
    package = Path(_package).parent
    inside = package / "_systemd"
    folder = inside if inside.is_dir() else package.parent / "systemd"
    return (folder / f"appliance.{name}").read_text()


def _this_program() -> Program:
    started = Path(sys.argv[0]).absolute()
    if started.is_file() and zipfile.is_zipfile(started):
        return Program(DEFAULT_PYTHON if Path(DEFAULT_PYTHON).exists() else sys.executable, started)
    return Program(sys.executable)


def _hidden(program: Program) -> bool:
    """Whether ProtectHome keeps the service from reading its own program."""
    path = Path(program.file or program.python)
    return any(path.is_relative_to(Path("/") / folder) for folder in PROTECTED_HOMES)


commands = {"install-service": install_service}
