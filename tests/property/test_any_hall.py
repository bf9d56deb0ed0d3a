"""Any small hall that is valid builds and runs."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sim.common.errors import InputError
from sim.engine.build import build, resolve, with_incidents
from sim.incidents.catalogue import CATALOGUE
from sim.model.channels import MISSING, TELEMETRY_CHANNELS
from sim.model.episodes import Episode
from sim.scenario.checks import parse_scenario
from tests.examples import examples

TICKS = 20


class Kept:
    """A sink that keeps what it is handed."""

    def __init__(self):
        self.blocks, self.truths, self.ended = [], [], []

    def telemetry(self, block):
        """Keep readings."""
        self.blocks.append(block)

    def labels(self, block):
        """Keep the truth."""
        self.truths.append(block)

    def events(self, finished):
        """Keep what is over."""
        self.ended += finished


@st.composite
def facilities(draw):
    names = draw(st.lists(st.sampled_from("ABCDEFGH"), min_size=1, max_size=5, unique=True))
    types = draw(st.lists(st.sampled_from(["dense", "light"]), unique=True))
    rows = [
        {"name": n, "racks": draw(st.integers(1, 4)), "rack_type": draw(st.sampled_from(["standard", *types]))}
        for n in names
    ]
    cuts = sorted(draw(st.sets(st.integers(1, len(names) - 1)))) if len(names) > 1 else []
    fed = [names[a:b] for a, b in zip([0, *cuts], [*cuts, len(names)], strict=True)]
    return {
        "rows": rows,
        "loops": [{"name": f"CDU-{i}", "feeds": feeds} for i, feeds in enumerate(fed)],
        "rack_types": {t: {"size": draw(st.floats(0.1, 8))} for t in types},
        "ups_count": draw(st.integers(1, 4)),
        "supply_water_c": draw(st.floats(13, 16.5)),
    }


def around(middle, spread):
    return st.floats(middle - spread, middle + spread).map(lambda m: [m - spread, m + spread])


profiles = st.fixed_dictionaries(
    {},
    optional={
        "siesta": st.fixed_dictionaries(
            {}, optional={"tokens_ps": around(6000, 2000), "queue_depth": around(60, 30), "inlet_c": around(26, 1)}
        ),
        "high_load": st.fixed_dictionaries({}, optional={"inlet_c": around(26, 0.5), "tokens_ps": around(11_500, 500)}),
    },
)


@st.composite
def incidents(draw, tick):
    """Draw incidents of any kinds anywhere in the hall, any long, with any parameters within their limits."""
    kind = CATALOGUE[draw(st.sampled_from(sorted(CATALOGUE)))]
    level = draw(st.sampled_from(kind.target_levels))
    spec = {
        "kind": kind.name,
        "target": draw(st.sampled_from(["plant"] if level == "plant" else [f"{level}:*", f"random({level}, 1)"])),
        "at": draw(st.integers(0, TICKS * tick - 1)),
        "duration": draw(st.floats(1, TICKS * tick)),
        "severity": draw(st.floats(0, 1)),
        "shape": draw(st.sampled_from(["step", "ramp", "drift", "sawtooth", "pulse", "wave"])),
        "recovery": draw(st.floats(0, 3 * tick)),
        "parameters": {p.name: draw(st.floats(p.low, p.high)) for p in kind.parameters if draw(st.booleans())},
    }
    if kind.moves_load:
        spec["target"] = f"random({level}, 1)"
    return spec


def sound_only(specs, scenario):
    """Return those of some incidents that a scenario can have beside those before."""
    kept = []
    for spec in specs:
        try:
            parse_scenario({**scenario, "incidents": [*kept, spec]}, "any.yaml")
        except InputError:
            continue
        kept.append(spec)
    return kept


@st.composite
def scenarios(draw):
    own = draw(profiles)
    anytime = {"thermal_event": draw(st.floats(0, 0.3)), "overcooled": draw(st.floats(0, 0.3))}
    if "siesta" in own:
        anytime["siesta"] = draw(st.floats(0, 0.2))
    return {
        "name": "any",
        "tick": (tick := draw(st.sampled_from([1, 10, 30, 60, 61, 300, 3600]))),
        "duration": TICKS * tick,
        "seed": draw(st.integers(0, 2**63 - 1)),
        "utc_offset": draw(st.floats(-12, 14)),
        "start": draw(st.sampled_from(["2025-01-06", "2025-01-12T17:30:00Z", "2024-02-29T08:59:59Z"])),
        "facility": draw(facilities()),
        "profiles": own,
        "occupancy": {
            "anytime": anytime,
            "business": {"high_load": draw(st.floats(0, 0.9))},
            "off_hours": {"under_utilized": draw(st.floats(0, 0.9))},
            "rows": {"C": {"thermal_event": draw(st.floats(0, 0.3))}},
            "weekends": draw(st.sampled_from(["as_weekdays", "as_off_hours"])),
            "row_share": draw(st.floats(0, 0.6)),
            "loop_share": draw(st.floats(0, 0.4)),
            "participation": draw(st.floats(0.1, 1)),
        },
        "dwell": {
            "law": draw(st.sampled_from(["exponential", "lognormal", "weibull"])),
            "shape": draw(st.floats(0.5, 2)),
        },
        "sensors": {"noise_scale": draw(st.floats(0, 5))},
    }


@examples(10)
@given(scenarios(), st.data(), st.integers(1, TICKS))
def test_any_valid_incidents_run_to_the_end_and_leave_the_twin_alone(data, more, block_ticks):
    wanted = more.draw(st.lists(incidents(data["tick"]), min_size=1, max_size=6))
    data["facility"]["chiller_capacity_kw"] = more.draw(st.none() | st.floats(20, 400))
    rates = {"acceleration": min(1e5, 2e8 / (TICKS * data["tick"]))}
    plain = resolve(parse_scenario(data, "any.yaml"))
    affected = {**data, "incidents": sound_only(wanted, data), "incident_rates": more.draw(st.none() | st.just(rates))}
    kept, alone = Kept(), Kept()
    build(with_incidents(plain, parse_scenario(affected, "any.yaml")), [kept], block_ticks=block_ticks).run()
    build(plain, [alone]).run()
    for name in TELEMETRY_CHANNELS:
        readings = np.concatenate([block.readings[name] for block in kept.blocks])
        assert np.abs(readings[readings != MISSING]).max(initial=0) < 10**15, name
        untouched = np.concatenate([(block.twin or block).readings[name] for block in kept.blocks])
        assert np.array_equal(untouched, np.concatenate([block.readings[name] for block in alone.blocks])), name
    for block in kept.blocks:
        assert all(np.isfinite(values).all() for values in block.truth.values())
    profile = np.concatenate([labels.racks.profile for labels in kept.truths])
    episodes = [e for e in kept.ended if isinstance(e, Episode) and e.asset in plain.facility.racks]
    assert sum(e.ticks for e in episodes) == (profile > 0).sum()
    told = [e.id for e in kept.ended if not isinstance(e, Episode)]
    assert len(set(told)) == len(told)
    joined = {
        name for labels in kept.truths if labels.incident_labels for name in labels.incident_labels.incident_names
    }
    assert {name for names in joined for name in names.split("|")} <= {"", *told}


@examples(12)
@given(scenarios(), st.integers(1, TICKS))
def test_any_valid_hall_builds_and_runs_with_finite_readings_and_complete_truth(data, block_ticks):
    hall = resolve(parse_scenario(data, "any.yaml"))
    kept, racks = Kept(), len(hall.facility.racks)
    build(hall, [kept], block_ticks=block_ticks).run()
    for name in TELEMETRY_CHANNELS:
        readings = np.concatenate([block.readings[name] for block in kept.blocks])
        assert readings.shape == (TICKS, racks)
        assert np.abs(readings).max() < 10**15, name
    for block in kept.blocks:
        assert all(np.isfinite(values).all() for values in block.truth.values())
    profile = np.concatenate([labels.racks.profile for labels in kept.truths])
    assert profile.shape == (TICKS, racks)
    assert profile.min() >= 0
    assert profile.max() < len(hall.profiles)
    seen = sum(episode.ticks for episode in kept.ended if episode.asset in hall.facility.racks)
    assert seen == (profile > 0).sum()
