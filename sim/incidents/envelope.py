"""The severity envelope of an incident: how strong it is at each instant, as a pure function of time."""

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, inf, pi, sin
from typing import Literal

Shape = Literal["step", "ramp", "drift", "sawtooth", "pulse", "wave"]


@dataclass(frozen=True, slots=True)
class SeverityEnvelope:
    """Strength over time, 0..1, of a wave -1..1.

    step: at once, and it holds. ramp: rises over `rise_s`, then holds. drift: rises until the end. sawtooth: rises and
    drops every `period_s`. pulse: on for the first half of every `period_s`. wave: a sine of `period_s`, to both sides
    of the healthy value. After the end what there is then fades linearly over `recovery_s`.

    cut_s: instant at which the cause is ended before its time; what was before it stays as it was.
    """

    start_s: float
    duration_s: float
    shape: Shape
    rise_s: float
    period_s: float
    recovery_s: float
    cut_s: float = inf

    @property
    def end_s(self) -> float:
        """Instant at which the cause ends [s]."""
        return min(self.start_s + self.duration_s, max(self.start_s, self.cut_s))

    @property
    def over_s(self) -> float:
        """Instant at which nothing of it is left [s]."""
        return self.end_s + self.recovery_s

    def at(self, time_s: float) -> float:
        """Return the strength at an instant [s]; 0 outside."""
        if not self.start_s <= time_s < self.over_s:
            return 0.0
        if time_s < self.end_s:
            return _LEVEL[self.shape](self, time_s - self.start_s)
        return self._last * (self.over_s - time_s) / self.recovery_s

    def mean(self, from_s: float, until_s: float) -> float:
        """Return the mean strength over a span of time, so that what acts over it is exact to the second."""
        if until_s <= self.start_s or from_s >= self.over_s:
            return 0.0  # exactly, so that what is over is seen to be over
        full_after_s = {"step": 0.0, "ramp": self.rise_s}.get(self.shape)
        if full_after_s is not None and self.start_s + full_after_s <= from_s and until_s <= self.end_s:
            return 1.0  # exactly, so that what holds is seen to hold
        return (self._sum(until_s - self.start_s) - self._sum(from_s - self.start_s)) / (until_s - from_s)

    @property
    def _last(self) -> float:
        """Strength just before the end; none where the cause is ended before it began."""
        return _LEVEL[self.shape](self, self._lasts_s * (1 - 1e-12)) if self._lasts_s else 0.0

    @property
    def _lasts_s(self) -> float:
        return min(self.duration_s, max(0.0, self.cut_s - self.start_s))

    def _sum(self, since_s: float) -> float:
        """Return the strength summed from the start to a time since it [s]."""
        if since_s <= 0:
            return 0.0
        held = _SUM[self.shape](self, min(since_s, self._lasts_s))
        left_s = min(since_s - self._lasts_s, self.recovery_s)
        return held if left_s <= 0 else held + self._last * (left_s - left_s**2 / (2 * self.recovery_s))


_Course = Callable[[SeverityEnvelope, float], float]


def _ramp_sum(e: SeverityEnvelope, t: float) -> float:
    rising = min(t, e.rise_s)
    return rising**2 / (2 * e.rise_s) + (t - rising)


def _sawtooth_sum(e: SeverityEnvelope, t: float) -> float:
    whole, part = divmod(t, e.period_s)
    return whole * (e.period_s / 2) + part**2 / (2 * e.period_s)


def _pulse_sum(e: SeverityEnvelope, t: float) -> float:
    whole, part = divmod(t, e.period_s)
    return whole * (e.period_s / 2) + min(part, e.period_s / 2)


_LEVEL: dict[Shape, _Course] = {
    "step": lambda _e, _t: 1.0,
    "ramp": lambda e, t: min(1.0, t / e.rise_s),
    "drift": lambda e, t: min(1.0, t / e.duration_s),
    "sawtooth": lambda e, t: t % e.period_s / e.period_s,
    "pulse": lambda e, t: float(t % e.period_s / e.period_s < 0.5),  # noqa: PLR2004 - half of a period
    "wave": lambda e, t: sin(2 * pi * (t % e.period_s) / e.period_s),
}
"""Strength while the cause lasts, at a time since it began [s]."""

_SUM: dict[Shape, _Course] = {
    "step": lambda _e, t: t,
    "ramp": _ramp_sum,
    "drift": lambda e, t: t**2 / (2 * e.duration_s),
    "sawtooth": _sawtooth_sum,
    "pulse": _pulse_sum,
    "wave": lambda e, t: (1 - cos(2 * pi * (t % e.period_s) / e.period_s)) * e.period_s / (2 * pi),
}
"""The same summed from the start to a time since it [s], in closed form."""
