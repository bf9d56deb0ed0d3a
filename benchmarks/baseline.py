"""The plain way, to compare with: a timeout per rack and tick, a dict per sample, pandas.to_csv at the end."""

import argparse
import random
from collections.abc import Generator
from typing import Any

import pandas as pd
import simpy

from sim.domain.profiles import shipped_profiles

RANGES = {name: {c: (r.low, r.high) for c, r in p.ranges.items()} for name, p in shipped_profiles().items()}


def rack(env: simpy.Environment, name: str, tick_s: int, samples: list[dict[str, Any]]) -> Generator[simpy.Event]:
    """Draw every channel from a profile's range at each tick."""
    while True:
        ranges = RANGES[random.choice(list(RANGES))]  # noqa: S311 - a hall, not a secret
        sample: dict[str, Any] = {"ts": env.now, "rack_id": name}
        sample |= {channel: round(random.uniform(*ends), 2) for channel, ends in ranges.items()}  # noqa: S311
        sample["delta_t"] = sample["outlet_c"] - sample["inlet_c"]
        samples.append(sample)
        yield env.timeout(tick_s)


def main() -> None:
    """Write a hall's samples."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--hours", type=float, default=12)
    parser.add_argument("--output", required=True)
    args = parser.parse_args()
    env, samples = simpy.Environment(), []
    for row in "ABCDEF":
        for number in range(1, 13):
            env.process(rack(env, f"R-{row}-{number:02d}", 60, samples))
    env.run(until=args.hours * 3600)
    pd.DataFrame(samples).to_csv(args.output, index=False)


if __name__ == "__main__":
    main()
