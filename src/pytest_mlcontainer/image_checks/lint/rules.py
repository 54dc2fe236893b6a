"""Rules of our own about Dockerfiles, for images of machine learning."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from pytest_mlcontainer.image_checks.lint.bases import base_findings
from pytest_mlcontainer.image_checks.lint.stages import Recipe
from pytest_mlcontainer.model import BuildSettings, ImageFinding

# Rules of others → the rule of ours that says the same with more; at one line ours is enough.
_SAME: Final[Mapping[str, str]] = MappingProxyType(
    {
        "DL3002": "ML006",
        "DL3006": "ML001",
        "DL3007": "ML001",
        "DL3009": "ML003",
        "DL3042": "ML002",
        "SecretsUsedInArgOrEnv": "ML007",
    }
)


def own_findings(recipe: Recipe, place: str, build: BuildSettings) -> Iterator[ImageFinding]:
    """What the rules find in one Dockerfile.

    Args:
        place: of it, as findings name it.
    """
    yield from base_findings(recipe, place, frozenset(name for name, _value in build.contexts))


def without_duplicates(
    others: Iterable[ImageFinding], own: tuple[ImageFinding, ...]
) -> Iterator[ImageFinding]:
    """Findings of other programs, but for those that ours say at the same line."""
    said = {(each.rule, each.line) for each in own}
    for each in others:
        if (_SAME.get(each.rule), each.line) not in said:
            yield each
