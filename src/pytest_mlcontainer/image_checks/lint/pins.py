"""What is installed in whatever version there is on the day of the build."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from pytest_mlcontainer.dockerfile import Instruction
from pytest_mlcontainer.image_checks.lint.installs import (
    is_conda_install,
    named_words,
    pip_arguments,
    requires_something,
)
from pytest_mlcontainer.image_checks.lint.shell import CONDA, ShellCommand, shell_commands
from pytest_mlcontainer.image_checks.lint.stages import Recipe, Stage
from pytest_mlcontainer.model import ImageFinding, Severity
from pytest_mlcontainer.wording import first_and_count

_SHOWN: Final = 5
# Tools that install: another version of them seldom changes what a program computes.
_TOOLS: Final = frozenset(
    ("pip", "setuptools", "wheel", "uv", "poetry", "pipenv", "conda", "mamba")
)
_NAME: Final = re.compile(r"[A-Za-z0-9][\w.-]*(\[[^\]]*\])?\s*")
_EXACT: Final = re.compile(r"\s*\(?={2,3}\s*[^\s*]+$")
_MOVING: Final = r"(main|master|dev|develop|HEAD|latest|nightly|trunk)"
_BRANCH_ARCHIVE: Final = re.compile(
    rf"/(archive|tarball|zipball)/(refs/heads/.*|{_MOVING})(\.zip|\.tar\.gz|/?)$"
)
# Short options of pip, uv and conda that a word follows which is no package; long ones of which
# that is not so, since most of the others take a value.
# Commands that choose versions anew, whatever a lock says.
_ANEW: Final[Mapping[str, tuple[str, ...]]] = {
    "poetry": ("lock", "update"),
    "pipenv": ("lock", "update", "upgrade"),
    "uv": ("lock",),
    "pdm": ("lock", "update"),
}
_LINK: Final = "https://pip.pypa.io/en/stable/topics/repeatable-installs/"


def pin_findings(recipe: Recipe, place: str, context: Path) -> Iterator[ImageFinding]:
    """Instructions that install what no version, commit or lock fixes.

    Args:
        place: of the Dockerfile, as findings name it.
        context: where a lock is looked for.
    """
    for stage in recipe.stages:
        for each in stage.body:
            what, mend = _chosen_anew(each, stage, context)
            if what:
                yield unpinned_finding(place, each.line, what, mend)


def unpinned_finding(place: str, line: int, what: str, mend: str) -> ImageFinding:
    """That versions are chosen on the day of the build."""
    return ImageFinding(
        rule="ML015",
        severity=Severity.WARNING,
        what=what,
        place=place,
        line=line,
        why="the same sources build another image tomorrow, with other libraries and numbers",
        mend=mend,
        link=_LINK,
    )


def unpinned_requirements(text: str) -> tuple[int, tuple[str, ...]]:
    """The first line of requirements that fixes no version, and all that do so; (0, ()) for none.

    With constraints nothing is known of them.
    """
    if re.search(r"(?m)^\s*(-c|--constraint)\b|--hash=", text):
        return 0, ()
    lines = [(at, re.sub(r"(^|\s)#.*", "", line).strip()) for at, line in _joined(text)]
    found = [(at, line.partition(";")[0].strip()) for at, line in lines if line]
    found = [(at, re.sub(r"^(-e|--editable)[ =]\s*", "", line)) for at, line in found]
    found = [(at, line) for at, line in found if is_unpinned(line)]
    return (found[0][0], tuple(line for _at, line in found)) if found else (0, ())


def is_unpinned(requirement: str) -> bool:
    """Whether a requirement of pip's, without its marker, lets the version open."""
    url = requirement.partition("@")[2].strip() if " @ " in requirement else requirement
    if "://" in url:
        return _is_moving(url)
    named = _NAME.match(requirement)
    if named is None or re.search(r"[$/\\{]|\.whl$|\.gz$|\.zip$", requirement):
        return False  # an option, a path, a variable
    if named[0].partition("[")[0].strip().lower() in _TOOLS:
        return False
    return _EXACT.match(requirement[named.end() :]) is None


def _joined(text: str) -> Iterator[tuple[int, str]]:
    whole, first = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        first = first or number
        whole += line.removesuffix("\\")
        if not line.endswith("\\"):
            yield first, whole
            whole, first = "", 0


def _is_moving(url: str) -> bool:
    """Whether it names a branch, or no commit at all, of a repository."""
    path = urlsplit(url).path
    if "$" in url:
        return False
    if url.startswith("git+"):
        _, at, ref = path.rpartition("@")
        return not at or re.fullmatch(_MOVING, ref) is not None
    return _BRANCH_ARCHIVE.search(path) is not None


def _chosen_anew(each: Instruction, stage: Stage, context: Path) -> tuple[str, str]:
    """What an instruction installs in an open version, and the mend; "" twice for nothing."""
    if each.word == "ADD":
        urls = [word for word in each.copied[0] if urlsplit(word).path.endswith(".git")]
        moving = [url for url in urls if not re.search(r"#\w|[?&](ref|tag|checksum|commit)=", url)]
        return (f"{moving[0]} is taken as it is today", "ADD …git#COMMIT …") if moving else ("", "")
    for command in shell_commands(each):
        found = _named_openly(command) or _of_repository(command, stage)
        if found:
            return found
        found = _of_lock(command, stage, context)
        if found:
            return found
    return "", ""


def open_arguments(command: ShellCommand) -> tuple[str, ...] | None:
    """Arguments of `pip install`, also uv's; None for another command, or where
    constraints, or a folder of files, fix the versions."""
    arguments = pip_arguments(command)
    if arguments is None and command.program == "uv" and command.words[1:3] == ("pip", "install"):
        arguments = command.words[3:]
    fixed = {"PIP_CONSTRAINT", "UV_CONSTRAINT"} & set(command.settings)
    if fixed or any(
        re.match(r"-c|--constraint|--no-index|--require-hashes", word) for word in arguments or ()
    ):
        return None
    return arguments


def _named_openly(command: ShellCommand) -> tuple[str, str] | None:
    arguments = open_arguments(command)
    if arguments is not None:
        names = [word for word in named_words(arguments) if is_unpinned(word)]
        mend = "NAME==VERSION, a commit after @, or a lock: pip-compile --generate-hashes, uv lock"
    elif is_conda_install(command):
        verbs = ("install", "create", "update", "env")
        plain = [word for word in named_words(command.words[1:]) if word not in verbs]
        names = [word for word in plain if re.fullmatch(r"([\w-]+::)?[\w.-]+([<>!].*)?", word)]
        names = [word for word in names if word not in (*_TOOLS, *CONDA)]
        mend = "NAME=VERSION, or a lock: conda list --explicit, conda-lock"
    else:
        return None
    if not names:
        return None
    return f"no exact version is given for {first_and_count(names, _SHOWN)}", mend


def _of_repository(command: ShellCommand, stage: Stage) -> tuple[str, str] | None:
    """A clone whose commit nothing chooses."""
    words = command.words
    if command.program != "git" or "clone" not in words:
        return None
    url = next((word for word in words if re.match(r"(https?|git|ssh)://|git@", word)), "")
    at = next((at for at, word in enumerate(words) if word in ("-b", "--branch")), None)
    ref = words[at + 1] if at is not None and at + 1 < len(words) else ""
    ref = next((word.partition("=")[2] for word in words if word.startswith("--branch=")), ref)
    if not url or "huggingface.co/" in url or command.has("--revision"):
        return None
    if (ref and not re.fullmatch(_MOVING, ref)) or _chooses_a_commit(stage):
        return None
    how = f"its branch {ref}" if ref else "its newest commit"
    mend = "add `&& git -C FOLDER checkout COMMIT`, or ADD URL.git#COMMIT FOLDER"
    return f"{url.partition('?')[0].rpartition('@')[2]} is taken at {how}", mend


def _chooses_a_commit(stage: Stage) -> bool:
    return any(
        command.program == "git" and {"checkout", "reset", "switch"} & set(command.words)
        for each in stage.body
        for command in shell_commands(each)
    )


def _of_lock(command: ShellCommand, stage: Stage, context: Path) -> tuple[str, str] | None:
    """A command that passes over a lock, or writes one."""
    verbs = [word for word in command.words[1:] if not word.startswith("-")]
    if command.program in _ANEW and verbs[:1] and verbs[0] in _ANEW[command.program]:
        if command.has("--check", "--locked"):
            return None
        mend = "run it before, and COPY the lock that it writes into the build"
        return f"`{command.program} {verbs[0]}` chooses versions anew in the build", mend
    by_setup = command.words[1:3] in (("setup.py", "install"), ("setup.py", "develop"))
    if by_setup and requires_something(context):
        mend = "RUN pip install --no-cache-dir --no-deps . after its locked requirements"
        return f"`setup.py {command.words[2]}` fetches what is required in any version", mend
    passes_over = command.program == "pipenv" and verbs == ["install"]
    if passes_over and not command.has("--deploy", "--ignore-pipfile"):
        mend = "pipenv sync --system, or pipenv install --deploy"
        return "`pipenv install` writes a new lock where Pipfile.lock does not fit", mend
    if command.program == "uv" and verbs[:1] == ["sync"]:
        return _of_uv_sync(command, stage, context)
    return None


def _of_uv_sync(command: ShellCommand, stage: Stage, context: Path) -> tuple[str, str] | None:
    if command.has("--locked", "--frozen", "--check"):
        return None
    set_before = {"UV_LOCKED", "UV_FROZEN"} & {*stage.environment(), *command.settings}
    if set_before or not (context / "pyproject.toml").is_file():
        return None
    if not (context / "uv.lock").is_file():
        return "`uv sync` has no uv.lock, and chooses versions anew", "uv lock, and COPY uv.lock"
    return (
        "`uv sync` writes a new lock where uv.lock does not fit pyproject.toml",
        "uv sync --locked",
    )
