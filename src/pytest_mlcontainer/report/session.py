"""All results of a session, in the form that every report of it is drawn from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pytest_mlcontainer.model import CheckReport, Publication, TimelineSpan, Verdict
from pytest_mlcontainer.report.answer import remarks
from pytest_mlcontainer.report.results import Result, RunResult
from pytest_mlcontainer.report.shared_causes import SharedCause, share_causes
from pytest_mlcontainer.report.tree import Counts, Tree, add_counts, build_tree


@dataclass(frozen=True)
class Comparison:
    """One comparison; `repeat` is the command that repeats just this, "" where none is known."""

    tree: Tree
    repeat: str = ""


@dataclass(frozen=True)
class Session:
    """All runs, comparisons and checks of a session.

    Args:
        comparisons: in the order in which they were made.
        failures: runs that failed.
        remarks: what has to be seen of comparisons that pass.
        notes: what has to be known of runs that did their job, and what else tests had to say,
            each once.
        runs: how many there were; one that several tests used counts once.
        more_runs: those that searches for causes asked for; some may be among `runs`.
        counts: comparisons by verdict, the worst first.
        checks: of images, each once.
        timeline: what was done, and when; empty where that is not known.
        shared: located drifts, those of one reason and one line together.
        unfinished: why this is not all of a session; "" where it is.
        publication: what was published; None where nothing was to be.
        version: of this package, where another one made the session; "" for this one.
    """

    comparisons: tuple[Comparison, ...]
    failures: tuple[RunResult, ...]
    remarks: tuple[str, ...]
    notes: tuple[str, ...]
    runs: int
    more_runs: int
    counts: Counts
    duration_s: float
    checks: tuple[CheckReport, ...] = ()
    version: str = ""
    timeline: tuple[TimelineSpan, ...] = ()
    unfinished: str = ""
    publication: Publication | None = None
    shared: tuple[SharedCause, ...] = ()

    @property
    def passes(self) -> bool:
        """Whether all agrees, and nothing is known to be missing."""
        whole = not self.failures and not self.unfinished
        agree = all(verdict.passes for verdict, _count in self.counts)
        done = self.publication is None or self.publication.worked
        return whole and agree and done and not any(each.failing for each in self.checks)


def longest(timeline: tuple[TimelineSpan, ...], most: int) -> tuple[TimelineSpan, ...]:
    """The longest of them, in their order."""
    if len(timeline) <= most:
        return timeline
    ranked = sorted(range(len(timeline)), key=lambda at: -timeline[at].duration_s)
    return tuple(timeline[at] for at in sorted(ranked[:most]))


def gather(results: Iterable[Result], duration_s: float) -> Session:
    """Sort out what the tests of a session contributed."""
    found = list(results)
    runs = {result.run.id: result.run for result in found if result.run is not None}
    said = [note for run in runs.values() for note in run.notes]
    said += [result.note for result in found if result.note]
    comparisons = tuple(
        Comparison(build_tree(result.outcome, result.unlisted), result.repeat)
        for result in found
        if result.outcome is not None
    )
    ones: list[tuple[Verdict, int]] = [(each.tree.outcome.verdict, 1) for each in comparisons]
    return Session(
        comparisons=comparisons,
        failures=tuple(run for run in runs.values() if run.failure is not None),
        remarks=tuple(line for each in comparisons for line in remarks(each.tree.outcome)),
        notes=tuple(dict.fromkeys(said)),
        runs=len(runs),
        more_runs=sum(
            each.tree.outcome.explanation.runs
            for each in comparisons
            if each.tree.outcome.explanation is not None
        ),
        counts=add_counts(tuple(ones)),
        duration_s=duration_s,
        checks=tuple(dict.fromkeys(each.check for each in found if each.check is not None)),
        shared=share_causes([each.tree.outcome for each in comparisons]),
    )
