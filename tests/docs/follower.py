"""Somebody who reads a page and does everything it says, in an empty folder, with a server of their own.

Two things differ from what is printed: the port, because many read at the same time, and `ns_…`, which stands for
the reader's own token. What programs say is put back into the page's words before it is compared.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from configparser import ConfigParser
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from appliance.config.load import load
from appliance.plugins.manifest import parse
from tests.docs.page import ROOT, Block, Page
from tests.docs.sameness import complaint, json_complaint
from tests.docs.terminal import PATIENCE, Terminal, until

__all__ = ["Follower", "following"]

PORT = "8420"
TOKEN = "ns_…"
HOME = "/home/anna"  # what pages call the folder in which they are followed
_SERVE = re.compile(r"\bserve\b")
_PROGRAM = "import sys\nfrom appliance.__main__ import main\nsys.exit(main())\n"
RunScript = Callable[[str, str], str]  # address of the server, script: what it logged


@contextmanager
def following(page: Page, folder: Path, browser: Callable[[], RunScript]) -> Iterator[Follower]:
    """A reader of `page`; when the block ends, everything they started has ended too."""
    with ExitStack() as held:
        follower = Follower(page, folder, held.enter_context(a_port()), browser)
        held.callback(follower.leave)
        yield follower


@contextmanager
def a_port() -> Iterator[int]:
    """A free port that nobody else is given meanwhile: bound here, so that only who names it can have it."""
    with socket.socket() as four, socket.socket(socket.AF_INET6) as six:
        for sock in (four, six):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        four.bind(("127.0.0.1", 0))
        six.bind(("::1", four.getsockname()[1]))
        yield four.getsockname()[1]


class Follower:
    """Does one block after the other."""

    def __init__(self, page: Page, folder: Path, port: int, browser: Callable[[], RunScript]) -> None:
        self._page = page
        self._home = folder / "home"
        self._aside = folder / "aside"
        self._port = str(port)
        self._browser = browser
        self._terminals: dict[str, Terminal] = {}
        self._servers: set[str] = set()  # names of terminals
        self._said: str | None = None  # by the block before; None: it says nothing that could be shown
        self._home.mkdir(parents=True)
        self._environment = self._surroundings(folder / "bin")

    def follow(self) -> None:
        """The whole page.

        Raises:
            AssertionError: with the line of the page that is not true.
        """
        if self._needs_a_server():
            self._begin("server", "appliance serve")
        for block in self._page.blocks:
            try:
                self._do(block)
            except Exception as error:
                raise AssertionError(f"{self._page.name}, line {block.line}: {error}") from error

    def leave(self) -> None:
        with ExitStack() as ending:  # the last one first, and all of them whatever happens
            for terminal in self._terminals.values():
                ending.callback(terminal.interrupt)
        screens = [terminal.screen for terminal in self._terminals.values()]
        assert not any("Traceback" in screen for screen in screens), "\n".join(screens)

    def _do(self, block: Block) -> None:
        if block.mark("not run"):
            self._said = None
        elif block.mark("dry run"):
            self._plan(block)
        elif block.language == "text":
            self._compare(block)
        else:
            self._prepare(block)
            doing = getattr(self, f"_{block.language}")
            self._said = doing(block)

    def _prepare(self, block: Block) -> None:
        if name := block.mark("file"):
            path = self._home / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self._ours(block.text))

    # What each language asks for; the answer is what it printed

    def _(self, block: Block) -> None:
        """A block without a language is a picture."""

    def _sh(self, block: Block) -> str | None:
        if block.terminal:
            self._begin(block.terminal, block.text)
            return None
        return self._run(block, self._ours(block.text))

    def _python(self, block: Block) -> str:
        script = self._aside / "script.py"
        script.parent.mkdir(exist_ok=True)
        script.write_text(self._ours(block.text))
        return self._run(block, f"python3 {script}\n")

    def _js(self, block: Block) -> str:
        return self._theirs(self._browser()(f"http://127.0.0.1:{self._port}", self._ours(block.text)))

    def _toml(self, block: Block) -> None:
        if block.mark("file").endswith("plugin.toml"):
            parse(block.text, "plugin.toml")
            return
        file = self._aside / "appliance.toml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(block.text)
        for name in re.findall(r'{ file = "(.*)" }', block.text):
            (self._aside / name).write_text("a secret")
        load(file, environ={}, flags={})

    def _json(self, block: Block) -> None:
        json.loads(block.text)

    def _ndjson(self, block: Block) -> None:
        for line in block.text.splitlines():
            json.loads(line)

    def _ini(self, block: Block) -> None:
        """A drop-in of our unit, judged by systemd where it is."""
        ConfigParser(strict=False, interpolation=None).read_string(block.text)
        folder = self._aside / "units"
        (folder / "appliance.service.d").mkdir(parents=True)
        shutil.copy(ROOT / "systemd/appliance.service", folder)
        (folder / "appliance.service.d/page.conf").write_text(block.text)
        if analyze := shutil.which("systemd-analyze"):
            command = [analyze, "verify", str(folder / "appliance.service")]
            environment = {**os.environ, "SYSTEMD_UNIT_PATH": f"{folder}:"}
            judged = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE)
            assert not judged.stderr, judged.stderr

    def _rpc(self, block: Block) -> None:
        """Calls (→) and answers (←) in a namespace that is this block's own."""
        token = self._token() if "as the owner" in block.marks else self._new_namespace(block)
        lines = block.text.splitlines()
        for call, answer in zip(lines[::2], lines[1::2], strict=True):
            assert (call[:2], answer[:2]) == ("→ ", "← "), f"a call and its answer, not {call!r} and {answer!r}"
            wrong = json_complaint(json.loads(answer[2:]), self._call(call[2:], token))
            assert not wrong, f"{call}\n{wrong}"

    # Means

    def _run(self, block: Block, script: str) -> str:
        terminal = self._terminal("here")
        terminal.begin(script)
        if typed := block.mark("types"):
            until(lambda: terminal.news, lambda: "it asks nothing")
            terminal.type(typed)
        code = terminal.wait()
        assert code == block.exit, f"ended with {code}\n{terminal.news}"
        return self._theirs(terminal.news)

    def _begin(self, name: str, script: str) -> None:
        """Start what goes on, and wait until it does what it is there for: it serves, or it listens."""
        terminal = self._terminal(name)
        terminal.interrupt()
        serving = _SERVE.search(script)
        if not serving:
            self._wait_for_listeners(terminal)
        terminal.begin(self._ours(script))
        if serving:
            until(lambda: "Listening on" in terminal.news or not terminal.busy, lambda: terminal.news)
            assert terminal.busy, f"it ended:\n{terminal.news}"
            self._servers.add(name)
        else:
            self._wait_for_listeners(terminal)

    def _wait_for_listeners(self, terminal: Terminal) -> None:
        """Until the server knows of all terminals that listen, and of nobody else: who left may take a moment."""
        names = self._terminals.keys() - self._servers
        until(
            lambda: self._listeners() == sum(self._terminals[name].busy for name in names),
            lambda: f"it does not listen:\n{terminal.news}",
        )

    def _compare(self, block: Block) -> None:
        if name := block.terminal:
            terminal = self._terminals[name]
            wrong = lambda: complaint(block.text, self._theirs(terminal.news))  # noqa: E731
            until(lambda: not wrong(), wrong)
            terminal.look()
            return
        assert self._said is not None, "it shows what a block printed, and there is none before it"
        wrong_now = complaint(block.text, self._said)
        assert not wrong_now, wrong_now

    def _plan(self, block: Block) -> None:
        for line in block.text.splitlines():
            program, *words = shlex.split(line, comments=True)
            assert program == "make", f"only make can plan, not {program}"
            subprocess.run(["make", "--dry-run", *words], cwd=ROOT, check=True, capture_output=True, timeout=PATIENCE)

    def _terminal(self, name: str) -> Terminal:
        if name not in self._terminals:
            self._terminals[name] = Terminal(self._home, self._aside / f"terminal-{name}", self._environment)
        return self._terminals[name]

    def _needs_a_server(self) -> bool:
        """Whether one runs already when the page begins: it does unless the page starts its own."""
        programs = [block for block in self._page.blocks if block.language in ("sh", "python", "js", "rpc")]
        starts_its_own = any(_SERVE.search(block.text) for block in programs if block.terminal)
        return bool(programs) and (not starts_its_own or "a server runs" in programs[0].marks)

    def _listeners(self) -> int:
        answer: dict[str, int] = self._call('["sys.health"]', self._token())
        return answer["connections"]

    def _new_namespace(self, block: Block) -> str:
        made: dict[str, str] = self._call(f'["ns.create", "page-{block.line}"]', self._token())
        return made["token"]

    def _call(self, body: str, token: str) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", int(self._port), timeout=PATIENCE)
        try:
            connection.request("POST", "/rpc", body.encode(), {"Authorization": f"Bearer {token}"})
            return json.load(connection.getresponse())
        finally:
            connection.close()

    def _token(self) -> str:
        return next((path.read_text().strip() for path in self._home.glob("**/run/owner.token")), "")

    def _ours(self, text: str) -> str:
        return text.replace(f":{PORT}", f":{self._port}").replace(TOKEN, self._token() or TOKEN)

    def _theirs(self, text: str) -> str:
        return text.replace(f":{self._port}", f":{PORT}").replace(str(self._home), HOME)

    def _surroundings(self, bin: Path) -> dict[str, str]:
        """The environment of somebody who has `appliance` installed, and nothing set up."""
        bin.mkdir(parents=True)
        program = bin / "appliance"
        program.write_text(f"#!{sys.executable}\n{_PROGRAM}")
        program.chmod(0o755)
        with zipfile.ZipFile(self._home / "appliance.pyz", "w") as archive:  # the packaging's tests try the true one
            archive.writestr("__main__.py", _PROGRAM)
        kept = {name: os.environ[name] for name in ("LANG", "LC_ALL") if name in os.environ}
        return kept | {
            "PATH": f"{bin}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "HOME": str(self._home),
            "TERM": "xterm",
            "TZ": "UTC",
            "NO_COLOR": "1",
            "APPLIANCE_PORT": self._port,
            "APPLIANCE_NAME": "kitchen",
            "APPLIANCE_PLUGINS__HOST__NAME": "kitchen",
        }
