"""Repeats that differ in times and durations inside text: nothing random, and a rule helps."""

from __future__ import annotations

from pytest_mlcontainer.explain.trials import Findings, Kind
from pytest_mlcontainer.model import Outcome

_MEASURED = frozenset({"time", "duration"})


def is_measured(outcome: Outcome) -> bool:
    """Whether nothing differs but times and durations inside text, which no seed changes."""
    failing = [each.excuses for each in outcome.differences if not each.verdict.passes]
    return bool(failing) and all(each and {*each} <= _MEASURED for each in failing)


def say_measured(findings: Findings, outcome: Outcome) -> tuple[str, ...]:
    """What is left open where repeats disagree in nothing else."""
    if findings.kind is not Kind.NONDETERMINISTIC or not is_measured(outcome):
        return ()
    names = dict.fromkeys(name for each in outcome.differences for name in each.excuses)
    listed = ", ".join(f'"{name}"' for name in names)
    return (
        f"repeats differ in nothing but what ignore = [{listed}] leaves out of text; a rule with "
        "it shows whether results differ, too",
    )
