"""The ledgers of a build: one of the whole, one of each part; how they are divided, united and added up.

A build without parts keeps everything in ``.work/llm.sqlite``. Parts may run on several machines at once, and a ledger
belongs to one process: so each part has its own, ``.work/llm/00003-of-00016.sqlite``, and reads the whole's, which
nobody writes to meanwhile. Whoever holds the work folder alone (a build without parts, ``--finish``) unites them.
"""

from __future__ import annotations

import fcntl
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from mmprolong_data.errors import MMProLongError
from mmprolong_data.llm.ledger_file import LedgerFile
from mmprolong_data.llm.merge import has_open_batches, settle, take_in
from mmprolong_data.llm.summary import Summary, merged, read_summary

from ...workspace import try_lock, write_atomically

_NAME = re.compile(r"\d{5,9}-of-\d{5,9}\.sqlite")


def whole_ledger(work: Path) -> Path:
    """The ledger of a build: of all its recipes, so that equal requests are paid once."""
    return work / "llm.sqlite"


def part_ledger(work: Path, part: int, parts: int) -> LedgerFile:
    """The ledger of a part."""
    return LedgerFile(work / "llm" / f"{part:05d}-of-{parts:05d}.sqlite", alone=True, before=whole_ledger(work))


def part_ledgers(work: Path) -> list[Path]:
    """The ledgers of parts that there are."""
    return sorted(path for path in (work / "llm").glob("*.sqlite") if _NAME.fullmatch(path.name))


def divided_into(work: Path) -> int | None:
    """The number of parts that ask now; None where the whole's ledger is in use."""
    try:
        return int(json.loads(_division(work).read_bytes())["parts"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def divide(work: Path, parts: int) -> None:
    """Make ready for parts. The caller holds the work folder alone.

    Raises:
        MMProLongError: requests wait in batches of another division: nobody but it can take their results.
    """
    whole = whole_ledger(work)
    unite(work)
    if has_open_batches(whole):
        raise MMProLongError(
            f"{work.parent}: requests wait in batches that a run without --part, or with another N, has sent."
            " Remedy: run the same command without --part"
        )
    settle(whole)
    write_atomically(_division(work), json.dumps({"parts": parts}).encode())


def unite(work: Path) -> None:
    """Bring what parts have asked and paid into the whole's ledger. The caller holds the work folder alone.

    Raises:
        MMProLongError: a ledger is damaged.
    """
    _division(work).unlink(missing_ok=True)
    paths = part_ledgers(work)
    take_in(whole_ledger(work), paths)
    for path in paths:
        _told(path).unlink(missing_ok=True)


def tell(path: Path, summary: Summary) -> None:
    """Note what a part's ledger says, for those who look while the part has it for itself."""
    write_atomically(_told(path), json.dumps(asdict(summary)).encode())


@dataclass(frozen=True, slots=True)
class Costs:
    """What all ledgers of a build say; those of ``running`` parts up to the last slice that was asked about."""

    summary: Summary
    running: int


def read_costs(work: Path) -> Costs:
    """Add all ledgers of a build up; changes nothing.

    Raises:
        MMProLongError: there is none, or one is damaged.
    """
    whole, parts = whole_ledger(work), part_ledgers(work)
    summaries, running = [], 0
    if whole.is_file() or not parts:
        summaries.append(read_summary(whole))
    for path in parts:
        try:
            with path.with_name(path.name + ".lock").open("rb") as stream:
                if try_lock(stream, fcntl.LOCK_SH):
                    summaries.append(read_summary(path))
                    continue
            running += 1
            summaries.append(Summary.from_dict(json.loads(_told(path).read_bytes())))
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            continue  # it has begun just now, or has been united
    return Costs(merged(summaries), running)


def _division(work: Path) -> Path:
    return work / "llm" / "division.json"


def _told(path: Path) -> Path:
    return path.with_suffix(".json")
