"""One figure of a run against its bounds."""

from dataclasses import dataclass
from math import inf
from typing import Literal

Level = Literal["hard", "soft"]

LINE = "{:4} {:48} {:>9}  {:18} {:5} {}"


@dataclass(frozen=True, slots=True)
class Check:
    """One figure and the bounds it must keep; a hard check fails the run, a soft one is for people to judge."""

    id: str
    what: str
    unit: str
    value: float
    low: float
    high: float
    level: Level

    @property
    def passed(self) -> bool:
        """Whether the figure keeps its bounds; a figure that is no number does not."""
        return self.low <= self.value <= self.high

    @property
    def accept(self) -> str:
        """The bounds that the figure must keep, in words."""
        bounds = (
            f"<= {self.high:g}" if self.low == -inf
            else f">= {self.low:g}" if self.high == inf
            else f"{self.low:g} to {self.high:g}"
        )  # fmt: skip
        return f"{bounds} {self.unit}".strip()

    def __str__(self) -> str:
        """Return the check as a line of the table."""
        verdict = "yes" if self.passed else "NO"
        return LINE.format(self.id, self.what, f"{self.value:.4g}", self.accept, self.level, verdict)


def at_least(id_: str, what: str, value: float, low: float, unit: str = "", level: Level = "hard") -> Check:
    """Return a check with a lower bound only."""
    return Check(id_, what, unit, value, low, inf, level)


def at_most(id_: str, what: str, value: float, high: float, unit: str = "", level: Level = "hard") -> Check:
    """Return a check with an upper bound only."""
    return Check(id_, what, unit, value, -inf, high, level)
