"""Readings of ticks as HTTP receivers take them: one object per rack and tick, numbers as the files have them."""

from sim.common.time_units import EPOCH, format_instant_us
from sim.engine.blocks import Telemetry
from sim.engine.build import Hall
from sim.model.channels import CHANNELS, MISSING

Sample = dict[str, str | float | None]
"""One rack at one tick, by the names of the columns."""


def samples_of(hall: Hall, block: Telemetry) -> list[Sample]:
    """Return a block's samples by tick, then rack; a channel without a reading is None."""
    columns = {name: _numbers(block, name) for name in hall.channels}
    start_us = round((hall.scenario.start - EPOCH).total_seconds()) * 1_000_000
    tick_us = round(hall.scenario.tick) * 1_000_000
    return [
        {
            "ts": format_instant_us(start_us + (block.first_tick + tick) * tick_us),
            "rack_id": rack,
            **{name: values[tick][i] for name, values in columns.items()},
        }
        for tick in range(block.ticks)
        for i, rack in enumerate(hall.facility.racks)
    ]


def _numbers(block: Telemetry, name: str) -> list[list[float | None]]:
    """Return a channel's readings, (ticks, racks)."""
    digits = block.readings[name]
    values: list[list[float | None]] = (digits / 10.0 ** CHANNELS[name].decimals).tolist()
    for tick, i in zip(*(digits == MISSING).nonzero(), strict=True):
        values[tick][i] = None
    return values
