"""uint8 patches, as pages are decoded, to what the vision tower takes: reordered and normalised on the device."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

PIXEL_MEAN = {14: (0.48145466, 0.4578275, 0.40821073), 16: (0.5, 0.5, 0.5)}
PIXEL_STD = {14: (0.26862954, 0.26130258, 0.27577711), 16: (0.5, 0.5, 0.5)}
"""Patch size -> normalisation, of the released ``preprocessor_config.json`` of Qwen2.5-VL and Qwen3-VL."""


class PixelNormalizer:
    """The one place that knows the order of a patch's bytes: row, column, channel (``layout="hwc"`` of the loader).

    Decoders have pixels in that order; taking the channels apart costs a CPU a fifth of the time of a page, and a
    device next to nothing.
    """

    def __init__(self, vision_config: Any) -> None:
        """Take sizes and normalisation from a model's ``vision_config``."""
        self._temporal, self._channels = int(vision_config.temporal_patch_size), int(vision_config.in_channels)
        mean, std = (torch.tensor(table[vision_config.patch_size]) for table in (PIXEL_MEAN, PIXEL_STD))
        shape = (1, self._channels, 1)
        self._mean, self._std = mean.view(shape), std.view(shape)

    def __call__(self, pixels: Tensor, dtype: torch.dtype) -> Tensor:
        """uint8 patches [N, p * p * C] -> normalised [N, C * T * p * p]; a page's frames are copies of one another."""
        patches = pixels.view(len(pixels), -1, self._channels).transpose(1, 2).float()
        # In this order it is the processor's float32 arithmetic, to the last bit.
        patches = patches.div_(255.0).sub_(self._mean.to(pixels.device)).div_(self._std.to(pixels.device))
        return patches.unsqueeze(2).expand(-1, -1, self._temporal, -1).reshape(len(pixels), -1).to(dtype)
