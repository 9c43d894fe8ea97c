"""Pages in a headless Chromium. Where Playwright or a browser is missing, the tests that ask for one are skipped.

`conftest.py` imports the two fixtures, once, since a process can have only one Playwright; a test takes `open_page` and
gets Playwright's page for a file.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

OpenPage = Callable[[Path], "Page"]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A browser for the whole session: the system's, otherwise the one that `playwright install` downloads."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    names = ("chromium", "chromium-browser", "google-chrome")
    with playwright.sync_playwright() as started:
        path = next(filter(None, map(shutil.which, names)), None) or started.chromium.executable_path
        if not Path(path).exists():
            pytest.skip("no Chromium is installed")
        browser = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[OpenPage]:
    """Open files as pages. At the end of the test no page may have logged an error or requested anything else."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    errors: list[str] = []
    requests: list[str] = []
    opened: list[str] = []

    def open_file(path: Path) -> Page:
        page = context.new_page()
        page.set_default_timeout(5000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("request", lambda request: requests.append(request.url))
        opened.append(path.resolve().as_uri())
        page.goto(opened[-1])
        return page

    yield open_file
    context.close()
    assert errors == []
    assert requests == opened
