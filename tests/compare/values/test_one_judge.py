"""One judge: whichever way two values are compared, the verdict is the same, at extremes too."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import ml_dtypes
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pytest_mlcontainer.compare import compare_outputs
from pytest_mlcontainer.compare.numeric.measure import array_of
from pytest_mlcontainer.compare.numeric.meter import Meter
from pytest_mlcontainer.compare.numeric.numbers import bring_together
from pytest_mlcontainer.compare.numeric.tolerance import FLOAT32, make_bound, precision_of
from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.summary.items import summarise
from pytest_mlcontainer.compare.summary.stored import write_summary
from pytest_mlcontainer.compare.values.arrays import compare_arrays
from pytest_mlcontainer.compare.values.few import FewValues, passes, were_float32
from pytest_mlcontainer.compare.values.location import ItemLocation
from pytest_mlcontainer.model import Difference, Output, Rule, Tolerance, Verdict

BIG = float(np.finfo(np.float64).max)
TINY = float(np.finfo(np.float64).tiny)
CORNERS = (
    *(0.0, -0.0, 1.0, 1 + 2e-15, 1.001, -1.0, 3.0, 0.1, 1e-9, 1e9),
    *(BIG, -BIG, BIG / 2, math.nextafter(BIG, 0), 1e200, 3.4e38, 3.5e38),
    *(TINY, math.nextafter(TINY, 0), 5e-324, -5e-324, 1e-310, 1.2e-38, 1e-45),
    *(2.0**53, 2.0**53 + 2, -(2.0**53), 2.0**63, 65504.0, 65536.0),
)
FINITE = st.one_of(st.sampled_from(CORNERS), st.floats(allow_nan=False, allow_infinity=False))
FLOATS = st.one_of(st.sampled_from((math.nan, math.inf, -math.inf)), FINITE)
INTEGERS = st.one_of(
    st.sampled_from((0, 1, -1, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63), 10**18)),
    st.integers(-(2**63), 2**63 - 1),
)
TOLERANCES = st.sampled_from(
    (
        Tolerance(),
        Tolerance(rtol=1e-3),
        Tolerance(rtol=0.0, atol=0.0),
        Tolerance(rtol=1.5),
        Tolerance(atol=1e-3),
        Tolerance(rtol=1e300),
        Tolerance(rtol=1e-3, atol=5e-324),
        Tolerance(scale=1.0),
        Tolerance(scale=1e6),
        Tolerance(rtol=1e-9, scale=128.0),
        Tolerance(ulp=0),
        Tolerance(ulp=4),
        Tolerance(margin=0.0),
        Tolerance(margin=1e308),
        Tolerance(exact=True),
    )
)
DTYPES = ("float16", "bfloat16", "float32", "float64", "complex64", "complex128")


def by_arrays(actual: Any, expected: Any, tolerance: Tolerance) -> Difference:
    book = RuleBook((Rule("x", None, tolerance),))
    (found,) = compare_arrays(ItemLocation("x"), array_of(actual), array_of(expected), book)
    return found


def numbers_of(found: Difference) -> tuple[object, ...]:
    return (
        found.verdict,
        found.differing,
        found.beyond,
        found.max_abs,
        found.max_rel,
        found.max_ulp,
        found.scale_error,
        found.worst_index,
    )


def nearly(value: Any, other: Any) -> bool:
    return value == other or (
        isinstance(value, float) and isinstance(other, float) and math.isclose(value, other)
    )


@settings(deadline=None, max_examples=400)
@given(st.lists(st.tuples(FINITE, FINITE), min_size=1, max_size=5), TOLERANCES)
@example([(BIG, -BIG)], Tolerance())
@example([(BIG, -BIG)], Tolerance(margin=1e308))
@example([(0.0, 5e-324)], Tolerance())
@example([(0.0, 2.0**-149)], Tolerance())
@example([(0.5, 0.5), (3 * 2.0**-149, 2.0**-149)], Tolerance())
@example([(-0.0, 0.0)], Tolerance(exact=True))
def test_few_numbers_are_judged_as_arrays_are(
    pairs: list[tuple[float, float]], tolerance: Tolerance
) -> None:
    """Numbers in documents, without NumPy, get what the same numbers in an npy get."""
    actual, expected = ([pair[side] for pair in pairs] for side in (0, 1))
    book = RuleBook((Rule("x", None, tolerance),))
    shape = (len(pairs),)
    few = FewValues().compare_numbers(ItemLocation("x"), actual, expected, shape, book.find("x"))
    if few is None:
        return  # left to arrays by itself
    both = bring_together(np.array(actual), np.array(expected))
    place = ItemLocation("x", judged_as=both.judged_as)
    (whole,) = compare_arrays(place, array_of(both.actual), array_of(both.expected), book)
    assert few.rule == whole.rule
    assert all(map(nearly, numbers_of(few), numbers_of(whole))), (few, whole)


@settings(deadline=None, max_examples=300)
@given(INTEGERS, INTEGERS, TOLERANCES)
@example(2**63 - 1, -(2**63), Tolerance(rtol=1.5))
@example(2**53 + 1, 2**53, Tolerance())
def test_huge_integers_are_judged_as_arrays_are(
    actual: int, expected: int, tolerance: Tolerance
) -> None:
    """Also where their distance needs more than 64 bits, or float64 would round them together."""
    book = RuleBook((Rule("x", None, tolerance),))
    few = FewValues().compare_numbers(ItemLocation("x"), [actual], [expected], (), book.find("x"))
    assert few is not None
    whole = by_arrays(np.array(actual), np.array(expected), tolerance)
    assert all(map(nearly, numbers_of(few), numbers_of(whole))), (few, whole)
    assert passes(actual, expected, tolerance) == whole.verdict.passes


@settings(deadline=None, max_examples=400)
@given(FLOATS, FLOATS, TOLERANCES)
@example(0.0, 2.0**-149, Tolerance())
@example(2.0**-149, 5 * 2.0**-149, Tolerance())
@example(0.0, 2.0**-149, Tolerance(scale=1.0))
def test_one_number_in_a_text_is_judged_as_an_array_is(
    actual: float, expected: float, tolerance: Tolerance
) -> None:
    """Text and logs hold numbers that are judged one by one."""
    if math.isnan(actual) and math.isnan(expected):
        return  # equal as text, before anyone asks
    whole = by_arrays(np.array(actual), np.array(expected), tolerance)
    assert passes(actual, expected, tolerance) == whole.verdict.passes, whole


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from(("float32", "float64")),
    st.integers(0, 2**32 - 1),
    st.sampled_from((1e-9, 1e-7, 2e-6, 1e-5, 1e-3)),
    st.sampled_from((1e-42, 1e-38, 1.0, 1e37)),
    st.lists(st.tuples(st.integers(0, 511), FLOATS, FLOATS), max_size=4),
    TOLERANCES,
)
def test_the_dense_way_judges_as_element_by_element(
    dtype: str,
    seed: int,
    noise: float,
    size: float,
    special: list[tuple[int, float, float]],
    tolerance: Tolerance,
) -> None:
    """A tile measured whole has the verdict, counts and maxima of one picked apart."""
    rng = np.random.default_rng(seed)
    with np.errstate(all="ignore"):
        expected = (rng.standard_normal(512) * size).astype(dtype)
        actual = (expected * (1 + noise * rng.standard_normal(512))).astype(dtype)
        for place, left, right in special:
            actual[place], expected[place] = left, right
    precision = precision_of(dtype)
    bound = make_bound(tolerance, precision)
    dense = Meter(expected.dtype, bound, precision, True)
    dense.add(0, (16, 32), actual, expected)
    # A meter that is told of no particular dtype picks elements one by one.
    apart = Meter(np.dtype(object), bound, precision, True)
    apart.add(0, (16, 32), actual, expected)
    one, other = dense.result(), apart.result()
    assert (one.differing, one.beyond, one.max_ulp, one.mismatched, one.beside_one) == (
        other.differing, other.beyond, other.max_ulp, other.mismatched, other.beside_one,
    )  # fmt: skip
    # The dense way rounds differences to the array's own precision, for what it shows.
    assert one.max_abs == pytest.approx(other.max_abs, rel=1e-6)
    assert one.max_rel == pytest.approx(other.max_rel, rel=1e-6)
    assert [each.position for each in one.worst][:1] == [each.position for each in other.worst][:1]


@settings(deadline=None, max_examples=300)
@given(
    st.sampled_from(DTYPES),
    st.lists(st.tuples(FLOATS, FLOATS), max_size=40),
    TOLERANCES,
    st.sampled_from(((-1,), (1, -1), (-1, 1))),
)
@example("bfloat16", [(0.0, 1e-9)] * 4, Tolerance(), (-1,))  # a bin around a power of ten
def test_what_is_shown_never_contradicts_itself(
    dtype: str, pairs: list[tuple[float, float]], tolerance: Tolerance, shape: tuple[int, ...]
) -> None:
    """Quantiles and histogram stay below the maximum; drift is what has elements beyond."""
    kind = np.dtype(getattr(ml_dtypes, dtype, dtype))
    if tolerance.ulp is not None and dtype == "bfloat16":
        return
    with np.errstate(all="ignore"):
        actual, expected = (
            np.array([pair[side] for pair in pairs]).astype(kind).reshape(shape if pairs else (0,))
            for side in (0, 1)
        )
    found = by_arrays(actual, expected, tolerance)
    assert (found.verdict is Verdict.DRIFT) == (found.beyond > 0)
    assert (found.verdict is Verdict.IDENTICAL) == (found.differing == 0)
    assert found.max_abs is not None
    assert all(error <= found.max_abs for _share, error in found.quantiles)
    if math.isfinite(found.max_abs):
        assert all(low <= found.max_abs for low, _high, count in found.histogram if count)
        assert all(high <= found.max_abs * 10.001 for _l, high, count in found.histogram if count)
    itself = by_arrays(expected, expected.copy(), tolerance)
    assert itself.verdict is Verdict.IDENTICAL


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("judge")


def written(path: Path, write: Callable[[Path], object]) -> Output:
    path.unlink(missing_ok=True)
    write(path)
    return Output("x", path, path.stat().st_size)


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from(("float16", "float32", "float64", "complex128")),
    st.lists(st.tuples(FLOATS, FLOATS), min_size=1, max_size=40),
    TOLERANCES,
)
@example("float64", [(BIG, BIG), (BIG, BIG), (-BIG, -BIG), (0.0, -0.0)], Tolerance())
@example("float64", [(BIG, BIG), (-BIG, -BIG), (1.0, 1 + 1e-15)], Tolerance())
@example("float64", [(1.0, BIG), (1.0, BIG / 2)], Tolerance())
@example("float64", [(0.0, 1.4e154)], Tolerance(margin=1e308))
@example("float64", [(1.4e154, 0.0)], Tolerance(margin=1e308))
def test_a_summary_that_holds_all_elements_is_judged_as_the_file_is(
    folder: Path, dtype: str, pairs: list[tuple[float, float]], tolerance: Tolerance
) -> None:
    """What is kept of a large file in a baseline decides as the file itself would."""
    with np.errstate(all="ignore"):
        actual, expected = (
            np.array([pair[side] for pair in pairs]).astype(dtype) for side in (0, 1)
        )
    sides = [
        written(folder / f"{side}.npy", partial(np.save, arr=values))
        for side, values in (("actual", actual), ("expected", expected))
    ]
    write_summary(folder / "summary.json", summarise(sides[1]))
    kept = replace(sides[1], summary=folder / "summary.json", path=folder / "summary.json")
    rules = (Rule("x", None, tolerance),)
    (whole,) = compare_outputs((sides[0],), (sides[1],), rules)[0]
    (found,) = compare_outputs((sides[0],), (kept,), rules)[0]
    assert found.verdict.passes == whole.verdict.passes, (found.note, whole.note)


def test_one_large_value_does_not_excuse_the_statistics_of_a_summary(folder: Path) -> None:
    """Quantiles see what moved between the sampled elements, beside a total of all."""
    expected = np.random.default_rng(3).uniform(1, 2, 50_000)
    expected[7] = 1e14
    side = written(folder / "e.npy", lambda path: np.save(path, expected))
    summary = summarise(side)
    assert summary.items is not None
    (item,) = summary.items.values()
    actual = expected * (1 + 1e-3)
    actual[list(item.places)] = expected[list(item.places)]
    write_summary(folder / "s.json", summary)
    kept = replace(side, summary=folder / "s.json", path=folder / "s.json")
    mine = written(folder / "a.npy", lambda path: np.save(path, actual))
    (found,) = compare_outputs((mine,), (kept,), ())[0]
    assert found.verdict is Verdict.DRIFT
    assert "quantile" in found.note


@settings(deadline=None, max_examples=80)
@given(
    st.sampled_from(("float32", "float64")),
    st.lists(st.tuples(FLOATS, FLOATS), min_size=1, max_size=24),
    TOLERANCES,
    st.sampled_from((Tolerance(key=("id",)), Tolerance(unordered=True))),
    st.randoms(use_true_random=False),
)
def test_rows_that_meet_are_judged_as_rows_in_order(
    folder: Path,
    dtype: str,
    pairs: list[tuple[float, float]],
    tolerance: Tolerance,
    meet: Tolerance,
    random: Random,
) -> None:
    """Shuffling rows that a column names changes no verdict, whatever stands in the others."""
    order = list(range(len(pairs)))
    random.shuffle(order)
    with np.errstate(all="ignore"):
        actual, expected = (
            np.array([pair[side] for pair in pairs]).astype(dtype) for side in (0, 1)
        )
    tables = (
        pa.table({"id": pa.array(order), "value": pa.array(actual[order])}),
        pa.table({"id": pa.array(range(len(pairs))), "value": pa.array(expected)}),
    )
    sides = [
        written(folder / f"{number}.parquet", partial(pq.write_table, table))
        for number, table in enumerate(tables)
    ]
    rules = (
        Rule("x", "value", tolerance),
        Rule("x", None, meet),
    )
    found, _ = compare_outputs((sides[0],), (sides[1],), rules)
    plain = by_arrays(actual, expected, tolerance)
    # A column that is compared exactly names rows, too: these have no counterpart then.
    assert all(each.verdict.passes for each in found) == plain.verdict.passes, (found, plain)


@settings(deadline=None, max_examples=80)
@given(st.lists(FLOATS, min_size=1, max_size=24), st.randoms(use_true_random=False))
@example([BIG, BIG / 2], Random(1))
def test_rows_without_a_name_pass_in_any_order(
    folder: Path, values: list[float], random: Random
) -> None:
    """The same numbers in another order are the same rows, at the extremes too."""
    shuffled = random.sample(values, len(values))
    sides = [
        written(
            folder / f"{number}.parquet",
            partial(pq.write_table, pa.table({"v": pa.array(column)})),
        )
        for number, column in enumerate((shuffled, values))
    ]
    rules = (Rule("x", None, Tolerance(unordered=True)),)
    (found,) = compare_outputs((sides[0],), (sides[1],), rules)[0]
    assert found.verdict.passes, found


DECIMALS = st.builds(
    lambda value, digits, narrow: float(f"{np.float32(value) if narrow else value:.{digits}g}"),
    st.floats(1e-3, 1e6),
    st.integers(1, 10),
    st.booleans(),
)


@given(st.lists(DECIMALS, min_size=1, max_size=6))
def test_numbers_are_taken_for_float32_alike_one_by_one_and_together(values: list[float]) -> None:
    together = bring_together(np.array(values), np.array(values)).judged_as is FLOAT32
    assert were_float32((*values, *values)) is together
