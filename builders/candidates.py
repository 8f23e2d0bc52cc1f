"""Candidates of a plan: the files whose length and page sizes suit the recipe, in the order of their hashes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from .fit import PageBox, fit_dpi, image_tokens
from .recipe import Recipe
from .seeding import stable_int

TEXT_RESERVE = 512
"""Tokens kept free for the question, the answer and the chat template when a document's pages are planned."""

LABEL_TOKENS = 10
"""Planned tokens of a page's label and its two vision markers."""

_CHUNK = 16_384


class Reasons:
    """One reason code a row, kept as small numbers: an inventory may have millions of rows."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        encoded = column.combine_chunks().dictionary_encode()
        if isinstance(encoded, pa.ChunkedArray):
            encoded = encoded.combine_chunks()
        self._names: list[str] = encoded.dictionary.to_pylist()
        self.codes: npt.NDArray[np.int16] = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int16)

    def code(self, reason: str) -> int:
        """The number that stands for ``reason``."""
        if reason not in self._names:
            self._names.append(reason)
        return self._names.index(reason)

    def set(self, rows: npt.NDArray[np.int64] | int, reason: str) -> None:
        """Give rows a reason."""
        self.codes[rows] = self.code(reason)

    def free(self) -> npt.NDArray[np.bool_]:
        """True for every row that has no reason."""
        result: npt.NDArray[np.bool_] = self.codes == self.code("")
        return result

    def to_list(self) -> list[str]:
        """The reasons of all rows; equal ones are one object."""
        values: list[str] = np.array([*self._names, None], dtype=object)[self.codes].tolist()
        return values

    def counts(self) -> dict[str, int]:
        """Reason -> number of rows, without those that have none."""
        numbers = np.bincount(self.codes, minlength=len(self._names))
        return {name: int(n) for name, n in sorted(zip(self._names, numbers, strict=False)) if name and n}


@dataclass(frozen=True, slots=True)
class Candidates:
    """What planning chooses from.

    Attributes:
        reasons: Of every row of the inventory; those of ``rows`` are empty.
        rows: Rows of the inventory that suit, in hash order.
        doc_ids: Their content hashes.
        dpis, tokens: The resolution at which each fits, and its planned image and label tokens.
        usable: Number of rows that are readable documents of any length.
    """

    reasons: Reasons
    rows: list[int]
    doc_ids: list[str]
    dpis: list[int]
    tokens: list[int]
    usable: list[int]


def find_candidates(inventory: pa.Table, recipe: Recipe) -> Candidates:
    """The rows of an inventory whose number of pages is in the recipe's range and whose pages fit its limit.

    Args:
        inventory: As ``ingest.take_inventory`` gives it.
        recipe: ``select``, ``render`` and ``seed`` matter here.
    """
    reasons = Reasons(inventory["reason"])
    pages = inventory["pages"].to_numpy(zero_copy_only=False)
    least, most = recipe.page_range()
    free = reasons.free()
    usable = np.flatnonzero(free)
    reasons.set(np.flatnonzero(free & (pages < least)), "too_few_pages")
    reasons.set(np.flatnonzero(free & (pages > most)), "too_many_pages")
    chosen = np.flatnonzero(reasons.free())
    ids: list[str] = inventory["sha256"].take(pa.array(chosen)).to_pylist()
    keys = np.fromiter((stable_int(recipe.seed, i, "order") for i in ids), np.uint64, len(ids))
    order = np.lexsort((np.array(ids, dtype="S64"), keys)) if ids else np.zeros(0, np.int64)
    chosen = chosen[order]
    fitted = Fitter(recipe)
    kept, dpis, tokens = [], [], []
    for position, boxes in enumerate(_boxes(inventory, chosen)):
        dpi, planned = fitted.fit(boxes)
        if dpi:
            kept.append(position)
            dpis.append(dpi)
            tokens.append(planned)
        else:
            reasons.set(int(chosen[position]), "too_many_tokens")
    rows = chosen[kept].tolist() if kept else []
    return Candidates(reasons, rows, [ids[order[i]] for i in kept], dpis, tokens, usable.tolist())


class Fitter:
    """``fit_dpi`` that remembers: in a large corpus most documents have pages of the same few sizes."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._known: dict[tuple[tuple[PageBox, int], ...], tuple[int, int]] = {}

    def fit(self, boxes: Counter[PageBox]) -> tuple[int, int]:
        """The DPI at which these pages fit (0: none) and their planned tokens."""
        key = tuple(sorted(boxes.items()))
        if key not in self._known:
            if len(self._known) > 100_000:
                self._known.clear()
            pages = list(boxes.elements())
            text = LABEL_TOKENS * len(pages) + TEXT_RESERVE
            dpi = fit_dpi(pages, self._recipe, self._recipe.select.max_tokens - text)
            planned = text + image_tokens(pages, dpi, self._recipe.render.max_pixels) if dpi else 0
            self._known[key] = dpi, planned
        return self._known[key]


def _boxes(inventory: pa.Table, rows: npt.NDArray[np.int64]) -> Iterator[Counter[PageBox]]:
    """Page box -> number of pages, for each of the rows; reads them some thousand at a time."""
    columns = inventory.select(["widths", "heights", "repeats"])
    for start in range(0, len(rows), _CHUNK):
        part = columns.take(pa.array(rows[start : start + _CHUNK])).to_pydict()
        for widths, heights, repeats in zip(part["widths"], part["heights"], part["repeats"], strict=True):
            boxes: Counter[PageBox] = Counter()
            for width, height, count in zip(widths, heights, repeats, strict=True):
                boxes[width, height] += count
            yield boxes
