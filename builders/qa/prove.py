"""``mmprolong verify --qa``: recomputes every proof of a dataset from its PDFs, in sandboxed children."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from mmprolong_data.errors import FormatError, MMProLongError, SettingsError
from mmprolong_data.index import read_index
from mmprolong_data.manifest import Manifest, read_manifest
from mmprolong_data.remote import is_url
from mmprolong_data.schema import VQA_CONFIGS

from ..corpus import find_files
from ..fetch import FileStore, UnfetchedError
from ..recipe import Recipe
from ..report.statistics import COLUMNS, read_record
from ..sandbox import SandboxPool
from ..untrusted import real_path

Progress = Callable[[int, int], None]


@dataclass(slots=True)
class Proven:
    """What came of all questions.

    Attributes:
        states: Config -> state -> number; see ``recheck.recheck_task``, and ``no_pdf`` where the file was not found and
            ``unreadable`` where it could not be parsed again.
        failed: Check -> number, of the first check that failed.
        problems: One line a question that is not ``ok`` or ``scanned``.
    """

    states: dict[str, Counter[str]] = field(default_factory=dict)
    failed: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def count(self, state: str) -> int:
        """Questions of all configs in a state."""
        return sum(counts[state] for counts in self.states.values())


def prove_dataset(root: Path, pdfs: Sequence[str | Path], workers: int, progress: Progress | None = None) -> Proven:
    """Check all questions of a dataset again.

    Args:
        root: The dataset.
        pdfs: Where the PDFs lie (see ``corpus.find_files``); found by their content, whatever their names. Empty: where
            the build found them, as its work folder says.
        workers: Sandboxed children.
        progress: Called with (documents done, documents).

    Raises:
        FormatError: there is no dataset, or it is damaged.
        SettingsError: no PDF can be found.
    """
    manifest = read_manifest(root)
    documents: dict[str, list[dict[str, Any]]] = {}
    for record in _records(root, manifest):
        documents.setdefault(record["doc_id"], []).append(record)
    paths = _by_content(pdfs, set(documents)) if pdfs else _known_paths(root)
    proven = Proven()
    order = sorted(documents)
    found = [doc_id for doc_id in order if doc_id in paths]
    if order and not found:
        raise SettingsError(
            f"{root}: none of its {len(order)} PDFs was found. Remedy: --pdfs FOLDER, the folder that holds them"
        )
    for doc_id in order:
        if doc_id not in paths:
            _note(proven, documents[doc_id], "no_pdf", "its PDF was not found")
    settings = manifest.recipe["parse"]
    payloads = (
        {"path": paths[doc_id], "doc_id": doc_id, "settings": settings, "records": documents[doc_id]}
        for doc_id in found
    )
    done = len(order) - len(found)
    with SandboxPool(workers, Recipe().sandbox) as pool:
        for doc_id, outcome in zip(found, pool.map("qa_recheck", payloads), strict=True):
            if outcome.value is None:
                _note(proven, documents[doc_id], "unreadable", f"{outcome.reason} {outcome.detail}".strip())
            else:
                by_id = {record["id"]: record for record in documents[doc_id]}
                for result in outcome.value["results"]:
                    _count(proven, by_id[result["id"]], result)
            done += 1
            if progress is not None:
                progress(done, len(order))
    return proven


def _note(proven: Proven, records: list[dict[str, Any]], state: str, reason: str) -> None:
    for record in records:
        _count(proven, record, {"state": state, "check": state, "reason": reason})


def _count(proven: Proven, record: dict[str, Any], result: dict[str, Any]) -> None:
    state = result["state"]
    proven.states.setdefault(record["config"], Counter())[state] += 1
    if state in ("ok", "scanned"):
        return
    if state == "failed":
        proven.failed[result["check"]] += 1
    reason = result["reason"] or "the PDF is not the one that it was made from"
    proven.problems.append(f"{record['id']}: {result['check']}: {reason}")


def _records(root: Path, manifest: Manifest) -> Iterator[dict[str, Any]]:
    """All records of question configs, without images; ``doc_id`` added."""
    for config in VQA_CONFIGS:
        for split in manifest.samples.get(config, {}):
            rows = read_index(root / "index" / f"{config}-{split}.parquet")
            by_shard: dict[str, list[Any]] = {}
            for row in rows:
                by_shard.setdefault(row.shard, []).append(row)
            for shard, own in sorted(by_shard.items()):
                path = root / shard
                if path.suffix == ".tar":
                    yield from (read_record(path, row) | {"doc_id": row.doc_id} for row in own)
                else:
                    yield from _of_parquet(path)


def _of_parquet(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=[*COLUMNS, "doc_id"]):
                yield from batch.to_pylist()
    except (OSError, ValueError) as error:
        raise FormatError(f"{path}: cannot be read ({type(error).__name__}). Try: mmprolong verify") from None


def _by_content(pdfs: Sequence[str | Path], wanted: set[str]) -> dict[str, str]:
    """SHA-256 -> path of the PDFs wanted."""
    found: dict[str, str] = {}
    with closing(FileStore()) as store:
        for path in find_files(pdfs, store):
            try:
                with store.local(path) as here, open(real_path(here), "rb") as file:  # noqa: PTH123 - any bytes
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError:
                continue
            except UnfetchedError as error:
                if not error.lasting:
                    raise
                continue
            if digest in wanted:
                found.setdefault(digest, path)
            if len(found) == len(wanted):
                break
    return found


def _known_paths(root: Path) -> dict[str, str]:
    """SHA-256 -> path, from the inventory of the build."""
    inventory = root / ".work" / "inventory.parquet"
    if not inventory.is_file():
        raise SettingsError(
            f"{root} has no work folder that says where its PDFs are. Remedy: --pdfs FOLDER, the folder that holds them"
        )
    try:
        table = pq.read_table(inventory, columns=["sha256", "path"])
    except (OSError, ValueError) as error:
        raise MMProLongError(f"{inventory}: cannot be read ({type(error).__name__}). Remedy: --pdfs FOLDER") from None
    pairs = zip(table["sha256"].to_pylist(), table["path"].to_pylist(), strict=True)
    return {digest: path for digest, path in pairs if digest and (is_url(path) or Path(real_path(path)).is_file())}
