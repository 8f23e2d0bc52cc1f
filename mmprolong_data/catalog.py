"""What a stream knows of a dataset before it reads a shard: the manifest, and the indexes of its configs."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .errors import FormatError, SettingsError
from .index import parse_index
from .manifest import MANIFEST_NAME, Manifest, decode_manifest
from .order import Ints
from .source import Source


@dataclass(frozen=True, slots=True)
class Entry:
    """One sample to read. Fields as in ``index.IndexRow``; ``shard_bytes`` is the size of its shard."""

    config: str
    key: str
    shard: str
    shard_bytes: int
    row: int
    offset: int
    size: int
    pages: int
    tokens: int
    crc32: int


class ConfigIndex:
    """The index of one config and split, as columns: a million samples take about 100 MB."""

    def __init__(self, config: str, table: pa.Table, shard_bytes: dict[str, int]) -> None:
        self.config = config
        self._shard_bytes = shard_bytes
        self._keys = table["key"].combine_chunks()
        self._shards = pc.dictionary_encode(table["shard"]).combine_chunks()
        self._columns = {name: table[name].to_numpy() for name in ("row", "offset", "size", "pages", "crc32")}
        self.tokens: Ints = table["tokens"].to_numpy()

    def __len__(self) -> int:
        return len(self.tokens)

    def entry(self, number: int) -> Entry:
        """The sample in row ``number`` of the index."""
        shard = self._shards[number].as_py()
        column = {name: int(values[number]) for name, values in self._columns.items()}
        return Entry(
            self.config, self._keys[number].as_py(), shard, self._shard_bytes[shard],
            tokens=int(self.tokens[number]), **column,
        )  # fmt: skip

    def of_shard(self, shard: str) -> list[int]:
        """The rows of a shard's samples, in their order in the shard."""
        names = self._shards.dictionary.to_pylist()
        code = names.index(shard) if shard in names else -1
        rows = np.flatnonzero(self._shards.indices.to_numpy() == code)
        return [int(row) for row in rows]

    def without(self, rows: Ints) -> ConfigIndex:
        """The same index less some rows."""
        kept = np.setdiff1d(np.arange(len(self)), rows)
        copy: ConfigIndex = object.__new__(ConfigIndex)
        copy.config, copy._shard_bytes = self.config, self._shard_bytes
        copy._keys, copy._shards = self._keys.take(pa.array(kept)), self._shards.take(pa.array(kept))
        copy._columns = {name: values[kept] for name, values in self._columns.items()}
        copy.tokens = self.tokens[kept]
        return copy

    def digest(self) -> str:
        """SHA-256 (hex) of keys and lengths in order: all that an order depends on. Equal in both containers."""
        digest = hashlib.sha256(np.ascontiguousarray(self.tokens, "<i8").tobytes())
        digest.update("\n".join(self._keys.to_pylist()).encode())
        return digest.hexdigest()


def read_dataset(source: Source, version: str | None = None) -> Manifest:
    """The manifest at a source.

    Args:
        source: Where the dataset lies.
        version: The dataset version that is expected, with or without a ``v`` before it.

    Raises:
        FormatError: no dataset there, damaged, or of a newer format.
        SettingsError: it is of another version.
    """
    manifest = decode_manifest(source.read_all(MANIFEST_NAME), f"{source.root}/{MANIFEST_NAME}")
    if version is not None and version.removeprefix("v") != manifest.dataset_version:
        raise SettingsError(
            f"{source.root}: version {manifest.dataset_version}, not {version.removeprefix('v')}."
            " Remedy: name the version you want (hf://datasets/ORG/NAME@vX.Y.Z), or leave it out"
        )
    return manifest


def read_config(source: Source, manifest: Manifest, config: str, split: str) -> ConfigIndex:
    """The index of a config and split.

    Raises:
        FormatError: missing, damaged, or at odds with the manifest.
        SettingsError: the dataset has no such config or split.
    """
    check_config(source.root, manifest, config, split)
    name = f"index/{config}-{split}.parquet"
    content = source.read_all(name)
    where = f"{source.root}/{name}"
    digest = manifest.indexes.get(name)
    if digest is not None and hashlib.sha256(content).hexdigest() != digest:
        raise FormatError(f"{where}: damaged (its SHA-256 is not the manifest's). Remedy: build or download it again")
    table = parse_index(content, where)
    shards: dict[str, Any] = {shard["name"]: shard for shard in manifest.shards_of(config, split)}
    named = dict(zip(*(column.to_pylist() for column in table["shard"].value_counts().flatten()), strict=True))
    if named != {name: shard["samples"] for name, shard in shards.items() if shard["samples"]}:
        raise FormatError(f"{where}: its shards are not the manifest's. Remedy: build or download it again")
    ends = pc.add(table["offset"], table["size"]).to_numpy()
    limits = np.array([shards[name]["bytes"] for name in table["shard"].to_pylist()])
    if len(table) and (
        pc.min(table["offset"]).as_py() < 0 or pc.min(table["size"]).as_py() < 1 or (ends > limits).any()
    ):
        raise FormatError(f"{where}: damaged (a sample lies outside its shard)")
    return ConfigIndex(config, table, {name: shard["bytes"] for name, shard in shards.items()})


def check_config(root: str, manifest: Manifest, config: str, split: str) -> None:
    """Raise ``SettingsError`` unless the dataset has the config and the split."""
    if config not in manifest.samples:
        raise SettingsError(f"{root}: no config {config!r}; it has {_list(manifest.configs())}")
    if split not in manifest.samples[config]:
        raise SettingsError(f"{root}: {config} has no split {split!r}; it has {_list(manifest.samples[config])}")


def _list(names: Sequence[str] | dict[str, int]) -> str:
    return ", ".join(names) or "none"
