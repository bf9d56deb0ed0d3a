"""The truth log and the labels: what is true, told once, and the same however the run is cut into blocks and ticks."""

from collections import Counter, defaultdict

import numpy as np
import pytest

from sim.agents.base import Level
from sim.engine.build import build
from sim.engine.truth_log import TruthLog
from sim.model.episodes import PERSISTENT_S
from tests.process.conftest import NAMES
from tests.process.stage import busy_hall, episodes_told, quiet_hall, run

THERMAL, OVERCOOLED = NAMES.index("thermal_event"), NAMES.index("overcooled")
RUN_S = 6 * 3600.0


@pytest.fixture(scope="module")
def busy():
    return run(busy_hall())


@pytest.fixture
def truth_log():
    return TruthLog(quiet_hall().facility)


def story_of(episode):
    """Return what a reader learns of an episode."""
    cause = episode.cause.name if episode.cause else None
    return episode.name, episode.profile, episode.start_s, episode.end_s, cause, sorted(episode.racks)


def names_of(week):
    """Return the episode's id of each sample, (ticks, racks), None while nominal."""
    names = {e.number: e.name for e in week.episodes}
    return np.vectorize(names.get, otypes=[object])(week.episode)


def test_a_busy_hall_has_episodes_of_racks_rows_and_loops(busy):
    kinds = Counter(e.asset.split(":")[0].split("-")[0] for e in busy.episodes)
    assert kinds["R"] > 30
    assert min(kinds["row"], kinds["CL"]) > 3


@pytest.mark.parametrize("block_ticks", [1, 7, 100])
def test_telemetry_labels_and_episodes_do_not_depend_on_the_block(block_ticks, busy):
    cut = run(busy_hall(), block_ticks=block_ticks)
    for name, readings in busy.readings.items():
        assert np.array_equal(cut.readings[name], readings), name
    for name, truth in busy.truth.items():
        assert np.array_equal(cut.truth[name], truth), name
    for name in ("profile", "row_profile", "loop_profile", "episode", "persistent"):
        assert np.array_equal(getattr(cut, name), getattr(busy, name)), name
    assert [story_of(e) for e in cut.episodes] == [story_of(e) for e in busy.episodes]
    assert [e.ticks for e in cut.episodes] == [e.ticks for e in busy.episodes]


@pytest.mark.parametrize("tick_s", [10, 240, 1800])
def test_episodes_and_their_ids_do_not_depend_on_the_tick(tick_s, busy):
    other = run(busy_hall(tick=tick_s))
    assert [story_of(e) for e in other.episodes] == [story_of(e) for e in busy.episodes]
    together = np.lcm(tick_s, 60)
    assert np.array_equal(names_of(other)[:: together // tick_s], names_of(busy)[:: together // 60])
    assert np.array_equal(other.persistent[:: together // tick_s], busy.persistent[:: together // 60])


def test_persistent_samples_are_those_of_episodes_that_last_six_minutes(busy):
    lasts_s = {e.number: e.lasts_s(RUN_S) for e in busy.episodes}
    expected = np.vectorize(lambda n: lasts_s.get(n, 0.0) >= PERSISTENT_S)(busy.episode)
    assert np.array_equal(busy.persistent, expected)
    short = [s for s in lasts_s.values() if s < PERSISTENT_S]
    assert 0.1 < len(short) / len(lasts_s) < 0.9, "both kinds occur"


@pytest.mark.parametrize("block_ticks", [1, 2, 5, 7, 100])
@pytest.mark.parametrize(("lasts_s", "persistent"), [(359.5, False), (360.0, True), (400.0, True)])
def test_an_episode_across_blocks_is_persistent_by_its_whole_length(block_ticks, lasts_s, persistent):
    seen = run(quiet_hall(), story=episodes_told((601, 601 + lasts_s, "thermal_event")), block_ticks=block_ticks)
    labelled = seen.profile[:, 0] == THERMAL
    assert labelled.sum() == 6
    assert np.all(seen.persistent[labelled, 0] == persistent)
    assert not seen.persistent[~labelled].any()


@pytest.mark.parametrize("block_ticks", [1, 7, 100])
@pytest.mark.parametrize(("before_end_s", "persistent"), [(350, False), (360, True), (500, True)])
def test_an_episode_the_run_cuts_off_is_persistent_by_what_the_run_saw_of_it(before_end_s, persistent, block_ticks):
    begins_s = 3600 - before_end_s
    seen = run(quiet_hall(), story=episodes_told((begins_s, None, "overcooled")), block_ticks=block_ticks)
    labelled = seen.profile[:, 0] == OVERCOOLED
    assert labelled.any()
    assert np.all(seen.persistent[labelled, 0] == persistent)
    assert [(e.name, e.end_s) for e in seen.episodes] == [("R-A-01#1", None)]


def test_each_event_is_one_run_in_the_labels_of_its_own_rack(busy):
    """Every id is one unbroken run of `ticks` samples of its rack, and every labelled sample is of an event."""
    racks = busy.hall.facility.racks
    events = {e.number: e for e in busy.episodes if e.asset in racks}
    found = defaultdict(list)
    for rack, column in enumerate(busy.episode.T):
        starts = np.flatnonzero(np.diff(column, prepend=-2))
        for start, end in zip(starts, [*starts[1:], len(column)], strict=True):
            if column[start] >= 0:
                found[int(column[start])].append((racks[rack], end - start, busy.profile[start, rack]))
    for number, runs in found.items():
        event = events[number]
        assert runs == [(event.asset, event.ticks, event.profile)]
    assert {number for number, event in events.items() if event.ticks} == set(found)


def test_each_event_is_labelled_from_its_first_tick_to_its_last(busy):
    """Sampled every 60 s: first at or after the start, last before the end."""
    for event in busy.episodes:
        if event.asset in busy.hall.facility.racks and event.ticks:
            ticks = np.flatnonzero((busy.episode == event.number).any(axis=1))
            assert ticks[0] == np.ceil(event.start_s / 60)
            assert ticks[-1] == np.ceil((RUN_S if event.end_s is None else event.end_s) / 60) - 1


def test_profile_and_episode_agree_in_every_sample(busy):
    assert np.array_equal(busy.profile == 0, busy.episode == -1)
    profiles = {e.number: e.profile for e in busy.episodes}
    assert all(profiles[n] == p for n, p in zip(busy.episode.flat, busy.profile.flat, strict=True) if n >= 0)


def test_every_episode_is_handed_out_once_and_in_the_order_of_its_end(busy):
    assert len({e.number for e in busy.episodes}) == len(busy.episodes) == len({e.name for e in busy.episodes})
    ends_s = [e.end_s if e.end_s is not None else np.inf for e in busy.episodes]
    assert ends_s == sorted(ends_s)


def test_each_asset_counts_its_own_episodes_from_one(busy):
    ordinals = defaultdict(list)
    for e in sorted(busy.episodes, key=lambda e: e.start_s):
        ordinals[e.asset].append(e.ordinal)
    assert all(seen == list(range(1, len(seen) + 1)) for seen in ordinals.values())


def test_a_rows_or_loops_episode_names_the_racks_it_brought(busy):
    brought = defaultdict(set)
    for e in busy.episodes:
        if e.cause:
            brought[e.cause.name].add(e.asset)
    named = {e.name: e.racks for e in busy.episodes if e.racks}
    assert named == dict(brought)


def test_a_rack_back_from_its_loops_cover_took_part_once_in_its_rows_episode(truth_log):
    row = truth_log.group_enters(Level.ROW, 10.0, 0, THERMAL)
    loop = truth_log.group_enters(Level.LOOP, 20.0, 0, OVERCOOLED)
    truth_log.rack_enters(15.0, 0, THERMAL, row)
    truth_log.rack_enters(25.0, 0, OVERCOOLED, loop)
    truth_log.rack_enters(35.0, 0, THERMAL, row)
    assert (row.racks, loop.racks) == ({"R-A-01"}, {"R-A-01"})


def test_what_the_agents_do_under_an_incidents_heat_shows_when_it_is_gone_and_reaches_the_plant_at_once(truth_log):
    truth_log.rack_is_overridden(10.0, 0, THERMAL, "trip")
    truth_log.rack_enters(20.0, 0, OVERCOOLED, None)
    assert truth_log.racks.profile[0] == THERMAL
    assert [(c.time_s, c.rack, c.old, c.new) for c in truth_log.take_changes()] == [(20.0, 0, 0, OVERCOOLED)]
    truth_log.rack_is_released(30.0, 0)
    assert truth_log.racks.profile[0] == OVERCOOLED
    told = [(e.profile, e.incident, e.start_s, e.end_s) for e in truth_log.kept().values()]
    assert told == [(THERMAL, "trip", 10.0, 30.0), (OVERCOOLED, None, 30.0, None)]


def test_a_rack_that_follows_after_the_rows_episode_is_over_is_still_named_by_it(busy):
    late = [e for e in busy.episodes if e.cause and e.cause.end_s is not None and e.start_s > e.cause.end_s]
    assert all(e.asset in e.cause.racks for e in late)


class AtHandOut:
    """A sink that notes what an episode says at the moment it is handed out."""

    def __init__(self):
        self.stories = []

    def telemetry(self, block):
        """Leave readings alone."""

    def labels(self, block):
        """Leave labels alone."""

    def events(self, finished):
        self.stories += [(story_of(e), e.ticks) for e in finished]


@pytest.mark.parametrize("block_ticks", [1, 7, 100])
def test_nothing_more_is_learned_of_an_episode_once_it_is_handed_out(block_ticks, busy):
    sink = AtHandOut()
    build(busy_hall(), [sink], block_ticks=block_ticks).run()
    assert sink.stories == [(story_of(e), e.ticks) for e in busy.episodes]


def test_the_truth_log_hands_out_what_is_over_and_keeps_what_lasts(truth_log):
    truth_log.rack_enters(0.0, 0, THERMAL, None)
    truth_log.rack_enters(10.0, 1, OVERCOOLED, None)
    truth_log.rack_enters(20.0, 1, 0, None)
    truth_log.rack_enters(30.0, 0, 0, None)
    truth_log.rack_enters(40.0, 2, THERMAL, None)
    assert [e.name for e in truth_log.hand_out(20.0)] == []
    assert [e.name for e in truth_log.hand_out(25.0)] == ["R-A-02#1"]
    assert [e.name for e in truth_log.hand_out(100.0)] == ["R-A-01#1"]
    assert [e.name for e in truth_log.kept().values()] == ["R-A-03#1"]


def test_a_change_from_one_anomaly_to_another_ends_one_episode_and_begins_the_next(truth_log):
    truth_log.rack_enters(5.0, 0, THERMAL, None)
    truth_log.rack_enters(9.0, 0, OVERCOOLED, None)
    one, other = truth_log.kept().values()
    assert (one.start_s, one.end_s, one.profile) == (5.0, 9.0, THERMAL)
    assert (other.start_s, other.end_s, other.profile) == (9.0, None, OVERCOOLED)


def test_the_plant_is_told_each_change_once(truth_log):
    truth_log.rack_enters(5.0, 0, THERMAL, None)
    truth_log.rack_enters(9.0, 0, 0, None)
    changes = truth_log.take_changes()
    assert [(c.time_s, c.rack, c.old, c.new) for c in changes] == [(5.0, 0, 0, THERMAL), (9.0, 0, THERMAL, 0)]
    assert truth_log.take_changes() == []
