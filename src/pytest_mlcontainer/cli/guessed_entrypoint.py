"""One entrypoint that is guessed: of a command of the project, of a stage, or of the image."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_mlcontainer.cli.declared_commands import DVC, DeclaredCommand
from pytest_mlcontainer.cli.pipeline_stages import PipelineStage
from pytest_mlcontainer.cli.project_commands import (
    ProjectCommand,
    file_name,
    file_stem,
    kind_of,
    runs_by_itself,
)
from pytest_mlcontainer.cli.scripts import asked_for, starts_server
from pytest_mlcontainer.cli.served import GuessedServer, is_server, server_of, serves
from pytest_mlcontainer.cli.shell_scripts import program_started
from pytest_mlcontainer.cli.source_files import code_of
from pytest_mlcontainer.cli.unmet_needs import ImageProvisions, Unmet
from pytest_mlcontainer.cli.written import PREDICTED, WRITTEN, outputs_of
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

    def in_words(self, meant: DockerfileSummary, recipe: DockerfileSummary) -> Guess:
        """The same where the Dockerfile says wrongly what the image is meant to start.

        Args:
            meant: what it means.
            recipe: what it says.
        """
        command = self.command if is_other(self) else meant.command
        keeps = meant.entrypoint == recipe.entrypoint
        return replace(self, command=command, entrypoint=self.entrypoint if keeps else ())

    def after(self, made: Sequence[str]) -> Guess:
        """The same where other entrypoints have made these files, as globs."""
        files = [f for f in self.unmet.files if not any(covers(glob, f) for glob in made)]
        why = self.unmet.why_not(files, serves=self.port is not None)
        return replace(self, lacks=self.lacks or why)


def guess_of_stage(stage: PipelineStage, recipe: DockerfileSummary) -> Guess:
    entrypoint, command = _beside(stage.argv, recipe)
    outputs = stage.writes or ("stdout",)
    told = f"declared in {DVC}" if stage.writes else f"{DVC} declares none"
    return Guess(stage.name, stage.source, command, entrypoint, outputs, told, stage.needs)


def guess_of_command(
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


def is_other(guess: Guess) -> bool:
    """Whether it runs something else than what the image runs by itself."""
    return guess.command is not None or guess.entrypoint is not None


def starts_something(recipe: DockerfileSummary) -> bool:
    """Whether the image starts more than a shell or an interpreter that is told nothing."""
    words = command_words((*recipe.entrypoint, *recipe.command))
    return not all(_WAITS.fullmatch(file_name(word)) for word in words)


def own_command(
    root: Path, recipe: DockerfileSummary, gives: ImageProvisions, notes: list[str], scripted: str
) -> Guess | None:
    """What the image runs by itself; None where its Dockerfile does not say, and for a shell or
    an interpreter that is told nothing."""
    words = command_words((*recipe.entrypoint, *recipe.command))
    if not starts_something(recipe):
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
