"""MATLAB files and WAV: by value, and whatever is damaged in them fails by itself."""

from __future__ import annotations

import io
import random
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from scipy.io import savemat, wavfile

from pytest_mlcontainer.compare import verdict_of
from pytest_mlcontainer.model import Tolerance, Verdict
from tests.fixture_types import Compare, OnlyHere

WEIGHTS = np.arange(12.0).reshape(3, 4)
CELL = np.array([["x", WEIGHTS]], object)


def mat(**variables: Any) -> bytes:
    stream = io.BytesIO()
    savemat(stream, variables)
    return stream.getvalue()


def wav(samples: np.ndarray, rate: int = 8000) -> bytes:
    stream = io.BytesIO()
    wavfile.write(stream, rate, samples)
    return stream.getvalue()


def drifting(compare: Compare, name: str, actual: bytes, expected: bytes) -> list[str]:
    differences, _notes = compare(name, actual, expected)
    return [each.item for each in differences if not each.verdict.passes]


@pytest.mark.parametrize(
    ("actual", "expected", "items"),
    [
        ({"w": WEIGHTS, "n": 3}, {"n": 3, "w": WEIGHTS * (1 + 1e-15)}, []),
        ({"w": WEIGHTS}, {"w": WEIGHTS + 1e-3}, ["w"]),
        ({"w": WEIGHTS.astype("f4")}, {"w": WEIGHTS}, ["w"]),
        ({"w": WEIGHTS}, {"w": WEIGHTS.T}, ["w"]),
        ({"w": WEIGHTS}, {"v": WEIGHTS}, ["w", "v"]),
        ({"net": {"bias": 0.5, "name": "a"}}, {"net": {"bias": 0.6, "name": "b"}},
         ["net.bias", "net.name"]),
        ({"c": np.array([WEIGHTS, "x"], object)}, {"c": np.array([WEIGHTS + 1, "x"], object)},
         ["c[0]"]),
        ({"s": sparse.eye(3, format="csc")}, {"s": sparse.eye(3, format="csc") * 2}, ["s.value"]),
        ({"s": sparse.csc_array(WEIGHTS)}, {"s": sparse.csc_array(WEIGHTS)}, []),
        ({"z": np.array([1 + 2j])}, {"z": np.array([1 + 3j])}, ["z"]),
        # A row, a column and a scalar are other values to MATLAB; so are numbers of other types.
        ({"w": WEIGHTS[:1]}, {"w": WEIGHTS[:1].T}, ["w.shape"]),
        ({"net": {"w": WEIGHTS[:1]}}, {"net": {"w": WEIGHTS[:1].T}}, ["net.w.shape"]),
        ({"w": WEIGHTS[:1]}, {"w": WEIGHTS[:1] + 1}, ["w"]),
        ({"w": np.zeros((0, 3))}, {"w": np.zeros((0, 4))}, ["w"]),
        ({"n": np.uint8(3)}, {"n": np.int32(3)}, ["n"]),
        ({"n": 3.0}, {"n": 3}, ["n"]),
        ({"c": CELL}, {"c": CELL.T}, ["c.shape"]),
        ({"c": CELL}, {"c": CELL.reshape(2, 1, 1)}, ["c.shape"]),
        ({"t": np.array(["ab", "cd"])}, {"t": np.array(["ab", "ce"])}, ["t"]),
        ({"t": ""}, {"t": "a"}, ["t"]),
        ({"b": True}, {"b": False}, ["b"]),
        ({"s": np.array([{"a": 1}, {"a": 2}])}, {"s": np.array([{"a": 1}, {"a": 3}])}, ["s[1].a"]),
    ],
)  # fmt: skip
def test_variables_of_matlab_are_compared_by_value(
    compare: Compare, actual: dict[str, Any], expected: dict[str, Any], items: list[str]
) -> None:
    found = drifting(compare, "a.mat", mat(**actual, stamp=1), mat(**expected, stamp=1))
    assert sorted(found) == sorted(items)


@pytest.mark.parametrize("kind", ["u1", "i2", "i4", "f4", "f8"])
def test_recordings_are_their_samples(compare: Compare, kind: str) -> None:
    samples = (np.sin(np.arange(400.0)) * 100 + 120).astype(kind)
    other = samples.copy()
    other[7] += 5
    assert drifting(compare, "a.wav", wav(samples), wav(other)) == ["samples"]
    assert drifting(compare, "a.wav", wav(samples), wav(samples, 16000)) == ["rate"]
    differences, _notes = compare("a.wav", wav(other), wav(samples), Tolerance(atol=6))
    assert verdict_of(differences).passes


def test_a_tag_of_a_recording_is_no_sample(compare: Compare) -> None:
    sound = wav(np.arange(8, dtype="i2"))
    tag = b"LIST" + (12).to_bytes(4, "little") + b"INFOISFT" + b"lav1"
    size = (len(sound) + len(tag) - 8).to_bytes(4, "little")
    assert drifting(compare, "a.wav", sound[:4] + size + sound[8:] + tag, sound) == []


@pytest.mark.parametrize(
    ("name", "whole"),
    [("a.mat", mat(w=WEIGHTS, t="text")), ("a.wav", wav(np.arange(90, dtype="i2")))],
)
def test_damaged_files_fail_by_themselves(compare: Compare, name: str, whole: bytes) -> None:
    dice = random.Random(3)
    for _number in range(60):
        damaged = bytearray(whole)
        for _byte in range(dice.choice((1, 3, 9))):
            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        cut = dice.choice((len(whole), dice.randrange(1, len(whole))))
        differences, _notes = compare(name, bytes(damaged[:cut]), whole)
        assert all(isinstance(each.verdict, Verdict) for each in differences)


@pytest.mark.parametrize(
    ("name", "make"), [("a.mat", mat), ("a.wav", lambda w: wav(w.astype("i2")))]
)
def test_without_the_library_it_says_what_to_install(
    only_here: OnlyHere,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    make: Callable[..., bytes],
) -> None:
    sides = make(w=WEIGHTS), make(w=WEIGHTS + 1)
    for module in ("scipy", "scipy.io", "scipy.io.wavfile"):
        monkeypatch.setitem(sys.modules, module, None)
    with warnings.catch_warnings():
        found = only_here(name, *sides)
    assert found.verdict is Verdict.FAILED
    assert "pip install 'pytest-mlcontainer[scipy]'" in found.note
