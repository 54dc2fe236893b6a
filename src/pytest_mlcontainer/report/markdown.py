"""`summary.md`: what a CI service shows beside a job, such as GitHub's step summary."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from pytest_mlcontainer.model import CheckReport, Publication
from pytest_mlcontainer.report import words
from pytest_mlcontainer.report.answer import Statement, answer, in_brief
from pytest_mlcontainer.report.escape import cut_inside, escape
from pytest_mlcontainer.report.publication import publication_headline
from pytest_mlcontainer.report.results import RunResult
from pytest_mlcontainer.report.session import Comparison, Session
from pytest_mlcontainer.report.tree import Tree

_ROWS = 60
_WORST = 20
_WORST_OF_ONE = 5
_FAILURES = 10
_LOG_LINES = 20
_NOTES = 20
_ANSWERS = 10
_WORST_HEAD = "worst difference"
_NAMES = 10
_FINDINGS = 20
# Inside a code span these have, or may get, a meaning of their own; a table's cell ends at a pipe.
_UNSAFE_IN_CODE = re.compile(r"[`|\\]|^ | $|^$")
# A colon before a space begins no address and no emoji; a line that begins with a letter no list.
_UNSAFE = re.compile(r"^[^A-Za-z(/]|[!-$&'*;-<>-@\[-`{-~]|:(?! )")


def summary_md(session: Session) -> str:
    """The verdicts in a table, then the worst differences, then runs that failed and remarks."""
    title = words.session_headline(session.counts, len(session.failures), session.checks)
    parts = [[f"## {title}"]]
    parts += [[f"**{text(session.unfinished, 1000)}**"]] if session.unfinished else []
    parts += [_verdicts(session), _answers(session), _worst(session)]
    parts += [_failure(run) for run in session.failures[:_FAILURES]]
    if len(session.failures) > _FAILURES:
        parts.append([f"… and {len(session.failures) - _FAILURES:,} more runs that failed"])
    parts.append(_published(session.publication))
    parts.append(_checks(session.checks))
    said = (*session.remarks, *session.notes)
    notes = [f"- {text(note, 300)}" for note in said[:_NOTES]]
    if len(said) > _NOTES:
        notes.append(f"- … and {len(said) - _NOTES:,} more")
    parts += [
        notes,
        [f"{words.session_runs(session.runs, session.more_runs)}, {session.duration_s:.1f} s"],
    ]
    return "\n\n".join("\n".join(lines) for lines in parts if lines) + "\n"


def code(said: str, limit: int = 200) -> str:
    """Text as code, on one line, with nothing in it that Markdown, a table or HTML takes up."""
    shown = escape(said, limit)
    if _UNSAFE_IN_CODE.search(shown):
        return f"<code>{_entities(shown)}</code>"
    return f"`{shown}`"


def text(said: str, limit: int = 200) -> str:
    """Text as running text, equally safe."""
    return _entities(escape(said, limit))


def _entities(shown: str) -> str:
    """Character references never make Markdown structure (CommonMark, §2.5)."""
    return _UNSAFE.sub(lambda found: f"&#{ord(found[0])};", shown)


def _verdicts(session: Session) -> list[str]:
    if not session.comparisons:
        return []
    ordered = _worst_first(session)
    rows = [_verdict(each.tree) for each in ordered[:_ROWS]]
    heading: tuple[str, ...] = ("entrypoint", "run", "reference", "verdict", "cause", _WORST_HEAD)
    if not any(row[-2] for row in rows):
        heading, rows = (*heading[:-2], _WORST_HEAD), [(*row[:-2], row[-1]) for row in rows]
    lines = _table(heading, rows)
    if len(ordered) > _ROWS:
        lines += ["", f"… and {len(ordered) - _ROWS:,} more comparisons"]
    return lines


def _verdict(tree: Tree) -> tuple[str, ...]:
    outcome, worst = tree.outcome, ""
    if tree.leaves and words.brief(tree.leaves[0].difference):
        difference = tree.leaves[0].difference
        worst = (
            f"{code(cut_inside(difference.where, 80), 80)}: {text(words.brief(difference), 120)}"
        )
    verdict = f"{words.SIGNS[outcome.verdict]} {outcome.verdict.value}"
    return (
        code(outcome.entrypoint, 60),
        text(words.name_of_target(outcome.target)),
        text(words.name_of_reference(outcome)),
        verdict if outcome.verdict.passes else f"**{verdict}**",
        text(in_brief(outcome), 80),
        worst,
    )


def _answers(session: Session) -> list[str]:
    """Why each comparison that was looked into does not pass: what is said first in a terminal."""
    lines = []
    for comparison in _worst_first(session)[:_ANSWERS]:
        outcome = comparison.tree.outcome
        said = answer(outcome)
        if said and not outcome.verdict.passes:
            failing = comparison.tree.failing_count
            lines.append(f"- {text(words.headline(outcome, failing), 300)}")
            lines += [line for each in said for line in _statement(each)]
    return ["### Why", "", *lines] if lines else []


def _statement(statement: Statement) -> list[str]:
    names = ", ".join(code(name, 80) for name in statement.names[:_NAMES])
    parts = (f"**{text(statement.label, 80)}:**", names, text(statement.text, 600))
    lines = [f"  - {' '.join(part for part in parts if part)}"]
    return lines + [f"    - {text(f'{label}: {said}', 600)}" for label, said in statement.below]


def _worst(session: Session) -> list[str]:
    rows = []
    for comparison in _worst_first(session):
        outcome = comparison.tree.outcome
        for leaf in comparison.tree.failing[:_WORST_OF_ONE]:
            difference = leaf.difference
            found = dict(words.numbers(difference))
            cells = (found.get(name, "") for name in words.NUMBERS)
            said = words.how_many(difference) or difference.note
            where = f"{code(outcome.entrypoint, 40)} {text(str(outcome.target))}"
            place = code(cut_inside(difference.where, 80), 80)
            rows.append((where, place, *cells, text(said, 160)))
    if not rows:
        return []
    failing = sum(comparison.tree.failing_count for comparison in session.comparisons)
    shown = rows[:_WORST]
    heading = ("run", "where", *words.NUMBERS, "")
    lines = ["### Worst differences", "", *_table(heading, shown, right=len(words.NUMBERS))]
    if failing > len(shown):
        lines += ["", f"… and {failing - len(shown):,} more; report.json has them"]
    return lines


def _failure(run: RunResult) -> list[str]:
    assert run.failure is not None
    name = f"{code(run.entrypoint, 60)} on {text(words.name_of_target(run.target))}"
    lines = [f"### {name} failed", "", text(run.failure.what, 300), "", *_log(run.failure.value)]
    return [*lines, "", f"→ {text(run.failure.remedy, 1000)}"] if run.failure.remedy else lines


def _published(publication: Publication | None) -> list[str]:
    if publication is None:
        return []
    lines = ["### Published", "", text(publication_headline(publication), 1000)]
    if publication.reference:
        lines += ["", code(publication.reference, 500)]
    failure = publication.failure
    if failure is not None:
        lines += ["", *_log(failure.value), "", f"→ {text(failure.remedy, 1000)}"]
    return [*lines, *(f"- {text(note, 300)}" for note in publication.notes)]


def _checks(checks: tuple[CheckReport, ...]) -> list[str]:
    """The worst findings of all checks of the image, in a table."""
    found = [(report, each) for report in checks for each in report.findings]
    found.sort(key=lambda pair: (pair[1] not in pair[0].failing, -pair[1].severity.rank))
    if not found:
        return []
    rows = []
    for report, each in found[:_FINDINGS]:
        severity = each.severity.value
        rows.append(
            (
                code(report.name, 60),
                f"**{severity}**" if each in report.failing else severity,
                code(each.rule, 40),
                code(each.where, 80) if each.where else "",
                text(each.what, 200),
                text(each.mend.partition("\n")[0], 200),
            )
        )
    heading = ("check", "severity", "rule", "place", "what", "mend")
    lines = ["### Checks of the image", "", *_table(heading, rows)]
    if len(found) > len(rows):
        lines += ["", f"… and {len(found) - len(rows):,} more; report.json has them"]
    return lines


def _log(said: str) -> Iterator[str]:
    """Indented by four, which no line of it can end; the last lines, where errors stand."""
    lines = said.splitlines()
    if len(lines) > _LOG_LINES:
        yield f"    … ({len(lines) - _LOG_LINES:,} lines before)"
    yield from (f"    {escape(line, 300)}" for line in lines[-_LOG_LINES:])


def _worst_first(session: Session) -> list[Comparison]:
    return sorted(session.comparisons, key=lambda each: -each.tree.outcome.verdict.severity)


def _table(heading: tuple[str, ...], rows: Iterable[tuple[str, ...]], right: int = 0) -> list[str]:
    """A table; `right` columns before the last are aligned to the right."""
    first = len(heading) - 1 - right
    rules = ["---:" if right and first <= n < first + right else "---" for n in range(len(heading))]
    return [f"| {' | '.join(cells)} |" for cells in (heading, tuple(rules), *rows)]
