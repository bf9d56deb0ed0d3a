"""Picture the page, calm and in the middle of a pump trip: python -m docs.page_pictures.

It needs playwright and a Chromium; the pictures come to lie in docs/page/.
"""

import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

import sim
from api.app import create_app
from api.backend import Backend
from api.settings import Settings
from sim.scenario.files import load_scenario
from training import artifact, fit

PICTURES = Path(__file__).with_name("page")
RACK = "R-C-07"
PORT = 8390
SCREENS = {"1920": {"width": 1920, "height": 1080}, "360": {"width": 360, "height": 740}}
SCHEMES = ("light", "dark")
CALM_TICKS, STRUCK_TICKS = 180, 16
TRIP = {"kind": "pump_trip", "target": "loop:CL-2", "duration": "30m"}
COLOURS = 256
_FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync")


def main() -> None:
    """Let a hall run, strike it, and picture both."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as backend, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=_FLAGS)
        backend.hall.start(load_scenario("calm"), 60.0, paused=True, keep_start=False)
        backend.hall.step(CALM_TICKS)
        picture(browser, "calm")
        backend.hall.add_incident(TRIP)
        backend.hall.step(STRUCK_TICKS)
        picture(browser, "pump_trip")
        browser.close()


@contextmanager
def serving(folder: Path) -> Iterator[Backend]:
    """Serve in a folder with a monitor that knows a calm day, and show the truth."""
    artifact.save(fit(calm_day(folder), n_clusters=16), folder / "ims_calm.json")
    backend = Backend(Settings(database_url=f"sqlite:///{folder}/skadi.db", artifacts_dir=folder, reveal=True))
    server = uvicorn.Server(uvicorn.Config(create_app(backend.settings, backend), port=PORT, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    try:
        yield backend
    finally:
        backend.stream.close()
        server.should_exit = True
        thread.join()


def calm_day(folder: Path) -> Path:
    """Write telemetry of a day without episodes."""
    run = sim.run("calm", seed=1, start="2025-01-06T00:00:00Z", duration="24h")
    run.exact().to_csv(folder / "calm.csv", index=False)
    return folder / "calm.csv"


def picture(browser: Browser, name: str) -> None:
    """Picture the page on every screen, in every colour scheme."""
    for screen, size in SCREENS.items():
        for scheme in SCHEMES:
            page = browser.new_page(viewport=size, color_scheme=scheme)
            page.goto(f"http://127.0.0.1:{PORT}/#{RACK}")
            page.wait_for_selector(f'#rack[data-rack="{RACK}"]')
            page.wait_for_timeout(1500)  # until what is asked for at a calmer pace is there too
            made = PICTURES / f"{name}_{scheme}_{screen}.png"
            page.screenshot(path=made, full_page=True)
            page.close()
            with Image.open(made) as drawn:  # few colours are plenty for lines and areas, and a third of the size
                drawn.convert("RGB").quantize(COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(
                    made, optimize=True
                )


if __name__ == "__main__":
    main()
