"""Which changes cannot be made without others."""

from __future__ import annotations

from pytest_mlcontainer.mixing.changes import changes
from pytest_mlcontainer.mixing.ties import Tie, closed, crossing, ties
from tests.mixing.image_contents import image, package

OLD = image(package("numpy", "1.26.4"), package("scipy", "1.11.4", "numpy<1.28.0,>=1.21.6"))
NEW = image(package("numpy", "2.4.1"), package("scipy", "1.17.0", "numpy<2.7,>=1.26.4"))


def test_ties_come_from_what_packages_require() -> None:
    """The new numpy needs the new scipy, since the old one refuses it; not the other way."""
    (tie,) = ties(changes(OLD, NEW), OLD, NEW)
    assert (tie.name, tie.needs) == ("numpy", "scipy")
    assert tie.why == "scipy 1.11.4 requires numpy<1.28.0,>=1.21.6, not 2.4.1"
    assert closed(["numpy"], [tie]) == {"numpy", "scipy"}
    assert closed(["scipy"], [tie]) == {"scipy"}


def test_a_package_that_comes_brings_what_it_requires() -> None:
    """And what it requires is not there before."""
    a, b = image(), image(package("a", "1", "b"), package("b", "1"))
    assert [(tie.name, tie.needs) for tie in ties(changes(a, b), a, b)] == [("a", "b")]


def test_ties_follow_one_another() -> None:
    """Also in a circle."""
    chain = [Tie("a", "b", ""), Tie("b", "c", ""), Tie("c", "a", "")]
    assert closed(["b"], chain) == {"a", "b", "c"}


def test_what_fails_alone_may_belong_to_what_it_is_required_by() -> None:
    """Undeclared ABIs: the packages that the failure names come first."""
    requires = ("scipy", "pandas", "other")
    a = image(package("numpy", "1.26"), *(package(name, "1", "numpy") for name in requires))
    b = image(package("numpy", "2.0"), *(package(name, "2", "numpy") for name in requires))
    found = changes(a, b)
    assert {tie.needs for tie in crossing(["numpy"], found)} == set(requires)
    assert {tie.needs for tie in crossing(["numpy"], found, ["pandas"])} == {"pandas"}
    assert crossing(["numpy", *requires], found) == ()
