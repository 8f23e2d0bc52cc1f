"""Makes ``load_dataset("mmprolong", ...)`` find our builder class from any folder.

``datasets`` has no hook for builder classes of other packages. What decides is ``dataset_module_factory``, which
``datasets.load`` defines and ``datasets.inspect`` imports by name; it is wrapped in both, for the one name
``mmprolong``. Where ``datasets`` is not imported yet, a finder on ``sys.meta_path`` waits for ``datasets.load``.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

NAME = "mmprolong"
FUNCTION = "dataset_module_factory"
MODULES = ("datasets.load", "datasets.inspect")


def register() -> None:
    """Make ``load_dataset("mmprolong", ...)`` use ``builder.MMProLong``. Called by ``import mmprolong_data``."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
    for name in MODULES:
        if name in sys.modules:
            _wrap(sys.modules[name])


def unregister() -> None:
    """Undo ``register``."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _Finder)]
    for name in MODULES:
        module = sys.modules.get(name)
        original = getattr(getattr(module, FUNCTION, None), "mmprolong_original", None)
        if module is not None and original is not None:
            setattr(module, FUNCTION, original)


def is_registered() -> bool:
    """True between ``register`` and ``unregister``."""
    return any(isinstance(finder, _Finder) for finder in sys.meta_path)


class _Finder(importlib.abc.MetaPathFinder):
    """Wraps the function when ``datasets.load`` has been executed; the module is found and loaded as ever."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """See ``importlib.abc.MetaPathFinder``."""
        if fullname != MODULES[0]:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None:
                break
        else:
            return None
        loader: Any = spec.loader
        if loader is not None:
            execute: Callable[[ModuleType], None] = loader.exec_module

            def execute_and_wrap(module: ModuleType) -> None:
                execute(module)
                if is_registered():
                    _wrap(module)

            loader.exec_module = execute_and_wrap
        return spec


def _wrap(module: ModuleType) -> None:
    original = getattr(module, FUNCTION, None)
    if original is None or hasattr(original, "mmprolong_original"):
        return

    @functools.wraps(original)
    def factory(path: str, *arguments: Any, **keywords: Any) -> Any:
        if path == NAME and not arguments and keywords.get("data_files") is None:
            ours = _dataset_module(keywords)
            if ours is not None:
                return ours
        return original(path, *arguments, **keywords)

    factory.mmprolong_original = original  # type: ignore[attr-defined]
    setattr(module, FUNCTION, factory)


def _dataset_module(keywords: dict[str, Any]) -> Any:
    """What the wrapped function returns for our name: the builder class, and a cache id made of the dataset alone."""
    from datasets import Version
    from datasets.load import DatasetModule

    from .catalog import read_dataset
    from .roots import find_root
    from .source import open_source

    revision = keywords.get("revision")
    root = find_root(keywords.get("data_dir"), str(revision) if revision else None)
    if root is None:
        return None
    options = storage_options(root, keywords.get("download_config"))
    source = open_source(root, storage_options=options)
    try:
        # A revision of a folder can only be the version that it has.
        manifest = read_dataset(source, str(revision) if revision and not root.startswith("hf://") else None)
    finally:
        source.close()
    identity = f"{manifest.format_version} {manifest.dataset_version} {manifest.container} " + " ".join(
        f"{shard['name']} {shard['sha256']}" for shard in manifest.shards
    )
    return DatasetModule(
        f"{__package__}.builder",
        hashlib.sha256(identity.encode()).hexdigest(),
        {"data_dir": root, "dataset_name": NAME, "version": Version(manifest.dataset_version)},
    )


def storage_options(root: str, download_config: Any) -> dict[str, Any]:
    """What ``datasets`` was told for the file system of ``root``: its storage options, and the token for the Hub."""
    scheme = root.partition("://")[0]
    given = dict(getattr(download_config, "storage_options", None) or {})
    options = dict(given.get(scheme) or {})
    token = getattr(download_config, "token", None)
    if scheme == "hf" and token is not None:
        options.setdefault("token", token)
    return options
