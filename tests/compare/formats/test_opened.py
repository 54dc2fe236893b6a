"""Pickles by what was found in them: recognised without loading, compared like anything else.

What is found is made here by the reader itself, from objects that are in memory already; that it
is found in the image is for `tests/runs/test_opening.py`.
"""

from __future__ import annotations

import collections
import datetime
import functools
import gzip
import io
import json
import math
import pickle
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pytest_mlcontainer.compare import compare_outputs, has_to_be_opened, unopened, verdict_of
from pytest_mlcontainer.compare.formats.pickles import is_pickle
from pytest_mlcontainer.compare.sources import ComparedFile
from pytest_mlcontainer.inside import pickle_reader
from pytest_mlcontainer.model import Difference, Output, Rule, Tolerance, Verdict

NAME = "model.pkl"


class Estimator:
    """As scikit-learn's: parameters, fitted arrays, a version that is part of the state."""

    def __init__(self, alpha: float = 1.0, coef: object = (1.0, 2.0)) -> None:
        self.alpha = alpha
        self.coef_ = np.array(coef)

    def __getstate__(self) -> dict[str, object]:
        return {**vars(self), "_version": "1.0"}


class Other(Estimator):
    pass


class Slotted:
    __slots__ = ("left", "right")

    def __init__(self, left: object, right: object) -> None:
        self.left, self.right = left, right


class Made:
    """Pickled as a call of its class."""

    def __init__(self, *args: object) -> None:
        self.args = args

    def __reduce__(self) -> tuple[object, ...]:
        return Made, self.args


class Closed:
    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("cannot pickle a lock")


class Point(NamedTuple):
    x: float
    y: float


@pytest.fixture
def look(tmp_path: Path) -> Callable[..., tuple[tuple[Difference, ...], tuple[str, ...]]]:
    """Compares two objects as if each had been found in a pickle."""

    def run(
        actual: object, expected: object, *rules: Rule, most: int = pickle_reader.MAX_ITEMS
    ) -> tuple[tuple[Difference, ...], tuple[str, ...]]:
        sides = []
        for label, value in (("actual", actual), ("expected", expected)):
            folder = tmp_path / label
            folder.mkdir(exist_ok=True)
            sides.append((found(folder, value, most),))
        return compare_outputs(sides[0], sides[1], rules)

    return run


def found(folder: Path, value: object, most: int = pickle_reader.MAX_ITEMS) -> Output:
    """An output with its own bytes, in which the value was found."""
    (folder / NAME).write_bytes(b"\x80\x04" + str(folder).encode())
    with pickle_reader.Writer(str(folder)) as writer:
        pickle_reader.write_items(value, writer, most)
    return Output(NAME, folder / NAME, 1, opened=folder)


def items(differences: tuple[Difference, ...], verdict: Verdict) -> set[str]:
    return {each.item for each in differences if each.verdict is verdict}


ZOO = {
    "none": None,
    "text": "ä\ud800",
    "nan": math.nan,
    "zero": -0.0,
    "big": 10**100,
    "complex": 1 - 2j,
    "bytes": bytes(1000),
    "few bytes": b"ab",
    "numbers": [1, 2.5, 3],
    "mixed": [1, "a", None, [2]],
    "nested": {"a": {"b": ({"c": 1},)}},
    "set": {"b", "a"},
    0: "a key that is a number",
    (1, "a"): "a tuple",
    "0": "the same as text",
    "a.b": 1,
    "": "no name",
    "array": np.arange(6, dtype=">i2").reshape(2, 3),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "structured": np.array([(1, 2.0)], [("i", "i4"), ("f", "f8")]),
    "objects": np.array([[1, "a"], [None, {"b": 2}]], object),
    "words": np.array([["a", "b"]], object),
    "dates": np.array(["2020-01-01", "NaT"], "M8[D]"),
    "scalar": np.float32(1.5),
    "bfloat16": np.array([1.5, 2], ml_dtypes.bfloat16),
    "masked": np.ma.masked_array([1, 2], [True, False]),
    "random": np.random.RandomState(5),
    "generator": np.random.default_rng(5),
    "estimator": Estimator(),
    "slots": Slotted(1, [2.5]),
    "made": Made(1, "a"),
    "point": Point(1.0, 2.0),
    "counter": collections.Counter("aab"),
    "ordered": collections.OrderedDict(a=1),
    "defaults": collections.defaultdict(list, a=[1]),
    "deque": collections.deque([1, 2]),
    "partial": functools.partial(print, 1, end=""),
    "function": np.sum,
    "lambda": lambda x: x + 1,
    "class": Estimator,
    "date": datetime.date(2020, 1, 1),
    "empty": [],
}


def test_everything_equals_itself(
    look: Callable[..., tuple[tuple[Difference, ...], tuple[str, ...]]],
) -> None:
    """Whatever a pickle holds, twice the same is identical, value by value."""
    differences, notes = look(ZOO, ZOO)
    assert verdict_of(differences) is Verdict.IDENTICAL
    assert not notes
    (folded,) = differences
    assert folded.size > len(ZOO)


@pytest.mark.parametrize("key", [key for key in ZOO if key != "empty"], ids=str)
def test_everything_is_looked_at(
    look: Callable[..., tuple[tuple[Difference, ...], tuple[str, ...]]], key: object
) -> None:
    """Each of these replaced by another value of its kind is a drift, and only that."""
    changed: dict[object, object] = {
        "nan": 1.0, "text": "b", "bytes": bytes(999) + b"\x01", "lambda": lambda x: x + 2,
        "array": np.arange(6, dtype=">i2").reshape(2, 3)[::-1],
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3) + 1),
        "structured": np.array([(1, 3.0)], [("i", "i4"), ("f", "f8")]),
        "objects": np.array([[1, "a"], [None, {"b": 3}]], object),
        "words": np.array([["a", "c"]], object),
        "dates": np.array(["2020-01-01", "2020-01-02"], "M8[D]"),
        "scalar": np.float32(2.5),
        "bfloat16": np.array([1.5, 3], ml_dtypes.bfloat16),
        "masked": np.ma.masked_array([1, 2], [False, False]),
        "random": np.random.RandomState(6),
        "generator": np.random.default_rng(6),
        "estimator": Estimator(coef=(1.0, 2.1)),
        "slots": Slotted(1, [2.6]),
        "made": Made(1, "b"),
        "point": Point(1.0, 3.0),
        "counter": collections.Counter("aabb"),
        "ordered": collections.OrderedDict(a=2),
        "defaults": collections.defaultdict[object, object](set, a=[1]),
        "deque": collections.deque([1, 3]),
        "partial": functools.partial(print, 1, end="x"),
        "function": np.mean,
        "class": Other,
        "set": {"b", "c"},
        "nested": {"a": {"b": ({"c": 2},)}},
        "mixed": [1, "a", None, [3]],
        "numbers": [1, 2.5, 4],
    }  # fmt: skip
    differences, _notes = look({**ZOO, key: changed.get(key, 7)}, ZOO)
    assert verdict_of(differences) is Verdict.DRIFT
    named = pickle_reader._step(key).removeprefix(".")
    drifted = items(differences, Verdict.DRIFT)
    assert drifted
    assert all(each.startswith(named) for each in drifted), drifted


def test_float_noise_is_equivalent(
    look: Callable[..., tuple[tuple[Difference, ...], tuple[str, ...]]],
) -> None:
    """What pickles of two platforms differ by, and the order of keys."""
    mine = {"b": Estimator(coef=(1.0, 2.0 + 1e-15)), "a": 1}
    differences, _notes = look(mine, {"a": 1, "b": Estimator()})
    assert items(differences, Verdict.EQUIVALENT) == {"b.coef_"}
    assert verdict_of(differences) is Verdict.EQUIVALENT


def test_the_class_is_an_item(
    look: Callable[..., tuple[tuple[Difference, ...], tuple[str, ...]]],
) -> None:
    """Another class is a drift of its own, beside equal values."""
    differences, _notes = look({"model": Other()}, {"model": Estimator()})
    (drift,) = (each for each in differences if each.verdict is Verdict.DRIFT)
    assert drift.item == "model.__class__"
    assert "Other, expected " in drift.note
    differences, _notes = look((1.0, None), [1.0, None])
    assert items(differences, Verdict.DRIFT) == {"__class__"}


def test_what_only_one_side_has_is_named_once(
    look: Callable[..., tuple[tuple[Difference, ...], tuple[str, ...]]],
) -> None:
    """Not again for everything in it."""
    mine, theirs = {"a": 1, "new": {"b": {"c": 1}}}, {"a": 1, "old": Estimator()}
    differences, _notes = look(mine, theirs)
    drifts = {each.item: each.note for each in differences if each.verdict is Verdict.DRIFT}
    assert sorted(drifts) == ["new", "old"]
    assert drifts["new"] == "only in the actual run: dict of 1"
    assert drifts["old"].startswith("missing in the actual run; expected ")


def test_rules_reach_what_is_inside(
    look: Callable[..., tuple[tuple[Difference, ...], tuple[str, ...]]],
) -> None:
    """By path, by glob, and by the object that holds it."""
    mine = {"steps": [Estimator(alpha=2.0)], "rs": np.random.RandomState(1), "id": "a" * 32}
    theirs = {"steps": [Estimator()], "rs": np.random.RandomState(2), "id": "b" * 32}
    differences, _notes = look(mine, theirs)
    assert items(differences, Verdict.DRIFT) == {"steps[0].alpha", "rs.state.key", "id"}
    hex_digits = Tolerance(patterns=("[0-9a-f]{32}",))
    rules = (
        Rule(NAME, "**.alpha", Tolerance(margin=1.0)),
        Rule(NAME, "rs", Tolerance(ignore=True)),
        Rule(NAME, "id", hex_digits),
    )
    differences, notes = look(mine, theirs, *rules)
    assert verdict_of(differences) is Verdict.EQUIVALENT
    assert not [note for note in notes if "matched nothing" in note]


def test_what_cannot_be_looked_into_never_passes(
    look: Callable[..., tuple[tuple[Difference, ...], tuple[str, ...]]],
) -> None:
    """The same on both sides is not known to be the same, unless a rule lets it be."""
    differences, _notes = look({"a": 1, "lock": Closed()}, {"a": 1, "lock": Closed()})
    (failed,) = (each for each in differences if each.verdict is Verdict.FAILED)
    assert failed.item == "lock"
    assert "TypeError: cannot pickle a lock" in failed.note
    rule = Rule(NAME, "lock", Tolerance(ignore=True))
    differences, _notes = look({"a": 1, "lock": Closed()}, {"a": 1, "lock": Closed()}, rule)
    assert verdict_of(differences) is Verdict.IDENTICAL


def test_circles_end(look: Callable[..., tuple[tuple[Difference, ...], tuple[str, ...]]]) -> None:
    """A value that holds itself says so and is identical to its like."""

    def circle(value: float) -> list[object]:
        made: list[object] = [value, {}]
        made[1]["up"] = made  # type: ignore[index]
        return made

    assert verdict_of(look(circle(1.0), circle(1.0))[0]) is Verdict.IDENTICAL
    assert items(look(circle(1.0), circle(2.0))[0], Verdict.DRIFT) == {"[0]"}


@pytest.mark.parametrize("what", ["many", "deep", "shared"])
def test_too_much_never_passes(
    look: Callable[..., tuple[tuple[Difference, ...], tuple[str, ...]]],
    what: str,
) -> None:
    """What was not looked at is not called identical, and looking ends."""
    value: object = [None, 1]
    if what == "many":
        value = [[None, number] for number in range(400)]
    for _ in range(300 if what == "deep" else 40 if what == "shared" else 0):
        value = [value] if what == "deep" else [value, value]
    differences, _notes = look(value, value, most=1000)
    notes = [each.note for each in differences if each.verdict is Verdict.FAILED]
    assert notes
    expected = "nested more than" if what == "deep" else "the rest was not looked at"
    assert expected in notes[0]


def test_the_place_is_mentioned(
    look: Callable[..., tuple[tuple[Difference, ...], tuple[str, ...]]], tmp_path: Path
) -> None:
    """When it is not the image of the run."""
    look(1, 1)
    (tmp_path / "actual" / "about.json").write_text('{"note": "opened elsewhere"}')
    sides = [Output(NAME, tmp_path / side / NAME, 1, opened=tmp_path / side)
             for side in ("actual", "expected")]  # fmt: skip
    _differences, notes = compare_outputs((sides[0],), (sides[1],), ())
    assert notes == ("model.pkl of the actual run was opened elsewhere",)


HOSTILE = {
    "no JSON": b"{",
    "no value": b"[]\n",
    "a line that ends nowhere": b'{"n":"a","t":"int","v":1}',
    "no end": b'{"n":"a","t":"int","v":1}\n',
    "a wrong end": b'{"n":"a","t":"int","v":1}\n{"end":7}\n',
    "the same name twice": b'{"n":"a","t":"int","v":1}\n{"n":"a","t":"int","v":1}\n{"end":2}\n',
    "no name": b'{"t":"int","v":1}\n{"end":1}\n',
    "a name that is none": b'{"n":7,"t":"int","v":1}\n{"end":1}\n',
    "a value that is none": b'{"n":"a","t":"int","v":[1]}\n{"end":1}\n',
    "an array out of the file": b'{"n":"a","t":"x","a":[0,99,""]}\n{"end":1}\n',
    "an array before the file": b'{"n":"a","t":"x","a":[-9,9,""]}\n{"end":1}\n',
    "an array of no bytes": b'{"n":"a","t":"x","a":[0,0,""]}\n{"end":1}\n',
    "an array that is none": b'{"n":"a","t":"x","a":[0,9,""]}\n{"end":1}\n',
    "an array with one number": b'{"n":"a","t":"x","a":[0]}\n{"end":1}\n',
    "texts of another shape": b'{"n":"a","t":"x","s":["b"],"d":[99999999999]}\n{"end":1}\n',
    "digits that are none": b'{"n":"a","t":"bytes","b":"xy"}\n{"end":1}\n',
    "an endless number": b'{"n":"a","t":"int","v":' + b"9" * 5000 + b'}\n{"end":1}\n',
    "much too deep": b'{"n":"a","t":"x","v":' + b"[" * 100000 + b"\n",
}


@pytest.mark.parametrize("tree", HOSTILE.values(), ids=HOSTILE)
def test_what_came_back_is_not_trusted(tmp_path: Path, tree: bytes) -> None:
    """A container wrote it: nothing in it crashes or passes."""
    sides = []
    for label in ("actual", "expected"):
        folder = tmp_path / label
        folder.mkdir()
        (folder / NAME).write_bytes(b"\x80\x04" + label.encode())
        (folder / "tree.jsonl").write_bytes(tree)
        (folder / "arrays.bin").write_bytes(b"\x93NUMPY\x01\x00\xff")
        sides.append(Output(NAME, folder / NAME, 1, opened=folder))
    (difference,), _notes = compare_outputs((sides[0],), (sides[1],), ())
    assert difference.verdict is Verdict.FAILED
    assert ": model.pkl was opened" in difference.note


def test_a_pickle_that_was_not_opened_fails(tmp_path: Path) -> None:
    """With the reason, if there is one, and what to do."""
    actual, expected = tmp_path / "a.pkl", tmp_path / "b.pkl"
    actual.write_bytes(pickle.dumps([1]))
    expected.write_bytes(pickle.dumps([2]))
    sides = Output(NAME, actual, 1), Output(NAME, expected, 1)
    (difference,), _notes = compare_outputs((sides[0],), (sides[1],), ())
    assert difference.verdict is Verdict.FAILED
    assert "only ever opened inside the project's image" in difference.note
    reason = {"what": "it needs a module", "value": "No module named 'x'", "remedy": "install x"}
    (tmp_path / "failure.json").write_text(json.dumps(reason))
    failed = Output(NAME, actual, 1, opened=tmp_path)
    (difference,), _notes = compare_outputs((failed,), (sides[1],), ())
    assert "it needs a module: No module named 'x'; install x" in difference.note


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "value",
    [ZOO["nested"], [1.5] * 5000, "text", Estimator(), np.arange(9)],
    ids=["nested", "list", "text", "object", "array"],
)
def test_pickles_are_recognised(tmp_path: Path, protocol: int, value: object) -> None:
    """By their bytes from protocol 2 on, else with a name that says so; also when cut short."""
    data = pickle.dumps(value, protocol)
    for name, content, expected in (
        ("model.bin", data, protocol >= 2),
        ("model.pkl", data, True),
        ("model.pkl", data[: len(data) // 2 + 20], True),
        ("model.pkl.gz", gzip.compress(data), True),
        ("model.joblib", zlib.compress(data), True),
        ("model.bin", zlib.compress(data), False),
    ):
        (tmp_path / "file").write_bytes(content)
        assert is_pickle(ComparedFile("actual run", name, tmp_path / "file")) is expected, name


@pytest.mark.parametrize(
    "content",
    [b"", b"\x80", b"\x80\x04", b"hello", b'{"a": 1}', b"a,b\n1,2\n", b"\x80\x04\x00\xff\xfe",
     b"\x00" * 100, bytes(range(256))],
    ids=repr,
)  # fmt: skip
def test_other_files_are_no_pickles(tmp_path: Path, content: bytes) -> None:
    """Whatever they are called."""
    (tmp_path / "file").write_bytes(content)
    assert not is_pickle(ComparedFile("actual run", "model.pkl", tmp_path / "file"))


@given(st.binary(max_size=200), st.sampled_from(["a.pkl", "a.bin", "a.joblib"]))
def test_recognising_reads_any_bytes(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, name: str
) -> None:
    """It answers, and never from more than is there."""
    path = tmp_path_factory.mktemp("any") / "file"
    for start in (b"", b"\x80\x04", b"\x80\x05\x8e\xff\xff\xff\xff\xff\xff\xff\x7f"):
        path.write_bytes(start + data)
        assert is_pickle(ComparedFile("actual run", name, path)) in (True, False)


def test_only_what_differs_is_opened(tmp_path: Path) -> None:
    """Equal bytes, ignored outputs and files of other kinds are not."""
    outputs = []
    for side in ("actual", "expected"):
        contents = {
            "same.pkl": pickle.dumps([1, 2]),
            "other.pkl": pickle.dumps([1, 2, side]),
            "ignored.pkl": pickle.dumps([1, 2, side]),
            "text.txt": side.encode(),
            "plain.npy": npy(np.arange(3)),
            "objects.npy": npy(np.array([None, side], object)),
            "objects.npz": npz(w=np.arange(3), o=np.array([None, side], object)),
            "plain.npz": npz(w=np.arange(len(side))),
        }
        (tmp_path / side).mkdir()
        for name, data in contents.items():
            (tmp_path / side / name).write_bytes(data)
        outputs.append(tuple(Output(name, tmp_path / side / name, 1) for name in contents))
    rules = (Rule("ignored.pkl", None, Tolerance(ignore=True)),)
    wanted = frozenset({"other.pkl", "objects.npy", "objects.npz"})
    assert unopened(outputs[0], outputs[1], rules) == (wanted, wanted)
    assert {each.name for each in outputs[0] if has_to_be_opened(each)} == wanted | {
        "same.pkl", "ignored.pkl",
    }  # fmt: skip


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def npz(**members: Any) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **members)
    return stream.getvalue()


LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5),
    st.binary(max_size=5), st.complex_numbers(), st.dates(),
    arrays.arrays(st.sampled_from(["f4", ">f8", "i2", "U3", "?", "M8[s]", "c8"]),
                  arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)),
)  # fmt: skip
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(st.text(max_size=3), st.integers()), inner, max_size=4),
        st.tuples(inner, inner),
        st.builds(Slotted, inner, inner),
        st.builds(Made, inner),
    ),
    max_leaves=8,
)


@given(TREES)
def test_any_value_comes_out_whole(tmp_path_factory: pytest.TempPathFactory, value: object) -> None:
    """Whatever it holds, it is read back, equals itself, and differs from itself and one more."""
    folder = tmp_path_factory.mktemp("any")
    outputs = []
    for label, held in (("a", value), ("b", value), ("c", [value, 1])):
        (folder / label).mkdir()
        outputs.append((found(folder / label, held),))
    same, _notes = compare_outputs(outputs[0], outputs[1], ())
    assert verdict_of(same) is Verdict.IDENTICAL, same
    other, _notes = compare_outputs(outputs[0], outputs[2], ())
    assert verdict_of(other) is Verdict.DRIFT


def test_what_is_no_part_of_a_sparse_matrix_does_not_count(
    look: Callable[..., tuple[tuple[Difference, ...], tuple[str, ...]]],
) -> None:
    """The order of places in a row, and whether anybody has looked at it; zeros that are stored."""
    sparse = pytest.importorskip("scipy.sparse")
    expected = sparse.csr_matrix(np.array([[0.5, 1.5, 0.0], [0.0, 2.5, 3.5]]))
    parts = np.array([1.5, 0.5, 3.5, 2.5]), np.array([1, 0, 2, 1]), np.array([0, 2, 4])
    shuffled = sparse.csr_matrix(parts, shape=(2, 3))
    assert expected.has_sorted_indices
    assert verdict_of(look(shuffled, expected)[0]) is Verdict.IDENTICAL
    assert not items(look(sparse.csc_matrix(expected), expected)[0], Verdict.IDENTICAL) >= {"data"}
    fuller = sparse.csr_matrix((np.array([1.5, 0, 0.5, 3.5, 2.5]), [1, 2, 0, 2, 1], [0, 3, 5]))
    assert verdict_of(look(fuller, expected)[0]) is Verdict.IDENTICAL
    places = sparse.coo_matrix((np.array([3.5, 0.5, 2.5, 1.5]), ([1, 0, 1, 0], [2, 0, 1, 1])))
    assert verdict_of(look(places, expected.tocoo())[0]) is Verdict.IDENTICAL
    shuffled.data[0] = 7
    assert items(look(shuffled, expected)[0], Verdict.DRIFT) == {"data"}


def test_in_which_order_categories_stand_counts_only_where_they_are_ordered(
    look: Callable[..., tuple[tuple[Difference, ...], tuple[str, ...]]],
) -> None:
    pandas = pytest.importorskip("pandas")

    def column(categories: str, ordered: bool = False, values: str = "abca") -> Any:
        made = pandas.Categorical([*values], categories=[*categories], ordered=ordered)
        return {"bare": made, "frame": pandas.DataFrame({"c": made})}

    expected = column("abc")
    assert verdict_of(look(column("cab"), expected)[0]) is Verdict.IDENTICAL
    assert verdict_of(look(column("cab", values="abcb"), expected)[0]) is Verdict.DRIFT
    ordered = column("abc", ordered=True)
    assert verdict_of(look(column("cab", ordered=True), ordered)[0]) is Verdict.DRIFT


def test_what_a_mask_hides_does_not_count(
    look: Callable[..., tuple[tuple[Difference, ...], tuple[str, ...]]],
) -> None:
    hidden = [np.ma.masked_array([1.5, value], [False, True]) for value in (999.0, -5.0)]
    assert verdict_of(look(*hidden)[0]) is Verdict.IDENTICAL
    shown = np.ma.masked_array([1.5, 999.0], [False, False])
    assert items(look(hidden[0], shown)[0], Verdict.DRIFT) >= {"mask"}
