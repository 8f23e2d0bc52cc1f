"""Where a probe suite comes from: documents, pages and samples of one split of a dataset."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmprolong_data.errors import FormatError, MMProLongError
from mmprolong_data.index import IndexRow, read_index
from mmprolong_data.manifest import Manifest, read_manifest
from mmprolong_data.parquet_shards import COLUMNS, open_parquet
from mmprolong_data.records import record_of
from mmprolong_data.shards import read_shard

from .pages import ShardPages

Size = tuple[int, int]
"""Width and height in pixels."""

CACHE_BYTES = 256 << 20
"""Page bytes kept in memory for the next sample."""


@dataclass(frozen=True, slots=True)
class Record:
    """A sample without its pictures, and where it lies."""

    values: dict[str, Any]
    row: IndexRow


class Source:
    """One split of a dataset on disk, read lazily; documents in the order of their hashes."""

    def __init__(self, root: Path, split: str) -> None:
        """Open it.

        Raises:
            FormatError: there is no dataset, or an index is damaged.
            MMProLongError: the split has no samples.
        """
        self.root, self.split = root, split
        self.manifest: Manifest = read_manifest(root)
        self._rows: dict[str, list[IndexRow]] = {}
        first: dict[str, IndexRow] = {}
        for config in self.manifest.configs():
            if split in self.manifest.samples[config]:
                self._rows[config] = read_index(root / "index" / f"{config}-{split}.parquet")
                for row in self._rows[config]:
                    first.setdefault(row.doc_id, row)
        if not first:
            raise MMProLongError(
                f"{root}: no sample in the split {split!r}. Remedy: build with select.validation > 0, or more documents"
            )
        self._first = first
        self._shards = ShardPages(root)
        self.documents: tuple[str, ...] = tuple(sorted(first))
        self._sizes: dict[str, tuple[Size, ...]] = {}
        self._pages: OrderedDict[str, list[bytes]] = OrderedDict()
        self._held = 0

    def configs(self) -> tuple[str, ...]:
        """Configs with samples in this split."""
        return tuple(self._rows)

    def records(self, config: str) -> Iterator[Record]:
        """The samples of a config without their pictures, in order."""
        return records_of(self.root, self._rows.get(config, []))

    def sizes(self, doc_id: str) -> tuple[Size, ...]:
        """Width and height (pixels) of each page of a document."""
        if doc_id not in self._sizes:
            self._sizes[doc_id] = tuple(picture_size(page, doc_id) for page in self.pages(doc_id))
        return self._sizes[doc_id]

    def pages(self, doc_id: str) -> list[bytes]:
        """The pages of a document as JPEG."""
        if doc_id in self._pages:
            self._pages.move_to_end(doc_id)
            return self._pages[doc_id]
        pages = list(self._shards.read(self._first[doc_id]))
        self._pages[doc_id] = pages
        self._held += sum(map(len, pages))
        while self._held > CACHE_BYTES and len(self._pages) > 1:
            _, dropped = self._pages.popitem(last=False)
            self._held -= sum(map(len, dropped))
        return pages


def records_of(root: Path, rows: list[IndexRow]) -> Iterator[Record]:
    """Samples without their pictures, shard by shard, in the order of ``rows``.

    Raises:
        FormatError: a shard is missing or damaged, or another sample stands where the index says.
    """
    columns = [name for name in COLUMNS if name != "images"]
    by_shard: dict[str, list[IndexRow]] = {}
    for row in rows:
        by_shard.setdefault(row.shard, []).append(row)
    for name, members in by_shard.items():
        path = root / name
        values: list[dict[str, Any]]
        if path.suffix == ".tar":
            values = [record_of(sample) for sample in read_shard(path)]
        else:
            try:
                values = open_parquet(path, str(path)).read(columns=columns, use_threads=False).to_pylist()
            except (OSError, ValueError) as error:
                raise FormatError(f"{path}: damaged ({error})") from None
        for row in members:
            if row.row >= len(values) or values[row.row]["id"] != row.key:
                raise FormatError(f"{path}: sample {row.key} is not at position {row.row}. Remedy: mmprolong verify")
            yield Record(values[row.row], row)


def picture_size(data: bytes, where: str) -> Size:
    """Width and height of a JPEG or PNG, from its header.

    Raises:
        FormatError: not a picture; starts with ``where``.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "WEBP", "GIF", "BMP")) as image:
            return image.size
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        raise FormatError(f"{where}: not a picture ({type(error).__name__})") from None
