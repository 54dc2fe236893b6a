"""A search for causes as a tree: below each set of changes the smaller ones cut from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_mlcontainer.model import SearchTrial, Verdict
from pytest_mlcontainer.report.html_text import t
from pytest_mlcontainer.report.html_tree import verdict_html

_TRIALS = 100
_NAMES = 8


def search_html(trials: tuple[SearchTrial, ...]) -> Iterator[str]:
    """Nothing for a search of which the trials are not known, or that made one alone."""
    shown = trials[:_TRIALS]
    if len(shown) < 2:
        return
    below: dict[int, list[int]] = {}
    for at, trial in enumerate(shown):
        below.setdefault(_parent(shown, trial), []).append(at)
    yield "<details>\n<summary><h3>The search, run by run</h3></summary>"
    yield '<div class="search">'
    yield from _branch(-1, below, shown)
    yield "</div>"
    if len(trials) > _TRIALS:
        yield f"<p>The first {_TRIALS} of {len(trials):,} sets of changes.</p>"
    yield "</details>"


def _parent(trials: Sequence[SearchTrial], trial: SearchTrial) -> int:
    """The place of the smallest set that holds all of this one and more; -1 where none does, and
    for the runs with nothing changed."""
    names = set(trial.names)
    holding = [at for at, each in enumerate(trials) if names and names < set(each.names)]
    return min(holding, key=lambda at: len(trials[at].names), default=-1)


def _branch(at: int, below: dict[int, list[int]], trials: Sequence[SearchTrial]) -> Iterator[str]:
    if at not in below:
        return
    yield "<ul>"
    for child in below[at]:
        yield f"<li>{_said(trials[child])}"
        yield from _branch(child, below, trials)
        yield "</li>"
    yield "</ul>"


def _said(trial: SearchTrial) -> str:
    names = ", ".join(f"<code>{t(name, 60)}</code>" for name in trial.names[:_NAMES])
    more = len(trial.names) - _NAMES
    names += f" and {more:,} more" if more > 0 else ""
    counted = (
        (Verdict.FAILED, trial.failed, "failed"),
        (Verdict.DRIFT, trial.drifted, "drifted"),
        (Verdict.IDENTICAL, trial.agreed, "agreed"),
    )
    found = " ".join(
        verdict_html(verdict, f"{count:,} {word}") for verdict, count, word in counted if count
    )
    return f"{names or 'nothing changed'} {found}"
