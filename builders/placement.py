"""Where the shards of packed slices lie: in the work folder, or at their numbered places in the dataset."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from mmprolong_data.index import IndexRow
from mmprolong_data.manifest import MANIFEST_NAME
from mmprolong_data.schema import CONFIG_NAMES, SPLITS
from mmprolong_data.shards import EXTENSION

from .pack import file_size, made_shards
from .report.statistics import read_records
from .workspace import LOCK_POLL, Workspace, write_atomically


def dataset_root(out: Path, container: str, containers: Sequence[str]) -> Path:
    """Where a container's dataset lies: ``OUT``, and ``OUT-wds`` for the second one of ``--format both``."""
    return out if container == containers[0] else out.with_name(out.name + "-wds")


class ShardFiles(Protocol):
    """What publishing does to files that may be elsewhere: shards, and the marks that say how they are named."""

    def size(self, path: Path) -> int | None:
        """Bytes of a shard; None where there is none."""

    def move(self, moves: Sequence[tuple[Path, Path]]) -> None:
        """Move shards, those that are moved already excepted."""

    def write(self, path: Path, data: bytes) -> None:
        """Write a small file at once."""

    def withdraw(self, root: Path) -> None:
        """Remove the manifest of a dataset."""

    def remove_others(self, root: Path, names: Collection[str]) -> None:
        """Remove all shards of a dataset but these (paths below ``root``)."""

    def records(self, root: Path, rows: Sequence[IndexRow]) -> Iterable[dict[str, Any]]:
        """Records of samples without their images, in order. See ``report.statistics.read_record``."""


class LocalFiles:
    """Files in this machine's folders."""

    def size(self, path: Path) -> int | None:
        """See ``ShardFiles``."""
        return file_size(path)

    def move(self, moves: Sequence[tuple[Path, Path]]) -> None:
        """See ``ShardFiles``."""
        for source, target in moves:
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.exists():
                source.replace(target)

    def write(self, path: Path, data: bytes) -> None:
        """See ``ShardFiles``."""
        write_atomically(path, data)

    def withdraw(self, root: Path) -> None:
        """See ``ShardFiles``."""
        (root / MANIFEST_NAME).unlink(missing_ok=True)

    def remove_others(self, root: Path, names: Collection[str]) -> None:
        """See ``ShardFiles``."""
        for path in sorted(root.glob("data/*/*")):
            if path.relative_to(root).as_posix() not in names:
                path.unlink()

    def records(self, root: Path, rows: Sequence[IndexRow]) -> Iterable[dict[str, Any]]:
        """See ``ShardFiles``."""
        return read_records(root, rows)


LOCAL = LocalFiles()


@dataclass(frozen=True, slots=True)
class FinalShard:
    """A shard's place in the dataset and in the work folder."""

    container: str
    config: str
    split: str
    slice: int
    name: str
    made: Path
    target: Path
    info: dict[str, Any]

    def at(self, path: Path, files: ShardFiles) -> bool:
        """True if its bytes lie at ``path``; looks at the size only."""
        return files.size(path) == int(self.info["bytes"])


def final_shards(
    workspace: Workspace, sidecars: Mapping[int, dict[str, Any]], containers: Sequence[str]
) -> list[FinalShard]:
    """Names of all non-empty shards, numbered by slice inside each config and split.

    Args:
        workspace: The work folder.
        sidecars: Slice -> its ``pack`` sidecar, for the slices that belong to the dataset.
        containers: The containers built.
    """
    shards = []
    for container in containers:
        root = dataset_root(workspace.out, container, containers)
        for config in CONFIG_NAMES:
            key = f"{container}/{config}"
            for split in SPLITS:
                numbers = [
                    number
                    for number, sidecar in sorted(sidecars.items())
                    if sidecar["split"] == split and sidecar["shards"].get(key, {"samples": 0})["samples"]
                ]
                for i, number in enumerate(numbers):
                    extension = EXTENSION[container]
                    name = f"data/{config}/{split}-{i:05d}-of-{len(numbers):05d}{extension}"
                    made = workspace.cell("pack", number) / f"{config}{extension}"
                    info = sidecars[number]["shards"][key]
                    shards.append(FinalShard(container, config, split, number, name, made, root / name, info))
    return shards


def read_sidecars(workspace: Workspace, count: int) -> dict[int, dict[str, Any]]:
    """Slice -> its ``pack`` sidecar, of those that have one."""
    found = {number: workspace.read_sidecar("pack", number) for number in range(count)}
    return {number: sidecar for number, sidecar in found.items() if sidecar is not None}


def missing_slices(
    workspace: Workspace, count: int, containers: Sequence[str], files: ShardFiles = LOCAL
) -> tuple[list[int], list[int]]:
    """Slices that have to be made, of ``count``.

    Returns:
        All of them; and those among them that were complete once: a shard of theirs is gone or of another size.
    """
    sidecars = read_sidecars(workspace, count)
    lost = {n for n, sidecar in sidecars.items() if not made_shards(workspace.cell("pack", n), sidecar, files.size)}
    without = published_without(workspace)
    if without is not None:
        published = {number: sidecar for number, sidecar in sidecars.items() if number not in without}
        gone = {
            shard.slice
            for shard in final_shards(workspace, published, containers)
            if not shard.at(shard.target, files) and not shard.at(shard.made, files)
        }
        lost = {number for number in lost if number in without or number in gone}
    never = set(range(count)) - set(sidecars)
    return sorted(never | lost), sorted(lost)


def wait_for_sidecars(workspace: Workspace, numbers: Sequence[int], patience: float = 90.0) -> None:
    """Wait until slices that other machines have made are seen here: NFS shows new files up to a minute late."""
    deadline = time.monotonic() + patience
    folder = workspace.sidecar("pack", 0).parent
    while any(not workspace.sidecar("pack", number).exists() for number in numbers) and time.monotonic() < deadline:
        list(folder.glob("*.json"))  # opening the folder is what makes an NFS client ask again
        time.sleep(LOCK_POLL)


def published_without(workspace: Workspace) -> frozenset[int] | None:
    """The slices that the dataset was published without, which decides the names; None: not published yet."""
    try:
        return frozenset(json.loads(publication_record(workspace).read_bytes())["without"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def begin_publication(
    workspace: Workspace,
    sidecars: Mapping[int, dict[str, Any]],
    without: Collection[int],
    containers: Sequence[str],
    files: ShardFiles = LOCAL,
) -> None:
    """Note, before any shard is moved, which slices the dataset will lack.

    If it was published with others lacking, its shards had other names: the manifest is withdrawn and every shard goes
    back to the work folder first. Can be interrupted anywhere and called again.
    """
    before = published_without(workspace)
    if before is not None and before != frozenset(without):
        for container in containers:
            files.withdraw(dataset_root(workspace.out, container, containers))
        named = {number: sidecar for number, sidecar in sidecars.items() if number not in before}
        files.move(
            [
                (shard.target, shard.made)
                for shard in final_shards(workspace, named, containers)
                if shard.at(shard.target, files) and not shard.at(shard.made, files)
            ]
        )
    files.write(publication_record(workspace), json.dumps({"without": sorted(without)}).encode())


def publication_record(workspace: Workspace) -> Path:
    """The file that says which slices the dataset was published without."""
    return workspace.cells / "published.json"
