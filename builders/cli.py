"""The command ``mmprolong``: arguments, errors as one message, exit codes."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from rich.console import Console

from mmprolong_data.errors import MMProLongError, SettingsError
from mmprolong_data.settings import load_settings

from .recipe import Recipe

if TYPE_CHECKING:
    from .pipeline import Build, BuildResult

BUILD_HELP = """\
Make a dataset of long-document questions and transcriptions from PDFs.

A CORPUS is a folder (searched with all its sub-folders), a PDF, or a text file with one path a line.
The dataset is written to --out; load_dataset("mmprolong", "extract_multi") finds it there.
If the build is interrupted, run the same command again: it goes on where it was.
"""

BUILD_EXAMPLES = """\
examples:
  mmprolong build ~/pdfs                                  all five configs, into ./mmprolong
  mmprolong build ~/pdfs --dry-run                        the plan: documents, tokens, shards, time, bytes
  mmprolong build ~/pdfs --set select.pages=[8,50]        also shorter documents
  mmprolong build a.pdf b.pdf --out small --format both   Parquet in ./small, WebDataset in ./small-wds
  mmprolong recipe > recipe.yaml                          every setting with its meaning, to edit
  mmprolong build ~/pdfs --recipe recipe.yaml

exit codes: 0 done, 1 failed, 2 wrong arguments or settings, 130 interrupted (run it again to go on)
"""


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived; handled like Ctrl-C, with another exit code."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code."""
    errors = Console(stderr=True)
    parser = _parser()
    options = parser.parse_args(arguments)
    run: Callable[[argparse.Namespace], int] | None = getattr(options, "run", None)
    if run is None:
        parser.print_help()
        return 2
    signal.signal(signal.SIGTERM, _terminate)
    try:
        return run(options)
    except MMProLongError as error:
        errors.print("error:", style="bold red", end=" ", highlight=False)
        errors.print(str(error), markup=False, highlight=False, soft_wrap=True)
        return error.exit_code
    except KeyboardInterrupt as interrupt:
        errors.print("Stopped. What is complete is kept; run the same command again to go on.", highlight=False)
        return 143 if isinstance(interrupt, Terminated) else 130
    except BrokenPipeError:  # the reader of our output has gone, as in `mmprolong recipe | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mmprolong",
        description="Long-document vision-language training data from PDFs, with evidence for every answer.",
        epilog="Start with: mmprolong build FOLDER_OF_PDFS --dry-run",
    )
    parser.add_argument("--version", action="version", version=f"mmprolong {metadata.version('mmprolong')}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    build = commands.add_parser(
        "build",
        help="PDFs -> dataset",
        description=BUILD_HELP,
        epilog=BUILD_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    build.add_argument("corpus", nargs="+", metavar="CORPUS", help="folder, PDF, or text file of paths")
    build.add_argument("--out", type=Path, default=Path("mmprolong"), metavar="DIR", help="default: ./mmprolong")
    build.add_argument("--recipe", type=Path, metavar="FILE", help="YAML with settings (see 'mmprolong recipe')")
    build.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides",
        help="one setting, such as select.pages=[8,50]; may be repeated",
    )  # fmt: skip
    build.add_argument("--workers", type=int, metavar="N", help="processes; default: one a CPU")
    build.add_argument(
        "--format", choices=("parquet", "webdataset", "both"), default="parquet",
        help="container of the shards (default: parquet); both: the second one in DIR-wds",
    )  # fmt: skip
    build.add_argument("--no-report", action="store_true", help="do not draw DIR/report (mmprolong inspect draws it)")
    build.add_argument("--dry-run", action="store_true", help="print the plan and build nothing")
    build.set_defaults(run=_build)

    verify = commands.add_parser(
        "verify",
        help="check a dataset against its manifest",
        description="Read every shard, index and count of a dataset and compare it with manifest.json."
        " Exit code 1 and one line a problem where something differs.",
    )
    verify.add_argument("dataset", type=Path, metavar="DIR")
    verify.set_defaults(run=_verify)

    inspect = commands.add_parser(
        "inspect",
        help="tables in the terminal, and an HTML report with pictures",
        description="Show what a dataset holds: tables here, and one self-contained HTML page in DIR/report.",
    )
    inspect.add_argument("dataset", type=Path, metavar="DIR")
    inspect.set_defaults(run=_inspect)

    recipe = commands.add_parser(
        "recipe",
        help="print every setting with its default and meaning",
        description="Print a complete recipe as YAML. Edit a copy and give it to 'mmprolong build --recipe'.",
    )
    recipe.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides")
    recipe.set_defaults(run=_recipe)
    return parser


def _build(options: argparse.Namespace) -> int:
    from .console import ProgressDisplay, print_plan, print_summary
    from .pipeline import Build, default_workers

    recipe = load_settings(Recipe, options.recipe, options.overrides)
    recipe.validate()
    workers = options.workers if options.workers is not None else default_workers()
    if workers < 1:
        raise SettingsError(f"--workers {workers}: must be at least 1")
    output, errors = Console(), Console(stderr=True)
    display = ProgressDisplay(errors)
    build = Build(options.corpus, options.out, recipe, workers, options.format, display)
    if options.dry_run:
        with display:
            plan, _ = build.plan()
        print_plan(output, plan, recipe, workers)
        return 0
    started = time.monotonic()
    with display:
        result = build.run()
    seconds = time.monotonic() - started
    pages = [] if options.no_report else _write_reports(build, result)
    print_summary(output, result, recipe, seconds)
    for page in pages:
        output.print(f"Report:  {page}", highlight=False, soft_wrap=True)
    output.print(f"Check it: mmprolong verify {options.out}", highlight=False, soft_wrap=True)
    return 0


def _write_reports(build: Build, result: BuildResult) -> list[Path]:
    """The HTML report of every dataset made; drawn again only where something was built."""
    from .parsed import ParsedDocuments
    from .report import write_report

    pages = []
    for root in result.roots:
        page = root / "report" / "index.html"
        if not (result.already_complete and page.is_file()):
            page = write_report(root, documents=ParsedDocuments(build.workspace(), result.plan))
        pages.append(page)
    return pages


def _verify(options: argparse.Namespace) -> int:
    from rich.progress import Progress

    from mmprolong_data.verify import verify_dataset

    output, errors = Console(), Console(stderr=True)
    with Progress(console=errors, disable=not errors.is_terminal) as progress:
        task = progress.add_task("verify", total=None)

        def on_progress(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        problems = verify_dataset(options.dataset, progress=on_progress)
    for problem in problems:
        output.print(problem, markup=False, highlight=False, soft_wrap=True)
    if problems:
        output.print(f"{options.dataset}: {len(problems)} problems", style="bold red", highlight=False)
        return 1
    output.print(f"{options.dataset}: everything is as the manifest says", style="green", highlight=False)
    return 0


def _inspect(options: argparse.Namespace) -> int:
    from .report import inspect_dataset

    output = Console()
    page = inspect_dataset(options.dataset, output)
    output.print(f"Report: {page}", highlight=False, soft_wrap=True)
    return 0


def _recipe(options: argparse.Namespace) -> int:
    from .recipe_text import recipe_yaml

    recipe = load_settings(Recipe, None, options.overrides)
    recipe.validate()
    sys.stdout.write(recipe_yaml(recipe))
    return 0


if __name__ == "__main__":
    sys.exit(main())
