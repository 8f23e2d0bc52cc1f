"""MMProLong: the builder class that ``datasets`` runs for ``load_dataset("mmprolong", CONFIG)``."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, ClassVar

import datasets
import pyarrow as pa

from .catalog import ConfigIndex, check_config, read_config, read_dataset
from .hf import features
from .manifest import Manifest
from .prefetch import Reader
from .schema import CONFIG_NAMES
from .source import open_source

Key: Any = getattr(datasets.builder, "Key", lambda shard, row: (shard, row))  # older releases take any key


class MMProLong(datasets.ArrowBasedBuilder):  # type: ignore[misc]
    """Long-document questions, answers and transcriptions, from a folder or URL in either container.

    Every sample is checked against the index while it is read, so that damage is an error and never a missing row.
    """

    BUILDER_CONFIGS: ClassVar[list[datasets.BuilderConfig]] = [
        datasets.BuilderConfig(name=name, description=f"The config {name}") for name in CONFIG_NAMES
    ]

    def _info(self) -> datasets.DatasetInfo:
        return datasets.DatasetInfo(
            description="Long documents as page images, with questions and answers that name their evidence pages.",
            homepage="https://arxiv.org/abs/2605.13831",
            features=features(),
            version=self.config.version,
        )

    def _split_generators(self, dl_manager: Any) -> list[datasets.SplitGenerator]:
        manifest = _manifest(self._root, self._options, self.hash)
        config = self.config.name
        check_config(self._root, manifest, config, next(iter(manifest.samples.get(config, {})), "train"))
        return [
            datasets.SplitGenerator(
                name=split,
                gen_kwargs={
                    "shards": [shard["name"] for shard in manifest.shards_of(config, split)],
                    "split": split,
                },
            )
            for split in manifest.samples[config]
        ]

    def _generate_tables(self, shards: list[str], split: str) -> Iterator[tuple[Any, pa.Table]]:
        index = _index(self._root, self._options, self.hash, self.config.name, split)
        schema = features().arrow_schema
        source = open_source(self._root, storage_options=dict(self._options))
        try:
            reader = Reader(source)
            for number, shard in enumerate(shards):
                for row in index.of_shard(shard):
                    table = reader.read_table(index.entry(row))
                    yield Key(number, row), table.cast(schema)
        finally:
            source.close()

    @property
    def _root(self) -> str:
        return str(self.config.data_dir)

    @property
    def _options(self) -> tuple[tuple[str, Any], ...]:
        """The file system's options, hashable."""
        options = dict((self.storage_options or {}).get(self._root.partition("://")[0]) or {})
        if self._root.startswith("hf://") and self.token is not None:
            options.setdefault("token", self.token)
        return tuple(sorted(options.items()))


@functools.lru_cache(maxsize=4)
def _manifest(root: str, options: tuple[tuple[str, Any], ...], identity: str) -> Manifest:
    """Kept for an identity of its content: another dataset may come to lie in the same place."""
    source = open_source(root, storage_options=dict(options))
    try:
        return read_dataset(source)
    finally:
        source.close()


@functools.lru_cache(maxsize=10)
def _index(root: str, options: tuple[tuple[str, Any], ...], identity: str, config: str, split: str) -> ConfigIndex:
    """Kept, because ``datasets`` asks for one shard at a time."""
    source = open_source(root, storage_options=dict(options))
    try:
        return read_config(source, _manifest(root, options, identity), config, split)
    finally:
        source.close()
