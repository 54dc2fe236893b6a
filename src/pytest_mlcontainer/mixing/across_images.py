"""What makes an entrypoint's outputs in one image drift from those in another."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pytest_mlcontainer.errors import RunError
from pytest_mlcontainer.experiments.driver import worked_or_failed
from pytest_mlcontainer.matrix import run_job
from pytest_mlcontainer.mixing.contents import Contents
from pytest_mlcontainer.mixing.hybrid_search import HybridSearch
from pytest_mlcontainer.mixing.hybrid_trials import HybridTrials
from pytest_mlcontainer.mixing.looking import HybridTools, look, look_here
from pytest_mlcontainer.mixing.pairing import imported_changes, one_way_changes, pair_up
from pytest_mlcontainer.mixing.questions import HERE, Answer, ExperimentRuns, Other, Question
from pytest_mlcontainer.mixing.sides import Side, check_sides, find_side
from pytest_mlcontainer.mixing.words import listed
from pytest_mlcontainer.model import (
    HOST,
    Failure,
    Run,
)


def explain_images(runner: ExperimentRuns, question: Question) -> Answer:
    """Find the smallest sets of changes between two images that make outputs drift.

    Raises:
        MlContainerError: an image is not there, or has no Python; both are the same; their
            platforms differ; the entrypoint fails in image A.
    """
    settings, options, name = question.settings, question.options, question.entry.name
    target = run_job(settings, options, name, settings.reference).target
    tools = runner.hybrid_tools(settings, target)
    a, b = (
        Side(name, Contents("", ""), None if name == HERE else find_side(tools, name, settings))
        for name in (question.a, question.b)
    )
    check_sides(a, b)
    assert a.image is not None
    platform = a.image.platform
    settings = replace(settings, platforms=(platform,), reference=platform)
    question = replace(question, settings=settings)
    a, b = (_looked_into(tools, question, side) for side in (a, b))
    if b.image is not None:
        pair, not_exercised = pair_up(tools, settings, a, b)
        trials = HybridTrials(runner, tools, question, pair)
        return HybridSearch(trials, question, pair, not_exercised).answer()
    host = _run_here(runner, question)
    return explain_one_way(runner, tools, question, (a, b), host)


def explain_one_way(
    runner: ExperimentRuns,
    tools: HybridTools,
    question: Question,
    sides: tuple[Side, Side],
    other: Other,
) -> Answer:
    """What packages of B, which no image can be begun with, do in image A.

    Those that the project's programs import, or need for it, are tried first; all others only
    where these explain nothing.
    """
    every = one_way_changes(question.settings, *sides)
    imported = imported_changes(question.settings, sides, every)
    if imported:
        answer = _try_packages(runner, tools, question, sides, other, imported)
        if answer.outcome.causes or answer.outcome.verdict.passes:
            left = sorted({each.name for each in every} - imported)
            return without(answer, left)
    names = frozenset(each.name for each in every)
    return _try_packages(runner, tools, question, sides, other, names)


def explain_imported(
    runner: ExperimentRuns,
    tools: HybridTools,
    question: Question,
    sides: tuple[Side, Side],
    other: Other,
) -> Answer | None:
    """As `explain_one_way`, and all others never; None where none of those imported differs."""
    every = one_way_changes(question.settings, *sides)
    imported = imported_changes(question.settings, sides, every)
    if not imported:
        return None
    answer = _try_packages(runner, tools, question, sides, other, imported)
    return without(answer, sorted({each.name for each in every} - imported))


def _try_packages(
    runner: ExperimentRuns,
    tools: HybridTools,
    question: Question,
    sides: tuple[Side, Side],
    other: Other,
    names: frozenset[str],
) -> Answer:
    if names:
        tools.log(f"packages that differ: trying {listed(sorted(names))}")
    pair, not_exercised = pair_up(tools, question.settings, *sides, names)
    trials = HybridTrials(runner, tools, question, pair)
    return HybridSearch(trials, question, pair, not_exercised, other).answer()


def without(answer: Answer, names: Iterable[str]) -> Answer:
    """The answer with packages that were left out because nothing imports them."""
    explained = answer.outcome.explanation
    assert explained is not None
    left = tuple((name, "no program of the project imports it") for name in names)
    explained = replace(explained, not_exercised=(*explained.not_exercised, *left))
    return replace(answer, outcome=replace(answer.outcome, explanation=explained))


def _run_here(runner: ExperimentRuns, question: Question) -> Run | Failure:
    job = run_job(question.settings, question.options, question.entry.name, HOST)
    return worked_or_failed(lambda: runner.run(question.settings, job), RunError)


def _looked_into(tools: HybridTools, question: Question, side: Side) -> Side:
    if side.image is None:
        return replace(side, contents=look_here(tools, question.settings.root))
    alone = question.b == HERE  # nothing else of this machine can be brought into the image
    contents = look(tools, side.image, question.entry, side.name, packages_alone=alone)
    return replace(side, contents=contents)
