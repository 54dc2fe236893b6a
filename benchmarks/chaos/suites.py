"""Faults that tests of the repository make: run as they are, and counted."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.chaos.plan import Plan
from benchmarks.chaos.table import Row

_REPOSITORY = Path(__file__).resolve().parents[2]
_LONGEST_S = 1200.0


@dataclass(frozen=True)
class Suite:
    """Some tests, and what they try.

    Args:
        name: by which it is chosen.
        fault: in words.
        tests: files and tests, as pytest takes them.
        bar: what they hold.
    """

    name: str
    fault: str
    tests: tuple[str, ...]
    bar: str


def rows_of(plan: Plan, suite: Suite) -> Iterator[Row]:
    """One row: each test is a trial.

    Raises:
        RuntimeError: pytest itself does not get through.
    """
    report = plan.folder / f"{suite.name}.xml"
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", f"--junitxml={report}", *suite.tests],
        cwd=_REPOSITORY,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=_LONGEST_S,
    )
    took_s = time.monotonic() - started
    if done.returncode not in (0, 1):
        raise RuntimeError(f"the tests cannot be run:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    cases = tuple(ElementTree.parse(report).iter("testcase"))
    report.unlink()
    problems = tuple(
        f"{case.get('name')}: {(found.get('message') or '')[:500]}"
        for case in cases
        for found in (*case.findall("failure"), *case.findall("error"))
    )
    # A test of which only a part was run is no trial.
    tried = sum(case.find("skipped") is None for case in cases)
    yield Row(suite.fault, tried, tried - len(problems), f"{took_s:.0f} s", suite.bar, problems)


SECRETS = Suite(
    "secrets",
    "secrets printed and written in many forms, and grepped for",
    ("tests/secrets/test_secrets.py", "tests/secrets/test_redactor.py"),
    "in no layer, log, record or report",
)
SHARING = Suite(
    "sharing",
    "one cache for many: locks of killed workers, half entries, full disks, clocks that jump",
    ("tests/sharing/test_sharing.py", "tests/sharing/test_sharing_faults.py"),
    "made once, no hang, one clear error",
)
