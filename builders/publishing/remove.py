"""Taking documents out of a dataset: rewrites the shards that hold them and no other; can be interrupted anywhere.

The new files are made below ``.remove/`` first. Then ``.remove/journal.json`` is written: from there on the removal
counts as decided, and every later call carries it to its end by renames that may be repeated.
"""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mmprolong_data.errors import FormatError, MMProLongError
from mmprolong_data.index import IndexRow, read_index
from mmprolong_data.manifest import MANIFEST_NAME, Manifest, manifest_bytes, read_manifest
from mmprolong_data.schema import CONFIG_NAMES, SPLITS
from mmprolong_data.shards import read_shard
from mmprolong_data.versions import parse_version

from ..card import write_card
from ..card_info import SOURCES_FILE, sources_without
from ..workspace import write_atomically
from .rewrite import Shard, shard_name, shard_of, write_samples, write_tables
from .rules import next_version
from .views import DOCUMENTS_FILE

WORK = ".remove"
JOURNAL = "journal.json"
STALE = (".work", "report", ".convert", "assets")
"""Folders that may hold text or pictures of a removed document: deleted."""


@dataclass(slots=True)
class Removal:
    """What left.

    Attributes:
        version, parent: The dataset's new and old version.
        documents: ``doc_id`` -> file name.
        samples: config -> samples that left.
        rewritten, dropped, kept: Numbers of shards: with other bytes, gone, and with the bytes they had.
    """

    version: str
    parent: str
    documents: dict[str, str] = field(default_factory=dict)
    samples: Counter[str] = field(default_factory=Counter)
    rewritten: int = 0
    dropped: int = 0
    kept: int = 0


def remove(root: Path, documents: Sequence[str], version: str = "", note: str = "") -> Removal:
    """Take documents out of the dataset in ``root``.

    Args:
        root: The dataset's folder; changed in place.
        documents: SHA-256 (hex) of the PDFs, or the first 12 and more digits of it.
        version: The new version; "" for the smallest that the rule of versions allows.
        note: A line for the changelog.

    Raises:
        FormatError: no dataset, or a shard that has to be rewritten is damaged; nothing has changed then.
        MMProLongError: a document is not in it, or nothing would be left.
    """
    finish_removal(root)
    manifest = read_manifest(root)
    rows = _rows(root, manifest)
    found = _find(rows, documents, root)
    removal = Removal(version or next_version(manifest.dataset_version, "content"), manifest.dataset_version)
    if parse_version(removal.version) <= parse_version(removal.parent):
        smallest = next_version(removal.parent, "content")
        raise MMProLongError(f"--version {version} is not later than {removal.parent}. Remedy: --version {smallest}")
    table = pq.read_table(root / DOCUMENTS_FILE) if DOCUMENTS_FILE in manifest.indexes else None
    names = dict.fromkeys(found, "")
    if table is not None:
        known = zip(*(table[name].to_pylist() for name in ("doc_id", "name", "reason")), strict=True)
        names |= {doc_id: name for doc_id, name, reason in known if doc_id in found and not reason}
    removal.documents = names

    work = root / WORK
    shutil.rmtree(work, ignore_errors=True)
    moves: list[tuple[str, str]] = []
    shards = _rewrite(root, manifest, rows, found, removal, moves)
    if not shards:
        shutil.rmtree(work, ignore_errors=True)
        raise MMProLongError(
            f"{root}: nothing would be left. Remedy: delete the folder, and the repository if published"
        )
    documents_table = None if table is None else _mark(table, found, removal.version)
    changed = _manifest(root, manifest, write_tables(work, manifest, shards, documents_table), removal, note)
    if (root / SOURCES_FILE).is_file():
        write_atomically(work / SOURCES_FILE, sources_without(root, found))
    write_atomically(work / MANIFEST_NAME, manifest_bytes(changed))
    _decide(root, manifest, changed, moves)
    finish_removal(root)
    return removal


def finish_removal(root: Path) -> bool:
    """Carry a removal that was decided, and then interrupted, to its end. Returns whether there was one.

    Raises:
        FormatError: its journal is damaged.
    """
    work = root / WORK
    path = work / JOURNAL
    if not path.is_file():
        return False
    try:
        journal = json.loads(path.read_bytes())
        moves = [(_safe(source), _safe(target)) for source, target in journal["moves"]]
        deletes = [_safe(name) for name in journal["deletes"]]
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(f"{path}: damaged ({error}). Remedy: download or build the dataset again") from None
    for source, target in moves:
        if (root / source).is_file():
            (root / target).parent.mkdir(parents=True, exist_ok=True)
            (root / source).replace(root / target)
    for name in deletes:
        (root / name).unlink(missing_ok=True)
    for folder in [*root.glob("data/*"), root / "index"]:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    for name in STALE:
        shutil.rmtree(root / name, ignore_errors=True)
    write_card(root, read_manifest(root))
    path.unlink()  # before the folder, whose deletion may be cut short
    shutil.rmtree(work, ignore_errors=True)
    return True


def _rows(root: Path, manifest: Manifest) -> dict[str, list[IndexRow]]:
    """Shard -> its index rows, in order."""
    rows: dict[str, list[IndexRow]] = {entry["name"]: [] for entry in manifest.shards}
    for config in manifest.configs():
        for split in manifest.samples[config]:
            for row in read_index(root / "index" / f"{config}-{split}.parquet"):
                if row.shard not in rows:
                    raise FormatError(f"{root}: the index names {row.shard}, which is no shard. Try: mmprolong verify")
                rows[row.shard].append(row)
    return {name: sorted(own, key=lambda row: row.row) for name, own in rows.items()}


def _find(rows: dict[str, list[IndexRow]], wanted: Sequence[str], root: Path) -> set[str]:
    """The ids of the wanted documents, which may be named by their first digits."""
    known = {row.doc_id for own in rows.values() for row in own}
    found = set()
    for text in wanted:
        digits = text.strip().lower()
        if not re.fullmatch(r"[0-9a-f]{12,64}", digits):
            raise MMProLongError(f"--doc {text}: must be the SHA-256 of a PDF (at least its first 12 digits)")
        matching = [doc_id for doc_id in known if doc_id.startswith(digits)]
        if len(matching) != 1:
            what = "no document" if not matching else "several documents"
            raise MMProLongError(
                f"--doc {text}: {root} has {what} of that SHA-256; nothing was changed."
                f" Remedy: look it up in {DOCUMENTS_FILE} (column doc_id)"
            )
        found.add(matching[0])
    return found


def _rewrite(
    root: Path,
    manifest: Manifest,
    rows: dict[str, list[IndexRow]],
    found: set[str],
    removal: Removal,
    moves: list[tuple[str, str]],
) -> list[Shard]:
    """Write the shards that lose samples below ``.remove/``. Returns all that remain, renumbered."""
    remaining: list[Shard] = []
    for config in CONFIG_NAMES:
        for split in SPLITS:
            kept: list[tuple[Shard, str]] = []
            for number, entry in enumerate(manifest.shards_of(config, split)):
                own = rows[entry["name"]]
                staying = [row for row in own if row.doc_id not in found]
                removal.samples[config] += len(own) - len(staying)
                if len(staying) == len(own):
                    kept.append((Shard(entry, own), entry["name"]))
                    removal.kept += 1
                elif staying:
                    staged = f"{WORK}/shards/{config}/{split}-{number:05d}"
                    path = root / (staged + Path(entry["name"]).suffix)
                    samples = (s for s in read_shard(root / entry["name"]) if s.doc_id not in found)
                    info = write_samples(path, manifest.container, samples, staying)
                    kept.append((shard_of(config, split, entry["name"], info), path.relative_to(root).as_posix()))
                    removal.rewritten += 1
                else:
                    removal.dropped += 1
            for number, (shard, source) in enumerate(kept):
                name = shard_name(config, split, number, len(kept), manifest.container)
                remaining.append(shard.renamed(name))
                if source != name:
                    moves.append((source, name))
    return remaining


def _mark(table: pa.Table, found: set[str], version: str) -> pa.Table:
    """The document table with ``removed`` as the fate of the documents; what their files were called goes, too."""
    rows = table.to_pylist()
    for row in rows:
        if row["doc_id"] in found:
            row |= {"name": "", "producer": ""}
            if not row["reason"]:
                row |= {"reason": "removed", "detail": f"removed in version {version}", "split": "", "samples": "{}"}
    return pa.Table.from_pylist(rows, schema=table.schema)


def _manifest(root: Path, old: Manifest, new: Manifest, removal: Removal, note: str) -> Manifest:
    count = len(removal.documents)
    documents = old.documents | {
        "used": old.documents["used"] - count,
        "left_out": dict(sorted((Counter(old.documents["left_out"]) + Counter({"removed": count})).items())),
    }
    entry = {
        "version": removal.version,
        "parent": removal.parent,
        "level": "content",
        "documents": {"added": 0, "removed": count, "changed": 0},
        "samples": {"added": 0, "removed": removal.samples.total(), "changed": 0},
        "note": note or "removal on request",
    }
    return replace(
        new,
        dataset_version=removal.version,
        parent_version=removal.parent,
        changelog=[entry, *old.changelog],
        documents=documents,
        shortfalls=_shortfalls(root, old, set(removal.documents)),
    )


def _shortfalls(root: Path, old: Manifest, found: set[str]) -> dict[str, dict[str, int]]:
    """Shortfalls without the documents' share, as far as the build's work folder still tells whose they were."""
    counts = {config: Counter(reasons) for config, reasons in old.shortfalls.items()}
    for path in root.glob(".work/*/pack/*.json"):
        try:
            shares: dict[str, Any] = json.loads(path.read_bytes())["shortfalls"]
        except (OSError, ValueError, KeyError):
            continue
        for doc_id in found & set(shares):
            for config, reason in shares[doc_id].items():
                counts.get(config, Counter()).subtract([reason])
    plain = {config: {reason: n for reason, n in own.items() if n > 0} for config, own in counts.items()}
    return {config: own for config, own in plain.items() if own}


def _decide(root: Path, old: Manifest, new: Manifest, moves: list[tuple[str, str]]) -> None:
    """Write the journal. The manifest moves last: until then the folder is visibly unfinished for ``verify``."""
    work = root / WORK
    staged = [*new.indexes, *(name for name in (SOURCES_FILE, MANIFEST_NAME) if (work / name).is_file())]
    moves = [*moves, *((f"{WORK}/{name}", name) for name in staged)]
    names = {entry["name"] for entry in new.shards} | set(new.indexes)
    sources = {source for source, _ in moves}
    before = [*(entry["name"] for entry in old.shards), *old.indexes]
    deletes = [name for name in before if name not in names and name not in sources]
    write_atomically(work / JOURNAL, json.dumps({"moves": moves, "deletes": deletes}).encode())


def _safe(name: object) -> str:
    """A path of the journal: it must stay in the dataset's folder, whoever wrote it."""
    text = str(name)
    parts = PurePosixPath(text).parts
    if not re.fullmatch(r"[A-Za-z0-9_./-]+", text) or ".." in parts or text.startswith("/"):
        raise ValueError(f"the path {text[:80]!r}")
    return text
