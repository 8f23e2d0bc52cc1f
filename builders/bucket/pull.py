"""A dataset behind a URL to a folder: file by file, each checked against the manifest, which is written last."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mmprolong_data.errors import FormatError, MMProLongError
from mmprolong_data.manifest import MANIFEST_NAME, decode_manifest
from mmprolong_data.remote import MissingError, redacted

from ..card import CROISSANT, PICTURE
from ..card_info import CARD_FILES
from ..workspace import file_sha256, write_atomically
from .objects import Objects

_THREADS = 4
_OTHERS = ("README.md", CROISSANT, PICTURE, *CARD_FILES)
"""What belongs to a dataset without standing in its manifest."""


def pull_dataset(url: str, folder: Path, on_progress: Callable[[int, int], None]) -> int:
    """Copy a dataset. What is in the folder already, with the right SHA-256, is not fetched again.

    Args:
        url: Of the dataset; any that fsspec can read.
        folder: Empty, or where an earlier call was interrupted, or the same dataset of an older version.
        on_progress: Called with (bytes of shards that are here, bytes in all).

    Returns:
        Number of files that were fetched.

    Raises:
        FormatError: there is no dataset, or it is damaged.
        MMProLongError: it cannot be fetched, or the folder is that of a build.
    """
    if (folder / ".work").exists():
        raise MMProLongError(f"{folder} is the folder of a build. Remedy: name another one")
    marker = folder / ".pulling"
    if not marker.exists() and any(folder.glob("*")) and not (folder / MANIFEST_NAME).exists():
        raise MMProLongError(f"{folder} is not empty and holds no dataset. Remedy: name another one")
    objects = Objects(url)
    try:
        content = objects.read(MANIFEST_NAME)
        if content is None:
            raise FormatError(f"{redacted(url)}: no dataset (no {MANIFEST_NAME}). Remedy: finish its build first")
        manifest = decode_manifest(content, f"{redacted(url)}/{MANIFEST_NAME}")
        sizes = {shard["name"]: int(shard["bytes"]) for shard in manifest.shards}
        wanted = {shard["name"]: str(shard["sha256"]) for shard in manifest.shards} | manifest.indexes
        write_atomically(marker, b"")
        (folder / MANIFEST_NAME).unlink(missing_ok=True)
        for path in sorted(folder.glob("data/*/*")) + sorted(folder.glob("index/*")):
            if path.relative_to(folder).as_posix() not in wanted:
                path.unlink()  # of an older version, or half fetched

        def bring(name: str) -> bool:
            path = folder / name
            if path.is_file() and file_sha256(path) == wanted[name]:
                return False
            objects.fetch(name, path, wanted[name])
            return True

        fetched, done, total = 0, 0, sum(sizes.values())
        for name, new in zip(wanted, objects.each(bring, wanted, _THREADS), strict=True):
            fetched += new
            done += sizes.get(name, 0)
            on_progress(done, total)
        for name in _OTHERS:
            try:
                objects.fetch(name, folder / name)
            except MissingError:
                (folder / name).unlink(missing_ok=True)
        write_atomically(folder / MANIFEST_NAME, content)
        marker.unlink()
        return fetched
    finally:
        objects.close()
