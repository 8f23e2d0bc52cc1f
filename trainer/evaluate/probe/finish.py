"""The end of a suite's build: shards into place; indexes, document table and card; and last of all the manifest."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mmprolong_data.card_yaml import card_metadata
from mmprolong_data.index import IndexRow, write_index
from mmprolong_data.manifest import Manifest, write_manifest
from mmprolong_data.schema import FORMAT_VERSION
from mmprolong_data.shards import ShardInfo

from ..items import length_name
from .codes import renderer
from .settings import ProbeSettings
from .source import Source

SPLIT = "validation"
"""Split of the suite: never anything to train on."""


@dataclass(slots=True)
class Made:
    """Shards of one task, and what went into them."""

    shards: list[ShardInfo]
    cells: dict[int, int]
    misfits: Counter[str]
    documents: Counter[str]


def finish(
    out: Path,
    work: Path,
    source: Source,
    settings: ProbeSettings,
    made: dict[str, Made],
    recipe: dict[str, Any],
    recipe_hash: str,
) -> Manifest:
    """Everything from shards in ``work`` to a finished dataset. Interrupted anywhere, the build begins anew."""
    for folder in ("data", "index"):
        shutil.rmtree(out / folder, ignore_errors=True)
    (out / "index").mkdir()
    entries: list[dict[str, Any]] = []
    indexes: dict[str, str] = {}
    samples: dict[str, dict[str, int]] = {}
    tokens: dict[str, dict[str, int]] = {}
    for task, result in made.items():
        rows: list[IndexRow] = []
        for number, info in enumerate(result.shards):
            name = f"data/{task}/{SPLIT}-{number:05d}-of-{len(result.shards):05d}.parquet"
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            (work / info.name).replace(out / name)
            rows += [replace(row, shard=name) for row in info.rows]
            entries.append(
                {"config": task, "split": SPLIT, "name": name, "sha256": info.sha256, "bytes": info.bytes}
                | {"samples": info.samples, "tokens": info.tokens}
            )
        if rows:
            path = out / "index" / f"{task}-{SPLIT}.parquet"
            write_index(path, rows)
            indexes[f"index/{path.name}"] = _sha256(path)
            samples[task] = {SPLIT: len(rows)}
            tokens[task] = {SPLIT: sum(row.tokens for row in rows)}
    used: dict[str, dict[str, int]] = {doc: {} for doc in source.documents}
    for task, result in made.items():
        for doc_id, count in result.documents.items():
            used[doc_id][task] = count
    table = out / "index" / "documents.parquet"
    pq.write_table(_documents(source, used), table, compression="zstd")
    indexes["index/documents.parquet"] = _sha256(table)
    unused = sum(not counts for counts in used.values())
    manifest = Manifest(
        format_version=FORMAT_VERSION,
        dataset_version=settings.version,
        container="parquet",
        recipe=recipe,
        recipe_hash=recipe_hash,
        tools={"mmprolong": metadata.version("mmprolong"), "pillow": renderer()},
        shards=entries,
        indexes=indexes,
        documents={
            "found": len(used),
            "used": len(used) - unused,
            "left_out": {"not_drawn": unused} if unused else {},
        },
        samples=samples,
        tokens=tokens,
        shortfalls={task: dict(sorted(result.misfits.items())) for task, result in made.items() if result.misfits},
    )
    (out / "README.md").write_text(_card(manifest, settings), encoding="utf-8")
    write_manifest(out, manifest)
    return manifest


def _documents(source: Source, used: dict[str, dict[str, int]]) -> pa.Table:
    """The source's document table, for the split's documents: used (in how many samples a task), or not drawn."""
    path = source.root / "index" / "documents.parquet"
    known: dict[str, dict[str, Any]] = {}
    if path.is_file():
        known = {row["doc_id"]: row for row in pq.read_table(path, partitioning=None).to_pylist()}
    rows = []
    for doc_id, counts in sorted(used.items()):
        row = {"doc_id": doc_id, "name": str(known.get(doc_id, {}).get("name", ""))}
        row |= {"reason": "" if counts else "not_drawn", "detail": "", "split": SPLIT}
        rows.append(row | {"samples": json.dumps(counts, sort_keys=True)})
    return pa.Table.from_pylist(rows, schema=pa.schema([(name, pa.string()) for name in rows[0]]))


def _card(manifest: Manifest, settings: ProbeSettings) -> str:
    lengths = ", ".join(length_name(length) for length in sorted(settings.lengths))
    tasks = "\n".join(f"| `{task}` | {counts[SPLIT]:,} |" for task, counts in manifest.samples.items())
    return f"""---
{card_metadata(manifest)}---

# mmprolong probe suite {manifest.dataset_version}

Questions with known answers about long documents, at lengths of {lengths} tokens and {settings.depths} depths. The
pages of the document that is asked about are cut around the evidence, or padded left and right with pages of other
documents; every page is labelled with its document and its number there. `meta.probe` holds length, depth, fill and
what was put together.

| config | samples |
|---|---|
{tasks}

Made from the split `{settings.split}` of the dataset `{manifest.recipe["dataset"][:16]}`. Not for training. The pages
keep the licences of their documents.

    mmprolong evaluate --suite probe --data DIR --model MODEL
"""


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
