"""What the publishing commands print."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from mmprolong_data.schema import CONFIG_NAMES

from ..console import human_bytes
from ..untrusted import clean_text
from .diff import Difference
from .push_plan import PushPlan
from .remove import Removal
from .rules import MEANINGS, next_version

MOST_LINES = 20


class ByteProgress:
    """A bar in bytes on a terminal, nothing elsewhere."""

    def __init__(self, console: Console, title: str, unit: str = "bytes") -> None:
        amount = DownloadColumn() if unit == "bytes" else MofNCompleteColumn()
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(bar_width=None), amount, TimeRemainingColumn(),
            console=console, disable=not console.is_terminal, transient=True,
        )  # fmt: skip
        self._title = title
        self._task: TaskID | None = None

    def __call__(self, done: int, total: int) -> None:
        """``done`` of ``total``; the bar goes when all is done."""
        if self._task is None:
            self._task = self._progress.add_task(self._title, total=total)
            self._progress.start()
        self._progress.update(self._task, completed=done, total=total)
        if done >= total:
            self.close()

    def close(self) -> None:
        """Take the bar away."""
        self._progress.stop()


class PushDisplay:
    """An ``Observer`` of a push: bars in bytes on a terminal, a line for every slice elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._verify = ByteProgress(console, "verify")
        self._compare = ByteProgress(console, "compare", "samples")
        self._upload = ByteProgress(console, "upload")

    def verified(self, done: int, total: int) -> None:
        """See ``push.Observer``."""
        self._verify(done, total)

    def compared(self, done: int, total: int) -> None:
        """See ``push.Observer``."""
        self._compare(done, total)

    def sending(self, done: int, total: int, files: int) -> None:
        """See ``push.Observer``."""
        if self._console.is_terminal and files:
            self._upload(done, total)
            return
        what = f"next: {files} shards" if files else "next: manifest, indexes, card and tag"
        share = 100 * done // total if total else 100
        self._line(f"{human_bytes(done)} of {human_bytes(total)} ({share} %); {what}")

    def sent(self, done: int, total: int) -> None:
        """See ``push.Observer``."""
        self._upload(done, total)

    def note(self, text: str) -> None:
        """See ``push.Observer``."""
        self._line(text)

    def close(self) -> None:
        """Take the bars away."""
        self._verify.close()
        self._compare.close()
        self._upload.close()

    def _line(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


def print_push(console: Console, plan: PushPlan) -> None:
    """What a push is about to do, or would do."""
    line = _line_printer(console)
    if plan.done:
        line(f"{plan.repo}: v{plan.version} is published with exactly this content; nothing has to be sent.")
        return
    kind = "a new repository" if plan.new else f"after {plan.parent}" if plan.parent else "the first version"
    line(f"{plan.repo}: version {plan.version} ({kind}), {plan.manifest.container}")
    if plan.difference is not None:
        print_difference(console, plan.difference, brief=True)
    line(
        f"To send: {len(plan.send)} shards, {human_bytes(plan.bytes_of(plan.send))} at most (what Xet knows already"
        f" does not travel); {len(plan.present)} shards, {human_bytes(plan.bytes_of(plan.present))}, are there already."
    )
    if plan.delete:
        line(f"{len(plan.delete)} files of the parent are not in this version; they stay in its tag.")


def print_difference(console: Console, difference: Difference, *, brief: bool = False) -> None:
    """Documents, samples and answers added, removed and changed."""
    line = _line_printer(console)
    counts = difference.counts()
    table = Table("", "added", "removed", "changed", title="Difference", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for name in ("documents", "samples"):
        table.add_row(name, *(f"{counts[name][how]:,}" for how in ("added", "removed", "changed")))
    by_config = {name: sum(change.config == name for change in difference.changed) for name in CONFIG_NAMES}
    for name in CONFIG_NAMES:
        row = (difference.samples_added[name], difference.samples_removed[name], by_config[name])
        if any(row):
            table.add_row(f"  {name}", *(f"{number:,}" for number in row))
    table.add_row("answers", "", "", f"{difference.answers_changed():,}")
    console.print(table)
    if difference.rebuilt:
        line(f"{difference.rebuilt:,} samples differ in nothing but the version they were built for.")
    if brief:
        return
    for sign, documents in (("+", difference.documents_added), ("-", difference.documents_removed)):
        _some(line, [f"{sign} document {doc_id[:16]}  {clean_text(name)}" for doc_id, name in documents.items()])
    _some(line, [f"~ {change.config} {change.key}: {', '.join(change.fields)}" for change in difference.changed])
    _some(line, [f"! {text}" for text in difference.schema])
    _some(line, [f"  {text}" for text in difference.settings])
    if difference.level == "none":
        line("Nothing differs.")
    else:
        line(f"A change of {difference.level}: {MEANINGS[difference.level]}.")


def difference_json(difference: Difference, old: str, new: str) -> str:
    """A difference for programs."""
    value: dict[str, Any] = {
        "level": difference.level,
        "version": {"old": old, "new": new, "next": next_version(old, difference.level)},
        **difference.counts(),
        "answers_changed": difference.answers_changed(),
        "rebuilt": difference.rebuilt,
        "documents_added": difference.documents_added,
        "documents_removed": difference.documents_removed,
        "changed": [
            {"key": c.key, "config": c.config, "doc_id": c.doc_id, "fields": list(c.fields)} for c in difference.changed
        ],
        "schema": difference.schema,
        "settings": difference.settings,
    }
    return json.dumps(value, indent=1, ensure_ascii=False)


def print_removal(console: Console, removal: Removal, root: Path) -> None:
    """What left, and what is to be done next."""
    line = _line_printer(console)
    line(f"{root}: version {removal.parent} -> {removal.version}. What left:")
    for doc_id, name in removal.documents.items():
        line(f"  document {doc_id}  {clean_text(name)}")
    for config in CONFIG_NAMES:
        if removal.samples[config]:
            line(f"  {config}: {removal.samples[config]:,} samples")
    line(f"Shards: {removal.rewritten} rewritten, {removal.dropped} gone, {removal.kept} with the bytes they had.")
    line("The work folder, the report and pictures are deleted: they may show the document.")
    line(f"Next: mmprolong verify {root}, then mmprolong push. Older tags on the Hub still hold the document.")


def _line_printer(console: Console) -> Callable[[str], None]:
    return lambda text: console.print(text, markup=False, highlight=False, soft_wrap=True)


def _some(line: Callable[[str], None], texts: list[str]) -> None:
    for text in texts[:MOST_LINES]:
        line(text)
    if len(texts) > MOST_LINES:
        line(f"  and {len(texts) - MOST_LINES:,} more (--json lists all)")
