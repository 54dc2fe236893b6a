"""What tests contribute to the session's report, on its way from wherever they run.

It rides on the report of the phase in which it came about: that is what pytest-xdist carries to its
controller. A worker that dies takes the reports of its present test with it, and one that is ended
early those it has not sent; so a worker also writes each contribution into a file of its own at
once, and the controller looks there for what it has not heard of.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from pytest_mlcontainer.report import Result, result_from_json, result_to_json
from pytest_mlcontainer.temporary import temporary_folder

_ATTRIBUTE, _UPDATES = "mlcontainer", "mlcontainer_updates"
_PENDING: pytest.StashKey[dict[str, list[Any]]] = pytest.StashKey()
_PHASES = ("setup", "call", "teardown")
_JUNIT_RUN, _JUNIT_COMPARISON = "container-run", "container-comparison"


class Contributions:
    """Results and updates of a session's tests.

    Args:
        folder: where a worker writes; None for the process that reports.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._shared: Path | None = None
        self._closing = ExitStack()
        self._known: set[str] = set()
        self.results: list[Result] = []
        self.updates: list[str] = []

    def folder_for_workers(self) -> Path:
        """Where workers of this process write; made when it is asked for first."""
        if self._shared is None:
            self._shared = self._closing.enter_context(temporary_folder())
        return self._shared

    def add(self, item: pytest.Item, result: Result) -> None:
        """Attach a result to the test that runs now."""
        raw = {**result_to_json(result), "key": uuid.uuid4().hex}
        _pending(item)[_ATTRIBUTE].append(raw)
        line = result.in_a_line
        if line and (result.run is not None or result.outcome is not None):
            name = _JUNIT_RUN if result.run is not None else _JUNIT_COMPARISON
            item.user_properties.append((name, line))
        if self._folder is not None:
            _append(self._folder, {"test": item.nodeid, "result": raw})

    def add_update(self, item: pytest.Item, lines: list[str]) -> None:
        """Attach what was written to the test that runs now."""
        _pending(item)[_UPDATES].extend(lines)

    def attach(self, item: pytest.Item, report: pytest.TestReport) -> None:
        """Put what came about since the last phase on this one's report."""
        for name, values in item.stash.get(_PENDING, {}).items():
            if values:
                report.__dict__[name] = list(values)
                values.clear()

    def collect(self, report: pytest.TestReport) -> None:
        """Take over what a test's report carries; of a test whose worker died, what it left."""
        self._take(getattr(report, _ATTRIBUTE, ()))
        self.updates += getattr(report, _UPDATES, ())
        if report.when not in _PHASES:
            said = list(self._recover(report.nodeid))
            if said and isinstance(report.longrepr, str):
                report.longrepr = "\n".join((report.longrepr, "before that:", *said))

    def recover(self) -> None:
        """Take over all that workers left and no report carried."""
        for _line in self._recover():
            pass

    def close(self) -> None:
        """Remove what workers wrote."""
        self._closing.close()

    def _take(self, raws: Any) -> None:
        for raw in raws:
            self._known.add(raw["key"])
            self.results.append(result_from_json(raw))

    def _recover(self, test: str | None = None) -> Iterator[str]:
        """Take over what workers left and is not known yet, of one test or of all; gives all that
        they left, each in a line."""
        for entry in () if self._shared is None else _entries(self._shared):
            if test in (None, entry["test"]):
                if entry["result"]["key"] not in self._known:
                    self._take([entry["result"]])
                yield result_from_json(entry["result"]).in_a_line


def _pending(item: pytest.Item) -> dict[str, list[Any]]:
    return item.stash.setdefault(_PENDING, {_ATTRIBUTE: [], _UPDATES: []})


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
