"""From packed slices to the dataset: final shard names, indexes, the document table, manifest, card and report."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mmprolong_data.errors import MMProLongError
from mmprolong_data.index import write_index
from mmprolong_data.manifest import Manifest, write_manifest
from mmprolong_data.schema import CONFIG_NAMES, FORMAT_VERSION, SPLITS
from mmprolong_data.shards import EXTENSION

from .card import render_card
from .pack import slice_index
from .recipe import Recipe
from .select import Plan
from .workspace import Workspace, atomic_stream, file_sha256, tool_versions, write_atomically

DOCUMENTS_FILE = "index/documents.parquet"


def dataset_root(out: Path, container: str, containers: list[str]) -> Path:
    """Where a container's dataset lies: ``OUT``, and ``OUT-wds`` for the second one of ``--format both``."""
    return out if container == containers[0] else out.with_name(out.name + "-wds")


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

    def present(self) -> bool:
        """True if its bytes are there, made or already moved; looks at sizes only."""
        return any(path.is_file() and path.stat().st_size == self.info["bytes"] for path in (self.made, self.target))


def final_shards(workspace: Workspace, sidecars: list[dict[str, Any]], containers: list[str]) -> list[FinalShard]:
    """Names of all non-empty shards, numbered by slice inside each config and split."""
    shards = []
    for container in containers:
        root = dataset_root(workspace.out, container, containers)
        for config in CONFIG_NAMES:
            key = f"{container}/{config}"
            for split in SPLITS:
                numbers = [
                    number
                    for number, sidecar in enumerate(sidecars)
                    if sidecar["split"] == split and sidecar["shards"].get(key, {"samples": 0})["samples"]
                ]
                for i, number in enumerate(numbers):
                    extension = EXTENSION[container]
                    name = f"data/{config}/{split}-{i:05d}-of-{len(numbers):05d}{extension}"
                    made = workspace.cell("pack", number) / f"{config}{extension}"
                    info = sidecars[number]["shards"][key]
                    shards.append(FinalShard(container, config, split, number, name, made, root / name, info))
    return shards


def finish(
    workspace: Workspace, plan: Plan, recipe: Recipe, inventory: pa.Table, containers: list[str]
) -> list[Manifest]:
    """Publish all packed slices. Can be interrupted anywhere and called again.

    Returns:
        One manifest a container.

    Raises:
        MMProLongError: no document gave a sample.
    """
    sidecars = []
    for number in range(plan.num_slices):
        sidecar = workspace.read_sidecar("pack", number)
        if sidecar is None:
            raise MMProLongError(f"slice {number} is not packed yet. Remedy: run the same build command again")
        sidecars.append(sidecar)
    documents = _documents(plan, inventory, sidecars)
    shards = final_shards(workspace, sidecars, containers)
    if not shards:
        reasons = Counter(row["reason"] for row in documents if row["reason"])
        listing = ", ".join(f"{reason} {count}" for reason, count in sorted(reasons.items()))
        raise MMProLongError(f"No document gave a sample ({listing}). See {workspace.root} for the details")
    manifests = []
    for container in containers:
        root = dataset_root(workspace.out, container, containers)
        own = [shard for shard in shards if shard.container == container]
        manifests.append(_publish(root, container, own, documents, sidecars, recipe, plan))
    return manifests


def _publish(
    root: Path,
    container: str,
    shards: list[FinalShard],
    documents: list[dict[str, Any]],
    sidecars: list[dict[str, Any]],
    recipe: Recipe,
    plan: Plan,
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
        pq.write_table(pa.Table.from_pylist(documents, schema=DOCUMENTS_SCHEMA), stream, compression="zstd")
    indexes[DOCUMENTS_FILE] = file_sha256(root / DOCUMENTS_FILE)

    left_out = Counter(row["reason"] for row in documents if row["reason"])
    shortfalls: dict[str, Counter[str]] = {}
    for sidecar in sidecars:
        for reasons in sidecar["shortfalls"].values():
            for config, reason in reasons.items():
                shortfalls.setdefault(config, Counter())[reason] += 1
    rejected: dict[str, Counter[str]] = {}
    for sidecar in sidecars:
        for config, checks in sidecar.get("rejected", {}).items():
            rejected.setdefault(config, Counter()).update(checks)
    manifest = Manifest(
        format_version=FORMAT_VERSION,
        dataset_version=recipe.version,
        container=container,
        recipe=recipe.content(),
        recipe_hash=recipe.hash(),
        tools=tool_versions(),
        shards=entries,
        indexes=indexes,
        documents={
            "found": len(documents),
            "used": sum(not row["reason"] for row in documents),
            "left_out": dict(sorted(left_out.items())),
        },
        samples=samples,
        tokens=tokens,
        shortfalls={config: dict(sorted(counts.items())) for config, counts in sorted(shortfalls.items())},
        rejected={config: dict(sorted(counts.items())) for config, counts in sorted(rejected.items())},
    )
    write_atomically(root / "README.md", render_card(manifest, recipe, "mmprolong").encode())
    for path in sorted(root.glob("data/*/*")):  # left by a build that was begun and never finished
        if path.relative_to(root).as_posix() not in names:
            path.unlink()
    write_manifest(root, manifest)
    return manifest


DOCUMENTS_SCHEMA = pa.schema(
    [
        ("doc_id", pa.string()),
        ("name", pa.string()),
        ("bytes", pa.int64()),
        ("pages", pa.int32()),
        ("language", pa.string()),
        ("producer", pa.string()),
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("split", pa.string()),
        ("samples", pa.string()),
    ]
)
"""``index/documents.parquet``: one row a file found. ``reason`` is "" if used; ``samples`` is JSON, config: number."""


def _documents(plan: Plan, inventory: pa.Table, sidecars: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The fate of every file of the inventory."""
    import json

    splits = dict(zip(plan.documents["doc_id"].to_pylist(), plan.documents["split"].to_pylist(), strict=True))
    used = {doc_id: counts for sidecar in sidecars for doc_id, counts in sidecar["used"].items()}
    late = {doc_id: fate for sidecar in sidecars for doc_id, fate in sidecar["left_out"].items()}
    columns = [inventory[name].to_pylist() for name in ("sha256", "name", "bytes", "pages", "language", "producer")]
    details = inventory["detail"].to_pylist()
    rows = []
    for *values, reason, detail in zip(*columns, plan.reasons, details, strict=True):
        row = dict(zip(DOCUMENTS_SCHEMA.names, values, strict=False))
        row |= {"reason": reason, "detail": detail if reason else "", "split": "", "samples": "{}"}
        if not reason:
            doc_id = row["doc_id"]
            row["split"] = splits[doc_id]
            if doc_id in used:
                row["samples"] = json.dumps(used[doc_id], sort_keys=True)
            else:
                row["reason"], row["detail"] = late[doc_id]
        rows.append(row)
    return rows
