"""Counting text tokens: with a real tokenizer, or by an estimate that is made to be rather too high than too low."""

from __future__ import annotations

import math
import re
from pathlib import Path

from .errors import MMProLongError, missing_extra

_WIDE = "\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef"
_OTHER_LETTER = rf"[^\W\d_A-Za-z{_WIDE}]"


class EstimateCounter:
    """An upper estimate for Qwen's byte-level BPE vocabulary, without any file.

    The text is cut into pieces that are about one token each: a word's first 6 ASCII letters, then every 4 more; the
    first of other letters (Cyrillic, accented Latin ...), then every 2 more; a Chinese, Japanese or Korean character; a
    digit; 2 signs of punctuation; a line break; a run of spaces. ``MARGIN`` lifts the sum over what the genuine
    vocabulary gives for a document: ``benchmarks/token_estimate.py`` compares the two.
    """

    name = "estimate/1"
    MARGIN = 1.08

    _piece = re.compile(
        r"(?<![A-Za-z])[A-Za-z]{1,6}|[A-Za-z]{1,4}|\d"
        rf"|[{_WIDE}]|(?<!{_OTHER_LETTER}){_OTHER_LETTER}|{_OTHER_LETTER}{{1,2}}"
        r"|[^\w\s]{1,2}|_{1,2}|[^\S\n]*\n\s?|[^\S\n]{2,}"
    )

    def count(self, text: str) -> int:
        """Estimated number of tokens of ``text``."""
        return math.ceil(self.MARGIN * len(self._piece.findall(text)))


class TokenizerCounter:
    """Counts with a ``tokenizer.json`` of the ``tokenizers`` library; added and special tokens are ordinary text."""

    def __init__(self, path: str) -> None:
        """Load the tokenizer.

        Raises:
            MMProLongError: the package or the file is missing, or the file is not a tokenizer.
        """
        try:
            from tokenizers import Tokenizer
        except ImportError:
            raise missing_extra("tokenizers", "tokenizers") from None
        file = Path(path).expanduser()
        if file.is_dir():
            file = file / "tokenizer.json"
        if not file.is_file():
            raise MMProLongError(f"{file}: no such tokenizer. Remedy: tasks.tokenizer = estimate, or a tokenizer.json")
        try:
            self._tokenizer = Tokenizer.from_file(str(file))
        except Exception as error:  # noqa: BLE001 - the library raises bare Exception
            raise MMProLongError(f"{file}: not a tokenizer: {error}") from None
        self._tokenizer.encode_special_tokens = True  # "<|image_pad|>" in a document is text, never the token
        self.name = f"tokenizer/{file.parent.name}"

    def count(self, text: str) -> int:
        """Number of tokens of ``text``, without any that the tokenizer would add around it."""
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)
