"""What was run and compared, on its way into the session's report from wherever tests run.

A result rides on the report of the phase in which it came about: that is what pytest-xdist carries
to its controller. A worker that dies takes the reports of its present test with it, and one that is
ended early those it has not sent; so a worker also notes each result in a journal of its own at
once, and the controller looks there for what it has not heard of.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_mlcontainer.errors import MlContainerError
from pytest_mlcontainer.model import CheckReport, Publication, Run, TimelineSpan
from pytest_mlcontainer.plugin.wording import Wording
from pytest_mlcontainer.report import Result, result_from_json, result_to_json
from pytest_mlcontainer.report.markdown import summary_md
from pytest_mlcontainer.report.session import gather
from pytest_mlcontainer.report.writing import write_reports
from pytest_mlcontainer.storage import why_unwritable
from pytest_mlcontainer.temporary import temporary_folder

_RESULTS, _UPDATES = "mlcontainer", "mlcontainer_updates"
HARMLESS = "mlcontainer_nothing_to_do"
_PHASES = ("setup", "call", "teardown")
_JUNIT_RUN, _JUNIT_COMPARISON = "container-run", "container-comparison"
_JUNIT_CHECK = "container-check"


class Results:
    """Results of a session's tests, and the baselines that they wrote.

    Args:
        wording: what of a result may be shown, and how its test is repeated.
        journal: where a worker notes them; None for the process that reports.
    """

    def __init__(self, wording: Wording, journal: Path | None = None) -> None:
        self._wording = wording
        self._journal = journal
        self._shared: Path | None = None
        self._closing = ExitStack()
        self._started = time.monotonic()
        self._known: set[str] = set()
        self.test: str = ""
        self._results: list[dict[str, Any]] = []
        self._updates: list[str] = []
        self.found: list[Result] = []
        self.updates: list[str] = []
        self.unwritten: tuple[str, ...] = ()
        self.publication: Publication | None = None

    def folder_for_workers(self) -> Path:
        """Where workers of this process keep their journals; made when it is asked for first."""
        if self._shared is None:
            self._shared = self._closing.enter_context(temporary_folder())
        return self._shared

    # Where tests run

    def begin(self, test: str) -> None:
        """What is recorded from now on is of this test, by its node id."""
        self.test = test

    def record(self, result: Result) -> None:
        """Take a result; it is of the phase whose report comes next."""
        if result.outcome is not None and not result.outcome.verdict.passes:
            result = replace(result, repeat=self._wording.repeat(self.test))
        raw = {**result_to_json(self._wording.cleaned(result)), "key": uuid.uuid4().hex}
        self._results.append(raw)
        if self._journal is not None:
            _append(self._journal, {"test": self.test, "result": raw})

    def record_update(self, lines: list[str]) -> None:
        """Take what was written of a baseline."""
        self._updates += lines

    def attach(self, item: pytest.Item, report: pytest.TestReport) -> None:
        """Put what came about since the last phase on this one's report."""
        for raw in self._results:
            result = result_from_json(raw)
            line = result.in_a_line
            name = _junit_name(result)
            if line and name:
                item.user_properties.append((name, line))
                report.user_properties.append((name, line))
        if getattr(item, "had_nothing_to_do", False):
            report.__dict__[HARMLESS] = True
        for name, values in ((_RESULTS, self._results), (_UPDATES, self._updates)):
            if values:
                report.__dict__[name] = list(values)
                values.clear()

    # Where the session is reported

    def collect(self, report: pytest.TestReport) -> None:
        """Take over what a test's report carries; of a test whose worker died, what it left."""
        self._take(getattr(report, _RESULTS, ()))
        self.updates += getattr(report, _UPDATES, ())
        if report.when not in _PHASES:
            said = list(self._recover(report.nodeid))
            if said and isinstance(report.longrepr, str):
                report.longrepr = "\n".join((report.longrepr, "before that:", *said))

    @staticmethod
    def checks_of(report: pytest.TestReport) -> tuple[CheckReport, ...]:
        """The checks of the image that a test's report carries."""
        found = (result_from_json(raw).check for raw in getattr(report, _RESULTS, ()))
        return tuple(each for each in found if each is not None)

    def recover(self, runs: Iterable[Run]) -> None:
        """Take over what workers left and no report carried, and runs that no test asked for."""
        for _line in self._recover():
            pass
        self.found += [self._wording.cleaned(Result.of_run(run)) for run in runs]

    def write(
        self,
        folder: Path | None,
        timeline: tuple[TimelineSpan, ...],
        unfinished: str,
    ) -> bool:
        """Write the reports; False, and `unwritten` says why, where that cannot be done.

        Args:
            unfinished: why they are not of a whole session; "" where they are.
        """
        self.unwritten = ()
        if folder is None:
            return True
        try:
            duration_s = time.monotonic() - self._started
            write_reports(folder, self.found, duration_s, timeline, unfinished, self.publication)
        except OSError as error:
            value = why_unwritable(folder, error)
            remedy = "name a folder that can be written, with room for the report"
            told = MlContainerError("the report cannot be written", value, remedy)
            self.unwritten = tuple(str(told).split("\n"))
        return not self.unwritten

    def summary(self) -> str:
        """What a CI service shows beside a job, as Markdown; "" where nothing was run."""
        if not self.found:
            return ""
        session = gather(self.found, time.monotonic() - self._started)
        return summary_md(replace(session, publication=self.publication))

    def close(self) -> None:
        """Remove what workers wrote."""
        self._closing.close()

    def _take(self, raws: Any) -> None:
        for raw in raws:
            self._known.add(raw["key"])
            self.found.append(result_from_json(raw))

    def _recover(self, test: str | None = None) -> Iterator[str]:
        """Take over what workers left and is not known yet, of one test or of all; gives all that
        they left, each in a line."""
        for entry in () if self._shared is None else _entries(self._shared):
            if test in (None, entry["test"]):
                if entry["result"]["key"] not in self._known:
                    self._take([entry["result"]])
                yield result_from_json(entry["result"]).in_a_line


def _junit_name(result: Result) -> str:
    """Of the property in JUnit's file; "" for what has none."""
    kinds = (
        (result.run, _JUNIT_RUN),
        (result.outcome, _JUNIT_COMPARISON),
        (result.check, _JUNIT_CHECK),
    )
    return next((name for value, name in kinds if value is not None), "")


def _append(folder: Path, entry: dict[str, Any]) -> None:
    """In one write, and so whole or not at all when the process is killed."""
    line = json.dumps(entry).encode() + b"\n"
    try:
        with (folder / f"{os.getpid()}.jsonl").open("ab", buffering=0) as file:
            file.write(line)
    except OSError:
        return  # a full disk; the report carries it all the same


def _entries(folder: Path) -> Iterator[dict[str, Any]]:
    for file in sorted(folder.glob("*.jsonl")):
        for line in file.read_bytes().splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                continue  # cut off, on a full disk
