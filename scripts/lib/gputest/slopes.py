# SPDX-License-Identifier: Apache-2.0
"""Whether a figure grows over time, seen through processes that are replaced meanwhile."""
from collections import defaultdict
from dataclasses import dataclass, field
from statistics import median

# A pair of samples closer than this says more of noise than of growth.
LEAST_APART = 10.0


@dataclass
class Series:
    """Samples of one figure. What has one life, a process say, is compared only with itself."""

    name: str
    unit: str
    limit: float  # the most that it may grow in a minute
    lives: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))

    def add(self, life: str, seconds: float, value: float) -> None:
        self.lives[life].append((seconds, value))

    @property
    def values(self) -> list[float]:
        return [value for samples in self.lives.values() for _, value in samples]

    def slope(self) -> float | None:
        """A minute's growth: the median over all pairs of samples of one life, so that a few outliers count for nothing."""
        slopes = [(b - a) / (later - earlier) * 60
                  for samples in self.lives.values()
                  for n, (earlier, a) in enumerate(samples) for later, b in samples[n + 1 :] if later - earlier >= LEAST_APART]
        return median(slopes) if slopes else None

    def row(self) -> tuple:
        slope = self.slope()
        if slope is None:
            return (self.name, self.unit, len(self.values), "-", "-", "-", f"{self.limit:g}", "not measured")
        verdict = "ok" if slope <= self.limit else "GROWS"
        return (self.name, self.unit, len(self.values), f"{self.values[0]:.1f}", f"{self.values[-1]:.1f}", f"{slope:+.3f}", f"{self.limit:g}", verdict)


HEAD = ("figure", "unit", "samples", "first", "last", "slope/min", "limit", "verdict")
