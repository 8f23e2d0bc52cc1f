"""Types of arguments that commands share."""

from __future__ import annotations

import argparse
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
        raise argparse.ArgumentTypeError(f"must be a path on this machine, not a URL ({url[0]}...)")
    return Path(text)
