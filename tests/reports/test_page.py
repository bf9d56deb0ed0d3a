"""A report in a real Chromium, opened from the disk: what it shows is what the files hold."""

import pandas as pd
import pytest

import sim
from sim.reports.page import MOST_BYTES, write_report
from tests.api.browser import CHROMIUM, Tab, chromium

pytest.importorskip("playwright", reason="needs the package playwright: pip install playwright")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium named chromium: apt-get install chromium")

GROUND = "getComputedStyle(document.body).backgroundColor"


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture
def tab(browser):
    """Open reports; at the end nothing may have gone wrong in them, and nothing been asked of anyone."""
    tabs = []

    def of(path, **context):
        tabs.append(Tab(browser, path.parent.as_uri(), **context))
        return tabs[-1].open(path.name, "html[data-ready]")

    yield of
    for one in tabs:
        one.close()
    assert [one.wrong for one in tabs] == [[] for _ in tabs]


@pytest.fixture(scope="module")
def readings(telemetry):
    return pd.read_csv(telemetry, parse_dates=["ts"])


def at(readings, rack, tick):
    return readings[readings["rack_id"] == rack].iloc[tick]


def scrub(page, tick):
    page.page.evaluate(
        "tick => { time.value = tick; time.dispatchEvent(new Event('input', {bubbles: true})); }", str(tick)
    )


def point_at(page, canvas, x, y):
    """Click at a place of a canvas, given as parts of its width and height."""
    box = page.page.locator(canvas).bounding_box()
    page.page.click(canvas, position={"x": x * box["width"], "y": y * box["height"]})


def test_the_page_opens_from_disk_and_shows_the_first_incident(page, tab):
    opened = tab(page)
    assert opened.page.is_visible("#struck")
    assert opened.data("#struck", "shown") == "fan_failure-1"
    assert "R-A-02" in opened.text("#struck figcaption")
    assert opened.data("#rack", "rack") == "R-A-02"


def test_the_scrubber_goes_through_the_ticks_and_shows_each_reading(page, tab, readings):
    opened = tab(page)
    opened.page.select_option("#which", label="R-B-03")
    for tick in (0, 100, 479):
        scrub(opened, tick)
        row = at(readings, "R-B-03", tick)
        assert opened.text("#clock") == f"{row['ts']:%Y-%m-%d %H:%M} UTC"
        for channel in ("inlet_c", "tokens_ps", "fan_rpm_pct"):
            opened.page.select_option("#channel", channel)
            assert float(opened.data("#now", "value")) == pytest.approx(row[channel], abs=0.15)


def test_profiles_are_shown_as_the_labels_have_them(page, tab, run):
    opened = tab(page)
    opened.page.select_option("#channel", "profile")
    labels = run.labels[run.labels["rack_id"] == "R-A-02"]["profile"].astype(str).to_list()
    opened.page.select_option("#which", label="R-A-02")
    for tick in (0, 190, 300):
        scrub(opened, tick)
        assert opened.data("#now", "value") == labels[tick]
    assert "thermal_event" in opened.text("#legend")


def test_a_click_on_a_rack_draws_its_channels_to_the_last_reading(page, tab, readings):
    opened = tab(page)
    point_at(opened, "#now", 0.97, 0.9)
    assert opened.data("#rack", "rack") == "R-B-03"
    last = at(readings, "R-B-03", -1)
    for channel in ("inlet_c", "pdu_kw", "latency_p95_ms", "delta_t"):
        chart = f'#charts [data-channel="{channel}"]'
        assert float(opened.data(chart, "last")) == pytest.approx(last[channel], abs=0.01)
        assert opened.data(chart, "points") == "480"


def test_a_click_on_the_history_takes_a_time_and_a_rack(page, tab):
    opened = tab(page)
    point_at(opened, "#all", 0.75, 0.05)
    assert opened.data("#rack", "rack") == "R-A-01"
    width = opened.page.locator("#all").bounding_box()["width"]
    expected = (0.75 * width - 44) / (width - 44) * 480
    assert int(opened.data("#now", "bin")) == pytest.approx(expected, abs=1.5)


def test_racks_that_an_incident_reached_are_drawn_with_their_twin_and_others_without(page, tab):
    opened = tab(page)
    assert opened.data('#charts [data-channel="inlet_c"]', "twin") == "true"
    assert "without incidents" in opened.text("#key")
    opened.page.select_option("#which", label="R-B-03")
    assert opened.data('#charts [data-channel="inlet_c"]', "twin") == "false"
    assert "without incidents" not in opened.text("#key")


def test_play_moves_on_until_it_is_paused(page, tab):
    opened = tab(page)
    scrub(opened, 10)
    opened.page.click("#play")
    opened.wait("Number(now.dataset.bin) > 12")
    opened.page.click("#play")
    assert opened.text("#play") == "Play"
    stopped = opened.data("#now", "bin")
    opened.page.wait_for_timeout(200)
    assert opened.data("#now", "bin") == stopped


def test_an_incident_that_is_chosen_is_drawn(page, tab):
    opened = tab(page)
    opened.page.click('#struck-list tr[data-id="sensor_stuck-1"] button')
    assert opened.data("#struck", "shown") == "sensor_stuck-1"
    assert "R-B-01" in opened.text("#struck figcaption")


def test_occupancy_by_hour_is_drawn_for_the_row_that_is_chosen(page, tab):
    opened = tab(page)
    assert opened.data('#hours [data-profile="nominal"]', "row") == "all"
    opened.page.select_option("#row", "B")
    assert opened.data('#hours [data-profile="nominal"]', "row") == "B"


def test_arrow_keys_move_from_rack_to_rack(page, tab):
    opened = tab(page)
    opened.page.focus("#now")
    for key in ("ArrowRight", "ArrowDown"):
        opened.page.keyboard.press(key)
    assert opened.data("#rack", "rack") == "R-B-03"


def test_pointing_at_a_rack_tells_its_reading(page, tab, readings):
    opened = tab(page)
    scrub(opened, 30)
    box = opened.page.locator("#now").bounding_box()
    opened.page.mouse.move(box["x"] + 0.97 * box["width"], box["y"] + 0.9 * box["height"])
    assert "R-B-03" in opened.text("#tip")
    assert f"{at(readings, 'R-B-03', 30)['inlet_c']:.2f}" in opened.text("#tip")


def test_dark_and_light_follow_the_system_until_one_is_chosen(page, tab):
    opened, grounds = tab(page, color_scheme="dark"), []
    for _ in range(4):
        grounds.append(opened.page.evaluate(GROUND))
        opened.page.click("#theme")
    auto, light, dark, again = grounds
    assert auto == dark == again != light


def test_print_is_light_whatever_the_screen_and_leaves_out_what_paper_cannot_do(page, tab):
    opened = tab(page, color_scheme="dark")
    opened.page.emulate_media(media="print", color_scheme="dark")
    assert opened.page.evaluate("getComputedStyle(document.body).color") == "rgb(27, 37, 43)"
    assert opened.page.is_hidden("#play")
    assert opened.page.is_visible("#clock")
    assert len(opened.page.pdf(format="A4")) > 10_000


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (1000, "dark"), (1920, "light"), (1920, "dark")])
def test_it_fits_any_screen_and_axe_finds_nothing_serious(page, tab, width, scheme):
    opened = tab(page, width=width, height=800, color_scheme=scheme)
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
    assert opened.serious() == []


def test_the_scenario_of_a_run_can_be_saved_and_is_one(page, tab, tmp_path, run):
    opened = tab(page)
    with opened.page.expect_download() as saved:
        opened.page.click("#scenario-save")
    assert saved.value.suggested_filename == "small.scenario.yaml"
    saved.value.save_as(tmp_path / "again.yaml")
    again = sim.run(tmp_path / "again.yaml")
    pd.testing.assert_frame_equal(again.telemetry, run.telemetry)


def test_what_a_file_says_never_becomes_markup(tab, tmp_path):
    hostile = "</script><img src=x onerror=document.title='struck'>"
    rows = [f"2025-01-06T00:{k:02}:00Z,{name},2{k % 3}" for k in range(20) for name in (hostile, "__proto__", "b-1")]
    path = tmp_path / "a&<b>.csv"
    path.write_text("\n".join(["ts,rack_id,inlet_c", *rows]) + "\n")
    opened = tab(write_report(path, tmp_path / "a.html"))
    opened.page.select_option("#which", label=hostile)
    assert opened.data("#rack", "rack") == hostile
    assert opened.page.title() == "a&<b>: report"
    assert opened.page.query_selector("img") is None


def test_telemetry_that_is_not_ours_is_shown_without_labels(tab, tmp_path, telemetry):
    frame = pd.read_csv(telemetry)[["rack_id", "ts", "outlet_c", "pdu_kw"]].sample(frac=0.9, random_state=1)
    frame.to_parquet(tmp_path / "theirs.parquet")
    opened = tab(write_report(tmp_path / "theirs.parquet"))
    assert opened.page.evaluate("[...channel.options].map(o => o.value)") == ["outlet_c", "pdu_kw"]
    assert opened.page.is_visible("#charts")
    assert "288" in opened.text('#quality tr[data-what="missing"]')  # a tenth of 2,880


def many(racks, keys):
    return {"facility": {"rows": racks // 20, "racks_per_row": 20}, "occupancy": {"rows": {}}, **keys}


def test_a_hall_of_two_thousand_racks_opens(tab, tmp_path):
    run = sim.run("week", **many(2_000, {"duration": "4h", "tick": "10m"}))
    made = write_report(run.write(tmp_path / "many.csv")[0])
    opened = tab(made)
    opened.page.select_option("#which", label=run.racks[-1])
    assert opened.data("#rack", "rack") == run.racks[-1]


@pytest.mark.nightly
def test_a_day_of_two_thousand_racks_opens_and_is_under_ten_megabytes(tab, tmp_path):
    run = sim.run("week", **many(2_000, {"duration": "1d"}))
    made = write_report(run.write(tmp_path / "many.csv")[0])
    assert made.stat().st_size < MOST_BYTES
    tab(made)


@pytest.mark.nightly
def test_a_week_of_72_racks_is_under_three_megabytes(tab, tmp_path):
    made = write_report(sim.run("week").write(tmp_path / "week.csv")[0])
    assert made.stat().st_size < 3_000_000
    tab(made)
