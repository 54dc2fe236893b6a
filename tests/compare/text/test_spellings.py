"""What docs/reference/comparing.md says of two spellings of one value, in every textual format."""

from __future__ import annotations

import pytest

from pytest_mlcontainer.compare import verdict_of
from tests.fixture_types import Compare


@pytest.mark.parametrize(
    ("name", "actual", "expected", "passes"),
    [
        ("a.txt", "lr 1e-3", "lr 0.001", True),
        ("a.txt", "lr .001", "lr 0.001", True),
        ("a.txt", "lr 3.1", "lr 3.10", False),
        ("a.txt", "lr 1", "lr 1.0", False),
        ("a.json", '{"lr": "1e-3"}', '{"lr": "0.001"}', True),
        ("a.json", '{"lr": "3.1"}', '{"lr": "3.10"}', False),
        ("a.csv", "lr\n1e-3\n", "lr\n0.001\n", True),
        ("a.txt", "ok True", "ok true", False),
        ("a.csv", "ok\nTrue\n", "ok\ntrue\n", False),
        ("a.yaml", "ok: True", "ok: true", True),
        ("a.csv", "p\n1e-300\n0.5\n", "p\n0\n0.5\n", True),
        ("a.json", '{"p": [1e-300, 0.5]}', '{"p": [0.0, 0.5]}', True),
        ("a.json", '{"p": 1e-300}', '{"p": 0.0}', False),
        ("a.csv", "p\n1e-300\n", "p\n0\n", False),
        ("a.txt", "p 1e-300", "p 0", False),
    ],
)
def test_spellings_of_one_value(
    compare: Compare, name: str, actual: str, expected: str, passes: bool
) -> None:
    """Numbers may be written in other ways, words may not; a tiny number needs others beside it."""
    found, _notes = compare(name, f"{actual}\n".encode(), f"{expected}\n".encode())
    assert verdict_of(found).passes is passes
