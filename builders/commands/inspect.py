"""``mmprolong inspect``: what a dataset holds, as tables and as an HTML page."""

from __future__ import annotations

import argparse

from mmprolong_data import terminal
from mmprolong_data.arguments import local_path


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-command."""
    inspect = commands.add_parser(
        "inspect",
        help="tables in the terminal, and an HTML report with pictures",
        description="Show what a dataset holds: tables here, and one self-contained HTML page in DIR/report.",
    )
    inspect.add_argument("dataset", type=local_path, metavar="DIR")
    inspect.set_defaults(run=_inspect)


def _inspect(options: argparse.Namespace) -> int:
    from ..report import inspect_dataset

    output = terminal.console()
    page = inspect_dataset(options.dataset, output)
    output.print(f"Report: {page}", highlight=False, soft_wrap=True)
    return 0
