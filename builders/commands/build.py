"""``mmprolong build``: PDFs to a dataset."""

from __future__ import annotations

import argparse
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmprolong_data import terminal
from mmprolong_data.arguments import local_path, place
from mmprolong_data.errors import SettingsError
from mmprolong_data.settings import from_plain, load_settings

from ..recipe import Recipe

if TYPE_CHECKING:
    from ..pipeline import Build, BuildResult

BUILD_HELP = """\
Make a dataset of long-document questions and transcriptions from PDFs.

A CORPUS is a folder (searched with all its sub-folders), a PDF, or a text file with one path a line. Each may be a URL:
s3://, gs://, hf://, https:// and whatever else fsspec knows; credentials are taken from the environment.
The dataset is written to --out; load_dataset("mmprolong", "extract_multi") finds it there.
If the build is interrupted, run the same command again: it goes on where it was.

On many machines with one shared folder or bucket: run the same command with --part i/N for every i from 0 to N-1,
in any order, at the same time or one after the other; then once with --finish. 'mmprolong status DIR' tells how far
they are.
Parts may ask a language model too: --max-cost is what one run of one part may spend; 'mmprolong cost DIR' adds up.
"""

BUILD_EXAMPLES = """\
examples:
  mmprolong build ~/pdfs                                  all five configs, into ./mmprolong
  mmprolong build ~/pdfs --dry-run                        the plan: documents, tokens, shards, time, bytes
  mmprolong build ~/pdfs --set select.pages=[8,50]        also shorter documents
  mmprolong build a.pdf b.pdf --out small --format both   Parquet in ./small, WebDataset in ./small-wds
  mmprolong build s3://bucket/papers list-of-urls.txt     PDFs behind URLs (pip install "mmprolong[s3]")
  mmprolong recipe > recipe.yaml                          every setting with its meaning, to edit
  mmprolong build ~/pdfs --recipe recipe.yaml
  mmprolong build ~/pdfs --set qa.generator=openai --set qa.model=NAME --set qa.base_url=http://localhost:8000/v1

  mmprolong build ~/pdfs --out /shared/set --part 3/10    the fourth of ten parts (Slurm array, Kubernetes, by hand)
  mmprolong build --finish --out /shared/set              publish what the parts have built
  mmprolong build ~/pdfs --out /shared/set --engine ray --address auto     all at once on a Ray cluster
  mmprolong build s3://bucket/papers --out s3://bucket/set --part 3/10     no folder in common, only a bucket

exit codes: 0 done, 1 failed, 2 wrong arguments or settings, 3 done but for slices that failed for good (named),
4 stopped at --max-cost, 130 interrupted (after 4 or 130, run it again to go on)
"""


FAILED_SLICES = 3
"""Exit code: everything is done but for slices that failed for good."""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-command."""
    build = commands.add_parser(
        "build",
        help="PDFs -> dataset",
        description=BUILD_HELP,
        epilog=BUILD_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    build.add_argument("corpus", nargs="*", metavar="CORPUS", help="folder, PDF, text file of paths, or URL of one")
    build.add_argument(
        "--out", type=place, default=Path("mmprolong"), metavar="DIR",
        help="folder, or s3://BUCKET/FOLDER (gs://): machines then share nothing but the bucket; default: ./mmprolong",
    )  # fmt: skip
    build.add_argument(
        "--scratch", type=local_path, metavar="DIR",
        help="with --out URL: where slices are made before they go there; default: a folder in $TMPDIR",
    )  # fmt: skip
    build.add_argument("--recipe", type=local_path, metavar="FILE", help="YAML with settings (see 'mmprolong recipe')")
    build.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides",
        help="one setting, such as select.pages=[8,50]; may be repeated",
    )  # fmt: skip
    build.add_argument("--workers", type=int, metavar="N", help="processes here; default: one a CPU")
    build.add_argument(
        "--format", choices=("parquet", "webdataset", "both"), default="parquet",
        help="container of the shards (default: parquet); both: the second one in DIR-wds",
    )  # fmt: skip
    build.add_argument(
        "--engine", choices=("local", "ray"), default="local",
        help="where slices are built: here, or as tasks of a Ray cluster that reaches DIR and CORPUS (extra ray;"
        " --set ray.cpus=4, ray.gpus=1, ... say what a task takes)",
    )  # fmt: skip
    build.add_argument(
        "--address", metavar="HOST:PORT",
        help="with --engine ray: the cluster, or auto; default: $RAY_ADDRESS, else a private Ray of --workers CPUs",
    )  # fmt: skip
    build.add_argument("--part", metavar="i/N", help="build the i-th (from 0) of N parts; publish nothing")
    build.add_argument("--finish", action="store_true", help="publish what all parts have built")
    build.add_argument(
        "--incomplete", action="store_true", help="with --finish: also where slices are missing (exit code 3)"
    )
    build.add_argument(
        "--max-cost", type=float, metavar="USD",
        help="stop before this run (of this part) has spent more on language models; the same command goes on",
    )  # fmt: skip
    build.add_argument("--no-report", action="store_true", help="do not draw DIR/report (mmprolong inspect draws it)")
    build.add_argument("--dry-run", action="store_true", help="print the plan and build nothing")
    build.set_defaults(run=_build)


def _build(options: argparse.Namespace) -> int:
    from ..bucket.build import open_build
    from ..console import ProgressDisplay, print_failed, print_part, print_plan, print_summary
    from ..pipeline import default_workers

    part = _check_mode(options)
    recipe = _recipe(options)
    workers = options.workers if options.workers is not None else default_workers()
    if workers < 1:
        raise SettingsError(f"--workers {workers}: must be at least 1")
    output, errors = terminal.console(), terminal.console(stderr=True)
    display = ProgressDisplay(errors)
    build = open_build(
        options.corpus, options.out, recipe, workers, options.format, display, options.max_cost, options.engine,
        options.address, options.scratch,
    )  # fmt: skip
    if options.dry_run:
        with display:
            plan, _ = build.plan()
        print_plan(output, plan, recipe, workers)
        return 0
    started = time.monotonic()
    if part is not None:
        with display:
            done = build.run_part(*part)
        print_part(output, done, options.part, options.out, time.monotonic() - started)
        print_failed(errors, done.failed)
        return FAILED_SLICES if done.failed else 0
    with display:
        result = build.finish(incomplete=options.incomplete) if options.finish else build.run()
    seconds = time.monotonic() - started
    pages = [] if options.no_report or isinstance(options.out, str) else _write_reports(build, result)
    print_summary(output, result, recipe, seconds)
    for page in pages:
        output.print(f"Report:  {page}", highlight=False, soft_wrap=True)
    output.print(_check_it(options.out), highlight=False, soft_wrap=True)
    print_failed(errors, result.failed)
    return FAILED_SLICES if result.failed else 0


def _check_it(out: Path | str) -> str:
    if isinstance(out, Path):
        return f"Check it: mmprolong verify {out}"
    return f"Check it: mmprolong pull {out} DIR, then mmprolong verify DIR and mmprolong inspect DIR"


def _check_mode(options: argparse.Namespace) -> tuple[int, int] | None:
    """Check that the arguments go together. Returns the part, if one is asked for.

    Raises:
        SettingsError: they do not.
    """
    modes = [name for name in ("part", "finish", "dry_run") if getattr(options, name) not in (None, False)]
    if len(modes) > 1:
        raise SettingsError(" and ".join(f"--{name.replace('_', '-')}" for name in modes) + ": only one at a time")
    if options.engine != "local" and modes and modes != ["dry_run"]:
        raise SettingsError(f"--engine {options.engine} needs no --part and no --finish: it builds and publishes all")
    if options.address and options.engine != "ray":
        raise SettingsError("--address goes with --engine ray only")
    if options.scratch is not None and isinstance(options.out, Path):
        raise SettingsError("--scratch goes with --out URL only: in a folder, slices are made where they stay")
    if options.incomplete and not options.finish:
        raise SettingsError("--incomplete goes with --finish only")
    if options.max_cost is not None and not options.max_cost > 0:
        raise SettingsError(f"--max-cost {options.max_cost}: must be more than 0")
    if "" in options.corpus:
        raise SettingsError("a corpus is the empty path. Remedy: name a folder (.: this one)")
    if not options.corpus and not options.finish:
        raise SettingsError("no corpus: name a folder, a PDF, a text file of paths, or a URL")
    if options.part is None:
        return None
    match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", options.part)
    part, parts = (int(match[1]), int(match[2])) if match else (0, 0)
    if not part < parts:
        raise SettingsError(f"--part {options.part}: write it as i/N with i from 0 to N-1, such as 0/10 ... 9/10")
    return part, parts


def _recipe(options: argparse.Namespace) -> Recipe:
    """The recipe; with --finish and no settings, the one that the build was begun with."""
    if options.finish and options.recipe is None and not options.overrides:
        from ..pipeline import CONTAINERS

        begun = _begun(options.out)
        options.format = next(name for name, containers in CONTAINERS.items() if containers == begun["containers"])
        recipe = from_plain(Recipe, begun["recipe"])
    else:
        recipe = load_settings(Recipe, options.recipe, options.overrides)
    recipe.validate()
    return recipe


def _begun(out: Path | str) -> dict[str, Any]:
    """What the build was begun with."""
    if isinstance(out, str):
        from ..bucket.state import begun_at

        with begun_at(out) as (_, own):
            return own.begun() or {}
    from ..workspace import Workspace

    return Workspace.open(out).begun() or {}


def _write_reports(build: Build, result: BuildResult) -> list[Path]:
    """The HTML report of every dataset made; drawn again only where something was built."""
    from ..parsed import ParsedDocuments
    from ..report import write_report

    pages = []
    for root in map(Path, result.roots):
        page = root / "report" / "index.html"
        if not (result.already_complete and page.is_file()):
            page = write_report(root, documents=ParsedDocuments(build.workspace(), result.plan))
        pages.append(page)
    return pages
