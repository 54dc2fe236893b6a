"""How a Dockerfile is reordered so that dependencies are installed before sources are copied."""

from __future__ import annotations

import posixpath
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from pytest_mlcontainer.dockerfile import Instruction
from pytest_mlcontainer.image_checks.lint.installs import is_conda_install, pip_arguments
from pytest_mlcontainer.image_checks.lint.shell import ShellCommand, shell_commands

# What the RUN may need goes before it. That changes nothing for a COPY to an absolute path.
_BEFORE: Final = ("ARG", "ENV", "SHELL", "USER", "WORKDIR")
# Programs that need nothing of the project, so that a RUN of theirs may go before a COPY of it.
_SYSTEM: Final = frozenset(
    (
        *("apt", "apt-get", "apk", "dnf", "microdnf", "yum", "zypper", "dpkg", "rpm"),
        *("cd", "chmod", "chown", "curl", "echo", "export", "find", "groupadd", "ldconfig"),
        *("ln", "locale-gen", "mkdir", "printf", "rm", "set", "tar", "true", "useradd", "wget"),
    )
)
_INSTALLERS: Final = frozenset(
    ("pip", "pip3", "python", "python3", "uv", "poetry", "conda", "mamba", "micromamba")
)
_CONDA_FILES: Final = ("environment.yml", "environment.yaml")
# Lines of a list of requirements that name a file: `-r other.txt`, `./wheels/a.whl`.
_LOCAL: Final = re.compile(
    r"^(?:-[rc] ?|--requirement[ =]|--constraint[ =])?((?:\./)?[\w./+-]+\.(?:txt|whl|gz))\s*$",
    re.MULTILINE,
)
_INSTALLING_PROJECT: Final = r"""\binstall\b(?=[^&;|]*\s["']?\.(?:["'\[/]|\s|$))"""
_FROM_FILE: Final = re.compile(r"^(?:-r|--requirement=|-c|--constraint=|--file=|-f)(.+)")


def reordered(
    copy: Instruction,
    install: Instruction,
    installs: tuple[ShellCommand, ...],
    names: Iterable[str],
    read: Callable[[str], str] = lambda _name: "",
    stage: Iterable[Instruction] = (),
) -> str:
    """The lines to write, from the COPY to the RUN, or what to do where those are not known.

    Args:
        copy: takes the sources along.
        install: comes after it; `installs` are those of its commands that install, at least one.
        names: of the context's files; `read` gives the text of one.
        stage: the instructions around the two.
    """
    if copy is install:
        return (
            "mount what lists the dependencies alone, in a RUN of its own before this one: "
            "RUN --mount=type=bind,source=requirements.txt,target=requirements.txt …"
        )
    body = tuple(stage)
    between = [each for each in body if copy.line < each.line < install.line]
    before = [each for each in between if each.word in _BEFORE or _is_of_the_system(each)]
    after = [copy, *(each for each in between if each not in before)]
    moved = any(each.word == "WORKDIR" for each in before)
    relative = any(each.copied[1] and not each.copied[1].startswith("/") for each in after)
    alone = (
        "copy what lists the dependencies alone and install them, before "
        f"`{_written(copy)}` at line {copy.line} copies all"
    )
    command = next((each for each in installs if _takes_files(each)), installs[0])
    if (moved and relative) or not _may_go_first(install, command, after):
        return alone
    earlier = [each for each in body if each.line < copy.line]
    there = _Files(tuple(names), read, frozenset(_already_copied([*earlier, *before])))
    order = _order(_shown(install), command, installs, there)
    if order is None:
        return alone
    return "\n".join([*map(_written, before), *order.first, *map(_written, after), *order.last])


def _is_of_the_system(each: Instruction) -> bool:
    return each.word == "RUN" and all(one.program in _SYSTEM for one in shell_commands(each))


def _may_go_first(
    install: Instruction, command: ShellCommand, after: Iterable[Instruction]
) -> bool:
    """Whether nothing that a RUN does beside installing, or what comes after it, needs to come
    before it: what a program of the project's does is not known."""
    others = [each for each in shell_commands(install) if each != command]
    return not any(each.word == "RUN" for each in after) and all(
        each.program in _SYSTEM or (each.program in _INSTALLERS and not _needs_project(each))
        for each in others
    )


def _takes_files(command: ShellCommand) -> bool:
    """Whether what a command installs stands in a file, or in the project."""
    arguments = pip_arguments(command)
    if arguments is None:
        return command.program not in _SYSTEM
    return bool(_files(arguments)) or any(_is_project(word) for word in arguments)


def _needs_project(command: ShellCommand) -> bool:
    """Whether a command of an installer takes more of the project than a list, or may."""
    arguments = pip_arguments(command)
    return arguments is None or any(
        _is_project(word) or word.startswith(("./", "/", "-e", "--editable")) for word in arguments
    )


def _already_copied(instructions: Iterable[Instruction]) -> Iterator[tuple[str, str]]:
    """Files that were copied, each with its folder; "." is the one that is worked in."""
    here = ""
    for each in instructions:
        if each.word == "WORKDIR":
            here = each.rest.strip()
        sources, target = each.copied
        folder = posixpath.normpath(target) if target else ""
        for source in sources:
            yield source, "." if folder == posixpath.normpath(here or "/") else folder


@dataclass(frozen=True)
class _Order:
    """What comes before the sources are copied, and what after that."""

    first: tuple[str, ...]
    last: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Files:
    """The context's files, how one is read, and which are in which folder of the image already."""

    names: tuple[str, ...]
    read: Callable[[str], str]
    copied: frozenset[tuple[str, str]] = frozenset()

    def present(self, *wanted: str) -> tuple[str, ...]:
        """Those that the project has, wherever."""
        have = {posixpath.basename(each) for each in self.names}
        return tuple(each for each in wanted if each in have)

    def named(self, name: str) -> tuple[str, ...]:
        """Those beside a list of requirements that it names: other lists, wheels."""
        beside = posixpath.dirname(name)
        words = _LOCAL.findall(self.read(name)) if name.endswith(".txt") else []
        paths = (posixpath.normpath(posixpath.join(beside, word)) for word in words)
        return tuple(path for path in paths if path in self.names)


def _order(
    run: str, command: ShellCommand, installs: tuple[ShellCommand, ...], there: _Files
) -> _Order | None:
    """What to write; None where what the project depends on is known to its own build alone."""
    arguments = pip_arguments(command)
    if arguments is None and command.program == "uv" and "sync" not in command.words:
        arguments = command.words[1:]
    if command.program == "uv" and "sync" in command.words:
        copied = _copies(there.present("pyproject.toml", "uv.lock"), there)
        return _Order(
            (*copied, _inserted(run, r"\buv\b[^&;|]*?\bsync\b", "--no-install-project")), (run,)
        )
    if command.program == "poetry":
        copied = _copies(there.present("pyproject.toml", "poetry.lock"), there)
        last = () if command.has("--no-root") else (run,)
        return _Order(
            (*copied, _inserted(run, r"\bpoetry\b[^&;|]*?\binstall\b", "--no-root")), last
        )
    every = [word for each in installs for word in pip_arguments(each) or ()]
    if arguments is not None and (files := _files((*arguments, *every))):
        return _Order((*_copies(tuple(dict.fromkeys(files)), there), run))
    if arguments is not None and any(_is_project(word) for word in arguments):
        if not _lists_dependencies(there):
            return None
        extras = "".join(f" --extra {each}" for each in _extras(arguments))
        first = f"RUN pip install uv && uv pip install --system -r pyproject.toml{extras}"
        copied = _copies(("pyproject.toml",), there)
        return _Order((*copied, first), (_inserted(run, _INSTALLING_PROJECT, "--no-deps"),))
    if is_conda_install(command):
        files = _files(command.words[1:]) or tuple(f for f in _CONDA_FILES if f in there.names)
        return _Order((*_copies(files or _CONDA_FILES[:1], there), run))
    return _Order((run,))


def _copies(wanted: tuple[str, ...], there: _Files) -> Iterator[str]:
    """COPY of files from the places that they have in the context, a line for each folder; none
    of those that are there already."""
    into: dict[str, list[str]] = {}
    for each in wanted:
        name, folder = posixpath.basename(each), posixpath.dirname(each)
        places = sorted((one for one in there.names if posixpath.basename(one) == name), key=len)
        near = [one for one in places if each.lstrip("./").endswith(one)]
        found = (near or places or [name])[0]
        into.setdefault(f"{folder}/" if folder else "./", []).extend((found, *there.named(found)))
    for folder, names in into.items():
        target = posixpath.normpath(folder)
        missing = [each for each in dict.fromkeys(names) if (each, target) not in there.copied]
        if missing:
            yield f"COPY {' '.join(missing)} {folder}"


def _files(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """What `-r`, `-c`, `-f` name."""
    found: list[str] = []
    for before, word in zip(("", *arguments), arguments, strict=False):
        joined = _FROM_FILE.match(word)
        if before in ("-r", "--requirement", "-c", "--constraint", "-f", "--file"):
            found.append(word)
        elif joined is not None and not word.startswith("--file-"):
            found.append(joined[1])
    return tuple(each for each in found if "://" not in each and "$" not in each)


def _lists_dependencies(there: _Files) -> bool:
    """Whether a `pyproject.toml` says what the project depends on, so that no build has to."""
    with suppress(tomllib.TOMLDecodeError):
        project = tomllib.loads(there.read("pyproject.toml")).get("project")
        return isinstance(project, dict) and "dependencies" not in project.get("dynamic", ())
    return False


def _extras(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """`dev` and `test` of `.[dev,test]`."""
    listed = (re.search(r"\[(.*)\]", word) for word in arguments if _is_project(word))
    named = (each.strip() for found in listed if found for each in found[1].split(","))
    return tuple(each for each in named if each)


def _is_project(word: str) -> bool:
    return re.match(r"\.($|\[|/$)", word) is not None


def _written(each: Instruction) -> str:
    flags = "".join(f"--{name}={value} " for name, value in each.flags)
    return f"{each.word} {flags}{each.rest}"


def _shown(run: Instruction) -> str:
    return re.sub(r"\s+", " ", _written(run))


def _inserted(run: str, installing: str, option: str) -> str:
    """The RUN with an option behind the words that install, unless it has that one.

    Args:
        installing: a pattern of these words.
    """
    if option in run:
        return run
    return re.sub(installing, lambda found: f"{found[0]} {option}", run, count=1)
