"""How large a report is, how soon it is written, and how soon a browser can work with it."""

from __future__ import annotations

import math
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Final

from playwright.sync_api import Browser, Error, sync_playwright

from benchmarks.measure import Figure, Seconds, timed
from pytest_mlcontainer.model import Difference, Element, Outcome, Platform, Target, Verdict
from pytest_mlcontainer.report import Result
from pytest_mlcontainer.report.writing import write_reports

NAME = "report"
ROUNDS = 3
_BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")
_AMD64: Final = Target(Platform("linux", "amd64"), emulated=False)
_ARM64: Final = Target(Platform("linux", "arm64"), emulated=True)
_DRIFT: Final = Difference(
    "outputs/weights.npz",
    "layer.kernel",
    Verdict.DRIFT,
    max_abs=0.5,
    max_rel=0.001,
    max_ulp=1 << 40,
    scale_error=0.001,
    differing=4000,
    beyond=4000,
    size=4000,
    rule="rtol 1e-07 or 2.8e-14 of scale (float64 default)",
    quantiles=((0.5, 1e-3), (0.9, 1e-2), (0.99, 0.1)),
    histogram=tuple((10.0**power, 10.0 ** (power + 1), 500) for power in range(-8, 0)),
    elements=tuple(
        Element((at,), repr(math.sqrt(at)), repr(math.sqrt(at + 1)), 0.5, 1.5) for at in range(20)
    ),
)


@dataclass(frozen=True)
class _Case:
    """What is written, and its bars.

    Args:
        comparisons: so many, each with `items` that differ.
        written_s, ready_s, size_mb: at most.
    """

    name: str
    comparisons: int
    items: int
    written_s: float
    ready_s: float
    size_mb: float


_CASES: Final = (
    _Case("500 runs × 4 items", 500, 4, 5, 2, 3),
    _Case("10,000 items", 1, 10_000, 5, 4, 3),
    _Case("100,000 items", 1, 100_000, 5, 4, 3),
)


def figures(rounds: int) -> Iterator[Figure]:
    """Seconds of writing the three files; seconds of the page's thread from opening it until a
    filter has shown what it found, without what other processes took of the machine; its size.

    Raises:
        RuntimeError: there is no Chromium, or it does not start.
    """
    path = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if path is None:
        raise RuntimeError(f"no Chromium on PATH ({', '.join(_BROWSERS)})")
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        try:
            browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        except Error as error:
            raise RuntimeError(f"{path} does not start: {error!s:.300}") from error
        for case in _CASES:
            yield from _measure(case, browser, Path(folder), rounds)
        browser.close()


def _measure(case: _Case, browser: Browser, folder: Path, rounds: int) -> Iterator[Figure]:
    results = [Result(outcome=_outcome(number, case.items)) for number in range(case.comparisons)]
    page = folder / "report.html"
    written = _seconds(timed(lambda: write_reports(folder, results, 1.0)), rounds)
    ready = _seconds(lambda: _work_with(browser, page), rounds)
    size_mb = page.stat().st_size / 1e6
    for what, seconds, bar in (
        ("written", written, case.written_s),
        ("ready in a browser", ready, case.ready_s),
    ):
        spread = f"{min(seconds):.2f}–{max(seconds):.2f} s"
        yield Figure(NAME, f"{case.name}: {what}", median(seconds), bar, "s", spread)
    yield Figure(NAME, f"{case.name}: size", size_mb, case.size_mb, "MB", "")


def _seconds(way: Callable[[], float], rounds: int) -> Seconds:
    way()
    return tuple(way() for _round in range(rounds))


def _outcome(number: int, items: int) -> Outcome:
    differences = tuple(replace(_DRIFT, item=f"layer{at}.kernel") for at in range(items))
    return Outcome(f"train{number % 50}", _ARM64, _AMD64, Verdict.DRIFT, differences)


def _work_with(browser: Browser, file: Path) -> float:
    """Open the page, filter for one item, and wait until that alone is shown.

    Returns:
        Seconds of processor time that the page's thread took.
    """
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    try:
        page = context.new_page()
        tools = context.new_cdp_session(page)
        tools.send("Performance.enable", {"timeDomain": "threadTicks"})
        page.goto(file.as_uri())
        page.locator("#find").fill("layer3.kernel")
        until = time.monotonic() + 60
        while (
            page.locator("section.comparison:visible").first.locator(".leaf:visible").count() != 1
        ):
            if time.monotonic() > until:
                raise RuntimeError("the page did not filter")
            page.evaluate("new Promise(requestAnimationFrame)")
        metrics = tools.send("Performance.getMetrics")["metrics"]
        return next(float(each["value"]) for each in metrics if each["name"] == "TaskDuration")
    finally:
        context.close()
