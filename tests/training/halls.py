"""Small runs with the five regimes of data/profiles.csv: AR(1) noise, correlated channels, episodes, exact labels."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from sim.model.channels import CHANNELS, TELEMETRY_CHANNELS, TELEMETRY_COLUMNS
from sim.model.profiles import ANOMALY_KIND, shipped_profiles
from training.features import feature_matrix
from training.labels import Labels
from training.telemetry import Telemetry

START_S = 1_736_121_600  # 2025-01-06T00:00:00Z
RISE_TICKS = 4


@dataclass
class Hall:
    """A run: columns (rows,) sorted by time then rack, and its truth."""

    columns: dict[str, np.ndarray]
    truth: dict[str, np.ndarray]
    ts_s: np.ndarray
    rack: np.ndarray
    racks: tuple[str, ...]
    tick_s: float

    def telemetry(self) -> Telemetry:
        x = feature_matrix(self.columns, self.ts_s.size, self.tick_s)
        return Telemetry(self.ts_s.astype(float), self.rack, self.racks, x, self.tick_s, "hall")

    def labels(self) -> Labels:
        t = self.truth
        text = (t[name].astype(np.str_) for name in ("profile", "anomaly_kind", "episode_id"))
        return Labels(*text, t["is_anomaly"], t["is_persistent"])

    def table(self) -> pa.Table:
        stamps = np.datetime_as_string(self.ts_s.astype("datetime64[s]"), timezone="UTC")
        names = np.array(self.racks)[self.rack]
        rounded = {name: np.round(self.columns[name], CHANNELS[name].decimals) for name in TELEMETRY_CHANNELS}
        return pa.table({"ts": stamps, "rack_id": names, **rounded}).select(list(TELEMETRY_COLUMNS))

    def write(self, path: Path, table: pa.Table | None = None, *, labels: bool = True) -> Path:
        table = self.table() if table is None else table
        if path.suffix == ".parquet":
            pq.write_table(table, path)
        else:
            pc.write_csv(table, path)
        if labels:
            truth = {k: pa.array(v, mask=v == "") if k == "episode_id" else pa.array(v) for k, v in self.truth.items()}
            keys = {"ts": self.table()["ts"], "rack_id": self.table()["rack_id"]}
            pq.write_table(pa.table({**keys, **truth}), path.with_name(path.stem + ".labels.parquet"))
        return path


def ar1(rng, shape, rho=0.9):
    noise = rng.normal(size=shape)
    out = np.empty(shape)
    out[0] = noise[0]
    for k in range(1, shape[0]):
        out[k] = rho * out[k - 1] + np.sqrt(1 - rho**2) * noise[k]
    return out


def regimes(rng, ticks, racks, mean_ticks=30, quiet_ticks=120):
    """Return the profile number of each tick and rack (0 nominal), and the number of the episode."""
    profile, episode = np.zeros((ticks, racks), dtype=int), np.zeros((ticks, racks), dtype=int)
    for rack in range(racks):
        at, number = int(rng.exponential(quiet_ticks)) + 1, 0
        while at < ticks:
            stop, number = at + 1 + int(rng.exponential(mean_ticks)), number + 1
            profile[at:stop, rack], episode[at:stop, rack] = 1 + int(rng.integers(4)), number
            at = stop + 10 + int(rng.exponential(quiet_ticks))
    return profile, episode


def make_hall(racks=12, ticks=480, tick_s=60, seed=0, **episodes) -> Hall:
    rng = np.random.default_rng(seed)
    profile, episode = regimes(rng, ticks, racks, **episodes)
    shipped = list(shipped_profiles().values())
    load, heat = ar1(rng, (ticks, racks)), ar1(rng, (ticks, racks))
    columns = {}
    for name in (
        "inlet_c",
        "outlet_c",
        "pdu_kw",
        "tokens_ps",
        "latency_p95_ms",
        "queue_depth",
        "fan_rpm_pct",
        "pump_rpm_pct",
    ):
        mean = np.array([p.ranges[name].typical for p in shipped])[profile]
        half = np.array([p.ranges[name].half_width for p in shipped])[profile]
        followed = mean.astype(float)
        for k in range(1, ticks):
            followed[k] = followed[k - 1] + (mean[k] - followed[k - 1]) / RISE_TICKS
        driver = heat if name in ("inlet_c", "fan_rpm_pct", "pump_rpm_pct") else load
        columns[name] = followed + half * (0.22 * driver + 0.08 * rng.normal(size=mean.shape))
    columns["inlet_c"] = np.round(columns["inlet_c"], 2)
    columns["outlet_c"] = np.round(columns["outlet_c"], 2)
    columns["delta_t"] = columns["outlet_c"] - columns["inlet_c"]
    columns["gpu_power_kw"] = 0.7 * columns["pdu_kw"] * (1 + 0.006 * rng.normal(size=profile.shape))
    columns["gpu_energy_j"] = columns["gpu_power_kw"] * 1000 * tick_s
    names = np.array([p.name for p in shipped])[profile]
    return _flat(columns, names, profile, episode, tick_s)


def _flat(columns, names, profile, episode, tick_s) -> Hall:
    ticks, racks = profile.shape
    rack_names = tuple(f"R-{'ABCDEF'[k // 12]}-{k % 12 + 1:02d}" for k in range(racks))
    lengths = np.zeros(profile.shape)
    for rack in range(racks):
        counts = np.bincount(episode[:, rack])
        lengths[:, rack] = counts[episode[:, rack]] * tick_s
    ids = np.where(episode > 0, np.char.add(np.char.add(np.array(rack_names), "-"), episode.astype(str)), "")
    truth = {
        "profile": names,
        "is_anomaly": profile > 0,
        "anomaly_kind": np.array([ANOMALY_KIND[n] for n in names.ravel()]).reshape(names.shape),
        "episode_id": ids,
        "is_persistent": (profile > 0) & (lengths >= 360),
    }
    ts_s = START_S + np.repeat(np.arange(ticks), racks) * tick_s
    rack = np.tile(np.arange(racks), ticks)
    return Hall(
        {n: c.ravel() for n, c in columns.items()},
        {n: c.ravel() for n, c in truth.items()},
        ts_s,
        rack,
        rack_names,
        tick_s,
    )


FAULTY = """\
extends: week
name: faulty
duration: 20h
facility: {rows: 2, racks_per_row: 4}
occupancy: {anytime: {thermal_event: 0, overcooled: 0}, rows: {}}
incidents:
  - {kind: fan_failure, target: "rack:R-A-02", at: 15h, duration: 1h}
"""


def faulty_scenario(folder: Path, of_sensor: str) -> Path:
    """Write a scenario of a small hall in which a fan fails, and then a sensor of R-B-01 for a while."""
    path = folder / "faulty.yaml"
    path.write_text(f'{FAULTY}  - {{{of_sensor}, target: "rack:R-B-01", at: 17h}}\n')
    return path
