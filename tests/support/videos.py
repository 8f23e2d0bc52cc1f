"""Small videos, written with PyAV: a brightness that tells the second in which a frame is shown."""

from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np
from PIL import Image

STEP = 10
"""Brightness from one second to the next."""


def write_video(
    path: Path, seconds: float, fps: int = 8, size: tuple[int, int] = (112, 84), codec: str = "libx264", gop: int = 16
) -> Path:
    """A video whose brightness is ``STEP`` times the second, modulo 250; ``gop`` frames from keyframe to keyframe."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps, options={"sc_threshold": "0"})
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.gop_size = gop
        stream.thread_count = 1
        for number in range(round(seconds * fps)):
            shade = STEP * (number // fps) % 250
            frame = av.VideoFrame.from_ndarray(np.full((size[1], size[0], 3), shade, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_sound(path: Path) -> Path:
    """A file with sound and no picture."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def brightness(page: bytes) -> float:
    """Of a page, from 0 to 255."""
    with Image.open(io.BytesIO(page)) as image:
        return float(np.asarray(image.convert("L")).mean())


def second_of(page: bytes) -> int:
    """The second in which a frame of ``write_video`` was shown (videos of less than 25 s)."""
    return round(brightness(page) / STEP)
