"""A drift in nothing but what a method leaves open proposes the rule for that, which was tried."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest

from pytest_mlcontainer import config
from pytest_mlcontainer.compare import compare_outputs, verdict_of
from pytest_mlcontainer.model import Output, Verdict
from pytest_mlcontainer.report.acceptance import acceptance

Content = np.ndarray | str
COMPONENTS = np.random.default_rng(4).normal(size=(5, 8))
TURNED = COMPONENTS * np.array([1, -1, 1, 1, -1])[:, None]
LABELS = np.random.default_rng(3).integers(0, 4, 60)
RENAMED = np.array([2, 0, 3, 1])[LABELS]


def written(path: Path, content: Content) -> tuple[Output, ...]:
    if isinstance(content, str):
        path.write_text(content)
    else:
        with path.open("wb") as file:
            np.save(file, content)
    return (Output(f"outputs/a{path.suffix}", path, path.stat().st_size),)


def proposed(folder: Path, suffix: str, actual: Content, expected: Content) -> str:
    """The freedom that is proposed, once the line has been tried; "" for none."""
    sides = [
        written(folder / f"{name}{suffix}", content)
        for name, content in (("actual", actual), ("expected", expected))
    ]
    differences, _notes = compare_outputs(sides[0], sides[1], ())
    assert verdict_of(differences) is Verdict.DRIFT
    worst = next(each for each in differences if not each.verdict.passes)
    line = acceptance(worst)
    if line is None or not worst.free:
        assert line is None or "free" not in line.line
        return ""
    rules = config.parse_rules(tomllib.loads(line.line))
    assert verdict_of(compare_outputs(sides[0], sides[1], rules)[0]).passes
    assert line.hides.startswith(("which ", "in which order"))
    assert "leave open" in worst.note or "in another order" in worst.note
    return worst.free


def as_column(values: np.ndarray) -> str:
    return "cell,value\n" + "".join(f"c{at},{value}\n" for at, value in enumerate(values))


@pytest.mark.parametrize(
    ("suffix", "actual", "expected", "free"),
    [
        (".json", '["b", "d", "a"]', '["a", "b", "d"]', "unordered = true"),
        (".json", '{"n": [9, 1, 5, 2]}', '{"n": [1, 2, 5, 9]}', "unordered = true"),
        (".yaml", "top: [x, y, z]", "top: [z, y, x]", "unordered = true"),
        (".json", "[0.5, -0.25, 0.75]", "[-0.5, 0.25, -0.75]", 'free = "sign"'),
        (".json", "[2, 2, 0, 0, 1, 1]", "[0, 0, 1, 1, 2, 2]", 'free = "labels"'),
        (".npy", np.arange(40.0)[::-1], np.arange(40.0), "unordered = true"),
        # Twice the same may as well be two labels that flipped.
        (".json", '["a", "b", "a", "c"]', '["b", "a", "a", "c"]', ""),
        (".json", "[true, false, true]", "[false, true, true]", ""),
        (".npy", TURNED * (1 + 1e-13), COMPONENTS, 'free = "sign"'),
        (".npy", TURNED.T.copy(), COMPONENTS.T.copy(), 'free = "sign", axis = 1'),
        (".npy", COMPONENTS[[2, 0, 1, 4, 3]], COMPONENTS, 'free = "order"'),
        (".npy", TURNED[[2, 0, 1, 4, 3]], COMPONENTS, 'free = ["sign", "order"]'),
        (".npy", RENAMED, LABELS, 'free = "labels"'),
        (".json", str(TURNED.tolist()), str(COMPONENTS.tolist()), 'free = "sign"'),
        (".csv", as_column(-COMPONENTS[0]), as_column(COMPONENTS[0]), 'free = "sign"'),
        (".csv", as_column(RENAMED), as_column(LABELS), 'free = "labels"'),
        (
            ".csv",
            as_column(np.array([*"ABCD"])[RENAMED]),
            as_column(np.array([*"ABCD"])[LABELS]),
            'free = "labels"',
        ),
    ],
)
def test_what_a_method_leaves_open_is_proposed_in_place_of_a_bound(
    tmp_path: Path, suffix: str, actual: Content, expected: Content, free: str
) -> None:
    assert proposed(tmp_path, suffix, actual, expected) == free


@pytest.mark.parametrize(
    ("suffix", "actual", "expected"),
    [
        (".npy", TURNED * 1.03, COMPONENTS),
        (".npy", np.where(np.arange(60) < 6, LABELS, RENAMED), LABELS),
        (".npy", LABELS + 1, LABELS),
        (".csv", as_column(np.arange(60)[::-1]), as_column(np.arange(60))),
        (".npy", LABELS % 2 == 0, LABELS % 2 == 1),
        (".npy", 1 - LABELS % 2, LABELS % 2),
        # A rule would see the column as one vector, and its lists are turned one by one.
        (
            ".jsonl",
            "".join(f'{{"v": {row.tolist()}}}\n' for row in TURNED),
            "".join(f'{{"v": {row.tolist()}}}\n' for row in COMPONENTS),
        ),
        # Whole numbers and others are judged apart: what one part leaves open, the item may not.
        (".json", "[3, 3, -0.5, 0.25, -0.75, 1.5]", "[3, 3, 0.5, -0.25, 0.75, -1.5]"),
    ],
    ids=[
        "moved",
        "other groups",
        "other labels",
        "ids",
        "flags",
        "one of two",
        "lists",
        "whole numbers",
    ],
)
def test_what_no_freedom_explains_is_given_none(
    tmp_path: Path, suffix: str, actual: Content, expected: Content
) -> None:
    assert proposed(tmp_path, suffix, actual, expected) == ""
