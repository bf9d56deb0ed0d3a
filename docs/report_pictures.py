"""Picture a report: python -m docs.report_pictures.

It needs playwright and a Chromium; the pictures come to lie in docs/report/.
"""

import shutil
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

import sim
from sim.reports.page import write_report

PICTURES = Path(__file__).with_name("report")
TRIP = {"kind": "pump_trip", "target": "loop:CL-2", "at": "14h", "duration": "30m"}
SHOWN = {"hall_light": ("light", "#hall", "#rack"), "figures_dark": ("dark", "#occupancy", "#incidents")}
"""Colour scheme, first and last section of each picture."""
COLOURS = 256
_FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync")


def main() -> None:
    """Run a day with a pump trip, report on it, and picture the report."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        run = sim.run("week", seed=7, duration="1d", incidents=[TRIP])
        report = write_report(run.write(Path(folder) / "week.csv")[0])
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=_FLAGS)
        for name, (scheme, first, last) in SHOWN.items():
            picture(browser, report, name, scheme, first, last)
        browser.close()


def picture(browser: Browser, report: Path, name: str, scheme: str, first: str, last: str) -> None:
    """Picture the sections from `first` to `last`."""
    page = browser.new_page(viewport={"width": 1400, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(report.as_uri())
    page.wait_for_selector("html[data-ready]")
    made = PICTURES / f"{name}.png"
    page.screenshot(path=made, full_page=True, clip=_around(page, first, last))
    page.close()
    with Image.open(made) as drawn:  # few colours are plenty for lines and areas, and a third of the size
        drawn.convert("RGB").quantize(COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(
            made, optimize=True
        )


def _around(page: Page, first: str, last: str) -> dict[str, float]:
    top, bottom = (page.locator(section).bounding_box() or {} for section in (first, last))
    return {"x": 0, "y": top["y"] - 8, "width": 1400, "height": bottom["y"] + bottom["height"] - top["y"] + 16}


if __name__ == "__main__":
    main()
