"""What an OCR engine is: pictures of pages in, lines of text or an error for every page out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from mmprolong_data.settings import from_plain

from ..recipe import Ocr
from ..untrusted import clean_detail
from .weights import fingerprint

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


class OcrEngine(Protocol):
    """Reads upright, straight pictures of pages. One engine serves one process, single-threaded."""

    @classmethod
    def open(cls, settings: Ocr) -> OcrEngine:
        """Load the weights.

        Raises:
            MMProLongError: A package, a binary or weights are missing or not what they should be.
        """

    def recognize(self, pages: Sequence[Picture]) -> list[list[TextLine] | PageFailure]:
        """Lines of every page in any order, or why a page failed; never raises for a page."""

    def fingerprint(self) -> str:
        """Engine, versions, hashes of the weights and parameters: equal ones give equal lines (SHA-256)."""


def bisected(
    pages: Sequence[Picture], read: Callable[[Sequence[Picture]], list[list[TextLine]]]
) -> list[list[TextLine] | PageFailure]:
    """``read`` all pages at once; where that fails, halves of them, down to the page that is to blame."""
    if not pages:
        return []
    try:
        return [*read(pages)]
    except MemoryError:
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


__all__ = ["OcrEngine", "PageFailure", "Picture", "TextLine", "bisected", "fingerprint", "open_engine"]
