"""What can go wrong for a user, always in three parts: what, the value, the next step.

A mismatch between two runs is not here: it is a value (`model.Difference`).
"""

from __future__ import annotations

from collections.abc import Sequence


class MlContainerError(Exception):
    """A failure that a user can act on.

    Args:
        what: what failed, in one clause ("the image could not be built").
        value: the offending value: a name, a path, the last lines of a log. May be empty.
        remedy: the next step, as an instruction.
    """

    def __init__(self, what: str, value: str = "", remedy: str = "") -> None:
        super().__init__(what, value, remedy)
        self.what = what
        self.value = value
        self.remedy = remedy

    def __str__(self) -> str:
        parts = [self.what]
        if self.value:
            multiline = "\n" in self.value
            parts.append(f":\n{_indent(self.value)}" if multiline else f": {self.value}")
        if self.remedy:
            parts.append(f"\n  → {_indent(self.remedy, '    ').removeprefix('    ')}")
        return "".join(parts)


class ConfigError(MlContainerError):
    """One or more problems in the configuration; all are reported at once.

    Args:
        source: the file (or command line) in which they are.
        problems: one error for each problem, in the order found.
    """

    def __init__(self, source: str, problems: Sequence[MlContainerError]) -> None:
        self.source = source
        self.problems: tuple[MlContainerError, ...] = tuple(problems)
        count = len(self.problems)
        noun = "problem" if count == 1 else "problems"
        super().__init__(
            f"{source}: {count} {noun} in the configuration; nothing was built or run",
            "\n".join(str(problem) for problem in self.problems),
        )

    def __reduce__(self) -> tuple[type[ConfigError], tuple[str, tuple[MlContainerError, ...]]]:
        # `Exception` would call this class with the three parts of its base.
        return ConfigError, (self.source, self.problems)


class EngineError(MlContainerError):
    """The engine cannot be reached, is too old, or refused a request."""


class EngineLostError(EngineError):
    """The engine went away in the middle; what it was doing can be done again from the start."""


class PlatformError(EngineError):
    """The engine cannot run the platform that was asked for."""


class PlatformSkipped(PlatformError):  # noqa: N818 - a skip, no failure
    """The platform is only emulated and the configuration says to skip such ones."""


class NothingVaried(MlContainerError):  # noqa: N818 - a skip, no failure
    """No variation that was named changes anything here, so that there is nothing to test."""


class NothingChecked(MlContainerError):  # noqa: N818 - a skip, no failure
    """There is nothing that a check of the image could look at."""


class GpuError(EngineError):
    """GPUs were asked for and the engine has none to give."""


class RegistryError(MlContainerError):
    """A registry cannot be reached, refuses a request, or sends what it should not."""


class BuildError(MlContainerError):
    """The image could not be made: a host command or a step of the Dockerfile failed."""


class RunError(MlContainerError):
    """An entrypoint did not do its job: it failed, ran too long, or wrote no declared output."""


class MisuseError(MlContainerError, TypeError):
    """A test does with a fixture what the fixture does not offer."""


class NoSuchOutputError(MlContainerError, KeyError):
    """A run wrote no output of the name that it is asked for."""


class OutputError(MlContainerError):
    """What a container wrote cannot be taken over."""


class TooMuchOutputError(OutputError):
    """More than may be taken over; the remedy ends in the setting to raise."""


class RecordError(MlContainerError):
    """A record on disk is missing, damaged, or of another schema."""


def _indent(text: str, prefix: str = "  ") -> str:
    return "\n".join(prefix + line if line else line for line in text.splitlines())
