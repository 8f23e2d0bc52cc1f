"""What a card says that no file can tell: words of the publisher (``card.yaml``) and the sources of the PDFs."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from mmprolong_data.errors import SettingsError
from mmprolong_data.settings import load_settings, to_plain

from .untrusted import clean_text
from .workspace import write_atomically

INFO_FILE = "card.yaml"
SOURCES_FILE = "sources.csv"
CARD_FILES = (INFO_FILE, SOURCES_FILE)
"""Files of a dataset's folder that the card is made from, beside the manifest."""
SOURCE_COLUMNS = ("doc_id", "license", "source", "title")
MOST_CSV_BYTES = 1 << 28
PURPOSES = {
    "extract_single": "one fact, on one page",
    "extract_multi": "facts gathered from several pages",
    "reasoning": "a sum, difference, comparison or count over several facts",
    "ocr_full": "the text of all pages",
    "ocr_needle": "the text of 1-3 named pages; the others distract",
}
PROBE_PURPOSES = {"planted_code": "a number in a box that was stamped onto one page"}
"""Config -> what it asks, in a few words."""


@dataclass(frozen=True, slots=True)
class Precision:
    """A measurement: of ``checked`` samples read, ``right`` were right.

    ``what`` is a config or a generator; ``how`` says who read them and by which rule.
    """

    what: str
    checked: int
    right: int
    how: str = ""


@dataclass(frozen=True, slots=True)
class CardInfo:
    """The publisher's words. Empty ones are left out of the card, or replaced by what is true of every dataset."""

    title: str = ""
    """Heading of the card; default: the repository's name, or mmprolong."""
    license: str = "other"
    """Licence of the whole, as the Hub writes it (cc-by-4.0, ...); ``other`` where every document keeps its own."""
    license_name: str = "documents-keep-their-own-licences"
    """Name of the licence where it is ``other``."""
    summary: str = ""
    """A paragraph under the heading."""
    collection: str = ""
    """Where the PDFs come from and how they were chosen."""
    intended_use: str = ""
    """What the dataset is for, beyond what every dataset of this kind is for."""
    limits: list[str] = field(default_factory=list)
    """Known limits, beyond what is true of every dataset of this kind."""
    personal_data: str = ""
    """What was done about personal data."""
    decontamination: str = ""
    """Against which evaluation sets the documents were checked, and how."""
    contact: str = ""
    """Whom to ask for a removal."""
    citation: str = ""
    """BibTeX of the dataset, in place of the one that the card makes."""
    precision: list[Precision] = field(default_factory=list)
    """Measured precision: what, checked, right, how."""
    croissant: bool | None = None
    """Write ``croissant.json``; default: only where the Hub makes none (WebDataset)."""


def read_card_info(root: Path, overrides: list[str] | None = None) -> CardInfo:
    """The publisher's words: the defaults, then ``card.yaml``, then ``key=value`` overrides.

    Raises:
        SettingsError: the file cannot be read, or holds unknown or impossible settings.
    """
    path = root / INFO_FILE
    info = load_settings(CardInfo, path if path.exists() else None, overrides)
    for row in info.precision:
        if not 0 <= row.right <= row.checked or row.checked < 1:
            raise SettingsError(f"precision of {row.what!r}: {row.right} right of {row.checked} checked is impossible")
    return info


def write_card_info(root: Path, info: CardInfo) -> None:
    """Write ``card.yaml``."""
    text = yaml.safe_dump(to_plain(info), sort_keys=False, allow_unicode=True, width=110)
    write_atomically(root / INFO_FILE, text.encode())


def import_sources(path: Path, documents: list[dict[str, Any]]) -> tuple[list[dict[str, str]], list[str]]:
    """Read the user's table of licences and sources, and find the documents that it speaks of.

    Args:
        path: CSV with a header. A document is named by ``doc_id`` (``sha256``) or by ``name`` (``file``, ``path``);
            ``license``, ``source`` (or ``url``) and ``title`` are taken, other columns are ignored.
        documents: Rows of the document table.

    Returns:
        Rows of ``SOURCE_COLUMNS`` ordered by ``doc_id``, and the names that are no used document.

    Raises:
        SettingsError: no such file, no CSV, or neither column to find a document by.
    """
    rows = _read_csv(path)
    used = {row["doc_id"]: row for row in documents if not row["reason"]}
    by_name: dict[str, list[str]] = {}
    for doc_id, row in used.items():
        by_name.setdefault(row["name"], []).append(doc_id)
    found: dict[str, dict[str, str]] = {}
    unknown = []
    for number, row in enumerate(rows, 2):
        digest = _first(row, "doc_id", "sha256").lower()
        name = _first(row, "name", "file", "path").replace("\\", "/")
        if not digest and not name:
            raise SettingsError(f"{path}, line {number}: no document named. Remedy: a column doc_id (SHA-256) or name")
        ids = [digest] if digest in used else by_name.get(name) or by_name.get(name.rpartition("/")[2]) or []
        if len(ids) > 1:
            raise SettingsError(f"{path}, line {number}: several documents are called {name}. Remedy: a column doc_id")
        if not ids:
            unknown.append(digest or name)
            continue
        entry = {"license": _first(row, "license", "licence"), "source": _first(row, "source", "url")}
        entry = {"doc_id": ids[0]} | entry | {"title": _first(row, "title")}
        if found.setdefault(ids[0], entry) != entry:
            raise SettingsError(f"{path}, line {number}: {digest or name} is listed twice, with different values")
    return [found[doc_id] for doc_id in sorted(found)], unknown


def _first(row: Mapping[str, str], *names: str) -> str:
    return next((row[name] for name in names if row.get(name)), "")


def _read_csv(path: Path) -> list[dict[str, str]]:
    try:
        if path.stat().st_size > MOST_CSV_BYTES:
            raise SettingsError(f"{path}: larger than {MOST_CSV_BYTES >> 20} MB; this cannot be a table of licences")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: not UTF-8. Remedy: save it as CSV in UTF-8") from None
    reader = csv.DictReader(io.StringIO(text, newline=""))
    header = [name.strip().lower() for name in reader.fieldnames or []]
    if not {"doc_id", "sha256", "name", "file", "path"} & set(header):
        raise SettingsError(
            f"{path}: the columns are {', '.join(header) or 'none'}."
            " Remedy: a header line with doc_id or name, and license, source, title"
        )
    reader.fieldnames = header
    try:
        return [
            {key: clean_text(value, 2000) for key, value in row.items() if key and isinstance(value, str)}
            for row in reader
        ]
    except csv.Error as error:
        raise SettingsError(f"{path}: not CSV: {error}") from None


def sources_bytes(rows: list[dict[str, str]]) -> bytes:
    """The content of ``sources.csv``."""
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, SOURCE_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().encode()


def read_sources(root: Path) -> list[dict[str, str]]:
    """The rows of the dataset's ``sources.csv``; nothing where it has none."""
    path = root / SOURCES_FILE
    if not path.is_file():
        return []
    return [{name: row.get(name, "") for name in SOURCE_COLUMNS} for row in _read_csv(path)]


def sources_without(root: Path, documents: set[str]) -> bytes:
    """The content of ``sources.csv`` without some documents."""
    return sources_bytes([row for row in read_sources(root) if row["doc_id"] not in documents])


def host_of(source: str) -> str:
    """The host of a source that is a URL; the source itself otherwise."""
    host = urlsplit(source).hostname if source.startswith(("http://", "https://")) else ""
    return host or source
