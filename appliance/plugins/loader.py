"""Imports a plugin as `appliance_plugins.NAME`, with what it vendors visible to itself alone.

Two plugins may vendor different versions of one library. A module of a plugin therefore gets
builtins of its own, whose `__import__` looks on the plugin's shelf (`vendor/`) first and keeps what it
finds under the plugin's name: `import yaml` in plugin `notes` is `appliance_plugins.notes.vendor.yaml`,
also for the modules of `yaml` itself. `sys.path` stays as it is. The same door keeps the promise of
`appliance.api`: a plugin that imports another part of the appliance is told so.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from appliance.api import Misdeclared, Plugin
from appliance.plugins.manifest import Manifest

__all__ = ["PACKAGE", "load", "plugin_of", "unload"]

PACKAGE = "appliance_plugins"
VENDOR = "vendor"


def load(folder: Path, manifest: Manifest) -> Plugin:
    """Import the plugin afresh and return what it declares. Whatever its module raises comes out.

    Raises:
        Misdeclared: there is no such module, or it builds no `plugin` of the manifest's name.
    """
    file = folder / f"{manifest.module}.py"
    if not file.is_file():
        raise Misdeclared(f"{file} does not exist", hint=f'"module" in {folder.name}/plugin.toml names it')
    unload(manifest.name)
    _prepare()
    name = f"{PACKAGE}.{manifest.name}"
    loader = _Loader(name, str(file), _builtins(name, folder / VENDOR))
    spec = spec_from_file_location(name, file, loader=loader, submodule_search_locations=[str(folder)])
    assert spec is not None  # with a loader given there always is one
    module = sys.modules[name] = module_from_spec(spec)
    try:
        loader.exec_module(module)
    except BaseException:
        unload(manifest.name)
        raise
    return _declared_by(module, manifest)


def unload(name: str) -> None:
    """Forget the plugin's modules, so that the next `load` reads the files again."""
    full = f"{PACKAGE}.{name}"
    for module in [known for known in sys.modules if known == full or known.startswith(f"{full}.")]:
        del sys.modules[module]


def plugin_of(module: str) -> str | None:
    """Which plugin a module of this name belongs to."""
    package, dot, rest = module.partition(".")
    return rest.partition(".")[0] if dot and package == PACKAGE else None


def _declared_by(module: ModuleType, manifest: Manifest) -> Plugin:
    plugin = getattr(module, "plugin", None)
    if not isinstance(plugin, Plugin):
        raise Misdeclared(
            f"{module.__file__} builds no plugin", hint=f'write: plugin = Plugin("{manifest.name}", summary="…")'
        )
    if plugin.name != manifest.name:
        raise Misdeclared(f'the module calls the plugin "{plugin.name}", its manifest "{manifest.name}"')
    return plugin


def _prepare() -> None:
    """The common parent of all plugins, and the finder for what is inside them."""
    if PACKAGE not in sys.modules:
        parent = sys.modules[PACKAGE] = ModuleType(PACKAGE, "Every loaded plugin is a module in here.")
        parent.__path__ = []
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Loader(SourceFileLoader):
    def __init__(self, fullname: str, path: str, own_builtins: Mapping[str, Any]) -> None:
        super().__init__(fullname, path)
        self.own_builtins = own_builtins

    def get_code(self, fullname: str) -> CodeType | None:
        """Of the text as it is now: a compiled file is believed for a second, too long for one who edits."""
        if f".{VENDOR}." in fullname:
            return super().get_code(fullname)
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__builtins__"] = self.own_builtins
        super().exec_module(module)


class _Finder(MetaPathFinder):
    """Gives the modules inside a plugin the plugin's builtins."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        name = plugin_of(fullname)
        plugin = sys.modules.get(f"{PACKAGE}.{name}")
        if plugin is None:
            return None
        spec = PathFinder.find_spec(fullname, path)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(fullname, spec.loader.path, plugin.__dict__["__builtins__"])
        return spec


def _builtins(plugin: str, shelf: Path) -> dict[str, Any]:
    return {**builtins.__dict__, "__import__": _importer(plugin, _names_on(shelf))}


def _names_on(shelf: Path) -> frozenset[str]:
    return frozenset(entry.name.partition(".")[0] for entry in shelf.iterdir()) if shelf.is_dir() else frozenset()


def _importer(plugin: str, vendored: frozenset[str]) -> Callable[..., ModuleType]:
    def fetch(
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        top = name.partition(".")[0]
        if level == 0 and top == "appliance":
            _refuse_internals(name, fromlist or ())
        if level or top not in vendored:
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        found = builtins.__import__(f"{plugin}.{VENDOR}.{name}", globals, locals, fromlist or (), 0)
        return found if fromlist else sys.modules[f"{plugin}.{VENDOR}.{top}"]  # `import a.b` binds a

    return fetch


def _refuse_internals(name: str, fromlist: Sequence[str]) -> None:
    wanted = {f"{name}.{part}" for part in fromlist} if name == "appliance" and fromlist else {name}
    if wanted != {"appliance.api"}:
        raise Misdeclared(
            f"a plugin may import appliance.api only, not {', '.join(sorted(wanted))}",
            hint="what you need is not promised there? ask for it: internals change without notice",
        )
