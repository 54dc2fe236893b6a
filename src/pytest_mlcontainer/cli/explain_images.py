"""`mlcontainer explain --image A --image B`: what between two images makes outputs drift."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from platform import machine

from pytest_mlcontainer.cli.progress import following
from pytest_mlcontainer.cli.reporting import write
from pytest_mlcontainer.cli.setup import pipeline_setup
from pytest_mlcontainer.config import load, parse_engine, parse_settings
from pytest_mlcontainer.errors import MlContainerError
from pytest_mlcontainer.hooks import load_comparators, load_engines, schemes_of
from pytest_mlcontainer.mixing.across_images import explain_images as explain
from pytest_mlcontainer.mixing.questions import HERE, Answer, Question
from pytest_mlcontainer.model import (
    HOST,
    PRINTED,
    Entrypoint,
    Options,
    Outcome,
    Platform,
    Settings,
    architecture_of,
)
from pytest_mlcontainer.pipeline import Pipeline
from pytest_mlcontainer.report import Result
from pytest_mlcontainer.report.escape import escape
from pytest_mlcontainer.report.terminal import failure_lines

LEAST_BUDGET = 3  # a control, the control again, and everything changed
BUDGET = 60
_COMMAND = "command"
_WIDTH = 400


@dataclass(frozen=True)
class ImageArgs:
    """The command's arguments.

    Args:
        images: image A, then image B; the second may be `host`.
        entrypoint: one of the configuration's; may be left out where there is one that writes.
        config: the `pyproject.toml` that has it; the one in the working directory otherwise.
        command: run instead of an entrypoint; `outputs` are the globs of what it writes. Without
            any, what it prints is compared.
        report: folder for report.json and its like.
        budget: how many runs may be made to find causes.
        engine: URL or context name.
        verbose: whether each step is shown.
    """

    images: tuple[str, ...]
    entrypoint: str | None = None
    config: Path | None = None
    command: str | None = None
    outputs: tuple[str, ...] = ()
    report: Path | None = None
    budget: int = BUDGET
    engine: str | None = None
    verbose: bool = False


def explain_images(asked: ImageArgs) -> int:
    """Print what makes image B's outputs drift from image A's.

    Returns:
        0 where they agree; 1 where they drift, where one fails, and where runs of one and the same
        image disagree.

    Raises:
        MlContainerError: an argument makes no sense, an image is not there or cannot be looked
            into, or the entrypoint fails in image A: the command ends with 2.
    """
    started = time.monotonic()
    question = _question(asked)
    with following(os.environ, verbose=asked.verbose) as tell:
        pipeline = Pipeline(pipeline_setup(os.environ, tell), question.options)
        try:
            answer = pipeline.hidden.clean(explain(pipeline.experiments, question))
        finally:
            pipeline.close()
            pipeline.clean_up(last=True)
    _print(answer)
    if asked.report is not None:
        write(asked.report, [Result.of_outcome(answer.outcome)], time.monotonic() - started)
    return 0 if answer.outcome.verdict.passes and not answer.outcome.causes else 1


def _question(asked: ImageArgs) -> Question:
    _check(asked)
    settings, entry = _chosen(asked)
    schemes = schemes_of(load_engines)
    engines = () if asked.engine is None else ((None, parse_engine(asked.engine, schemes)),)
    own = Platform("linux", architecture_of(machine()))
    platform = next((each for each in settings.platforms if each != HOST), own)
    return Question(
        settings=replace(settings, reference=platform),
        options=Options(image=asked.images[0], engines=engines),
        entry=entry,
        b=asked.images[1],
        comparators=load_comparators(),
        budget=asked.budget,
    )


def _check(asked: ImageArgs) -> None:
    if len(asked.images) != 2:
        raise MlContainerError(
            "two images are held against each other",
            f"{len(asked.images)} given: {', '.join(asked.images) or 'none'}",
            "write --image A --image B; B may be `host`, this machine's Python",
        )
    first, second = asked.images
    if first == HERE:
        raise MlContainerError(
            "image A cannot be this machine",
            " ".join(f"--image {name}" for name in asked.images),
            f"name the image first: --image {second} --image {HERE}",
        )
    if first == second:
        raise MlContainerError(
            "both are the same image", first, "name two images that differ, each by its own tag"
        )
    if asked.budget < LEAST_BUDGET:
        raise MlContainerError(
            "the budget is too small to learn anything",
            f"{asked.budget} runs",
            f"allow for {LEAST_BUDGET} at least (A twice, and B); {BUDGET} is the default",
        )
    if asked.command is not None and asked.entrypoint is not None:
        raise MlContainerError(
            "both a command and an entrypoint are given", asked.entrypoint, "leave out one of them"
        )
    if asked.outputs and asked.command is None:
        raise MlContainerError(
            "outputs are given without a command",
            ", ".join(asked.outputs),
            'add --command "…", or leave them out: an entrypoint declares its own',
        )


def _chosen(asked: ImageArgs) -> tuple[Settings, Entrypoint]:
    """The settings, and the entrypoint that is to be run."""
    file = asked.config or Path("pyproject.toml")
    file = file / "pyproject.toml" if file.is_dir() else file
    there = asked.config is not None or file.is_file()
    found = load(file, machine(), schemes_of(load_engines)) if there else None
    if asked.command is not None:
        return _with_command(asked, found, file)
    if found is None:
        raise MlContainerError(
            "no entrypoint to run: there is no [tool.mlcontainer] table",
            str(file.absolute()),
            'name the project with --config FILE, or give --command "python train.py"',
        )
    return found, _entrypoint(found, asked.entrypoint)


def _with_command(
    asked: ImageArgs, found: Settings | None, file: Path
) -> tuple[Settings, Entrypoint]:
    """The project's settings, where there are any, with an entrypoint for the command."""
    assert asked.command is not None
    try:
        words = shlex.split(asked.command)
    except ValueError as error:
        raise MlContainerError(
            "the command cannot be read", f"{asked.command}: {error}", "close its quotes"
        ) from error
    outputs = list(asked.outputs) or ["stdout"]
    table = {"entrypoints": {_COMMAND: {"command": words, "outputs": outputs}}}
    own = parse_settings(table, file, machine(), "")
    entry = own.entrypoints[0]
    if found is None:
        return own, entry
    return replace(found, entrypoints=(*found.entrypoints, entry)), entry


def _entrypoint(settings: Settings, name: str | None) -> Entrypoint:
    comparable = [each for each in settings.entrypoints if _writes(each)]
    names = ", ".join(each.name for each in comparable) or "none"
    if name is not None:
        entry = settings.entrypoint(name)
        if entry is None or entry not in comparable:
            why = "has this name" if entry is None else "of this name writes what can be compared"
            raise MlContainerError(
                f"no entrypoint {why}", name, f"--entrypoint takes one of: {names}"
            )
        return entry
    if len(comparable) != 1:
        what = "several entrypoints" if comparable else "no entrypoint"
        raise MlContainerError(
            f"{what} of {settings.file.name} could be meant",
            names,
            "say which with --entrypoint NAME"
            if comparable
            else "declare the outputs of one in [tool.mlcontainer.entrypoints]",
        )
    return comparable[0]


def _writes(entry: Entrypoint) -> bool:
    printed = any(rule.output in PRINTED for rule in entry.rules)
    return entry.server is None and (bool(entry.outputs) or printed)


def _print(answer: Answer) -> None:
    lines = [escape(line, _WIDTH) for line in answer.headlines]
    outcome = answer.outcome
    if outcome.differences and not outcome.verdict.passes:
        lines += ["", *failure_lines(outcome, "", 1)]
    else:
        lines += ["", *(f"  {escape(text, _WIDTH)}" for text in _details(outcome))]
    print("\n".join(lines))


def _details(outcome: Outcome) -> Iterator[str]:
    """What else is known, where there are no numbers to show."""
    explained = outcome.explanation
    assert explained is not None
    yield from outcome.notes
    if explained.tried:
        yield f"differing: {', '.join(explained.tried)}"
    yield from (f"not tried: {name}: {why}" for name, why in explained.not_exercised)
    yield from (f"not known: {text}" for text in explained.open)
    yield "1 run" if explained.runs == 1 else f"{explained.runs} runs"
