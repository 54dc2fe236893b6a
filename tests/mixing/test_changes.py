"""The changes between two images: what counts as one, and which is suspected first."""

from __future__ import annotations

from dataclasses import replace

from pytest_mlcontainer.mixing.changes import BASE, ENV, PROJECT, ImageChangeKind, changes
from pytest_mlcontainer.mixing.contents import Contents
from tests.mixing.image_contents import image, package


def names_of(a: Contents, b: Contents, project: str = "") -> list[str]:
    return [change.name for change in changes(a, b, project)]


def test_changes_are_what_differs_the_suspicious_first() -> None:
    """Numeric before others, majors before patches, tooling last; nothing that is the same."""
    a = image(
        package("pip", "24.0"), package("numpy", "1.26.4", compiled=True), package("same", "1"),
        package("alpha", "1.0.0"), package("beta", "1.0.0"),
    )  # fmt: skip
    b = image(
        package("pip", "26.0"), package("numpy", "2.4.1", compiled=True), package("same", "1"),
        package("alpha", "1.0.1"), package("beta", "2.0.0"),
    )  # fmt: skip
    assert names_of(a, b) == ["numpy", "beta", "alpha", "pip"]
    assert changes(a, b)[0].text == "numpy 1.26.4 → 2.4.1"


def test_another_build_of_one_version_is_a_change() -> None:
    """Equal versions with other contents: another BLAS inside, say."""
    mine = package("numpy", "2.0")
    (change,) = changes(image(mine), image(replace(mine, digest="other")))
    assert change.text == "numpy 2.0, another build"


def test_what_only_one_image_has_is_a_change() -> None:
    """An accelerator that is found, or not, decides as much as its version."""
    found = changes(image(package("mkl", "1")), image(package("numba", "2")))
    assert {change.text for change in found} == {"mkl 1 → not installed", "numba not installed → 2"}


def test_what_only_one_image_has_is_named_with_the_packages_that_require_it() -> None:
    """As pytz, which pandas 2 brings along and pandas 3 does not."""
    a = image(package("pandas", "2.3.3", "numpy>=1", "pytz>=2020.1"), package("pytz", "2025.2"))
    b = image(package("pandas", "3.1.1", "numpy>=1"))
    texts = {change.name: change.text for change in changes(a, b)}
    assert texts["pytz"] == "pytz 2025.2 → not installed (pandas 2.3.3 requires it)"
    texts = {change.name: change.text for change in changes(b, a)}
    assert texts["pytz"] == "pytz not installed → 2025.2 (pandas 2.3.3 requires it)"


def test_the_project_is_one_change_with_its_own_distribution() -> None:
    """Files of the working directory, the installed project, and where it is."""
    a = image(package("bikes", "0.1"), package("tool", "1", own=True), project=(("a.py", "1"),))
    b = image(package("bikes", "0.2"), package("tool", "2", own=True), project=(("a.py", "2"),))
    (change,) = changes(a, b, "bikes")
    assert (change.name, change.kind) == (PROJECT, ImageChangeKind.PROJECT)
    assert {each.name for side in change.own for each in side} == {"bikes", "tool"}


def test_variables_of_the_system_are_no_change_of_their_own() -> None:
    """PATH and the like belong to the base image; values that may be secret are not shown."""
    a = image(env=(("PATH", "/a"), ("API_KEY", "old"), ("OMP_NUM_THREADS", "1")))
    b = image(env=(("PATH", "/b"), ("API_KEY", "new"), ("OMP_NUM_THREADS", "4")))
    (change,) = changes(a, b)
    assert (change.name, change.text) == (ENV, "ENV (API_KEY: … → …, OMP_NUM_THREADS: 1 → 4)")


def test_all_else_is_the_base_image() -> None:
    """Its text names Python, system and libc where these differ, else files."""
    a = image(base=(("/lib/libm.so.6", "1"),), libc="glibc 2.36")
    b = image(base=(("/lib/libm.so.6", "2"),), libc="glibc 2.41")
    (change,) = changes(a, b)
    assert (change.name, change.text) == (BASE, "the base image (libc glibc 2.36 → glibc 2.41)")
    (change,) = changes(a, replace(b, libc=a.libc))
    assert "/lib/libm.so.6" in change.text


def test_a_package_called_like_one_of_our_words_keeps_apart_from_it() -> None:
    """There is a package `env` on the index."""
    a = image(package("env", "1"), env=(("A", "1"),))
    b = image(package("env", "2"), env=(("A", "2"),))
    assert sorted(names_of(a, b)) == [ENV, "env (package)"]
