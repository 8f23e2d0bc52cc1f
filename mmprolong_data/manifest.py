"""The manifest: what a dataset consists of, and how it was made. Read with suspicion, written deterministically."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path, PurePosixPath
from typing import Any

from .errors import FormatError
from .schema import FORMAT_VERSION, KNOWN_CONFIGS, SPLITS
from .shards import EXTENSION

MANIFEST_NAME = "manifest.json"

_TYPES: dict[str, type] = {
    "format_version": int, "dataset_version": str, "container": str, "recipe": dict, "recipe_hash": str, "tools": dict,
    "shards": list, "indexes": dict, "documents": dict, "samples": dict, "tokens": dict, "shortfalls": dict,
    "rejected": dict,
}  # fmt: skip
_LATER_TYPES: dict[str, type] = {"parent_version": str, "changelog": list, "models": dict}
_CHANGE_TYPES: dict[str, type] = {
    "version": str, "parent": str, "level": str, "documents": dict, "samples": dict, "note": str,
}  # fmt: skip
_MODEL_TYPES = {"task": str, "model": str, "served_as": list, "prompts": list, "replies": int}
_SHARD_TYPES = {"config": str, "split": str, "name": str, "sha256": str, "bytes": int, "samples": int, "tokens": int}


@dataclass(frozen=True, slots=True)
class Manifest:
    """The content of ``manifest.json``.

    Attributes:
        format_version: Of the files (``schema.FORMAT_VERSION``).
        dataset_version: ``X.Y.Z``.
        container: ``parquet`` or ``webdataset``.
        recipe, recipe_hash: The settings that decided the bytes, and their SHA-256.
        tools: Package -> version.
        shards: ``{"config", "split", "name", "sha256", "bytes", "samples", "tokens"}`` of every shard, ordered.
        indexes: Path of every file under ``index/`` -> SHA-256.
        documents: ``{"found": n, "used": n, "left_out": {reason: n}}``; found = used + the sum of left_out.
        samples, tokens: ``{config: {split: n}}``.
        shortfalls: ``{config: {reason: n}}``: used documents without a sample in a config.
        rejected: ``{config: {check: n}}``: candidates that verification refused, by the first check that failed. Absent
            in old datasets.
        parent_version: The published version that this one follows; "" for a first or unpublished one.
        changelog: ``{"version", "parent", "level", "documents", "samples", "note"}`` of every published version, the
            newest first; ``documents`` and ``samples`` count what was ``added``, ``removed`` and ``changed``.
        models: Which language models made or checked questions: ``{"tasks": [{"task", "model" as it was asked for,
            "served_as": names that the endpoint reported, "prompts": their versions, "replies": n}], "candidates":
            {config: {"made": n, "accepted": n}}}``. Empty where none was asked.

    The last four came later: a manifest without them is read as one without, and older readers ignore them.
    """

    format_version: int
    dataset_version: str
    container: str
    recipe: dict[str, Any]
    recipe_hash: str
    tools: dict[str, str]
    shards: list[dict[str, Any]]
    indexes: dict[str, str]
    documents: dict[str, Any]
    samples: dict[str, dict[str, int]]
    tokens: dict[str, dict[str, int]]
    shortfalls: dict[str, dict[str, int]] = field(default_factory=dict)
    rejected: dict[str, dict[str, int]] = field(default_factory=dict)
    parent_version: str = ""
    changelog: list[dict[str, Any]] = field(default_factory=list)
    models: dict[str, Any] = field(default_factory=dict)

    def configs(self) -> list[str]:
        """Configs that have samples, in the order of ``KNOWN_CONFIGS``."""
        return [config for config in KNOWN_CONFIGS if config in self.samples]

    def shards_of(self, config: str, split: str) -> list[dict[str, Any]]:
        """The shards of a config and split, in order."""
        return [shard for shard in self.shards if (shard["config"], shard["split"]) == (config, split)]


def write_manifest(root: Path, manifest: Manifest) -> None:
    """Write ``manifest.json``: sorted keys, no time, no place; under a temporary name first."""
    path = root / MANIFEST_NAME
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(manifest_bytes(manifest))
    temporary.replace(path)


def manifest_bytes(manifest: Manifest) -> bytes:
    """The content of ``manifest.json``."""
    return (json.dumps(asdict(manifest), sort_keys=True, indent=1, ensure_ascii=False) + "\n").encode()


def read_manifest(root: Path) -> Manifest:
    """Read and check ``manifest.json``.

    Raises:
        FormatError: no dataset there, damaged, of a newer format, or with paths that lead out of the folder.
    """
    path = root / MANIFEST_NAME
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise FormatError(f"{root}: no dataset here ({MANIFEST_NAME} is missing). Remedy: mmprolong build") from None
    except OSError as error:
        raise FormatError(f"{path}: cannot be read: {error.strerror}") from None
    return decode_manifest(content, str(path))


def decode_manifest(content: bytes | memoryview, where: str) -> Manifest:
    """The manifest whose file holds ``content``.

    Raises:
        FormatError: see ``read_manifest``; starts with ``where``.
    """
    try:
        value = json.loads(bytes(content))
    except (ValueError, RecursionError):
        raise FormatError(
            f"{where}: damaged (not JSON). Remedy: run the same build again, or download it again"
        ) from None
    return parse_manifest(value, where)


def parse_manifest(value: Any, where: str) -> Manifest:
    """A manifest from decoded JSON.

    Raises:
        FormatError: see ``read_manifest``; starts with ``where``.
    """
    if not isinstance(value, dict):
        raise FormatError(f"{where}: damaged (no JSON object)")
    version = value.get("format_version")
    if not isinstance(version, int) or isinstance(version, bool):
        raise FormatError(f"{where}: damaged (format_version is missing)")
    if version > FORMAT_VERSION:
        raise FormatError(
            f"{where}: format version {version} is newer than {FORMAT_VERSION}, the newest that this mmprolong reads."
            ' Remedy: pip install --upgrade "mmprolong"'
        )
    value = {"rejected": {}} | value
    _check_types(value, _TYPES, where)
    if value["container"] not in EXTENSION:
        raise FormatError(f"{where}: unknown container {value['container']!r}")
    for shard in value["shards"]:
        if not isinstance(shard, dict):
            raise FormatError(f"{where}: damaged (shards)")
        _check_types(shard, _SHARD_TYPES, f"{where}: shards")
        if shard["config"] not in KNOWN_CONFIGS or shard["split"] not in SPLITS:
            raise FormatError(f"{where}: unknown config or split {shard['config']!r}, {shard['split']!r}")
        _check_path(shard["name"], "data", where)
    for name, digest in value["indexes"].items():
        _check_path(name, "index", where)
        _check_digest(digest, where)
    for table in ("samples", "tokens", "shortfalls", "rejected"):
        for counts in value[table].values():
            if not isinstance(counts, dict) or not all(_is_count(n) for n in counts.values()):
                raise FormatError(f"{where}: damaged ({table})")
    documents = value["documents"]
    left_out = documents.get("left_out")
    counts = [documents.get("found"), documents.get("used")]
    if not isinstance(left_out, dict) or not all(map(_is_count, [*counts, *left_out.values()])):
        raise FormatError(f"{where}: damaged (documents)")
    later = {name: value[name] for name in _LATER_TYPES if name in value}
    _check_types(later, {name: _LATER_TYPES[name] for name in later}, where)
    for change in later.get("changelog", []):
        if not isinstance(change, dict):
            raise FormatError(f"{where}: damaged (changelog)")
        _check_types(change, _CHANGE_TYPES, f"{where}: changelog")
        if not all(map(_is_count, [*change["documents"].values(), *change["samples"].values()])):
            raise FormatError(f"{where}: damaged (changelog)")
    _check_models(later.get("models", {}), where)
    return Manifest(**{item.name: value[item.name] for item in fields(Manifest) if item.name in _TYPES}, **later)


def _check_types(value: dict[str, Any], types: dict[str, type], where: str) -> None:
    for name, kind in types.items():
        if not isinstance(value.get(name), kind) or isinstance(value[name], bool):
            raise FormatError(f"{where}: damaged ({name} is missing or no {kind.__name__})")
    if "sha256" in types:
        _check_digest(value["sha256"], where)


def _check_models(models: dict[str, Any], where: str) -> None:
    if not models:
        return
    _check_types(models, {"tasks": list, "candidates": dict}, f"{where}: models")
    for task in models["tasks"]:
        if not isinstance(task, dict):
            raise FormatError(f"{where}: damaged (models)")
        _check_types(task, _MODEL_TYPES, f"{where}: models")
        if not all(isinstance(word, str) for word in (*task["served_as"], *task["prompts"])):
            raise FormatError(f"{where}: damaged (models)")
    for counts in models["candidates"].values():
        if not isinstance(counts, dict) or not all(_is_count(counts.get(name)) for name in ("made", "accepted")):
            raise FormatError(f"{where}: damaged (models)")


def _check_digest(value: object, where: str) -> None:
    if not isinstance(value, str) or re.fullmatch(r"[0-9a-f]{64}", value) is None:
        raise FormatError(f"{where}: damaged (no SHA-256: {str(value)[:80]!r})")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _check_path(name: object, folder: str, where: str) -> None:
    """A manifest may come from anywhere: its paths must stay below ``folder`` of the dataset."""
    path = PurePosixPath(str(name))
    safe = re.fullmatch(r"[A-Za-z0-9_./-]+", str(name)) and ".." not in path.parts and not path.is_absolute()
    if not safe or path.parts[0] != folder or len(path.parts) < 2:
        raise FormatError(f"{where}: the path {str(name)[:80]!r} is not one of a dataset's")
