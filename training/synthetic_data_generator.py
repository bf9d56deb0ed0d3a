"""The training document's generator: editable profiles and probabilities over the simulator."""

import copy
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sim.agents.occupancy import ANYTIME, BUSINESS, OFF_HOURS, ROWS
from sim.common.errors import InputError
from sim.model.profiles import shipped_profiles
from sim.runs.simulate import simulate_in_memory
from sim.scenario.checks import parse_scenario

if TYPE_CHECKING:
    import pandas as pd


class SyntheticDataGenerator:
    """Makes telemetry of one site.

    profiles: ranges by profile and channel, {"nominal": {"inlet_c": (21, 24), ...}, ...}; change them or add a
    profile, whose left-out channels follow from physics. probabilities: shares of time, {"anytime": {"thermal_event":
    0.05, ...}, "business": {...}, "off_hours": {...}, "rows": {"C": {...}}}. labels: the truth of the last series.
    """

    def __init__(self, seed: int = 42) -> None:
        self.seed = seed
        self.profiles = _ranges()
        self.probabilities: dict[str, dict[str, Any]] = copy.deepcopy(
            {"anytime": ANYTIME, "business": BUSINESS, "off_hours": OFF_HOURS, "rows": ROWS}
        )
        self.facility: dict[str, Any] = {}
        self.labels: pd.DataFrame | None = None

    def generate_timeseries(
        self,
        start_ts: datetime | str = "2025-01-06T00:00:00Z",
        duration_hours: float = 168,
        tick_seconds: float = 60,
        rack_ids: Sequence[str] | None = None,
    ) -> "pd.DataFrame":
        """Return telemetry, one row per tick and rack, sorted by both.

        rack_ids: racks to return, such as R-C-07; the whole default hall is simulated, so a rack's series does not
        depend on which others are asked for. Raises InputError that lists every problem.
        """
        data = {
            "name": "synthetic",
            "seed": self.seed,
            "start": start_ts,
            "duration": duration_hours * 3600,
            "tick": tick_seconds,
            "profiles": self._changed_profiles(),
            "occupancy": self.probabilities,
            "facility": self.facility,
        }
        run = simulate_in_memory(parse_scenario(data, "SyntheticDataGenerator"), truth=False)
        frame, self.labels = run.exact(), run.labels
        if rack_ids is None:
            return frame
        unknown = sorted(set(rack_ids) - set(frame["rack_id"]))
        if unknown:
            raise InputError(f"rack_ids: {', '.join(unknown)}: no such rack; the hall has names like R-A-01")
        wanted = frame["rack_id"].isin(list(rack_ids))
        self.labels = self.labels[wanted.to_numpy()].reset_index(drop=True)
        return frame[wanted].reset_index(drop=True)

    def _changed_profiles(self) -> dict[str, dict[str, Any]]:
        """Return only what differs from the shipped profiles, which keep their typical values."""
        shipped = _ranges()
        return {
            name: {c: list(r) for c, r in channels.items() if tuple(r) != shipped.get(name, {}).get(c)}
            for name, channels in self.profiles.items()
        }


def _ranges() -> dict[str, dict[str, Any]]:
    return {
        name: {channel: (r.low, r.high) for channel, r in profile.ranges.items()}
        for name, profile in shipped_profiles().items()
    }
