"""What the runs of a sweep will take, before they are computed."""

from collections.abc import Iterable
from dataclasses import dataclass

from sim.sweeps.computing import Line
from sim.sweeps.sweep import Run

START_S, TICK_S, ROW_S, ROW_BYTES = 0.1, 5.8e-4, 3.1e-6, 19.0
"""One run without incidents on a core as docs/scale.md measured it: its start, each tick, each row; bytes kept."""


@dataclass(frozen=True, slots=True)
class Rates:
    """How runs compare with what is expected of them: of seconds and of bytes, 1 where none is complete."""

    seconds: float = 1.0
    size: float = 1.0

    @classmethod
    def learnt(cls, complete: Iterable[tuple[Run, Line]]) -> "Rates":
        """Return the rates of runs that are complete."""
        known = [(seconds_of(run), run.rows * ROW_BYTES, line["seconds"], line["bytes"]) for run, line in complete]
        if not known:
            return cls()
        expected_s, expected_bytes, seconds, size = (sum(values) for values in zip(*known, strict=True))
        return cls(seconds / expected_s, size / expected_bytes)


def seconds_of(run: Run) -> float:
    """Return about how long a run keeps a core busy [s]."""
    return START_S + run.scenario.tick_count * TICK_S + run.rows * ROW_S
