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
from .placement import LOCAL, FinalShard, ShardFiles, begin_publication, dataset_root, final_shards, read_sidecars
from .recipe import Recipe
from .select import FATES_SCHEMA, Plan
from .workspace import Workspace, atomic_stream, file_sha256

DOCUMENTS_FILE = "index/documents.parquet"
_BATCH = 16_384


def finish(
    workspace: Workspace,
    plan: Plan,
    recipe: Recipe,
    containers: list[str],
    without: Mapping[int, str] | None = None,
    files: ShardFiles = LOCAL,
) -> list[Manifest]:
    """Publish all packed slices. Can be interrupted anywhere and called again.

    Args:
        workspace: The work folder; its record of the files found is the one written when the build was begun.
        plan: The plan.
        recipe: The settings.
        containers: The containers built.
        without: Slice -> error, of slices that failed for good: their documents are left out as ``slice_error``.
        files: Where the shards are. Index rows and sidecars are in the work folder, wherever the shards are.

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
    begin_publication(workspace, packed, without, containers, files)
    shards = final_shards(workspace, sidecars, containers)
    # All that is the same in both containers.
    common = Manifest(
        format_version=FORMAT_VERSION,
        dataset_version=recipe.version,
        container="",
        recipe=recipe.content(),
        recipe_hash=recipe.hash(),
        tools=workspace.begun_tools(),
        shards=[],
        indexes={},
        documents=_document_counts(fates, plan),
        samples={},
        tokens={},
        shortfalls=_shortfalls(sidecars),
        rejected=_rejected(sidecars),
        models=_models(workspace, recipe, sidecars),
    )
    manifests = []
    for container in containers:
        root = dataset_root(workspace.out, container, containers)
        own = [shard for shard in shards if shard.container == container]
        manifests.append(_publish(root, own, fates, replace(common, container=container), files))
    return manifests


def _document_counts(fates: _Fates, plan: Plan) -> dict[str, Any]:
    left_out = fates.count()
    counts = {
        "found": fates.found,
        "used": fates.found - sum(left_out.values()),
        "left_out": dict(sorted(left_out.items())),
    }
    return counts | ({"decontaminated_against": plan.benchmarks} if plan.benchmarks else {})


def _shortfalls(sidecars: Mapping[int, dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Config -> reason -> documents that are used but give it no sample."""
    counts: dict[str, Counter[str]] = {}
    for sidecar in sidecars.values():
        for reasons in sidecar["shortfalls"].values():
            for config, reason in reasons.items():
                counts.setdefault(config, Counter())[reason] += 1
    return {config: dict(sorted(own.items())) for config, own in sorted(counts.items())}


def _rejected(sidecars: Mapping[int, dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Config -> check -> candidates that did not pass it."""
    counts: dict[str, Counter[str]] = {}
    for sidecar in sidecars.values():
        for config, checks in sidecar.get("rejected", {}).items():
            counts.setdefault(config, Counter()).update(checks)
    return {config: dict(sorted(own.items())) for config, own in sorted(counts.items())}


def _models(workspace: Workspace, recipe: Recipe, sidecars: Mapping[int, dict[str, Any]]) -> dict[str, Any]:
    """Which models made and checked questions; empty where none was asked."""
    if not recipe.uses_model():
        return {}
    from .qa.openai.tally import model_record

    return model_record(workspace.read_sidecar("ask", number) or {} for number in sorted(sidecars))


def _publish(root: Path, shards: list[FinalShard], fates: _Fates, common: Manifest, files: ShardFiles) -> Manifest:
    """Make the dataset of one container: shards, indexes, document table, card and, last, the manifest."""
    files.move([(shard.made, shard.target) for shard in shards])
    indexes = _write_indexes(root, shards, common.container)
    with atomic_stream(root / DOCUMENTS_FILE) as stream:
        fates.write(stream)
    indexes[DOCUMENTS_FILE] = file_sha256(root / DOCUMENTS_FILE)
    kept = ("sha256", "bytes", "samples", "tokens")
    manifest = replace(
        common,
        shards=[
            {"config": shard.config, "split": shard.split, "name": shard.name} | {key: shard.info[key] for key in kept}
            for shard in shards
        ],
        indexes=indexes,
        samples=_sums(shards, "samples"),
        tokens=_sums(shards, "tokens"),
    )
    manifest = _as_published(root, manifest)
    write_card(root, manifest, read=files.records)
    files.remove_others(root, {shard.name for shard in shards})  # left by a build that was begun and never finished
    write_manifest(root, manifest)
    return manifest


def _sums(shards: list[FinalShard], what: str) -> dict[str, dict[str, int]]:
    """Config -> split -> sum over its shards."""
    sums: dict[str, dict[str, int]] = {}
    for shard in shards:
        own = sums.setdefault(shard.config, {})
        own[shard.split] = own.get(shard.split, 0) + shard.info[what]
    return sums


def _write_indexes(root: Path, shards: list[FinalShard], container: str) -> dict[str, str]:
    """Write the index of every config and split. Returns name -> SHA-256."""
    groups: dict[tuple[str, str], list[FinalShard]] = {}
    for shard in shards:
        groups.setdefault((shard.config, shard.split), []).append(shard)
    hashes = {}
    for (config, split), own in groups.items():
        rows = [
            replace(row, shard=shard.name) for shard in own for row in slice_index(shard.made.parent, container, config)
        ]
        path = root / "index" / f"{config}-{split}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_index(path, rows)
        hashes[f"index/{path.name}"] = file_sha256(path)
    return hashes


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
