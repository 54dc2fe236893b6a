"""What a failed comparison and the end of a session print."""

from __future__ import annotations

import math
from collections.abc import Iterable

from pytest_mlcontainer.model import Difference, Outcome, Scalar, Target, Verdict
from pytest_mlcontainer.report.escape import escape
from pytest_mlcontainer.report.results import Result, RunResult

_BLOCKS = 20
_FACTS = 8
_FACT_WIDTH = 30
_WIDTH = 100
_LEGEND = (
    "(scale: the largest finite |expected| of an array; scale error: max abs / scale; "
    "ULP: unit in the last place)"
)


def failure_lines(outcome: Outcome, repeat: str) -> list[str]:
    """A comparison that did not pass, for someone who sees it for the first time.

    Args:
        repeat: the command that repeats just this; "" leaves the line out.
    """
    bad = [each for each in outcome.differences if not each.verdict.passes]
    lines = [_headline(outcome), ""]
    for difference in bad[:_BLOCKS]:
        lines += [*_block(difference, outcome), ""]
    if len(bad) > _BLOCKS:
        lines += [f"… and {len(bad) - _BLOCKS} more; report.json has them", ""]
    if any(each.scale_error is not None for each in bad[:_BLOCKS]):
        lines += [_LEGEND, ""]
    lines += _harmless(outcome.differences)
    lines += _facts(outcome)
    lines += [f"note: {escape(note, 300)}" for note in outcome.notes]
    if repeat:
        lines += ["repeat just this:", f"  {repeat}"]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def summary_lines(results: Iterable[Result]) -> list[str]:
    """A table of all comparisons and of the runs that failed, then remarks; empty without any.

    No line of the table is wider than 100 characters.
    """
    found = list(results)
    outcomes = [result.outcome for result in found if result.outcome is not None]
    runs = {result.run.id: result.run for result in found if result.run is not None}
    rows = [_failed_row(run) for run in runs.values() if run.failure is not None]
    rows += [_row(outcome) for outcome in outcomes]
    remarks = dict.fromkeys(result.note for result in found if result.note)
    notes = [f"note: {escape(remark, 300)}" for remark in remarks]
    if not rows:
        return notes
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        lines.append(_cut("  ".join([*cells, row[3]]).rstrip(), _WIDTH))
    if any(row[1].endswith("*") or "* vs" in row[1] for row in rows):
        lines.append("* emulated")
    return [*lines, *notes]


def _headline(outcome: Outcome) -> str:
    target, reference = str(outcome.target), str(outcome.reference)
    match outcome.verdict:
        case Verdict.FAILED:
            says = f"on {target} cannot be compared with {reference}"
        case Verdict.NONDETERMINISTIC:
            says = f"on {target}: repeats of one target disagree"
        case Verdict.DRIFT:
            says = f"on {target} drifts from {reference}"
        case _:
            says = f"on {target} agrees with {reference}"
    bad = sum(not each.verdict.passes for each in outcome.differences)
    items = "1 item" if bad == 1 else f"{bad} items"
    return f"{escape(outcome.entrypoint)} {says} (the reference): {items} not within tolerance"


def _block(difference: Difference, outcome: Outcome) -> list[str]:
    head = escape(difference.where)
    if difference.verdict is not Verdict.DRIFT:
        head += f"  [{difference.verdict.value}]"
    lines = [head]
    numbers = _numbers(difference)
    if numbers:
        lines.append("    " + "   ".join(numbers))
    if difference.differing and difference.size > 1:
        lines.append(f"    {_counts(difference)}")
    elif difference.rule and difference.beyond:
        beyond = "beyond " if _is_bound(difference) else ""
        lines.append(f"    {beyond}{escape(difference.rule)}")
    if difference.note:
        lines.append(f"    {escape(difference.note, 600)}")
    return lines + _worst(difference, outcome)


def _numbers(difference: Difference) -> list[str]:
    """All four side by side; one that has no meaning here is left out."""
    ulp = difference.max_ulp
    named = (
        ("max abs", _short(difference.max_abs)),
        ("max rel", _short(difference.max_rel)),
        ("max ULP", None if ulp is None else _short_count(ulp)),
        ("scale error", _short(difference.scale_error)),
    )
    return [f"{name} {text}" for name, text in named if text is not None]


def _counts(difference: Difference) -> str:
    text = f"{difference.differing:,} of {difference.size:,} {difference.unit} differ"
    if not _is_bound(difference):
        return f"{text}; rule: {escape(difference.rule)}"
    return f"{text}, {difference.beyond:,} beyond {escape(difference.rule)}"


def _is_bound(difference: Difference) -> bool:
    """Whether the rule is a bound that a number can be beyond, not a demand to be equal."""
    return not difference.rule.startswith(("exact", "dtype"))


def _worst(difference: Difference, outcome: Outcome) -> list[str]:
    if difference.worst_index is None:
        return []
    names = _names_of_sides(outcome)
    width = max(len(name) for name in names)
    values = escape(difference.worst_actual), escape(difference.worst_expected)
    where = _place(difference)
    lines = [f"    {where}"] if where else []
    return lines + [
        f"      {name:<{width}}  {value}" for name, value in zip(names, values, strict=True)
    ]


def _names_of_sides(outcome: Outcome) -> tuple[str, str]:
    target, reference = str(outcome.target.platform), str(outcome.reference.platform)
    return ("this run" if target == reference else target), f"{reference} (reference)"


def _place(difference: Difference) -> str:
    index = difference.worst_index
    if not index:
        return ""
    if difference.unit == "lines":
        return f"line {index[0] + 1}:"
    if difference.unit == "bytes":
        return f"byte {index[0]}:"
    return f"worst at [{', '.join(str(part) for part in index)}]:"


def _harmless(differences: tuple[Difference, ...]) -> list[str]:
    near = [each for each in differences if each.verdict is Verdict.EQUIVALENT]
    same = [each for each in differences if each.verdict is Verdict.IDENTICAL]
    lines = []
    if near:
        numbers = ", ".join(_numbers(near[0]))
        worst = f"{escape(near[0].where)}{f' ({numbers})' if numbers else ''}"
        lines.append(f"within tolerance: {_items(len(near))}, the worst {worst}")
    if same:
        lines.append(f"identical: {_names(same)}")
    return [*lines, ""] if lines else []


def _names(differences: list[Difference]) -> str:
    shown = [_identical_name(each) for each in differences[:4]]
    more = f" and {len(differences) - 4} more" if len(differences) > 4 else ""
    return ", ".join(shown) + more


def _identical_name(difference: Difference) -> str:
    where = escape(difference.where)
    return f"{_items(difference.size)} of {where}" if difference.unit == "items" else where


def _items(count: int) -> str:
    return "1 item" if count == 1 else f"{count} items"


def _facts(outcome: Outcome) -> list[str]:
    if not outcome.facts:
        return []
    rows = [("", *_names_of_sides(outcome))]
    rows += [
        (escape(name, _FACT_WIDTH), _fact(actual), _fact(expected))
        for name, expected, actual in outcome.facts[:_FACTS]
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    lines = ["the environments differ:"]
    for name, actual, expected in rows:
        lines.append(f"  {name:<{widths[0]}}  {actual:<{widths[1]}}  {expected}".rstrip())
    if len(outcome.facts) > _FACTS:
        lines.append(f"  … and {len(outcome.facts) - _FACTS} more")
    return [*lines, ""]


def _fact(value: Scalar) -> str:
    return "-" if value is None else escape(str(value), _FACT_WIDTH)


def _row(outcome: Outcome) -> tuple[str, str, str, str]:
    worst = next(iter(outcome.differences), None)
    text = ""
    if worst is not None and worst.verdict is not Verdict.IDENTICAL:
        where, numbers = escape(worst.where, 50), ", ".join(_numbers(worst)[:2])
        detail = escape(worst.note, 60) or (_counts(worst) if worst.differing else "")
        text = f"{numbers} in {where}" if numbers else f"{where}: {detail}"
    return (
        escape(outcome.entrypoint, 20),
        f"{_name(outcome.target)} vs {outcome.reference.platform}",
        outcome.verdict.value,
        text,
    )


def _failed_row(run: RunResult) -> tuple[str, str, str, str]:
    what = "" if run.failure is None else escape(run.failure.what, 80)
    return escape(run.entrypoint, 20), _name(run.target), Verdict.FAILED.value, what


def _name(target: Target) -> str:
    return f"{target.platform}{'*' if target.emulated else ''}"


def _short(value: float | None) -> str | None:
    """Three significant digits."""
    if value is None:
        return None
    return str(value) if not math.isfinite(value) else f"{value:.3g}"


def _short_count(value: int) -> str:
    return f"{value:,}" if value < 10**9 else f"{value:.3g}"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
