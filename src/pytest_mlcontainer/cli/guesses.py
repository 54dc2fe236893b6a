"""What becomes of a project's commands: entrypoints, with what they write, need and serve.

All of it is a guess, and says where from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from sys import version_info
from typing import Any

from pytest_mlcontainer.cli.declared_commands import compose_command
from pytest_mlcontainer.cli.guessed_entrypoint import (
    Guess,
    guess_of_command,
    guess_of_stage,
    is_other,
    own_command,
    starts_something,
)
from pytest_mlcontainer.cli.image_faults import (
    absent_program,
    as_meant,
    idle_program,
    lost_copy,
)
from pytest_mlcontainer.cli.image_holds import started_through
from pytest_mlcontainer.cli.pipeline_stages import find_stages
from pytest_mlcontainer.cli.program_needs import program_needs, unread_line
from pytest_mlcontainer.cli.project_commands import (
    WORDS,
    ProjectCommand,
    project_commands,
    runs_by_itself,
)
from pytest_mlcontainer.cli.served import is_server
from pytest_mlcontainer.cli.shell_scripts import follow_script, program_started
from pytest_mlcontainer.cli.unmet_needs import ImageProvisions
from pytest_mlcontainer.cli.written import (
    WRITTEN,
    files_named,
    mentions,
    printed,
)
from pytest_mlcontainer.dockerfile import DockerfileSummary, command_words


@dataclass(frozen=True)
class Guesses:
    """What is guessed of a whole project.

    Args:
        entrypoints: training first; none where nothing says how one starts.
        notes: what looked like one and is none, and why.
    """

    entrypoints: tuple[Guess, ...]
    notes: tuple[str, ...] = ()


def guess_entrypoints(
    root: Path, document: Mapping[str, Any], recipe: DockerfileSummary
) -> Guesses:
    """The entrypoints of a project.

    Args:
        document: what `pyproject.toml` holds.
    """
    notes: list[str] = []
    meant = as_meant(recipe, notes)
    gives = ImageProvisions(root, meant)
    declared = None if starts_something(meant) else compose_command(root, notes)
    starts = meant if declared is None else replace(meant, command=declared.words)
    through = started_through(starts)
    ordered = _found(root, document, starts, gives, notes)
    if declared is not None:
        ordered = [each if is_other(each) else each.said_by(declared) for each in ordered]
    if through:
        ordered = [each if is_other(each) else each.through(through, starts) for each in ordered]
    absent = absent_program(gives) or idle_program(gives)
    if absent:
        ordered = [e if is_other(e) else replace(e, lacks=absent) for e in ordered]
    if meant != recipe:
        ordered = [each.in_words(meant, recipe) for each in ordered]
    lost = lost_copy(gives)
    if lost:
        ordered = [replace(each, lacks=lost) for each in ordered]
    return Guesses(tuple(ordered), tuple(notes))


def _found(
    root: Path,
    document: Mapping[str, Any],
    starts: DockerfileSummary,
    gives: ImageProvisions,
    notes: list[str],
) -> list[Guess]:
    """The entrypoints in their order, where the image starts what its Dockerfile says."""
    recipe, code = follow_script(starts, gives)
    commands: dict[str, ProjectCommand] = {}
    for each in project_commands(root, document, recipe, notes):
        itself = code and each.kind != "serve" and runs_by_itself(each.argv, recipe)
        commands.setdefault(each.kind, replace(each, code=code) if itself else each)
    notes += _unread(commands.values(), recipe, gives)
    pipeline, refused = find_stages(root, recipe, gives, notes)
    stages = [guess_of_stage(stage, recipe) for stage in pipeline]
    own = own_command(root, recipe, gives, notes, code)
    if own is not None and recipe != starts:
        words = command_words((*starts.entrypoint, *starts.command))
        own = replace(own, source=f"the image's own command: {' '.join(words)}")
    found = {
        kind: guess_of_command(root, each, recipe, gives, code)
        for kind, each in commands.items()
        if not refused & set(each.argv) and not (each.elsewhere and _is_batch(own, each, recipe))
    }
    found = _with_own(found, own, recipe, gives)
    ordered = [found[name] for name in (*WORDS, "run") if name in found]
    ordered = _in_order(ordered, {kind: each.code for kind, each in commands.items()})
    if not stages:
        return ordered
    known = {stage.name for stage in stages}
    served = (each for each in ordered if each.port is not None and each.name not in known)
    needs = ("train",) if "train" in known else ()
    return [*stages, *(replace(each, needs=needs) for each in served)]


def _unread(
    commands: Iterable[ProjectCommand], recipe: DockerfileSummary, gives: ImageProvisions
) -> Iterator[str]:
    """What is said of programs that are written for another Python than the one that reads them."""
    own = command_words((*recipe.entrypoint, *recipe.command))
    codes = {_script(each.argv): each.code for each in commands}
    codes.setdefault(_script(own), program_started(own, gives)[0])
    here = f"Python {version_info.major}.{version_info.minor}"
    for script, code in codes.items():
        where = unread_line(code)
        if where:
            yield f"{script} is not understood by {here}, which reads it here ({where}), so what " \
                  "it needs and writes is not known"  # fmt: skip


def _script(words: Sequence[str]) -> str:
    return next((each for each in words if each.endswith((".py", ".ipynb"))), " ".join(words))


def _is_batch(own: Guess | None, other: ProjectCommand, recipe: DockerfileSummary) -> bool:
    """Whether the image runs a program by itself that ends, and is not this one."""
    return own is not None and own.port is None and not runs_by_itself(other.argv, recipe)


def _with_own(
    found: dict[str, Guess], own: Guess | None, recipe: DockerfileSummary, gives: ImageProvisions
) -> dict[str, Guess]:
    """The project's commands beside what the image runs by itself."""
    if own is None:
        return found
    if own.port is not None and is_server(recipe):
        # The image's own is the server, and a module that it loads is no program that ends.
        found = {k: each for k, each in found.items() if is_other(each) is (k != "serve")}
    if not found or (own.port is not None and "serve" not in found):
        return {**found, own.name: found.get(own.name, own)}
    known, _given = program_started(command_words((*recipe.entrypoint, *recipe.command)), gives)
    if known and own.name not in found and all(map(is_other, found.values())):
        return {**found, own.name: own}  # a program of the project, and not one that may wait
    same = found.get(own.name)
    if own.port is None and same is not None and is_other(same):
        return {**found, own.name: own}  # the image's own words are known to be meant
    return found


def _in_order(guesses: Sequence[Guess], codes: Mapping[str, str]) -> list[Guess]:
    """What can start, and what cannot, where training comes first and hands on what it writes."""
    train = next((each.after(()) for each in guesses if each.name == "train"), None)
    if train is None or train.lacks or not train.outputs:
        return [each.after(()) for each in guesses]
    rest = (each.after(train.outputs) for each in guesses if each.name != "train")
    trained = codes.get("train", "")
    return [train, *(_after(train, each, trained, codes.get(each.name, "")) for each in rest)]


def _after(train: Guess, guess: Guess, trained: str, code: str) -> Guess:
    """One that gets what training writes, and so must not declare that as its own outputs."""
    guess = replace(guess, needs=("train",))
    if guess.port is not None or set(guess.outputs) - set(train.outputs):
        return guess
    theirs = {pattern.partition("/")[0] for pattern in train.outputs}
    own = [folder for folder in WRITTEN if folder not in theirs and mentions(code, folder)]
    if own:
        return replace(guess, outputs=(f"{own[0]}/*",), output_source=f"the code names {own[0]}")
    known = set(files_named(trained, theirs))
    files = tuple(file for file in files_named(code, theirs) if file not in known)
    if files:
        told = f"the code names {files[0]}, and training's does not"
        return replace(guess, outputs=files, output_source=told)
    told = f"nothing says that it writes files of its own beside training's {train.outputs[0]}"
    return replace(guess, outputs=printed(program_needs(code)) or ("stdout",), output_source=told)
