"""Writes both sides of a comparison and compares them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_mlcontainer.compare import compare_outputs
from pytest_mlcontainer.compare.formats.registry import Formats
from pytest_mlcontainer.compare.formats.unpacking import (
    UNPACKING_LIMITS,
    UnpackingBudget,
    UnpackingLimits,
)
from pytest_mlcontainer.compare.readers.limits import ReaderLimits
from pytest_mlcontainer.compare.readers.pool import Pool
from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.sources import make_pair
from pytest_mlcontainer.model import Difference, Output, Rule, Tolerance
from tests.fixture_types import Compare, Compared, CompareHere, Only, OnlyHere


@pytest.fixture(scope="module")
def compare(tmp_path_factory: pytest.TempPathFactory) -> Compare:
    """`compare("a.json", actual, expected, Tolerance(…))`; bytes as they are, arrays as npy,
    mappings into an npz called .npz, anything else as JSON; None leaves the file out.
    """
    folder = tmp_path_factory.mktemp("outputs")

    def run(
        name: str,
        *values: Any,
        tolerance: Tolerance | None = None,
        item: str | None = None,
        rules: Iterable[Rule] = (),
        **more: Any,
    ) -> Compared:
        actual, expected, *given = values
        sides = _write_both(folder, name, actual, expected)
        (tolerance,) = given or (tolerance,)
        if tolerance is not None:
            rules = (Rule(name, item, tolerance),)
        return compare_outputs(sides[0], sides[1], tuple(rules), **more)

    return run


@pytest.fixture
def compare_here(tmp_path: Path) -> CompareHere:
    """As `compare`, without readers: for tests that change this process, of a library that is
    missing, or that want to unpack less.
    """

    def run(name: str, *values: Any, limits: UnpackingLimits = UNPACKING_LIMITS) -> Compared:
        actual, expected = values
        (ours,), (theirs,) = _write_both(tmp_path, name, actual, expected)
        allowance = UnpackingBudget(max(ours.size_bytes, theirs.size_bytes), limits)
        formats = Formats(allowance=allowance)
        return formats.compare(make_pair(name, ours, theirs), RuleBook(()))

    return run


@pytest.fixture
def only_here(compare_here: CompareHere) -> OnlyHere:
    """The same, for what gives exactly one difference."""

    def run(name: str, *values: Any) -> Difference:
        ((difference,), _notes) = compare_here(name, *values)
        return difference

    return run


@pytest.fixture(scope="module")
def only(compare: Compare) -> Only:
    """The same, for what gives exactly one difference."""

    def run(*args: Any, **kwargs: Any) -> Difference:
        (difference,), _notes = compare(*args, **kwargs)
        return difference

    return run


@pytest.fixture(scope="session")
def pool() -> Callable[..., AbstractContextManager[Pool]]:
    """`with pool(base_s=2.0) as readers`: readers of their own, within limits that are soon met."""

    @contextmanager
    def start(**limits: Any) -> Iterator[Pool]:
        given = {"readers": 1, "memory_bytes": 1 << 30, **limits}
        readers = Pool(ReaderLimits(**given))
        try:
            yield readers
        finally:
            readers.close()

    return start


def _write_both(
    folder: Path, name: str, actual: object, expected: object
) -> tuple[tuple[Output, ...], tuple[Output, ...]]:
    return _write(folder / "actual", name, actual), _write(folder / "expected", name, expected)


def _write(folder: Path, name: str, value: object) -> tuple[Output, ...]:
    if value is None:
        return ()
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    data = to_bytes(name, value)
    path.write_bytes(data)
    return (Output(name, path, len(data)),)


def to_bytes(name: str, value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    stream = io.BytesIO()
    if name.endswith(".npz"):
        np.savez(stream, **value)
    elif isinstance(value, np.ndarray):
        np.save(stream, value, allow_pickle=True)
    elif isinstance(value, str):
        return value.encode()
    else:
        return json.dumps(value).encode()
    return stream.getvalue()
