"""Frames of a video as pages: which moments are taken, and their pictures, decoded with PyAV."""

from __future__ import annotations

import contextlib
import io
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmprolong_data.errors import FormatError, SettingsError, missing_extra
from mmprolong_data.vision import FACTOR, smart_resize

FRAME_TOKENS = 768
"""Most tokens of one frame: the limit that Qwen2.5-VL's processor puts on the frames of a video."""
LEAST_FRAME_TOKENS = 4
"""The model's smallest picture."""
QUALITY = 92
SLACK = 1.0
"""Seconds by which a file may say that it is longer than its last frame: sound often is."""
SEEK = 2.0
"""Seconds ahead from which looking for a keyframe is tried instead of decoding all that lies between."""
KEPT = 4
"""Videos whose frames stay in memory: questions about one video follow each other."""
_CONTAINERS = "mov,mp4,matroska,webm,avi,mpegts,mpeg,flv,asf,ogg"
"""What may be opened. Playlists are no videos: they would make FFmpeg open other files."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which frames are taken: ``fps`` of them a second, fewer where a video is too long for that."""

    fps: float = 1.0
    max_frames: int = 768
    max_tokens: int = 24_576
    """Of all frames of a video together; they become smaller until they fit."""

    def check(self) -> None:
        """Check ranges.

        Raises:
            SettingsError: naming the setting.
        """
        if not 0.001 <= self.fps <= 60:
            raise SettingsError(f"--video-fps {self.fps}: must be from 0.001 to 60")
        if not 1 <= self.max_frames <= 100_000:
            raise SettingsError(f"--video-frames {self.max_frames}: must be from 1 to 100,000")
        if self.max_tokens < LEAST_FRAME_TOKENS * self.max_frames:
            raise SettingsError(
                f"--video-tokens {self.max_tokens}: must be at least {LEAST_FRAME_TOKENS} a frame, of --video-frames"
                f" {self.max_frames}"
            )

    def times(self, duration: float) -> list[float]:
        """Moments (seconds) in the middle of equal parts of a video, the same for the same duration."""
        count = min(self.max_frames, max(1, int(duration * self.fps + 1e-6)))
        return [duration * (2 * number + 1) / (2 * count) for number in range(count)]

    def frame_tokens(self, count: int) -> int:
        """Most tokens of each of ``count`` frames."""
        return min(FRAME_TOKENS, self.max_tokens // count)


class Frames:
    """Reads videos; the frames of the last few stay in memory, however many threads ask."""

    def __init__(self, sampling: Sampling) -> None:
        """Nothing is read yet.

        Raises:
            SettingsError: a setting is out of range.
            MMProLongError: PyAV is not installed.
        """
        sampling.check()
        _av()
        self.sampling = sampling
        self._lock = threading.Lock()
        self._durations: dict[Path, float] = {}
        self._kept: OrderedDict[Path, Future[list[bytes]]] = OrderedDict()

    def times(self, path: Path) -> list[float]:
        """The moments of a video, from its header.

        Raises:
            FormatError: it cannot be read; names the file.
        """
        if path not in self._durations:
            self._durations[path] = duration_of(path)
        return self.sampling.times(self._durations[path])

    def pictures(self, path: Path) -> list[bytes]:
        """The frames of a video as JPEG.

        Raises:
            FormatError: it cannot be read, or ends too early; names the file.
        """
        with self._lock:
            future = self._kept.get(path)
            mine = future is None
            if future is None:
                future = self._kept[path] = Future()
                while len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
        if mine:
            try:
                times = self.times(path)
                future.set_result(decode(path, times, self.sampling.frame_tokens(len(times))))
            except BaseException as error:
                future.set_exception(error)
                raise
        return future.result()


def duration_of(path: Path) -> float:
    """Seconds of a video's picture.

    Raises:
        FormatError: it cannot be read, or has no picture; names the file.
    """
    with _opened(path) as (container, stream):
        if stream.duration:
            return float(stream.duration * stream.time_base)
        if container.duration:
            return float(container.duration) / 1e6
        # Recorded live: the length is known only to who has seen the end.
        ends = [packet.pts + (packet.duration or 0) for packet in container.demux(stream) if packet.pts is not None]
        if not ends:
            raise FormatError(f"{path}: damaged: the video has no frames")
        return max(float((max(ends) - (stream.start_time or 0)) * stream.time_base), 1e-3)


def decode(path: Path, times: Sequence[float], tokens: int) -> list[bytes]:
    """The frames that are shown at some moments.

    Args:
        path: The video.
        times: Seconds from its start, ascending.
        tokens: A frame becomes smaller until it takes no more than these.

    Returns:
        JPEG, sides multiples of 28 pixels. Where several moments show one frame, it comes several times.

    Raises:
        FormatError: it cannot be read, or ends before the last moment; names the file.
    """
    with _opened(path) as (container, stream):
        player = _Player(container, stream)
        pictures: list[bytes] = []
        last: Any = None
        for moment in times:
            frame = player.at(moment)
            if frame is None or moment > player.end + SLACK:
                raise FormatError(
                    f"{path}: damaged: its picture ends after {player.end:.1f} s, {times[-1]:.1f} s wanted"
                )
            pictures.append(pictures[-1] if frame is last else as_page(frame.to_image(), tokens))
            last = frame
        return pictures


class _Player:
    """Goes forward through a video."""

    def __init__(self, container: Any, stream: Any) -> None:
        stream.thread_type = "AUTO"
        self._container, self._stream = container, stream
        self._start = float((stream.start_time or 0) * stream.time_base)
        self._frames: Iterator[Any] = iter(container.decode(stream))
        self._seeks = True
        self._shown = self._coming = self._pull()

    def at(self, moment: float) -> Any:
        """The frame that is shown then, or the last one if that is over; None if there is none."""
        if self._seeks and self._coming is not None and moment > self._time(self._coming) + SEEK:
            self._jump(moment)
        while self._coming is not None and self._time(self._coming) <= moment:
            self._shown, self._coming = self._coming, self._pull()
        return self._shown

    @property
    def end(self) -> float:
        """Seconds until the frame that is shown is over."""
        if self._coming is not None:
            return self._time(self._coming)
        if self._shown is None:
            return 0.0
        return self._time(self._shown) + float((self._shown.duration or 0) * self._stream.time_base)

    def _jump(self, moment: float) -> None:
        """Go on from the last keyframe before a moment, if that saves decoding."""
        current = self._time(self._coming)
        self._seek(moment)
        if self._coming is None or self._time(self._coming) > moment:  # a wrong index
            self._seeks = False
            self._seek(0.0)
        elif self._time(self._coming) <= current:  # few keyframes: jumping would decode the same again and again
            self._seeks = False

    def _seek(self, moment: float) -> None:
        place = int((moment + self._start) / self._stream.time_base)
        self._container.seek(place, stream=self._stream, backward=True)
        self._frames = iter(self._container.decode(self._stream))
        self._coming = self._pull()

    def _pull(self) -> Any:
        return next((frame for frame in self._frames if frame.time is not None), None)

    def _time(self, frame: Any) -> float:
        return float(frame.time) - self._start


def as_page(image: Any, tokens: int) -> bytes:
    """A frame as a page: sides multiples of 28 pixels, at most ``tokens`` tokens; never larger than it was."""
    height, width = smart_resize(image.height, image.width, max_pixels=tokens * FACTOR * FACTOR)
    if (width, height) != image.size:
        from PIL import Image

        image = image.resize((width, height), Image.Resampling.BICUBIC)
    output = io.BytesIO()
    image.save(output, "JPEG", quality=QUALITY)
    return output.getvalue()


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """Container and picture stream of a video; every error of FFmpeg names the file."""
    av = _av()
    options = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "file"}
    try:
        # From an open file: what stands in a video never makes FFmpeg open another one.
        with path.open("rb") as file, av.open(file, options=options) as container:
            if not container.streams.video:
                raise FormatError(f"{path}: holds no picture, only sound")
            yield container, container.streams.video[0]
    except (av.error.FFmpegError, OSError) as error:
        raise FormatError(f"{path}: cannot be read as a video ({error.strerror or error})") from None


def _av() -> Any:
    try:
        import av
    except ImportError:
        raise missing_extra("av", "video") from None
    return av
