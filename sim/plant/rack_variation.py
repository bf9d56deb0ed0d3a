"""Where racks stand: whose air they share, and what is each one's own."""

from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from sim.common.streams import Streams
from sim.model.facility import Facility, Indices
from sim.plant import constants as k
from sim.plant.relations import Array


def neighbours(facility: Facility) -> Indices:
    """Return the racks that each rack shares air with, (3, racks): both sides and across the aisle, itself if none."""
    count = len(facility.racks)
    table = np.tile(np.arange(count), (3, 1))
    used = np.zeros(count, dtype=int)
    for a, b in facility.adjacent_racks.tolist():
        for one, other in ((a, b), (b, a)):
            table[used[one], one] = other
            used[one] += 1
    return table


class RackVariation(NamedTuple):
    """What is each rack's own, (racks,): extra recirculation, its coil's condition and its GPUs' energy per token."""

    recirculation: Array
    coil: Array
    energy: Array


def rack_variation(facility: Facility, streams: Streams) -> RackVariation:
    """Return what is each rack's own: extra recirculation, highest at the ends of a row, coil and energy per token."""
    count = len(facility.racks)
    end = np.zeros(count)
    for row in range(len(facility.rows)):
        racks = facility.racks_of_row(row)
        # from the row's middle (0) to its ends (1), with mean 0 and deviation 1 over a long row
        away = np.abs(np.linspace(-1, 1, len(racks))) if len(racks) > 1 else np.array([0.5])
        end[racks] = (away - 0.5) * 12**0.5
    coil, energy = (_dealt(streams.stream("place", name), count) for name in ("coil", "energy"))
    return RackVariation(k.PLACE_RECIRCULATION_SD * end, 1 + k.COIL_SD * coil, 1 + k.ENERGY_SD * energy)


def _dealt(generator: np.random.Generator, count: int) -> Array:
    return np.clip(stratified_normal(generator, count), -k.PLACE_LIMIT_SD, k.PLACE_LIMIT_SD)


def stratified_normal(generator: np.random.Generator, count: int) -> Array:
    """Return normal deviates, one from each of `count` equally likely parts of their law, in random order.

    So every hall has its good and its bad coils. Independent draws leave some halls of 72 racks more uniform than real
    ones are (realism R15), and decide how often a week leaves its profiles' ranges.
    """
    chance = (generator.permutation(count) + generator.uniform(size=count)) / count
    return np.array([NormalDist().inv_cdf(p) for p in np.maximum(chance, 1e-12)])
