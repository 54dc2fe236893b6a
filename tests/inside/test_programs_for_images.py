"""What is sent into images runs on whatever Python is there, with nothing but what it brings."""

from __future__ import annotations

import ast
import sys
from importlib import resources

import pytest

from pytest_mlcontainer import inside

PROGRAMS = sorted(
    each.name
    for each in resources.files(inside).iterdir()
    if each.name.endswith(".py") and each.name != "__init__.py"
)


def test_there_are_programs() -> None:
    """The tests below have something to look at."""
    assert {"probe.py", "pickle_reader.py", "transplant.py"} <= set(PROGRAMS)


@pytest.mark.parametrize("name", PROGRAMS)
def test_old_pythons_can_parse_it(name: str) -> None:
    """Images have Pythons of many years."""
    ast.parse(inside.source(name), feature_version=inside.OLDEST)


@pytest.mark.parametrize("name", PROGRAMS)
def test_it_is_ascii(name: str) -> None:
    """A Python takes what `-c` gives it as the locale encodes text, which may be in ASCII."""
    assert inside.source(name).isascii()


@pytest.mark.parametrize("name", PROGRAMS)
def test_it_needs_the_standard_library_alone(name: str) -> None:
    """What an image may have beside it is imported in functions, where it is there."""
    found = {
        module.partition(".")[0]
        for node in ast.parse(inside.source(name)).body
        for module in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or "?"]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert found <= set(sys.stdlib_module_names)
