"""Pages of a document as parts of a prompt: images that children render when they are sent, and marked-off text."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Any

from mmprolong_data import vision
from mmprolong_data.llm import Draining, Image
from mmprolong_data.llm.types import Part

from ...sandbox import Outcome

CACHE_BYTES = 256 << 20
"""Rendered pages that are kept for the next request about the same segment."""

Call = Callable[[str, dict[str, Any]], "asyncio.Future[Outcome]"]
"""Runs a task in a sandboxed child without blocking the event loop."""


class CannotUse(Exception):
    """A document cannot be used after all: ``reason`` is a code of ``reasons.DOCUMENT_REASONS``."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


class PageCache:
    """The most recently used rendered pages, by document, page and size."""

    def __init__(self, most: int = CACHE_BYTES) -> None:
        self._most = most
        self._bytes = 0
        self._pages: OrderedDict[tuple[str, int], bytes] = OrderedDict()

    def get(self, key: tuple[str, int]) -> bytes | None:
        """The page, if it is still there."""
        if key in self._pages:
            self._pages.move_to_end(key)
        return self._pages.get(key)

    def put(self, key: tuple[str, int], data: bytes) -> None:
        """Keep a page; the least recently used ones make room."""
        self._bytes += len(data) - len(self._pages.pop(key, b""))
        self._pages[key] = data
        while self._bytes > self._most and len(self._pages) > 1:
            _, dropped = self._pages.popitem(last=False)
            self._bytes -= len(dropped)


class DocumentPages:
    """One document's pages as a model is shown them.

    Args:
        doc_id: SHA-256 of the PDF.
        path: The PDF.
        sizes: Width and height in pixels of every page.
        texts: The text of every page; empty where it is not shown.
        images: Whether images are shown.
        quality: JPEG quality.
        cache: Shared by all documents.
        call: To render.
    """

    def __init__(
        self,
        doc_id: str,
        path: str,
        sizes: Sequence[Sequence[int]],
        texts: Sequence[str],
        *,
        images: bool,
        quality: int,
        cache: PageCache,
        call: Call,
    ) -> None:
        self._doc_id = doc_id
        self._path = path
        self._sizes = [list(size) for size in sizes]
        self._texts = texts
        self._images = images
        self._quality = quality
        self._cache = cache
        self._call = call
        self._pending: dict[int, asyncio.Future[bytes]] = {}  # asked for, or being rendered
        self._queued: list[int] = []
        self._renderings: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._sizes)

    def parts(self, numbers: Sequence[int]) -> list[Part]:
        """Label, image and text of pages (0-based), in order. Nothing is rendered before it is sent."""
        # The mark depends on what it marks off, so that no page can hold it.
        mark = hashlib.sha256("\0".join(self._texts[n] for n in numbers).encode()).hexdigest()[:16]
        parts: list[Part] = []
        for number in numbers:
            parts.append(f"Page {number + 1}")
            if self._images:
                parts.append(self._image(number))
            if self._texts[number]:
                opening = f'<page-text page="{number + 1}" id="{mark}">'
                parts.append(f'{opening}\n{self._texts[number]}\n</page-text id="{mark}">')
        return parts

    def _image(self, number: int) -> Image:
        width, height = self._sizes[number]
        content = {
            "pdf": self._doc_id, "page": number, "size": [width, height], "quality": self._quality, "format": "jpeg",
            "renderer": renderer(),
        }  # fmt: skip
        return Image(content, lambda: self._load(number), vision.image_tokens(width, height))

    async def _load(self, number: int) -> bytes:
        kept = self._cache.get((self._doc_id, number))
        if kept is not None:
            return kept
        if number not in self._pending:
            loop = asyncio.get_running_loop()
            self._pending[number] = loop.create_future()
            if not self._queued:
                # Pages that are asked for in this very moment are rendered together: the file is opened once.
                loop.call_soon(self._start)
            self._queued.append(number)
        return await asyncio.shield(self._pending[number])

    def _start(self) -> None:
        numbers, self._queued = sorted(self._queued), []
        task = asyncio.ensure_future(self._render(numbers))
        self._renderings.add(task)
        task.add_done_callback(self._renderings.discard)

    async def _render(self, numbers: list[int]) -> None:
        payload = {
            "path": self._path,
            "doc_id": self._doc_id,
            "sizes": self._sizes,
            "quality": self._quality,
            "pages": numbers,
        }
        try:
            outcome = await self._call("render", payload)
            if outcome.value is None:
                raise CannotUse(outcome.reason, outcome.detail)
        except BaseException as error:
            for number in numbers:
                future = self._pending.pop(number)
                # A stop is nobody's fault: it must not end in a document's record.
                future.set_exception(error if isinstance(error, Exception) else Draining("The run is being stopped"))
                future.exception()  # nobody may be waiting any more
            if not isinstance(error, Exception):
                raise
            return
        for number, data in zip(numbers, outcome.value["pages"], strict=True):
            self._cache.put((self._doc_id, number), data)
            self._pending.pop(number).set_result(data)


def renderer() -> str:
    """What renders and encodes pages, with versions: other versions may give other bytes."""
    return " ".join(f"{name} {metadata.version(name)}" for name in ("pymupdf", "simplejpeg"))
