"""What is said of a hybrid's run that drifts."""

from __future__ import annotations

from pytest_mlcontainer.mixing.words import size_of, what_drifts
from pytest_mlcontainer.model import Difference, Verdict

SHAPE = Difference("flags.json", "flagged", Verdict.DRIFT)
CENTRES = Difference("model.npz", "centres", Verdict.DRIFT, max_abs=20.4)
INERTIA = Difference("model.npz", "inertia", Verdict.DRIFT, max_abs=47.8)


def test_the_size_is_that_of_the_place_that_is_named() -> None:
    """And not that of another one, which is measured in another unit."""
    assert what_drifts((CENTRES, INERTIA)) == "model.npz:centres drifts"
    assert size_of((CENTRES, INERTIA)) == " (max abs 20.4)"
    assert size_of((SHAPE, INERTIA)) == ""
    assert size_of(()) == ""
