"""Types of arguments that commands share."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path


def local_path(text: str) -> Path:
    """A path on this machine; for ``type=`` of argparse.

    Empty text is refused: it would be the current folder, and comes from a script's variable that is not set. A URL is
    refused: it would become a folder named after its protocol.
    """
    if not text:
        raise argparse.ArgumentTypeError("the path is empty")
    if url := re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text):
        raise argparse.ArgumentTypeError(
            f"must be a path on this machine, not a URL ({url[0]}...). A dataset there: mmprolong pull URL DIR"
        )
    return Path(text)


def place(text: str) -> Path | str:
    """A path on this machine, or a URL as it is; for ``type=`` of argparse."""
    return (
        text if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text) and not text.startswith("file://") else local_path(text)
    )


def count(text: str) -> int:
    """A whole number of at least 1; for ``type=`` of argparse."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: must be a whole number of at least 1")
    return int(text)


def repository(text: str) -> str:
    """A repository of the Hub, written as ORG/NAME; for ``type=`` of argparse."""
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"{text!r}: write the repository as ORG/NAME")
    return text


def without_tilde(path: str | Path) -> Path:
    """The path with ``~`` as the home folder. That of a user who does not exist stays, to be reported as missing."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - pathlib's raises RuntimeError for such a user
