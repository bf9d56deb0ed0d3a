"""The page in a real Chromium: what it shows is what the server has, and what it does is done."""

import contextlib
import os
import signal
import subprocess
import sys

import pandas as pd
import pytest

from tests.api.browser import CHROMIUM, Tab, chromium
from tests.api.hall import samples
from tests.api.server import ROOT
from tests.api.uvicorn_server import serving
from training import artifact

pytest.importorskip("playwright", reason="needs the package playwright: pip install playwright")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium named chromium: apt-get install chromium")

HALL = {
    "name": "pages", "seed": 5, "duration": "12h", "facility": {"rows": 4, "racks_per_row": 2},
    "occupancy": {"rows": {}},
}  # fmt: skip
TOKENS = {"SKADI_TOKEN": "write", "SKADI_READ_TOKEN": "read"}
CHANNELS = ("inlet_c", "outlet_c", "delta_t", "pdu_kw", "gpu_power_kw", "tokens_ps", "latency_p95_ms", "queue_depth",
            "fan_rpm_pct", "pump_rpm_pct")  # fmt: skip


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """A server that nothing was sent to."""
    with serving(tmp_path_factory.mktemp("empty")) as server:
        yield server


def fed(folder, model):
    """Lay out a folder whose server has a model."""
    (folder / "artifacts").mkdir()
    artifact.save(model, folder / "artifacts" / "ims_hall.json")
    return folder


@pytest.fixture(scope="module")
def posted(tmp_path_factory, model):
    """A server with a model that eight racks sent three hours to."""
    with serving(fed(tmp_path_factory.mktemp("posted"), model)) as server:
        server.post("/telemetry/batch", {"samples": samples()[: 8 * 180]})
        yield server


@pytest.fixture
def own(tmp_path):
    """Start servers of the test's own, which outlive its pages."""
    with contextlib.ExitStack() as stack:
        yield lambda **settings: stack.enter_context(serving(tmp_path, **settings))


@pytest.fixture
def live(tmp_path, model, own):
    """A server with a model and a paused hall that shows its truth, two hours into its run."""
    fed(tmp_path, model)
    server = own(SKADI_REVEAL="true")
    server.post("/hall/start", {"scenario": HALL, "paused": True, "speed": 3600})
    server.post("/hall/step", {"ticks": 120})
    return server


@pytest.fixture
def tab(browser, own):  # noqa: ARG001 - pages are closed before the servers end
    """Open pages; at the end nothing may have gone wrong in them."""
    tabs = []

    def of(server, fragment="", ready="html[data-ready]", **context):
        tabs.append(Tab(browser, server.url, **context))
        return tabs[-1].open(fragment, ready)

    yield of
    for one in tabs:
        one.close()
    assert [one.wrong for one in tabs] == [[] for _ in tabs]


def racks(server):
    return {rack["rack_id"]: rack for rack in server.get("/racks")["racks"]}


def test_a_page_without_data_says_why_each_panel_is_empty_and_offers_a_hall(empty, tab):
    page = tab(empty)
    assert "No telemetry yet" in page.text("#hall-empty")
    assert "Select a rack" in page.text("#rack-empty")
    assert "nothing to judge" in page.text("#alarms-empty")
    assert "No live hall" in page.text("#incidents-empty")
    assert "No live hall" in page.text("#scoreboard-empty")
    assert "No live hall" in page.text("#strike-line")
    assert page.text("#clock") == "no data yet"
    assert page.page.is_visible("#quick-start")


def test_the_heat_map_shows_each_rack_s_latest_reading_of_each_channel_with_a_legend_in_units(posted, tab):
    page, told = tab(posted), racks(posted)
    units = {c["name"]: c["unit"].replace("degC", "°C") for c in posted.get("/hall/layout")["channels"]}
    for channel in CHANNELS:
        page.page.select_option("#colour", channel)
        assert {rack: float(value) for rack, value in page.values().items()} == {r: told[r][channel] for r in told}
        assert page.text("#legend").endswith(units[channel])
    page.page.select_option("#colour", "mms_state")
    assert page.values() == {rack: told[rack]["mms_state"] for rack in told}
    page.page.select_option("#colour", "deviation")
    limits = posted.get("/racks")["limits"]
    assert f"{limits['tau_fast']:.2f}" in page.text("#legend")
    assert f"{limits['tau_persist']:.2f}" in page.text("#legend")


def test_a_batch_that_comes_in_is_drawn_without_being_asked_for(own, tab):
    server = own()
    page = tab(server)
    server.post("/telemetry/batch", {"samples": samples()[:8]})
    page.wait("document.querySelectorAll('.cell').length === 8")
    page.wait("document.querySelector('#alarms-empty').textContent.startsWith('No model is active')")
    server.post("/telemetry/batch", {"samples": samples()[8:16]})
    page.wait("ts => document.querySelector('#racks').dataset.ts === ts", samples()[8]["ts"])
    assert page.text("#clock").endswith("00:01:00 UTC")


def test_keys_move_over_the_racks_and_what_is_selected_is_drawn_over_time(posted, tab):
    page = tab(posted, "#R-A-01")
    page.wait("document.querySelector('#rack').dataset.rack === 'R-A-01'")
    page.page.focus('.cell[data-rack="R-A-01"]')
    for key in ("ArrowRight", "ArrowDown", "ArrowRight", "ArrowUp", "End", "ArrowRight", "PageDown"):
        page.page.keyboard.press(key)
    page.wait("document.querySelector('#rack').dataset.rack === 'R-B-04'")
    assert page.page.evaluate("document.activeElement.dataset.rack") == "R-B-04"
    assert page.page.evaluate("document.querySelectorAll('.cell[tabindex=\"0\"]').length") == 1
    told = posted.get("/racks/R-B-04/series?points=180")
    for name in ("deviation", *(c for c in CHANNELS if c != "delta_t")):
        chart = f'.chart[data-chart="{name}"]'
        assert float(page.data(chart, "last")) == told["series"][name][-1]
        assert page.data(chart, "points") == "180"
        limits = (
            told["limits"].values()
            if name == "deviation"
            else (told["nominal"][name][side][-1] for side in ("low", "high"))
        )
        assert [float(page.data(chart, side)) for side in ("low", "high")] == list(limits)


def test_pointing_at_a_rack_tells_its_readings(posted, tab):
    page, told = tab(posted), racks(posted)["R-B-02"]
    page.page.hover('.cell[data-rack="R-B-02"]')
    assert page.page.is_visible("#tip")
    assert f"{told['inlet_c']:.1f} °C" in page.text("#tip")
    assert f"{told['pdu_kw']:.2f} kW" in page.text("#tip")
    page.page.mouse.move(2, 2)
    assert page.page.is_hidden("#tip")


def test_the_order_of_the_tab_key_goes_through_every_part_and_tabs_turn_by_arrows(posted, tab):
    page, seen = tab(posted), []
    for _ in range(60):
        page.page.keyboard.press("Tab")
        seen.append(page.page.evaluate("document.activeElement.closest('section, header, footer, a.skip')?.id"))
    assert {"hall", "rack", "alarms", "incidents", "scoreboard", "commands"} <= set(seen)
    page.page.focus("#tab-strike")
    for shown in ("act", "run", "keep", "strike"):
        page.page.keyboard.press("ArrowRight")
        assert page.page.is_visible(f"#{shown}")


@pytest.mark.parametrize(
    ("width", "scheme"),
    [(360, "light"), (360, "dark"), (1000, "light"), (1920, "light"), (1920, "dark"), (3840, "dark")],
)
def test_it_fits_any_screen_and_axe_finds_nothing_serious(posted, tab, width, scheme):
    page = tab(posted, "#R-A-02", width=width, height=800, color_scheme=scheme)
    page.wait("document.querySelector('#rack').dataset.rack === 'R-A-02'")
    assert page.page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.serious() == []
    for shown in ("act", "run", "keep"):
        page.page.click(f"#tab-{shown}")
        assert page.serious() == []


def test_dark_and_light_follow_the_system_until_one_is_chosen(posted, tab):
    page, grounds = tab(posted, color_scheme="dark"), []
    ground = "getComputedStyle(document.body).backgroundColor"
    for _ in range(4):
        grounds.append(page.page.evaluate(ground))
        page.page.click("#theme")
    auto, light, dark, again = grounds
    assert auto == dark == again != light
    page.page.reload()
    assert page.page.evaluate(ground) == light


def test_nothing_moves_where_less_motion_is_asked_for(posted, tab):
    moving = """[...document.querySelectorAll('*')].filter(e => {
        const s = getComputedStyle(e); return s.transitionDuration !== '0s' || s.animationName !== 'none'; }).length"""
    assert tab(posted, reduced_motion="reduce").page.evaluate(moving) == 0
    assert tab(posted, reduced_motion="no-preference").page.evaluate(moving) > 0


def test_updates_shift_nothing(live, tab):
    page = tab(live, "#R-A-01")
    page.wait("document.querySelector('#rack').dataset.rack === 'R-A-01'")
    page.page.evaluate("""() => { globalThis.shifts = 0; new PerformanceObserver(
        list => list.getEntries().forEach(e => globalThis.shifts += e.value)).observe({type: 'layout-shift'}); }""")
    for _ in range(4):
        live.post("/hall/step", {"ticks": 3})
        ts = live.get("/racks")["ts"]
        page.wait("ts => document.querySelector('#racks').dataset.ts === ts", ts)
    assert page.page.evaluate("globalThis.shifts") == 0


def test_names_of_racks_are_only_ever_text(own, tab):
    names, server = ["__proto__", "constructor", "toString", "R-A-01", "..", "a:b"], own()
    server.post("/telemetry/batch", {"samples": [{**samples()[0], "rack_id": name} for name in names]})
    page = tab(server, "#constructor")
    page.wait("document.querySelector('#rack').dataset.rack === 'constructor'")
    assert set(page.values()) == set(names)


def test_what_a_server_says_never_becomes_markup(posted, tab):
    page, hostile = tab(posted), "<img src=x onerror=document.title='struck'>"
    alarm = {
        "alarm_id": 1, "rack_id": hostile, "open": True, "onset": "2025-01-06T01:00:00Z", "end": None,
        "opened": "2025-01-06T01:06:00Z", "acknowledged": None, "comment": hostile, "model_id": hostile,
        "peak": {"deviation": 3.0, "ts": "2025-01-06T01:06:00Z"},
        "causes": [{"feature": hostile, "unit": hostile, "sign": "high", "excess": 1.0, "value": 2.0, "usual": 1.0}],
        "sensors": [],
    }  # fmt: skip
    page.page.route("**/alarms?*", lambda route: route.fulfill(json={"alarms": [alarm]}))
    page.page.reload()
    page.wait("document.querySelector('[data-alarm]')")
    assert hostile in page.text("#alarm-list")
    assert page.page.query_selector("img") is None
    assert page.page.title() == "Skadi hall"


def test_a_page_comes_back_by_itself_when_the_server_does(own, tab):
    first = own()
    page = tab(first)
    page.wait("document.querySelector('#link').dataset.state === 'live'")
    first.interrupt(signal.SIGKILL)
    page.wait("document.querySelector('#link').dataset.state === 'broken'")
    first.process.wait()
    second = own(port=first.port)
    page.wait("document.querySelector('#link').dataset.state === 'live'")
    second.post("/telemetry/batch", {"samples": samples()[:8]})
    page.wait("document.querySelectorAll('.cell').length === 8")
    # while nobody answers the browser itself complains of that, and of nothing else
    page.wrong[:] = [text for text in page.wrong if "net::ERR_" not in text]


def test_the_routes_are_listed_with_their_examples_by_the_server_itself(posted, tab):
    page = tab(posted, "docs")
    described = posted.get("/openapi.json")["paths"]
    routes = {f"{method.upper()} {path}" for path, methods in described.items() for method in methods}
    found = page.page.evaluate("[...document.querySelectorAll('.route')].map(r => r.dataset.route)")
    assert set(found) == routes
    page.page.click('[data-route="POST /telemetry/batch"] summary')
    assert "R-C-07" in page.text('[data-route="POST /telemetry/batch"] pre')
    assert page.serious() == []
    page.page.fill("#find", "/hall/st")
    matching = [route for route in routes if "/hall/st" in route]
    assert page.text("#count") == f"{len(matching)} routes"
    assert page.page.is_hidden('[data-route="POST /telemetry/batch"]')


def test_a_server_that_wants_a_token_is_asked_with_it(own, tab):
    page = tab(own(**TOKENS), ready="#token")
    page.page.fill("#token", "write")
    page.page.click("#token-form button")
    page.wait("'ready' in document.documentElement.dataset")
    page.wait("document.querySelector('#link').dataset.state === 'live'")
    # the browser itself complains of every 401
    page.wrong[:] = [text for text in page.wrong if "401" not in text]


def test_a_hall_is_started_paced_acted_on_and_stopped_from_the_page(own, tab):
    server = own()
    page = tab(server).page
    page.click("#tab-run")
    page.fill("#run-scenario", "small")
    page.select_option("#run-speed", "3600")
    page.click("#run button[type=submit]")
    page.wait_for_selector("text=small, running")
    page.wait_for_selector(".cell")
    page.click("#pause")
    page.wait_for_selector("text=small, paused")
    page.click("#step")
    page.select_option("#speed", "10")
    page.wait_for_selector("#speed:enabled")
    page.click("#tab-act")
    page.select_option("#mode", "closed_loop")
    page.wait_for_selector("text=the mode is closed_loop")
    page.select_option("#act-action", "increase_cdu_pump")
    page.fill("#act-parameters [name=delta_pct]", "4")
    page.click("#act button[type=submit]")
    page.wait_for_selector("#action-list li")
    [action] = server.get("/actions/log")["actions"]
    assert (action["action"], action["params"], action["mode"]) == (
        "increase_cdu_pump", {"delta_pct": 4}, "closed_loop",
    )  # fmt: skip
    assert server.get("/hall")["speed"] == 10
    page.click("#propose")
    page.wait_for_selector("#act .answer:not(:empty)")
    page.click("#tab-run")
    page.click("#stop")
    page.wait_for_selector("text=no live hall")
    assert server.get("/hall")["state"] == "idle"


def test_what_a_form_gets_wrong_is_said_beside_it(own, tab):
    one = tab(own())
    page = one.page
    page.click("#tab-run")
    page.fill("#run-scenario", "nowhere")
    page.click("#run button[type=submit]")
    page.wait_for_selector("#run .answer[data-wrong]")
    assert "'nowhere' is not shipped" in one.text("#run .answer")
    # the browser itself complains of the 422
    one.wrong[:] = [text for text in one.wrong if "422" not in text]


def sent(page):
    """Return the bytes of the scenario that the page gives to be saved."""
    page.page.click("#tab-keep")
    with page.page.expect_download() as download:
        page.page.click("#keep button[type=submit]")
    return download.value.path().read_bytes()


def test_a_strike_is_seen_alarmed_judged_saved_and_run_again_to_the_same_bytes(live, tab, tmp_path):
    page = tab(live, "#R-A-02")
    page.wait("document.querySelector('#rack').dataset.rack === 'R-A-02'")
    before = page.values()
    page.page.select_option("#strike-kind", "pump_trip")
    assert "pump stops" in page.text("#strike-line")
    page.page.select_option("#strike-target", "loop:CL-1")
    page.page.fill("#strike-minutes", "40")
    page.page.click("#strike button[type=submit]")
    page.page.wait_for_selector("[data-incident]")
    assert "pump trip" in page.text("#incident-list")

    live.post("/hall/step", {"ticks": 30})
    page.wait("ts => document.querySelector('#racks').dataset.ts === ts", live.get("/racks")["ts"])
    after, told = page.values(), racks(live)
    assert {rack: float(value) for rack, value in after.items()} == {rack: told[rack]["inlet_c"] for rack in told}
    assert float(after["R-A-02"]) > float(before["R-A-02"]) + 5
    page.page.wait_for_selector('[data-incident][data-state="active"]')
    page.page.wait_for_selector('[data-alarm][data-open="true"][data-rack="R-A-02"]')
    # by now heat has shut the rack down; that it has no latency then is no fault of a sensor
    told_why = page.text('[data-alarm][data-rack="R-A-02"]')
    assert "above what is usual at this load" in told_why
    assert "silent" not in told_why
    assert int(page.data("#open-alarms", "value")) >= 1
    assert page.page.query_selector('.cell.alarmed[data-rack="R-A-02"]')
    assert page.text("#rack-state") == "PERSISTENT"
    assert page.page.is_visible("#key-twin")

    live.post("/hall/step", {"ticks": 90})
    page.wait("document.querySelector('[data-contestant]')?.dataset.hits === '1'")
    assert "pump trip" in page.text("#found-list")
    again(tmp_path / "again.yaml", sent(page), live)


def again(path, scenario, live):
    """Run a saved scenario as files, and compare with what the live hall sent in the four hours until then."""
    path.write_bytes(scenario)
    command = [sys.executable, str(ROOT / "run_sim.py"), "--scenario", str(path), "--output", str(path.parent)]
    known = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(command, check=True, capture_output=True, cwd=path.parent, env=known)  # noqa: S603 - our own command
    run = pd.read_csv(path.parent / "pages.csv")
    for rack in sorted(set(run["rack_id"])):
        stored = live.get(f"/racks/{rack}/series?points=20000")["series"]
        so_far = run[run["rack_id"] == rack].head(120 + 30 + 90)
        for name in CHANNELS:
            # a rack that is down has no latency
            assert stored[name] == so_far[name].astype(object).where(so_far[name].notna(), None).tolist(), (rack, name)
