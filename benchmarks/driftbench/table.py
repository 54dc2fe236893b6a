"""Scores → JSON and a table. Only draws."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from benchmarks.driftbench.cases import CLASSES, Case
from benchmarks.driftbench.scoring import Answer, Scores, score

Answers = Mapping[str, Sequence[Answer]]  # by the name of the case
START, END = "<!-- scores -->", "<!-- end of scores -->"
_COLUMNS = (
    ("recall at no false alarm", "clean_recall"),
    ("recall", "recall"),
    ("false alarms", "false_alarms"),
    ("precision", "precision"),
    ("verdict", "verdicts"),
    ("top-1", "top1"),
    ("set F1", "set_f1"),
    ("abstains", "abstention"),
    ("runs, drifting", "drifting_runs"),
    ("runs, clean", "clean_runs"),
    ("stable", "stability"),
)
_COUNTS = ("false_alarms", "drifting_runs", "clean_runs")
_ABSENT = "–"


@dataclass(frozen=True)
class Measurement:
    """All that a table says.

    Args:
        which: the set of cases, `development`, `measuring` or `all`.
        date: of the measurement, ISO.
        machine: in words.
        repeats: how often the product was asked about each case.
        tools: names of tools to their answers, the product first.
        missing: tools that could not be had, with the reason.
    """

    which: str
    date: str
    machine: str
    repeats: int
    cases: tuple[Case, ...]
    tools: Mapping[str, Answers]
    missing: Mapping[str, str]


def draw(measured: Measurement) -> str:
    """The table as Markdown: every tool, then the product by class."""
    count = len(measured.cases)
    lines = [
        f"{_title(measured.which)}: {count} cases, each {measured.repeats} times. "
        f"{measured.date}, {measured.machine}.",
        "",
        *_table("tool", ((name, _scores(measured, name)) for name in measured.tools)),
    ]
    if measured.missing:
        lines += ["", *(f"- {name}: not measured. {why}" for name, why in measured.missing.items())]
    product = next(iter(measured.tools))
    rows = ((group, _scores(measured, product, group)) for group in CLASSES)
    lines += ["", f"{product}, by class:", "", *_table("class", rows, counted=True)]
    return "\n".join(lines) + "\n"


def as_json(measured: Measurement) -> dict[str, Any]:
    """The same as values, with every answer."""
    return {
        "set": measured.which,
        "date": measured.date,
        "machine": measured.machine,
        "repeats": measured.repeats,
        "scores": {name: asdict(_scores(measured, name)) for name in measured.tools},
        "classes": {
            group: asdict(_scores(measured, next(iter(measured.tools)), group)) for group in CLASSES
        },
        "missing": dict(measured.missing),
        "cases": [_case(case, measured.tools) for case in measured.cases],
    }


def put_into(page: str, which: str, table: str) -> str:
    """The page with the table of a set between the marks of that set.

    Raises:
        ValueError: the page has no such marks.
    """
    start, end = (mark.replace("scores", f"scores: {which}") for mark in (START, END))
    before, found, rest = page.partition(start)
    _old, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"the page has no {start} … {end}")
    return f"{before}{start}\n\n{table}\n{end}{after}"


def _scores(measured: Measurement, tool: str, group: str | None = None) -> Scores:
    answers = measured.tools[tool]
    chosen = [case for case in measured.cases if group in (None, case.group)]
    scores = score([(case, answers[case.name]) for case in chosen if answers.get(case.name)])
    if any(answer.causes for several in answers.values() for answer in several):
        return scores
    # A tool that has no word for causes does not get them wrong.
    return replace(scores, top1=None, set_f1=None, abstention=None)


def _table(first: str, rows: Iterable[tuple[str, Scores]], counted: bool = False) -> Iterable[str]:
    names = [first, *(["cases"] if counted else []), *(title for title, _name in _COLUMNS)]
    yield f"| {' | '.join(names)} |"
    yield f"| --- {'| ---: ' * (len(names) - 1)}|"
    for name, scores in rows:
        cells = [name, *([str(scores.cases)] if counted else [])]
        cells += [_cell(column, getattr(scores, column)) for _title, column in _COLUMNS]
        yield f"| {' | '.join(cells)} |"


def _cell(column: str, value: float | None) -> str:
    if value is None:
        return _ABSENT
    return f"{value:g}" if column in _COUNTS else f"{value:.2f}"


def _case(case: Case, tools: Mapping[str, Answers]) -> dict[str, Any]:
    return {
        "name": case.name,
        "class": case.group,
        "set": case.set,
        "verdicts": list(case.verdicts),
        "causes": sorted(sorted(names) for names in case.causes),
        "answers": {
            tool: [
                {
                    "verdict": answer.verdict,
                    "causes": [sorted(names) for names in answer.causes],
                    "runs": answer.runs,
                    "seconds": round(answer.seconds, 1),
                }
                for answer in answers.get(case.name, ())
            ]
            for tool, answers in tools.items()
        },
    }


def _title(which: str) -> str:
    return {"all": "All cases"}.get(which, f"The {which} set")
