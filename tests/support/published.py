"""Complete small datasets to publish, and ways to look at what a Hub holds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hub_server import HubServer
from mmprolong_builders.card import write_card
from mmprolong_builders.finish import DOCUMENTS_FILE, DOCUMENTS_SCHEMA
from mmprolong_builders.recipe import Recipe

from mmprolong_data.manifest import Manifest, write_manifest
from mmprolong_data.schema import Sample

from .samples import make_sample, write_dataset

CONFIGS = ("extract_single", "ocr_full")


def write_published(
    root: Path,
    documents: Iterable[int] = range(5),
    container: str = "parquet",
    *,
    per_shard: int = 2,
    version: str = "1.0.0",
    changed: dict[int, dict[str, Any]] | None = None,
    recipe: Recipe | None = None,
    configs: Iterable[str] = CONFIGS,
) -> Manifest:
    """A complete dataset of the documents with these numbers, in two configs.

    ``changed``: document -> fields of its ``extract_single`` sample. ``version``: of samples and dataset.
    """
    numbers = list(documents)
    recipe = recipe or Recipe()

    def sample(number: int, config: str) -> Sample:
        own = (changed or {}).get(number, {}) if config == "extract_single" else {}
        return make_sample(number, config, **({"version": version} | own))

    parts = [numbers[i : i + per_shard] for i in range(0, len(numbers), per_shard)]
    shards = {(config, "train"): [[sample(n, config) for n in part] for part in parts] for config in configs}
    made = write_dataset(root, container, shards)
    rows = []
    for number in numbers:
        counts = json.dumps(dict.fromkeys(sorted(configs), 1))
        row = {"doc_id": make_sample(number).doc_id, "name": f"report-{number}.pdf", "bytes": 1000 + number, "pages": 3}
        row |= {"language": "de" if number % 3 == 0 else "en", "producer": "test", "reason": "", "detail": ""}
        rows.append(row | {"split": "train", "samples": counts})
    rows.append(
        dict.fromkeys(("doc_id", "language", "producer", "detail", "split"), "")
        | {"name": "broken.pdf", "bytes": 3, "pages": 0, "reason": "not_pdf", "samples": "{}"}
    )
    table = pa.Table.from_pylist(rows, schema=DOCUMENTS_SCHEMA)
    pq.write_table(table, root / DOCUMENTS_FILE, compression="zstd")
    digest = hashlib.sha256((root / DOCUMENTS_FILE).read_bytes()).hexdigest()
    manifest = replace(
        made,
        dataset_version=version,
        recipe=recipe.content(),
        recipe_hash=recipe.hash(),
        tools={"mmprolong": "0.1.0"},
        indexes=made.indexes | {DOCUMENTS_FILE: digest},
        documents={"found": len(rows), "used": len(numbers), "left_out": {"not_pdf": 1}},
    )
    write_card(root, manifest)
    write_manifest(root, manifest)
    return manifest


def tree_at(hub: HubServer, repo: str, revision: str) -> dict[str, str]:
    """Path -> SHA-256 of all files of a revision, as the server holds them."""
    commit = hub.repos[repo].resolve(revision)
    assert commit is not None
    return {
        path: blob.sha256 or hashlib.sha256(blob.content).hexdigest()
        for path, blob in commit.files.items()
        if path != ".gitattributes"
    }


def folder_files(root: Path) -> dict[str, str]:
    """Path -> SHA-256 of all files of a folder but hidden ones and the report."""
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.relative_to(root).as_posix().startswith((".", "report/"))
    }


def doc_id(number: int) -> str:
    """The id of the document with this number."""
    return make_sample(number).doc_id
