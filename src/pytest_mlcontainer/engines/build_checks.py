"""What a builder says of a Dockerfile without building it."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class BuildWarning:
    """One warning of BuildKit.

    Args:
        rule: `FromAsCasing`, …
        line: of the Dockerfile, from 1 on; None where it has none.
        url: BuildKit's page about the rule.
    """

    rule: str
    text: str
    line: int | None
    url: str


@dataclass(frozen=True)
class BuildCheck:
    """What came of `docker build --check`.

    Args:
        error: why the Dockerfile could not be gone through to its end; "" where it was.
        error_line: the line that is to blame, where that is known.
        note: what has to be known of how it was asked; "" for nothing.
    """

    warnings: tuple[BuildWarning, ...] = ()
    error: str = ""
    error_line: int | None = None
    note: str = ""

    @property
    def lacks_an_image(self) -> bool:
        """Whether only looking up an image was in the way."""
        return "failed to resolve source metadata" in self.error


def dockerfile_remedy(error: str) -> str:
    """What to do about a Dockerfile that BuildKit refuses.

    Args:
        error: its words.
    """
    if re.search(r"no build stage|contains no stages|cannot be empty", error):
        return "begin it with a stage: `FROM IMAGE`"
    # Where an ARG names the base, its value is missing more often than the line is wrong.
    if re.search(r"base name .* should not be blank|failed to parse stage name", error):
        return (
            "where the line has an ARG: declare it before the first FROM, with a default or with a "
            'value in build-args = { NAME = "value" } of [tool.mlcontainer]; else correct the line'
        )
    if "target stage" in error:
        return "name one of its stages as `build-target` in [tool.mlcontainer]"
    if "unterminated heredoc" in error:
        return "end the heredoc with a line that is its word alone"
    return "correct the Dockerfile at that line"
