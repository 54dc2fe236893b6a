"""What becomes of a project's commands: entrypoints, with what they write, need and serve.

All of it is a guess, and says where from.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pytest_mlcontainer.cli.declared_commands import DVC, DeclaredCommand, compose_command
from pytest_mlcontainer.cli.image_holds import started_through
from pytest_mlcontainer.cli.pipeline_stages import PipelineStage, find_stages
from pytest_mlcontainer.cli.program_needs import program_needs
from pytest_mlcontainer.cli.project_commands import (
    WORDS,
    ProjectCommand,
    file_name,
    file_stem,
    kind_of,
    project_commands,
    runs_by_itself,
)
from pytest_mlcontainer.cli.scripts import asked_for, starts_server
from pytest_mlcontainer.cli.served import GuessedServer, is_server, server_of, serves
from pytest_mlcontainer.cli.shell_scripts import follow_script, program_started
from pytest_mlcontainer.cli.source_files import code_of
from pytest_mlcontainer.cli.unmet_needs import ImageProvisions, Unmet
from pytest_mlcontainer.cli.written import (
    PREDICTED,
    WRITTEN,
    files_named,
    mentions,
    outputs_of,
    printed,
)
from pytest_mlcontainer.dockerfile import DockerfileSummary, command_words
from pytest_mlcontainer.globs import covers

_ASKED_FOR_HELP = ("--help", "-h", "help", "--version", "-V")
_WRAPPERS = ("tini", "dumb-init", "docker-init")
_WAITS = re.compile(r"(?:python|pypy|ipython|node|julia|R|(?:ba|da|z|c)?sh)[\d.]*")


@dataclass(frozen=True)
class Guess:
    """One entrypoint.

    Args:
        command: None leaves the image's own CMD.
        entrypoint: replaces the image's; None keeps it.
        port: set for a server.
        source: where the guess comes from, for a comment.
        outputs: () where nothing tells what it writes.
        output_source: where they come from.
        env: variables that the command asks for and the image does not give.
        unmet: what it needs and the image does not give.
        lacks: why it would not start; "" where nothing says that it does not.
    """

    name: str
    source: str
    command: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    outputs: tuple[str, ...] = ()
    output_source: str = ""
    needs: tuple[str, ...] = ()
    port: int | None = None
    health: str = "/"
    env: tuple[tuple[str, str], ...] = ()
    unmet: Unmet = Unmet()
    lacks: str = ""

    def said_by(self, declared: DeclaredCommand) -> Guess:
        """The same where the image does not start it, but another tool's file does."""
        return replace(self, command=declared.words, source=declared.source)

    def through(self, words: tuple[str, ...], recipe: DockerfileSummary) -> Guess:
        """The same where these words start what the image starts by itself without its packages."""
        return replace(self, command=words, entrypoint=() if recipe.entrypoint else None)

    def after(self, made: Sequence[str]) -> Guess:
        """The same where other entrypoints have made these files, as globs."""
        files = [f for f in self.unmet.files if not any(covers(glob, f) for glob in made)]
        why = self.unmet.why_not(files, serves=self.port is not None)
        return replace(self, lacks=self.lacks or why)


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
    gives = ImageProvisions(root, recipe)
    declared = None if _starts(recipe) else compose_command(root, notes)
    if declared is not None:
        recipe = replace(recipe, command=declared.words)
    through = started_through(recipe)
    recipe, code = follow_script(recipe, gives)
    commands: dict[str, ProjectCommand] = {}
    for each in project_commands(root, document, recipe, notes):
        itself = code and each.kind != "serve" and runs_by_itself(each.argv, recipe)
        commands.setdefault(each.kind, replace(each, code=code) if itself else each)
    pipeline, refused = find_stages(root, recipe, gives, notes)
    stages = [_guess_of(stage, recipe) for stage in pipeline]
    own = _own_command(root, recipe, gives, notes, code)
    found = {
        kind: _guess(root, each, recipe, gives, code)
        for kind, each in commands.items()
        if not refused & set(each.argv) and not (each.elsewhere and _is_batch(own, each, recipe))
    }
    found = _with_own(found, own, recipe)
    ordered = [found[name] for name in (*WORDS, "run") if name in found]
    ordered = _in_order(ordered, {kind: each.code for kind, each in commands.items()})
    if stages:
        known = {stage.name for stage in stages}
        served = (each for each in ordered if each.port is not None and each.name not in known)
        needs = ("train",) if "train" in known else ()
        ordered = [*stages, *(replace(each, needs=needs) for each in served)]
    if declared is not None:
        ordered = [each if _is_other(each) else each.said_by(declared) for each in ordered]
    if through:
        ordered = [each if _is_other(each) else each.through(through, recipe) for each in ordered]
    absent = gives.absent_program()
    if absent:
        ordered = [e if _is_other(e) else replace(e, lacks=absent) for e in ordered]
    lost = gives.lost_copy()
    if lost:
        ordered = [replace(each, lacks=lost) for each in ordered]
    return Guesses(tuple(ordered), tuple(notes))


def _is_batch(own: Guess | None, other: ProjectCommand, recipe: DockerfileSummary) -> bool:
    """Whether the image runs a program by itself that ends, and is not this one."""
    return own is not None and own.port is None and not runs_by_itself(other.argv, recipe)


def _with_own(
    found: dict[str, Guess], own: Guess | None, recipe: DockerfileSummary
) -> dict[str, Guess]:
    """The project's commands beside what the image runs by itself."""
    if own is None:
        return found
    if own.port is not None and is_server(recipe):
        # The image's own is the server, and a module that it loads is no program that ends.
        found = {k: each for k, each in found.items() if _is_other(each) is (k != "serve")}
    if not found or (own.port is not None and "serve" not in found):
        return {**found, own.name: found.get(own.name, own)}
    same = found.get(own.name)
    if own.port is None and same is not None and _is_other(same):
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


def _guess_of(stage: PipelineStage, recipe: DockerfileSummary) -> Guess:
    entrypoint, command = _beside(stage.argv, recipe)
    outputs = stage.writes or ("stdout",)
    told = f"declared in {DVC}" if stage.writes else f"{DVC} declares none"
    return Guess(stage.name, stage.source, command, entrypoint, outputs, told, stage.needs)


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


def _guess(
    root: Path,
    found: ProjectCommand,
    recipe: DockerfileSummary,
    gives: ImageProvisions,
    scripted: str,
) -> Guess:
    """One of the project's commands.

    Args:
        scripted: the source of all that the image's own shell script starts; "" for none.
    """
    name, source = found.kind, found.source
    entrypoint, command = _beside(found.argv, recipe)
    itself = command is None and entrypoint is None
    started = (scripted if itself else "") or found.code
    unmet = gives.unmet(started, found.argv, serves=name == "serve")
    if name == "serve":
        words = command_words((*recipe.entrypoint, *recipe.command)) if itself else found.argv
        guess = _serving(source, server_of(root, words, found.code, recipe))
        return replace(guess, command=command, entrypoint=entrypoint, unmet=unmet)
    folders = WRITTEN if name != "infer" else PREDICTED
    outputs, told = outputs_of(found.code, folders, gives, found.argv)
    return Guess(name, source, command, entrypoint, outputs, told, unmet=unmet)


def _serving(source: str, server: GuessedServer) -> Guess:
    return Guess(
        "serve",
        source,
        port=server.port,
        health=server.health,
        env=server.env,
        lacks=server.lacks,
    )


def _beside(
    argv: tuple[str, ...], recipe: DockerfileSummary
) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    """`entrypoint` and `command` that make an image with its own ENTRYPOINT run `argv`."""
    own = recipe.entrypoint
    if runs_by_itself(argv, recipe):
        return None, None
    if not own or Path(own[0]).name in _WRAPPERS or own[0].endswith(".sh"):
        return None, None if argv == recipe.command else argv
    if argv[: len(own)] == own:
        rest = argv[len(own) :]
        return None, None if rest == recipe.command else rest
    return (), argv


def _is_other(guess: Guess) -> bool:
    """Whether it runs something else than what the image runs by itself."""
    return guess.command is not None or guess.entrypoint is not None


def _starts(recipe: DockerfileSummary) -> bool:
    """Whether the image starts more than a shell or an interpreter that is told nothing."""
    words = command_words((*recipe.entrypoint, *recipe.command))
    return not all(_WAITS.fullmatch(file_name(word)) for word in words)


def _own_command(
    root: Path, recipe: DockerfileSummary, gives: ImageProvisions, notes: list[str], scripted: str
) -> Guess | None:
    """What the image runs by itself; None where its Dockerfile does not say, and for a shell or
    an interpreter that is told nothing."""
    words = command_words((*recipe.entrypoint, *recipe.command))
    if not _starts(recipe):
        return None
    if words[0].startswith("["):
        notes.append(f"{' '.join(words)} is no JSON, so Docker hands it to a shell as it is")
        return None
    if file_name(words[0]) == "dvc" and (root / DVC).is_file():
        return None  # its stages are entrypoints themselves, or a note says why not
    module, _dot, function = words[0].rpartition(".")
    if not recipe.entrypoint and re.search(
        rf"\bdef {re.escape(function)}\(", code_of(root, module)
    ):
        notes.append(f"{words[0]} is a function, which the base image's own program calls")
        return None
    source = f"the image's own command: {' '.join(words)}"
    if set(words) & set(_ASKED_FOR_HELP):
        server = " and `port` where it is a server" if recipe.ports else ""
        notes.append(f"{' '.join(words)} only helps: a run needs `command`{server}")
        return None
    code, rest = program_started(words, gives)
    waits = bool(recipe.ports) and (not code or serves(code))
    waits = waits or is_server(recipe) or starts_server(code)
    unmet = gives.unmet(scripted or code, words, serves=waits)
    if waits:
        return replace(_serving(source, server_of(root, words, code, recipe)), unmet=unmet)
    asked = asked_for(code, rest)
    if asked:
        if not any(note.endswith(f" {asked}") for note in notes):
            notes.append(f"{' '.join(words)} cannot be started without {asked}")
        return None
    name = next((kind for kind in map(kind_of, map(file_stem, words)) if kind), "run")
    outputs, told = outputs_of(scripted or code, WRITTEN, gives, words)
    name = name if name != "serve" else "run"
    return Guess(name, source, outputs=outputs, output_source=told, unmet=unmet)
