"""Load that incidents move between racks is neither lost nor made."""

from itertools import permutations

import numpy as np
import pytest

from sim.incidents.kinds import LoadTransfer
from sim.plant.load import transferred

MIXED = {
    "rows": [{"name": "A", "racks": 4}, {"name": "B", "racks": 3, "rack_type": "dense"}, {"name": "C", "racks": 2}],
    "rack_types": {"dense": {"size": 3}},
}


def moved(plant, *transfers):
    """Return what each rack is offered once some load is moved, in world 0; each is offered as many as its number."""
    moves = [LoadTransfer(np.array(a), np.array(b), np.array(part)) for a, b, part in transfers]
    size = plant.params.size
    return transferred(np.arange(size.size, dtype=float)[None], moves, size, 1)[0]


def test_moved_load_is_neither_lost_nor_made(plants):
    plant = plants(facility=MIXED)
    offered = moved(plant, ([1, 2], [5, 8], 0.4), ([6], [1, 7], 0.9), ([2], [0], 0.95))
    assert (plant.params.size * offered).sum() == pytest.approx((plant.params.size * np.arange(9)).sum())
    assert offered.min() >= 0


def test_moves_of_load_act_together_whatever_their_order(plants):
    """A move takes of what a rack is offered itself; several of one rack leave it what each of them leaves."""
    plant, several = plants(), [([4], [5], 0.5), ([5], [6], 1.0), ([4], [7], 0.8), ([6], [4], 0.25)]
    expected = {4: 4 * 0.5 * 0.2 + 6 * 0.25, 6: 6 * 0.75 + 5}
    for order in permutations(several):
        offered = moved(plant, *order)
        assert {rack: offered[rack] for rack in expected} == pytest.approx(expected)
        assert offered.sum() == pytest.approx(np.arange(12).sum())
