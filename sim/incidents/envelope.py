"""The course of an incident: how strong it is at each instant, as a pure function of time."""

from dataclasses import dataclass
from typing import Literal

Shape = Literal["step", "ramp", "drift", "sawtooth", "pulse"]


@dataclass(frozen=True, slots=True)
class SeverityEnvelope:
    """Strength over time, 0..1.

    step: at once, and it holds. ramp: rises over `rise_s`, then holds. drift: rises until the end. sawtooth: rises and
    drops every `period_s`. pulse: on for the first half of every `period_s`. After the end what there is then fades
    linearly over `recovery_s`.
    """

    start_s: float
    duration_s: float
    shape: Shape
    rise_s: float
    period_s: float
    recovery_s: float

    @property
    def end_s(self) -> float:
        """Instant at which the cause ends [s]."""
        return self.start_s + self.duration_s

    @property
    def over_s(self) -> float:
        """Instant at which nothing of it is left [s]."""
        return self.end_s + self.recovery_s

    def at(self, time_s: float) -> float:
        """Return the strength at an instant [s]; 0 outside."""
        if not self.start_s <= time_s < self.over_s:
            return 0.0
        if time_s < self.end_s:
            return self._level(time_s - self.start_s)
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
        """Strength just before the end."""
        return self._level(self.duration_s * (1 - 1e-12))

    def _level(self, since_s: float) -> float:
        """Return the strength while the cause lasts, at a time since it began [s]."""
        if self.shape == "step":
            return 1.0
        if self.shape == "ramp":
            return min(1.0, since_s / self.rise_s)
        if self.shape == "drift":
            return min(1.0, since_s / self.duration_s)
        part = since_s % self.period_s / self.period_s
        return part if self.shape == "sawtooth" else float(part < 0.5)  # noqa: PLR2004 - half of a period

    def _sum(self, since_s: float) -> float:
        """Return the strength summed from the start to a time since it [s]."""
        if since_s <= 0:
            return 0.0
        held = self._held(min(since_s, self.duration_s))
        left_s = min(since_s - self.duration_s, self.recovery_s)
        return held if left_s <= 0 else held + self._last * (left_s - left_s**2 / (2 * self.recovery_s))

    def _held(self, t: float) -> float:
        """Return the strength summed over the first t seconds of the cause [s]."""
        if self.shape == "step":
            return t
        if self.shape == "ramp":
            rising = min(t, self.rise_s)
            return rising**2 / (2 * self.rise_s) + (t - rising)
        if self.shape == "drift":
            return t**2 / (2 * self.duration_s)
        whole, part = divmod(t, self.period_s)
        half_s = self.period_s / 2
        if self.shape == "sawtooth":
            return whole * half_s + part**2 / (2 * self.period_s)
        return whole * half_s + min(part, half_s)
