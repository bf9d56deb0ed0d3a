"""However a run is cut into blocks, it is the same run."""

from functools import cache

import numpy as np
import pytest

from sim.incidents.catalogue import SENSOR_FAULTS
from tests.twin.worlds import live, told

FAULTS = [
    {"kind": kind.name, "target": f"rack:R-{row}-0{1 + i % 3}", "at": 1800 + 411 * i, "duration": "50m"}
    for row in "AC"
    for i, kind in enumerate(SENSOR_FAULTS)
]
SCENARIOS = {
    "drawn": {"incident_rates": {"acceleration": 2000}, "duration": "3h"},
    "few and long after": {"incident_rates": {"acceleration": 60}, "duration": "1d", "tick": 300},
    "hourly": {"incident_rates": {"acceleration": 600}, "duration": "18h", "tick": 3600},
    "every sensor fault": {"incidents": FAULTS, "duration": "4h"},
    "fine": {"incident_rates": {"acceleration": 6000}, "duration": "20m", "tick": 5},
    "saturating": {
        "incident_rates": {"acceleration": 2000, "kinds": ["heat_wave", "chiller_trip", "sensor_late", "nodes_lost"]},
        "duration": "6h",
        "facility": {"rows": 6, "racks_per_row": 3, "chiller_capacity_kw": 170},
    },
}


CUTS = [(name, 7) for name in SCENARIOS] + [("drawn", 100), ("every sensor fault", 1), ("saturating", 1)]


@cache
def whole(name):
    return told(live(**SCENARIOS[name], block_ticks=10**6))


@pytest.mark.parametrize(("name", "block_ticks"), CUTS)
def test_the_same_run_whatever_the_blocks(name, block_ticks):
    tables, incidents, episodes = whole(name)
    other_tables, other_incidents, other_episodes = told(live(**SCENARIOS[name], block_ticks=block_ticks))
    different = [n for n, values in tables.items() if not np.array_equal(values, other_tables[n])]
    assert different == []
    assert other_incidents == incidents
    assert other_episodes == episodes


def test_seed_zero_is_a_seed_like_any_other():
    one, same, other = (live(**{**SCENARIOS["drawn"], "duration": "1h"}, seed=seed) for seed in (0, 0, 1))
    assert told(one)[1] == told(same)[1] != told(other)[1]
    assert np.array_equal(one.readings["inlet_c"], same.readings["inlet_c"])


def test_events_come_in_the_order_of_their_end():
    run = live(**SCENARIOS["drawn"])
    ends = [max(run.planned[e.id].recovery_s + e.end_s, e.observable_end_s or 0) for e in run.kept.incidents
            if e.id in run.planned and e.observable_end_s is not None]  # fmt: skip
    assert ends == sorted(ends)
