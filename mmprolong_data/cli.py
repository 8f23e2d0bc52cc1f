"""The command ``mmprolong``: finds its sub-commands, shows errors as one message, sets exit codes.

A sub-command is a module with ``add(commands)``, which adds one sub-parser and sets ``run`` on it. The packages name
theirs in ``setup.cfg`` under the entry point ``mmprolong.commands``, so that none of them has to know another one. Such
a module is imported for every call of the command: what is heavy is imported where it is used.
"""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from types import FrameType

from rich.console import Console

from . import terminal
from .errors import MMProLongError

ORDER = ("build", "verify", "inspect", "recipe")
"""The order of the sub-commands in ``mmprolong --help``; others follow by name."""


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived; handled like Ctrl-C, with another exit code."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code."""
    if sys.stdout is None:  # closed by the caller, as in `mmprolong ... >&-`
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - until the process ends
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            # In a locale without UTF-8 a name or a question with a letter of its own would end the command.
            stream.reconfigure(errors="backslashreplace")
    errors = terminal.console(stderr=True)
    try:
        signal.signal(signal.SIGTERM, _terminate)
        parser = _parser()
        options = parser.parse_args(arguments)
        run: Callable[[argparse.Namespace], int] | None = getattr(options, "run", None)
        if run is None:
            parser.print_help()
            return 2
        return run(options)
    except MMProLongError as error:
        _print_error(errors, str(error))
        return error.exit_code
    except KeyboardInterrupt as interrupt:
        errors.print("Stopped. What is complete is kept; run the same command again to go on.", highlight=False)
        return 143 if isinstance(interrupt, Terminated) else 130
    except BrokenPipeError:  # the reader of our output has gone, as in `mmprolong recipe | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:  # a path that cannot be what it was given for, a right that is lacking, a full disk
        where = f"{error.filename}: " if error.filename else ""
        _print_error(errors, f"{where}{error.strerror or error}")
        return 1


def _print_error(console: Console, message: str) -> None:
    console.print("error:", style="bold red", end=" ", highlight=False)
    console.print(message, highlight=False, soft_wrap=True)


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
    points = {point.name: point for point in metadata.entry_points(group="mmprolong.commands")}
    for name in [*(name for name in ORDER if name in points), *sorted(set(points) - set(ORDER))]:
        points[name].load().add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
