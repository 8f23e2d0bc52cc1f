"""From packed slices to the dataset: final shard names, indexes, the document table, manifest, card and report."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from mmprolong_data.errors import FormatError, MMProLongError
from mmprolong_data.index import write_index
from mmprolong_data.manifest import Manifest, read_manifest, write_manifest
from mmprolong_data.schema import FORMAT_VERSION

from .card import write_card
from .pack import slice_index
from .placement import FinalShard, begin_publication, dataset_root, final_shards, read_sidecars
from .recipe import Recipe
from .select import FATES_SCHEMA, Plan
from .workspace import Workspace, atomic_stream, file_sha256

DOCUMENTS_FILE = "index/documents.parquet"
_BATCH = 16_384


def finish(
    workspace: Workspace, plan: Plan, recipe: Recipe, containers: list[str], without: Mapping[int, str] | None = None
) -> list[Manifest]:
    """Publish all packed slices. Can be interrupted anywhere and called again.

    Args:
        workspace: The work folder; its record of the files found is the one written when the build was begun.
        plan: The plan.
        recipe: The settings.
        containers: The containers built.
        without: Slice -> error, of slices that failed for good: their documents are left out as ``slice_error``.

    Returns:
        One manifest a container.

    Raises:
        MMProLongError: a slice is missing, or no document gave a sample.
    """
    without = without or {}
    packed = read_sidecars(workspace, plan.num_slices)
    missing = [n for n in range(plan.num_slices) if n not in packed and n not in without]
    if missing:
        raise MMProLongError(f"slice {missing[0]} is not packed yet. Remedy: run the same build command again")
    sidecars = {number: sidecar for number, sidecar in packed.items() if number not in without}
    fates = _Fates(workspace, plan, sidecars, without)
    if not any(info["samples"] for sidecar in sidecars.values() for info in sidecar["shards"].values()):
        listing = ", ".join(f"{reason} {count}" for reason, count in sorted(fates.count().items()))
        raise MMProLongError(f"No document gave a sample ({listing}). See {workspace.root} for the details")
    begin_publication(workspace, packed, without, containers)
    shards = final_shards(workspace, sidecars, containers)
    manifests = []
    for container in containers:
        root = dataset_root(workspace.out, container, containers)
        own = [shard for shard in shards if shard.container == container]
        manifests.append(_publish(workspace, root, container, own, fates, sidecars, recipe, plan.benchmarks))
    return manifests


def _publish(
    workspace: Workspace,
    root: Path,
    container: str,
    shards: list[FinalShard],
    fates: _Fates,
    sidecars: Mapping[int, dict[str, Any]],
    recipe: Recipe,
    benchmarks: list[dict[str, Any]],
) -> Manifest:
    samples: dict[str, dict[str, int]] = {}
    tokens: dict[str, dict[str, int]] = {}
    entries = []
    names: set[str] = set()
    for shard in shards:
        shard.target.parent.mkdir(parents=True, exist_ok=True)
        if shard.made.exists():
            shard.made.replace(shard.target)
        names.add(shard.name)
        info = shard.info
        for table, amount in ((samples, info["samples"]), (tokens, info["tokens"])):
            counts = table.setdefault(shard.config, {})
            counts[shard.split] = counts.get(shard.split, 0) + amount
        entries.append(
            {"config": shard.config, "split": shard.split, "name": shard.name}
            | {key: info[key] for key in ("sha256", "bytes", "samples", "tokens")}
        )
    indexes = {}
    for config, splits in samples.items():
        for split in splits:
            rows = [
                replace(row, shard=shard.name)
                for shard in shards
                if (shard.config, shard.split) == (config, split)
                for row in slice_index(shard.made.parent, container, config)
            ]
            path = root / "index" / f"{config}-{split}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_index(path, rows)
            indexes[f"index/{path.name}"] = file_sha256(path)
    with atomic_stream(root / DOCUMENTS_FILE) as stream:
        fates.write(stream)
    indexes[DOCUMENTS_FILE] = file_sha256(root / DOCUMENTS_FILE)

    left_out = fates.count()
    found = fates.found
    shortfalls: dict[str, Counter[str]] = {}
    for sidecar in sidecars.values():
        for reasons in sidecar["shortfalls"].values():
            for config, reason in reasons.items():
                shortfalls.setdefault(config, Counter())[reason] += 1
    rejected: dict[str, Counter[str]] = {}
    for sidecar in sidecars.values():
        for config, checks in sidecar.get("rejected", {}).items():
            rejected.setdefault(config, Counter()).update(checks)
    manifest = Manifest(
        format_version=FORMAT_VERSION,
        dataset_version=recipe.version,
        container=container,
        recipe=recipe.content(),
        recipe_hash=recipe.hash(),
        tools=workspace.begun_tools(),
        shards=entries,
        indexes=indexes,
        documents={
            "found": found,
            "used": found - sum(left_out.values()),
            "left_out": dict(sorted(left_out.items())),
            **({"decontaminated_against": benchmarks} if benchmarks else {}),
        },
        samples=samples,
        tokens=tokens,
        shortfalls={config: dict(sorted(counts.items())) for config, counts in sorted(shortfalls.items())},
        rejected={config: dict(sorted(counts.items())) for config, counts in sorted(rejected.items())},
    )
    manifest = _as_published(root, manifest)
    write_card(root, manifest)
    for path in sorted(root.glob("data/*/*")):  # left by a build that was begun and never finished
        if path.relative_to(root).as_posix() not in names:
            path.unlink()
    write_manifest(root, manifest)
    return manifest


def _as_published(root: Path, manifest: Manifest) -> Manifest:
    """A manifest with the version, parent and changelog that ``push`` gave this very dataset."""
    try:
        old = read_manifest(root)
    except FormatError:
        return manifest
    if (old.recipe_hash, old.shards, old.indexes) != (manifest.recipe_hash, manifest.shards, manifest.indexes):
        return manifest
    version, parent, changelog = old.dataset_version, old.parent_version, old.changelog
    return replace(manifest, dataset_version=version, parent_version=parent, changelog=changelog)


DOCUMENTS_SCHEMA = FATES_SCHEMA.append(pa.field("samples", pa.string()))
"""``index/documents.parquet``: one row a file found. ``reason`` is "" if used; ``samples`` is JSON, config: number."""


class _Fates:
    """The fate of every file found, a batch at a time: there may be millions."""

    def __init__(
        self, workspace: Workspace, plan: Plan, sidecars: Mapping[int, dict[str, Any]], without: Mapping[int, str]
    ) -> None:
        self._file = workspace.fates
        self._used = {doc_id: counts for sidecar in sidecars.values() for doc_id, counts in sidecar["used"].items()}
        self._late = {doc_id: fate for sidecar in sidecars.values() for doc_id, fate in sidecar["left_out"].items()}
        for number, error in without.items():
            for row in plan.slice_rows(number):
                self._late[row["doc_id"]] = ["slice_error", error]
        self.found = pq.read_metadata(self._file).num_rows

    def count(self) -> Counter[str]:
        """Reason -> number of files left out for it."""
        counts: Counter[str] = Counter()
        with pq.ParquetFile(self._file) as file:
            for batch in file.iter_batches(_BATCH, columns=["doc_id", "reason"]):
                for doc_id, reason in zip(batch[0].to_pylist(), batch[1].to_pylist(), strict=True):
                    counts[reason or ("" if doc_id in self._used else self._late[doc_id][0])] += 1
        del counts[""]
        return counts

    def write(self, stream: BinaryIO) -> None:
        """Write ``index/documents.parquet``."""
        with (
            pq.ParquetFile(self._file) as file,
            pq.ParquetWriter(stream, DOCUMENTS_SCHEMA, compression="zstd") as writer,
        ):
            for batch in file.iter_batches(_BATCH):
                rows = batch.to_pylist()
                for row in rows:
                    row["samples"] = "{}"
                    if row["reason"]:
                        continue
                    doc_id = row["doc_id"]
                    if doc_id in self._used:
                        row["samples"] = json.dumps(self._used[doc_id], sort_keys=True)
                    else:
                        row["reason"], row["detail"] = self._late[doc_id]
                writer.write_table(pa.Table.from_pylist(rows, schema=DOCUMENTS_SCHEMA), row_group_size=_BATCH)
