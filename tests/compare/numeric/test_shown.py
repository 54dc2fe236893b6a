"""Two values as text: of long ones that begin alike, the place where they part."""

from __future__ import annotations

import json

import pytest

from pytest_mlcontainer.compare.numeric.shown import value_texts
from tests.fixture_types import Compare

_LONG = "lorem ipsum " * 40


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.json", lambda text: json.dumps({"t": text})),
        ("a.json", lambda text: json.dumps({"t": [text, "x"] * 200})),
        ("a.csv", lambda text: f'id,t\n1,"{text}"\n'),
    ],
)
def test_where_long_texts_part_is_seen(compare: Compare, name: str, write: object) -> None:
    assert callable(write)
    found, _notes = compare(name, *(write(f"{_LONG}{end}").encode() for end in ("dog", "cat")))
    (differs,) = (each for each in found if not each.verdict.passes)
    assert differs.worst_actual == f"…{_LONG[-60:]}dog"
    assert differs.worst_expected == f"…{_LONG[-60:]}cat"


def test_texts_that_are_short_or_part_early_are_shown_from_their_beginning() -> None:
    assert value_texts("a" * 100 + "b", "a" * 100) == ("a" * 100 + "b", "a" * 100)
    early = value_texts("b" + _LONG, "a" + _LONG)
    assert [text[:3] for text in early] == ["blo", "alo"]
    assert all(len(text) == 200 for text in early)
    ends = value_texts(_LONG + "z" * 500, _LONG)
    assert [text[0] for text in ends] == ["…", "…"]
    assert len(ends[0]) == 200
