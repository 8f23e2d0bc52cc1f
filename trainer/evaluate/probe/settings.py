"""The settings of a probe suite: what decides its bytes, together with the dataset that it is made from."""

from __future__ import annotations

from dataclasses import dataclass, field

from mmprolong_data.errors import SettingsError

TASKS = ("planted_code", "ocr_needle", "extract_single", "extract_multi", "reasoning")
"""What a probe can ask for, and the configs of the dataset that it becomes."""
LENGTHS = tuple(1 << power for power in range(13, 20))
"""8K to 512K."""


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """What decides a probe suite."""

    lengths: list[int] = field(default_factory=lambda: list(LENGTHS))
    """Tokens of a whole conversation."""
    depths: int = 10
    """Depths from 0 (the evidence comes first) to 1 (it comes last), equally spaced."""
    tasks: list[str] = field(default_factory=lambda: list(TASKS))
    per_cell: int = 1
    """Samples for each task, length and depth. All depths and lengths ask the same questions where they fit."""
    split: str = "validation"
    seed: int = 0
    version: str = "1.0.0"
    decoys: int = 3
    """Codes with other names that are stamped onto further pages of a planted_code sample."""
    tokenizer: str = "estimate"
    """Counts text: estimate, or the path of a tokenizer.json."""
    shard_bytes: int = 500_000_000

    def check(self) -> None:
        """Check ranges.

        Raises:
            SettingsError: naming the setting.
        """

        def fail(name: str, value: object, must: str) -> None:
            raise SettingsError(f"{name} = {value!r}: must be {must}")

        if not self.lengths or min(self.lengths) < 256:
            fail("lengths", self.lengths, "one or more lengths of at least 256 tokens")
        if not 1 <= self.depths <= 100:
            fail("depths", self.depths, "from 1 to 100")
        if not 1 <= self.per_cell <= 10_000:
            fail("per_cell", self.per_cell, "from 1 to 10,000")
        if not self.tasks or not set(self.tasks) <= set(TASKS):
            fail("tasks", self.tasks, f"some of {', '.join(TASKS)}")
        if not 0 <= self.decoys <= 50:
            fail("decoys", self.decoys, "from 0 to 50")

    def depth(self, number: int) -> float:
        """The share of the other tokens that stand before the evidence, of depth ``number``."""
        return number / (self.depths - 1) if self.depths > 1 else 0.5
