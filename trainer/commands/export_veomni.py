"""``mmprolong export-veomni``: a training run as VeOmni's arguments."""

from __future__ import annotations

import argparse

from mmprolong_data import terminal
from mmprolong_data.arguments import local_path
from mmprolong_data.settings import load_settings

DESCRIPTION = """\
Write a training run of configs/ as the YAML file of a VeOmni run (version 0.1.12).

VeOmni needs an environment of its own, with mmprolong in it: our adapter brings the packs and keeps VeOmni from
shrinking pages. docs/training.md says how to set it up, and what VeOmni does in another way. The model folder must have
been made by 'mmprolong prepare-model'; the file points to it.
"""

EXAMPLES = """\
examples:
  mmprolong export-veomni configs/mmprolong-7b-128k.yaml out/
  mmprolong export-veomni configs/mmprolong-7b-128k.yaml out/ --set parallel.sp=4
  torchrun --nproc-per-node 8 -m mmprolong_trainer.veomni.adapter out/veomni.yaml      in VeOmni's environment
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-command."""
    parser = commands.add_parser(
        "export-veomni",
        help="write a training run as VeOmni's arguments",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("config", type=local_path, metavar="CONFIG", help="YAML of a run (see configs/)")
    parser.add_argument("out", type=local_path, metavar="OUT", help="folder of veomni.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides")
    parser.set_defaults(run=_export)


def _export(options: argparse.Namespace) -> int:
    from ..config import TrainConfig
    from ..veomni.arguments import export_veomni

    config = load_settings(TrainConfig, options.config, options.overrides)
    config.validate()
    path = export_veomni(config, options.out)
    run = f"torchrun --nproc-per-node 8 -m mmprolong_trainer.veomni.adapter {path}"
    terminal.console().print(f"{path}\nIn VeOmni's environment: {run}", highlight=False, soft_wrap=True)
    return 0
