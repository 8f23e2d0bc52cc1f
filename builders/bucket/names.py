"""Names of the objects of slices: reading them out of a listing, and whether a sidecar names what it may."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from mmprolong_data.schema import CONFIG_NAMES
from mmprolong_data.shards import EXTENSION

SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_SLICE = re.compile(r"(\d{5,})\.json", re.ASCII)
_SHARDS = {
    f"{container}/{config}": f"{config}{extension}"
    for container, extension in EXTENSION.items()
    for config in CONFIG_NAMES
}
"""Container and config -> the name of its shard in the folder of a slice."""


def numbers_in(listing: Iterable[str], folder: str) -> list[int]:
    """The numbers of slices that have a JSON object in a folder."""
    found = []
    for key in listing:
        path = PurePosixPath(key)
        if str(path.parent) == folder and (match := _SLICE.fullmatch(path.name)):
            found.append(int(match[1]))
    return sorted(found)


def attempts_in(listing: Iterable[str], folder: str) -> Counter[int]:
    """Slice -> how often it was begun."""
    counts: Counter[int] = Counter()
    for key in listing:
        path = PurePosixPath(key)
        if str(path.parent) == folder and (number := path.name.partition("-")[0]).isdecimal():
            counts[int(number)] += 1
    return counts


def index_of(shard: Path) -> Path:
    """Where the index rows of a packed shard lie."""
    return shard.with_name(f"{shard.name}.index")


def is_sidecar(data: bytes | None) -> bool:
    """Whether an object is a sidecar, and names no files but those of a slice."""
    try:
        value = json.loads(data or b"")
        shards, indexes = value["shards"].items(), value["indexes"]
        for key, info in shards:
            name = _SHARDS[key]
            if info["name"] != name or (info["samples"] and not SHA256.fullmatch(indexes[f"{name}.index"])):
                return False
    except (ValueError, KeyError, TypeError, AttributeError):
        return False
    return True
