"""The suites by name, and the choice of some of their items."""

from __future__ import annotations

import importlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from mmprolong_data.errors import MMProLongError, SettingsError

from .items import Item, Suite, length_name
from .probe.compose import stable_int
from .readers.frames import Sampling

READERS = {
    "probe": ("probe", "read_probe"),
    "mmlongbench": ("mmlongbench", "read_mmlongbench"),
    "mmlongbench-doc": ("documents", "read_mmlongbench_doc"),
    "longdocurl": ("documents", "read_longdocurl"),
    "slidevqa": ("documents", "read_slidevqa"),
    "mm-niah": ("needles", "read_mm_niah"),
    "vtcbench": ("needles", "read_vtcbench"),
    "video-mme": ("videos", "read_video_mme"),
    "mlvu": ("videos", "read_mlvu"),
    "longvideobench": ("videos", "read_longvideobench"),
}
"""Suite -> module of ``readers`` and function (folder or file) -> Suite."""


def open_suite(name: str, data: Path, sampling: Sampling | None = None) -> Suite:
    """Read a suite.

    Args:
        name: One of ``READERS``.
        data: Its files.
        sampling: Which frames of videos are shown; None: as the recipe does.

    Raises:
        SettingsError: an unknown name.
        MMProLongError: ``data`` does not exist, or is not what the suite needs; says which file is wanted.
    """
    if name not in READERS:
        raise SettingsError(f"--suite {name}: must be one of {', '.join(READERS)}")
    if not data.exists():
        raise MMProLongError(f"{data}: no such file or folder. Remedy: --data with what the suite {name} needs")
    module, function = READERS[name]
    read: Callable[..., Suite] = getattr(importlib.import_module(f".readers.{module}", __package__), function)
    if sampling is None:
        return read(data)
    if module != "videos":
        raise SettingsError(f"--suite {name}: has no videos. Remedy: leave out --video-fps, -frames and -tokens")
    return read(data, sampling)


def choose(suite: Suite, lengths: Sequence[int] = (), tasks: Sequence[str] = (), limit: int = 0) -> Suite:
    """Some items of a suite, in the suite's order.

    Args:
        suite: All items.
        lengths, tasks: Keep these only; empty: all.
        limit: Keep so many of each task at each length, drawn by a hash of their keys; 0: all.

    Raises:
        SettingsError: a limit below 0, or nothing is left; says what there is.
    """
    if limit < 0:
        raise SettingsError(f"--limit {limit}: must be 0 (all) or more")
    items = [
        item for item in suite.items if (not lengths or item.length in lengths) and (not tasks or item.task in tasks)
    ]
    if not items:
        there = ", ".join(length_name(n) for n in sorted({item.length for item in suite.items}))
        kinds = ", ".join(sorted({item.task for item in suite.items}))
        raise SettingsError(f"no item of {suite.name} is chosen. There are the lengths {there} and the tasks {kinds}")
    if limit:
        cells: dict[tuple[str, int], list[Item]] = defaultdict(list)
        for item in items:
            cells[item.task, item.length].append(item)
        kept = {
            item.key
            for cell in cells.values()
            for item in sorted(cell, key=lambda item: stable_int("limit", item.key))[:limit]
        }
        items = [item for item in items if item.key in kept]
    return replace(suite, items=items)


def check_keys(suite: Suite) -> None:
    """Refuse a suite in which a key comes twice: replies would be mixed up.

    Raises:
        MMProLongError: naming the key.
    """
    seen: set[str] = set()
    for item in suite.items:
        if item.key in seen:
            raise MMProLongError(
                f"{suite.name}: the key {item.key!r} comes twice in the data. Remedy: one copy of each file"
            )
        seen.add(item.key)
