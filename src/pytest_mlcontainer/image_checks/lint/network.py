"""What a build takes from the network without knowing what it gets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from pytest_mlcontainer.dockerfile import Instruction
from pytest_mlcontainer.image_checks.lint.fetched_scripts import run_as_it_comes
from pytest_mlcontainer.image_checks.lint.installs import pip_arguments
from pytest_mlcontainer.image_checks.lint.shell import (
    ShellCommand,
    script_text,
    shell_commands,
)
from pytest_mlcontainer.image_checks.lint.stages import Recipe, pairs
from pytest_mlcontainer.model import ImageFinding, Severity

_FETCHERS: Final = ("curl", "wget")
_READERS: Final = re.compile(r"((ba|da|z|k|a)?sh|python[\d.]*|perl|ruby|node)$")
# `sh -c "$(curl …)"`, `bash <(curl …)`
_SUBSTITUTED: Final = re.compile(
    r"""\b((ba|da|z)?sh|source|eval|\.)\s+(-\w+\s+)*["']?(\$\(|<\(|`)\s*(curl|wget)\b"""
)
_BETTER: Final = (
    ("astral.sh/uv", "COPY --from=ghcr.io/astral-sh/uv:VERSION /uv /uvx /bin/"),
    ("install.python-poetry.org", "RUN pip install --no-cache-dir poetry==VERSION"),
    ("get-poetry.py", "RUN pip install --no-cache-dir poetry==VERSION"),
    ("bootstrap.pypa.io", "RUN python -m ensurepip --upgrade"),
)
_EXTRA: Final = "--extra-index-url"


def network_findings(recipe: Recipe, place: str) -> Iterator[ImageFinding]:
    """Scripts that are piped into a shell, and further indexes of pip."""
    stored = {id(each) for stage in recipe.stages for each in run_as_it_comes(stage.body)}
    for each in recipe.instructions:
        if _is_piped(each) or id(each) in stored:
            yield _piped_finding(each, place)
        if _has_extra_index(each):
            yield extra_index_finding(place, each.line)


def extra_index_finding(place: str, line: int) -> ImageFinding:
    """That a further index binds no package to itself."""
    return ImageFinding(
        rule="ML010",
        severity=Severity.WARNING,
        what=f"pip's {_EXTRA} binds no package to that index",
        place=place,
        line=line,
        why="pip takes the newest version that any index has: another build than was meant, or "
        "what somebody else uploads to PyPI under the name of a private package",
        mend="install what comes from there by itself: pip install --index-url URL NAME==VERSION\n"
        "or lock with hashes (pip-compile --generate-hashes, --require-hashes)",
        link="https://pip.pypa.io/en/stable/cli/pip_install/#cmdoption-extra-index-url",
    )


def _is_piped(each: Instruction) -> bool:
    return any(map(_reads_a_script, shell_commands(each))) or bool(
        _SUBSTITUTED.search(script_text(each))
    )


def _reads_a_script(command: ShellCommand) -> bool:
    source = command.piped_from
    while source is not None:
        if source.program in _FETCHERS and _READERS.match(command.program):
            # `python -c …` and `python script.py` read data from the pipe, no program.
            return all(word.startswith("-") and word != "-c" for word in command.words[1:2])
        source = source.piped_from
    return False


def _piped_finding(each: Instruction, place: str) -> ImageFinding:
    text = script_text(each)
    better = next((mend for name, mend in _BETTER if name in text), "")
    general = "download a fixed version, check it (`sha256sum --check`), then run it"
    return ImageFinding(
        rule="ML012",
        severity=Severity.WARNING,
        what="a script from the network is run as it comes",
        place=place,
        line=each.line,
        why="it is another one tomorrow, and a transfer that breaks off runs half of it",
        mend=better or general,
        link="https://docs.docker.com/build/building/best-practices/#using-pipes",
    )


def _has_extra_index(each: Instruction) -> bool:
    if each.word in ("ENV", "ARG"):
        return any(name == "PIP_EXTRA_INDEX_URL" and value for name, value in pairs(each))
    for command in shell_commands(each):
        # uv asks the first index that has a package, and no other.
        if "PIP_EXTRA_INDEX_URL" in command.settings and command.program != "uv":
            return True
        if "config" in command.words[:4] and "global.extra-index-url" in command.words:
            return True
        arguments = pip_arguments(command)
        if arguments is not None and "--require-hashes" not in arguments and command.has(_EXTRA):
            return True
    return False
