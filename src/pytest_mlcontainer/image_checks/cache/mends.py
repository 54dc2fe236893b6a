"""How a Dockerfile is reordered so that dependencies are installed before sources are copied."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from pytest_mlcontainer.dockerfile import Instruction
from pytest_mlcontainer.image_checks.lint.installs import is_conda_install, pip_arguments
from pytest_mlcontainer.image_checks.lint.shell import ShellCommand

# Instructions that the RUN needs, and that change nothing for a COPY to an absolute path.
_KEPT: Final = ("ARG", "ENV", "SHELL", "USER", "WORKDIR")
_CONDA_FILES: Final = ("environment.yml", "environment.yaml")
# Lines of a list of requirements that name a file: `-r other.txt`, `./wheels/a.whl`.
_LOCAL: Final = re.compile(
    r"^(?:-[rc] ?|--requirement[ =]|--constraint[ =])?((?:\./)?[\w./+-]+\.(?:txt|whl|gz))\s*$",
    re.MULTILINE,
)
_FROM_FILE: Final = re.compile(r"^(?:-r|--requirement=|-c|--constraint=|--file=|-f)(.+)")


def reordered(
    copy: Instruction,
    install: Instruction,
    command: ShellCommand,
    names: Iterable[str],
    read: Callable[[str], str] = lambda _name: "",
    between: Iterable[Instruction] = (),
) -> str:
    """The lines to write, from the COPY to the RUN.

    Args:
        copy: takes the sources along.
        install: comes after it; `command` is what in it installs.
        names: of the context's files; `read` gives the text of one.
        between: the instructions that stand between the two.
    """
    there = _Files(tuple(names), read)
    copies = f"{copy.word} {''.join(f'--{n}={v} ' for n, v in copy.flags)}{copy.rest}"
    if copy is install:
        return (
            "mount what lists the dependencies alone, in a RUN of its own before this one: "
            "RUN --mount=type=bind,source=requirements.txt,target=requirements.txt …"
        )
    kept = [each for each in between if each.word in _KEPT]
    if any(each.word == "WORKDIR" for each in kept) and not copy.copied[1].startswith("/"):
        return (
            "copy what lists the dependencies alone and install them, before "
            f"`{copies}` at line {copy.line} copies all"
        )
    before = [f"{each.word} {each.rest}" for each in kept]
    return "\n".join([*before, *_lines(copies, _shown(install), command, there)])


@dataclass(frozen=True)
class _Files:
    """The context's files, and how one is read."""

    names: tuple[str, ...]
    read: Callable[[str], str]

    def named(self, name: str) -> tuple[str, ...]:
        """Those beside a list of requirements that it names: other lists, wheels."""
        beside = posixpath.dirname(name)
        words = _LOCAL.findall(self.read(name)) if name.endswith(".txt") else []
        paths = (posixpath.normpath(posixpath.join(beside, word)) for word in words)
        return tuple(path for path in paths if path in self.names)


def _lines(copies: str, run: str, command: ShellCommand, there: _Files) -> Iterator[str]:
    arguments = pip_arguments(command)
    if arguments is None and command.program == "uv" and "sync" not in command.words:
        arguments = command.words[1:]
    if command.program == "uv" and "sync" in command.words:
        yield _copy(("pyproject.toml", "uv.lock"), there)
        yield _inserted(run, "sync", "--no-install-project")
        yield copies
        yield run
    elif command.program == "poetry":
        yield _copy(("pyproject.toml", "poetry.lock"), there)
        yield _inserted(run, "install", "--no-root")
        yield copies
        yield _inserted(run, "install", "--only-root")
    elif arguments is not None and (files := _files(arguments)):
        yield _copy(files, there)
        yield run
        yield copies
    elif arguments is not None and any(_is_project(word) for word in arguments):
        yield _copy(("pyproject.toml",), there)
        yield "RUN pip install uv && uv pip install --system -r pyproject.toml"
        yield copies
        yield _inserted(run, "install", "--no-deps")
    elif is_conda_install(command):
        files = _files(command.words[1:]) or tuple(f for f in _CONDA_FILES if f in there.names)
        yield _copy(files or _CONDA_FILES[:1], there)
        yield run
        yield copies
    else:
        yield run
        yield copies


def _copy(wanted: tuple[str, ...], there: _Files) -> str:
    """COPY of files from the places that they have in the context, a line for each folder."""
    into: dict[str, list[str]] = {}
    for each in wanted:
        name, folder = posixpath.basename(each), posixpath.dirname(each)
        places = sorted((one for one in there.names if posixpath.basename(one) == name), key=len)
        near = [one for one in places if each.lstrip("./").endswith(one)]
        found = (near or places or [name])[0]
        into.setdefault(f"{folder}/" if folder else "./", []).extend((found, *there.named(found)))
    lines = {folder: " ".join(dict.fromkeys(names)) for folder, names in into.items()}
    return "\n".join(f"COPY {names} {folder}" for folder, names in lines.items())


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


def _is_project(word: str) -> bool:
    return re.match(r"\.($|\[|/$)", word) is not None


def _shown(run: Instruction) -> str:
    flags = "".join(f"--{name}={value} " for name, value in run.flags)
    return re.sub(r"\s+", " ", f"RUN {flags}{run.rest}")


def _inserted(run: str, verb: str, option: str) -> str:
    """The RUN with an option behind a verb of its installer."""
    return run if option in run else re.sub(rf"\b{verb}\b", f"{verb} {option}", run, count=1)
