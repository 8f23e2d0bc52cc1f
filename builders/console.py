"""What a build shows in the terminal: progress bars, the plan of a dry run, the summary at the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from mmprolong_data.schema import CONFIG_NAMES, SPLITS

from .reasons import DOCUMENT_REASONS, SAMPLE_REASONS
from .recipe import Recipe
from .select import BYTES_PER_TOKEN, Plan

if TYPE_CHECKING:
    from .pipeline import BuildResult, PartResult

START_SECONDS, CPU_SECONDS_PER_PAGE = 2.0, 0.026
"""CPU time of a build: for its start and end, and a page with all that it costs (``benchmarks/scale.py``: 18 ms in long
documents, up to 26 ms in short ones, without OCR and models). For the estimate of a dry run only."""
SECOND_WORKER = 0.85
"""What each worker after the first adds, as a part of the first one: one process writes the shards of all."""


class _Speed(TextColumn):
    def __init__(self) -> None:
        super().__init__("")

    def render(self, task: Task) -> Text:
        unit = task.fields.get("unit", "")
        return Text(f"{task.speed:,.0f} {unit}/s" if task.speed else "", style="progress.data.speed")


class ProgressDisplay:
    """Progress bars on a terminal, nothing elsewhere. An ``Observer`` of the pipeline."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description:<10}"),
            BarColumn(bar_width=None),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f} {task.fields[unit]}"),
            _Speed(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}
        self._lock = threading.Lock()
        self._pages = 0
        self.started = time.monotonic()

    def __enter__(self) -> ProgressDisplay:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def inventory(self, done: int, total: int) -> None:
        """See ``pipeline.Observer``."""
        self._progress.update(self._task("inventory", "files", total), completed=done, total=total)

    def survey(self, done: int, total: int) -> None:
        """See ``pipeline.Observer``."""
        self._progress.update(self._task("survey", "documents", total), completed=done, total=total)

    def planned(self, plan: Plan) -> None:
        """See ``pipeline.Observer``."""
        self._pages = sum(plan.documents["pages"].to_pylist())
        for stage in ("parse", "pack"):
            self._task(stage, "pages", self._pages)

    def progress(self, stage: str, documents: int, pages: int) -> None:
        """See ``pipeline.Observer``."""
        self._progress.advance(self._task(stage, "pages", self._pages), pages)

    def note(self, text: str) -> None:
        """See ``pipeline.Observer``."""
        self._console.print(text, style="yellow", highlight=False)

    def _task(self, name: str, unit: str, total: int) -> TaskID:
        with self._lock:
            if name not in self._tasks:
                self._tasks[name] = self._progress.add_task(name, total=total, unit=unit)
            return self._tasks[name]


def print_plan(console: Console, plan: Plan, recipe: Recipe, workers: int) -> None:
    """The plan of a dry run: documents in and out, samples, tokens, shards, estimated time and bytes."""
    documents = plan.documents
    pages = sum(documents["pages"].to_pylist())
    samples = plan.samples()
    tokens = dict.fromkeys(samples, 0)
    shards: dict[str, set[tuple[str, int]]] = {config: set() for config in samples}
    columns = (documents[name].to_pylist() for name in ("tokens", "configs", "split", "slice"))
    for count, configs, split, number in zip(*columns, strict=True):
        for config in configs:
            tokens[config] += count * (recipe.qa.per_document if not config.startswith("ocr") else 1)
            shards[config].add((split, number))
    table = Table("config", *SPLITS, "tokens", "shards", "about", title="Plan", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for config in CONFIG_NAMES:
        if config in samples:
            counts = (f"{samples[config][split]:,}" for split in SPLITS)
            size = human_bytes(tokens[config] * BYTES_PER_TOKEN)
            table.add_row(config, *counts, f"{tokens[config]:,}", f"{len(shards[config]):,}", size)
    console.print(table)
    print_left_out(console, plan.found, len(documents), plan.left_out)
    total = sum(tokens.values())
    seconds = estimated_seconds(pages, workers)
    console.print(
        f"{len(documents):,} documents, {pages:,} pages -> at most {total:,} tokens,"
        f" about {human_bytes(total * BYTES_PER_TOKEN)}, about {human_time(seconds)} with {workers} workers.",
        highlight=False,
    )
    if recipe.uses_model():
        _print_model_plan(console, plan, recipe)
    console.print("Documents can still be left out when they are parsed. Nothing was built (--dry-run).")


def estimated_seconds(pages: int, workers: int) -> float:
    """Wall time of a build of so many pages on this machine, with nothing else to do."""
    from .pipeline import default_workers

    useful = min(workers, default_workers())
    return START_SECONDS + pages * CPU_SECONDS_PER_PAGE / (1.0 + SECOND_WORKER * (useful - 1))


def _print_model_plan(console: Console, plan: Plan, recipe: Recipe) -> None:
    """What a model will be asked at least: one good question for every sample, and its checks."""
    documents = plan.documents
    samples = recipe.qa.per_document * sum(
        not config.startswith("ocr_") for configs in documents["configs"].to_pylist() for config in configs
    )
    if recipe.qa.generator != "openai":
        console.print(
            f"At least {samples:,} requests to {recipe.qa.model}, a few hundred tokens each.", highlight=False
        )
        return
    pages = sum(documents["pages"].to_pylist())
    page = sum(documents["tokens"].to_pylist()) / max(pages, 1) if recipe.qa.pages != "text" else 0
    page += 800 if recipe.qa.pages != "images" else 0  # a page of text
    segment = sum(recipe.segments.pages) / 2
    shown = {"closed_book": 0.0, "evidence": 2.0 * recipe.verify.votes_needed, "without_evidence": segment - 2}
    shown |= {"rivals": segment * recipe.verify.rival_windows, "judge": 2.0}
    tokens = samples * page * (segment + sum(shown[check] for check in recipe.verify.checks))
    line = f"{recipe.qa.model} and its checks will read about {tokens / 1e6:,.1f} M tokens"
    if recipe.qa.model in recipe.llm.prices:
        line += f" ({tokens / 1e6 * recipe.llm.prices[recipe.qa.model][0]:,.2f} US dollars)"
    console.print(f"{line} for {samples:,} questions, if the first attempt at each is accepted.", highlight=False)


def print_summary(console: Console, result: BuildResult, recipe: Recipe, seconds: float) -> None:
    """The summary of a build: samples and tokens a config, the fate of the documents, where to look next."""
    manifest = result.manifests[0]
    table = Table("config", *SPLITS, "tokens", title="Samples", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for config in recipe.tasks.configs:
        counts = manifest.samples.get(config, {})
        tokens = sum(manifest.tokens.get(config, {}).values())
        table.add_row(config, *(f"{counts.get(split, 0):,}" for split in SPLITS), f"{tokens:,}")
    console.print(table)
    documents = manifest.documents
    print_left_out(console, documents["found"], documents["used"], documents["left_out"])
    if manifest.shortfalls:
        lines = [
            f"{config}: {count} x {reason} ({SAMPLE_REASONS.get(reason, 'see the work folder')})"
            for config, counts in manifest.shortfalls.items()
            for reason, count in counts.items()
        ]
        console.print("Used documents without a sample in a config:", *lines, sep="\n  ", highlight=False)
    pages = sum(result.plan.documents["pages"].to_pylist())
    if result.already_complete:
        console.print("Everything was there already; nothing had to be built.")
    else:
        speed = f"{pages / seconds:,.0f} pages/s" if seconds > 0 else ""
        cpu = f"{1000 * result.cpu_seconds / max(pages, 1):.1f} CPU ms a page in the workers"
        console.print(f"{pages:,} pages in {human_time(seconds)} ({speed}; {cpu}).", highlight=False)
    if recipe.uses_model():
        spent = f"{result.spent:,.4f} US dollars in this run" if recipe.llm.prices else "no prices set"
        where = result.roots[0]
        console.print(
            f"Models: {spent}. Everything asked and paid: mmprolong cost {where}", highlight=False, soft_wrap=True
        )
    for root in result.roots:
        console.print(f"Dataset: {root}", highlight=False, soft_wrap=True)


def print_part(console: Console, result: PartResult, name: str, out: Path | str, seconds: float) -> None:
    """What one part of a build did, and what comes next."""
    own = result.plan.only(result.slices).documents
    console.print(
        f"Part {name}: {len(result.slices)} of {result.plan.num_slices} slices, {len(own):,} documents,"
        f" {sum(own['pages'].to_pylist()):,} pages; {result.made} slices made in {human_time(seconds)}"
        f" ({human_time(result.cpu_seconds)} CPU in the workers).",
        highlight=False,
    )
    if result.spent:
        console.print(f"Models: {result.spent:,.4f} US dollars in this run of this part.", highlight=False)
    console.print(f"When all parts are done: mmprolong build --finish --out {out}", highlight=False, soft_wrap=True)


def print_failed(console: Console, failed: Mapping[int, str]) -> None:
    """The slices that failed for good, if any."""
    if not failed:
        return
    console.print(f"{len(failed)} slices failed for good; all others are complete:", style="bold red", highlight=False)
    for number, error in failed.items():
        console.print(f"  slice {number}: {error}", markup=False, highlight=False, soft_wrap=True)
    console.print(
        "Remedy: mend the cause (.work/*/failed/ has the traces), then run the same command again: it tries these"
        " slices again and publishes the whole.",
        highlight=False, soft_wrap=True,
    )  # fmt: skip


def print_left_out(console: Console, found: int, used: int, left_out: Mapping[str, int]) -> None:
    """One table: how many documents were found, used, and left out for which reason."""
    table = Table("documents", "number", "what it means", title="Documents", title_justify="left")
    table.columns[1].justify = "right"
    table.add_row("found", f"{found:,}", "files of the corpus")
    table.add_row("used", f"{used:,}", "")
    for reason, count in sorted(left_out.items(), key=lambda item: (-item[1], item[0])):
        table.add_row(f"left out: {reason}", f"{count:,}", DOCUMENT_REASONS.get(reason, ""))
    console.print(table)


def human_bytes(size: float) -> str:
    """``12.3 MB``: decimal units."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"


def human_time(seconds: float) -> str:
    """``48 s``, ``12 min``, ``3.4 h``, ``2.1 days``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 129_600 else f"{seconds / 86_400:.1f} days"
