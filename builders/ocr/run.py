"""Reading the scanned pages of a build's documents: windows of pages through the OCR children, with a cache.

Runs in the parent, which holds no engine: one child renders pages of the PDF, another one recognizes their pictures.
"""

from __future__ import annotations

import math
import os
import site
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmprolong_data.arguments import without_tilde
from mmprolong_data.settings import to_plain

from ..child import Outcome
from ..fetch import UnfetchedError
from ..recipe import Ocr, OcrLimits, Recipe, Sandbox
from ..sandbox import SandboxPool
from .cache import PageCache
from .home import Home
from .weights import VL_VERSIONS, bundled, fingerprint, missing_packages, require

TASKS = {
    "ocr_read": f"{__package__}.read:read_task",
    "ocr_compare": f"{__package__}.read:compare_task",
}
CHECK_MODEL = "tiny"
_GIGABYTES_EACH = 3
_DOWNLOADS = (
    "PADDLE_PDX_CACHE_HOME", "PADDLE_PDX_MODEL_SOURCE", "PADDLE_PDX_HUGGING_FACE_ENDPOINT", "HF_ENDPOINT",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
    "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CUDA_VISIBLE_DEVICES",
)  # fmt: skip
"""Environment variables that PaddleOCR's downloads, and a GPU, need."""


def ocr_fingerprint(recipe: Recipe) -> str:
    """The fingerprint of the engine that a build with this recipe uses here; "" where it uses none.

    Raises:
        MMProLongError: ``parse.ocr`` is ``require``, or ``ocr.engine`` names another one than the default, and the
            engine is not there; or its weights are not what they should be.
    """
    if recipe.parse.ocr == "never":
        return ""
    if recipe.parse.ocr == "require" or recipe.ocr.engine != Ocr().engine:
        require(recipe.ocr)
    elif missing_packages(recipe.ocr):
        return ""
    return fingerprint(recipe.ocr)


class PageReader:
    """Reads pages for all documents of a build; safe to use from several threads.

    Args:
        recipe: Uses ``ocr`` and ``ocr_limits``.
        pdfs: The children that touch PDFs.
        cache: Where pages are kept, unless ``ocr_limits.cache`` names a folder.
        workers: Most OCR children, unless ``ocr_limits.workers`` says otherwise.
    """

    def __init__(self, recipe: Recipe, pdfs: SandboxPool, cache: Path, workers: int) -> None:
        self._settings, self._limits = recipe.ocr, recipe.ocr_limits
        self._pdfs = pdfs
        folder = without_tilde(self._limits.cache) if self._limits.cache else cache
        self._cache = PageCache(folder, fingerprint(recipe.ocr))
        self._home = Home()
        self._pool = SandboxPool(
            _workers(self._limits, workers),
            _sandbox(self._limits),
            TASKS,
            preload="ocr.read",
            environment=_environment(self._home.path, recipe.ocr),
        )

    def __enter__(self) -> PageReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the children, and remove their home."""
        self._pool.close()
        self._home.close()

    @property
    def cpu_seconds(self) -> float:
        """CPU seconds of the OCR children."""
        return self._pool.cpu_seconds

    def complete(
        self, payload: dict[str, Any], routed: Outcome, on_pages: Callable[[int], None] = lambda count: None
    ) -> Outcome:
        """Read what a parsed document lacks and parse it again with it.

        Args:
            payload: Of the task ``parse_stage``, with ``route``.
            routed: What that task gave.
            on_pages: Called with a number of pages that are done.

        Returns:
            As of ``parse_stage`` without ``route``; the reason may be ``ocr_error``.

        Raises:
            MMProLongError: The engine cannot be opened.
        """
        if routed.value is None:
            return routed
        try:
            with self._pdfs.files.local(payload["path"], payload["doc_id"]) as path:
                return self._complete(payload | {"path": path}, routed, routed.value, on_pages)
        except UnfetchedError as error:
            if error.gone:
                return Outcome(None, "unreadable", error.lasting)
            raise

    def _complete(
        self, payload: dict[str, Any], routed: Outcome, found: dict[str, Any], on_pages: Callable[[int], None]
    ) -> Outcome:
        path, doc_id, pages = payload["path"], payload["doc_id"], found["pages"]
        reasons: dict[int, str] = dict(found["scanned"])
        doubt = self._disagrees(path, found["texts"], found["pictures"])
        if doubt:
            reasons |= dict.fromkeys(found["trusted"], doubt)
        if not reasons:
            return routed
        records = self.read(path, doc_id, sorted(reasons), on_pages)
        failed = {number: record["error"] for number, record in records.items() if "error" in record}
        if len(failed) > self._settings.max_errors * pages:
            number, why = min(failed.items())
            return Outcome(None, "ocr_error", f"{len(failed)} of {pages} pages; page {number + 1}: {why}")
        engine: str = self._settings.engine
        if engine != "tesseract" and (engine != "vl" or self._settings.model in VL_VERSIONS):
            engine += f" {self._settings.model}"
        again = {key: value for key, value in payload.items() if key != "route"}
        ocr = {"engine": engine, "pages": {number: [reasons[number], records[number]] for number in sorted(reasons)}}
        return self._pdfs.call("parse_stage", again | {"ocr": ocr})

    def read(
        self, path: str, doc_id: str, pages: list[int], on_pages: Callable[[int], None] = lambda count: None
    ) -> dict[int, dict[str, Any]]:
        """Records (``read.read_task``) of some pages of a document, from the cache where it has them.

        Args:
            path: The PDF.
            doc_id: SHA-256 of its bytes.
            pages: 0-based.
            on_pages: Called with a number of pages that are done.

        Raises:
            MMProLongError: The engine cannot be opened.
        """
        known = self._cache.load(doc_id)
        found = {number: known[number] for number in pages if number in known}
        on_pages(len(found))
        missing = [number for number in pages if number not in found]
        step = self._limits.window
        windows = [missing[i : i + step] for i in range(0, len(missing), step)]
        work: list[tuple[list[int], dict[str, Any]]] = []

        def payloads() -> Iterator[dict[str, Any]]:
            for window in windows:
                numbers, payload, failed = self._pictures(path, window)
                found.update(failed)
                on_pages(len(failed))
                if numbers:
                    work.append((numbers, payload))
                    yield payload

        for position, outcome in enumerate(
            self._pool.map("ocr_read", payloads(), window=self._pool.workers + 1, retry=False)
        ):
            numbers, payload = work[position]
            work[position] = (numbers, {})
            records = self._records(numbers, payload, outcome)
            self._cache.add(doc_id, records)
            found.update(records)
            on_pages(len(records))
        return {number: found[number] for number in pages}

    def _disagrees(self, path: str, texts: Mapping[int, str], pictures: Mapping[int, list[list[float]]]) -> str:
        """Whether a text layer is contradicted by what stands on the pages: the reason, or "".

        Args:
            path: The PDF.
            texts: 0-based page -> its text, of the pages to compare.
            pictures: 0-based page -> boxes of images on it, see ``read.compare_task``.
        """
        if not texts:
            return ""
        numbers, payload, _ = self._pictures(path, sorted(texts))
        settings = replace(self._settings, engine="paddleocr", model=CHECK_MODEL, backend="onnxruntime", layout=False)
        if not numbers or missing_packages(settings):
            return ""
        payload = {"settings": to_plain(settings), "pages": payload["pages"], "texts": [texts[n] for n in numbers]}
        payload["pictures"] = [pictures[n] for n in numbers]
        outcome = self._pool.call("ocr_compare", payload)
        if outcome.value is None:
            return ""
        for number, likeness in zip(numbers, outcome.value["similarities"], strict=True):
            if likeness is not None and likeness < self._settings.agreement:
                return f"text layer disagrees with page {number + 1}"
        return ""

    def _pictures(self, path: str, numbers: list[int]) -> tuple[list[int], dict[str, Any], dict[int, dict[str, Any]]]:
        """The payload of the pages that can be rendered, and records of those that cannot."""
        outcome = self._pdfs.call("ocr_pictures", {"path": path, "pages": numbers, "dpi": self._settings.dpi})
        if outcome.value is None:
            if len(numbers) == 1:
                return [], {}, {numbers[0]: {"error": f"{outcome.reason} while it was rendered"}}
            good: list[int] = []
            merged: dict[str, Any] = {"settings": to_plain(self._settings), "pages": [], "sizes": []}
            failed: dict[int, dict[str, Any]] = {}
            middle = len(numbers) // 2
            for half in (numbers[:middle], numbers[middle:]):
                some, payload, lost = self._pictures(path, half)
                good += some
                failed |= lost
                for key in ("pages", "sizes") if some else ():
                    merged[key] += payload[key]
            return good, merged, failed
        pages, sizes = outcome.value["pages"], outcome.value["sizes"]
        failed = {n: {"error": page} for n, page in zip(numbers, pages, strict=True) if isinstance(page, str)}
        kept = [i for i, page in enumerate(pages) if not isinstance(page, str)]
        payload = {
            "settings": to_plain(self._settings),
            "pages": [pages[i] for i in kept],
            "sizes": [sizes[i] for i in kept],
        }
        return [numbers[i] for i in kept], payload, failed

    def _records(self, numbers: list[int], payload: dict[str, Any], outcome: Outcome) -> dict[int, dict[str, Any]]:
        """Records of a window; one that cost its child is halved, down to the page that is to blame."""
        if outcome.value is not None:
            return dict(zip(numbers, outcome.value["pages"], strict=True))
        if len(numbers) == 1:
            return {numbers[0]: {"error": outcome.reason}}
        middle = len(numbers) // 2
        records: dict[int, dict[str, Any]] = {}
        for part in (slice(None, middle), slice(middle, None)):
            half = payload | {"pages": payload["pages"][part], "sizes": payload["sizes"][part]}
            seconds = self._limits.page_timeout * len(half["pages"])
            last = len(half["pages"]) == 1
            records |= self._records(numbers[part], half, self._pool.call("ocr_read", half, seconds, retry=last))
        return records


def _workers(limits: OcrLimits, workers: int) -> int:
    if limits.workers is not None:
        return limits.workers
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(workers, memory // (_GIGABYTES_EACH << 30)))


def _environment(home: Path, settings: Ocr) -> dict[str, str]:
    """A home of the children's own, as the libraries of an engine leave caches and lists of fonts in it.

    Models that PaddleOCR downloads are kept where its users look for them.
    """
    own = {"HOME": str(home), "XDG_CACHE_HOME": str(home / ".cache"), "XDG_CONFIG_HOME": str(home / ".config")}
    own["TMPDIR"] = str(home)  # some of them leave files there, too
    own["PYTHONUSERBASE"] = site.getuserbase()  # packages installed with --user are found by the home
    if settings.engine != "tesseract" and not bundled(settings):
        own |= {name: os.environ[name] for name in _DOWNLOADS if name in os.environ}
        own.setdefault("PADDLE_PDX_CACHE_HOME", str(Path("~/.paddlex").expanduser()))
    return own


def _sandbox(limits: OcrLimits) -> Sandbox:
    """A child gets windows: its deadline and its life are those of as many pages."""
    return Sandbox(limits.memory, limits.page_timeout * limits.window, math.ceil(limits.recycle / limits.window))


__all__ = ["PageReader", "ocr_fingerprint"]
