"""Rows of numbers are a table, whatever the file is called; other text has numbers in it."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest

from pytest_mlcontainer.model import Tolerance, Verdict
from tests.fixture_types import Compare


def saved(values: Any, **given: Any) -> bytes:
    stream = io.BytesIO()
    np.savetxt(stream, values, **given)
    return stream.getvalue()


@pytest.fixture
def product() -> tuple[Any, Any]:
    """A product in float64, summed in two orders: elements near zero among others."""
    rng = np.random.default_rng(3)
    left, right = rng.standard_normal((2, 60, 60))
    order = rng.permutation(60)
    return left @ right, left[:, order] @ right[order]


@pytest.mark.parametrize("name", ["scores.txt", "scores.dat", "scores"])
def test_rounding_noise_in_savetxt_files_is_no_drift(
    compare: Compare, product: tuple[Any, Any], name: str
) -> None:
    differences, _ = compare(name, saved(product[0]), saved(product[1]))
    assert {found.verdict for found in differences} <= {Verdict.IDENTICAL, Verdict.EQUIVALENT}
    assert any(found.verdict is Verdict.EQUIVALENT for found in differences)


def test_float32_values_are_judged_as_float32(compare: Compare) -> None:
    values = np.random.default_rng(0).random(300, dtype=np.float32)
    differences, _ = compare("p.txt", saved(np.nextafter(values, np.float32(2))), saved(values))
    assert [found.verdict for found in differences] == [Verdict.EQUIVALENT]
    assert "float32" in differences[0].rule


@pytest.mark.parametrize("given", [{}, {"delimiter": ","}, {"delimiter": ";"}, {"delimiter": "\t"}])
def test_a_value_that_drifts_is_found_with_its_column(
    compare: Compare, product: tuple[Any, Any], given: Any
) -> None:
    moved = product[0].copy()
    moved[17, 4] *= 1 + 1e-3
    differences, _ = compare("x.txt", saved(moved, **given), saved(product[0], **given))
    drifts = [found for found in differences if found.verdict is Verdict.DRIFT]
    assert [(found.item, found.worst_index) for found in drifts] == [("4", (17,))]


def test_comments_count(compare: Compare, product: tuple[Any, Any]) -> None:
    sides = [saved(product[0], header=header) for header in ("loss", "accuracy")]
    differences, _ = compare("x.txt", *sides)
    assert [found.verdict for found in differences] == [Verdict.DRIFT]
    assert differences[0].worst_actual == "# loss"


def test_another_number_of_rows_is_drift(compare: Compare, product: tuple[Any, Any]) -> None:
    differences, _ = compare("x.txt", saved(product[0][:-1]), saved(product[0]))
    assert Verdict.DRIFT in {found.verdict for found in differences}


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        ("12\n13\n", "12\n14\n"),
        ("1.5\n007\n", "1.5\n07\n"),
        ("1.5 2.5\n1.5\n", "1.5 2.5\n1.6\n"),
        ("0.5\n0.5x\n", "0.5\n0.5y\n"),
        ("0.50\n", "0.5\n"),
    ],
)
def test_what_is_no_table_of_numbers_stays_text(
    compare: Compare, actual: str, expected: str
) -> None:
    differences, _ = compare("x.txt", actual.encode(), expected.encode())
    assert [(found.verdict, found.unit) for found in differences] == [(Verdict.DRIFT, "lines")]


def test_a_rule_with_patterns_keeps_it_text(compare: Compare) -> None:
    rule = Tolerance(patterns=(r"\d{10}\.\d+",))
    sides = [b"1732791234.25\n0.5\n", b"1732799999.75\n0.5\n"]
    differences, _ = compare("x.txt", *sides, rule)
    assert [found.verdict for found in differences] == [Verdict.EQUIVALENT]


@pytest.mark.parametrize(
    ("actual", "expected", "verdict"),
    [
        ("loss: 0.6931471805599452", "loss: 0.6931471805599453", Verdict.EQUIVALENT),
        ("loss: 0.6931471805599452", "loss: 0.6931481805599453", Verdict.DRIFT),
        ("loss: 0.6931471805599452", "cost: 0.6931471805599453", Verdict.DRIFT),
        ("rows 123456789", "rows 123456788", Verdict.DRIFT),
        ("torch 2.10", "torch 2.1", Verdict.DRIFT),
        ("rate 1e-3", "rate .001", Verdict.EQUIVALENT),
    ],
)
def test_decimals_in_text_have_the_default_tolerance(
    compare: Compare, actual: str, expected: str, verdict: Verdict
) -> None:
    differences, _ = compare("x.txt", f"{actual}\nend\n".encode(), f"{expected}\nend\n".encode())
    assert [found.verdict for found in differences] == [verdict]


def test_an_exact_rule_compares_text_as_it_is_written(compare: Compare) -> None:
    sides = [b"loss: 0.6931471805599452\n", b"loss: 0.6931471805599453\n"]
    differences, _ = compare("x.txt", *sides, Tolerance(exact=True))
    assert [found.verdict for found in differences] == [Verdict.DRIFT]


def test_float64_that_holds_float32_is_judged_as_float32(compare: Compare) -> None:
    values = np.random.default_rng(1).random(1000, dtype=np.float32)
    near, far = np.nextafter(values, np.float32(2)), values * np.float32(1 + 1e-4)
    for actual, verdict in ((near, Verdict.EQUIVALENT), (far, Verdict.DRIFT)):
        sides = actual.astype(np.float64), values.astype(np.float64)
        differences, _ = compare("p.npy", *sides)
        assert [found.verdict for found in differences] == [verdict]
        assert "float32" in differences[0].rule
        assert "holds float32" in differences[0].note


@pytest.mark.parametrize("kind", ["one is no float32", "fractions of a power of two", "a rule"])
def test_float64_stays_float64_without_evidence(compare: Compare, kind: str) -> None:
    values = np.random.default_rng(1).random(1000, dtype=np.float32)
    actual, expected = np.nextafter(values, np.float32(2)).astype(float), values.astype(float)
    rule = None
    if kind == "one is no float32":
        actual[5] = expected[5] = 0.1
    elif kind == "a rule":
        rule = Tolerance(rtol=1e-9)
    else:
        expected = np.arange(2**19, 2**19 + 1000) / 2**20
        actual = expected + 2.0**-20
    differences, _ = compare("p.npy", actual, expected, rule)
    assert [found.verdict for found in differences] == [Verdict.DRIFT]
