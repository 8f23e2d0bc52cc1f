"""Counting text tokens: with a real tokenizer, or by an estimate that is made to be rather too high than too low."""

from __future__ import annotations

import re
from pathlib import Path

from .errors import MMProLongError, missing_extra


class EstimateCounter:
    """An upper estimate for Qwen's byte-level BPE vocabulary, without any file.

    The text is cut as Qwen's pre-tokenizer does, roughly: words with the space before them, single digits, runs of
    punctuation, runs of white space. A digit is one token; a word of ASCII letters up to 6 letters one, a longer one a
    further token for each 4 letters begun; other letters are charged by their bytes (CJK: one a character; Cyrillic and
    the like: one for 2 characters begun; accented Latin as ASCII, and one more); punctuation one for 2 characters
    begun. ``benchmarks/token_estimate.py`` compares it with the genuine vocabulary.
    """

    name = "estimate/1"

    _pieces = re.compile(
        r"(?P<ascii>[A-Za-z]+)|(?P<digit>\d)|(?P<wide>[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]+)"
        r"|(?P<letters>[^\W\d_A-Za-z\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]+)"
        r"|(?P<space>\s+)|(?P<other>[^\w\s]+|_+)"
    )

    def count(self, text: str) -> int:
        """Estimated number of tokens of ``text``."""
        total = 0
        for match in self._pieces.finditer(text):
            length = match.end() - match.start()
            kind = match.lastgroup
            if kind == "ascii":
                total += 1 if length <= 6 else 1 + -(-(length - 6) // 4)
            elif kind == "digit":
                total += 1
            elif kind == "wide":
                total += length
            elif kind == "letters":
                total += 1 + length // 2
            elif kind == "space":
                piece = match.group()
                total += 0 if piece == " " else 1 + piece.count("\n") // 2
            else:
                total += -(-length // 2)
        return total


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
