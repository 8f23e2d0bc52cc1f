"""Our settings against the installed PaddleOCR itself: its arguments, its names of models, its system library."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from mmprolong_builders.ocr import paddle, weights
from mmprolong_builders.recipe import Ocr

from mmprolong_data.errors import MMProLongError

pytestmark = pytest.mark.usefixtures("ocr_extra")


@pytest.fixture
def genuine(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The names of PaddleX's official models."""
    monkeypatch.setenv("PADDLE_PDX_DISABLE_MODEL_SOURCE_CHECK", "True")
    from paddlex.inference.utils import official_models

    return set(official_models.ALL_MODELS)


def recognisers(names: set[str]) -> list[str]:
    """Of lines of text, without those of formulas and pictures of goods."""
    return sorted(n.removesuffix("_rec") for n in names if n.endswith("_rec") and "OCR_" not in n and "ShiTu" not in n)


def test_every_recogniser_of_paddleocr_is_a_setting_and_its_detector_exists(genuine: set[str], tmp_path: Path) -> None:
    found = recognisers(genuine)
    assert {"PP-OCRv6_medium", "PP-OCRv5_server", "eslav_PP-OCRv5_mobile", "latin_PP-OCRv5_mobile"} <= set(found)
    for model in found:
        folder = tmp_path / model
        folder.mkdir()
        settings = Ocr(model=model, backend="paddle")
        weights.check_settings(settings)
        arguments = paddle.models(settings, folder)
        assert arguments["text_recognition_model_name"] == f"{model}_rec"
        assert arguments["text_detection_model_name"] in genuine, model
        assert set(arguments) == {"text_recognition_model_name", "text_detection_model_name"}  # it fetches them itself
    for model in weights.BUNDLED:
        assert f"PP-OCRv6_{model}_rec" in genuine


def test_models_without_onnx_weights_are_refused_with_onnxruntime(genuine: set[str]) -> None:
    from paddlex.inference.utils.official_models import ONNX_SUPPORTED_MODELS

    for model in recognisers(genuine):
        if f"{model}_rec" in ONNX_SUPPORTED_MODELS:
            weights.check_settings(Ocr(model=model))
        else:
            with pytest.raises(MMProLongError, match=r"no ONNX weights.*ocr\.backend = paddle"):
                weights.check_settings(Ocr(model=model))


@pytest.mark.parametrize("model", ["PP-OCRv6_medium", "small", "eslav_PP-OCRv5_mobile"])
def test_our_arguments_are_paddleocrs(genuine: set[str], model: str, tmp_path: Path) -> None:
    from paddleocr import PaddleOCR
    from paddleocr._common_args import parse_common_args

    own = set(inspect.signature(PaddleOCR.__init__).parameters) - {"self", "kwargs"}
    given = paddle.models(Ocr(model=model), tmp_path)
    given |= dict.fromkeys(("use_doc_orientation_classify", "use_doc_unwarping", "use_textline_orientation"), False)
    assert set(given) <= own
    for backend in ("onnxruntime", "paddle"):
        # Raises for a name that it does not know.
        common = parse_common_args(
            paddle.common_arguments(Ocr(backend=backend, device="gpu:0")),
            default_enable_hpi=None,  # type: ignore[arg-type]
        )
        assert common["device"] == "gpu:0"
        assert common["engine"] == backend


def test_a_missing_libgl_has_a_remedy_that_names_the_pinned_version(tmp_path: Path) -> None:
    """The genuine OpenCV, but that it asks the system for a library that is not there."""
    import cv2

    packages = Path(cv2.__file__).parents[1]
    changed = 0
    for source in (packages / "cv2", *packages.glob("opencv*.libs")):
        (tmp_path / source.name).mkdir()
        for path in source.iterdir():
            target = tmp_path / source.name / path.name
            if path.is_dir():
                target.symlink_to(path)
                continue
            content = path.read_bytes()
            changed += b"libGL.so.1" in content
            target.write_bytes(content.replace(b"libGL.so.1", b"libGL.so.0"))
    if not changed:
        pytest.skip("this OpenCV is the headless one, which needs no libGL")
    code = (
        "from mmprolong_builders.ocr.engine import open_engine\n"
        "from mmprolong_builders.recipe import Ocr\n"
        "open_engine(Ocr(model='tiny'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "libGL.so.0: cannot open shared object file" in done.stderr
    assert re.search(r"MMProLongError: .*Remedy: apt-get install libgl1 libglib2\.0-0", done.stderr)
    setup = Path(__file__).parents[3].joinpath("setup.cfg").read_text(encoding="utf-8")
    pinned = re.search(r"opencv-python-headless==([\d.]+)", setup)
    assert pinned
    assert f"opencv-contrib-python-headless=={pinned[1]}" in done.stderr
