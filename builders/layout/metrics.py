"""What is usual in one document: body size and font, line pitch, the place of its first lines."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from .lines import MATH, MONO, Line, usual


@dataclass(slots=True)
class Metrics:
    """``size`` in points and ``font`` of most running text; ``bold`` whether it is bold; ``pitch`` by rounded size."""

    size: float = 10.0
    font: str = ""
    bold: bool = False
    pitch: dict[int, float] = field(default_factory=dict)

    def pitch_of(self, size: float) -> float:
        """Usual distance of the baselines of consecutive lines of a size, in points."""
        return self.pitch.get(round(2 * size), 1.2 * size)


def measure(pages: list[list[list[Line]]]) -> Metrics:
    """Metrics of a document from the lines of its pages' regions."""
    sizes: Counter[int] = Counter()
    fonts: Counter[tuple[int, str, bool]] = Counter()
    gaps: dict[int, list[float]] = defaultdict(list)
    for regions in pages:
        for lines in regions:
            before: Line | None = None
            for line in lines:
                key = round(2 * line.size)
                count = len(line.text)
                if not line.style & (MONO | MATH):
                    sizes[key] += count
                    fonts[key, line.font, line.bold] += count
                if before is not None:
                    gap = line.base - before.base
                    if round(2 * before.size) == key and 0.8 * line.size < gap < 2.6 * line.size:
                        gaps[key].append(gap)
                before = line
    metrics = Metrics()
    if sizes:
        key = max(sizes, key=lambda k: (sizes[k], -k))
        # Neighbouring half points are one size that was measured twice.
        around = {k: n for k, n in sizes.items() if abs(k - key) <= 1}
        metrics.size = 0.5 * sum(k * n for k, n in around.items()) / sum(around.values())
        best = max((f for f in fonts if f[0] == key), key=lambda f: (fonts[f], f))
        metrics.font, metrics.bold = best[1], best[2]
    for key, values in gaps.items():
        if len(values) >= 3:
            metrics.pitch[key] = usual(values, 0.6 * key)
    return metrics
