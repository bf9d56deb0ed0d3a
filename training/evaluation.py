"""The protocol of a comparison: the same features, scaler, time split and smoothing for every detector."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.common.errors import InputError
from sim.model.channels import CHANNELS, MEASURED
from sim.model.episodes import SETTLED_S
from training.clustering import one_thread
from training.detectors import Builder, Run, fit_on_one_thread
from training.events import EventFigures, Truth, event_figures
from training.features import FEATURES, RESOLUTION, Floats
from training.fitting import CLUSTER_FLOORS, HELD_OUT, PERCENTILES, scaling
from training.labels import Labels, runs_by_rack, seconds_in_regime
from training.metrics import precision_recall, roc_auc, vus_pr
from training.mms import PERSISTENT, RECOVERING, Smoother, Smoothing
from training.model import Model
from training.monitor import Monitor, smooth
from training.nominal import nominal_rows
from training.telemetry import Telemetry

Rows = NDArray[np.bool_]
MISSING_SIGMAS = 10.0
"""How far a missing reading departs from one that its twin has: no noise does that (assumed)."""

TWIN_TAUS = (1.0, 3.0)
"""Thresholds of the distance to the twin, in sensors' standard deviations: the labels call 3 observable."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """What is held equal for every detector.

    truth, ignored: kinds of anomaly to find, and kinds neither right nor wrong. buffer_s: largest window of the VUS-PR.
    seeds: of the detectors. filter: the rows they learn from.
    """

    truth: tuple[str, ...] = ("cooling", "custom", "incident", "sensor")
    ignored: tuple[str, ...] = ("load",)
    buffer_s: float = 1800.0
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    filter: str = "extended"


@dataclass(frozen=True, slots=True)
class ProfileFigures:
    """How one profile's rows are told from nominal ones: all rows, and those settled for 900 s.

    auc: against nominal rows. recall: share at or over tau_persist. mms: share while a persistent event is open. For
    nominal itself these are the false-alarm shares, without an AUC.
    """

    profile: str
    rows: int
    settled: int
    auc: float
    recall: float
    mms: float
    auc_settled: float
    recall_settled: float
    mms_settled: float


@dataclass(frozen=True, slots=True)
class Result:
    """One detector with one seed on one run."""

    name: str
    seed: int
    tau_fast: float
    tau_persist: float
    vus_pr: float
    auc: float
    events: EventFigures
    profiles: list[ProfileFigures]
    score: Floats = field(repr=False)
    ema: Floats = field(repr=False)
    state: NDArray[np.int8] = field(repr=False)
    curve: tuple[Floats, Floats] = field(repr=False)
    run: str = ""

    def of_run(self, name: str) -> "Result":
        """Return the figures as those of one of several runs, without what only pictures need."""
        nothing = np.empty(0)
        return replace(self, run=name, score=nothing, ema=nothing, state=nothing.astype(np.int8), curve=(nothing,) * 2)

    def row(self) -> dict[str, Any]:
        """Return the figures as one row of the CSV."""
        e = self.events
        p50, p90 = np.percentile(e.delays_s, (50, 90)) if e.delays_s.size else (np.nan, np.nan)
        kinds = ("persistent", "transient", "nothing")
        confusion = {
            f"{true}_called_{called}": int(e.confusion[i, j])
            for i, true in enumerate(kinds[:2])
            for j, called in enumerate(kinds)
        }
        return {
            **({"run": self.run} if self.run else {}),
            "detector": self.name, "seed": self.seed, "vus_pr": self.vus_pr, "auc": self.auc, "f05": e.f05,
            "precision": e.precision, "recall": e.recall, "delay_p50_s": float(p50), "delay_p90_s": float(p90),
            "false_alarms_per_rack_day": e.false_alarms_per_rack_day, "false_time": e.false_time,
            "duplicates": e.duplicates, "events": e.events, "persistent_of_long": e.persistent_of_long,
            "persistent_of_short": e.persistent_of_short,
            "persistent_of_short_begun": e.persistent_of_short_begun,
            "persistent_of_short_alone": e.persistent_of_short_alone, **confusion,
            "tau_fast": self.tau_fast, "tau_persist": self.tau_persist,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A run with its truth: what every detector is measured on."""

    telemetry: Telemetry
    labels: Labels
    truth: Truth
    settled: Rows
    protocol: Protocol

    @classmethod
    def of(cls, telemetry: Telemetry, labels: Labels, protocol: Protocol) -> "Evaluated":
        """Set a run against its truth. Raises InputError when it holds nothing of the kinds to find."""
        keys = telemetry.rack, telemetry.ts_s, telemetry.interval_s
        truth = Truth.of(labels, *keys, protocol.truth, protocol.ignored)
        if not truth.event.any():
            kinds = sorted(set(labels.kind[labels.anomaly].tolist())) or ["none"]
            raise InputError(
                f"{telemetry.source}: has no anomaly of kind {', '.join(protocol.truth)} to find (kinds in it: "
                f"{', '.join(kinds)}); choose with --truth"
            )
        return cls(telemetry, labels, truth, seconds_in_regime(labels, telemetry) >= SETTLED_S, protocol)

    def measure(self, name: str, seed: int, score: Floats, smoother: Smoother, felt: Floats | None = None) -> Result:
        """Smooth a detector's score and measure it. felt: what is smoothed instead of the score."""
        t = self.telemetry
        step = smooth(smoother, t.rack, t.ts_s, score if felt is None else felt)
        counted = np.isfinite(score) & ~self.truth.ignored
        order, _ = runs_by_rack(t.rack)
        usable = np.nan_to_num(score, nan=-np.inf)
        buffer = round(self.protocol.buffer_s / t.interval_s)
        volume = vus_pr(usable[order], self.truth.event[order], t.rack[order], buffer, counted[order])
        return Result(
            name, seed, smoother.tau_fast, smoother.tau_persist, volume,
            roc_auc(score[counted], self.truth.event[counted]),
            event_figures(self.truth, step.state), self._profiles(score, smoother.tau_persist, step.state),
            score, step.ema, step.state, precision_recall(score[counted], self.truth.event[counted]),
        )  # fmt: skip

    def _profiles(self, score: Floats, tau_persist: float, state: NDArray[np.int8]) -> list[ProfileFigures]:
        profile, usable = self.labels.profile, np.isfinite(score)
        nominal = ~self.labels.anomaly & usable
        names = sorted(set(profile.tolist()), key=lambda name: (name != "nominal", name))
        high, open_ = score >= tau_persist, (state == PERSISTENT) | (state == RECOVERING)
        figures = []
        for name in names:
            mine = nominal if name == "nominal" else (profile == name) & usable
            halves: list[float] = []
            for settled in (np.ones_like(mine), self.settled):
                rows, against = mine & settled, nominal & settled
                chosen = rows | against
                auc = float("nan") if name == "nominal" else roc_auc(score[chosen], rows[chosen])
                halves += [auc, _mean(high[rows]), _mean(open_[rows])]
            figures.append(ProfileFigures(name, int(mine.sum()), int((mine & self.settled).sum()), *halves))
        return figures


def _mean(values: Rows) -> float:
    return float(values.mean()) if values.size else float("nan")


def measure_model(run: Evaluated, name: str, model: Model, smoothing: Smoothing = "ema") -> Result:
    """Measure a trained model with its own thresholds, or its own densities."""
    t = run.telemetry
    score, felt = Monitor(model).score(t.racks, t.rack, t.ts_s, t.x)
    return run.measure(name, model.seed, score, Smoother.of(model, smoothing, t.interval_s), felt)


def measure_twin(run: Evaluated, twin: Telemetry) -> Result:
    """Measure the ceiling: how far a row is from the same row of the run without its incidents.

    The distance is that of the channel that shows it most, in standard deviations of its healthy sensor; a reading that
    is missing in one of the two only departs by MISSING_SIGMAS.
    """
    t, twin = run.telemetry, _same_time(twin, run.telemetry)
    if twin.rows != t.rows or not np.array_equal(twin.ts_s, t.ts_s) or twin.racks != t.racks:
        raise InputError(f"{twin.source}: is not the twin of {t.source}: its rows are of other racks or times")
    apart = np.zeros(t.rows)
    for j, channel in ((j, CHANNELS[name]) for j, name in enumerate(FEATURES) if name in MEASURED):
        mine, there = t.x[:, j], twin.x[:, j]
        noise = channel.noise * (np.abs(there) if channel.noise_kind == "relative" else 1.0)
        far = np.nan_to_num(np.abs(mine - there) / np.hypot(noise, RESOLUTION[j] / 12**0.5))
        far[np.isnan(mine) != np.isnan(there)] = MISSING_SIGMAS
        np.maximum(apart, far, out=apart)
    return run.measure("twin", 0, apart, _ema(run, TWIN_TAUS))


def _same_time(twin: Telemetry, run: Telemetry) -> Telemetry:
    """Cut a twin to a run that is a part of its own in time."""
    rows = (twin.ts_s >= run.ts_s[0]) & (twin.ts_s <= run.ts_s[-1])
    return replace(twin, ts_s=twin.ts_s[rows], rack=twin.rack[rows], x=twin.x[rows])


def compare(
    run: Evaluated,
    train: Telemetry,
    builders: Mapping[str, Builder],
    say: Callable[[str], None] = lambda _: None,
    train_labels: Labels | None = None,
) -> Iterator[Result]:
    """Fit every detector on the nominal rows of `train` with every seed, and measure it on the run.

    One scaler is fitted on the rows before the last 20 % of the time; every detector's thresholds are the 95 % and 98 %
    points of its scores on the nominal rows in that last part.
    """
    nominal = nominal_rows(train, run.protocol.filter, train_labels).keep
    begin, end = train.ts_s[0], train.ts_s[-1] + train.interval_s
    late = train.ts_s >= end - HELD_OUT * (end - begin)
    if not (nominal & late).any() or not (nominal & ~late).any():
        raise InputError(f"{train.source}: no nominal rows before or in the last {HELD_OUT:.0%} of the time; give more")
    mean, scale = scaling(train.x[nominal & ~late])
    fitted_on, measured_on = (Run((t.x - mean) / scale, t.rack, t.ts_s, t.x) for t in (train, run.telemetry))
    early, held_on = (
        Run(fitted_on.z[rows], train.rack[rows], train.ts_s[rows], train.x[rows]) for rows in (~late, late)
    )
    held_on = replace(held_on, before=early)
    for name, builder in builders.items():
        for seed in run.protocol.seeds:
            say(f"{name}, seed {seed}")
            scorer = fit_on_one_thread(builder, fitted_on, nominal & ~late, seed)
            with one_thread():
                held, score = scorer(held_on)[nominal[late]], scorer(measured_on)
            yield run.measure(name, seed, score, _ema(run, _taus(name, held)))


def _ema(run: Evaluated, taus: tuple[float, float]) -> Smoother:
    return Smoother(*taus, interval_s=run.telemetry.interval_s)


def _taus(name: str, held: Floats) -> tuple[float, float]:
    fast, persist = (float(p) for p in np.percentile(held, PERCENTILES["plain"]))
    floors = CLUSTER_FLOORS if name in ("ims-hyperbox", "ims-boxes") else (0.0, 0.0)
    return max(fast, floors[0]), max(persist, floors[1])


def split(
    telemetry: Telemetry, labels: Labels, share: float
) -> tuple[tuple[Telemetry, Labels], tuple[Telemetry, Labels]]:
    """Cut a run in time: its first share, and the rest."""
    cut_s = telemetry.ts_s[0] + share * (telemetry.ts_s[-1] + telemetry.interval_s - telemetry.ts_s[0])
    early = telemetry.ts_s < cut_s
    return _part(telemetry, labels, early), _part(telemetry, labels, ~early)


def _part(t: Telemetry, labels: Labels, rows: Rows) -> tuple[Telemetry, Labels]:
    part = replace(t, ts_s=t.ts_s[rows], rack=t.rack[rows], x=t.x[rows])
    kinds = labels.profile[rows], labels.kind[rows], labels.episode[rows]
    return part, Labels(*kinds, labels.anomaly[rows], labels.persistent[rows])
