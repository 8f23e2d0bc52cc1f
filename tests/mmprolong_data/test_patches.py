"""Patches are those of the model's own processor, bit for bit, and damage is an error."""

from __future__ import annotations

import io

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from mmprolong_data.patches import decode_page, decode_pages, empty_patches, page_grid
from mmprolong_data.vision import MAX_PIXELS, MIN_PIXELS, PATCH_BYTES, patchify


def jpeg(height: int, width: int, seed: int = 0, **options: object) -> bytes:
    generator = np.random.default_rng(seed)
    coarse = Image.fromarray(generator.integers(0, 256, (max(1, height // 9), max(1, width // 9), 3), dtype=np.uint8))
    page = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))
    return simplejpeg.encode_jpeg(np.ascontiguousarray(page), quality=85, **options)


# Final sizes, sizes that must be resized, too small, too large, odd ratios.
SIZES = [(1428, 1008), (28, 28 * 5), (84, 112), (100, 100), (41, 70), (20, 900), (30, 30), (3900, 3600), (57, 28)]


@pytest.fixture(scope="module")
def processor():  # type: ignore[no-untyped-def]
    module = pytest.importorskip("transformers.models.qwen2_vl.image_processing_pil_qwen2_vl")
    return module.Qwen2VLImageProcessorPil(size={"shortest_edge": MIN_PIXELS, "longest_edge": MAX_PIXELS})


@pytest.mark.parametrize("size", SIZES)
def test_patches_are_bit_identical_to_the_models_processor(size: tuple[int, int], processor) -> None:  # type: ignore[no-untyped-def]
    page = jpeg(*size)
    pixels, grid = decode_pages([page])
    theirs = processor(images=[Image.fromarray(simplejpeg.decode_jpeg(page))], return_tensors="np")
    assert grid.tolist() == theirs["image_grid_thw"].tolist()
    assert np.array_equal(patchify(pixels), theirs["pixel_values"])


def test_pages_of_several_sizes_share_one_buffer(processor) -> None:  # type: ignore[no-untyped-def]
    pages = [jpeg(h, w, seed) for seed, (h, w) in enumerate([(84, 112), (100, 90), (28, 140)])]
    pixels, grid = decode_pages(pages)
    images = [Image.fromarray(simplejpeg.decode_jpeg(page)) for page in pages]
    theirs = processor(images=images, return_tensors="np")
    assert pixels.shape == (grid.prod(axis=1).sum(), PATCH_BYTES)
    assert np.array_equal(patchify(pixels), theirs["pixel_values"])


def test_pillow_decodes_the_same_pixels(processor) -> None:  # type: ignore[no-untyped-def]
    """So patches equal what the processor makes of the file itself."""
    page = jpeg(1428, 1008)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(page))), simplejpeg.decode_jpeg(page))


@pytest.mark.parametrize("size", SIZES)
def test_the_other_layout_holds_the_same_patches(size: tuple[int, int]) -> None:
    page = jpeg(*size, colorsubsampling="444")
    ours, other = decode_pages([page])[0], decode_pages([page], layout="hwc")[0]
    assert np.array_equal(ours.reshape(-1, 3, 14, 14), other.reshape(-1, 14, 14, 3).transpose(0, 3, 1, 2))


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_grey_and_cmyk_pages_become_rgb(mode: str) -> None:
    buffer = io.BytesIO()
    image = Image.open(io.BytesIO(jpeg(56, 84))).convert(mode)
    image.save(buffer, "JPEG", quality=90)
    pixels, grid = decode_pages([buffer.getvalue()])
    assert grid.tolist() == [[1, 4, 6]]
    expected = np.asarray(Image.open(io.BytesIO(buffer.getvalue())).convert("RGB"))
    out = np.empty_like(pixels)
    source = expected.reshape(2, 2, 14, 3, 2, 14, 3).transpose(0, 3, 1, 4, 6, 2, 5)
    out.reshape(source.shape)[...] = source
    assert np.array_equal(pixels, out)


def test_damage_is_an_error_that_names_the_page() -> None:
    good = jpeg(84, 112)
    with pytest.raises(ValueError, match="page 2"):
        empty_patches([good, b"no jpeg", good])
    cut = good[: len(good) // 2]
    with pytest.raises(ValueError, match=r"."):
        decode_page(cut, np.empty((48, PATCH_BYTES), np.uint8))


def test_a_page_that_the_model_refuses_is_refused() -> None:
    with pytest.raises(ValueError, match="ratio"):
        page_grid(jpeg(8, 8 * 250))
