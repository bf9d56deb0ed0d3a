"""MMS: from a rack's deviations over time to a transient or a persistent anomaly, vectorised over racks.

Times are in seconds, so that 30 s and 60 s data agree: the tick of the definition is 60 s.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sim.common.errors import InputError
from training.features import Floats
from training.model import Model, ScoreDensities

TICK_S = 60.0
ALPHA = 0.3
PERSIST_TICKS = 6
REOPEN_S = 12 * TICK_S
MAX_GAP_INTERVALS = 3
CLIP = 1.0
"""Most one tick adds to the log likelihood ratio: as with the EMA, nothing is persistent before PERSIST_TICKS."""

TYPICAL_OF = 5
"""A rack's interval is the median of so many of its latest spacings: one odd sample does not change it."""

SAME_SAMPLE = 0.5
"""A sample within this part of an interval of the one before is the same tick's, and adds nothing to what lasts."""

_EPS_S = 1e-6

STATES = ("NOMINAL", "TRANSIENT", "PERSISTENT", "RECOVERING")
NOMINAL, TRANSIENT, PERSISTENT, RECOVERING = range(4)

Smoothing = Literal["ema", "likelihood"]
Racks = NDArray[np.intp]
Mask = NDArray[np.bool_]

_FIELDS = ("ema", "above_s", "below_s", "interval_s", "seen_s", "finite_s", "rise_s", "closed_s", "up", "down", "odds")
_UNSET = {"above_s": 0.0, "below_s": 0.0, "up": 0.0, "down": 0.0}


@dataclass(frozen=True, slots=True)
class Step:
    """What one tick made of the racks in it.

    ema: NaN before a rack's first finite deviation. state: index of STATES. event: number of the rack's event while
    it is open, else 0. posterior: probability that the rack is faulty, NaN without densities. rise_s: when the stretch
    began that the rack is in [s], NaN while its deviations are calm.
    """

    ema: Floats
    state: NDArray[np.int8]
    event: NDArray[np.int64]
    posterior: Floats
    rise_s: Floats


@dataclass(slots=True)
class Smoother:
    """The memory of every rack, and the step of one tick for some of them.

    interval_s: spacing of the samples [s]; without it each rack's own typical spacing is used once there is one.
    alpha: weight of the latest minute in the EMA. persist_ticks: minutes above tau_persist that are persistent.
    """

    tau_fast: float
    tau_persist: float
    kind: Smoothing = "ema"
    densities: ScoreDensities | None = None
    interval_s: float | None = None
    alpha: float = ALPHA
    persist_ticks: int = PERSIST_TICKS
    _memory: dict[str, Floats] = field(default_factory=dict)
    _spacings_s: Floats = field(default_factory=lambda: np.empty((0, TYPICAL_OF)))
    _state: NDArray[np.int8] = field(default_factory=lambda: np.empty(0, dtype=np.int8))
    _event: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    def __post_init__(self) -> None:
        if self.kind not in ("ema", "likelihood"):
            raise InputError(f"smoothing: {self.kind!r} is not known (ema, likelihood)")
        if self.kind == "likelihood" and self.densities is None:
            raise InputError(
                "smoothing likelihood needs the densities of nominal and faulty scores, and the model has none: "
                "train it on data that holds at least 100 faulty rows, or with --faults and a labelled run that does"
            )
        if not 0 < self.alpha <= 1 or self.persist_ticks < 1:
            raise InputError(
                f"alpha {self.alpha:g} has to be in (0, 1] and persist_ticks {self.persist_ticks} from 1 on"
            )
        self._memory = {name: np.empty(0) for name in _FIELDS}

    @classmethod
    def of(
        cls, model: Model, kind: Smoothing = "ema", interval_s: float | None = None, alpha: float = ALPHA,
        persist_ticks: int = PERSIST_TICKS,
    ) -> "Smoother":  # fmt: skip
        return cls(model.tau_fast, model.tau_persist, kind, model.densities, interval_s, alpha, persist_ticks)

    @property
    def _max_odds(self) -> float:
        """Bound the log odds of a fault, +-3 (5 % to 95 %) for six ticks: a rack long well can still fail in them."""
        return self.persist_ticks * CLIP / 2

    @property
    def intervals_s(self) -> Floats:
        """Return the interval known of each rack [s], NaN before it has one."""
        return self._memory["interval_s"]

    @property
    def memory_size(self) -> int:
        """Numbers that are remembered of a rack: the fields, its latest spacings, its state, its event's number."""
        return len(_FIELDS) + TYPICAL_OF + 2

    def know(self, racks: int) -> None:
        """Make room for so many racks."""
        new = racks - self._state.size
        if new > 0:
            unset = {**_UNSET, "odds": -self._max_odds, "interval_s": self.interval_s or np.nan}
            for name in _FIELDS:
                fresh = unset.get(name, np.nan)
                self._memory[name] = np.append(self._memory[name], np.full(new, fresh))
            self._spacings_s = np.vstack([self._spacings_s, np.full((new, TYPICAL_OF), np.nan)])
            self._state = np.append(self._state, np.zeros(new, dtype=np.int8))
            self._event = np.append(self._event, np.zeros(new, dtype=np.int64))

    def remembered(self, rack: Racks) -> Floats:
        """Return all that is remembered of racks, (racks, memory_size), for `recall` to take back, bit for bit."""
        own = [self._memory[name][rack] for name in _FIELDS]
        return np.column_stack([*own, self._spacings_s[rack], self._state[rack], self._event[rack]])

    def recall(self, rack: Racks, memory: Floats) -> None:
        """Put racks back to what was remembered of them, (racks, memory_size)."""
        for k, name in enumerate(_FIELDS):
            self._memory[name][rack] = memory[:, k]
        self._spacings_s[rack] = memory[:, len(_FIELDS) : -2]
        self._state[rack], self._event[rack] = memory[:, -2].astype(np.int8), memory[:, -1].astype(np.int64)

    def last_seen_s(self, rack: Racks) -> Floats:
        """Return when each rack was last sampled [s], minus infinity for one never seen."""
        return np.nan_to_num(self._memory["seen_s"][rack], nan=-np.inf)

    def step(self, rack: Racks, ts_s: Floats | float, deviation: Floats) -> Step:
        """Take one tick: deviations of different racks; a deviation that is not finite holds the rack's state."""
        self._learn_interval(rack, ts_s)
        ok = np.isfinite(deviation)
        at_s = np.broadcast_to(np.asarray(ts_s, dtype=np.float64), rack.shape)
        if ok.any():
            self._take(rack[ok], at_s[ok], deviation[ok])
        state = self._state[rack]
        open_ = (state == PERSISTENT) | (state == RECOVERING)
        event = np.where(open_, self._event[rack], 0)
        return Step(self._memory["ema"][rack], state, event, self._posterior(rack), self._memory["rise_s"][rack])

    def interval_at(self, rack: Racks, ts_s: Floats | float) -> Floats:
        """Return the racks' intervals as they will be with samples at a time [s]; nothing is noted yet."""
        spacing_s = ts_s - self._memory["seen_s"][rack]
        return (
            self._memory["interval_s"][rack]
            if self.interval_s or (spacing_s == 0).any()
            else _typical_s(self._with_latest(rack, spacing_s))
        )

    def _learn_interval(self, rack: Racks, ts_s: Floats | float) -> None:
        """Note when the racks were sampled. Raises InputError when time goes back."""
        m = self._memory
        spacing_s = ts_s - m["seen_s"][rack]
        if (spacing_s == 0).any():
            return
        if (spacing_s < 0).any():
            raise InputError("ts: a sample is older than the rack's last one; give samples in the order of time")
        if self.interval_s is None:
            self._spacings_s[rack] = latest = self._with_latest(rack, spacing_s)
            m["interval_s"][rack] = _typical_s(latest)
        m["seen_s"][rack] = ts_s

    def _with_latest(self, rack: Racks, spacing_s: Floats) -> Floats:
        """Return the racks' latest spacings with one more, (racks, TYPICAL_OF), NaN where there are fewer."""
        return np.concatenate([np.reshape(spacing_s, (-1, 1)), self._spacings_s[rack, :-1]], axis=1)

    def _take(self, rack: Racks, ts_s: Floats, deviation: Floats) -> None:
        m = self._memory
        interval_s = np.where(np.isnan(m["interval_s"][rack]), TICK_S, m["interval_s"][rack])
        since_s = ts_s - m["finite_s"][rack]
        restart = np.isnan(since_s) | (since_s > MAX_GAP_INTERVALS * interval_s + _EPS_S)
        weight_s = np.where(restart | (since_s >= SAME_SAMPLE * interval_s), interval_s, 0.0)
        kept = np.where(restart, 0.0, (1.0 - self.alpha) ** (since_s / TICK_S))
        e = np.where(restart, deviation, (1.0 - kept) * deviation + kept * np.where(restart, 0.0, m["ema"][rack]))
        m["ema"][rack], m["finite_s"][rack] = e, ts_s
        if restart.any():
            for name in ("above_s", "below_s"):
                m[name][rack[restart]] = 0.0
        if self.kind == "ema":
            rising, enter, leave, calm = self._by_threshold(rack, e, weight_s)
        else:
            rising, enter, leave, calm = self._by_likelihood(rack, deviation, weight_s)
        started = rising & np.isnan(m["rise_s"][rack])
        m["rise_s"][rack] = np.where(started, ts_s, np.where(rising, m["rise_s"][rack], np.nan))
        self._turn(rack, ts_s, enter, leave, calm)

    def _by_threshold(self, rack: Racks, e: Floats, weight_s: Floats) -> tuple[Mask, Mask, Mask, Mask]:
        m = self._memory
        above_s = np.where(e > self.tau_persist, m["above_s"][rack] + weight_s, 0.0)
        below_s = np.where(e < self.tau_fast, m["below_s"][rack] + weight_s, 0.0)
        m["above_s"][rack], m["below_s"][rack] = above_s, below_s
        hold_s = self.persist_ticks * TICK_S - _EPS_S
        return above_s > 0.0, above_s >= hold_s, below_s >= hold_s, e <= self.tau_fast

    def _by_likelihood(self, rack: Racks, deviation: Floats, weight_s: Floats) -> tuple[Mask, Mask, Mask, Mask]:
        """Two one-sided sums of the clipped log likelihood ratio, per 60 s whatever the interval."""
        m = self._memory
        ratio = np.clip(log_likelihood_ratio(self._known_densities(), deviation), -CLIP, CLIP) * weight_s / TICK_S
        was_open = np.isin(self._state[rack], (PERSISTENT, RECOVERING))
        up = np.where(was_open, 0.0, np.maximum(0.0, m["up"][rack] + ratio))
        down = np.where(was_open, np.maximum(0.0, m["down"][rack] - ratio), 0.0)
        m["up"][rack], m["down"][rack] = up, down
        m["odds"][rack] = np.clip(m["odds"][rack] + ratio, -self._max_odds, self._max_odds)
        calm = np.where(was_open, ratio < 0.0, m["odds"][rack] <= 0.0)
        evidence = self.persist_ticks * CLIP - _EPS_S
        return up > 0.0, up >= evidence, down >= evidence, calm

    def _known_densities(self) -> ScoreDensities:
        assert self.densities is not None  # noqa: S101 - __post_init__ refused it
        return self.densities

    def _turn(self, rack: Racks, ts_s: Floats, enter: Mask, leave: Mask, calm: Mask) -> None:
        """Move each rack to its next state; a recurrence within 12 ticks of an event's end re-opens that event."""
        m = self._memory
        was_open = np.isin(self._state[rack], (PERSISTENT, RECOVERING))
        enter, leave = enter & ~was_open, leave & was_open
        open_ = (was_open | enter) & ~leave
        again = m["rise_s"][rack] - m["closed_s"][rack] <= REOPEN_S + _EPS_S
        self._event[rack] += enter & ~again
        m["closed_s"][rack] = np.where(leave, ts_s, np.where(enter, np.nan, m["closed_s"][rack]))
        watched = ts_s - m["closed_s"][rack] < REOPEN_S - _EPS_S
        state = np.where(open_, np.where(calm, RECOVERING, PERSISTENT), np.where(calm & ~watched, NOMINAL, TRANSIENT))
        self._state[rack] = state

    def _posterior(self, rack: Racks) -> Floats:
        if self.kind == "ema":
            return np.full(rack.shape, np.nan)
        posterior: Floats = 1.0 / (1.0 + np.exp(-self._memory["odds"][rack]))
        return posterior


def _typical_s(spacings_s: Floats) -> Floats:
    """Return the median of each row's finite values, the upper of two, NaN where there is none."""
    known = np.isfinite(spacings_s).sum(axis=1)
    typical: Floats = np.sort(spacings_s, axis=1)[np.arange(len(known)), np.minimum(known // 2, TYPICAL_OF - 1)]
    return typical


def log_likelihood_ratio(densities: ScoreDensities, deviation: Floats) -> Floats:
    """Return log p1/p0 of log(1 + D): positive where a fault is the likelier source of the score."""
    at = np.searchsorted(densities.edges, np.log1p(deviation), side="right") - 1
    at = np.clip(at, 0, densities.log_nominal.size - 1)
    ratio: Floats = densities.log_faulty[at] - densities.log_nominal[at]
    return ratio
