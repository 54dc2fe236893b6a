"""What readers say is checked: no bytes of theirs become more than a message about their files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlcontainer.compare.readers import messages
from pytest_mlcontainer.compare.readers.allowed import AllowedMessages
from pytest_mlcontainer.compare.readers.coding import decode, encode
from pytest_mlcontainer.compare.readers.messages import ComparedItem, PairCompared
from pytest_mlcontainer.compare.rules.applied import RuleUse
from pytest_mlcontainer.compare.sources import ComparedFile, Pair
from pytest_mlcontainer.model import Difference, Element, Verdict


def test_a_reader_may_not_have_other_files_read(tmp_path: Path) -> None:
    """One that was taken over asks the session to read what is none of its business."""
    job = messages.Job(
        messages.Work.COMPARE,
        Pair("m", process_side(tmp_path / "a"), process_side(tmp_path / "b")),
        comparators=(messages.AddedComparator("x", (".x",), None, None, False),),
    )
    scratch = tmp_path / "scratch"
    allowed = AllowedMessages(job, scratch)
    allowed.check(messages.ComparatorCall(0, "read", str(scratch / "t" / "0")))
    for path in ("/etc/passwd", str(scratch / ".." / "x"), str(tmp_path / "c")):
        with pytest.raises(messages.GarbledMessageError):
            allowed.check(messages.ComparatorCall(0, "read", path))
    for said in (
        ComparedItem(Difference("m", "", Verdict.IDENTICAL)),
        PairCompared((Difference("other", "", Verdict.IDENTICAL),)),
        PairCompared((), (), RuleUse(used=((5, 1),))),
        messages.SummaryChunk("x"),
        messages.ReaderReady(),
    ):
        with pytest.raises(messages.GarbledMessageError):
            allowed.check(said)


def process_side(path: Path) -> ComparedFile:
    return ComparedFile("actual run", "m", path)


FLOATS = st.none() | st.floats(allow_nan=False)
DIFFERENCES = st.builds(
    Difference,
    output=st.text(),
    item=st.text(),
    verdict=st.sampled_from(Verdict),
    max_abs=FLOATS,
    max_ulp=st.none() | st.integers(0, 2**70),
    worst_index=st.none() | st.lists(st.integers(), max_size=3).map(tuple),
    note=st.text(),
    quantiles=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1))).map(tuple),
    histogram=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.integers())).map(tuple),
    elements=st.lists(
        st.builds(Element, st.just((1, 2)), st.text(), st.text(), FLOATS), max_size=2
    ).map(tuple),
)


@given(st.lists(DIFFERENCES, max_size=3).map(tuple), st.lists(st.text(), max_size=3).map(tuple))
def test_a_result_comes_back_as_it_was(
    differences: tuple[Difference, ...], notes: tuple[str, ...]
) -> None:
    memory = RuleUse(((0, 3),), ((1, 0),), notes, True, notes)
    done = PairCompared(differences, notes, memory)
    assert decode(encode(done)) == done


def test_numbers_of_numpy_come_back_as_those_of_python() -> None:
    half: Any = np.float32(0.5)
    third: Any = (np.int64(3),)
    told = ComparedItem(Difference("a", "", Verdict.DRIFT, max_abs=half, worst_index=third))
    found = decode(encode(told))
    assert found == told
    assert found.difference.worst_index is not None
    assert type(found.difference.worst_index[0]) is int


@given(st.binary(max_size=200))
def test_no_bytes_of_a_reader_become_anything_but_a_message(data: bytes) -> None:
    try:
        decode(data)
    except messages.GarbledMessageError:
        return


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "PairCompared", "differences": [{"output": "a", "item": 1, "verdict": "drift"}]},
        {"kind": "PairCompared", "differences": [{"output": "a", "item": "", "verdict": "fine"}]},
        {"kind": "PairCompared", "differences": [{"output": "a", "verdict": "drift"}]},
        {"kind": "PairCompared", "notes": "text"},
        {"kind": "PairCompared", "unknown": 1},
        {"kind": "Job"},
        {"kind": "ComparedItem", "difference": None},
        {"kind": "Calibrate", "item": ["a"]},
        {"kind": "ComparatorCall", "comparator": True, "function": "read", "path": "x"},
        [1],
        None,
    ],
)
def test_what_has_another_type_is_no_message(wrong: list[int] | dict[str, object] | None) -> None:
    with pytest.raises(messages.GarbledMessageError):
        decode(json.dumps(wrong).encode())
