"""What the parts of ``ocr.py`` share: our two ways of reading a PDF, and how two texts are compared."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmprolong_builders.blocks import Document
from mmprolong_builders.layout import parse as parse_module
from mmprolong_builders.ocr.run import PageReader
from mmprolong_builders.pdf import open_pdf
from mmprolong_builders.recipe import Ocr, OcrLimits, Parse, Recipe, Sandbox
from mmprolong_builders.sandbox import SandboxPool
from mmprolong_builders.stages import unpack_record

from mmprolong_data.settings import to_plain

_SAME = str.maketrans({"“": '"', "”": '"', "‘": "'", "’": "'", "–": "-", "—": "-", "−": "-", "‐": "-", "…": "..."})


def normal(text: str) -> str:
    """What two right readings of a line have in common."""
    text = unicodedata.normalize("NFKC", text.replace("\xad", "-")).translate(_SAME)
    return re.sub(r"\s+", "", text)


def parsed(path: Path, outline: bool = True, tables: bool = True) -> Document:
    """The text layer's document, in this process; without its outline if need be."""
    with open_pdf(path) as pdf:
        if not outline:
            pdf.outline = lambda: []  # type: ignore[method-assign]
        return parse_module.parse_document(pdf, "0" * 64, Parse(tables=tables))


class Ours:
    """Our reader in genuine children; ``cache`` keeps the pages it has read."""

    def __init__(
        self, model: str, engine: str = "paddleocr", languages: str = "eng", cache: Path | None = None
    ) -> None:
        ocr = Ocr(model=model, engine=engine, languages=languages, max_errors=1.0, check=0.0)  # type: ignore[arg-type]
        self.recipe = Recipe(ocr=ocr, ocr_limits=OcrLimits(workers=1))
        self.folder = tempfile.TemporaryDirectory()
        self.cached = cache is not None
        self.pdfs = SandboxPool(1, Sandbox())
        self.reader = PageReader(self.recipe, self.pdfs, cache or Path(self.folder.name), 1)

    def read(self, path: Path) -> Document:
        """A scanned PDF as a document."""
        settings = to_plain(replace(self.recipe.parse, max_scanned=1.0))
        doc_id = hashlib.sha256(path.read_bytes()).hexdigest() if self.cached else os.urandom(32).hex()
        payload: dict[str, Any] = {"path": str(path), "doc_id": doc_id, "settings": settings}
        payload["route"] = {"check": 0.0, "seed": 0}
        outcome = self.reader.complete(payload, self.pdfs.call("parse_stage", payload))
        assert outcome.value is not None, outcome.detail
        return Document.from_dict(unpack_record(outcome.value["document"]))

    def cost(self) -> tuple[float, float]:
        """As ``usage``; ends the children."""
        spent = self.usage()
        self.close()
        return spent

    def close(self) -> None:
        """End the children."""
        self.reader.close()
        self.pdfs.close()

    def usage(self) -> tuple[float, float]:
        """CPU seconds and peak memory (MB) so far."""
        peak = programs = 0.0
        for child in self.reader._pool._idle:
            status = Path(f"/proc/{child._process.pid}/status").read_text()
            peak = max(peak, int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024)  # type: ignore[index]
            times = Path(f"/proc/{child._process.pid}/stat").read_text().rpartition(")")[2].split()
            programs += (int(times[13]) + int(times[14])) / os.sysconf("SC_CLK_TCK")  # of an engine that is a program
        cpu = self.reader.cpu_seconds + self.pdfs.cpu_seconds + programs
        return cpu, peak


def all_lines(document: Document) -> list[list[str]]:
    """Lines of every page as they stand, in our reading order."""
    return [[line for block in page.blocks for line in block.lines] for page in document.pages]
