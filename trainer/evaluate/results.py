"""Replies on disk: one appended line each, so that a run that is killed loses at most what was under way."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

from mmprolong_data.errors import FormatError, MMProLongError

RESULTS_NAME = "results.jsonl"


@dataclass(frozen=True, slots=True)
class Result:
    """A reply, or why there is none.

    Attributes:
        item: Key of the item.
        asked: Its fingerprint: what the model saw.
        settings: Fingerprint of the backend's settings: who answered, and how.
        output: The text; "" if the model said nothing.
        error: Why there is no reply; "" if there is one. Such an item is asked again by the next run.
        seconds: Wall time.
    """

    item: str
    asked: str
    settings: str
    output: str
    error: str = ""
    seconds: float = 0.0


class ResultStore:
    """The file of replies of one run's folder; held by one process at a time."""

    def __init__(self, folder: Path) -> None:
        """Open or create it; a line that was cut by a kill is dropped.

        Raises:
            MMProLongError: another process uses it, or it cannot be written.
            FormatError: a line inside it is damaged.
        """
        self.path = folder / RESULTS_NAME
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock: IO[str] = (folder / f"{RESULTS_NAME}.lock").open("a")
            self._stream: IO[bytes] = self.path.open("ab")
        except OSError as error:
            raise MMProLongError(f"{folder}: cannot be written: {error.strerror}") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._stream.close()
            self._lock.close()
            raise MMProLongError(
                f"{folder}: another evaluation is writing here. Remedy: wait, or another --out"
            ) from None
        self._drop_cut_line()
        self._known = {(r.asked, r.settings): r for r in read_results(self.path)}

    def find(self, asked: str, settings: str) -> Result | None:
        """The newest line about an item, under these settings."""
        return self._known.get((asked, settings))

    def add(self, result: Result) -> None:
        """Append a line; when this returns, a kill of the process cannot lose it."""
        line = json.dumps(asdict(result), ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        os.write(self._stream.fileno(), line)
        self._known[result.asked, result.settings] = result

    def close(self) -> None:
        """Let others use the file."""
        self._stream.close()
        self._lock.close()

    def __enter__(self) -> ResultStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _drop_cut_line(self) -> None:
        data = self.path.read_bytes()
        if data and not data.endswith(b"\n"):
            os.ftruncate(self._stream.fileno(), data.rfind(b"\n") + 1)


def read_results(path: Path) -> Iterable[Result]:
    """All lines, in order.

    Raises:
        FormatError: a line is damaged; names it.
    """
    with contextlib.suppress(FileNotFoundError), path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            try:
                yield Result(**json.loads(line))
            except (ValueError, TypeError):
                raise FormatError(f"{path}: line {number} is damaged. Remedy: remove that line") from None
