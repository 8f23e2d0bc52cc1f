"""The two small models beside the recogniser: which way up a page lies, and what its regions are."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from .engine import Picture
from .weights import weights_path

MIN_UPRIGHT = 0.75
"""Least probability at which a page is turned."""
REGION_KINDS = {
    "text": "text",
    "title": "title",
    "figure": "figure",
    "figure_caption": "caption",
    "table": "table",
    "table_caption": "caption",
    "header": "header",
    "footer": "footer",
    "reference": "text",
    "equation": "equation",
}
"""Classes of the CDLA data set -> kinds of ``Region``."""
MIN_REGION = 0.4
_MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)
_DEVIATION = np.array([0.229, 0.224, 0.225], dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Region:
    """A region of a page: its kind, its box in pixels, and how sure the model is."""

    kind: str
    score: float
    box: tuple[float, float, float, float]


class Orientation:
    """PP-LCNet's classifier of page orientation."""

    def __init__(self) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            str(weights_path("orientation")), options, providers=["CPUExecutionProvider"]
        )
        self._name = self._session.get_inputs()[0].name

    def quarter_turns(self, page: Picture) -> int:
        """Counter-clockwise quarter turns (0-3) that bring the page upright; 0 when in doubt."""
        height, width = page.shape[:2]
        scale = 256 / min(height, width)
        small = Image.fromarray(page).resize(
            (round(width * scale), round(height * scale)), Image.Resampling.BILINEAR, reducing_gap=2.0
        )
        left, top = (small.width - 224) // 2, (small.height - 224) // 2
        pixels = np.asarray(small.crop((left, top, left + 224, top + 224)), dtype=np.float32)
        normal = ((pixels / 255 - _MEAN) / _DEVIATION).astype(np.float32)
        scores = self._session.run(None, {self._name: normal.transpose(2, 0, 1)[None]})[0][0]
        best = int(np.argmax(scores))
        if scores.min() < 0 or abs(float(scores.sum()) - 1) > 0.01:
            scores = np.exp(scores - scores.max())
            scores /= scores.sum()
        return best if float(scores[best]) >= MIN_UPRIGHT else 0


class Layout:
    """PicoDet trained on CDLA, run by the library rapid-layout."""

    def __init__(self) -> None:
        logging.disable(logging.INFO)
        from rapid_layout import RapidLayout

        self._model: Any = RapidLayout(
            model_type="pp_layout_cdla",
            model_dir_or_path=str(weights_path("layout")),
            engine_cfg={"intra_op_num_threads": 1, "inter_op_num_threads": 1},
            conf_thresh=MIN_REGION,
        )

    def regions(self, page: Picture) -> list[Region]:
        """Regions of an upright page, from the top."""
        found = self._model(np.ascontiguousarray(page[:, :, ::-1]))
        regions = [
            Region(
                REGION_KINDS[name], round(float(score), 4), (float(box[0]), float(box[1]), float(box[2]), float(box[3]))
            )
            for box, name, score in zip(found.boxes, found.class_names, found.scores, strict=True)
        ]
        return sorted(regions, key=lambda region: (region.box[1], region.box[0], region.kind))
