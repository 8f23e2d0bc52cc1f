"""Pages to pixels as the model's processor makes them; packs cut for ranks without losing a row."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
import torch
from mmprolong_trainer.batch import make_batch
from mmprolong_trainer.images import PageDecoder
from mmprolong_trainer.packed import PackedModel
from mmprolong_trainer.pixels import PIXEL_MEAN, PIXEL_STD
from mmprolong_trainer.ulysses import repeat_heads, split_pages
from PIL import Image
from support.samples import document_pages
from support.vlm import load_model, make_document
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from mmprolong_data.errors import FormatError


@pytest.mark.parametrize("patch", [14, 16])
def test_pixels_equal_the_processors(patch: int, request: pytest.FixtureRequest) -> None:
    """uint8 patches, normalised in the model, are what the processor makes of the same page (float32)."""
    model = load_model(request.getfixturevalue({14: "qwen2_5", 16: "qwen3"}[patch]))
    pages = list(document_pages(0, 2, 112, 84)) + list(document_pages(1, 1, 98, 140))
    decoder = PageDecoder(patch, 2, 2)
    grid = decoder.grid(pages, "test")
    pixels = decoder.decode(pages, grid, "test")
    processor = Qwen2VLImageProcessorPil(
        patch_size=patch, image_mean=list(PIXEL_MEAN[patch]), image_std=list(PIXEL_STD[patch]),
        size={"shortest_edge": 56 * 56, "longest_edge": 12_845_056},
    )  # fmt: skip
    normalize = PackedModel(model, 8).normalize
    ours = normalize(torch.from_numpy(pixels), torch.float32)
    # The same decoder for both: what is left are sizes, order, normalisation and frames, to the last bit.
    images = [Image.fromarray(simplejpeg.decode_jpeg(page, colorspace="RGB")) for page in pages]
    expected = processor(images, return_tensors="pt")
    assert torch.equal(expected["image_grid_thw"], torch.from_numpy(grid))
    assert torch.equal(ours, expected["pixel_values"])
    # Files of other kinds are decoded in another way.
    files = [io.BytesIO() for _ in images]
    for file, image in zip(files, images, strict=True):
        image.save(file, "PNG")
    others = decoder.decode([file.getvalue() for file in files], grid, "test")
    assert torch.equal(normalize(torch.from_numpy(others), torch.float32), expected["pixel_values"])
    # JPEG decoders differ by a step of brightness at the most where they interpolate colour.
    pillow = processor([Image.open(io.BytesIO(page)) for page in pages], return_tensors="pt")
    assert float((ours - pillow["pixel_values"]).abs().max()) < 0.05


def test_other_formats_and_limits(tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.new("RGBA", (640, 480), (10, 20, 30, 255)).save(stream, "PNG")
    decoder = PageDecoder(14, 2, 1, max_pixels=100_352)
    grid = decoder.grid([stream.getvalue()], "row 0")
    assert grid.prod() * 14 * 14 <= 100_352
    assert decoder.decode([stream.getvalue()], grid, "row 0").shape == (grid.prod(), 588)
    with pytest.raises(FormatError, match="row 7: page 2"):
        decoder.grid([stream.getvalue(), b"not an image"], "row 7")
    jpeg = bytes(document_pages(0, 1)[0])
    with pytest.raises(FormatError, match="row 7"):
        PageDecoder(14, 2, 1).decode([jpeg[:40]], np.array([[1, 8, 6]]), "row 7")


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_parts_of_ranks_add_up_to_the_pack(qwen2_5: Path, ranks: int) -> None:
    documents = [
        make_document(qwen2_5, [(6, 8), (4, 4)], "What is the depth?", 0),
        make_document(qwen2_5, [], "no page", 1),
        make_document(qwen2_5, [(6, 6)], "user 12", 2),
    ]
    decoder = PageDecoder(14, 2, 1)
    parts = [make_batch(documents, rank, ranks, decoder) for rank in range(ranks)]
    whole = make_batch(documents, 0, 1, decoder)
    for name in ("input_ids", "targets", "groups"):
        joined = torch.cat([getattr(part, name) for part in parts])
        assert torch.equal(joined[: whole.tokens], getattr(whole, name))
    pixels = torch.cat([part.pixels for part in parts if part.has_pages])
    assert torch.equal(pixels, whole.pixels)
    for rank, part in enumerate(parts):
        assert len(part.input_ids) == -(-whole.tokens // ranks)
        assert sum(row[rank] for row in part.owned) == len(part.slots)
        made = int(part.grid_thw.prod(dim=1).sum()) // 4 if part.has_pages else 0
        assert sum(part.owned[rank]) == made
        assert (part.tokens, part.pages, part.labelled) == (whole.tokens, 3, whole.labelled)
    assert parts[0].cu_seqlens[-1] == ranks * len(parts[0].input_ids)


def test_pages_are_shared_by_weight() -> None:
    assert split_pages([10, 10, 10, 10], 2) == [0, 2, 4]
    assert split_pages([30, 1, 1, 1], 2) == [0, 1, 4]
    assert split_pages([8], 4)[-1] == 1
    assert split_pages([], 2) == [0, 0, 0]


def test_key_heads_are_repeated_only_where_ranks_outnumber_them() -> None:
    x = torch.arange(2.0).view(1, 2, 1)
    assert repeat_heads(x, 2) is x
    assert repeat_heads(x, 4).flatten().tolist() == [0, 0, 1, 1]
    with pytest.raises(ValueError, match="cannot be spread"):
        repeat_heads(x, 3)
