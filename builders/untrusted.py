"""Text from outside made safe to store: PDF strings, exception messages, and file names that are not UTF-8."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import quote_from_bytes, unquote_to_bytes


def clean_text(text: str, most: int = 200) -> str:
    """Untrusted text as one line: valid Unicode, no control characters, single spaces, ``most`` long."""
    printable = "".join(c if c.isprintable() else " " for c in no_surrogates(text))
    return " ".join(printable.split())[:most]


def no_surrogates(text: str) -> str:
    """``text`` with ``?`` for what UTF-8 cannot hold (a lone surrogate, from a PDF's broken character map)."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text


def clean_detail(error: BaseException, path: str = "") -> str:
    """Type and message of an exception, without what differs between two runs: paths and addresses.

    Of a chain ``raise ... from``, the cause counts: it says what was wrong.
    """
    while error.__cause__ is not None:
        error = error.__cause__
    text = str(error)
    if path:
        text = text.replace(path, Path(path).name)
    text = re.sub(r"/dev/fd/\d+", "the file", text)
    text = re.sub(r"0x[0-9a-fA-F]{6,}", "0x...", text)
    return clean_text(f"{type(error).__name__}: {text}" if text else type(error).__name__)


def stored_path(path: str) -> str:
    """A path as a table or a message can hold it: itself, or a ``file:`` URI where it is not valid UTF-8."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return "file://" + quote_from_bytes(os.fsencode(path))
    return path


def real_path(stored: str) -> str:
    """The inverse of ``stored_path``: the name that the operating system knows."""
    if stored.startswith("file:///"):
        return os.fsdecode(unquote_to_bytes(stored.removeprefix("file://")))
    return stored
