"""Failures in our own words: what went wrong, once in full, and the command that repeats it."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_mlcontainer.errors import MlContainerError
from pytest_mlcontainer.plugin import explained
from pytest_mlcontainer.plugin.misuse import misuse_of
from pytest_mlcontainer.report import Result
from pytest_mlcontainer.report.escape import escape
from pytest_mlcontainer.secrets import Redactor

_LONGEST_LINE = 2000
_RECORD = re.compile(r"/\S+/record/")  # where a run's logs are, which no two runs share
_OPTIONS = ("platform", "image", "gpus", "repeat", "baseline", "vary", "budget")


class Wording:
    """What is said of this session's failures.

    Args:
        hidden: gives what must not be shown, as it is known by then.
    """

    def __init__(self, config: pytest.Config, hidden: Callable[[], Redactor]) -> None:
        self._config = config
        self._hidden = hidden
        self._said: dict[str, str] = {}

    def without_secrets(self, text: str) -> str:
        """Text that is shown. Logs and messages have no secrets by then, but what is compared
        comes also from inside files whose bytes show nothing, such as compressed ones."""
        return self._hidden().text(text)

    def cleaned(self, result: Result) -> Result:
        """A result as it may be shown."""
        return self._hidden().clean(result)

    def repeat(self, nodeid: str) -> str:
        """The command that repeats one test just as it was, from where pytest was started."""
        # What `mlcontainer test` has started says so: else its settings would be those again on
        # which the project's own pytest ends.
        alone = str(self._config.inipath) == os.devnull
        words = ["mlcontainer", "test"] if alone else ["pytest", "--container"]
        for name in _OPTIONS:
            value = self._config.getoption(f"container_{name}")
            words += [f"--container-{name}={value}"] if value else []
        for flag in ("locate", "cure"):
            words += [f"--container-{flag}"] if self._config.getoption(f"container_{flag}") else []
        engines = self._config.getoption("container_engine")
        words += [f"--container-engine={engine}" for engine in engines]
        file, colons, item = nodeid.partition("::")
        place = os.path.relpath(self._config.rootpath / file, self._config.invocation_params.dir)
        return shlex.join([*words, f"{place}{colons}{item}"])

    def records(self, entrypoint: str) -> list[str]:
        """Where the records of an entrypoint's runs are kept; empty where they are not."""
        folder = self._config.getoption("container_records")
        return [f"records of its runs: {Path(folder, entrypoint)}"] if folder else []

    def explanation(self, error: MlContainerError, where: str) -> str:
        """The error in full the first time, and afterwards where it was explained: also where
        another run of the same failed the same way.

        Errors quote what containers printed, so that each line is escaped.
        """
        said = self.without_secrets(str(error))
        text = "\n".join(escape(line, _LONGEST_LINE) for line in said.split("\n"))
        first = self._said.setdefault(_RECORD.sub("", text), where)
        if first == where:
            return text
        return f"not run: {escape(self.without_secrets(error.what))} (explained in full at {first})"

    def explain(
        self,
        item: pytest.Item,
        excinfo: pytest.ExceptionInfo[BaseException],
        report: pytest.TestReport,
    ) -> None:
        """Make a report's text ours: of our items' failures, and of our errors in any test."""
        ours = bool(getattr(item, "runs_containers", False))
        text = None if ours else self._explain_in_test(item, excinfo)
        if text is not None:
            report.longrepr = text
        if isinstance(report.longrepr, str) and (text is not None or ours):
            explained.mark(report)

    def _explain_in_test(
        self, item: pytest.Item, excinfo: pytest.ExceptionInfo[BaseException]
    ) -> str | None:
        """An error of ours in somebody's test, without our own frames; None for other errors."""
        error = misuse_of(excinfo.value) or excinfo.value
        if not isinstance(error, MlContainerError):
            return None
        lines = [
            f"{item.path.name}:{entry.lineno + 1}: {str(entry.statement).strip()}"
            for entry in excinfo.traceback
            if entry.path == item.path
        ]
        return "\n".join((*lines[-1:], self.explanation(error, item.nodeid)))
