"""Curation: a look at every candidate's text, and who is left out for it: filters, near-duplicates, contamination."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, BinaryIO

import msgpack
import pyarrow as pa

from mmprolong_data.settings import to_plain

from .candidates import Candidates
from .decontaminate import build_index
from .dedup import Entry, count_repeated, find_clusters, report_json
from .recipe import Filters, Recipe
from .sandbox import SandboxPool
from .signatures import signature
from .workspace import Workspace, write_atomically

SURVEY_VERSION = 1
"""Raised when rows mean something else: an older survey is then made anew."""
REPORT = "near-duplicates.json"

Verdicts = dict[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Curation:
    """What curation found.

    Attributes:
        verdicts: doc_id -> (reason, detail) of candidates that are left out.
        benchmarks: What they were compared with: ``{"name", "pdfs", "images", "questions", "unreadable"}`` each.
        index: Name of the file in the work folder that holds what they were compared with; empty if nothing.
        notes: Lines for the user.
    """

    verdicts: Verdicts
    benchmarks: list[dict[str, Any]]
    index: str
    notes: list[str]


def needs_survey(recipe: Recipe) -> bool:
    """True if the recipe asks for anything that only a look at the text can tell."""
    filters = recipe.filters
    shares = (filters.max_blank, filters.max_repeated, filters.max_spam, filters.max_forms)
    wanted = filters.min_words > 0 or any(share < 1 for share in shares)
    return wanted or recipe.dedup.near or bool(recipe.decontaminate.against)


def curate(
    inventory: pa.Table,
    candidates: Candidates,
    recipe: Recipe,
    workspace: Workspace,
    pool: SandboxPool,
    on_progress: Callable[[int, int], None],
) -> Curation:
    """Decide about every candidate. The order: language, what cannot be read, filters, contamination, near-duplicates.

    Near-duplicates come last, so that a document that is left out anyway never stands for others.

    Args:
        inventory: Of the corpus.
        candidates: Of that inventory.
        recipe: ``filters``, ``dedup`` and ``decontaminate`` matter here.
        workspace: Where what was looked at is kept, so that no document is looked at twice.
        pool: Children that do it.
        on_progress: Called with (documents done, documents in all).
    """
    rows = inventory.select(["path", "name", "language"]).take(pa.array(candidates.rows, pa.int64()))
    verdicts = _other_languages(candidates.doc_ids, rows["language"].to_pylist(), recipe.filters)
    if not needs_survey(recipe):
        return Curation(verdicts, [], "", [])
    index = ""
    benchmarks: list[dict[str, Any]] = []
    notes: list[str] = []
    if recipe.decontaminate.against:
        made, notes = build_index(recipe.decontaminate.against, recipe.decontaminate, pool)
        benchmarks = [asdict(benchmark) for benchmark in made.content.benchmarks]
        index = str(made.write(workspace.root))
    every = zip(candidates.doc_ids, rows["path"].to_pylist(), rows["name"].to_pylist(), strict=True)
    wanted = [entry for entry in every if entry[0] not in verdicts]
    entries = []
    surveyed = _survey(wanted, _payload(recipe, index), recipe, workspace, pool, on_progress)
    for (doc_id, _, name), found in zip(wanted, surveyed, strict=True):
        verdict = _judge(found, recipe.filters)
        if verdict is not None:
            verdicts[doc_id] = verdict
        else:
            own = signature(found["signature"]) if found["signature"] else None
            entries.append(Entry(doc_id, name, own, found["shingles"], found["pages"]))
    repeated = count_repeated(entries)
    for doc_id, share in repeated.shares.items():
        if share > recipe.filters.max_repeated:
            verdicts[doc_id] = "repeated_pages", f"{share:.0%} of its pages"
    if recipe.dedup.near:
        left = [entry for entry in entries if entry.doc_id not in verdicts]
        clusters = find_clusters(left, recipe.dedup.threshold)
        for cluster in clusters:
            for doc_id, _, score in cluster.others:
                verdicts[doc_id] = "near_duplicate", f"similarity {score:.2f} to {cluster.name} ({cluster.kept[:12]})"
        report = workspace.cells / REPORT
        write_atomically(report, report_json(clusters, repeated))
        notes.append(
            f"{sum(len(c.others) for c in clusters)} near-duplicates of {len(clusters)} documents;"
            f" {repeated.pages} pages stand in more than one document ({repeated.texts} texts): {report}"
        )
    return Curation(verdicts, benchmarks, Path(index).name if index else "", notes)


def _other_languages(doc_ids: Sequence[str], languages: Sequence[str | None], filters: Filters) -> Verdicts:
    wanted = set(filters.languages)
    pairs = zip(doc_ids, (language or "und" for language in languages), strict=True)
    return {doc_id: ("language", language) for doc_id, language in pairs if wanted and language not in wanted}


def _payload(recipe: Recipe, index: str) -> dict[str, Any]:
    """What the children that look at a document are told. ``index``: path of what to compare it with, or ""."""
    return {
        "near": recipe.dedup.near,
        "forms": recipe.filters.max_forms < 1,
        "spam": sorted(recipe.filters.spam_words) if recipe.filters.max_spam < 1 else [],
        "benchmarks": index,
    }


def _judge(found: dict[str, Any], filters: Filters) -> tuple[str, str] | None:
    """Why a document is left out by what was found in it alone; None if it is not."""
    if found.get("reason"):
        return found["reason"], found["detail"]
    pages = max(1, len(found["pages"]) // 8)
    words, blank, forms = found["words"], found["blank"], found["form_pages"]
    if words < filters.min_words * pages:
        return "thin_text", f"{words / pages:.1f} words a page"
    if blank > filters.max_blank * pages:
        return "blank_pages", f"{blank} of {pages} pages"
    if words and found["spam"] > filters.max_spam * words:
        return "spam", f"{found['spam']} of {words} words"
    if forms > filters.max_forms * pages:
        return "form", f"{forms} of {pages} pages"
    if found["contamination"]:
        return "contaminated", found["contamination"]
    return None


def _survey(
    wanted: Sequence[tuple[str, str, str]],
    payload: dict[str, Any],
    recipe: Recipe,
    workspace: Workspace,
    pool: SandboxPool,
    on_progress: Callable[[int, int], None],
) -> Iterator[dict[str, Any]]:
    """What was found in every document, in order; kept in a file, which an interruption only makes shorter."""
    depends = {
        "version": SURVEY_VERSION, "pymupdf": metadata.version("pymupdf"), "index": Path(payload["benchmarks"]).name,
        "near": payload["near"], "forms": payload["forms"], "spam": payload["spam"],
        "sandbox": to_plain(recipe.sandbox),
    }  # fmt: skip
    key = hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()[:16]
    path = workspace.root / f"survey-{key}.msgpack"
    for old in workspace.root.glob("survey-*.msgpack"):
        if old != path:
            old.unlink()
    known, valid = _read(path)
    missing = [entry for entry in wanted if entry[0] not in known]
    outcomes = pool.map("survey", ({"path": p, "doc_id": d, **payload} for d, p, _ in missing))
    done = len(wanted) - len(missing)
    on_progress(done, len(wanted))
    with path.open("ab") as stream:
        stream.truncate(valid)
        for doc_id, _, _ in wanted:
            if doc_id in known:
                yield msgpack.unpackb(known.pop(doc_id))
                continue
            outcome = next(outcomes)
            value = outcome.value or {"reason": outcome.reason, "detail": outcome.detail}
            _append(stream, doc_id, value)
            done += 1
            on_progress(done, len(wanted))
            yield value


def _append(stream: BinaryIO, doc_id: str, value: dict[str, Any]) -> None:
    stream.write(msgpack.packb([doc_id, msgpack.packb(value)]))
    stream.flush()


def _read(path: Path) -> tuple[dict[str, bytes], int]:
    """The rows of a survey, packed, and how many of the file's bytes are whole."""
    rows: dict[str, bytes] = {}
    valid = 0
    try:
        with path.open("rb") as stream:
            unpacker = msgpack.Unpacker(stream, max_buffer_size=0)
            for doc_id, value in unpacker:
                rows[doc_id] = value
                valid = unpacker.tell()
    except FileNotFoundError:
        return {}, 0
    except (ValueError, TypeError, msgpack.UnpackException):
        pass  # cut off in the middle of a row
    return rows, valid
