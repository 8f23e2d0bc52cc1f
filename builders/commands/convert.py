"""``mmprolong convert``: a dataset in the other container."""

from __future__ import annotations

import argparse

from mmprolong_data import terminal
from mmprolong_data.arguments import local_path


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-command."""
    convert = commands.add_parser(
        "convert",
        help="the same records as Parquet or WebDataset",
        description="Write the dataset in DIR to OUT in the other container: the same records, pages byte for byte."
        " If it is interrupted, run the same command again.",
    )
    convert.add_argument("dataset", type=local_path, metavar="DIR")
    convert.add_argument("out", type=local_path, metavar="OUT", help="a folder that does not exist yet")
    convert.add_argument("--format", choices=("parquet", "webdataset"), required=True, help="container to write")
    convert.set_defaults(run=_convert)


def _convert(options: argparse.Namespace) -> int:
    from ..console import human_bytes
    from ..publishing.convert import convert
    from ..publishing.show import ByteProgress

    output, errors = terminal.console(), terminal.console(stderr=True)
    progress = ByteProgress(errors, "convert")
    try:
        manifest, complete = convert(options.dataset, options.out, options.format, progress)
    finally:
        progress.close()
    size = sum(shard["bytes"] for shard in manifest.shards)
    samples = sum(shard["samples"] for shard in manifest.shards)
    what = "everything was there already" if complete else f"{samples:,} samples, {human_bytes(size)}"
    output.print(f"{options.out}: {manifest.container}; {what}", highlight=False, soft_wrap=True)
    output.print(f"Check it: mmprolong verify {options.out}", highlight=False, soft_wrap=True)
    return 0
