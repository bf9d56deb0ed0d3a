"""The plain way, to compare with: a timeout per rack and tick, a dict per sample, pandas.to_csv at the end."""

import argparse
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import simpy

from sim.model.profiles import shipped_profiles

RANGES = {name: {c: (r.low, r.high) for c, r in p.ranges.items()} for name, p in shipped_profiles().items()}
PROFILES = list(RANGES)
START = datetime(2025, 1, 6, tzinfo=UTC)


def rack(env: simpy.Environment, name: str, tick_s: int, samples: list[dict[str, Any]]) -> Generator[simpy.Event]:
    """Draw every channel from a profile's range at each tick, as the training document's generator does."""
    while True:
        ranges = RANGES[PROFILES[int(np.random.random() * len(PROFILES))]]  # noqa: NPY002 - the plain way
        drawn = {channel: np.random.uniform(*ends) for channel, ends in ranges.items()}  # noqa: NPY002
        gpu_power_kw = drawn["pdu_kw"] * 0.7
        samples.append(
            {
                "ts": START + timedelta(seconds=env.now),
                "rack_id": name,
                "inlet_c": round(drawn["inlet_c"], 2),
                "outlet_c": round(drawn["outlet_c"], 2),
                "pdu_kw": round(drawn["pdu_kw"], 2),
                "gpu_energy_j": round(gpu_power_kw * 1000 * tick_s, 1),
                "tokens_ps": round(drawn["tokens_ps"], 1),
                "latency_p95_ms": round(drawn["latency_p95_ms"], 1),
                "queue_depth": int(drawn["queue_depth"]),
                "fan_rpm_pct": round(drawn["fan_rpm_pct"], 1),
                "pump_rpm_pct": round(drawn["pump_rpm_pct"], 1),
                "delta_t": round(drawn["outlet_c"] - drawn["inlet_c"], 2),
                "gpu_power_kw": round(gpu_power_kw, 2),
            }
        )
        yield env.timeout(tick_s)


def main() -> None:
    """Write a hall's samples."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--hours", type=float, default=12)
    parser.add_argument("--output", required=True)
    args = parser.parse_args()
    env = simpy.Environment()
    samples: list[dict[str, Any]] = []
    for row in "ABCDEF":
        for number in range(1, 13):
            env.process(rack(env, f"R-{row}-{number:02d}", 60, samples))
    env.run(until=args.hours * 3600)
    pd.DataFrame(samples).to_csv(args.output, index=False)


if __name__ == "__main__":
    main()
