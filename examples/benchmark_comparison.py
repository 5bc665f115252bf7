"""What a workload of benchmark.py measures: values pair by pair, and their ratios."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Comparison:
    """Values of several sides, which were measured in turns.

    Attributes:
        workload: The letter of the workload.
        title: What was measured.
        unit: ``"s"`` or ``"GB"``.
        subject: The side that the others are compared with.
        values: Each side's values, one for each pair.
        tokens: How many tokens each pair had, where that tells something.
        work: The useful multiply-adds of each pair, where they are counted.
        gemm: The machine's matrix-multiply rate around the workload, in floating point
            operations per second, where shares of it are told.
        differences: The largest absolute difference of each side's outputs from the
            subject's, where they can be compared.
        details: Further numbers, for the JSON file.
    """

    workload: str
    title: str
    unit: str
    subject: str
    values: Mapping[str, Sequence[float]]
    tokens: Sequence[int] | None = None
    work: Sequence[int] | None = None
    gemm: float | None = None
    differences: Mapping[str, float] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)

    def median(self, side: str) -> float:
        """The median of a side's values."""
        return statistics.median(self.values[side])

    def ratios(self, side: str) -> list[float]:
        """A side's values in multiples of the subject's, pair by pair."""
        pairs = zip(self.values[side], self.values[self.subject], strict=True)
        return [theirs / ours for theirs, ours in pairs]

    def tokens_per_second(self, side: str) -> float | None:
        """The median over pairs, where tokens are counted."""
        if self.tokens is None:
            return None
        pairs = zip(self.tokens, self.values[side], strict=True)
        return statistics.median(n / seconds for n, seconds in pairs)

    def gemm_share(self, side: str) -> float | None:
        """The share of the matrix-multiply rate that goes into useful work."""
        if self.work is None or self.gemm is None:
            return None
        pairs = zip(self.work, self.values[side], strict=True)
        return statistics.median(2 * n / seconds for n, seconds in pairs) / self.gemm

    def to_json(self) -> dict[str, Any]:
        """All numbers, as JSON has them."""
        return {
            "workload": self.workload,
            "title": self.title,
            "unit": self.unit,
            "subject": self.subject,
            "tokens": None if self.tokens is None else list(self.tokens),
            "multiply_adds": None if self.work is None else list(self.work),
            "gemm_flops_per_second": self.gemm,
            "sides": {side: self._side(side) for side in self.values},
            **self.details,
        }

    def _side(self, side: str) -> dict[str, Any]:
        ratios = self.ratios(side)
        return {
            "values": list(self.values[side]),
            "median": self.median(side),
            "tokens_per_second": self.tokens_per_second(side),
            "gemm_share": self.gemm_share(side),
            "ratios": ratios,
            "ratio": statistics.median(ratios),
            "lowest_ratio": min(ratios),
            "highest_ratio": max(ratios),
            "largest_difference": self.differences.get(side),
        }
