"""Benchmarks in what exists already: the PDFs of a corpus, or the samples of a dataset."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmprolong_data.manifest import MANIFEST_NAME, read_manifest
from mmprolong_data.schema import Sample
from mmprolong_data.shards import read_shard

from .benchmarks import BenchmarkIndex
from .corpus import find_files
from .decontaminate import build_index
from .recipe import Recipe
from .sandbox import SandboxPool
from .signatures import picture_hash, thumbnail_size, words_of


@dataclass(frozen=True, slots=True)
class Finding:
    """One file or sample: ``detail`` says what it contains ("" nothing), ``reason`` why it could not be read."""

    name: str
    detail: str
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def find_contaminated(
    targets: Sequence[str | Path],
    against: Sequence[str | Path],
    recipe: Recipe,
    workers: int,
    on_progress: Callable[[int, int], None],
    note: Callable[[str], None],
) -> Iterator[Finding]:
    """Compare datasets and corpora with benchmarks. Gives one finding a file or sample, clean ones included.

    Raises:
        SettingsError: a target or a benchmark does not exist or holds nothing.
        FormatError: a dataset is damaged.
    """
    with SandboxPool(workers, recipe.sandbox) as pool, tempfile.TemporaryDirectory() as folder:
        index, notes = build_index(against, recipe.decontaminate, pool)
        for line in notes:
            note(line)
        datasets = [Path(target) for target in targets if (Path(target) / MANIFEST_NAME).is_file()]
        corpus = [target for target in targets if Path(target) not in datasets]
        for dataset in datasets:
            yield from _in_dataset(dataset, index, on_progress)
        if corpus:
            files = find_files(corpus, pool.files)
            payload = {"doc_id": "", "near": False, "forms": False, "spam": []}
            payload["benchmarks"] = str(index.write(Path(folder)))
            outcomes = pool.map("survey", ({"path": path, **payload} for path in files))
            for done, (path, outcome) in enumerate(zip(files, outcomes, strict=True), 1):
                on_progress(done, len(files))
                detail = outcome.value["contamination"] if outcome.value is not None else ""
                yield Finding(path, detail, outcome.reason)


def _in_dataset(root: Path, index: BenchmarkIndex, on_progress: Callable[[int, int], None]) -> Iterator[Finding]:
    shards = read_manifest(root).shards
    documents: dict[str, str] = {}
    for done, shard in enumerate(shards, 1):
        for sample in read_shard(root / shard["name"]):
            if sample.doc_id not in documents:  # all configs show the same pages
                documents[sample.doc_id] = index.find(sample.doc_id, [()] * sample.num_pages, _pictures(sample, index))
            asked = index.find_questions(words_of(f"{sample.question} {sample.answer}"))
            detail = documents[sample.doc_id] or (f"the text of a question of {asked}" if asked else "")
            yield Finding(sample.id, detail)
        on_progress(done, len(shards))


def _pictures(sample: Sample, index: BenchmarkIndex) -> list[bytes]:
    if not index.wants_pictures:
        return []
    from PIL import Image

    hashes = []
    for data in sample.images:
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
            size = thumbnail_size(*image.size)
            image.draft("RGB", (2 * size[0], 2 * size[1]))
            hashes.append(picture_hash(np.asarray(image.convert("RGB").resize(size, Image.Resampling.BOX))))
    return hashes
