"""Engines that read whole pages: PP-StructureV3 and PaddleOCR-VL, here or on a server."""

from __future__ import annotations

import tempfile
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmprolong_data.errors import MMProLongError

from ..recipe import Ocr
from ..untrusted import clean_detail
from .engine import PageBlocks, PageFailure, Picture, bisected
from .paddle import common_arguments, models, opened, result_of
from .results import structure_blocks, vl_blocks
from .weights import VL_VERSIONS, fingerprint, require

ANSWER_SECONDS = 10
"""A server that is up answers so soon."""


class StructureEngine:
    """PP-StructureV3: layout, order, tables and formulas by its models; lines by those that ``ocr.model`` names."""

    def __init__(self, pipeline: Any, settings: Ocr) -> None:
        self._pipeline = pipeline
        self._settings = settings

    @classmethod
    def open(cls, settings: Ocr) -> StructureEngine:
        """Load the weights, those that do not come by pip from a network once.

        Raises:
            MMProLongError: See ``OcrEngine.open``.
        """
        require(settings)
        with tempfile.TemporaryDirectory() as folder:
            arguments = structure_arguments(settings) | models(settings, Path(folder))
            return cls(opened("PPStructureV3", settings, arguments), settings)

    def recognize(self, pages: Sequence[Picture]) -> list[PageBlocks | PageFailure]:
        """Blocks of every page, or why a page failed."""
        return bisected(pages, lambda some: [structure_blocks(result_of(self._pipeline, page)) for page in some])

    def fingerprint(self) -> str:
        """See ``OcrEngine``."""
        return fingerprint(self._settings)


class VlEngine:
    """PaddleOCR-VL: a layout model, and a vision-language model that reads each region, here or on a server."""

    def __init__(self, pipeline: Any, settings: Ocr) -> None:
        self._pipeline = pipeline
        self._settings = settings

    @classmethod
    def open(cls, settings: Ocr) -> VlEngine:
        """Load the weights, from a network once; the large ones only where no server has them.

        Raises:
            MMProLongError: See ``OcrEngine.open``; the server does not answer.
        """
        require(settings)
        _answers(settings)
        return cls(opened("PaddleOCRVL", settings, vl_arguments(settings)), settings)

    def recognize(self, pages: Sequence[Picture]) -> list[PageBlocks | PageFailure]:
        """Blocks of every page, or why a page failed.

        Raises:
            MMProLongError: The server is gone, which is no page's fault.
        """
        return bisected(pages, lambda some: [self._read(page) for page in some])

    def fingerprint(self) -> str:
        """See ``OcrEngine``."""
        return fingerprint(self._settings)

    def _read(self, page: Picture) -> PageBlocks:
        try:
            return vl_blocks(result_of(self._pipeline, page))
        except MemoryError:
            raise
        except Exception:
            _answers(self._settings)
            raise


def structure_arguments(settings: Ocr) -> dict[str, Any]:
    """PPStructureV3's arguments, but for the models of lines. Pages come upright; charts and seals are figures."""
    off = ("use_doc_orientation_classify", "use_doc_unwarping", "use_textline_orientation", "use_chart_recognition")
    return {
        **dict.fromkeys((*off, "use_seal_recognition"), False),
        "use_table_recognition": True,
        "use_formula_recognition": settings.backend == "paddle",  # there are no ONNX weights of it
        "use_region_detection": True,
        **common_arguments(settings),
    }


def vl_arguments(settings: Ocr) -> dict[str, Any]:
    """PaddleOCRVL's arguments."""
    arguments: dict[str, Any] = {
        "pipeline_version": VL_VERSIONS.get(settings.model, list(VL_VERSIONS.values())[-1]),
        "use_doc_orientation_classify": False,
        "use_doc_unwarping": False,
        "use_chart_recognition": False,
        "use_seal_recognition": False,
        "use_queues": False,  # one page at a time, in the one thread
    }
    if settings.server:
        arguments |= {"vl_rec_backend": settings.server_backend, "vl_rec_server_url": settings.server}
        if settings.server_model:
            arguments["vl_rec_api_model_name"] = settings.server_model
    return arguments | common_arguments(settings)


def _answers(settings: Ocr) -> None:
    """Raises MMProLongError unless the server, if there is one, answers in some way."""
    if not settings.server:
        return
    try:
        with urllib.request.urlopen(f"{settings.server.rstrip('/')}/models", timeout=ANSWER_SECONDS):
            return
    except urllib.error.HTTPError:
        return
    except (OSError, ValueError) as error:
        raise MMProLongError(
            f"ocr.server = {settings.server}: no answer: {clean_detail(error)}."
            " Remedy: start the server and run the same command again; pages that were read are kept"
        ) from None
