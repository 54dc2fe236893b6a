"""Rules of our own about Dockerfiles, for images of machine learning."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from pytest_mlcontainer.image_checks.lint.bases import base_findings
from pytest_mlcontainer.image_checks.lint.context import (
    LARGE_BYTES,
    ContextListing,
    context_findings,
)
from pytest_mlcontainer.image_checks.lint.credentials import credential_findings
from pytest_mlcontainer.image_checks.lint.downloads import download_findings
from pytest_mlcontainer.image_checks.lint.layers import layer_findings, order_findings
from pytest_mlcontainer.image_checks.lint.network import network_findings
from pytest_mlcontainer.image_checks.lint.permissions import permission_findings
from pytest_mlcontainer.image_checks.lint.pins import pin_findings
from pytest_mlcontainer.image_checks.lint.projects import development_findings, project_findings
from pytest_mlcontainer.image_checks.lint.stages import Recipe
from pytest_mlcontainer.model import BuildSettings, ImageFinding

# Rules of others → the rule of ours that says the same with more; at one line ours is enough.
_SAME: Final[Mapping[str, str]] = MappingProxyType(
    {
        "DL3002": "ML006",
        "DL3006": "ML001",
        "DL3007": "ML001",
        "DL3009": "ML003",
        "DL3013": "ML015",
        "DL3042": "ML002",
        "SecretsUsedInArgOrEnv": "ML007",
    }
)
_PRAGMA: Final = re.compile(r"\s*#\s*mlcontainer\s+ignore=([\w,\s]+)$")


def own_findings(
    recipe: Recipe,
    place: str,
    build: BuildSettings,
    listing: ContextListing,
    root: Path,
    large_bytes: int = LARGE_BYTES,
) -> Iterator[ImageFinding]:
    """What the rules find in one Dockerfile, its context and the files it installs from.

    Args:
        place: of the Dockerfile, as findings name it.
        root: the project's folder, to which places are relative.
        large_bytes: files of the context above this size count as large.
    """
    yield from base_findings(recipe, place, frozenset(name for name, _value in build.contexts))
    yield from layer_findings(recipe, place)
    yield from order_findings(recipe, place, build.context)
    yield from network_findings(recipe, place)
    yield from credential_findings(recipe, place)
    yield from download_findings(recipe, place)
    yield from pin_findings(recipe, place, build.context)
    yield from permission_findings(recipe, place)
    yield from context_findings(recipe, place, listing, large_bytes)
    yield from development_findings(recipe, place, build.context)
    yield from project_findings(recipe, build.context, root)


def without_duplicates(
    others: Iterable[ImageFinding], own: tuple[ImageFinding, ...]
) -> Iterator[ImageFinding]:
    """Findings of other programs, but for those that ours say at the same line."""
    said = {(each.rule, each.line) for each in own}
    for each in others:
        if (_SAME.get(each.rule), each.line) not in said:
            yield each


def ignored_lines(text: str) -> dict[int, frozenset[str]]:
    """Lines of a Dockerfile → rules that the comment right above leaves out there.

    `# mlcontainer ignore=ML001,ML006`; further comments may stand between.
    """
    found: dict[int, frozenset[str]] = {}
    waiting: set[str] = set()
    for number, line in enumerate(text.splitlines(), 1):
        pragma = _PRAGMA.match(line)
        if pragma:
            waiting |= {each.strip() for each in pragma[1].split(",")}
        elif line.strip() and not line.lstrip().startswith("#"):
            if waiting:
                found[number] = frozenset(waiting)
            waiting = set()
    return found
