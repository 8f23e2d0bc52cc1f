"""``mmprolong diff``: what differs between two datasets."""

from __future__ import annotations

import argparse
import sys

from mmprolong_data import terminal


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-command."""
    diff = commands.add_parser(
        "diff",
        help="what differs between two datasets or versions",
        description="Documents, samples and answers added, removed and changed from A to B. A and B are folders or"
        " versions on the Hub, of either container. Only records that differ are read, and no images.",
        epilog="example: mmprolong diff ORG/mmprolong@v1.0.0 ./mmprolong",
    )
    diff.add_argument("old", metavar="A", help="a folder, or ORG/NAME@v1.0.0")
    diff.add_argument("new", metavar="B", help="a folder, or ORG/NAME@v1.1.0")
    diff.add_argument("--json", action="store_true", help="print everything as JSON")
    diff.add_argument("--exit-code", action="store_true", help="exit with 3 where something differs")
    diff.set_defaults(run=_diff)


def _diff(options: argparse.Namespace) -> int:
    from ..publishing.diff import compare
    from ..publishing.hub import Repository
    from ..publishing.show import ByteProgress, difference_json, print_difference
    from ..publishing.views import open_view

    old, new = open_view(options.old), open_view(options.new)
    progress = ByteProgress(terminal.console(stderr=True), "compare", "samples")
    on_hub = [view.label for view in (old, new) if "@" in view.label]
    try:
        repo = Repository(on_hub[0].partition("@")[0] if on_hub else "")
        difference = (
            repo.retried("reading", lambda: compare(old, new, progress)) if on_hub else compare(old, new, progress)
        )
    finally:
        progress.close()
    if options.json:
        sys.stdout.write(difference_json(difference, old.manifest.dataset_version, new.manifest.dataset_version) + "\n")
    else:
        output = terminal.console()
        for view in (old, new):
            output.print(f"{view.label}: version {view.manifest.dataset_version}", highlight=False, soft_wrap=True)
        print_difference(output, difference)
    return 3 if options.exit_code and difference.level != "none" else 0
