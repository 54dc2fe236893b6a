"""Which variables may help, by what is in the image."""

from __future__ import annotations

import pytest

from pytest_mlcontainer.model import Entrypoint, Facts, Limits, Platform, Situation
from pytest_mlcontainer.variations import FAMILIES
from pytest_mlcontainer.variations.cure_settings import KNOWN, RANDOMNESS, settings_for

PLAIN = {"python.version": "3.13.1", "libc": "glibc 2.36", "user.home": "/root"}
NUMPY = {**PLAIN, "package.numpy": "2.4.1", "blas.kernel": "Haswell"}


def _situation(
    facts: dict[str, str], env: tuple[tuple[str, str], ...] = (), architecture: str = "amd64"
) -> Situation:
    entry = Entrypoint("train", env=env, limits=Limits())
    return Situation(Platform("linux", architecture), Facts(tuple(sorted(facts.items()))), entry)


def _values(families: set[str], situation: Situation) -> dict[str, str]:
    return {each.name: each.value for each in settings_for(frozenset(families), situation)}


def test_only_what_something_reads_is_offered() -> None:
    assert _values({"threads"}, _situation(PLAIN)) == {}
    found = _values({"threads"}, _situation(NUMPY))
    assert found == {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


@pytest.mark.parametrize(
    ("version", "value"), [("2.4.0", "X86_V3"), ("2.3.5", "AVX2"), ("1.19.5", None)]
)
def test_names_of_instructions_are_those_of_the_version(version: str, value: str | None) -> None:
    found = _values({"simd"}, _situation({**PLAIN, "package.numpy": version}))
    assert found.get("NPY_DISABLE_CPU_FEATURES", "none").split()[0] == (value or "none")


def test_values_are_those_of_the_architecture() -> None:
    assert _values({"blas-kernel"}, _situation(NUMPY)) == {"OPENBLAS_CORETYPE": "Nehalem"}
    arm = _situation(NUMPY, architecture="arm64")
    assert _values({"blas-kernel"}, arm) == {"OPENBLAS_CORETYPE": "ARMV8"}
    assert _values({"libm"}, arm) == {}


def test_what_the_project_sets_keeps_its_value() -> None:
    (found,) = settings_for(frozenset({"hash-seed"}), _situation(PLAIN, (("PYTHONHASHSEED", "7"),)))
    assert (found.value, found.is_there) == ("7", True)


def test_what_holds_several_things_is_joined() -> None:
    """A tunable of another kind stays; one of the same kind gives way."""
    there = "glibc.malloc.check=3:glibc.cpu.hwcaps=-AVX512F"
    (found,) = settings_for(frozenset({"libm"}), _situation(PLAIN, (("GLIBC_TUNABLES", there),)))
    assert found.value == "glibc.malloc.check=3:glibc.cpu.hwcaps=-AVX2,-FMA"
    assert not found.is_there


def test_old_tunables_have_old_names() -> None:
    found = _values({"libm"}, _situation({**PLAIN, "libc": "glibc 2.31"}))
    assert found == {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2_Usable,-FMA_Usable"}


def test_a_fact_of_the_image_may_be_the_value() -> None:
    assert _values({"home"}, _situation(PLAIN)) == {"HOME": "/root"}


@pytest.mark.parametrize(("version", "there"), [("3.12.9", False), ("3.13.0", True)])
def test_a_python_that_does_not_read_it_is_not_offered_it(version: str, there: bool) -> None:
    facts = {**PLAIN, "python.version": version}
    assert ("PYTHON_CPU_COUNT" in _values({"cpus"}, _situation(facts))) == there


def test_each_row_answers_to_a_variation_and_says_where_it_is_documented() -> None:
    names = {family.name for family in FAMILIES} | {RANDOMNESS}
    for row in KNOWN:
        assert set(row.families) <= names
        assert row.families
        assert row.source
