"""Versions, and what a package requires of another."""

from __future__ import annotations

import pytest

from pytest_mlcontainer.mixing.versions import jump, parse_requirement


@pytest.mark.parametrize(
    ("text", "accepted", "refused"),
    [
        ("numpy<2.3,>=1.23.5", ["1.23.5", "2.2.6"], ["2.3", "2.4.1", "1.23.4"]),
        ("numpy (>=1.20,!=1.24.*)", ["1.20", "1.25.0"], ["1.24.3", "1.19.5"]),
        ("scipy~=1.4.2", ["1.4.2", "1.4.9"], ["1.5", "1.4.1"]),
        ("torch==2.1.0", ["2.1", "2.1.0+cpu"], ["2.1.1"]),
        ("x>=2.0", ["2.0.post1"], ["2.0rc1", "2.0.dev3", "1.9"]),
        ("x[extra]>1", ["2", "not a version"], ["1"]),
        ("x==1!2.0", ["1!2.0"], []),
    ],
)
def test_a_requirement_accepts_what_pip_would(
    text: str, accepted: list[str], refused: list[str]
) -> None:
    """By release, pre-release and wildcard; an unreadable version is given the benefit."""
    found = parse_requirement(text, "3.13.5")
    assert found is not None
    assert [each for each in (*accepted, *refused) if found.accepts(each)] == accepted


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("numpy>=2; python_version >= '3.13'", True),
        ("numpy>=2; python_version < '3.10'", False),
        ("numpy>=2; extra == 'test'", False),
        ('numpy>=2; python_version >= "3.9" and python_version < "4"', True),
        ("numpy>=2; sys_platform == 'win32'", False),
        ("numpy @ file:///tmp/x.whl", False),
        ("???", False),
    ],
)
def test_only_requirements_that_hold_here_count(text: str, counts: bool) -> None:
    """What depends on an extra, or is not understood, never keeps packages together."""
    assert (parse_requirement(text, "3.13.5") is not None) is counts


def test_a_jump_is_as_large_as_the_first_part_that_differs() -> None:
    """Majors are suspected before minors, and minors before patches."""
    assert [jump("1.2.3", other) for other in ("1.2.3", "1.2.4", "1.3", "2.0")] == [0, 1, 2, 3]
    assert jump("2.0rc1", "2.0") == 1
