"""Halls whose plant can be stood still, stepped and disturbed."""

from dataclasses import replace

import numpy as np
import pytest

from sim.common.streams import Streams
from sim.engine.build import resolve
from sim.plant.plant import Plant
from sim.plant.state import with_warm_walls
from sim.scenario.checks import parse_scenario

PROFILES = ("nominal", "high_load", "thermal_event", "under_utilized", "overcooled")

SETTLED_S = 3600


class Stillness:
    """Noise that stays where it is."""

    def __init__(self, like):
        self.course, self._first_parts = np.zeros_like(like.course), np.cumsum((0, *like.parts))[:-1]
        self.value, self.mean = self.course[1], self.course[0]

    @property
    def signals(self):
        return np.add.reduceat(self.course, self._first_parts, axis=1)

    def advance(self):
        """Do nothing."""


def run(plant, seconds, changes=(), watch="inlet_c"):
    """Step a plant for a while, each change within the step it belongs to; return one of its arrays after each step."""
    seen = []
    for _ in range(round(seconds / plant.step_s)):
        until_s = plant.time_s + plant.step_s
        plant.step([c for c in changes if plant.time_s < c.time_s <= until_s])
        seen.append(getattr(plant.state, watch)[0].copy())
    return np.array(seen)


def settle(plant, seconds):
    """Step a plant for a while, the walls of its aisles always as warm as the air: they would take half a day."""
    for _ in range(round(seconds / plant.step_s)):
        plant.step()
        plant.state = with_warm_walls(plant.state)


@pytest.fixture(scope="session")
def halls():
    """Resolve each hall once."""
    known = {}

    def of(**facility):
        key = repr(facility)
        if key not in known:
            known[key] = resolve(parse_scenario({"name": "hall", "facility": facility}, "hall.yaml"))
        return known[key]

    return of


@pytest.fixture
def plants(halls):
    """Make plants; a `still` one has neither noise nor racks with places of their own, and has settled."""

    def make(step_s=30.0, *, profile="nominal", still=True, seed=1, facility=None, **options):
        hall = halls(**(facility or {"rows": 4, "racks_per_row": 3}))
        racks = np.full(len(hall.facility.racks), PROFILES.index(profile), dtype=np.intp)
        water_c = hall.scenario.facility.supply_water_c
        plant = Plant(hall.facility, hall.drivers, racks, water_c, step_s, Streams(seed), **options)
        if still:
            for noise in ("rack_noise", "loop_noise"):
                setattr(plant, noise, Stillness(getattr(plant, noise)))
            racks = plant.params.size.size
            none, one = np.zeros(racks), np.ones(racks)
            plant.params = replace(plant.params, coil=one, energy=one, recirculation=none)
            plant.apply(())
            settle(plant, SETTLED_S)
        return plant

    return make


@pytest.fixture(name="settle")
def _settle():
    return settle


@pytest.fixture(name="run")
def _run():
    return run
