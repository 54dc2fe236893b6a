"""What `docker build --check` says, as findings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from pytest_mlcontainer.engines.build_checks import BuildCheck, dockerfile_remedy
from pytest_mlcontainer.model import ImageFinding, Severity

_OF_VARIABLES: Final = ("UndefinedVar", "UndefinedArgInFrom", "InvalidDefaultArgInFrom")
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
            mend=dockerfile_remedy(found.error),
            link=_LINK,
        )


def by_variable(findings: Iterable[ImageFinding]) -> Iterator[ImageFinding]:
    """The findings, with one for each variable that has no value, which names all its lines.

    Where BuildKit ends at such a line, that is the one.
    """
    kept = list(findings)
    groups: dict[tuple[str, str], list[int]] = {}
    for each in kept:
        if each.rule in _OF_VARIABLES:
            groups.setdefault((each.place, each.what), []).append(each.line or 0)
    ended = {(each.place, each.line) for each in kept if each.rule == "ML000"}
    for each in kept:
        lines = [each.line or 0]
        if each.rule == "ML000":
            lines = next((of for of in groups.values() if each.line in of), lines)
        elif each.rule in _OF_VARIABLES:
            lines = groups[each.place, each.what]
            if each.line != lines[0] or any((each.place, line) in ended for line in lines):
                continue
        others = ", ".join(map(str, sorted(set(lines) - {each.line})))
        also = f"the same in line {others}" if others else ""
        yield replace(each, why="; ".join(filter(None, (each.why, also))))


def build_note(found: BuildCheck, place: str) -> list[str]:
    """What it could not look at, or only in another way."""
    notes = [found.note] if found.note else []
    if found.lacks_an_image:
        notes.append(f"{place}: `docker build --check` did not get to its end: {found.error}")
    return notes
