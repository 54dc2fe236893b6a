"""`mlcontainer compare A B`: records of two machines, judged without an engine."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from platform import machine

from pytest_mlcontainer.cli.reporting import write
from pytest_mlcontainer.config import load, parse_platform
from pytest_mlcontainer.errors import MlContainerError, RecordError
from pytest_mlcontainer.hooks import load_comparators, load_engines, schemes_of
from pytest_mlcontainer.model import Entrypoint, Outcome, Settings
from pytest_mlcontainer.records import open_records
from pytest_mlcontainer.records.pairing import (
    Choice,
    Pairing,
    RecordSource,
    failed_runs,
    groups,
    pair,
    read_records,
)
from pytest_mlcontainer.report import Result
from pytest_mlcontainer.report.escape import escape
from pytest_mlcontainer.report.terminal import failure_lines, summary_lines

_NOTE_WIDTH = 300


@dataclass(frozen=True)
class CompareArguments:
    """The command's arguments.

    Args:
        first, second: folders or archives of records.
        reference: which of them the other is held against: `A`, the first, or `B`.
        config: a `pyproject.toml` whose rules hold instead of those in the records.
        report: folder for report.json and its like.
    """

    first: Path
    second: Path
    reference: str = "A"
    config: Path | None = None
    report: Path | None = None
    entrypoint: str | None = None
    platform: str | None = None


def compare(asked: CompareArguments) -> int:
    """Print what differs.

    Returns:
        0 when all agree; 1 on drift, for a failed run, and for a record without a counterpart.

    Raises:
        MlContainerError: an argument makes no sense, or a record cannot be read.
    """
    started = time.monotonic()
    choice = Choice(
        asked.entrypoint,
        None if asked.platform is None else parse_platform(asked.platform, machine()),
    )
    settings = None if asked.config is None else _settings(asked.config)
    _check_different(asked)
    with ExitStack() as stack:
        first, second = (
            RecordSource(label, read_records(stack.enter_context(open_records(path)), path))
            for label, path in (("A", asked.first), ("B", asked.second))
        )
        pairing = (
            pair(first, second, choice) if asked.reference == "B" else pair(second, first, choice)
        )
        results = list(_results(pairing, settings))
        lines = [line for result in results for line in _block(result)]
        lines += summary_lines(results)
        lines += [escape(text, _NOTE_WIDTH) for text in pairing.alone]
        print("\n".join(lines))
    if asked.report is not None:
        write(asked.report, results, time.monotonic() - started)
    good = all(each.outcome.verdict.passes for each in results if each.outcome is not None)
    return 0 if good and not pairing.alone and not failed_runs(pairing.meetings) else 1


def _results(pairing: Pairing, settings: Settings | None) -> Iterator[Result]:
    for run in failed_runs(pairing.meetings):
        yield Result.of_run(run)
    # What judges takes longer to load than most records to be read, and wrong ones need none of it.
    from pytest_mlcontainer.judging.machines import judge

    comparators = load_comparators()
    for group in groups(pairing.meetings):
        if failed_runs(group):
            continue
        for meeting in group:
            for record in (meeting.expected, *meeting.repeats, meeting.actual):
                yield Result.of_run(record.run)
        entry = None
        if settings is not None:
            name = group[0].expected.run.entrypoint
            entry = settings.entrypoint(name) or Entrypoint(name)
        yield Result.of_outcome(judge(group, entry, comparators))
    for note in pairing.notes:
        yield Result(note=note)


def _block(result: Result) -> list[str]:
    """A failed comparison or run in full; what passes is in the summary alone."""
    outcome: Outcome | None = result.outcome
    if outcome is not None and not outcome.verdict.passes:
        return [*failure_lines(outcome, "", 1), ""]
    if result.run is not None and result.run.failure is not None:
        failure = result.run.failure
        text = str(MlContainerError(failure.what, failure.value, failure.remedy))
        return [*(escape(line, 2000) for line in text.split("\n")), ""]
    return []


def _settings(config: Path) -> Settings:
    file = config / "pyproject.toml" if config.is_dir() else config
    settings = load(file, machine(), schemes_of(load_engines))
    if settings is None:
        raise MlContainerError(
            "no [tool.mlcontainer] table", str(file), "name the project's pyproject.toml"
        )
    return settings


def _check_different(asked: CompareArguments) -> None:
    first, second = asked.first, asked.second
    if first.exists() and second.exists() and first.samefile(second):
        raise RecordError(
            "both are the same records", str(second), "name the records of another machine"
        )
