"""A real Chromium, which must find nothing to complain of on the page: no error, no request that leaves the server."""

import contextlib
import shutil
import time
from pathlib import Path
from urllib.parse import urlsplit

CHROMIUM = shutil.which("chromium")
AXE = Path(__file__).parent / "vendor" / "axe-core" / "axe.min.js"
"""Kept here, so that tests need no network and judge alike everywhere: MPL-2.0, its licence beside it, in no wheel."""
_FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


@contextlib.contextmanager
def chromium():
    """Give a browser."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only where there is a browser to drive

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=_FLAGS)
        try:
            yield browser
        finally:
            browser.close()


class Tab:
    """A page of a server, open in the browser, with what went wrong in it."""

    def __init__(self, browser, url, width=1920, height=1080, **context):
        self.context = browser.new_context(viewport={"width": width, "height": height}, **context)
        self.page = self.context.new_page()
        self.wrong = []
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", lambda request: self._asked(request.url, url))
        self.url = url

    def _said(self, message):
        if message.type in ("error", "warning"):
            self.wrong.append(f"{message.text} {message.location['url']}")

    def _asked(self, asked, url):
        if urlsplit(asked)[:2] != urlsplit(url)[:2] and urlsplit(asked).scheme not in ("blob", "data"):
            self.wrong.append(f"a request to {asked}")

    def open(self, fragment, ready):
        """Go there and wait until something is there."""
        self.page.goto(f"{self.url}/{fragment}")
        self.page.wait_for_selector(ready, timeout=60_000)
        return self

    def text(self, selector):
        return self.page.inner_text(selector)

    def data(self, selector, name):
        return self.page.get_attribute(selector, f"data-{name}")

    def wait(self, condition, argument=None):
        """Wait until an expression of JavaScript holds.

        It is asked again and again from here: the page's policy lets nobody in it make code of text.
        """
        until = time.monotonic() + 60
        while not self.page.evaluate(condition, argument):
            assert time.monotonic() < until, f"never so: {condition}"
            self.page.wait_for_timeout(50)

    def values(self):
        """Return what the cells of the heat map show, by rack."""
        found = "[...document.querySelectorAll('.cell')].map(c => [c.dataset.rack, c.dataset.value])"
        return dict(self.page.evaluate(found))

    def serious(self):
        """Return what axe-core finds to be serious or worse."""
        if not self.page.evaluate("'axe' in globalThis"):  # put there by the debugger, which no policy binds
            self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            (v["id"], v["help"], [n["html"][:200] for n in v["nodes"]][:3])
            for v in found["violations"]
            if v["impact"] in ("serious", "critical")
        ]

    def close(self):
        self.context.close()
