"""The one base class of every error that a user may meet."""

from __future__ import annotations


class MMProLongError(Exception):
    """Something a user can act on. The message names the file or setting, the cause and the remedy.

    The command line prints the message alone (no traceback) and exits with ``exit_code``.
    """

    exit_code = 1


class SettingsError(MMProLongError):
    """A recipe file, a ``--set`` or an argument is wrong."""

    exit_code = 2


class FormatError(MMProLongError):
    """A dataset on disk is not what its manifest says, or of a format this version cannot read."""


def missing_extra(package: str, extra: str) -> MMProLongError:
    """Return the error for a dependency that belongs to an optional extra."""
    return MMProLongError(
        f'This needs the package {package!r}, which is not installed. Remedy: pip install "mmprolong[{extra}]"'
    )
