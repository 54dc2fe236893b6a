"""Pairs of records from two machines → their outcomes."""

from __future__ import annotations

from dataclasses import replace

from pytest_mlcontainer.judging import compare_runs
from pytest_mlcontainer.judging.evidence import Evidence
from pytest_mlcontainer.judging.evidence import judge as judge_evidence
from pytest_mlcontainer.model import Comparator, Entrypoint, Outcome, Run
from pytest_mlcontainer.records.pairing import RecordPair


def judge(
    meetings: tuple[RecordPair, ...],
    entry: Entrypoint | None = None,
    comparators: tuple[Comparator, ...] = (),
) -> Outcome:
    """Compare records of runs that did their job.

    Args:
        meetings: a group, as `groups` gives it.
        entry: whose rules hold instead of those in the records.
        comparators: formats that plugins add.
    """
    first = meetings[0]
    actual, expected = first.actual.run, first.expected.run
    notes: list[str] = []
    if entry is None:
        entry, notes = _recorded(first)
    evidence = _evidence(meetings)
    if len(evidence.pairs) > 1 or evidence.repeats or evidence.varied:
        outcome = judge_evidence(entry, evidence, comparators)
    else:
        outcome = compare_runs(
            actual, expected, entry.rules, comparators, entry.names, entry.outputs
        )
    same = actual.target.platform == expected.target.platform
    against = f"{first.place}'s record" if same else ""
    return replace(outcome, notes=(*notes, *outcome.notes), against=against)


def _evidence(meetings: tuple[RecordPair, ...]) -> Evidence:
    """The pairs, one for each seed, and the repeats of the first seed on both sides."""
    pairs: dict[str | None, RecordPair] = {}
    for meeting in meetings:
        pairs.setdefault(meeting.actual.conditions.seed, meeting)
    first = meetings[0]
    seed = first.actual.conditions.seed
    mine = tuple(each.actual.run for each in meetings if each.actual.conditions.seed == seed)
    theirs = (first.expected.run, *(each.run for each in first.repeats))
    return Evidence(
        pairs=tuple(
            (seed or "", each.actual.run, each.expected.run) for seed, each in pairs.items()
        ),
        repeats=tuple(runs for runs in (theirs, mine) if len(runs) > 1),
        varied=_under_variations(first),
    )


def _under_variations(meeting: RecordPair) -> tuple[tuple[str, Run], ...]:
    """The reference as it is and under variations, by name; nothing without the latter."""
    if not meeting.varied:
        return ()
    named = ((", ".join(each.run.target.variations), each.run) for each in meeting.varied)
    return (("", meeting.expected.run), *named)


def _recorded(meeting: RecordPair) -> tuple[Entrypoint, list[str]]:
    """The entrypoint as the records have it, and what there is to say about that."""
    actual, expected = meeting.actual.conditions, meeting.expected.conditions
    notes: list[str] = []
    chosen = expected
    if expected.rules is None:
        chosen = actual
        if actual.rules is None:
            notes.append(
                "the records hold no rules, so the default tolerances were used; --config names a "
                "pyproject.toml with rules"
            )
    elif actual.rules is not None and actual.rules != expected.rules:
        notes.append(
            "the records were made with different rules; those of the reference were used, and "
            "--config names others"
        )
    name = meeting.expected.run.entrypoint
    rules = chosen.rules or ()
    return Entrypoint(name, outputs=chosen.declared, rules=rules, names=chosen.names), notes
