"""A sink that collects a run as pandas DataFrames."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

from sim.engine.blocks import Array, Integers, Labels, Telemetry
from sim.engine.build import Hall
from sim.incidents.labels import IncidentEvent
from sim.model.channels import CHANNELS, MISSING
from sim.model.episodes import Episode
from sim.runs.files import tables_of


class MemorySink:
    """Keeps the whole run, so it is for runs that fit in memory."""

    def __init__(self, hall: Hall) -> None:
        self._tables = tables_of(hall)
        self._racks = hall.facility.racks
        self._scenario = hall.scenario
        self._readings: list[dict[str, np.ndarray]] = []
        self._labels: list[pa.Table] = []

    def telemetry(self, block: Telemetry) -> None:
        """Keep readings, at the precision that files have."""
        self._readings.append(
            {name: _values(block.readings[name].reshape(-1), c.decimals) for name, c in CHANNELS.items()}
        )

    def labels(self, block: Labels) -> None:
        """Keep labels."""
        self._labels.append(self._tables.labels(block, text=False))

    def events(self, finished: Sequence[Episode | IncidentEvent]) -> None:
        """Episodes and incidents are in the labels."""

    def result(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return telemetry and labels."""
        s, ticks = self._scenario, self._scenario.tick_count
        ts = pd.date_range(s.start, periods=ticks, freq=pd.Timedelta(seconds=s.tick))
        frame = pd.DataFrame(
            {"ts": ts.repeat(len(self._racks)), "rack_id": np.tile(np.array(self._racks, dtype=object), ticks)}
        )
        for name in CHANNELS:
            frame[name] = np.concatenate([block[name] for block in self._readings])
        if frame["queue_depth"].notna().all():
            frame["queue_depth"] = frame["queue_depth"].astype(np.int64)
        return frame, pa.concat_tables(self._labels, promote_options="permissive").to_pandas()


def _values(readings: Integers, decimals: int) -> Array:
    """Return readings in their channel's unit, NaN where a sample is missing."""
    return np.where(readings == MISSING, np.nan, readings / 10.0**decimals)
