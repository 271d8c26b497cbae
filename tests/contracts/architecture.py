"""The rules of "Who may import whom" in `docs/design.md`, as functions from source files to complaints.

Everything is read with `ast`: nothing is imported, so a file that breaks a rule cannot hide by failing.
A file is its path from the root and its text; a complaint is one sentence that names file and line.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath


def words(text: str) -> frozenset[str]:
    """A set of words from a line of them."""
    return frozenset(text.split())


# Ground floor first. A room imports rooms of lower floors only: neighbours never know each other.
FLOORS: tuple[frozenset[str], ...] = (
    words("errors ids"),
    words("clock"),
    words("world"),
    words("model"),
    words("api conditions resilience storage"),
    words("log bus auth supervise"),
    words("ingress observers jobs search cluster telemetry egress"),
    words("web dashboard discovery"),
    words("config"),
    words("plugins"),
    words("ground doors cage"),
    words("app testing"),
    words("process"),
    words("cli"),
    words("__main__"),
)
CLIENT_MAY_IMPORT = words("errors model")  # it works without a server on its machine
CLIENT_SERVES = words("cli testing")

# Where doing is allowed. Everything else only thinks: no waiting, no threads, no clock, no sockets, no files.
DOING_ROOMS = words(
    "app process ground doors cage supervise storage web plugins discovery testing client cli config world __main__"
)
DOING_FILES = words("service.py store.py courier.py flusher.py")
DOING_BESIDES = {
    "appliance/auth/changes.py": "carries a change out although its caller leaves",
    "appliance/auth/housekeeping.py": "makes its round once a minute",
    "appliance/auth/signed.py": "looks at the files of keys again",
    "appliance/egress/webhooks/entry.py": "holds the scope a courier runs in",
    "appliance/egress/webhooks/ledger.py": "wakes who writes and who waits for it",
    "appliance/egress/webhooks/sender.py": "resolves, connects, and waits for the answer",
    "appliance/auth/vault.py": "reads its key",
    "appliance/resilience/turns.py": "carries a change out although its caller leaves",
    "appliance/jobs/run.py": "holds the scope an attempt runs in",
    "appliance/jobs/worker.py": "runs handlers against the clock",
    "appliance/model/ports.py": "the signature of a service names trio's task status",
    "appliance/bus/catchup.py": "waits for the log and the socket of one member",
    "appliance/log/writer.py": "the one writing thread",
    "appliance/log/readers.py": "readers in threads",
    "appliance/log/retention.py": "sweeps when its hour comes",
    "appliance/log/ticket.py": "parks and wakes the task that waits for its append",
    "appliance/telemetry/canary/readers.py": "reads our own streams over the real port",
    "appliance/telemetry/health.py": "waits for the writer, but not for long",
    "appliance/telemetry/outlet.py": "the one thread that log lines leave by",
}
IO_LIBRARIES = words(
    "apsw asyncio concurrent fcntl http httpcore httpx hypercorn multiprocessing os psycopg quart quart_trio secrets"
    " select selectors shutil signal socket sqlite3 ssl subprocess tempfile threading time trio trio_websocket"
    " urllib.request"
)
FRAMEWORKS = words("flask hypercorn quart quart_trio werkzeug")  # replaceable in a day: appliance/web alone knows them

LINES = 400
GLANCE = 10  # lines of a class or function that may speak for themselves
RELATIVE = "."  # stands for the module of a relative import


@dataclass(frozen=True)
class Source:
    """One file of the tree."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @property
    def room(self) -> str:
        """`log` for `appliance/log/writer.py`, `clock` for `appliance/clock.py`, empty for the package itself."""
        parts = PurePosixPath(self.path).with_suffix("").parts
        return "" if parts[1] == "__init__" else parts[1]

    @property
    def module(self) -> str:
        return ".".join(PurePosixPath(self.path).with_suffix("").parts).removesuffix(".__init__")

    @property
    def is_product(self) -> bool:
        return self.path.startswith("appliance/")

    @cached_property
    def public(self) -> tuple[str, ...]:
        """What `__all__` lists."""
        for node in self.tree.body:
            match node:
                case ast.Assign(targets=[ast.Name(id="__all__")], value=value):
                    return tuple(ast.literal_eval(value))
        return ()

    def imports(self) -> Iterator[tuple[int, str, tuple[str, ...]]]:
        """Line, module and names of every import that runs; those for type checkers only do not."""
        yield from _imports(self.tree.body)


Rule = Callable[[Mapping[str, Source]], Iterator[str]]


def read_tree(root: Path) -> dict[str, Source]:
    """Every Python file of the product and its plugins."""
    paths = sorted([*root.glob("appliance/**/*.py"), *root.glob("plugins/**/*.py")])
    return tree_of((path.relative_to(root).as_posix(), path.read_text("utf-8")) for path in paths)


def tree_of(files: Iterable[tuple[str, str]]) -> dict[str, Source]:
    """A tree from paths and texts."""
    return {path: Source(path, text) for path, text in files}


def imports_go_down(tree: Mapping[str, Source]) -> Iterator[str]:
    """A room imports lower floors only; the client knows errors and model."""
    for source, line, room in _imports_of_rooms(tree):
        if source.room != room and (complaint := _why_not(source.room, room)):
            yield f"{source.path}:{line}: {complaint}"


def _why_not(importer: str, imported: str) -> str:
    height = {room: number for number, floor in enumerate(FLOORS) for room in floor}
    if imported == RELATIVE:
        return "a relative import hides which room it enters"
    if importer == "client":
        allowed = imported in CLIENT_MAY_IMPORT
    elif imported == "client":
        allowed = importer in CLIENT_SERVES
    elif missing := {importer, imported} - height.keys():
        return f"no floor is known for {', '.join(sorted(missing))}"
    else:
        allowed = height[imported] < height[importer]
    return "" if allowed else f"{importer} may not import {imported}"


def plugins_import_the_api_only(tree: Mapping[str, Source]) -> Iterator[str]:
    """What a stranger's plugin may use is enough for ours."""
    for source in tree.values():
        if source.is_product:
            continue
        allowed = {"appliance.api"} | ({"appliance.testing"} if "/tests/" in source.path else set())
        for line, module, _ in source.imports():
            if module.split(".")[0] == "appliance" and ".".join(module.split(".")[:2]) not in allowed:
                yield f"{source.path}:{line}: a plugin may not import {module}"


def pure_files_do_no_io(tree: Mapping[str, Source]) -> Iterator[str]:
    """Time, randomness, sockets and storage reach a pure file only as arguments."""
    for source in _product(tree):
        if source.room in DOING_ROOMS or source.path in DOING_BESIDES or PurePosixPath(source.path).name in DOING_FILES:
            continue
        for line, module, _ in source.imports():
            if module in IO_LIBRARIES or module.split(".")[0] in IO_LIBRARIES:
                yield f"{source.path}:{line}: a pure file may not import {module}"


def exceptions_are_needed(tree: Mapping[str, Source]) -> Iterator[str]:
    """A file excused from purity exists and does import what it is excused for."""
    for path in DOING_BESIDES:
        modules = [module for _, module, _ in tree[path].imports()] if path in tree else []
        if not any(module.split(".")[0] in IO_LIBRARIES for module in modules):
            yield f"{path}: excused from purity without need"


def frameworks_stay_in_web(tree: Mapping[str, Source]) -> Iterator[str]:
    """Handlers are plain functions of typed values."""
    for source in tree.values():
        for line, module, _ in source.imports():
            if module.split(".")[0] in FRAMEWORKS and not source.path.startswith("appliance/web/"):
                yield f"{source.path}:{line}: only appliance/web knows {module}"


def lists_are_honest(tree: Mapping[str, Source]) -> Iterator[str]:
    """`__all__` lists what exists, and everything that another module takes."""
    modules = {source.module: source for source in _product(tree)}
    for source in modules.values():
        for name in source.public:
            if name not in _defined(source.tree.body):
                yield f"{source.path}: __all__ lists {name}, which is not there"
    for source in tree.values():
        for line, module, names in source.imports():
            for name in names if module in modules else ():
                if (
                    f"{module}.{name}" not in modules
                    and name not in modules[module].public
                    and not name.startswith("__")
                ):
                    yield f"{source.path}:{line}: {name} is not listed in __all__ of {module}"


def public_names_are_explained(tree: Mapping[str, Source]) -> Iterator[str]:
    """A file says what it is for; a listed class or function says what a caller gains, unless one look tells."""
    for source in tree.values():
        if source.tree.body and ast.get_docstring(source.tree) is None:
            yield f"{source.path}: the file has no docstring"
        for node in source.tree.body:
            match node:
                case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                    at_a_glance = (node.end_lineno or 0) - node.lineno < GLANCE
                    if name in source.public and not at_a_glance and ast.get_docstring(node) is None:
                        yield f"{source.path}:{node.lineno}: {name} has no docstring"


def files_fit_a_reader(tree: Mapping[str, Source]) -> Iterator[str]:
    """Split by meaning before this limit splits by count."""
    for source in tree.values():
        if (count := source.text.count("\n")) > LINES:
            yield f"{source.path}: {count} lines, at most {LINES}"


RULES: tuple[Rule, ...] = (
    imports_go_down,
    plugins_import_the_api_only,
    pure_files_do_no_io,
    exceptions_are_needed,
    frameworks_stay_in_web,
    lists_are_honest,
    public_names_are_explained,
    files_fit_a_reader,
)


def _product(tree: Mapping[str, Source]) -> Iterator[Source]:
    return (source for source in tree.values() if source.is_product)


def _imports_of_rooms(tree: Mapping[str, Source]) -> Iterator[tuple[Source, int, str]]:
    for source in _product(tree):
        for line, module, names in source.imports():
            if module == RELATIVE:
                yield source, line, RELATIVE
            elif module == "appliance":  # `from appliance import clock`; `__version__` is nobody's room
                yield from ((source, line, name) for name in names if not name.startswith("__"))
            elif module.startswith("appliance."):
                yield source, line, module.split(".")[1]


def _imports(body: Iterable[ast.AST]) -> Iterator[tuple[int, str, tuple[str, ...]]]:
    for node in body:
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name, ()) for alias in names)
            case ast.ImportFrom(module=str(module), names=names, level=0):
                yield node.lineno, module, tuple(alias.name for alias in names)
            case ast.ImportFrom():
                yield node.lineno, RELATIVE, ()
            case ast.If(test=ast.Name(id="TYPE_CHECKING"), orelse=other):
                yield from _imports(other)
            case _:
                yield from _imports(ast.iter_child_nodes(node))


def _defined(body: Iterable[ast.stmt]) -> set[str]:
    """The names that a module's own statements bind."""
    found: set[str] = set()
    for statement in body:
        for node in ast.walk(statement):
            match node:
                case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                    found.add(name)
                case ast.Name(id=name, ctx=ast.Store()):
                    found.add(name)
                case ast.alias(name=name, asname=other):
                    found.add(other or name.split(".")[0])
    return found
