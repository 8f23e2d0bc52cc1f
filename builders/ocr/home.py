"""The temporary home of OCR children; what a run that was killed left behind goes with the next run."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

PREFIX = "mmprolong-ocr-home-"


class Home:
    """A folder that is locked (``flock``) for as long as its process lives, whatever ends it.

    A new one first removes those of this user that nobody holds. It stands where temporary files do rather than in
    the build's work folder, which may be on slow shared storage and whose parts may run on many machines.
    """

    def __init__(self) -> None:
        remove_left()
        self.path: Path
        self._lock: int | None
        self.path, self._lock = _locked()

    def close(self) -> None:
        """Remove it."""
        if self._lock is not None:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._lock)
            self._lock = None


def remove_left() -> None:
    """Remove the homes of this user whose processes are gone."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        lock = _try_lock(path)
        if lock is None:
            continue
        try:
            shutil.rmtree(path, ignore_errors=True)
        finally:
            os.close(lock)


def _locked() -> tuple[Path, int]:
    """A new folder and the descriptor that holds its lock."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=PREFIX))
        lock = _try_lock(path)
        # Another run may have taken it for left between the two lines above.
        if lock is not None and path.is_dir():
            return path, lock
        if lock is not None:
            os.close(lock)


def _try_lock(path: Path) -> int | None:
    """A descriptor that holds the folder; None where another process does, or where it is not ours to remove."""
    try:
        lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        if os.fstat(lock).st_uid != os.geteuid():
            raise PermissionError
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return lock
