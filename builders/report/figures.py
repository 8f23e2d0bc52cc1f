"""The report's charts, as PNG bytes. Matplotlib is imported when the first one is drawn."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mmprolong_data.errors import missing_extra
from mmprolong_data.schema import KNOWN_CONFIGS

from .statistics import Statistics

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = dict(zip(KNOWN_CONFIGS, ("#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#97bbf5", "#a463f2"), strict=True))
DEPTH_BINS, LENGTH_BINS = 10, 8


def draw_figures(statistics: Statistics, names: Collection[str] | None = None) -> dict[str, bytes]:
    """Name -> PNG: ``lengths``, ``pages``, ``evidence``, ``families`` and ``left_out``; empty ones are left out.

    ``names``: draw these only.

    Raises:
        MMProLongError: Matplotlib is not installed.
    """
    try:
        import matplotlib
    except ImportError:
        raise missing_extra("matplotlib", "build") from None
    matplotlib.use("Agg")
    matplotlib.rcParams.update(
        {
            "font.size": 9,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "svg.hashsalt": "0",
            "axes.axisbelow": True,
        }
    )
    drawings: dict[str, Callable[[], bytes]] = {
        "lengths": lambda: _histogram(statistics, "tokens", "K tokens a sample", 1024),
        "pages": lambda: _histogram(statistics, "pages", "pages a document", 1),
        "evidence": lambda: _evidence(statistics),
        "families": lambda: _families(statistics),
        "left_out": lambda: _left_out(statistics),
    }
    figures = {name: draw() for name, draw in drawings.items() if names is None or name in names}
    return {name: png for name, png in figures.items() if png}


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def _png(figure: Any) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=130, metadata={"Software": None})
    return stream.getvalue()


def _histogram(statistics: Statistics, attribute: str, label: str, unit: int) -> bytes:
    series: dict[str, list[float]] = {}
    for (config, _), rows in statistics.rows.items():
        series.setdefault(config, []).extend(getattr(row, attribute) / unit for row in rows)
    values = [value for own in series.values() for value in own]
    if not values:
        return b""
    figure, axes = _figure(5.6, 2.9)
    low, high = np.floor(min(values)), np.ceil(max(values))
    if attribute == "pages":
        edges = np.arange(low - 0.5, high + 1.5, max(1, round((high - low) / 24)))
    else:
        edges = _even_edges(low, high, 24)
    names = [name for name in KNOWN_CONFIGS if name in series]
    axes.hist(
        [series[name] for name in names],
        bins=edges.tolist(),
        stacked=True,
        color=[COLOURS[n] for n in names],
        label=names,
    )
    axes.set_xlabel(label)
    axes.xaxis.set_major_locator(_whole_numbers())
    axes.set_ylabel("samples")
    axes.yaxis.set_major_locator(_whole_numbers())
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return _png(figure)


def _evidence(statistics: Statistics) -> bytes:
    points = statistics.depths()
    if not points:
        return b""
    tokens = np.array([count / 1024 for count, _ in points])
    depths = np.array([depth for _, depth in points])
    edges = _even_edges(tokens.min(), tokens.max(), LENGTH_BINS)
    bins = len(edges) - 1
    counts, _, _ = np.histogram2d(depths, tokens, bins=(np.linspace(0, 1, DEPTH_BINS + 1), edges))
    figure, axes = _figure(5.6, 3.6)
    image = axes.imshow(counts, aspect="auto", cmap="Blues", vmin=0)
    for i in range(DEPTH_BINS):
        for j in range(bins):
            if counts[i, j]:
                dark = counts[i, j] > 0.6 * counts.max()
                axes.text(j, i, f"{counts[i, j]:.0f}", ha="center", va="center", fontsize=8, color="w" if dark else "k")
    axes.set_xticks(np.arange(bins + 1) - 0.5, [f"{edge:.0f}" for edge in edges])
    axes.set_yticks(
        np.arange(0, DEPTH_BINS + 1, 2) - 0.5, [f"{100 * i // DEPTH_BINS} %" for i in range(0, DEPTH_BINS + 1, 2)]
    )
    axes.set_xlabel("K tokens a sample")
    axes.set_ylabel("depth of the evidence")
    figure.colorbar(image, ax=axes, label="evidence pages", shrink=0.9, ticks=_whole_numbers())
    return _png(figure)


def _families(statistics: Statistics) -> bytes:
    counts = {config: own for config, own in statistics.families().items() if own}
    bars = [(name, count, config) for config, own in counts.items() for name, count in _ordered(own)]
    if not bars:
        return b""
    figure, axes = _figure(5.6, 0.8 + 0.24 * len(bars))
    _bars(axes, [f"{name}" for name, _, _ in bars], [n for _, n, _ in bars], [COLOURS[c] for _, _, c in bars])
    handles = [axes.barh([0], [0], color=COLOURS[config], label=config) for config in counts]
    axes.legend(handles=handles, frameon=False, fontsize=8, loc="lower right")
    axes.set_xlabel("samples")
    return _png(figure)


def _left_out(statistics: Statistics) -> bytes:
    documents = statistics.manifest.documents
    bars = [("used", documents["used"]), *_ordered(Counter(documents["left_out"]))]
    figure, axes = _figure(5.6, 0.8 + 0.26 * len(bars))
    colours = ["#3a8f5d"] + ["#9498a0"] * (len(bars) - 1)
    _bars(axes, [name for name, _ in bars], [count for _, count in bars], colours)
    axes.set_xlabel("documents")
    return _png(figure)


def _even_edges(low: float, high: float, most: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Edges of at most ``most`` bins of one whole width that hold ``low`` and ``high``."""
    start = int(np.floor(low))
    width = max(1, int(np.ceil((high - start) / most)))
    count = max(1, int(np.ceil((high - start) / width)))
    return start + width * np.arange(count + 1, dtype=np.float64)


def _ordered(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _bars(axes: Any, names: Sequence[str], values: Sequence[int], colours: Sequence[str]) -> None:
    places = range(len(names))
    axes.barh(places, values, color=colours, height=0.72)
    axes.set_yticks(places, names)
    axes.invert_yaxis()
    for place, value in zip(places, values, strict=True):
        axes.text(value, place, f" {value:,}", va="center", fontsize=8)
    axes.set_xlim(0, 1.12 * max([*values, 1]))
    axes.xaxis.set_major_locator(_whole_numbers())


def _whole_numbers() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(integer=True)
