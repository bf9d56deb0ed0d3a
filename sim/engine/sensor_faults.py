"""Faulty sensors: what they make of healthy values, block by block."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from sim.domain.sensor_faults import SWAPPED
from sim.domain.streams import Streams
from sim.engine.blocks import Array
from sim.engine.board import Occurrence
from sim.engine.sensors import Sensors, within_limits

Values = dict[str, Array]
Ticks = npt.NDArray[np.int64]
Departure = npt.NDArray[np.float32]


class SensorFaults:
    """Applies faults to the values that healthy sensors would give; where there is none nothing is touched or drawn.

    Keeps as many healthy values of past ticks as the latest sensor needs, and each stuck sensor's last one.
    """

    def __init__(self, sensors: Sensors, streams: Streams, tick_s: float) -> None:
        self._sensors = sensors
        self._streams = streams
        self._tick_s = tick_s
        self._rng: dict[int, np.random.Generator] = {}
        self._stuck_at: dict[int, Array] = {}
        self._past: Mapping[str, Array] = {}
        self._past_first = 0

    def apply(
        self, first_tick: int, healthy: Values, truth: Mapping[str, Array], occurrences: Sequence[Occurrence], keep: int
    ) -> tuple[Values, Departure]:
        """Return what sensors show, NaN where a sample is missing, and how far off that is [sensor sigmas], (ticks, racks).

        keep: ticks of healthy values to remember for late sensors.
        """
        shown = dict(healthy)
        for o in occurrences:
            channel = o.incident.channel
            for name in (channel, SWAPPED[channel]) if o.incident.kind.sensor == "swap" else (channel,):
                if shown[name] is healthy[name]:
                    shown[name] = healthy[name].copy()
        for o in occurrences:
            self._apply(o, first_tick, healthy, shown, truth)
        off = np.zeros(healthy["inlet_c"].shape)
        for name in shown:
            if shown[name] is not healthy[name]:
                apart = np.abs(shown[name] - healthy[name]) / self._sensors.sigma(name, truth[name])
                np.maximum(off, np.where(np.isnan(shown[name]), np.inf, apart), out=off)
        self._remember(first_tick, healthy, keep)
        return shown, off.astype(np.float32)

    def _apply(
        self, o: Occurrence, first_tick: int, healthy: Values, shown: Values, truth: Mapping[str, Array]
    ) -> None:
        ticks = np.arange(first_tick, first_tick + len(healthy["inlet_c"]))
        at = np.flatnonzero((ticks * self._tick_s >= o.start_s) & (ticks * self._tick_s < o.over_s))
        if not len(at):
            return
        strength = np.array([o.courses[0].at(t * self._tick_s) for t in ticks[at]])[:, None] * o.incident.severity
        cells = np.ix_(at, o.incident.racks)
        name = o.incident.channel
        sigma = self._sensors.sigma(name, truth[name][cells])
        act = _FAULTS[o.incident.kind.sensor or ""]
        act(self, o, ticks[at], cells, strength, sigma, healthy, shown)

    def _stick(self, o: Occurrence, ticks: Ticks, cells: tuple[Array, Array], _s: Array, _g: Array, healthy: Values,
               shown: Values) -> None:  # fmt: skip
        name = o.incident.channel
        if o.number not in self._stuck_at:
            self._stuck_at[o.number] = self._value_before(name, int(ticks[0]), healthy)[o.incident.racks]
        shown[name][cells] = self._stuck_at[o.number]

    def _value_before(self, name: str, tick: int, healthy: Values) -> Array:
        """Return the healthy values of the tick before, (racks,); of the first tick where there is none before."""
        first = self._past_first + len(self._past[name]) if self._past else 0
        row = tick - 1 - first
        if row < 0 and self._past:
            return np.asarray(self._past[name][row])
        return np.asarray(healthy[name][max(row, 0)])

    def _wander(self, o: Occurrence, _t: Ticks, cells: tuple[Array, Array], strength: Array, sigma: Array, _h: Values,
                shown: Values) -> None:  # fmt: skip
        self._add(o, cells, strength * o.incident.parameter("sigmas") * sigma, shown)

    def _spike(self, o: Occurrence, ticks: Ticks, cells: tuple[Array, Array], strength: Array, sigma: Array, _h: Values,
               shown: Values) -> None:  # fmt: skip
        drawn = self._stream(o).random((len(ticks), len(o.incident.racks), 2))
        sign = np.where(drawn[..., 1] < 0.5, -1.0, 1.0)  # noqa: PLR2004 - either way
        hit = drawn[..., 0] < o.incident.parameter("share")
        self._add(o, cells, hit * sign * strength * o.incident.parameter("sigmas") * sigma, shown)

    def _scatter(self, o: Occurrence, ticks: Ticks, cells: tuple[Array, Array], strength: Array, sigma: Array,
                 _h: Values, shown: Values) -> None:  # fmt: skip
        drawn = self._stream(o).standard_normal((len(ticks), len(o.incident.racks)))
        self._add(o, cells, drawn * strength * o.incident.parameter("sigmas") * sigma, shown)

    def _drop(self, o: Occurrence, ticks: Ticks, cells: tuple[Array, Array], strength: Array, _g: Array, _h: Values,
              shown: Values) -> None:  # fmt: skip
        lost = self._stream(o).random((len(ticks), len(o.incident.racks))) < o.incident.parameter("share") * strength
        values = shown[o.incident.channel]
        values[cells] = np.where(lost, np.nan, values[cells])

    def _swap(self, o: Occurrence, _t: Ticks, cells: tuple[Array, Array], _s: Array, _g: Array, healthy: Values,
              shown: Values) -> None:  # fmt: skip
        name, other = o.incident.channel, SWAPPED[o.incident.channel]
        shown[name][cells], shown[other][cells] = healthy[other][cells], healthy[name][cells]

    def _delay(self, o: Occurrence, ticks: Ticks, cells: tuple[Array, Array], _s: Array, _g: Array, healthy: Values,
               shown: Values) -> None:  # fmt: skip
        name, late = o.incident.channel, round(o.incident.parameter("delay_s") / self._tick_s)
        known = np.concatenate([self._past[name], healthy[name]]) if self._past else healthy[name]
        first = self._past_first if self._past else 0
        rows = np.maximum(ticks - late - first, 0)
        shown[name][cells] = known[np.ix_(rows, o.incident.racks)]

    def _add(self, o: Occurrence, cells: tuple[Array, Array], error: Array, shown: Values) -> None:
        values = shown[o.incident.channel]
        values[cells] = within_limits(o.incident.channel, values[cells] + error)

    def _stream(self, o: Occurrence) -> np.random.Generator:
        if o.number not in self._rng:
            self._rng[o.number] = self._streams.stream("sensor_fault", o.id)
        return self._rng[o.number]

    def _remember(self, first_tick: int, healthy: Values, keep: int) -> None:
        if keep <= 0:
            self._past, self._past_first = {}, 0
            return
        ticks = len(healthy["inlet_c"])
        if self._past and ticks < keep:
            joined = {name: np.concatenate([self._past[name], healthy[name]])[-keep:] for name in healthy}
        else:
            joined = {name: healthy[name][-keep:].copy() for name in healthy}
        self._past, self._past_first = joined, first_tick + ticks - len(joined["inlet_c"])


_FAULTS: dict[str, Callable[..., None]] = {
    "stuck": SensorFaults._stick,  # noqa: SLF001 - the table of this class
    "drift": SensorFaults._wander,  # noqa: SLF001
    "offset": SensorFaults._wander,  # noqa: SLF001
    "spike": SensorFaults._spike,  # noqa: SLF001
    "noise": SensorFaults._scatter,  # noqa: SLF001
    "dropout": SensorFaults._drop,  # noqa: SLF001
    "swap": SensorFaults._swap,  # noqa: SLF001
    "late": SensorFaults._delay,  # noqa: SLF001
}
