"""Publishing inside a bucket: shards are copied on the server, all else is made here and written, the manifest last."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from mmprolong_data.errors import FormatError
from mmprolong_data.index import IndexRow
from mmprolong_data.manifest import MANIFEST_NAME

from ..card import PICTURE
from ..card_info import INFO_FILE, SOURCES_FILE
from ..placement import publication_record
from ..report.statistics import records_in
from ..workspace import Workspace, file_sha256, write_atomically
from .names import index_of
from .state import BucketState

_TAKEN_OVER = (MANIFEST_NAME, INFO_FILE, SOURCES_FILE, PICTURE)
"""What a dataset in a bucket may have of its publisher, and what an older one says of its version."""


class BucketFiles:
    """``placement.ShardFiles`` of a bucket. The paths are those that the files would have in the scratch folder.

    Args:
        state: The build.
        mirror: Where its sidecars are on this machine (``BucketState.pull_slices``).
        roots: Where its datasets would be on this machine.
    """

    def __init__(self, state: BucketState, mirror: Workspace, roots: Sequence[Path]) -> None:
        self._state = state
        self._mirror = mirror
        self._roots = roots
        self._scratch = mirror.out.parent
        self._objects = state.objects
        self.listing = state.list()
        for root in roots:
            self.listing |= self._objects.list(f"{root.name}/data")

    def pull_record(self) -> bool:
        """Bring the record of which slices the dataset was published without. Returns whether there is one."""
        path = publication_record(self._mirror)
        data = self._objects.read(self._key(path))
        if data is None:
            path.unlink(missing_ok=True)
        else:
            write_atomically(path, data)
        return data is not None

    def pull_indexes(self) -> None:
        """Bring the index rows of all slices whose sidecars are here, and what the datasets have of their publisher."""
        wanted: list[tuple[Path, str]] = []
        for sidecar in sorted(self._mirror.cells.glob("pack/*.json")):
            value = self._mirror.read_sidecar("pack", int(sidecar.stem)) or {}
            for info in value["shards"].values():
                if info["samples"]:
                    path = index_of(sidecar.with_suffix("") / info["name"])
                    wanted.append((path, str(value["indexes"][path.name])))

        def bring(one: tuple[Path, str]) -> None:
            path, sha256 = one
            if not path.is_file() or file_sha256(path) != sha256:
                self._objects.fetch(self._key(path), path, sha256)

        list(self._objects.each(bring, wanted))
        for path in (root / name for root in self._roots for name in _TAKEN_OVER):
            path.unlink(missing_ok=True)
            if self._objects.exists(self._key(path)):
                self._objects.fetch(self._key(path), path)

    def publish(self) -> None:
        """Write what was made here: indexes, document table, card; then the manifest."""
        for root in self._roots:
            made = [path for path in sorted(root.rglob("*")) if path.is_file()]
            made = [path for path in made if path.relative_to(root).parts[0] != ".work"]
            made.sort(key=lambda path: path.name == MANIFEST_NAME)
            for path in made:
                self._objects.put(path, self._key(path))
        self._state.remove_probes()

    def size(self, path: Path) -> int | None:
        """See ``ShardFiles``."""
        entry = self.listing.get(self._key(path))
        return None if entry is None else entry.bytes

    def move(self, moves: Sequence[tuple[Path, Path]]) -> None:
        """See ``ShardFiles``."""
        keys = [(self._key(source), self._key(target)) for source, target in moves]
        todo = [(source, target) for source, target in keys if source in self.listing]

        def one(pair: tuple[str, str]) -> None:
            self._objects.move(*pair, self.listing[pair[0]].bytes)

        list(self._objects.each(one, todo))
        for source, target in todo:
            self.listing[target] = self.listing.pop(source)

    def write(self, path: Path, data: bytes) -> None:
        """See ``ShardFiles``."""
        write_atomically(path, data)
        self._objects.write(self._key(path), data)

    def withdraw(self, root: Path) -> None:
        """See ``ShardFiles``."""
        (root / MANIFEST_NAME).unlink(missing_ok=True)
        self._objects.remove(self._key(root / MANIFEST_NAME))

    def remove_others(self, root: Path, names: Collection[str]) -> None:
        """See ``ShardFiles``."""
        kept = {self._key(root / name) for name in names}
        others = [key for key in self.listing if key.startswith(f"{root.name}/data/") and key not in kept]
        list(self._objects.each(self._objects.remove, others))

    def records(self, root: Path, rows: Sequence[IndexRow]) -> Iterator[dict[str, Any]]:
        """See ``ShardFiles``. Range reads, of several shards at a time."""
        groups = [list(own) for _, own in groupby(rows, key=lambda row: row.shard)]

        def read(own: list[IndexRow]) -> list[dict[str, Any]]:
            key = self._key(root / own[0].shard)
            where = f"{self._objects.url}/{key}"
            if key not in self.listing:
                raise FormatError(f"{where}: missing. Remedy: run the same build again")
            return self._objects.with_open(key, self.listing[key].bytes, lambda stream: records_in(stream, where, own))

        for records in self._objects.each(read, groups):
            yield from records

    def _key(self, path: Path) -> str:
        if path.is_relative_to(self._mirror.cells):
            return self._state.key(path.relative_to(self._mirror.cells).as_posix())
        return path.relative_to(self._scratch).as_posix()
