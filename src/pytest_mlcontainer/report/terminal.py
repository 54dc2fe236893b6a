"""What a failed comparison and the end of a session print."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from textwrap import wrap

from pytest_mlcontainer.model import Difference, Outcome, Scalar, Target, Verdict
from pytest_mlcontainer.report import words
from pytest_mlcontainer.report.acceptance import accept_together
from pytest_mlcontainer.report.answer import REPEATS, Statement, answer, in_brief, is_varied, rest
from pytest_mlcontainer.report.checks import check_summary
from pytest_mlcontainer.report.escape import cut_inside, escape
from pytest_mlcontainer.report.overview import alike, overview, representatives
from pytest_mlcontainer.report.results import Result, RunResult
from pytest_mlcontainer.report.session import gather
from pytest_mlcontainer.report.shared_causes import shared_lines
from pytest_mlcontainer.report.sides import names_of_sides
from pytest_mlcontainer.report.tree import ReportLeaf, Tree, build_tree
from pytest_mlcontainer.wording import first_and_count, truncate

_BLOCKS = (3, 10, 100)  # in full, by verbosity
_ROWS = (12, 40, 1000)
_ELEMENTS = 3
_ELEMENT_WIDTH = 32
_FACTS = 8
_FACT_WIDTH = 30
_SAID = 1500
_REMARKS = 30
_NOTES = 15
_WIDTH = 100
_SUMMARY = 200
_ACCEPTED = 3
_KINDS = 10
_PART = "if that is meant to pass, these accept a part of it:"
CURE_OFFER = "look for what stops it (mostly 12 more runs, at most 54; 93 where repeats disagree):"
_ALL = "report.json of --container-report (--report) has them"


def failure_lines(outcome: Outcome, repeat: str, verbosity: int = 0) -> list[str]:
    """A comparison that did not pass, for someone who sees it for the first time.

    It fits one screen, whatever was compared; more of it with a verbosity above 0, as of pytest's
    `-v` and `-vv`.

    Args:
        repeat: the command that repeats just this; "" leaves the line out.
    """
    tree, detail = build_tree(outcome), min(max(verbosity, 0), len(_BLOCKS) - 1)
    blocks = representatives(tree.failing, _BLOCKS[detail])
    said = answer(outcome)
    lines = [escape(words.headline(outcome, tree.failing_count), 300)]
    lines += [*(line for each in said for line in _statement(each)), ""]
    if len(tree.failing) > 1:
        lines += [*overview(tree, _ROWS[detail]), ""]
    for leaf in blocks:
        lines += [*_block(leaf, outcome), ""]
    if tree.failing_count > len(blocks):
        where = f"-v shows some, {_ALL}" if not detail else _ALL
        lines += [f"… and {tree.failing_count - len(blocks):,} more; {where}", ""]
    if any(leaf.difference.scale_error is not None for leaf in blocks):
        lines += [words.LEGEND, ""]
    lines += _harmless(tree)
    more = [line for each in rest(outcome, brief=not detail) for line in _statement(each)]
    lines += [*more, ""] if more else []
    lines += _facts(outcome)
    lines += _notes(outcome.notes)
    lines += _acceptances(tree, detail)
    if repeat:
        lines += ["repeat just this:", f"  {repeat}"]
    if repeat:
        lines += _further(outcome, repeat)
    while lines and not lines[-1]:
        lines.pop()
    return lines


def summary_lines(results: Iterable[Result]) -> list[str]:
    """A table of all comparisons and of the runs that failed, then remarks; empty without any.

    No line of the table is wider than 100 characters.
    """
    session = gather(results, 0.0)
    rows = [_failed_row(run) for run in session.failures]
    rows += [_row(comparison.tree) for comparison in session.comparisons]
    shared = [wrapped for line in shared_lines(session.shared) for wrapped in _remarks((line,))]
    notes = [*shared, *check_summary(session.checks), *_remarks(session.remarks)]
    notes += _notes(session.notes)
    if not rows:
        return notes
    # The worst of very many; else all of them, in the order in which they were made.
    shown = rows if len(rows) <= _SUMMARY else sorted(rows, key=_severity, reverse=True)[:_SUMMARY]
    widths = [max(len(row[column]) for row in shown) for column in range(3)]
    lines = []
    for row in shown:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        lines.append(truncate("  ".join([*cells, row[3]]).rstrip(), _WIDTH))
    if len(rows) > len(shown):
        lines.append(f"… and {len(rows) - len(shown):,} more")
    if any(row[1].endswith("*") or "* v" in row[1] for row in shown):
        lines.append("* emulated")
    return [*lines, *notes]


def _further(outcome: Outcome, repeat: str) -> list[str]:
    """The command that looks for the cause, or for the line, whichever is not known."""
    located = outcome.location is not None
    offers = []
    if _is_unexplained(outcome):
        head = "look for the cause:" if located else "look for the cause, and for the line:"
        options = "--container-vary" if located else "--container-vary --container-locate"
        offers.append((head, options))
    elif outcome.explanation is not None and not outcome.verdict.passes:
        if not located:
            head = "look for the line (mostly 4 more runs, at most 10):"
            offers.append((head, "--container-locate"))
        if outcome.cure is None and outcome.causes and outcome.verdict is not Verdict.FAILED:
            offers.append((CURE_OFFER, "--container-cure"))
    elif outcome.against == REPEATS and not outcome.verdict.passes and outcome.cure is None:
        offers.append((CURE_OFFER, "--container-cure"))
    return [
        line
        for head, options in offers
        if options not in repeat
        for line in (
            head,
            f"  {repeat.replace('pytest --container', f'pytest --container {options}', 1)}",
        )
    ]


def _is_unexplained(outcome: Outcome) -> bool:
    """Whether two platforms drift, and nobody has looked why."""
    return outcome.verdict is Verdict.DRIFT and outcome.explanation is None and not outcome.against


def _acceptances(tree: Tree, detail: int) -> list[str]:
    """What would accept what does not pass, and what each rule would hide.

    Where the cause is known, rules for a part of it are the last that a reader wants.
    """
    kinds = dict(alike(leaf, tree.failing) for leaf in representatives(tree.failing, _KINDS))
    found = [accept_together(name, differences) for name, differences in kinds.items()]
    proposals = [each for each in found if each is not None][:_ACCEPTED]
    if not proposals:
        return []
    covered = sum(map(len, kinds.values()))
    whole = len(proposals) == len(kinds) and covered == tree.failing_count
    if not whole and not detail and tree.outcome.causes:
        return ["-v shows rules that would accept a part of it", ""]
    table = f"[tool.mlcontainer.entrypoints.{escape(tree.outcome.entrypoint, 80)}.compare]"
    lines = ["if that is meant to pass:" if whole else _PART, f"  {table}"]
    for each in proposals:
        lines += [f"  {escape(each.line, 300)}", f"    # hides {escape(each.hides, 200)}"]
    return [*lines, ""]


def _block(leaf: ReportLeaf, outcome: Outcome) -> list[str]:
    difference = leaf.difference
    head = escape(cut_inside(difference.where, 200))
    if difference.verdict is not Verdict.DRIFT:
        head += f"  [{difference.verdict.value}]"
    said = [
        "   ".join(f"{name} {text}" for name, text in words.numbers(difference)),
        escape(words.how_many(difference), 300),
        *_spread(difference),
        words.noise_text(difference),
        escape(difference.note, 600),
    ]
    return [head, *(f"    {line}" for line in said if line), *_elements(leaf, outcome)]


def _spread(difference: Difference) -> list[str]:
    """How the errors are spread: quantiles, and a histogram in one line."""
    errors, shown = words.errors_text(difference), words.bins(difference)
    lines = [f"errors: {errors}"] if errors else []
    if len(shown) > 1:
        low, high = words.short(shown[0][0]), words.short(shown[-1][1])
        lines.append(f"{low} │{words.bars(shown)}│ {high}")
    return lines


def _elements(leaf: ReportLeaf, outcome: Outcome) -> list[str]:
    """The worst few side by side; where they are long, the worst alone, in full."""
    difference, names = leaf.difference, names_of_sides(outcome)
    rows = [
        (
            words.place(difference, each.index),
            escape(each.actual),
            escape(each.expected),
            words.error_of(each),
        )
        for each in leaf.elements[:_ELEMENTS]
    ]
    if not rows:
        return []
    if len(rows) > 1 and max(len(cell) for row in rows for cell in row) <= _ELEMENT_WIDTH:
        below = [(f"  {where}", *cells) for where, *cells in rows]
        last = "off by" if any(row[-1] for row in rows) else ""
        return [f"    {line}" for line in _columns([("worst at", *names, last), *below])]
    width = max(len(name) for name in names)
    where, actual, expected, _error = rows[0]
    head = "" if not where else f"worst at {where}:" if where.startswith("[") else f"{where}:"
    lines = [f"    {head}"] if head else []
    sides = zip(names, (actual, expected), strict=True)
    return lines + [f"      {name:<{width}}  {value}".rstrip() for name, value in sides]


def _harmless(tree: Tree) -> list[str]:
    counts = dict(tree.counts)
    near = [each for each in tree.leaves if each.difference.verdict is Verdict.EQUIVALENT]
    same = [each for each in tree.leaves if each.difference.verdict is Verdict.IDENTICAL]
    lines = []
    if near:
        worst = near[0].difference
        numbers = ", ".join(f"{name} {text}" for name, text in words.numbers(worst))
        where = f"{escape(worst.where)}{f' ({numbers})' if numbers else ''}"
        count = words.items(counts[Verdict.EQUIVALENT])
        lines.append(f"within tolerance: {count}, the worst {where}")
    if same:
        lines.append(f"identical: {_names(same)}")
    return [*lines, ""] if lines else []


def _names(same: list[ReportLeaf]) -> str:
    return first_and_count([_identical_name(leaf.difference) for leaf in same], 4)


def _identical_name(difference: Difference) -> str:
    where = escape(cut_inside(difference.where, 200))
    return f"{words.items(difference.size)} of {where}" if difference.unit == "items" else where


def _statement(statement: Statement) -> list[str]:
    """One line, a long list of names in several, and what is said under it."""
    names = escape(", ".join(statement.names), 100)
    head = " ".join(part for part in (f"{escape(statement.label, 80)}:", names) if part)
    line = f"{head} {escape(statement.text, _SAID)}"
    lines = [line]
    if not statement.names and len(line) > _WIDTH and statement.is_list:
        lines = wrap(line, _WIDTH, subsequent_indent="  ", break_long_words=False)
    return lines + [f"  {label}: {escape(text, _SAID)}" for label, text in statement.below]


def _facts(outcome: Outcome) -> list[str]:
    if not outcome.facts:
        return []
    rows = [("", *names_of_sides(outcome))]
    rows += [
        (escape(name, _FACT_WIDTH), _fact(actual), _fact(expected))
        for name, expected, actual in outcome.facts[:_FACTS]
    ]
    lines = ["the environments differ:", *(f"  {line}" for line in _columns(rows))]
    if len(outcome.facts) > _FACTS:
        lines.append(f"  … and {len(outcome.facts) - _FACTS} more")
    return [*lines, ""]


def _columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _fact(value: Scalar) -> str:
    return "-" if value is None else escape(str(value), _FACT_WIDTH)


def _notes(notes: tuple[str, ...]) -> list[str]:
    lines = [f"note: {escape(note, 300)}" for note in notes[:_NOTES]]
    if len(notes) > _NOTES:
        lines.append(f"… and {len(notes) - _NOTES:,} more notes")
    return lines


def _remarks(remarks: tuple[str, ...]) -> list[str]:
    """Those that have to be seen, each in full, so that they may take several lines."""
    lines = []
    for each in remarks[:_REMARKS]:
        lines += wrap(escape(each, _SAID), _WIDTH, subsequent_indent="  ", break_long_words=False)
    if len(remarks) > _REMARKS:
        lines.append(f"… and {len(remarks) - _REMARKS:,} more remarks; {_ALL}")
    return lines


def _row(tree: Tree) -> tuple[str, str, str, str]:
    outcome, text = tree.outcome, ""
    if tree.leaves and tree.leaves[0].difference.verdict is not Verdict.IDENTICAL:
        worst = tree.leaves[0].difference
        where, found = escape(cut_inside(worst.where, 50), 50), escape(words.brief(worst), 60)
        text = f"{found} in {where}" if words.numbers(worst) else f"{where}: {found}"
    brief = ("cause: " if outcome.causes else "") + escape(in_brief(outcome), 60)
    other = outcome.against or outcome.reference.platform
    return (
        escape(outcome.entrypoint, 20),
        f"{_name(outcome.target)} {'varied' if is_varied(outcome) else f'vs {other}'}",
        outcome.verdict.value,
        f"{brief}; {text}" if brief and text else brief or text,
    )


def _failed_row(run: RunResult) -> tuple[str, str, str, str]:
    what = "" if run.failure is None else escape(run.failure.what, 80)
    return escape(run.entrypoint, 20), _name(run.target), Verdict.FAILED.value, what


def _severity(row: tuple[str, str, str, str]) -> int:
    return Verdict(row[2]).severity


def _name(target: Target) -> str:
    return f"{target.platform}{'*' if target.emulated else ''}"
