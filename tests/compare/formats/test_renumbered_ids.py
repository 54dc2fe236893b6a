"""Ids that other records refer to, given anew: drift, which says that they were renumbered."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_mlcontainer.compare import verdict_of
from pytest_mlcontainer.model import Verdict
from tests.fixture_types import Compare

_SAID = "ids renumbered consistently, one for one: "


def _annotations(image: int, first: int, refer: tuple[int, ...] = (0, 1, 1)) -> dict[str, Any]:
    return {
        "images": [{"id": image + 10 * at, "file_name": f"{at}.png"} for at in range(2)],
        "annotations": [
            {"id": first + at, "image_id": image + 10 * to, "category_id": 3, "bbox": [1.5, 2.5]}
            for at, to in enumerate(refer)
        ],
        "categories": [{"id": 3, "name": "cat"}],
    }


@pytest.mark.parametrize(
    ("image", "first", "moved"),
    [
        (500, 1, "images[*].id, annotations[*].image_id"),
        (500, 70, "images[*].id, annotations[*].id, annotations[*].image_id"),
    ],
)
def test_ids_that_refer_to_each_other_and_moved_together_are_drift_that_says_so(
    compare: Compare, image: int, first: int, moved: str
) -> None:
    found, _notes = compare("coco.json", _annotations(image, first), _annotations(1, 1))
    failing = [each for each in found if not each.verdict.passes]
    assert verdict_of(found) is Verdict.DRIFT
    assert failing
    assert all(each.note.endswith(_SAID + moved) for each in failing)


@pytest.mark.parametrize(
    "actual",
    [
        _annotations(500, 1, (0, 0, 1)),  # one annotation is of the other image
        {**_annotations(500, 1), "images": _annotations(600, 1)["images"]},
        {**_annotations(1, 1), "images": _annotations(1, 1)["images"][::-1]},
        _annotations(1, 70),  # to which nothing refers
    ],
)
def test_ids_that_lead_elsewhere_are_not_said_to_be_renumbered(
    compare: Compare, actual: dict[str, Any]
) -> None:
    found, _notes = compare("coco.json", actual, _annotations(1, 1))
    assert verdict_of(found) is Verdict.DRIFT
    assert not any("renumbered" in each.note for each in found)
