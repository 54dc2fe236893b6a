"""When what was tested may be published: only when all of it passed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_mlcontainer.pipeline.release import (
    EXPECTED,
    FAILED,
    SKIPPED,
    SessionTests,
    why_held_back,
)

ALL = SessionTests(wanted=("p::a", "p::b"), passed=frozenset({"p::a", "p::b"}), others={})


def test_all_that_passed_is_published() -> None:
    """Tests of the project's own beside the plan are welcome."""
    assert why_held_back(ALL) == ""
    assert why_held_back(replace(ALL, passed=ALL.passed | {"test_a.py::test"})) == ""


@pytest.mark.parametrize(
    ("tests", "why"),
    [
        (replace(ALL, others={"p::a": FAILED}), "1 test failed: p::a"),
        (replace(ALL, others={"p::b": SKIPPED}), "1 test skipped: p::b"),
        (replace(ALL, others={"t::x": EXPECTED}), "1 test expected to fail: t::x"),
        (replace(ALL, others={"p::a": SKIPPED, "p::b": FAILED}), "1 test failed: p::b"),
        (replace(ALL, passed=frozenset({"p::a"})), "1 test was not run, so that not all is tested"),
        (replace(ALL, passed=frozenset()), "2 tests were not run, so that not all is tested"),
        (replace(ALL, left_out=("t::x",)), "1 test was not run, so that not all is tested: t::x"),
        (replace(ALL, is_whole=False), "the session did not pass, or did not come to its end"),
    ],
)
def test_anything_less_is_not(tests: SessionTests, why: str) -> None:
    assert why_held_back(tests).startswith(why)
