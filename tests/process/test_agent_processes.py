"""Racks under rows and loops: who covers whom, when, and what stays untouched underneath."""

import numpy as np
import simpy

from sim.agents.base import Level
from sim.agents.chain import Chain, ChainTables, DwellLaw
from sim.agents.occupancy import hazards
from sim.agents.rack import Rack
from sim.model.profiles import shipped_profiles
from tests.process.conftest import DWELL_S, NAMES, Cast, flat_shares


def test_the_cast_names_the_shipped_profiles_in_their_order():
    assert tuple(shipped_profiles()) == NAMES


def test_a_rack_alone_shows_its_own_chain(cast):
    cast.rack("nominal", (600, "thermal_event"), (1800, "nominal"), (4000, "high_load"))
    assert cast.play() == [(0, "nominal"), (600, "thermal_event"), (1800, "nominal"), (4000, "high_load")]


def test_only_the_stay_met_at_the_start_counts_as_under_way(cast):
    rack = cast.rack("thermal_event", (600, "nominal"), (1800, "overcooled"))
    cast.play()
    assert rack._chain.met_under_way == [True, False, False]


def test_a_rack_enters_and_leaves_its_rows_profile_by_the_same_lag(cast):
    cast.rack("nominal", lag_s=100.0)
    cast.row("nominal", (1000, "thermal_event"), (2000, "nominal"))
    assert cast.play() == [(0, "nominal"), (1100, "thermal_event"), (2100, "nominal")]


def test_an_episode_of_the_row_shorter_than_the_lag_reaches_the_rack_in_full_length(cast):
    cast.rack("nominal", lag_s=300.0)
    cast.row("nominal", (1000, "overcooled"), (1040, "nominal"))
    assert cast.play() == [(0, "nominal"), (1300, "overcooled"), (1340, "nominal")]


def test_a_rack_has_one_lag_for_its_row_and_another_for_its_loop(env, cast):
    rng = np.random.default_rng(0)
    rack = cast.rack("nominal")
    again = type(rack)(env, "R", 0, rack._chain, cast.observer, rng, participation=1.0, max_lag_s=360.0)
    first, second = (again._lag_s[level] for level in Level)
    assert first != second
    assert 0 <= min(first, second) <= max(first, second) <= 360


def test_a_rack_follows_its_loop_by_one_lag_and_its_row_by_the_other(cast):
    cast.rack("nominal", lags_s=(100.0, 300.0))
    cast.loop("nominal", (1000, "overcooled"), (3000, "nominal"))
    cast.row("nominal", (5000, "thermal_event"), (7000, "nominal"))
    times = [at_s for at_s, _ in cast.play()[1:]]
    lags_s = [at_s - told_s for at_s, told_s in zip(times, (1000, 3000, 5000, 7000), strict=True)]
    assert lags_s[0] == lags_s[1]
    assert lags_s[2] == lags_s[3]
    assert {lags_s[0], lags_s[2]} == {100.0, 300.0}


def test_the_loop_covers_the_row_and_the_row_covers_the_own_chain(cast):
    cast.rack("nominal", (100, "under_utilized"), (5000, "nominal"), lag_s=0.0)
    cast.row("nominal", (1000, "thermal_event"), (4000, "nominal"))
    cast.loop("nominal", (2000, "overcooled"), (3000, "nominal"))
    assert cast.play() == [
        (0, "nominal"),
        (100, "under_utilized"),
        (1000, "thermal_event"),
        (2000, "overcooled"),
        (3000, "thermal_event"),
        (4000, "under_utilized"),
        (5000, "nominal"),
    ]


def test_a_row_under_the_loops_cover_shows_only_when_the_loop_is_done(cast):
    cast.rack("nominal", lag_s=0.0)
    cast.loop("nominal", (1000, "overcooled"), (3000, "nominal"))
    cast.row("nominal", (2000, "thermal_event"), (4000, "nominal"))
    assert cast.play() == [(0, "nominal"), (1000, "overcooled"), (3000, "thermal_event"), (4000, "nominal")]


def test_each_profile_a_rack_is_brought_names_the_episode_that_brought_it(cast):
    cast.rack("nominal", (100, "under_utilized"), lag_s=0.0)
    cast.row("nominal", (1000, "thermal_event"), (4000, "nominal"))
    cast.loop("nominal", (2000, "overcooled"), (3000, "nominal"))
    cast.play()
    assert cast.observer.causes == [None, None, "row 0", "loop 0", "row 0", None]


def test_a_cover_of_the_same_profile_does_not_cut_the_racks_stay(cast):
    cast.rack("nominal", (500, "thermal_event"), (1500, "nominal"), lag_s=0.0)
    cast.row("nominal", (1000, "thermal_event"), (2000, "nominal"))
    assert cast.play() == [(0, "nominal"), (500, "thermal_event"), (2000, "nominal")]


def test_a_rack_that_does_not_join_an_episode_stays_out_of_it_to_its_end(cast):
    cast.rack("nominal", lag_s=100.0, joins=(False, True))
    cast.row("nominal", (1000, "thermal_event"), (2000, "nominal"), (3000, "overcooled"), (4000, "nominal"))
    assert cast.play() == [(0, "nominal"), (3100, "overcooled"), (4100, "nominal")]


def test_not_joining_an_episode_does_not_keep_a_rack_in_the_one_before(cast):
    """The row leaves at 2000 and is back at 2050, while the rack, which lags by 100 s, still follows the first."""
    cast.rack("nominal", lag_s=100.0, joins=(True, False))
    cast.row("nominal", (1000, "thermal_event"), (2000, "nominal"), (2050, "overcooled"), (4000, "nominal"))
    assert cast.play() == [(0, "nominal"), (1100, "thermal_event"), (2100, "nominal")]


def test_participation_is_drawn_for_every_episode_also_when_the_rack_is_covered(cast):
    cast.rack("nominal", lag_s=0.0, joins=(True, False, True))
    cast.loop("nominal", (500, "overcooled"), (3000, "nominal"))
    cast.row("nominal", (1000, "thermal_event"), (2000, "nominal"), (2500, "thermal_event"), (4000, "nominal"))
    log = cast.play()
    assert cast.draws.asked == 3
    assert log == [(0, "nominal"), (500, "overcooled"), (3000, "thermal_event"), (4000, "nominal")]


def test_a_rack_starts_in_what_its_row_is_in(cast):
    cast.rack("nominal", lag_s=100.0)
    cast.row("thermal_event", (1000, "nominal"))
    assert cast.play() == [(0, "thermal_event"), (1100, "nominal")]


def test_a_rack_starts_in_what_its_loop_is_in_rather_than_its_row(cast):
    cast.rack("under_utilized", lag_s=100.0)
    cast.row("thermal_event", (1000, "nominal"))
    cast.loop("overcooled", (500, "nominal"))
    assert cast.play() == [(0, "overcooled"), (600, "thermal_event"), (1100, "under_utilized")]


def test_a_rack_that_does_not_join_at_the_start_shows_its_own(cast):
    cast.rack("high_load", lag_s=100.0, joins=(False,))
    cast.row("thermal_event", (1000, "nominal"))
    assert cast.play() == [(0, "high_load")]


class OwnMovesLogged(Rack):
    """A rack that writes down what its own chain does, whatever shows."""

    def enter(self, profile):
        self.__dict__.setdefault("own_moves", []).append((self.env.now, profile))
        super().enter(profile)


def own_moves(env, cast, tables, *parents):
    """Return the moves of a rack's own chain over ten days, under parents or alone."""
    chain = Chain(tables, DwellLaw("exponential", 1.0, DWELL_S), np.random.default_rng(5), 0.0)
    draws = np.random.default_rng(6)
    rack = OwnMovesLogged(env, "R", 0, chain, cast.observer, draws, participation=0.8, max_lag_s=360.0)
    cast.racks.append(rack)
    for bring in parents:
        bring("thermal_event", *((k * 3000.0, ("nominal", "overcooled")[k % 2]) for k in range(1, 250)))
    cast.play(until_s=10 * 86_400)
    return rack.own_moves


def test_a_racks_own_chain_moves_the_same_with_parents_and_without():
    tables = ChainTables(hazards(flat_shares(), DWELL_S))
    alone, accompanied = simpy.Environment(), simpy.Environment()
    without = Cast(alone, [])
    with_both = Cast(accompanied, [])
    expected = own_moves(alone, without, tables)
    assert len(expected) > 50
    assert own_moves(accompanied, with_both, tables, with_both.row, with_both.loop) == expected
    assert with_both.observer.log != without.observer.log
