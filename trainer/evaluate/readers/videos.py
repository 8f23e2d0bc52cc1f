"""Suites ``video-mme``, ``mlvu`` and ``longvideobench``: multiple choice about videos, whose frames serve as pages."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mmprolong_data.errors import FormatError

from ..items import IMAGE, Item, Part, Suite
from .files import read_jsonl, wanted
from .frames import Frames, Sampling

_VIDEO_MME = (
    "test-00000-of-00001.parquet of Video-MME (videomme/ is looked into too) and its unpacked videos below the same"
    " folder, such as data/VIDEO_ID.mp4"
)
_MLVU = "the files 1_plotQA.json ... 7_topic_reasoning.json of MLVU (json/) and its videos (video/) below one folder"
_LVB = "lvb_val.json of LongVideoBench and its unpacked videos below the same folder, such as videos/VIDEO_ID.mp4"
_VIDEOS = (".mp4", ".mkv", ".webm", ".avi", ".mov", ".m4v", ".flv", ".ts", ".mpg", ".mpeg", ".wmv")
_ASK = "Answer with the letter of the right option alone."
SAMPLING = Sampling()


def read_video_mme(data: Path, sampling: Sampling = SAMPLING) -> Suite:
    """Video-MME: 2,700 questions about 900 videos, without subtitles.

    Raises:
        MMProLongError: its table is not there, or PyAV is missing.
        FormatError: the table is not of the published form, or there are no videos.
    """
    tables = sorted(data.rglob("test-*.parquet")) if data.is_dir() else [data]
    if not tables or tables[0].suffix != ".parquet":
        raise wanted(data, _VIDEO_MME)
    needed = ["question_id", "videoID", "question", "options", "answer"]
    items, videos = [], _Videos(data if data.is_dir() else _root(data), sampling, _VIDEO_MME)
    for row in _rows(tables[0], needed, ["duration", "task_type", "domain"]):
        name = str(row["videoID"])
        options = [str(option).partition(".")[2].strip() for option in row["options"]]
        groups = {
            key: str(row.get(name) or "unknown")
            for key, name in (("duration", "duration"), ("kind", "task_type"), ("domain", "domain"))
        }
        number = ord(str(row["answer"]).strip().upper()[:1] or "?") - ord("A")
        items.append(
            videos.item(str(row["question_id"]), "video-mme", name, str(row["question"]), options, number, groups)
        )
    return videos.suite("video-mme", items, "items")


def read_mlvu(data: Path, sampling: Sampling = SAMPLING) -> Suite:
    """MLVU: its multiple-choice tasks; the score is the mean of the tasks' (M-Avg).

    Raises:
        MMProLongError: none of its files is there, or PyAV is missing.
        FormatError: a file is not of the published form, or there are no videos.
    """
    files = sorted(data.rglob("[0-9]_*.json")) if data.is_dir() else [data]
    if not files or files[0].suffix != ".json":
        raise wanted(data, _MLVU)
    videos = _Videos(data if data.is_dir() else _root(data), sampling, _MLVU)
    items: list[Item] = []
    left_out: Counter[str] = Counter()
    for path in files:
        for number, row in enumerate(read_jsonl(path, ("video", "question", "question_type"), _MLVU)):
            options = [str(option) for option in row.get("candidates") or []]
            if not options:  # captions and summaries: published with a judge of their own
                left_out[path.name] += 1
                continue
            answer = str(row.get("answer"))
            place = options.index(answer) if answer in options else -1
            task = str(row["question_type"])
            items.append(
                videos.item(
                    f"{path.stem}/{number}",
                    task,
                    str(row["video"]),
                    str(row["question"]),
                    options,
                    place,
                    {},
                    path.stem,
                )
            )
    if not items:
        raise wanted(data, _MLVU)
    notes = [f"{count} lines of {name} are left out: no multiple choice." for name, count in left_out.items()]
    return videos.suite("mlvu", items, "tasks", notes)


def read_longvideobench(data: Path, sampling: Sampling = SAMPLING) -> Suite:
    """LongVideoBench, validation: 1,337 questions about 752 videos, without subtitles.

    Raises:
        MMProLongError: its file is not there, or PyAV is missing.
        FormatError: the file is not of the published form, or there are no videos.
    """
    path = next(iter(sorted(data.rglob("lvb_val.json"))), data / "lvb_val.json") if data.is_dir() else data
    if not path.is_file() or path.suffix != ".json":
        raise wanted(data, _LVB)
    needed = ("id", "video_path", "question", "candidates", "correct_choice")
    items, videos = [], _Videos(data if data.is_dir() else _root(data), sampling, _LVB)
    for row in read_jsonl(path, needed, _LVB):
        options = [str(option) for option in row["candidates"]]
        groups = {"duration": f"{row.get('duration_group', 'unknown')} s"}
        groups["kind"] = str(row.get("question_category", "unknown"))
        place = row["correct_choice"] if isinstance(row["correct_choice"], int) else -1
        items.append(
            videos.item(
                str(row["id"]), "longvideobench", str(row["video_path"]), str(row["question"]), options, place, groups
            )
        )
    return videos.suite("longvideobench", items, "items")


class _Videos:
    """The videos below a folder, and items about them."""

    def __init__(self, root: Path, sampling: Sampling, what: str) -> None:
        self._root, self._what = root, what
        self._frames = Frames(sampling)
        self._sampling = sampling
        self._places: dict[str, list[Path]] = {}
        for path in sorted(root.rglob("*")):
            if path.suffix.lower() in _VIDEOS:
                self._places.setdefault(path.stem, []).append(path)
        if not self._places:
            raise FormatError(f"{root}: no videos below it. Wanted: {what}")

    def item(
        self, key: str, task: str, video: str, question: str, options: Sequence[str], right: int,
        groups: dict[str, str], hint: str = "",
    ) -> Item:  # fmt: skip
        """A question about a video. What is wrong with the video shows when the item is asked, and costs that item.

        Args:
            key, task, question, groups: See ``Item``.
            video: Its name, with or without extension.
            options: To choose from.
            right: Which of them.
            hint: Contains the name of the video's folder, should several have that name.
        """
        if not 0 <= right < len(options) or len(options) > 26:
            raise FormatError(f"{task} {key}: the right answer is none of its {len(options)} options")
        letters = [chr(65 + number) for number in range(len(options))]
        lines = [f"{letter}. {option}" for letter, option in zip(letters, options, strict=True)]
        asked = "\n".join([question, *lines, _ASK])
        parts, pages, load = self._pages(video, hint)
        return Item(
            key=key, task=task, parts=(*parts, asked), pages=pages, load=load, question="\n".join([question, *lines]),
            answer=letters[right], scorer="choice", chance=1 / len(options), groups=groups, max_tokens=64,
        )  # fmt: skip

    def suite(self, name: str, items: Sequence[Item], macro: str, notes: Sequence[str] = ()) -> Suite:
        """The suite with a word on how the videos are shown."""
        s = self._sampling
        shown = (
            f"Frames are pages with their times: {s.fps:g} a second, at most {s.max_frames:,}, together at most"
            f" {s.max_tokens:,} tokens. Sound and subtitles are not given."
        )
        return Suite(name, items, macro=macro, notes=(*notes, shown))

    def _pages(self, video: str, hint: str) -> tuple[list[Part], tuple[str, ...], Any]:
        path = self._find(video, hint)
        if path is None:
            return [IMAGE], (f"{video} missing",), functools.partial(_missing, video, self._root, self._what)
        name = path.relative_to(self._root).as_posix()
        try:
            times = self._frames.times(path)
        except FormatError:
            return [IMAGE], (f"{name} damaged",), functools.partial(self._frames.pictures, path)
        tokens = self._sampling.frame_tokens(len(times))
        size = path.stat().st_size
        parts: list[Part] = []
        for time in times:
            parts += [f"{time_label(time)}:", IMAGE]
        pages = tuple(f"{name} {size} {time:.3f} {tokens}" for time in times)
        return parts, pages, functools.partial(self._frames.pictures, path)

    def _find(self, video: str, hint: str) -> Path | None:
        found = self._places.get(Path(video).stem) or self._places.get(Path(video).name) or []
        return next((path for path in found if path.parent.name in hint), found[0] if found else None)


def time_label(seconds: float) -> str:
    """3725.5 -> ``1:02:05``; 65 -> ``1:05``."""
    whole = int(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _missing(video: str, root: Path, what: str) -> Sequence[bytes]:
    raise FormatError(f"{video}: no such video below {root}. Wanted: {what}")


def _root(path: Path) -> Path:
    """Where videos are looked for if a file is given: its folder, or the one above an annotations' folder."""
    return path.parent.parent if path.parent.name in ("json", "videomme") else path.parent


def _rows(path: Path, needed: Sequence[str], more: Sequence[str]) -> Iterator[dict[str, Any]]:
    try:
        file = pq.ParquetFile(path)
        names = file.schema_arrow.names
        missing = sorted(set(needed) - set(names))
        if missing:
            raise FormatError(f"{path}: lacks the columns {', '.join(missing)}. Wanted: {_VIDEO_MME}")
        columns = [*needed, *(name for name in more if name in names)]
        for batch in file.iter_batches(columns=columns):
            yield from batch.to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise FormatError(f"{path}: cannot be read ({error}). Wanted: {_VIDEO_MME}") from None
