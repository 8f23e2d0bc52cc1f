"""``mmprolong evaluate``: a model on a suite, or two evaluations against each other."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmprolong_data import terminal
from mmprolong_data.arguments import count, local_path
from mmprolong_data.errors import SettingsError

if TYPE_CHECKING:
    from rich.console import Console

    from .backends.base import Backend
    from .items import Item
    from .judge import LLMJudge
    from .readers.frames import Sampling

DESCRIPTION = """Ask a model every question of a suite, score its replies, and write one report.
Run the same command again to go on after an interruption: nothing that was answered is asked twice."""
EPILOG = """models:
  http://HOST:PORT/v1      any OpenAI-compatible endpoint (vLLM, SGLang), with --model-name
  DIR                      a model folder, with transformers (needs mmprolong[train]); several processes share prompts
                           that are too long for one: torchrun --nproc-per-node 4 -m mmprolong_data.cli evaluate ...
  oracle, constant:TEXT, every-second-page, replay:FILE
                           no model: to prove a suite, or to score replies made elsewhere

examples:
  mmprolong build-probe mmprolong --out probe --lengths 8K,32K,128K
  mmprolong evaluate --suite probe --data probe --model http://localhost:8000/v1 --model-name qwen2.5-vl
  mmprolong evaluate --compare evaluation/base evaluation/trained"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-command."""
    parser = commands.add_parser(
        "evaluate",
        help="score a model on a suite, or compare two evaluations",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--suite",
        help="probe, mmlongbench, mmlongbench-doc, longdocurl, slidevqa, mm-niah, vtcbench, video-mme, mlvu or"
        " longvideobench",
    )
    parser.add_argument("--data", type=local_path, metavar="DIR", help="the suite's files as its authors publish them")
    parser.add_argument("--model", help="who answers; see below")
    parser.add_argument(
        "--out", type=local_path, metavar="DIR", help="folder of the evaluation (default: evaluation/SUITE-MODEL)"
    )
    parser.add_argument("--lengths", default="", help="only these, such as 8K,128K")
    parser.add_argument("--tasks", default="", help="only these rows of the result table")
    parser.add_argument("--limit", type=int, default=0, help="only so many items of each task at each length")
    parser.add_argument(
        "--compare", nargs=2, type=local_path, metavar=("A", "B"), help="compare two evaluations instead"
    )
    model = parser.add_argument_group("model")
    model.add_argument("--model-name", default="", help="name under which the endpoint serves the model")
    model.add_argument("--key-env", default="OPENAI_API_KEY", help="environment variable with the endpoint's API key")
    model.add_argument("--concurrency", type=count, default=8, help="requests at a time")
    model.add_argument(
        "--pages-dir",
        type=local_path,
        metavar="DIR",
        help="endpoint: write pages there and send file:// URLs (vLLM: serve with --allowed-local-media-path DIR);"
        " default: pages are sent as base64",
    )
    model.add_argument("--pages-url", default="", metavar="URL", help="what the endpoint calls --pages-dir, if not so")
    model.add_argument(
        "--prefill",
        action="store_true",
        help="endpoint: send the beginning of the reply that a suite prescribes (vLLM, SGLang: continue_final_message)",
    )
    model.add_argument("--device", default="auto", help="transformers: cpu, cuda, or auto")
    model.add_argument("--dtype", default="auto", help="transformers: float32, bfloat16, or auto")
    video = parser.add_argument_group("videos", "frames are pages (needs mmprolong[video])")
    video.add_argument("--video-fps", type=float, metavar="N", help="frames a second (default: 1)")
    video.add_argument("--video-frames", type=count, metavar="N", help="most frames of a video (default: 768)")
    video.add_argument("--video-tokens", type=count, metavar="N", help="most tokens of all its frames (default: 24576)")
    scoring = parser.add_argument_group("scoring")
    scoring.add_argument("--scorer", default="", help="one rule for all items, instead of each item's own")
    scoring.add_argument("--compat", action="store_true", help="the published rules of the suite, to reproduce figures")
    scoring.add_argument("--judge", default="", metavar="URL", help="an OpenAI-compatible endpoint that judges replies")
    scoring.add_argument("--judge-model", default="", help="name of the judging model")
    scoring.add_argument("--judge-mode", choices=("grade", "extract"), default="grade")
    scoring.add_argument("--judge-key-env", default="OPENAI_API_KEY")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Evaluate or compare."""

    output = terminal.console()
    if options.compare:
        return _compare(options, output)
    missing = [f"--{name}" for name in ("suite", "data", "model") if not getattr(options, name)]
    if missing:
        raise SettingsError(f"{', '.join(missing)}: needed (or --compare A B). See: mmprolong evaluate --help")
    return _evaluate(options, output)


def _evaluate(options: argparse.Namespace, output: Console) -> int:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from .backends.local import LocalBackend
    from .evaluation import claim, evaluate
    from .items import parse_lengths
    from .report import REPORT_NAME
    from .suites import choose, open_suite

    tasks = [task.strip() for task in options.tasks.split(",") if task.strip()]
    suite = open_suite(options.suite, options.data, _sampling(options))
    suite = choose(suite, parse_lengths(options.lengths), tasks, options.limit)
    name = options.model_name or options.model
    folder = options.out or Path("evaluation") / f"{options.suite}-{re.sub(r'[^A-Za-z0-9.]+', '-', name).strip('-')}"
    errors = terminal.console(stderr=True)
    backend = open_backend(options, folder, suite.items)
    if isinstance(backend, LocalBackend) and not backend.leads:
        backend.serve()
        return 0
    columns = (TextColumn("items"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[failed]}"))
    with contextlib.ExitStack() as stack:
        stack.callback(backend.close)
        claim(folder, suite, backend)
        judge = _open_judge(options, folder)
        if judge is not None:
            stack.callback(judge.close)
        bar = stack.enter_context(
            Progress(*columns, TimeRemainingColumn(), console=errors, disable=not errors.is_terminal)
        )
        task = bar.add_task("items", total=len(suite.items), failed="")

        def on_progress(done: int, total: int, failed: int) -> None:
            bar.update(task, completed=done, total=total, failed=f"{failed} without a reply" if failed else "")

        evaluation = evaluate(
            suite,
            backend,
            folder,
            scorer=options.scorer,
            compat=options.compat,
            judge=judge,
            judge_label=judge.label if judge else "",
            progress=on_progress,
        )
    _print(output, evaluation.summary)
    output.print(f"Report: {folder / REPORT_NAME}", highlight=False, soft_wrap=True)
    failed = [result for result in evaluation.results if result.error]
    if failed:
        output.print(
            f"{len(failed)} items have no reply and count as 0; the first: {failed[0].error}."
            " Run the same command again to ask about them.",
            style="yellow",
            highlight=False,
        )
        return 1
    return 0


def _sampling(options: argparse.Namespace) -> Sampling | None:
    """Which frames of videos are shown, if the command line says it."""
    from .readers.frames import Sampling

    given = {"fps": options.video_fps, "max_frames": options.video_frames, "max_tokens": options.video_tokens}
    given = {name: value for name, value in given.items() if value is not None}
    return Sampling(**given) if given else None


def open_backend(options: argparse.Namespace, folder: Path, items: Sequence[Item]) -> Backend:
    """Who ``--model`` names; ``items`` are what will be asked.

    Raises:
        SettingsError: nobody.
        MMProLongError: the model folder or the endpoint cannot be used.
    """
    from .backends import scripted
    from .backends.local import LocalBackend

    model: str = options.model
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not Path(model).is_dir():
        raise SettingsError(
            f"--model {model}: torchrun is for model folders. Remedy: run mmprolong evaluate without it"
        )
    kind, _, rest = model.partition(":")
    if model == "oracle":
        return scripted.oracle()
    if model == "every-second-page":
        return scripted.every_second_page()
    if kind == "constant":
        return scripted.constant(rest)
    if kind == "replay":
        return scripted.replay(Path(rest))
    if kind in ("http", "https"):
        from mmprolong_data.llm import Endpoint

        from .backends.http import HttpBackend

        if not options.model_name:
            raise SettingsError("--model-name: needed with an endpoint: the name under which it serves the model")
        from .backends.page_files import PageFiles

        if options.pages_url and not options.pages_dir:
            raise SettingsError("--pages-url: needs --pages-dir, the folder of that URL on this machine")
        files = PageFiles(options.pages_dir, options.pages_url) if options.pages_dir else None
        endpoint = Endpoint(options.model_name, model, options.key_env)
        return HttpBackend(endpoint, folder, options.concurrency, page_files=files, prefill=options.prefill)
    if Path(model).is_dir():
        return LocalBackend(Path(model), options.device, options.dtype, items)
    raise SettingsError(f"--model {model}: neither a URL nor a model folder. See: mmprolong evaluate --help")


def _open_judge(options: argparse.Namespace, folder: Path) -> LLMJudge | None:
    if not options.judge:
        return None
    from mmprolong_data.llm import Endpoint

    from .judge import LLMJudge

    if not options.judge_model:
        raise SettingsError("--judge-model: needed with --judge: the name under which the endpoint serves it")
    endpoint = Endpoint(options.judge_model, options.judge, options.judge_key_env)
    return LLMJudge(endpoint, folder, options.judge_mode)


def _compare(options: argparse.Namespace, output: Console) -> int:
    from rich.table import Table

    from .compare import COMPARISON_NAME, compare, write_comparison

    first, second = options.compare
    comparison = compare(first, second)
    table = Table(
        "",
        "n",
        "A",
        "B",
        "B - A",
        "95 % interval",
        "verdict",
        title=f"{comparison['suite']}: A, B",
        title_justify="left",
    )
    for column in table.columns[1:6]:
        column.justify = "right"
    for row in (comparison["overall"], *comparison["lengths"], *comparison["tasks"]):
        figures = (f"{row['a']:.2f}", f"{row['b']:.2f}", f"{row['difference']:+.2f}")
        table.add_row(
            row["name"], f"{row['n']:,}", *figures, f"{row['low']:+.1f} to {row['high']:+.1f}", row["verdict"]
        )
    for side, folder in (("a", first), ("b", second)):
        counts = ", ".join(f"{name} {count:,}" for name, count in comparison[side]["counts"].items())
        output.print(f"{side.upper()}: {comparison[side]['model']} ({folder}): {counts}", highlight=False, markup=False)
    output.print(table)
    for note in comparison["notes"]:
        output.print(note, style="yellow", highlight=False)
    path = (options.out or second) / COMPARISON_NAME
    write_comparison(path, comparison)
    output.print(f"Report: {path}", highlight=False, soft_wrap=True)
    return 0


def _print(output: Console, summary: dict[str, Any]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    run = summary["run"]
    # Narrow enough for 80 columns.
    columns = ("", "score (95 %)", "chance", "n", "n_empty", "n_error", "n_judge_failed")
    title = Text(f"{run['suite']}: {run['model']}")
    table = Table(*columns, title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=0, pad_edge=False)
    for column in table.columns[1:]:
        column.justify, column.no_wrap = "right", True

    def add(rows: Sequence[dict[str, Any]]) -> None:
        for row in rows:
            counts = (f"{row[name]:,}" for name in ("n", "n_empty", "n_error", "n_judge_failed"))
            score = f"{row['score']:.2f} ({row['low']:.0f}-{row['high']:.0f})"
            table.add_row(Text(row["name"]), Text(score), f"{row['chance']:.1f}", *counts)

    add(summary["lengths"])
    if summary["lengths"]:
        table.add_section()
    add(summary["tasks"])
    table.add_section()
    add([summary["overall"]])
    output.print(table)
