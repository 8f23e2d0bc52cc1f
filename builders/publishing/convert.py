"""The same records in the other container: pages byte for byte, keys, order and checksums the same."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from mmprolong_data.errors import MMProLongError
from mmprolong_data.index import IndexRow, read_index
from mmprolong_data.manifest import MANIFEST_NAME, Manifest, read_manifest, write_manifest
from mmprolong_data.shards import EXTENSION, read_shard

from ..card import write_card
from ..card_info import CARD_FILES
from ..workspace import file_sha256, write_atomically
from .rewrite import Shard, shard_of, write_samples, write_tables
from .views import DOCUMENTS_FILE

WORK = ".convert"
Progress = Callable[[int, int], None]
"""Called with (bytes of shards converted, bytes in all)."""


def convert(root: Path, out: Path, container: str, progress: Progress | None = None) -> tuple[Manifest, bool]:
    """Write the dataset in ``root`` to ``out`` in another container. Interrupted, the same call goes on.

    Returns:
        The new manifest, and whether everything was there already.

    Raises:
        FormatError: no dataset in ``root``, or a shard of it is damaged.
        MMProLongError: nothing to convert, or ``out`` holds something else.
    """
    manifest = read_manifest(root)
    if manifest.container == container:
        raise MMProLongError(f"{root} is {container} already. Remedy: --format {_other(container)}, or copy the folder")
    if out.resolve() == root.resolve():
        raise MMProLongError(f"{out} is the dataset itself. Remedy: name another folder for the result")
    begun = {"manifest": file_sha256(root / MANIFEST_NAME), "container": container}
    if _begin(out, begun) and (out / MANIFEST_NAME).is_file():
        there = read_manifest(out)
        if all(_size(out / entry["name"]) == entry["bytes"] for entry in there.shards):
            return there, True
    made: list[Shard] = []
    done, total = 0, sum(entry["bytes"] for entry in manifest.shards)
    for config in manifest.configs():
        for split in manifest.samples[config]:
            rows: dict[str, list[IndexRow]] = {}
            for row in read_index(root / "index" / f"{config}-{split}.parquet"):
                rows.setdefault(row.shard, []).append(row)
            for entry in manifest.shards_of(config, split):
                shard = _read_sidecar(out, entry, container)
                if shard is None:
                    shard = _convert_shard(root, out, entry, rows.get(entry["name"], []), container)
                made.append(shard)
                done += entry["bytes"]
                if progress is not None:
                    progress(done, total)
    documents = pq.read_table(root / DOCUMENTS_FILE) if DOCUMENTS_FILE in manifest.indexes else None
    changed = write_tables(out, replace(manifest, container=container), made, documents)
    for name in CARD_FILES:
        if (root / name).is_file():
            write_atomically(out / name, (root / name).read_bytes())
    write_card(out, changed)
    write_manifest(out, changed)
    shutil.rmtree(out / WORK / "data", ignore_errors=True)  # the sidecars; what it was made from stays noted
    return changed, False


def _other(container: str) -> str:
    return next(name for name in EXTENSION if name != container)


def _begin(out: Path, begun: dict[str, str]) -> bool:
    """Note what the conversion is begun from. Returns whether an earlier call has done so."""
    note = out / WORK / "source.json"
    if note.is_file():
        try:
            same = json.loads(note.read_bytes()) == begun
        except ValueError:
            same = False
        if same:
            return True
        raise MMProLongError(f"{out} was begun from another dataset, or this one has changed. Remedy: another folder")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise MMProLongError(f"{out} is not empty. Remedy: name a folder that does not exist yet")
    try:
        write_atomically(note, json.dumps(begun).encode())
    except OSError as error:
        raise MMProLongError(f"{out}: cannot be created: {error.strerror}. Remedy: name another folder") from None
    return False


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else -1


def _target(entry: dict[str, Any], container: str) -> str:
    name: str = entry["name"]
    return name.removesuffix(Path(name).suffix) + EXTENSION[container]


def _convert_shard(root: Path, out: Path, entry: dict[str, Any], rows: list[IndexRow], container: str) -> Shard:
    name = _target(entry, container)
    rows = sorted(rows, key=lambda row: row.row)
    info = write_samples(out / name, container, read_shard(root / entry["name"]), rows)
    shard = shard_of(entry["config"], entry["split"], name, info)
    sidecar = {"entry": shard.entry, "rows": [asdict(row) for row in shard.rows]}
    write_atomically(_sidecar(out, name), json.dumps(sidecar).encode())
    return shard


def _sidecar(out: Path, name: str) -> Path:
    return out / WORK / f"{name}.json"


def _read_sidecar(out: Path, entry: dict[str, Any], container: str) -> Shard | None:
    """The shard that an earlier call made, if its file is there with its size."""
    name = _target(entry, container)
    try:
        value = json.loads(_sidecar(out, name).read_bytes())
        shard = Shard(value["entry"], [IndexRow(**row) for row in value["rows"]])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return shard if _size(out / name) == shard.entry["bytes"] and shard.entry["name"] == name else None
