"""The demo's own corpus: which documents it has, and writing them."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path

from mmprolong_data.errors import MMProLongError, missing_extra

DOCUMENTS = {
    "annual-report-waterworks.pdf": "waterworks",
    "bridge-inspections.pdf": "inspections",
    "handbook-seed-bank.pdf": "handbook",
    "minutes-harbour-scan.pdf": "scan",
    "orchard-atlas.pdf": "folio",
    "paper-two-columns.pdf": "paper",
    "rapport-tramway.pdf": "tramway",
    "slides-repair-network.pdf": "slides",
    "yearbook-observatory.pdf": "observatory",
}
"""File name -> module of this package whose ``write(path, seed)`` makes it."""


def write_corpus(folder: Path, seed: int = 0) -> list[Path]:
    """Write nine made-up documents of 32-50 pages each; equal seeds give equal bytes.

    Args:
        folder: Created if need be; files of these names are replaced.
        seed: Changes every name, number and sentence.

    Returns:
        The PDFs, sorted by name.

    Raises:
        MMProLongError: reportlab is not installed, or the folder cannot be written.
    """
    if importlib.util.find_spec("reportlab") is None:
        raise missing_extra("reportlab", "demo")
    from reportlab import rl_config

    paths = []
    ascii85, rl_config.useA85 = rl_config.useA85, 0  # text-safe streams cost a quarter more bytes and seconds
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, module in DOCUMENTS.items():
            path = folder / name
            temporary = path.with_name(name + ".tmp")
            importlib.import_module(f".{module}", __package__).write(temporary, seed)
            temporary.replace(path)
            paths.append(path)
    except OSError as error:
        raise MMProLongError(f"{folder}: the demo documents cannot be written: {error.strerror}") from None
    finally:
        rl_config.useA85 = ascii85
    return paths
