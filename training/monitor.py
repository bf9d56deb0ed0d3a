"""The live form: samples of racks in, a reading for each out, with memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.common.errors import InputError
from sim.common.time_units import EPOCH, instant_us, parse_instant
from training.context import LEARNING_H, Levels, ticks
from training.features import Floats, feature_vector
from training.mms import ALPHA, PERSIST_TICKS, STATES, Smoother, Smoothing, Step
from training.model import LEVELS, Cause, Model, Scores, explain_vector, score_batch
from training.sensors import FELT, Sensors, Told, code_of, text_of


@dataclass(frozen=True, slots=True)
class Reading:
    """What the monitor says of one sample. `event` is 0 while no event is open; `posterior` is NaN with `ema`.

    learning: the rack's own level is still being learnt. sensors: those silent or frozen, in words, empty if none is.
    """

    rack: str
    ts_s: float
    deviation: float
    level: str
    degraded: bool
    ema: float
    mms_state: str
    event: int
    posterior: float
    learning: bool
    sensors: str
    causes: list[Cause]


@dataclass(frozen=True, slots=True)
class Readings:
    """Readings of a block of rows, as arrays in its order: the scores, and the smoother's memory after each.

    states: of the racks after each row (rows, state_size), None without context. sensors: what is silent or frozen.
    """

    scores: Scores
    ema: Floats
    state: NDArray[np.int8]
    event: NDArray[np.int64]
    posterior: Floats
    rise_s: Floats
    states: Floats | None
    sensors: Told

    @property
    def learning(self) -> NDArray[np.bool_]:
        """Mark the rows whose rack's level is still being learnt."""
        return learning(self.states, self.ema.size)


def learning(states: Floats | None, rows: int) -> NDArray[np.bool_]:
    """Mark the states whose level is still being learnt (rows,); none without context."""
    early: NDArray[np.bool_] = np.zeros(rows, dtype=bool) if states is None else states[:, -1] < LEARNING_H
    return early


@dataclass(slots=True)
class Monitor:
    """One model, and the state of every rack it has seen.

    smoothing: `ema` or `likelihood`. interval_s: spacing of the samples [s]; each rack's own spacing unless given.
    """

    model: Model
    smoothing: Smoothing = "ema"
    interval_s: float | None = None
    causes: int = 3
    alpha: float = ALPHA
    persist_ticks: int = PERSIST_TICKS
    _racks: dict[str, int] = field(default_factory=dict)
    _smoother: Smoother = field(init=False)
    _levels: Levels | None = field(init=False)
    _sensors: Sensors = field(init=False)

    def __post_init__(self) -> None:
        self._smoother = Smoother.of(self.model, self.smoothing, self.interval_s, self.alpha, self.persist_ticks)
        self._levels = None if self.model.context is None else Levels(self.model.context)
        self._sensors = Sensors(self.model.frozen_after, *self.model.about_nominal)

    def update(self, rack: str, ts: str | float | datetime, sample: Mapping[str, Any]) -> Reading:
        """Take one sample of one rack: a mapping of telemetry channels to values. ts: ISO 8601, seconds or datetime.

        Raises InputError when the sample is not newer than the rack's last one, or holds what no rack reports; the
        rack's memory is then as it was.
        """
        ts_s, number = seconds_of(ts), np.array([self._number(rack)])
        if ts_s <= self._smoother.last_seen_s(number)[0]:
            raise InputError(f"ts: rack {rack} was sampled at this time or later before; give samples in order of time")
        x = feature_vector(sample, float(self._smoother.interval_at(number, ts_s)[0])).reshape(1, -1)
        r = self._taken(number, np.array([ts_s]), x)
        return Reading(
            rack, ts_s, float(r.scores.deviation[0]), LEVELS[r.scores.level[0]], bool(r.scores.degraded[0]),
            float(r.ema[0]), STATES[r.state[0]], int(r.event[0]), float(r.posterior[0]), bool(r.learning[0]),
            text_of(code_of(r.sensors)[0]),
            explain_vector(self.model, x[0], self.causes, None if r.states is None else r.states[0]),
        )  # fmt: skip

    def update_batch(self, racks: Sequence[str], rack: NDArray[np.intp], ts_s: Floats, x: Floats) -> Readings:
        """Take vectors of many racks sorted by time: the same result as one at a time.

        racks: names; rack: index into them (rows,); ts_s: seconds (rows,), not falling; x: vectors (rows, 10).
        """
        return self._taken(self._numbers(racks)[rack], ts_s, x)

    def score(
        self, racks: Sequence[str], rack: NDArray[np.intp], ts_s: Floats, x: Floats
    ) -> tuple[Floats, Floats]:  # fmt: skip
        """Take vectors as `update_batch` does, for their deviations, and what of them is smoothed (rows,)."""
        scores, felt, _, _ = self._scored(self._numbers(racks)[rack], ts_s, x)
        return scores.deviation, felt

    def deviations(self, racks: Sequence[str], rack: NDArray[np.intp], ts_s: Floats, x: Floats) -> Floats:
        """Take vectors as `update_batch` does, for their deviations alone (rows,); sensors are not watched."""
        return score_batch(self.model, x, self._states(self._numbers(racks)[rack], ts_s, x)).deviation

    def _states(self, number: NDArray[np.intp], ts_s: Floats, x: Floats) -> Floats | None:
        return None if self._levels is None else self._levels.take(number, ts_s, self.model.scaled(x))

    def _scored(self, number: NDArray[np.intp], ts_s: Floats, x: Floats) -> tuple[Scores, Floats, Floats | None, Told]:
        states = self._states(number, ts_s, x)
        scores, told = score_batch(self.model, x, states), self._sensors.take(number, x)
        felt = np.where(told.any, np.fmax(scores.deviation, FELT * self.model.tau_persist), scores.deviation)
        return scores, felt, states, told

    def _taken(self, number: NDArray[np.intp], ts_s: Floats, x: Floats) -> Readings:
        scores, felt, states, told = self._scored(number, ts_s, x)
        out = smooth(self._smoother, number, ts_s, felt)
        return Readings(scores, out.ema, out.state, out.event, out.posterior, out.rise_s, states, told)

    def last_seen_s(self, racks: Sequence[str]) -> Floats:
        """Return when racks were last sampled [s], minus infinity for those never seen."""
        return self._smoother.last_seen_s(self._numbers(racks))

    def intervals_at(self, racks: Sequence[str], ts_s: Floats) -> Floats:
        """Return the racks' intervals [s] as they will be with samples at these times, NaN where unknown."""
        return self._smoother.interval_at(self._numbers(racks), ts_s)

    def remembered(self, racks: Sequence[str]) -> Floats:
        """Return all that is remembered of racks, a row each, for `recall` of a later process."""
        numbers = self._numbers(racks)
        return np.hstack([part.remembered(numbers) for part in self._parts])

    def recall(self, racks: Sequence[str], memory: Floats) -> None:
        """Go on for racks from what was remembered of them, as if there had been no break."""
        numbers, start = self._numbers(racks), 0
        for part in self._parts:
            part.recall(numbers, memory[:, start : start + part.memory_size])
            start += part.memory_size

    @property
    def _parts(self) -> list[Smoother | Levels | Sensors]:
        return [self._smoother, self._sensors, *([] if self._levels is None else [self._levels])]

    def _numbers(self, racks: Sequence[str]) -> NDArray[np.intp]:
        return np.array([self._number(name) for name in racks], dtype=np.intp)

    def _number(self, rack: str) -> int:
        if rack not in self._racks:
            self._racks[rack] = len(self._racks)
            for part in self._parts:
                part.know(len(self._racks))
        return self._racks[rack]


def smooth(smoother: Smoother, rack: NDArray[np.intp], ts_s: Floats, deviation: Floats) -> Step:
    """Run deviations sorted by time through the smoother, tick by tick, each tick over all its racks at once."""
    ema, posterior, rise_s = np.empty(rack.size), np.empty(rack.size), np.empty(rack.size)
    state, event = np.empty(rack.size, dtype=np.int8), np.empty(rack.size, dtype=np.int64)
    if rack.size:
        smoother.know(int(rack.max()) + 1)
    for part in ticks(ts_s):
        step = smoother.step(rack[part], ts_s[part.start], deviation[part])
        ema[part], state[part], event[part], posterior[part] = step.ema, step.state, step.event, step.posterior
        rise_s[part] = step.rise_s
    return Step(ema, state, event, posterior, rise_s)


def seconds_of(ts: str | float | datetime) -> float:
    """Return seconds since 1970, from a number of them or as `parse_instant` reads. Raises InputError otherwise."""
    try:
        instant = EPOCH + timedelta(seconds=float(ts)) if isinstance(ts, (int, float)) else parse_instant(ts)
        return instant_us(parse_instant(instant)) / 1e6
    except (ValueError, OverflowError) as error:
        raise InputError(f"ts: {ts!r:.60}: {error}") from None
