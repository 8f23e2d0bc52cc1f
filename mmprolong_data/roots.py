"""Where ``load_dataset("mmprolong", ...)`` finds its dataset: ./mmprolong, ``data_dir=``, or MMPROLONG_ROOT."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path

from .errors import SettingsError
from .manifest import MANIFEST_NAME
from .registration import NAME
from .source import is_url

VARIABLE = "MMPROLONG_ROOT"
HUB = "hf://datasets/"


def find_root(data_dir: str | None = None, revision: str | None = None) -> str | None:
    """The folder or URL to load from.

    ``./mmprolong`` with a card wins; else ``data_dir``; else the environment variable MMPROLONG_ROOT. A folder is given
    as an absolute path, so that what ``datasets`` caches does not depend on the current folder.

    Args:
        data_dir: What the caller named.
        revision: A tag, branch or commit: replaces the one of a Hub URL.

    Returns:
        None if ``./mmprolong`` is a card alone, as ``mmprolong init`` writes it: stock ``datasets`` reads that.

    Raises:
        SettingsError: none of the three is there, or a revision is asked of something without revisions.
    """
    here = Path.cwd() / NAME
    if has_card(here):
        if data_dir and Path(data_dir).expanduser().absolute() != here:
            logging.getLogger(__name__).warning("data_dir=%s is not used: ./%s is here and wins", data_dir, NAME)
        return str(here) if (here / MANIFEST_NAME).is_file() else None
    root = data_dir or os.environ.get(VARIABLE)
    if not root:
        raise SettingsError(
            f'load_dataset("{NAME}"): no dataset found. Remedy, one of: run where ./{NAME} is (`mmprolong build` and'
            f" `mmprolong init ORG/NAME` write it); pass data_dir=; set {VARIABLE} to a folder or to"
            f" {HUB}ORG/NAME@vX.Y.Z"
        )
    if not is_url(root):
        folder = Path(root.removeprefix("file://")).expanduser().absolute()
        if not (folder / MANIFEST_NAME).is_file():
            named = "data_dir" if data_dir else VARIABLE
            raise SettingsError(f"{named} = {root}: no dataset there ({MANIFEST_NAME} is missing)")
        return os.path.normpath(folder)
    return hub_url(root.removeprefix(HUB), revision) if root.startswith(HUB) else root.rstrip("/")


def has_card(folder: Path) -> bool:
    """True if the folder has a README.md that names configs."""
    try:
        text = (folder / "README.md").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    front = re.match(r"---\n(.*?)\n---", text, re.DOTALL)
    return front is not None and re.search(r"^configs:", front[1], re.MULTILINE) is not None


def hub_url(name: str, revision: str | None = None) -> str:
    """``hf://datasets/ORG/NAME@REVISION`` from ``ORG/NAME`` or ``ORG/NAME@REVISION``.

    Raises:
        SettingsError: not the name of a dataset on the Hub.
    """
    match = re.fullmatch(r"([\w.-]+/[\w.-]+)(?:@([\w.-]+))?", name.removeprefix(HUB).rstrip("/"))
    if match is None:
        raise SettingsError(f"{name!r}: not a dataset of the Hub. Write it as ORG/NAME or ORG/NAME@vX.Y.Z")
    revision = revision or match[2]
    return f"{HUB}{match[1]}@{revision}" if revision else f"{HUB}{match[1]}"
