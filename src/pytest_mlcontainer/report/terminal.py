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
from pytest_mlcontainer.report.in_full import columns, in_full
from pytest_mlcontainer.report.overview import alike, overview, representatives
from pytest_mlcontainer.report.results import Result, RunResult
from pytest_mlcontainer.report.session import gather
from pytest_mlcontainer.report.shared_causes import shared_lines
from pytest_mlcontainer.report.sides import names_of_sides
from pytest_mlcontainer.report.tree import ReportLeaf, Tree, build_tree
from pytest_mlcontainer.wording import first_and_count, truncate

_BLOCKS = (3, 10, 100)  # in full, by verbosity
_ROWS = (12, 40, 1000)
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
CURE_RUNS = {False: 54, True: 93}  # at most, by whether repeats disagree
_ALL = "report.json of --container-report (--report) has them"


def failure_lines(outcome: Outcome, repeat: str, verbosity: int = 0) -> list[str]:
    """A comparison that did not pass, for someone who sees it for the first time.

    It fits one screen, whatever was compared; more of it with a verbosity above 0, as of pytest's
    `-v` and `-vv`.

    Args:
        repeat: the command that repeats just this; "" leaves the line out.
    """
    tree, detail = build_tree(outcome), min(max(verbosity, 0), len(_BLOCKS) - 1)
    shown = representatives(tree.failing, _BLOCKS[detail])
    said = answer(outcome)
    lines = [escape(words.headline(outcome, tree.failing_count), 300)]
    lines += [*(line for each in said for line in _statement(each)), ""]
    lines += in_full(shown, outcome, brief=not detail)
    lines += _others(tree, shown, detail)
    lines += _harmless(tree)
    lines += [line for each in rest(outcome, brief=not detail) for line in _statement(each)]
    lines += [""] if lines[-1] else []
    lines += _facts(outcome, brief=not detail)
    lines += _notes(outcome.notes)
    lines += _acceptances(tree, detail)
    if repeat:
        lines += ["repeat just this:", f"  {repeat}", *_further(outcome, repeat)]
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
    """What to add to that command, for what is not known: the cause, the line, what stops it."""
    if _is_unexplained(outcome):
        sought = {"--container-vary": "the cause"}
        sought |= {} if outcome.location is not None else {"--container-locate": "the line"}
        sought = {option: what for option, what in sought.items() if option not in repeat}
        command = repeat.replace("pytest --container", f"pytest --container {' '.join(sought)}", 1)
        what = ", and for ".join(sought.values())
        return [f"look for {what}:", f"  {command}"] if sought else []
    most = CURE_RUNS[outcome.verdict is Verdict.NONDETERMINISTIC]
    offers = (
        (_is_unlocated(outcome), "locate", "the line (mostly 4 more runs, at most 10)"),
        (_is_curable(outcome), "cure", f"what stops it (mostly 12 more runs, at most {most})"),
    )
    return [
        f"  add --container-{option} to find {what}"
        for fits, option, what in offers
        if fits and f"--container-{option}" not in repeat
    ]


def _is_unlocated(outcome: Outcome) -> bool:
    """Whether a cause was looked for, or repeats disagree, and nobody has looked for the line."""
    sought = outcome.explanation is not None or _repeats_disagree(outcome)
    return sought and outcome.location is None


def _is_curable(outcome: Outcome) -> bool:
    """Whether a cause is known, or repeats disagree, and nobody has looked for what stops it."""
    if outcome.cure is not None:
        return False
    if outcome.explanation is None:
        return _repeats_disagree(outcome)
    return bool(outcome.causes) and outcome.verdict is not Verdict.FAILED


def _repeats_disagree(outcome: Outcome) -> bool:
    """Not where all that fails could not be compared: there is no line that brings that about."""
    verdicts = {outcome.verdict, *(each.verdict for each in outcome.differences)}
    return outcome.against == REPEATS and Verdict.NONDETERMINISTIC in verdicts


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
        return []
    table = f"[tool.mlcontainer.entrypoints.{escape(tree.outcome.entrypoint, 80)}.compare]"
    lines = ["if that is meant to pass:" if whole else _PART, f"  {table}"]
    for each in proposals:
        line, hides = escape(each.line, 300), f"# hides {escape(each.hides, 200)}"
        together = f"  {line}  {hides}"
        lines += [together] if len(together) <= _WIDTH else [f"  {line}", f"    {hides}"]
    return [*lines, ""]


def _others(tree: Tree, shown: Sequence[ReportLeaf], detail: int) -> list[str]:
    """The places that do not pass and are not shown with their values."""
    count = tree.failing_count - len(shown)
    if not count:
        return []
    others = [leaf for leaf in tree.failing if leaf not in shown]
    where = _ALL if detail else "-v shows some of them, --container-report all"
    return [f"… and {count:,} more; {where}", *overview(others, _ROWS[detail]), ""]


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
    return lines


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


def _facts(outcome: Outcome, *, brief: bool) -> list[str]:
    """In what the environments differ; briefly, without what the cause says with its values."""
    said = "".join(f" {cause.evidence}" for cause in outcome.causes if brief)
    facts = [each for each in outcome.facts if f" {each[0]} " not in said]
    if not facts:
        return []
    rows = [("", *names_of_sides(outcome))]
    rows += [
        (escape(name, _FACT_WIDTH), _fact(actual), _fact(expected))
        for name, expected, actual in facts[:_FACTS]
    ]
    lines = ["the environments differ:", *(f"  {line}" for line in columns(rows))]
    if len(facts) > _FACTS:
        lines.append(f"  … and {len(facts) - _FACTS} more")
    return [*lines, ""]


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
