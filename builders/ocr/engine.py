"""What an OCR engine is: pictures of pages in, lines of text or an error for every page out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from mmprolong_data.errors import MMProLongError
from mmprolong_data.settings import from_plain

from ..recipe import Ocr
from ..untrusted import clean_detail
from .weights import fingerprint

Read = TypeVar("Read")
Picture = npt.NDArray[np.uint8]
"""uint8 (height, width, 3), RGB."""


@dataclass(frozen=True, slots=True)
class TextLine:
    """A run of text on one baseline: its box in pixels, its text, and how sure the engine is (0 to 1)."""

    x0: float
    y0: float
    x1: float
    y1: float
    text: str
    score: float


@dataclass(frozen=True, slots=True)
class PageFailure:
    """A page that the engine could not read, and why."""

    detail: str


@dataclass(frozen=True, slots=True)
class PageBlock:
    """A block of a page: its kind (see ``results.KINDS``; "" is text), box in pixels, lines, and a table's cells."""

    kind: str
    box: tuple[float, float, float, float]
    lines: list[TextLine]
    rows: list[list[str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class PageBlocks:
    """A page in reading order. ``measurable``: its lines are boxes around ink rather than shares of a block."""

    blocks: list[PageBlock]
    measurable: bool


class OcrEngine(Protocol):
    """Reads upright, straight pictures of pages. One engine serves one process, single-threaded."""

    @classmethod
    def open(cls, settings: Ocr) -> OcrEngine:
        """Load the weights.

        Raises:
            MMProLongError: A package, a binary or weights are missing or not what they should be.
        """

    def recognize(self, pages: Sequence[Picture]) -> Sequence[list[TextLine] | PageBlocks | PageFailure]:
        """Lines of every page in any order, or its blocks, or why a page failed; never raises for a page."""

    def fingerprint(self) -> str:
        """Engine, versions, hashes of the weights and parameters: equal ones give equal lines (SHA-256)."""


def bisected(pages: Sequence[Picture], read: Callable[[Sequence[Picture]], list[Read]]) -> list[Read | PageFailure]:
    """``read`` all pages at once; where that fails, halves of them, down to the page that is to blame.

    Raises:
        MMProLongError: From ``read``: no page is to blame, such as where a server is gone.
    """
    if not pages:
        return []
    try:
        return [*read(pages)]
    except (MemoryError, MMProLongError):
        raise
    except Exception as error:  # noqa: BLE001 - libraries raise anything; a page must not take its neighbours along
        if len(pages) == 1:
            return [PageFailure(clean_detail(error))]
    middle = len(pages) // 2
    return bisected(pages[:middle], read) + bisected(pages[middle:], read)


def open_engine(settings: Ocr) -> OcrEngine:
    """The engine that the settings name.

    Raises:
        MMProLongError: See ``OcrEngine.open``.
    """
    if settings.engine == "tesseract":
        from .tesseract import TesseractEngine

        return TesseractEngine.open(settings)
    if settings.engine in ("ppstructure", "vl"):
        from .structure import StructureEngine, VlEngine

        return (VlEngine if settings.engine == "vl" else StructureEngine).open(settings)
    from .paddle import PaddleEngine

    return PaddleEngine.open(settings)


@lru_cache(maxsize=2)
def _opened(key: str) -> OcrEngine:
    import json

    return open_engine(from_plain(Ocr, json.loads(key)))


def shared_engine(settings: dict[str, Any]) -> OcrEngine:
    """The engine of this process for these settings, opened once."""
    import json

    return _opened(json.dumps(settings, sort_keys=True))


__all__ = [
    "OcrEngine",
    "PageBlock",
    "PageBlocks",
    "PageFailure",
    "Picture",
    "TextLine",
    "bisected",
    "fingerprint",
    "open_engine",
]
