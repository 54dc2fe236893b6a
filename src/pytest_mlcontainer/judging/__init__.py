"""Two runs from anywhere, and the rules for them → an outcome. No engine is needed."""

from __future__ import annotations

from typing import Final

from pytest_mlcontainer import facts as environment_facts
from pytest_mlcontainer.compare import compare_outputs, verdict_of
from pytest_mlcontainer.compare.rules.study import Needed, Study
from pytest_mlcontainer.judging.logged import logged_by_one
from pytest_mlcontainer.judging.moved import settle_moved
from pytest_mlcontainer.model import (
    ALL_EMPTY,
    PRINTED,
    Comparator,
    Difference,
    Outcome,
    Output,
    Pairs,
    Rule,
    Run,
    Settings,
    Verdict,
)
from pytest_mlcontainer.wording import first_and_count

__all__ = ["NOTHING_NEEDED", "Needed", "compare_runs", "needed_by", "printed"]

NOTHING_NEEDED: Final = Needed()
_NAMED: Final = 3


def needed_by(settings: Settings, names: Pairs, rules: tuple[Rule, ...], *, alone: bool) -> Needed:
    """What fails a comparison of one entrypoint where it matches nothing.

    Patterns of `names` that all entrypoints have may well be for another one.

    Args:
        names, rules: of the entrypoint.
        alone: there are no platforms but those compared; what is ignored may else be theirs.
    """
    each = [dict(entry.names).keys() for entry in settings.entrypoints if entry.server is None]
    shared = frozenset[str]().union(each[0]).intersection(*each) if len(each) > 1 else frozenset()
    return Needed(
        frozenset(rule for rule in rules if alone or not rule.tolerance.ignore),
        frozenset(pattern for pattern, _text in names) - shared,
    )


def compare_runs(
    actual: Run,
    expected: Run,
    rules: tuple[Rule, ...],
    comparators: tuple[Comparator, ...] = (),
    names: Pairs = (),
    declared: tuple[str, ...] = (),
    needed: Needed = NOTHING_NEEDED,
) -> Outcome:
    """Hold one run's outputs against another's.

    Args:
        comparators: formats that plugins add.
        names: of the entrypoint, as `model.Entrypoint.names`.
        declared: what the entrypoint declares as its outputs; stdout and stderr are compared where
            they are among these, or where a rule's output is one of them.
        needed: rules and names that fail the comparison where they match nothing.
    """
    mine = printed(actual, expected, rules, declared)
    theirs = printed(expected, actual, rules, declared)
    differences, notes = compare_outputs(
        (*actual.written, *mine),
        (*expected.written, *theirs),
        rules,
        comparators,
        names,
        Study(needed=needed),
    )
    differences = settle_moved(differences, expected.written, comparators)
    verdict = verdict_of(differences)
    logged = () if verdict.passes else logged_by_one(actual, expected)
    return Outcome(
        entrypoint=actual.entrypoint,
        target=actual.target,
        reference=expected.target,
        verdict=verdict,
        differences=differences,
        facts=environment_facts.differing(actual.facts, expected.facts),
        notes=(*_say_empty(differences), *logged, *expected.notes, *actual.notes, *notes),
    )


def _say_empty(differences: tuple[Difference, ...]) -> tuple[str, ...]:
    """A note where both runs left nothing but empty files, so that no drift could be found."""
    if not differences or any(
        each.size or each.unit != "bytes" or each.verdict is not Verdict.IDENTICAL
        for each in differences
    ):
        return ()
    names = first_and_count([each.output for each in differences], _NAMED)
    return (f"{ALL_EMPTY} ({names}), so no drift can be found; declare outputs that hold results",)


def printed(
    run: Run, other: Run, rules: tuple[Rule, ...], declared: tuple[str, ...]
) -> tuple[Output, ...]:
    """What the run printed, as outputs, where that is asked for; arguments as `compare_runs`.

    A file of that name, on either side, comes first.
    """
    asked = {*declared, *(rule.output for rule in rules)} & {*PRINTED}
    written = {output.name for side in (run, other) for output in side.written}
    files = zip(PRINTED, (run.stdout, run.stderr), strict=True)
    return tuple(
        Output(name, path, path.stat().st_size)
        for name, path in files
        if name in asked and name not in written and path.is_file()
    )
