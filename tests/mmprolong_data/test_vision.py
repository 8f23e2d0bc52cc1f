"""The pixel rule equals the model's own processor, and rendered pages need no further resizing."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmprolong_data.vision import FACTOR, MAX_PIXELS, MIN_PIXELS, image_tokens, page_pixels, smart_resize

sides = st.integers(1, 20_000)


@settings(deadline=None)
@given(height=sides, width=sides)
def test_smart_resize_is_that_of_the_models_processor(height: int, width: int) -> None:
    theirs = pytest.importorskip("transformers.models.qwen2_vl.image_processing_pil_qwen2_vl").smart_resize
    if max(height, width) / min(height, width) > 200:
        with pytest.raises(ValueError, match="ratio"):
            smart_resize(height, width)
    else:
        expected = theirs(height, width, factor=FACTOR, min_pixels=MIN_PIXELS, max_pixels=MAX_PIXELS)
        assert smart_resize(height, width) == expected


@given(
    width=st.floats(3, 15_000), height=st.floats(3, 15_000), dpi=st.integers(36, 600),
    max_pixels=st.sampled_from([50_000, 1_000_000, MAX_PIXELS]),
)  # fmt: skip
def test_a_rendered_page_is_not_resized_again(width: float, height: float, dpi: int, max_pixels: int) -> None:
    if max(width, height) / min(width, height) > 100:
        return
    w, h = page_pixels(width, height, dpi, max_pixels)
    assert w % FACTOR == h % FACTOR == 0
    assert smart_resize(h, w) == (h, w)
    assert image_tokens(w, h) * FACTOR * FACTOR == w * h <= MAX_PIXELS


@pytest.mark.parametrize(
    ("width", "height", "tokens"), [(595.276, 841.89, 2580), (612, 792, 2508), (841.89, 595.276, 2580), (1, 1, 4)]
)
def test_tokens_of_usual_pages_at_144_dpi(width: float, height: float, tokens: int) -> None:
    assert image_tokens(*page_pixels(width, height, 144)) == tokens


def test_a_huge_page_is_capped_before_it_is_rendered() -> None:
    width, height = page_pixels(14_400_000, 14_400_000, 144)
    assert width * height <= MAX_PIXELS


@pytest.mark.parametrize(
    "box", [(0, 100), (100, 0), (-5, 100), (math.nan, 100), (math.inf, 100), (1, 100_000), (100_000, 1)]
)
def test_unusable_boxes_are_refused(box: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match=r"unusable|ratio"):
        page_pixels(*box, 144)
