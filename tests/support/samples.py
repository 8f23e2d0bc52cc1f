"""Small but complete samples with real JPEG pages."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg

from mmprolong_data import chat
from mmprolong_data.index import IndexRow, write_index
from mmprolong_data.manifest import Manifest, write_manifest
from mmprolong_data.records import PageImages
from mmprolong_data.schema import FORMAT_VERSION, Sample
from mmprolong_data.shards import EXTENSION, open_writer


@lru_cache(maxsize=64)
def document_pages(seed: int = 0, pages: int = 3, width: int = 84, height: int = 112) -> PageImages:
    """JPEG pages with noise of their own, so that no two are alike."""
    generator = np.random.default_rng(seed)
    images = []
    for _ in range(pages):
        coarse = generator.integers(0, 256, (height // 7, width // 7, 3), dtype=np.uint8)
        images.append(simplejpeg.encode_jpeg(np.ascontiguousarray(coarse.repeat(7, 0).repeat(7, 1)), quality=85))
    return PageImages(images)


def make_sample(seed: int = 0, config: str = "extract_single", pages: int = 3, **changed: Any) -> Sample:
    """A valid sample of document ``seed``."""
    doc_id = hashlib.sha256(f"document {seed}".encode()).hexdigest()
    question, answer = f"Which code stands on page {1 + seed % pages}? \u00dcber \u65e5\u672c", f"code {seed}"
    values: dict[str, Any] = {
        "id": f"{doc_id[:20]}-{config}-00",
        "doc_id": doc_id,
        "config": config,
        "version": "1.0.0",
        "num_pages": pages,
        "num_tokens": 12 * pages + 60 + seed,
        "images": document_pages(seed, pages),
        "messages": chat.build_messages(question, answer, pages),
        "question": question,
        "answer": answer,
        "answer_format": "String",
        "evidence_pages": [seed % pages],
        "evidence_sources": ["Text"],
        "segment": (0, pages),
        "generator": "test/1",
        "verification": json.dumps({"answer_on_page": "ok"}),
        "meta": json.dumps({"family": "test"}),
    }
    return Sample(**(values | changed))


def write_dataset(
    root: Path, container: str = "parquet", shards: dict[tuple[str, str], list[list[Sample]]] | None = None
) -> Manifest:
    """A complete dataset (without a card). Default: two configs, train in two shards, validation in one."""
    if shards is None:
        shards = {}
        for config in ("extract_single", "extract_multi"):
            shards[config, "train"] = [[make_sample(n, config) for n in part] for part in ((0, 1, 2), (3, 4))]
            shards[config, "validation"] = [[make_sample(9, config, pages=2)]]
    entries: list[dict[str, Any]] = []
    indexes: dict[str, str] = {}
    counts: dict[str, dict[str, dict[str, int]]] = {"samples": {}, "tokens": {}}
    documents = set()
    (root / "index").mkdir(parents=True)
    for (config, split), parts in shards.items():
        rows: list[IndexRow] = []
        (root / "data" / config).mkdir(parents=True, exist_ok=True)
        for number, samples in enumerate(parts):
            name = f"data/{config}/{split}-{number:05d}-of-{len(parts):05d}{EXTENSION[container]}"
            writer = open_writer(container, root / name)
            for sample in samples:
                sample.validate()
                writer.add(sample)
                documents.add(sample.doc_id)
            info = writer.close()
            rows += [
                IndexRow(r.key, name, r.row, r.offset, r.size, r.pages, r.tokens, r.doc_id, r.crc32) for r in info.rows
            ]
            entries.append(
                {"config": config, "split": split, "name": name, "sha256": info.sha256, "bytes": info.bytes}
                | {"samples": info.samples, "tokens": info.tokens}
            )
            for field in counts:
                table = counts[field].setdefault(config, {})
                table[split] = table.get(split, 0) + getattr(info, field)
        path = root / "index" / f"{config}-{split}.parquet"
        write_index(path, rows)
        indexes[f"index/{path.name}"] = hashlib.sha256(path.read_bytes()).hexdigest()
    manifest = Manifest(
        format_version=FORMAT_VERSION,
        dataset_version="1.0.0",
        container=container,
        recipe={"seed": 0},
        recipe_hash="0" * 64,
        tools={},
        shards=entries,
        indexes=indexes,
        documents={"found": len(documents) + 1, "used": len(documents), "left_out": {"not_pdf": 1}},
        samples=counts["samples"],
        tokens=counts["tokens"],
    )
    write_manifest(root, manifest)
    return manifest
