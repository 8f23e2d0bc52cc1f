"""``python -m mmprolong_builders.demo FOLDER [--seed N]``: write the demo's PDFs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mmprolong_data.errors import MMProLongError

from .corpus import write_corpus


def main() -> int:
    """Write the corpus and list it. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m mmprolong_builders.demo", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--seed", type=int, default=0, help="another number gives other documents (default: 0)")
    options = parser.parse_args()
    try:
        paths = write_corpus(options.folder, options.seed)
    except MMProLongError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    for path in paths:
        sys.stdout.write(f"{path}  {path.stat().st_size / 1000:,.0f} kB\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
