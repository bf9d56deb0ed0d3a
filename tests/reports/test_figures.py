"""The figures of a report are those that pandas gets from the files in a few lines of its own."""

import numpy as np
import pandas as pd
import pytest

import sim
from sim.model.profiles import shipped_profiles
from sim.reports import figures
from sim.reports.recorded import NONE, read_recorded
from sim.reports.tables import tables
from sim.runs.simulate import simulate_in_memory

NOMINAL = "nominal"


@pytest.fixture(scope="module")
def recorded(telemetry):
    return read_recorded(telemetry)


@pytest.fixture(scope="module")
def both(telemetry):
    """Return telemetry and labels as pandas reads them, joined."""
    readings = pd.read_csv(telemetry, parse_dates=["ts"])
    labels = pd.read_parquet(telemetry.with_name("small.labels.parquet"))
    named = labels.drop(columns=["ts", "rack_id"]).astype({"profile": str, "row_profile": str, "loop_profile": str})
    return readings.join(named).assign(row=readings["rack_id"].str[2])


@pytest.fixture(scope="module")
def profiles(recorded):
    return figures.profiles_of(recorded)


@pytest.fixture(scope="module")
def codes(recorded, profiles):
    return figures.coded_profiles(recorded.truth, list(profiles))


def test_spreads_are_the_quantiles_of_the_column(recorded, both):
    for channel, values in recorded.readings.items():
        told, column = figures.spread(values), both[channel]
        expected = [column.min(), column.quantile(0.001), column.mean(), column.median(), column.quantile(0.999)]
        assert [told.minimum, told.low, told.mean, told.median, told.high] == pytest.approx(expected, rel=1e-12)


def test_occupancy_by_row_and_hour_is_the_share_of_rows_in_each_profile(recorded, both, profiles, codes):
    told = figures.occupancy(recorded, list(profiles), codes)
    expected = both.groupby(["row", both["ts"].dt.hour])["profile"].value_counts(normalize=True)
    for i, row in enumerate(told.rows):
        for hour in range(24):
            for k, profile in enumerate(profiles):
                if 6 <= hour < 14:
                    assert told.seen[i, hour, k] == pytest.approx(expected.get((row, hour, profile), 0.0), abs=1e-12)
                else:
                    assert np.isnan(told.seen[i, hour, k])
    by_row = both.groupby("row")["profile"].value_counts(normalize=True)
    expected = [[by_row.get((row, profile), 0.0) for profile in profiles] for row in told.rows]
    assert told.over(told.seen, 1) == pytest.approx(np.array(expected), abs=1e-12)


def test_the_law_beside_it_is_that_of_the_ticks_that_were(recorded, profiles, codes):
    """From 6 to 14: two hours off, one of the shoulder, whose mean is half of either side, five of business."""
    told = figures.occupancy(recorded, list(profiles), codes)
    rest = 1 - 0.15 - 0.03
    k = list(profiles).index("high_load")
    assert told.law[0, 7, k] == pytest.approx(0.0, abs=1e-12)
    assert told.law[0, 10, k] == pytest.approx(0.30 * rest)
    minutes = np.arange(60) / 60
    assert told.law[0, 8, k] == pytest.approx(float((0.30 * rest * minutes).mean()))
    assert told.over(told.law, (0, 1)).sum() == pytest.approx(1.0)


def test_the_law_agrees_with_that_of_the_summary_of_the_run(run, recorded, profiles, codes):
    told = figures.occupancy(recorded, list(profiles), codes)
    shares, tick = run.arrays.hall.occupancy_shares, np.arange(480)
    minutes = (run.arrays.hall.scenario.start_minute_of_week + tick).astype(int)
    expected = np.mean([s.total[:, minutes].mean(axis=1) for s in shares], axis=0)
    assert told.over(told.law, (0, 1)) == pytest.approx(expected)


def stays(both):
    """Return profile and ticks of each stay in a profile, rack by rack, by counting changes."""
    by_rack = both.sort_values(["rack_id", "ts"])
    begins = (by_rack["profile"] != by_rack["profile"].shift()) | (by_rack["rack_id"] != by_rack["rack_id"].shift())
    grouped = by_rack.groupby(begins.cumsum())
    return pd.DataFrame({"profile": grouped["profile"].first(), "ticks": grouped.size()})


def test_dwells_are_the_stays_counted_in_ticks(recorded, both, profiles, codes):
    found = stays(both)
    for dwell in figures.dwells(recorded, list(profiles), codes):
        lasted_s = found.loc[found["profile"] == dwell.profile, "ticks"] * 60
        assert sorted(dwell.lasted_s) == sorted(lasted_s)
        assert dwell.persistent == (lasted_s >= 360).sum()
    assert not (found["profile"] == NOMINAL).all()


def test_a_stay_that_the_telemetry_cuts_is_told(recorded, both, profiles, codes):
    first, last = (both.groupby("rack_id")["profile"].agg(which) for which in ("first", "last"))
    for dwell in figures.dwells(recorded, list(profiles), codes):
        at_ends = (first == dwell.profile).sum() + (last == dwell.profile).sum()
        whole = stays(both).query("ticks == 480")["profile"].eq(dwell.profile).sum()
        assert dwell.cut == at_ends - whole


def test_settled_cells_are_those_of_the_run_in_memory(run, recorded, codes):
    assert (figures.settled(recorded, codes) == run.arrays.settled).all()


def test_ranges_are_the_quantiles_within_a_profile_and_the_share_of_settled_readings_inside(
    run, recorded, both, profiles, codes
):
    told = figures.ranges(recorded, profiles, codes)
    quiet = run.arrays.settled.reshape(-1) & both["observed_id"].isna() & both["sensor_fault"].isna()
    for channel in ("inlet_c", "pdu_kw", "fan_rpm_pct"):
        for profile in ("nominal", "thermal_event"):
            column, stated = both.loc[both["profile"] == profile, channel], shipped_profiles()[profile].ranges[channel]
            own = told[channel][profile]
            assert own.readings.median == pytest.approx(column.median())
            assert own.readings.high == pytest.approx(column.quantile(0.999))
            calm = both.loc[(both["profile"] == profile) & quiet, channel]
            assert own.inside == pytest.approx(calm.between(stated.low, stated.high).mean())


def test_correlations_are_those_of_pandas(recorded, both, profiles, codes):
    nominal = codes == list(profiles).index(NOMINAL)
    expected = both.loc[both["profile"] == NOMINAL, list(recorded.channels)].corr().to_numpy()
    assert figures.correlations(recorded, nominal) == pytest.approx(expected, abs=1e-9)


def test_autocorrelation_is_the_mean_over_racks_of_a_rack_with_itself_later(recorded, both):
    lags, told = figures.autocorrelations(recorded)
    assert lags == [60, 300, 900, 3600]  # up to half of the eight hours
    for lag_s, r in zip(lags, told["inlet_c"], strict=True):
        k, expected = round(lag_s / 60), []
        for _, rack in both.groupby("rack_id"):
            off = rack["inlet_c"] - rack["inlet_c"].mean()
            expected.append((off * off.shift(k)).mean() / (off**2).mean())
        assert r == pytest.approx(np.mean(expected), abs=1e-9)


def test_independent_draws_have_no_memory_and_a_line_has_all_of_it(recorded):
    draws = np.random.default_rng(0).normal(size=recorded.grid.shape)
    line = np.tile(np.sin(np.arange(480) / 80)[:, None], (1, 6))
    own = type(recorded)(recorded.path, recorded.grid, {"inlet_c": draws, "outlet_c": line}, recorded.rows)
    _, told = figures.autocorrelations(own)
    assert abs(told["inlet_c"][0]) < 3.5 / np.sqrt(480 * 6)  # the standard error of n independent pairs
    assert told["outlet_c"][0] > 0.99


def test_a_stuck_sensor_and_a_gap_are_found_where_they_are(recorded):
    values = np.arange(480.0)[:, None] + np.zeros((1, 6))
    values[100:130, 2] = 7.0
    values[200:215, 4] = np.nan
    values[:50, 5] = 100.0
    own = type(recorded)(recorded.path, recorded.grid, {"fan_rpm_pct": np.minimum(values, 90) * 1.0}, recorded.rows)
    q = figures.quality(own, "fan_rpm_pct")
    assert (q.missing, q.longest_gap_s) == (15, 900)
    limited = np.where(values >= 100, 100.0, values)
    limited[130:, 2] = np.arange(350) % 50
    at_limit = type(recorded)(recorded.path, recorded.grid, {"fan_rpm_pct": limited}, recorded.rows)
    q = figures.quality(at_limit, "fan_rpm_pct")
    assert (q.stuck, q.stuck_racks) == (30, 1)  # what stands at 100 %, its limit, is no fault of the sensor


def test_the_stuck_sensor_of_the_run_is_told(recorded):
    struck = {channel: figures.quality(recorded, channel) for channel in recorded.channels}
    assert sum(q.stuck for q in struck.values()) >= 60


def test_derived_channels_of_a_run_are_what_they_derive_from_and_others_are_told(recorded):
    assert figures.inconsistent(recorded) == {"delta_t": 0, "gpu_energy_j": 0}
    wrong = {**recorded.readings, "delta_t": recorded.readings["delta_t"] + np.eye(480, 6)}
    own = type(recorded)(recorded.path, recorded.grid, wrong, recorded.rows)
    assert figures.inconsistent(own)["delta_t"] == 6


def test_the_area_under_the_curve_is_the_chance_that_an_anomalous_row_scores_higher(recorded):
    rng = np.random.default_rng(1)
    values = np.round(rng.normal(size=(480, 6)), 1)
    anomalous = rng.random((480, 6)) < 0.05
    values[anomalous] += 1.0
    own = type(recorded)(recorded.path, recorded.grid, {"inlet_c": values}, recorded.rows)
    channel, area = figures.alone(own, anomalous)
    score = np.abs(values - np.median(values))
    hits, misses = score[anomalous][:, None], score[~anomalous][None, :]
    assert channel == "inlet_c"
    assert area == pytest.approx(((hits > misses) + 0.5 * (hits == misses)).mean())


def test_stretches_over_a_bound_are_counted():
    cells = np.array([[0, 1], [0, 1], [2, 1], [2, NONE], [2, NONE]])
    assert figures.straddling(cells, [0, 2, 4, 5], NONE) == 2


def test_shares_by_part_of_the_split_are_means_of_the_labels(recorded, both, profiles, codes):
    said = tables(recorded, profiles, codes, None, [])
    cut = both["ts"].drop_duplicates().sort_values().reset_index(drop=True)
    parts = [both["ts"] < cut[288], (both["ts"] >= cut[288]) & (both["ts"] < cut[384]), both["ts"] >= cut[384]]
    told = {line["what"]: line["cells"] for line in said["parts"]["lines"]}
    assert told["anomalous"] == [f"{100 * both.loc[p, 'is_anomaly'].mean():.2f}" for p in parts] + [
        f"{100 * both['is_anomaly'].mean():.2f}"
    ]


def test_the_tables_say_what_the_figures_are(recorded, both, profiles, codes):
    said = tables(recorded, profiles, codes, figures.occupancy(recorded, list(profiles), codes), [])
    inlet = next(line for line in said["statistics"] if line["channel"] == "inlet_c")
    assert inlet["ours"][2] == f"{both['inlet_c'].mean():.2f}"
    assert inlet["stated"] == ["17", "30", "22"]
    every = {cell["profile"]: cell["seen"] for cell in said["shares"][-1]["cells"]}
    assert every == {name: f"{100 * (both['profile'] == name).mean():.1f}" for name in profiles}


def test_a_run_of_a_shipped_scenario_is_made_again_by_the_command_that_its_report_gives(tmp_path):
    scenario = sim.scenario("pump_trip", seed=9, duration="2h")
    path, *_ = simulate_in_memory(scenario).write(tmp_path / "again.csv", twin=False)
    told = tables(read_recorded(path), {}, None, None, [])["reproduce"]
    assert told["command"] == "python run_sim.py --scenario pump_trip --seed 9 --duration 2h --output again.csv"
    assert told["needs"] == ""


def test_a_run_of_no_shipped_scenario_is_made_again_from_its_own(recorded):
    told = tables(recorded, {}, None, None, [])["reproduce"]
    assert told["needs"] == "small.scenario.yaml"
    assert "--scenario small.scenario.yaml --output small.csv" in told["command"]
