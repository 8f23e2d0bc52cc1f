"""What readers share: finding the wanted files, JSON lines, and pictures below a root that no path may leave."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mmprolong_data.errors import FormatError, MMProLongError

from ..items import IMAGE, Part

PICTURES = (".jpg", ".jpeg", ".png", ".webp")


def wanted(data: Path, what: str) -> MMProLongError:
    """The error for a folder or file that is not what a suite needs."""
    return MMProLongError(f"{data}: not what this suite needs. Wanted: {what}")


def read_jsonl(path: Path, fields: Iterable[str], what: str) -> Iterator[dict[str, Any]]:
    """The objects of a JSON-lines file, or of a JSON file that holds one array.

    Raises:
        FormatError: not JSON, or an object lacks one of ``fields``; names the line and says what is ``wanted``.
        MMProLongError: the file cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MMProLongError(f"{path}: cannot be read ({error}). Wanted: {what}") from None
    if text.lstrip().startswith("["):
        try:
            values = list(enumerate(json.loads(text), start=1))
        except ValueError as error:
            raise FormatError(f"{path}: not JSON ({error}). Wanted: {what}") from None
    else:
        values = []
        for number, line in enumerate(text.splitlines(), start=1):
            if line.strip():
                try:
                    values.append((number, json.loads(line)))
                except ValueError as error:
                    raise FormatError(f"{path}: line {number} is not JSON ({error}). Wanted: {what}") from None
    needed = list(fields)
    for number, value in values:
        missing = [name for name in needed if name not in value] if isinstance(value, dict) else needed
        if missing:
            raise FormatError(f"{path}: object {number} lacks {', '.join(missing)}. Wanted: {what}")
        yield value


class Pictures:
    """Pictures below one of several roots."""

    def __init__(self, roots: Sequence[Path], what: str) -> None:
        """Look below ``roots``, in this order; ``what`` is said where a picture is missing."""
        self._roots = [root.resolve() for root in roots if root.is_dir()]
        self._what = what

    def find(self, name: str) -> Path:
        """The file that a relative path names.

        Raises:
            FormatError: it is nowhere, or the path leads out of the folder.
        """
        for root in self._roots:
            path = (root / name).resolve()
            if path.is_relative_to(root) and path.is_file():
                return path
        looked = ", ".join(map(str, self._roots)) or "no folder of pictures"
        raise FormatError(f"the picture {name!r} is missing (looked below {looked}). Wanted: {self._what}")

    def loader(self, names: Sequence[str]) -> Callable[[], Sequence[bytes]]:
        """Reads the pictures when it is called."""
        return functools.partial(_read_all, self, tuple(names))


def _read_all(pictures: Pictures, names: Sequence[str]) -> list[bytes]:
    return [pictures.find(name).read_bytes() for name in names]


def parts_of(text: str, marks: str = r"<image(?: token)?>") -> tuple[Part, ...]:
    """A text with image marks as parts."""
    parts: list[Part] = []
    pieces = re.split(marks, text)
    for number, piece in enumerate(pieces):
        if piece:
            parts.append(piece)
        if number < len(pieces) - 1:
            parts.append(IMAGE)
    return tuple(parts)


def plain(value: Any) -> str:
    """An answer as text: lists and objects as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def pages_below(folder: Path) -> list[Path]:
    """The pictures of a document in the order of the last number in their names."""
    files = [path for path in folder.iterdir() if path.suffix.lower() in PICTURES]
    return sorted(files, key=lambda path: (last_number(path.stem), path.name))


def last_number(stem: str) -> int:
    """The last number in a file's name, or -1."""
    found = re.findall(r"\d+", stem)
    return int(found[-1]) if found else -1


def depth_of(evidence: Sequence[int], pages: int) -> float | None:
    """Place of the first evidence page, from 0 to 1; None if there is none."""
    return evidence[0] / max(1, pages - 1) if evidence else None


def list_or_text(value: Any) -> list[Any]:
    """A list that may be written as text, such as ``"[3, 5]"`` or ``"['Table']"``."""
    if isinstance(value, list):
        return value
    from ..scorers.text import parse_list

    items = parse_list(str(value))
    return [int(item) if re.fullmatch(r"-?\d+", item) else item for item in items or []]
