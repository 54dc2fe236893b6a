"""Commands that a project has for training, inferring and serving, by its files and Dockerfile."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any

from pytest_mlcontainer.cli.declared_commands import other_commands
from pytest_mlcontainer.cli.image_holds import (
    installs_project,
    interpreter,
    place_in_image,
    runner,
    shown_from,
)
from pytest_mlcontainer.cli.scripts import (
    asked_for,
    does_something,
    module_name,
    serving_command,
    starts_server,
)
from pytest_mlcontainer.cli.source_files import (
    code_of,
    read_program,
    read_source,
    script_files,
    scripts_elsewhere,
)
from pytest_mlcontainer.dockerfile import DockerfileSummary, command_words

WORDS: Mapping[str, tuple[str, ...]] = {
    "train": ("train", "training", "fit"),
    "infer": ("infer", "inference", "predict", "prediction", "score"),
    "serve": ("serve", "server", "serving", "api", "app"),
}
PORT = 8000
_MOST_BEFORE = 7  # words in front of a script, and its own: `jupyter nbconvert --to notebook …`
_USUAL_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


@dataclass(frozen=True)
class ProjectCommand:
    """A command that the image holds, and that starts without more.

    Args:
        kind: what it does: a key of `WORDS`.
        source: where that is known from.
        code: its source code; "" where there is none to read.
        elsewhere: in a folder that seldom has programs.
    """

    kind: str
    argv: tuple[str, ...]
    source: str
    code: str
    elsewhere: bool = False


def project_commands(
    root: Path, document: Mapping[str, Any], recipe: DockerfileSummary, notes: list[str]
) -> Iterator[ProjectCommand]:
    """Everything that looks like an entrypoint; of a kind the likeliest first.

    Args:
        document: what `pyproject.toml` holds.
        notes: to which it adds what looks like one and does not start without more.
    """
    yield from _commands_declared(root, recipe, notes)
    yield from _commands_of_scripts(root, document, recipe)
    yield from _commands_of_files(root, script_files(root), recipe, notes)
    yield from _programs_on_path(root, recipe)
    elsewhere = _commands_of_files(root, scripts_elsewhere(root), recipe, [])
    yield from (replace(each, elsewhere=True) for each in elsewhere if each.kind != "serve")


def _commands_of_scripts(
    root: Path, document: Mapping[str, Any], recipe: DockerfileSummary
) -> Iterator[ProjectCommand]:
    """Console scripts, where the image installs the project or starts them."""
    project = document.get("project")
    scripts = project.get("scripts") if isinstance(project, Mapping) else None
    if isinstance(scripts, Mapping):
        started = command_words((*recipe.entrypoint, *recipe.command))
        installed = installs_project(recipe)
        for script, target in scripts.items():
            if installed or script in map(file_name, started):
                yield from _console_commands(root, script, str(target), runner(recipe))


def _commands_declared(
    root: Path, recipe: DockerfileSummary, notes: list[str]
) -> Iterator[ProjectCommand]:
    """What MLflow's or Make's file starts, called as what it does."""
    for each in other_commands(root, notes):
        started = start_in_image(root, each.words, recipe)
        if started is not None:
            script, argv, code = started
            kind = kind_of(each.name) or kind_of(script.stem)
            if kind in ("train", "infer"):
                yield ProjectCommand(kind, argv, each.source, code)


def start_in_image(
    root: Path, words: tuple[str, ...], recipe: DockerfileSummary
) -> tuple[Path, tuple[str, ...], str] | None:
    """The script that a command line of the project starts, how the image starts it, and its code;
    None where the image does not hold it, or it is none of the project's."""
    if not ("/" in words[0] or _starts_scripts(root, words[0], recipe)):
        return None
    for at, word in enumerate(words[:_MOST_BEFORE]):
        module = at > 0 and words[at - 1] == "-m"
        file = root / (word.replace(".", "/") + ".py" if module else word)
        if not file.is_file():
            continue
        place = place_in_image(root, file, recipe)
        shown = None if place is None else shown_from(recipe.workdir, place)
        if shown is None or (module and shown != file.relative_to(root).as_posix()):
            return None
        code = read_program(file)
        argv = list(words)
        argv[at] = word if module else f"./{shown}" if at == 0 and "/" not in shown else shown
        if re.fullmatch(r"python[\d.]*", words[0]):
            argv = [*runner(recipe), interpreter(recipe), *argv[1:]]
        return file, tuple(argv), code
    return None


def _starts_scripts(root: Path, program: str, recipe: DockerfileSummary) -> bool:
    """Whether a program starts the script that it is given, and the image has it."""
    if re.fullmatch(r"python[\d.]*|(?:ba)?sh", program):
        return True
    named = (*recipe.runs, *(read_source(each) for each in root.glob("requirements*.txt")))
    texts = (*named, read_source(root / "pyproject.toml"), read_source(root / "environment.yml"))
    package = {"papermill": "papermill", "jupyter": r"jupyter|nbconvert"}.get(program)
    return package is not None and any(re.search(rf"\b(?:{package})\b", text) for text in texts)


def _commands_of_files(
    root: Path, files: Iterable[Path], recipe: DockerfileSummary, notes: list[str]
) -> Iterator[ProjectCommand]:
    """Files that are called as what they do."""
    for file in files:
        kind, place = kind_of(file.stem), place_in_image(root, file, recipe)
        if kind is None or place is None:
            continue
        shown = file.relative_to(root).as_posix()
        code = read_source(file)
        if kind == "infer" and starts_server(code):
            kind = "serve"
        if file.suffix != ".py":
            if os.access(file, os.X_OK):
                yield ProjectCommand(kind, (str(place),), f"the script {shown}", code)
            continue
        from_there = shown_from(recipe.workdir, place)
        argv = _program(kind, from_there, code, recipe)
        own = command_words((*recipe.entrypoint, *recipe.command))
        itself = runs_by_itself(("python", from_there), recipe)
        asked = asked_for(code, own if itself else ())
        if asked:
            notes.append(f"{shown} cannot be started without {asked}")
        elif argv:
            yield ProjectCommand(kind, (*runner(recipe), *argv), shown, code)


def _program(kind: str, shown: str, code: str, recipe: DockerfileSummary) -> tuple[str, ...]:
    """What starts a Python file; () for a module that only defines."""
    python = interpreter(recipe)
    if runs_by_itself((python, shown), recipe):
        return (python, shown)
    if kind == "serve":
        return serving_command(python, shown, code, recipe.ports[0] if recipe.ports else PORT)
    if not does_something(code):
        return ()
    module = module_name(shown, code)
    return (python, "-m", module) if module else (python, shown)


def _console_commands(
    root: Path, script: str, target: str, through: tuple[str, ...]
) -> Iterator[ProjectCommand]:
    """A console script that does one of the things, or that has subcommands for them."""
    code = code_of(root, target)
    kind = kind_of(script)
    if kind is not None:
        yield ProjectCommand(kind, (*through, script), f"[project.scripts] {script}", code)
        return
    for kind, words in WORDS.items():
        for word in words[:3]:
            if re.search(rf"""(["']){word}\1|def {word}\(""", code):
                told = f"[project.scripts] {script}, which says {word}"
                yield ProjectCommand(kind, (*through, script, word), told, code)


def _programs_on_path(root: Path, recipe: DockerfileSummary) -> Iterator[ProjectCommand]:
    """The same for files that the Dockerfile copies into a folder that is on PATH."""
    folders = {*recipe.path, *_USUAL_PATH}
    for source, place in recipe.placed:
        copied = root / source
        inside = sorted(copied.glob("*")) if copied.is_dir() else [copied]
        for file in inside:
            into = copied.is_dir() or place.endswith("/")
            end = PurePosixPath(place, file.name) if into else PurePosixPath(place)
            kind = kind_of(end.stem)
            if kind is None or str(end.parent) not in folders or not file.is_file():
                continue
            code = read_source(file)
            if re.match(r"#!\s*\S", code):
                shown = file.relative_to(root).as_posix()
                # Without its bit, which COPY keeps, it has to be handed to its interpreter.
                interpreter = PurePosixPath(code.splitlines()[0][2:].split()[-1]).name
                argv = (end.name,) if os.access(file, os.X_OK) else (interpreter, str(end))
                yield ProjectCommand(kind, argv, f"{shown}, which the image has on its PATH", code)


def runs_by_itself(argv: tuple[str, ...], recipe: DockerfileSummary) -> bool:
    """Whether the image's own command starts this script, in whatever words."""
    if not argv[-1].endswith(".py"):
        return False
    words = command_words((*recipe.entrypoint, *recipe.command))
    started = {file_name(word) for word in words if word.endswith(".py")}
    named = (word for before, word in pairwise(words) if ":" in word or before == "-m")
    modules = {word.partition(":")[0].rpartition(".")[2] for word in named}
    return file_name(argv[-1]) in started or file_stem(argv[-1]) in modules


def kind_of(name: str) -> str | None:
    """`bikes-train` and `train_model` are `train`; `trainer` says nothing."""
    parts = re.split(r"[^a-z]+", name.lower())
    return next((kind for kind, words in WORDS.items() if set(parts) & set(words)), None)


def file_stem(word: str) -> str:
    """Of a word of a command, the file's name without its suffix."""
    return Path(word).stem


def file_name(word: str) -> str:
    """Of a word of a command, without folders."""
    return Path(word).name
