"""The course of an incident: how strong it is at each instant, as a pure function of time."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Shape = Literal["step", "ramp", "drift", "sawtooth", "pulse"]


@dataclass(frozen=True, slots=True)
class Course:
    """Strength over time, 0..1, of an incident of some assets, one after another where their starts differ.

    step: at once, and it holds. ramp: rises over `rise_s`, then holds. drift: rises until the end. sawtooth: rises and
    drops every `period_s`. pulse: on for the first half of every `period_s`. After the end what there is then fades
    linearly over `recovery_s`. start_s: (assets,).
    """

    start_s: Array
    duration_s: float
    shape: Shape
    rise_s: float
    period_s: float
    recovery_s: float

    @property
    def begin_s(self) -> float:
        """First instant at which any asset is touched [s]."""
        return float(self.start_s.min())

    @property
    def planned_end_s(self) -> float:
        """Instant at which the last asset's cause ends [s]."""
        return float(self.start_s.max()) + self.duration_s

    @property
    def over_s(self) -> float:
        """Instant at which nothing of it is left [s]."""
        return self.planned_end_s + self.recovery_s

    def mean(self, from_s: float, until_s: float) -> Array:
        """Return each asset's mean strength over a span of time, (assets,), so that what acts is exact to the second."""
        return (self._sum(until_s) - self._sum(from_s)) / (until_s - from_s)

    def at(self, time_s: Array) -> Array:
        """Return the first asset's strength at instants [s], like `time_s`; 0 outside."""
        since_s = time_s - self.start_s[0]
        level = np.where((since_s >= 0) & (since_s < self.duration_s), self._level(since_s), 0.0)
        left_s = since_s - self.duration_s
        fading = (left_s >= 0) & (left_s < self.recovery_s)
        fade = 1 - left_s / max(self.recovery_s, 1e-9)
        return np.asarray(np.where(fading, self._last * fade, level))

    def steady(self, from_s: float, until_s: float) -> bool:
        """Return whether the strength of no asset changes within a span of time."""
        turns = [self.start_s, self.start_s + self.duration_s]
        if any(bool(((t > from_s) & (t < until_s)).any()) for t in turns):
            return False
        inside = (self.start_s <= from_s) & (until_s <= self.start_s + self.duration_s)
        fading = (self.start_s + self.duration_s <= from_s) & (from_s < self.start_s + self.duration_s + self.recovery_s)
        if fading.any():
            return False
        held = self.shape == "step" or (self.shape == "ramp" and bool((from_s >= self.start_s + self.rise_s).all()))
        return held or not inside.any()

    @property
    def _last(self) -> float:
        """Strength just before the end."""
        return float(self._level(np.array([np.nextafter(self.duration_s, 0)]))[0])

    def _level(self, since_s: Array) -> Array:
        """Return the strength while the cause lasts, at times since it began [s]."""
        if self.shape == "step":
            return np.ones_like(since_s)
        if self.shape == "ramp":
            return np.minimum(1.0, since_s / self.rise_s)
        if self.shape == "drift":
            return np.asarray(since_s / self.duration_s)
        part = since_s % self.period_s / self.period_s
        return np.asarray(part if self.shape == "sawtooth" else (part < 0.5) * 1.0)  # noqa: PLR2004 - half of a period

    def _sum(self, time_s: float) -> Array:
        """Return the strength summed from the start to a time, (assets,) [s]."""
        since_s = time_s - self.start_s
        t = np.clip(since_s, 0.0, self.duration_s)
        left_s = np.clip(since_s - self.duration_s, 0.0, self.recovery_s)
        faded = self._last * (left_s - left_s**2 / (2 * max(self.recovery_s, 1e-9)))
        return np.asarray(self._held(t) + faded)

    def _held(self, t: Array) -> Array:
        """Return the strength summed over the first t seconds of the cause [s]."""
        if self.shape == "step":
            return t
        if self.shape == "ramp":
            rising = np.minimum(t, self.rise_s)
            return np.asarray(rising**2 / (2 * self.rise_s) + (t - rising))
        if self.shape == "drift":
            return np.asarray(t**2 / (2 * self.duration_s))
        whole, part = np.divmod(t, self.period_s)
        half_s = self.period_s / 2
        if self.shape == "sawtooth":
            return np.asarray(whole * half_s + part**2 / (2 * self.period_s))
        return np.asarray(whole * half_s + np.minimum(part, half_s))
