"""``mmprolong build-probe``: a probe suite as a dataset of the ordinary format, deterministic to the byte."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mmprolong_data.card_yaml import card_metadata
from mmprolong_data.chat import open_counter
from mmprolong_data.errors import FormatError, MMProLongError
from mmprolong_data.index import IndexRow, write_index
from mmprolong_data.manifest import MANIFEST_NAME, Manifest, read_manifest, write_manifest
from mmprolong_data.schema import FORMAT_VERSION
from mmprolong_data.settings import fingerprint, to_plain
from mmprolong_data.shards import ShardInfo, ShardWriter, open_writer

from ..items import length_name
from .codes import can_carry, renderer
from .compose import Composer, Misfit, Question, planted_question, source_question, stable_int
from .settings import ProbeSettings
from .source import Source

TRIES = 40
"""Candidates looked at for each sample of a cell before the cell counts as unfillable."""
WORK = ".probe"
SPLIT = "validation"
"""Split of the suite: never anything to train on."""

Progress = Callable[[int, int], None]
"""Called with (samples made, samples planned at most)."""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What a build made: the manifest, samples of each task and length, and whether all was there already."""

    manifest: Manifest
    cells: dict[str, dict[int, int]]
    already_complete: bool = False


@dataclass(slots=True)
class _Made:
    """Shards of one task, and what went into them."""

    shards: list[ShardInfo]
    cells: dict[int, int]
    misfits: Counter[str]
    documents: Counter[str]


def build_probe(
    root: Path, out: Path, settings: ProbeSettings, progress: Progress = lambda done, total: None
) -> ProbeResult:
    """Make the suite of a dataset.

    Args:
        root: The dataset; its pages and samples of ``settings.split`` are used.
        out: New or empty folder, or one that this command has written with the same settings.
        settings: What decides the bytes.
        progress: See ``Progress``.

    Raises:
        SettingsError: a setting is out of range.
        FormatError: the dataset is damaged.
        MMProLongError: the split is empty, ``out`` holds something else, or nothing fits.
    """
    settings.check()
    source = Source(root, settings.split)
    recipe = {"probe": to_plain(settings), "dataset": dataset_identity(source.manifest)}
    recipe_hash = fingerprint(recipe)
    known = _existing(out, recipe_hash)
    if known is not None:
        return ProbeResult(known, _cells_of(known), True)
    composer = Composer(source, settings, open_counter(settings.tokenizer))
    work = out / WORK
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    total = len(settings.tasks) * len(settings.lengths) * settings.depths * settings.per_cell
    done = 0

    def advance(samples: int) -> None:
        nonlocal done
        done += samples
        progress(done, total)

    made = {task: _build_task(task, source, composer, settings, work, advance) for task in settings.tasks}
    if not any(task.shards for task in made.values()):
        reasons = Counter[str]()
        for task in made.values():
            reasons.update(task.misfits)
        raise MMProLongError(
            f"{root}: no probe sample fits: {dict(reasons)}. core_too_long: the evidence is longer than the length;"
            " too_few_pages: the split's other documents have too few pages to fill it. Remedy: other --lengths, or a"
            " dataset with a larger validation split (select.validation)"
        )
    manifest = _finish(out, work, source, settings, made, recipe, recipe_hash)
    return ProbeResult(manifest, {task: result.cells for task, result in made.items()})


def dataset_identity(manifest: Manifest) -> str:
    """SHA-256 of what a dataset consists of."""
    return fingerprint([manifest.dataset_version, sorted((s["name"], s["sha256"]) for s in manifest.shards)])


def _build_task(
    task: str,
    source: Source,
    composer: Composer,
    settings: ProbeSettings,
    work: Path,
    advance: Callable[[int], None],
) -> _Made:
    made = _Made([], {}, Counter(), Counter())
    questions = list(_questions(task, source, settings))
    for length in sorted(settings.lengths):
        writer: ShardWriter | None = None
        size = 0
        found = 0
        for question in questions[: TRIES * settings.per_cell]:
            if found == settings.per_cell:
                break
            try:
                for number in range(settings.depths):  # a question is asked at all depths or at none
                    composer.plan(question, length, number)
            except Misfit as misfit:
                made.misfits[f"{misfit} at {length_name(length)}"] += 1
                continue
            for number in range(settings.depths):
                sample = composer.compose(question, length, number, found)
                if writer is None:
                    writer = open_writer("parquet", work / f"{task}-{len(made.shards):05d}.parquet")
                writer.add(sample)
                size += sum(map(len, sample.images))
                used = {run["doc_id"] for run in json.loads(sample.meta)["probe"]["documents"]}
                made.documents.update(dict.fromkeys(used, 1))
                if size >= settings.shard_bytes:
                    made.shards.append(writer.close())
                    writer, size = None, 0
                advance(1)
            found += 1
        advance((settings.per_cell - found) * settings.depths)
        if writer is not None:
            made.shards.append(writer.close())
        made.cells[length] = found * settings.depths
    return made


def _questions(task: str, source: Source, settings: ProbeSettings) -> Iterator[Question]:
    """Candidates in their order: the same for all lengths, so that lengths are compared on the same questions."""
    if task != "planted_code":
        found = [source_question(record.values) for record in source.records(task)]
        yield from sorted(found, key=lambda question: stable_int(settings.seed, "question", question.key))
        return
    documents = sorted(source.documents, key=lambda doc: stable_int(settings.seed, "planted", doc))
    rounds = -(-settings.per_cell * TRIES // len(documents))
    for turn in range(rounds):
        for doc_id in documents:
            pages = [page for page, size in enumerate(source.sizes(doc_id)) if can_carry(size)]
            pages.sort(key=lambda page: stable_int(settings.seed, "planted page", doc_id, page))
            if turn < len(pages):
                yield planted_question(doc_id, pages[turn], settings)


def _finish(
    out: Path,
    work: Path,
    source: Source,
    settings: ProbeSettings,
    made: dict[str, _Made],
    recipe: dict[str, Any],
    recipe_hash: str,
) -> Manifest:
    """Move the shards into place; write indexes, document table, card and, last, the manifest."""
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
    shutil.rmtree(work)
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


def _existing(out: Path, recipe_hash: str) -> Manifest | None:
    """The manifest of an earlier, equal build; None where the folder is new, or a build of ours was interrupted.

    Raises:
        MMProLongError: it holds something else.
    """
    if not out.exists() or not any(out.iterdir()) or (out / WORK).is_dir():
        return None
    if not (out / MANIFEST_NAME).is_file():
        raise MMProLongError(f"{out}: exists and is no probe suite. Remedy: another --out, or remove it")
    try:
        manifest = read_manifest(out)
    except FormatError as error:
        raise MMProLongError(f"{error}. Remedy: another --out, or remove {out}") from None
    if manifest.recipe_hash != recipe_hash:
        raise MMProLongError(
            f"{out}: holds a suite of other settings or of another dataset. Remedy: another --out, or remove it"
        )
    return manifest


def _cells_of(manifest: Manifest) -> dict[str, dict[int, int]]:
    settings = manifest.recipe["probe"]
    return {task: {0: sum(manifest.samples.get(task, {}).values())} for task in settings["tasks"]}


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
