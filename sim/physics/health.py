"""The health of a hall's equipment: every lever's value, recomputed from the healthy baseline by all that is active."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from sim.domain.facility import Indices
from sim.domain.levers import LEVERS
from sim.physics.drivers import DRIVER_NAMES
from sim.physics.relations import Array


@dataclass(frozen=True, slots=True)
class Pull:
    """What one incident makes of one lever: its value at some racks or loops (indices; the plant's is 0)."""

    lever: str
    where: Indices
    value: Array


@dataclass(frozen=True, slots=True)
class Transfer:
    """A part of the offered load of some racks that goes to others instead; part: (from_racks,)."""

    from_racks: Indices
    to_racks: Indices
    part: Array


class Health:
    """Levers as arrays (worlds, racks or loops or 1); only world 0 is ever struck.

    of: every lever by name. driver_gain, driver_shift: those on drivers together, (drivers, worlds, racks). transfers:
    load that is moved in world 0. Flags say what differs from a healthy hall, so that a healthy one costs nothing.
    """

    def __init__(self, worlds: int, racks: int, loops: int) -> None:
        width = {"rack": racks, "loop": loops, "plant": 1}
        self.driver_gain = np.ones((len(DRIVER_NAMES), worlds, racks))
        self.driver_shift = np.zeros((len(DRIVER_NAMES), worlds, racks))
        self.of: dict[str, Array] = {}
        for name, lever in LEVERS.items():
            if lever.driver:
                both = self.driver_gain if lever.rule == "scale" else self.driver_shift
                self.of[name] = both[DRIVER_NAMES.index(name)]
            else:
                self.of[name] = np.full((worlds, width[lever.of]), lever.healthy)
        self.transfers: tuple[Transfer, ...] = ()
        self.drivers_differ = False
        self.power_differs = False
        self.limits_differ = False
        self._pulled: set[str] = set()

    def set(self, pulls: Iterable[Pull], transfers: Iterable[Transfer] = ()) -> None:
        """Put every lever where the incidents that are active hold it, and all others back to healthy.

        From the baseline each time: a factor of 0 could not be divided out, and one end must not repair another fault.
        """
        for name in self._pulled:
            self.of[name][0] = LEVERS[name].healthy
        self._pulled = set()
        for pull in pulls:
            values, rule = self.of[pull.lever][0], LEVERS[pull.lever].rule
            before = values[pull.where]
            values[pull.where] = (
                before * pull.value if rule == "scale"
                else before + pull.value if rule == "shift"
                else np.minimum(before, pull.value) if rule == "ceiling"
                else np.maximum(before, pull.value)
            )  # fmt: skip
            self._pulled.add(pull.lever)
        for name in self._pulled:
            if LEVERS[name].least:
                np.maximum(self.of[name][0], LEVERS[name].least, out=self.of[name][0])
        self.transfers = tuple(transfers)
        self.drivers_differ = any(LEVERS[name].driver for name in self._pulled)
        self.power_differs = not self._pulled.isdisjoint({"powered", "idle_kw"})
        self.limits_differ = any(LEVERS[name].rule in ("ceiling", "floor") for name in self._pulled)
