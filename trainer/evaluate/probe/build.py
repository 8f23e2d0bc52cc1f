"""``mmprolong build-probe``: a probe suite as a dataset of the ordinary format, deterministic to the byte."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmprolong_data.chat import open_counter
from mmprolong_data.errors import FormatError, MMProLongError
from mmprolong_data.manifest import MANIFEST_NAME, Manifest, read_manifest
from mmprolong_data.settings import fingerprint, to_plain
from mmprolong_data.shards import ShardWriter, open_writer

from ..items import length_name
from .codes import can_carry
from .compose import Composer, Misfit, Question, planted_question, source_question, stable_int
from .finish import Made, finish
from .settings import ProbeSettings
from .source import Source

TRIES = 40
"""Candidates looked at for each sample of a cell before the cell counts as unfillable."""
WORK = ".probe"

Progress = Callable[[int, int], None]
"""Called with (samples made, samples planned at most)."""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What a build made: the manifest, samples of each task and length, and whether all was there already."""

    manifest: Manifest
    cells: dict[str, dict[int, int]]
    already_complete: bool = False


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
    with _held(out):
        known = _existing(out, recipe_hash)
        if known is not None:
            _clear(out)  # left by a process that ended right after its manifest
            return ProbeResult(known, _cells_of(known), True)
        return _build(source, out, settings, recipe, recipe_hash, progress)


def _build(
    source: Source, out: Path, settings: ProbeSettings, recipe: dict[str, Any], recipe_hash: str, progress: Progress
) -> ProbeResult:
    composer = Composer(source, settings, open_counter(settings.tokenizer))
    _clear(out)
    work = out / WORK
    work.mkdir()
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
            f"{source.root}: no probe sample fits: {dict(reasons)}. core_too_long: the evidence is longer than the"
            " length; too_few_pages: the split's other documents have too few pages to fill it. Remedy: other"
            " --lengths, or a dataset with a larger validation split (select.validation)"
        )
    manifest = finish(out, work, source, settings, made, recipe, recipe_hash)
    _clear(out)
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
) -> Made:
    made = Made([], {}, Counter(), Counter())
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


def _clear(out: Path) -> None:
    """Remove what an unfinished build has made."""
    shutil.rmtree(out / WORK, ignore_errors=True)


@contextlib.contextmanager
def _held(out: Path) -> Iterator[None]:
    """Make the folder, and keep other builds out of it until this one ends.

    Raises:
        MMProLongError: one is there, or the folder cannot be made.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        folder = os.open(out, os.O_RDONLY)
    except OSError as error:
        raise MMProLongError(f"{out}: cannot be written: {error.strerror}") from None
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise MMProLongError(
                f"{out}: another build-probe is writing here. Remedy: wait, or another --out"
            ) from None
        except OSError:
            pass  # a file system without locks on folders
        yield
    finally:
        os.close(folder)


def _existing(out: Path, recipe_hash: str) -> Manifest | None:
    """The manifest of an earlier, equal build; None where the folder is new, or a build of ours was interrupted.

    Raises:
        MMProLongError: it holds something else.
    """
    if not any(out.iterdir()):
        return None
    if not (out / MANIFEST_NAME).is_file():
        if (out / WORK).is_dir():
            return None
        raise MMProLongError(f"{out}: is not empty, and is no probe suite. Remedy: another --out")
    try:
        manifest = read_manifest(out)
    except FormatError as error:
        raise MMProLongError(f"{error}. Remedy: another --out") from None
    if "probe" not in manifest.recipe:
        raise MMProLongError(f"{out}: is a dataset, and no probe suite. Remedy: another --out")
    if manifest.recipe_hash != recipe_hash:
        raise MMProLongError(
            f"{out}: holds a suite of other settings or of another dataset. Remedy: another --out, or remove it"
        )
    return manifest


def _cells_of(manifest: Manifest) -> dict[str, dict[int, int]]:
    settings = manifest.recipe["probe"]
    return {task: {0: sum(manifest.samples.get(task, {}).values())} for task in settings["tasks"]}
