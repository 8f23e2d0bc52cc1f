"""Pages as files that an endpoint reads itself: each picture is written once, under the hash of its bytes."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path
from urllib.parse import urlsplit

from mmprolong_data.errors import MMProLongError, SettingsError


class PageFiles:
    """A folder of pictures, and the URL under which the endpoint finds it."""

    def __init__(self, folder: Path, url: str = "") -> None:
        """Make the folder.

        Args:
            folder: Where pictures are written. What is there stays: evaluations of several models share it.
            url: Of the folder, as the endpoint sees it; "": ``file://`` and its path on this machine.

        Raises:
            SettingsError: ``url`` is neither file:// nor http(s)://.
            MMProLongError: the folder cannot be written.
        """
        if url and urlsplit(url).scheme not in ("file", "http", "https"):
            raise SettingsError(f"--pages-url {url}: must begin with file://, http:// or https://")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MMProLongError(f"{folder}: cannot be written: {error.strerror}") from None
        self._folder = folder.resolve()
        self._url = (url or self._folder.as_uri()).rstrip("/")

    def put(self, jpeg: bytes) -> str:
        """The URL of a picture, which is written if it is not there yet.

        Raises:
            MMProLongError: it cannot be written.
        """
        digest = hashlib.sha256(jpeg).hexdigest()
        name = f"{digest[:2]}/{digest}.jpg"
        path = self._folder / name
        try:
            if not path.exists():
                path.parent.mkdir(exist_ok=True)
                temporary = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
                temporary.write_bytes(jpeg)
                temporary.replace(path)
        except OSError as error:
            raise MMProLongError(f"{path}: cannot be written: {error.strerror}") from None
        return f"{self._url}/{name}"
