"""The tesseract engine: the ``tesseract`` program, where it is installed."""

from __future__ import annotations

import io
import os
import subprocess
from collections import defaultdict
from collections.abc import Sequence

from PIL import Image

from ..recipe import Ocr
from ..untrusted import clean_text
from .engine import PageFailure, Picture, TextLine, bisected
from .weights import fingerprint, require

_GAP = 1.5
"""Words of a line that are further apart than this many line heights are two runs of text."""


class TesseractEngine:
    """Tesseract's lines, split where columns or table cells part."""

    def __init__(self, settings: Ocr) -> None:
        self._settings = settings

    @classmethod
    def open(cls, settings: Ocr) -> TesseractEngine:
        """Check the program and its language packs.

        Raises:
            MMProLongError: The program or a language pack is missing.
        """
        require(settings)
        return cls(settings)

    def recognize(self, pages: Sequence[Picture]) -> list[list[TextLine] | PageFailure]:
        """See ``OcrEngine``."""
        return bisected(pages, lambda some: [self._read(page) for page in some])

    def fingerprint(self) -> str:
        """See ``OcrEngine``."""
        return fingerprint(self._settings)

    def _read(self, page: Picture) -> list[TextLine]:
        data = io.BytesIO()
        Image.fromarray(page).save(data, "PPM")
        command = [
            "tesseract",
            "stdin",
            "stdout",
            "-l",
            self._settings.languages,
            "--dpi",
            str(self._settings.dpi),
            "tsv",
        ]
        done = subprocess.run(
            command,
            input=data.getvalue(),
            capture_output=True,
            env=os.environ | {"OMP_THREAD_LIMIT": "1"},
            check=False,
        )
        if done.returncode:
            raise ValueError(clean_text(done.stderr.decode(errors="replace")) or f"exit code {done.returncode}")
        return _lines(done.stdout.decode("utf-8", errors="replace"))


def _lines(table: str) -> list[TextLine]:
    """The words of tesseract's TSV, joined to runs."""
    words = defaultdict(list)
    for row in table.split("\n")[1:]:
        fields = row.split("\t")
        if len(fields) == 12 and fields[0] == "5" and fields[11].strip():
            x, y, width, height = map(float, fields[6:10])
            words[tuple(fields[1:5])].append((x, y, x + width, y + height, fields[11].strip(), float(fields[10])))
    lines = []
    for line in words.values():
        run: list[tuple[float, float, float, float, str, float]] = []
        for word in [*line, None]:
            if run and (word is None or word[0] - run[-1][2] > _GAP * (run[-1][3] - run[-1][1])):
                box = min(w[0] for w in run), min(w[1] for w in run), max(w[2] for w in run), max(w[3] for w in run)
                score = sum(w[5] for w in run) / len(run) / 100
                lines.append(TextLine(*box, " ".join(w[4] for w in run), max(0.0, score)))
                run = []
            if word is not None:
                run.append(word)
    return lines
