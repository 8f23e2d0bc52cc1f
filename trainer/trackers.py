"""The trackers that a user asked for: tensorboard, wandb, trackio. A run that is resumed goes on in the same curve."""

from __future__ import annotations

import importlib
import json
import secrets
from pathlib import Path
from typing import Any, Protocol

from mmprolong_data.errors import MMProLongError, missing_extra

IDENTITY_NAME = "tracker.json"
"""In the run's folder: the name under which wandb and trackio know the run."""


class Tracker(Protocol):
    """Where the numbers of a step also go."""

    def log(self, values: dict[str, float], step: int) -> None:
        """Record the numbers of one step."""

    def close(self) -> None:
        """Send or write what is left."""


def open_tracker(name: str, out: Path, settings: dict[str, Any], resume_step: int) -> Tracker:
    """Start a tracker, or go on in what it has of this run.

    Args:
        name: ``tensorboard``, ``wandb`` or ``trackio``.
        out: The run's folder.
        settings: What the tracker shows as the run's configuration.
        resume_step: The last step that is not made again.

    Raises:
        MMProLongError: its package is missing, or it does not start (no login, no network).
    """
    if name == "tensorboard":
        return _TensorBoard(out, resume_step)
    try:
        module = importlib.import_module(name)
    except ImportError:
        raise missing_extra(name, name) from None
    try:
        return _RunTracker(module, out, settings)
    except Exception as error:  # noqa: BLE001 - whatever a tracker raises, it is the user's to know
        cause = " ".join(str(error).split()) or type(error).__name__
        hint = "`wandb login`, or WANDB_MODE=offline" if name == "wandb" else f"look at {name}'s settings"
        raise MMProLongError(
            f"run.trackers: {name} does not start: {cause[:300]}. Use {hint}, or leave it out"
        ) from None


class _TensorBoard:
    def __init__(self, out: Path, resume_step: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise missing_extra("tensorboard", "tensorboard") from None
        # What a killed run wrote after its last checkpoint is written again: hide the first writing.
        self._writer = SummaryWriter(str(out / "tensorboard"), purge_step=resume_step + 1)

    def log(self, values: dict[str, float], step: int) -> None:
        for key, value in values.items():
            self._writer.add_scalar(key, value, step)

    def close(self) -> None:
        self._writer.close()


class _RunTracker:
    """wandb, and trackio, which has the same calls."""

    def __init__(self, module: Any, out: Path, settings: dict[str, Any]) -> None:
        self._module = module
        name = _identity(out)
        more = {"id": name, "dir": str(out)} if module.__name__ == "wandb" else {}
        module.init(project="mmprolong", name=name, config=settings, resume="allow", **more)

    def log(self, values: dict[str, float], step: int) -> None:
        # Of a step that is logged again after a kill wandb keeps the first numbers, which are the same.
        self._module.log(values, step=step)

    def close(self) -> None:
        self._module.finish()


def _identity(out: Path) -> str:
    """The name of the run: that of its folder and some random letters, kept in the folder."""
    path = out / IDENTITY_NAME
    if path.is_file():
        try:
            return str(json.loads(path.read_text(encoding="utf-8"))["name"])
        except (ValueError, KeyError, TypeError):
            pass  # damaged: the run goes on under a new name
    name = f"{out.resolve().name}-{secrets.token_hex(3)}"
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(json.dumps({"name": name}) + "\n", encoding="utf-8")
    temporary.replace(path)
    return name
