"""What `docker build --check` says, as findings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from pytest_mlcontainer.engines.build_checks import BuildCheck
from pytest_mlcontainer.model import ImageFinding, Severity

_LINK: Final = "https://docs.docker.com/reference/dockerfile/"


def build_findings(found: BuildCheck, place: str, directive: str) -> Iterator[ImageFinding]:
    """Its warnings, and where the Dockerfile is none that BuildKit reads, that as `ML000`.

    Args:
        place: of the Dockerfile, as findings name it.
        directive: the value of its `# check=`, which may make errors of warnings.
    """
    strict = "error=true" in directive.replace(" ", "").lower().split(";")
    for each in found.warnings:
        severity = Severity.ERROR if strict else Severity.WARNING
        yield ImageFinding(each.rule, severity, each.text, place, each.line, link=each.url)
    is_said = found.error.startswith("lint violation found")  # of those very warnings
    if found.error and not found.lacks_an_image and not is_said:
        yield ImageFinding(
            rule="ML000",
            severity=Severity.ERROR,
            what=re.sub(r"^dockerfile parse error on line \d+: ", "", found.error),
            place=place,
            line=found.error_line,
            why="BuildKit cannot build it",
            mend=_mend(found.error),
            link=_LINK,
        )


def _mend(error: str) -> str:
    """Where an ARG names the base, its value is missing more often than the line is wrong."""
    if re.search(r"base name .* should not be blank|failed to parse stage name", error):
        return (
            "where the line has an ARG: declare it before the first FROM, with a default or with a "
            'value in build-args = { NAME = "value" } of [tool.mlcontainer]; else correct the line'
        )
    return "correct the line"


def build_note(found: BuildCheck, place: str) -> list[str]:
    """What it could not look at."""
    if not found.lacks_an_image:
        return []
    return [f"{place}: `docker build --check` did not get to its end: {found.error}"]
