"""A page in Debian's Chromium, for tests of what its script does and how it looks."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Error, Page, sync_playwright

from pytest_mlcontainer.report.html import report_html
from pytest_mlcontainer.report.session import Session

NAMES = ("chromium", "chromium-browser", "google-chrome")
NONE = (
    f"no Chromium on PATH ({', '.join(NAMES)}): `apt-get install chromium`, or "
    "`playwright install --with-deps chromium` and its folder on PATH"
)


@dataclass
class Opened:
    """A page, and all that it asked for and complained of.

    Args:
        loaded: addresses, those of data inside the page too.
        said: messages on the console, errors and dialogs.
    """

    page: Page
    loaded: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)


Open = Callable[..., Opened]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The browser of these tests; without one they are skipped, with what to install."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip(NONE)
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        except Error as error:
            pytest.skip(f"{path} does not start: {error!s:.300}")
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium: Browser, tmp_path: Path) -> Iterator[Open]:
    """Writes a session's page and opens it.

    Args of what it gives:
        width: of the window, in pixels.
        context: see Playwright's `Browser.new_context`.
    """
    contexts = []

    def show(session: Session, width: int = 1280, **context: Any) -> Opened:
        file = tmp_path / "report.html"
        file.write_text(report_html(session), encoding="utf-8")
        made = chromium.new_context(viewport={"width": width, "height": 900}, **context)
        contexts.append(made)
        found = Opened(made.new_page())
        page = found.page
        page.on("console", lambda message: found.said.append(message.text))
        page.on("pageerror", lambda error: found.said.append(str(error)))
        page.on("dialog", lambda dialog: found.said.append(dialog.message))
        page.on("request", lambda asked: found.loaded.append(asked.url))
        page.goto(file.as_uri())
        return found

    yield show
    for each in contexts:
        each.close()


def findings(page: Page) -> list[str]:
    """What axe finds on the page as it is now; each in a line, with the element."""
    page.evaluate((files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8"))
    found: dict[str, Any] = page.evaluate("axe.run()")
    return [
        f"{each['id']}: {each['help']}: {node['html']:.200}"
        for each in found["violations"]
        for node in each["nodes"]
    ]
