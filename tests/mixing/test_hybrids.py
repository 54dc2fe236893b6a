"""Hybrid images as plans: what one begins with, and what the other gives."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_mlcontainer.mixing.building import dockerfile
from pytest_mlcontainer.mixing.changes import BASE, ENV, PROJECT, changes
from pytest_mlcontainer.mixing.contents import Contents
from pytest_mlcontainer.mixing.hybrids import ImagePair, Wheels, fitted, needs_wheel, plan_hybrid
from pytest_mlcontainer.mixing.sides import Side
from pytest_mlcontainer.model import Entrypoint, Image, Platform
from tests.mixing.image_contents import image, package

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")


def side(name: str, contents: Contents, **config: object) -> Side:
    made = Image(f"{name}:1", f"sha256:{name}", AMD64, workdir="/app", env=contents.env)
    return Side(name, contents, replace(made, **config))


def pair_of(a: Contents, b: Contents, **other: object) -> ImagePair:
    return replace(ImagePair(side("a", a), side("b", b), changes(a, b)), **other)


FIRST = image(
    package("x", "1"), package("y", "1"), project=(("f", "1"),), env=(("A", "1"),), workdir="/app",
    base=(("/lib/l", "1"),),
)  # fmt: skip
SECOND = image(
    package("x", "2"), package("z", "2"), project=(("f", "2"),), env=(("B", "2"),), workdir="/app",
    base=(("/lib/l", "2"),),
)  # fmt: skip


def test_nothing_is_a_and_everything_is_b() -> None:
    """Neither needs a build."""
    pair = pair_of(FIRST, SECOND)
    for names, name in ((frozenset(), "a"), (pair.names, "b")):
        hybrid = plan_hybrid(pair, names)
        assert (hybrid.base.name, hybrid.needs_build, hybrid.env) == (name, False, ())


@pytest.mark.parametrize("names", [["x"], ["y"], ["z"], ["x", "y", "z", PROJECT]])
def test_packages_come_from_b_where_they_are_changed(names: list[str]) -> None:
    """Begun from A: what goes is A's, what comes is B's."""
    hybrid = plan_hybrid(pair_of(FIRST, SECOND), names)
    assert hybrid.base.name == "a"
    assert {each.name for each in hybrid.drop} == {"x", "y"} & set(names)
    assert {each.name for each in hybrid.take} == {"x", "z"} & set(names)
    assert {each.version for each in hybrid.take} <= {"2"}
    assert hybrid.project is (PROJECT in names)


def test_with_the_base_image_changed_all_else_comes_from_a() -> None:
    """Begun from B, with A's packages, code and variables put back."""
    hybrid = plan_hybrid(pair_of(FIRST, SECOND), [BASE, "x"])
    assert (hybrid.base.name, hybrid.donor.name, hybrid.project) == ("b", "a", True)
    assert {each.name for each in hybrid.drop} == {"z"}
    assert [(each.name, each.version) for each in hybrid.take] == [("y", "1")]
    assert (hybrid.env, hybrid.unset) == ((("A", "1"),), ("B",))
    assert dockerfile(hybrid).startswith("FROM b:1\n")


def test_variables_are_given_to_the_run_and_the_entrypoints_own_win() -> None:
    """So that no secret is built in; what A has and B has not is taken away."""
    hybrid = plan_hybrid(pair_of(FIRST, SECOND), [ENV])
    assert not hybrid.needs_build
    entry = fitted(Entrypoint("e", ("python", "e.py")), hybrid)
    assert (entry.entrypoint, entry.command) == (("env",), ("-u", "A", "python", "e.py"))
    assert entry.env == (("B", "2"),)
    entry = fitted(Entrypoint("e", ("python", "e.py"), env=(("A", "3"), ("B", "4"))), hybrid)
    assert (entry.entrypoint, dict(entry.env)) == (None, {"A": "3", "B": "4"})


def test_how_an_image_starts_goes_with_the_project() -> None:
    """Its ENTRYPOINT, CMD and WORKDIR say how that code is run."""
    a = side("a", FIRST, command=("python", "old.py"))
    b = side("b", SECOND, entrypoint=("python",), command=("new.py",), workdir="/srv")
    pair = ImagePair(a, b, changes(FIRST, SECOND))
    entry = fitted(Entrypoint("e"), plan_hybrid(pair, [PROJECT]))
    assert (entry.entrypoint, entry.command, entry.workdir) == (("python",), ("new.py",), "/srv")
    entry = fitted(Entrypoint("e"), plan_hybrid(pair, ["x"]))
    assert (entry.entrypoint, entry.command, entry.workdir) == (None, (), None)


def test_what_was_compiled_for_another_python_is_installed_from_a_wheel() -> None:
    """Files of another minor version cannot be loaded; pure packages are moved all the same."""
    a = image(package("fast", "1", compiled=True), package("pure", "1"))
    b = image(package("fast", "2", compiled=True), package("pure", "2"))
    b = replace(b, python="3.11.9", cache_tag="cpython-311")
    wheels = (Wheels("wheels:1", (("fast", "/w/fast.whl"),)), Wheels())
    hybrid = plan_hybrid(pair_of(a, b, wheels=wheels), ["fast", "pure"])
    assert hybrid.install == ("/w/fast.whl",)
    assert [each.name for each in hybrid.take] == ["pure"]
    assert '"/w/fast.whl"' in dockerfile(hybrid)


# Across architectures, as data


def test_machine_code_of_one_version_is_the_platform_itself() -> None:
    """Only another version of it is a change, and another build of what is not compiled."""
    a = image(
        package("fast", "1", compiled=True, digest="a"), package("pure", "1", digest="a"),
        package("new", "1", compiled=True), machine="x86_64",
    )  # fmt: skip
    b = image(
        package("fast", "1", compiled=True, digest="b"), package("pure", "1", digest="b"),
        package("new", "2", compiled=True), machine="aarch64",
    )  # fmt: skip

    assert {each.name for each in changes(a, b)} == {"new", "pure"}


def test_machine_code_comes_as_a_wheel_and_all_else_is_moved() -> None:
    """The image that is begun with stays of its own platform, with everything changed too."""
    a = image(package("fast", "1", compiled=True), package("pure", "1"))
    b = image(package("fast", "2", compiled=True), package("pure", "2"), machine="aarch64")
    assert needs_wheel(b, a, b.distributions[0])
    assert not needs_wheel(b, a, b.distributions[1])
    wheels = (Wheels("wheels:1", (("fast", "/w/fast.whl"),)), Wheels())

    sides = (
        Side(str(platform), each, Image(f"{platform.architecture}:1", "sha256:1", platform))
        for platform, each in ((AMD64, a), (ARM64, b))
    )
    pair = ImagePair(*sides, changes(a, b), wheels)

    hybrid = plan_hybrid(pair, ["fast", "pure"])

    assert hybrid.base.name == "linux/amd64"
    assert hybrid.install == ("/w/fast.whl",)
    assert [each.name for each in hybrid.take] == ["pure"]
    lines = dockerfile(hybrid).splitlines()
    assert lines[:2] == ["FROM --platform=linux/arm64 arm64:1 AS donor", "FROM amd64:1"]
    assert "--mount=type=bind,from=donor," in lines[-1]
