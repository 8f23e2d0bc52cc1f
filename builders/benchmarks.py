"""Benchmarks that training data must not contain: what their documents, pages and questions can be recognised by."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import numpy.typing as npt

from mmprolong_data.errors import FormatError

from .signatures import (
    PAGE_PERMUTATIONS,
    Signature,
    lsh_entry,
    minhash,
    open_lsh,
    shingles,
    signature,
    similarity,
    words_of,
)

INDEX_VERSION = 1
LEAST_WORDS = 40
"""A page with fewer words is not recognised by its text: too many are alike."""
GRAM = 8
"""Words of an n-gram of questions and answers; shorter ones prove nothing."""
MOST_OF_IT = 0.8
"""Share of a question's n-grams that have to be found."""
PAGE_GRAM = 3
"""Words of a page's shingles: a page has few words, and a re-saved one may break lines elsewhere."""
_BITS = np.array([bin(value).count("1") for value in range(256)], dtype=np.uint16)


def page_signature(words: Sequence[str]) -> bytes:
    """MinHash of a page's words; empty for a page with hardly any."""
    return minhash(shingles(words, PAGE_GRAM), PAGE_PERMUTATIONS) if len(words) >= LEAST_WORDS else b""


def grams_of(words: Sequence[str]) -> set[bytes]:
    """Hashes (8 bytes) of all runs of ``GRAM`` words; none where there are fewer."""
    if len(words) < GRAM:
        return set()
    return {hashlib.sha256(part.encode("utf-8", "replace")).digest()[:8] for part in shingles(words, GRAM)}


@dataclass(slots=True)
class Benchmark:
    """One benchmark: its name and how much of it was read."""

    name: str
    pdfs: int = 0
    images: int = 0
    questions: int = 0
    unreadable: int = 0


@dataclass(slots=True, weakref_slot=True)
class _Content:
    benchmarks: list[Benchmark] = field(default_factory=list)
    sha256: dict[str, str] = field(default_factory=dict)
    texts: list[bytes] = field(default_factory=list)
    text_names: list[str] = field(default_factory=list)
    pictures: list[bytes] = field(default_factory=list)
    picture_names: list[str] = field(default_factory=list)
    picture_texts: list[bool] = field(default_factory=list)
    questions: list[tuple[str, list[bytes]]] = field(default_factory=list)


class BenchmarkIndex:
    """Finds documents that contain a benchmark's documents, pages or questions.

    Args:
        similarity: Least Jaccard similarity of the words of two pages that are one.
        distance: Most bits (of 256) in which the perceptual hashes of two pages differ that are one.
        least_pages: Pages of a document that have to be a benchmark's.
    """

    def __init__(self, similarity: float, distance: int, least_pages: int) -> None:
        self._similarity, self._distance, self._least_pages = similarity, distance, least_pages
        self.content = _Content()

    @property
    def wants_pictures(self) -> bool:
        """True if there is any page picture to compare with."""
        return bool(self.content.pictures)

    def add_pages(self, name: str, sha256: str, texts: Sequence[bytes], pictures: Sequence[bytes]) -> None:
        """Add a PDF (``survey.survey_pages``) or, with an empty hash, a page image."""
        content = self.content
        if sha256:
            content.sha256.setdefault(sha256, name)
        for text in texts:
            if text:
                content.texts.append(text)
                content.text_names.append(name)
        for number, picture in enumerate(pictures):
            if picture:
                content.pictures.append(picture)
                content.picture_names.append(name)
                content.picture_texts.append(bool(texts and texts[number]))

    def add_question(self, name: str, *texts: str) -> bool:
        """Add a question and its answers. Returns False where all are too short to be recognised."""
        known = [sorted(grams) for text in texts if (grams := grams_of(words_of(text)))]
        self.content.questions += [(name, grams) for grams in known]
        return bool(known)

    def find(self, doc_id: str, pages: Sequence[Sequence[str]], pictures: Sequence[bytes]) -> str:
        """What a document shares with the benchmarks; empty if nothing.

        Args:
            doc_id: SHA-256 of the file.
            pages: The words of every page.
            pictures: The perceptual hash of every page, or none.
        """
        if doc_id in self.content.sha256:
            return f"the same file as one of {self.content.sha256[doc_id]}"
        found: dict[int, tuple[str, str]] = {}
        for number, words in enumerate(pages):
            data = page_signature(words)
            owner = self._text_owner(signature(data)) if data else ""
            if owner:
                found[number] = (owner, "text")
        for number, data in enumerate(pictures):
            has_text = len(pages[number]) >= LEAST_WORDS
            owner = self._picture_owner(data, has_text) if data and number not in found else ""
            if owner:
                found[number] = (owner, "picture")
        if len(found) >= min(self._least_pages, len(pages)) and found:
            first = min(found)
            owner, by = found[first]
            return f"{len(found)} pages as in {owner}, the first one page {first + 1} (by its {by})"
        asked = self.find_questions([word for page in pages for word in [*page, "\n"]])
        return f"the text of a question of {asked}" if asked else ""

    def find_questions(self, words: Sequence[str]) -> str:
        """The benchmark one of whose questions stands among the words; empty if none."""
        if not self.content.questions:
            return ""
        have = grams_of(words)
        for name, grams in self.content.questions:
            if sum(gram in have for gram in grams) >= MOST_OF_IT * len(grams):
                return name
        return ""

    def write(self, folder: Path) -> Path:
        """Write the index under a name that holds the SHA-256 of its content."""
        from .workspace import write_atomically

        data = self._packed()
        path = folder / f"benchmarks-{hashlib.sha256(data).hexdigest()[:16]}.msgpack"
        write_atomically(path, data)
        return path

    def _packed(self) -> bytes:
        content = self.content
        value = {
            "version": INDEX_VERSION,
            "settings": [self._similarity, self._distance, self._least_pages],
            "benchmarks": [[b.name, b.pdfs, b.images, b.questions, b.unreadable] for b in content.benchmarks],
            "sha256": content.sha256,
            "texts": b"".join(content.texts),
            "text_names": content.text_names,
            "pictures": b"".join(content.pictures),
            "picture_names": content.picture_names,
            "picture_texts": content.picture_texts,
            "questions": content.questions,
        }
        packed: bytes = msgpack.packb(value)
        return packed

    @classmethod
    def read(cls, path: Path) -> BenchmarkIndex:
        """Read what ``write`` wrote.

        Raises:
            FormatError: it is damaged or of another version.
        """
        try:
            value: dict[str, Any] = msgpack.unpackb(path.read_bytes(), strict_map_key=False)
            if value["version"] != INDEX_VERSION:
                raise FormatError(f"{path}: an index of another version. Remedy: make it again")
            index = cls(*value["settings"])
            texts, pictures = value["texts"], value["pictures"]
            index.content = _Content(
                [Benchmark(*row) for row in value["benchmarks"]],
                value["sha256"],
                [texts[i : i + 4 * PAGE_PERMUTATIONS] for i in range(0, len(texts), 4 * PAGE_PERMUTATIONS)],
                value["text_names"],
                [pictures[i : i + 32] for i in range(0, len(pictures), 32)],
                value["picture_names"],
                value["picture_texts"],
                [(name, list(grams)) for name, grams in value["questions"]],
            )
        except (OSError, ValueError, KeyError, TypeError, msgpack.UnpackException) as error:
            raise FormatError(f"{path}: damaged ({type(error).__name__}). Remedy: make it again") from None
        return index

    @cached_property
    def _lsh(self) -> Any:
        lsh = open_lsh(self._similarity, PAGE_PERMUTATIONS)
        for i, data in enumerate(self.content.texts):
            lsh.insert(i, lsh_entry(signature(data)))
        return lsh

    @cached_property
    def _picture_table(self) -> npt.NDArray[np.uint8]:
        return np.frombuffer(b"".join(self.content.pictures), np.uint8).reshape(-1, 32)

    def _text_owner(self, own: Signature) -> str:
        if not self.content.texts:
            return ""
        near = [
            i
            for i in sorted(self._lsh.query(lsh_entry(own)))
            if similarity(own, signature(self.content.texts[i])) >= self._similarity
        ]
        return self.content.text_names[near[0]] if near else ""

    def _picture_owner(self, own: bytes, has_text: bool) -> str:
        if not self.content.pictures:
            return ""
        distances = _BITS[np.bitwise_xor(self._picture_table, np.frombuffer(own, np.uint8))].sum(axis=1)
        if has_text:
            # Two pages with text have been compared by it; their looks say less: forms are alike, their content is not.
            distances[np.array(self.content.picture_texts)] = 8 * len(own)
        nearest = int(distances.argmin())
        return self.content.picture_names[nearest] if distances[nearest] <= self._distance else ""


@lru_cache(maxsize=1)
def open_benchmarks(path: str) -> BenchmarkIndex:
    """The index in a file; a process reads it once. The name of the file holds the hash of its content."""
    return BenchmarkIndex.read(Path(path))
