"""The curves of a run as a picture."""

from __future__ import annotations

import json
from pathlib import Path


def plot_run(metrics: Path, picture: Path) -> None:
    """Draw loss (all, and each config), learning rate and gradient norm over tokens.

    Raises:
        ImportError: matplotlib is missing.
    """
    from matplotlib.figure import Figure

    rows = [json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines()]
    tokens = [row["tokens"] for row in rows]
    figure = Figure(figsize=(9, 7), layout="constrained")
    loss, rate, norm = figure.subplots(3, 1, sharex=True, height_ratios=(3, 1, 1))
    names = sorted({key for row in rows for key in row if key.startswith("loss/") and "len_" not in key})
    for name in names if len(names) > 1 else []:
        points = [(row["tokens"], row[name]) for row in rows if name in row]
        loss.plot(*zip(*points, strict=True), linewidth=0.8, alpha=0.6, label=name.removeprefix("loss/"))
    loss.plot(tokens, [row["loss"] for row in rows], color="black", linewidth=1.6, label="all")
    loss.set_ylabel("loss (nats a token)")
    loss.set_ylim(bottom=0)
    loss.legend(frameon=False)
    rate.plot(tokens, [row["lr"] for row in rows], color="tab:blue")
    rate.set_ylabel("learning rate")
    norm.plot(tokens, [row["grad_norm"] for row in rows], color="tab:orange")
    norm.set_ylabel("gradient norm")
    norm.set_xlabel("tokens")
    for axes in (loss, rate, norm):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(picture, dpi=130)
