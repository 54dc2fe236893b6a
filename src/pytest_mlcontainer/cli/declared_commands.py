"""Commands that other tools' files declare: DVC's stages, MLflow's and Compose's, Make's targets.

Formats: https://dvc.org/doc/user-guide/project-structure/dvcyaml-files and
https://mlflow.org/docs/latest/ml/projects/. Of a Makefile those targets are taken that are one
plain command. What needs a shell, or a value that nothing gives, is left alone.
"""

from __future__ import annotations

import importlib
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pytest_mlcontainer.cli.source_files import read_source

DVC, MLFLOW, MAKE = "dvc.yaml", "MLproject", "Makefile"
COMPOSE: Final = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
_SHELL: Final = re.compile(r"[|&;<>$`*?()\[\]#~]|^\s*\w+=")
_RUNNERS: Final = re.compile(r"(?:uv|poetry|pipenv|pdm|pixi) run(?: --[\w-]+)* ")
_TARGET: Final = re.compile(r"^([A-Za-z][\w.-]*)[ \t]*:(?![=:])[ \t]*([^\n#]*)")
_VARIABLE: Final = re.compile(r"^([A-Za-z_]\w*)[ \t]*[:?]?=[ \t]*([^\n#]*?)[ \t]*(?:#.*)?$")
_USED: Final = re.compile(r"\$[({](\w+)[)}]")
_SETS_UP: Final = frozenset({"install", "setup", "env", "venv", "requirements", "deps", "init"})
_PARAMETER: Final = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class DeclaredCommand:
    """A command line without a shell.

    Args:
        name: of the stage, the entry point or the target.
        source: the file and the name, for a comment.
        depends: files and folders that it reads, where they are declared.
        writes: what it writes, as globs.
    """

    name: str
    words: tuple[str, ...]
    source: str
    depends: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()


def dvc_stages(root: Path, notes: list[str]) -> tuple[DeclaredCommand, ...]:
    """The stages of `dvc.yaml`, in its order; () where one of them is no plain command.

    Args:
        notes: to which it adds why none is taken.
    """
    document = _yaml(root / DVC, notes)
    stages = document.get("stages")
    found: list[DeclaredCommand] = []
    for name, stage in stages.items() if isinstance(stages, Mapping) else ():
        words = _words_of_stage(stage)
        if not words:
            notes.append(f"stage {name} of {DVC} is no single plain command, so none of it is here")
            return ()
        depends = (*_paths(stage.get("deps")), *_parameter_files(stage.get("params")))
        writes = [path for key in ("outs", "metrics", "plots") for path in _paths(stage.get(key))]
        globs = dict.fromkeys(path if Path(path).suffix else f"{path}/**" for path in writes)
        found.append(
            DeclaredCommand(str(name), words, f"stage {name} of {DVC}", depends, (*globs,))
        )
    return tuple(found)


def scripts_named(root: Path) -> frozenset[str]:
    """Python files that `dvc.yaml` names, where it cannot be read as what it is."""
    return frozenset(re.findall(r"[\w./-]+\.py\b", read_source(root / DVC)))


def other_commands(root: Path, notes: list[str]) -> Iterator[DeclaredCommand]:
    """MLflow's entry points, then Make's targets."""
    yield from _of_mlflow(root, notes)
    yield from _of_make(read_source(root / MAKE))


def compose_command(root: Path, notes: list[str]) -> DeclaredCommand | None:
    """What Compose starts in the image that is built here; None where several services differ."""
    found: dict[tuple[str, ...], DeclaredCommand] = {}
    for name in COMPOSE:
        services = _yaml(root / name, notes).get("services")
        for service, about in services.items() if isinstance(services, Mapping) else ():
            build = about.get("build") if isinstance(about, Mapping) else None
            context = build.get("context") if isinstance(build, Mapping) else build
            command = about.get("command") if context in (".", "./") else None
            words = tuple(map(str, command)) if isinstance(command, list) else ()
            if isinstance(command, str) and not _SHELL.search(command):
                words = tuple(shlex.split(command))
            if words:
                source = f"service {service} of {name}"
                found[words] = DeclaredCommand(str(service), words, source)
    return next(iter(found.values())) if len(found) == 1 else None


def _words_of_stage(stage: Any) -> tuple[str, ...]:
    if not isinstance(stage, Mapping) or stage.get("wdir", ".") not in (".", "./"):
        return ()
    command = stage.get("cmd")
    if isinstance(command, list) and len(command) == 1:
        command = command[0]
    return plain_words(command) if isinstance(command, str) else ()


def _of_mlflow(root: Path, notes: list[str]) -> Iterator[DeclaredCommand]:
    points = _yaml(root / MLFLOW, notes).get("entry_points")
    for name, point in points.items() if isinstance(points, Mapping) else ():
        if not isinstance(point, Mapping) or not isinstance(point.get("command"), str):
            continue
        given = _defaults(point.get("parameters"))
        command = point["command"]
        for parameter, value in given.items():
            command = command.replace(f"{{{parameter}}}", value)
        asked = _PARAMETER.search(command)
        if asked:
            notes.append(f"entry point {name} of {MLFLOW} cannot be started without {asked[1]}")
            continue
        words = plain_words(command)
        if words:
            yield DeclaredCommand(str(name), words, f"entry point {name} of {MLFLOW}")


def _of_make(text: str) -> Iterator[DeclaredCommand]:
    """Targets of one line that needs no other target but those that set up."""
    lines = text.replace("\\\n", " ").splitlines()
    variables = {found[1]: found[2] for line in lines if (found := _VARIABLE.match(line))}
    targets = {found[1] for line in lines if (found := _TARGET.match(line))}
    for at, line in enumerate(lines):
        found = _TARGET.match(line)
        if found is None or set(found[2].split()) & targets - _SETS_UP:
            continue
        recipe = []
        for below in lines[at + 1 :]:
            if below.strip() and not below.startswith("\t"):
                break
            recipe.append(below.strip().lstrip("@-+"))
        recipe = [each for each in recipe if each and not each.startswith(("echo ", "#"))]
        if len(recipe) == 1:
            command = _USED.sub(lambda used: variables.get(used[1], used[0]), recipe[0])
            words = plain_words(command)
            if words:
                yield DeclaredCommand(found[1], words, f"target {found[1]} of {MAKE}")


def plain_words(command: str) -> tuple[str, ...]:
    """The words of a command line, without what starts it in its environment; () where only a
    shell knows what it means."""
    text = " ".join(command.split())
    if _SHELL.search(re.sub(r"'[^']*'", "", text)):
        return ()
    try:
        return tuple(shlex.split(_RUNNERS.sub("", text, count=1)))
    except ValueError:
        return ()


def _defaults(parameters: Any) -> dict[str, str]:
    known = parameters if isinstance(parameters, Mapping) else {}
    return {
        str(name): str(about["default"])
        for name, about in known.items()
        if isinstance(about, Mapping) and about.get("default") is not None
    }


def _paths(listed: Any) -> Iterator[str]:
    """Paths of `deps` and `outs`, each alone or with settings below it."""
    for each in listed if isinstance(listed, list) else ():
        names = each if isinstance(each, Mapping) else (each,)
        yield from (str(name).strip("/") for name in names)


def _parameter_files(listed: Any) -> Iterator[str]:
    """Parameters are keys of `params.yaml`, or have a file of their own as their key."""
    for each in listed if isinstance(listed, list) else ():
        yield from map(str, each) if isinstance(each, Mapping) else ("params.yaml",)


def _yaml(file: Path, notes: list[str]) -> Mapping[str, Any]:
    """What a file holds; nothing where it is not there, or cannot be read."""
    text = read_source(file) if file.is_file() else ""
    if not text:
        return {}
    try:
        yaml = importlib.import_module("yaml")
    except ImportError:
        notes.append(f"{file.name} is not read without pytest-mlcontainer[yaml]")
        return {}
    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        notes.append(f"{file.name} cannot be read as YAML")
        return {}
    return found if isinstance(found, Mapping) else {}
