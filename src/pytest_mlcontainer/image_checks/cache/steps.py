"""Which instruction each step of a build is, and what steps that ran again have installed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pytest_mlcontainer.dockerfile import Instruction
from pytest_mlcontainer.engines.trial_builds import BuildStep
from pytest_mlcontainer.image_checks.lint.installs import cache_of, is_conda_install
from pytest_mlcontainer.image_checks.lint.shell import ShellCommand, shell_commands
from pytest_mlcontainer.image_checks.lint.stages import Recipe, Stage

_COUNTED: Final = ("RUN", "COPY", "ADD", "WORKDIR")
_SYSTEM: Final = ("apt-get", "apt", "apk", "dnf", "yum", "microdnf")
_VERSION: Final = re.compile(r"-v?\d[\w.!+]*$")
_OF_PIP: Final = re.compile(r"Installing collected packages: (.+)")
_OF_UV: Final = re.compile(r"^\s*\+ ([\w.-]+)(==\S+| @ \S+| \(from .*\))")
_OF_POETRY: Final = re.compile(r"- (?:Installing|Updating) ([\w.-]+) \(")
_OF_APT: Final = re.compile(r"Setting up ([\w.+-]+)(?::\w+)? \(")
_OF_APK: Final = re.compile(r"\(\d+/\d+\) Installing ([\w.+-]+) \(")
_ONE: Final = (_OF_UV, _OF_POETRY, _OF_APT, _OF_APK)


@dataclass(frozen=True)
class KnownStep:
    """A step of a build, with the instruction that it is; None where that cannot be told."""

    step: BuildStep
    stage: Stage | None = None
    instruction: Instruction | None = None

    @property
    def ran(self) -> bool:
        return not self.step.cached

    @property
    def installs(self) -> tuple[ShellCommand, ...]:
        """Its commands that install packages."""
        if self.instruction is None:
            return ()
        return tuple(each for each in shell_commands(self.instruction) if _installs(each))


def known_steps(recipe: Recipe, steps: tuple[BuildStep, ...]) -> tuple[KnownStep, ...]:
    """Each step with its instruction. Those that only fetch a base are left out."""
    return tuple(each for each in _known(recipe, steps) if not each.step.text.startswith("FROM "))


def _known(recipe: Recipe, steps: tuple[BuildStep, ...]) -> Iterator[KnownStep]:
    for each in steps:
        stage = _stage(recipe, each.stage)
        counted = [] if stage is None else [one for one in stage.body if one.word in _COUNTED]
        # The builder counts FROM where it fetches something.
        first = 0 if stage is None or stage.parent is not None or stage.base == "scratch" else 1
        place = each.number - 1 - first
        instruction = counted[place] if 0 <= place < len(counted) else None
        if instruction is not None and each.text.split()[:1] != [instruction.word]:
            instruction = None
        yield KnownStep(each, stage, instruction)


def _stage(recipe: Recipe, name: str) -> Stage | None:
    for number, stage in enumerate(recipe.stages):
        if name.lower() in (stage.name or f"stage-{number}", f"stage-{number}"):
            return stage
    return recipe.stages[0] if not name and len(recipe.stages) == 1 else None


def _installs(command: ShellCommand) -> bool:
    if cache_of(command) is not None or is_conda_install(command):
        return True
    if command.program == "pipenv":
        return any(word in ("install", "sync") for word in command.words[1:3])
    verbs = [word for word in command.words[1:] if not word.startswith("-")]
    return command.program in _SYSTEM and verbs[:1] in (["install"], ["add"])


def installed_packages(lines: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the packages that installers said they installed; () where they said nothing."""
    found: list[str] = []
    for line in lines:
        whole = _OF_PIP.search(line)
        if whole is not None:
            found += [each.strip() for each in whole[1].split(",")]
            continue
        one = next(filter(None, (pattern.search(line) for pattern in _ONE)), None)
        if one is not None:
            found.append(one[1])
    return tuple(dict.fromkeys(_VERSION.sub("", each) for each in found))
