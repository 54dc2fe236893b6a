"""The contract of formats: sound ones keep it, and each fault is seen."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pytest_mlcontainer.hooks import Comparator
from pytest_mlcontainer.testing import ComparatorContract

PLUGIN = Path(__file__).parents[2] / "examples" / "comparator-plugin" / "src"
MATRIX = """\
%%MatrixMarket matrix coordinate real general
2 2 2
1 1 0.5
2 2 {value}
"""


class TestMatrixMarket(ComparatorContract):
    """The plugin that is an example."""

    filename = "a.mtx"

    def comparator(self) -> Comparator:
        module = runpy.run_path(str(PLUGIN / "mlcontainer_matrix_market" / "__init__.py"))
        (found,) = module["mlcontainer_comparators"]()
        assert isinstance(found, Comparator)
        return found

    def write(self, path: Path) -> None:
        path.write_text(MATRIX.format(value="1.5"))

    def write_otherwise(self, path: Path) -> None:
        lines = MATRIX.format(value="1.50").splitlines()
        path.write_text("\n".join([lines[0], "% again", lines[1], lines[3], lines[2], ""]))

    def change(self, path: Path) -> str:
        path.write_text(MATRIX.format(value="1.75"))
        return "value"


def read_scores(path: Path) -> dict[str, object]:
    lines = path.read_text().splitlines()
    return {name: float(value) for name, value in map(str.split, lines)}


class TestScores(ComparatorContract):
    """Text with names and numbers."""

    filename = "test.scores"
    read: Callable[[Path], Mapping[str, object]] = staticmethod(read_scores)
    recognises: Callable[[Path, bytes], bool] | None = None
    suffixes: tuple[str, ...] = (".scores",)

    def comparator(self) -> Comparator:
        return Comparator("scores", self.read, self.suffixes, self.recognises)

    def write(self, path: Path) -> None:
        path.write_text("auc 0.93\nloss 0.21\n")

    def change(self, path: Path) -> str:
        path.write_text("auc 0.99\nloss 0.21\n")
        return "auc"


def read_none(_path: Path) -> dict[str, object]:
    return {}


def read_numbered(path: Path) -> Mapping[str, object]:
    found: dict[object, object] = dict(enumerate(path.read_text().split()))
    return found  # type: ignore[return-value]


def read_and_rewrite(path: Path) -> dict[str, object]:
    path.write_text(path.read_text().upper())
    return {"auc": 1}


def read_with_path(path: Path) -> dict[str, object]:
    return {**read_scores(path), "file": str(path)}


def read_all_as_one(path: Path) -> dict[str, object]:
    return {"all": path.read_text()}


def read_hidden(path: Path) -> dict[str, object]:
    return dict.fromkeys(read_scores(path), 0.0)


class NotRecognised(TestScores):
    suffixes = (".other",)


class TakesAll(TestScores):
    recognises = staticmethod(lambda _path, _head: True)


class ReadsNothing(TestScores):
    read = staticmethod(read_none)


class NumbersItems(TestScores):
    read = staticmethod(read_numbered)


class Rewrites(TestScores):
    read = staticmethod(read_and_rewrite)


class SaysItsPath(TestScores):
    read = staticmethod(read_with_path)


class Hides(TestScores):
    read = staticmethod(read_hidden)


class KeepsOrder(TestScores):
    """What is the same in another order, it takes for other content."""

    read = staticmethod(lambda path: {"lines": path.read_text().split("\n")[0]})

    def write_otherwise(self, path: Path) -> None:
        path.write_text("loss 0.21\nauc 0.93\n")


class NamesNothing(TestScores):
    read = staticmethod(read_all_as_one)


@pytest.mark.parametrize(
    ("faulty", "test"),
    [
        (ReadsNothing, "items_have_names_that_are_text"),
        (NumbersItems, "items_have_names_that_are_text"),
        (Rewrites, "reading_leaves_the_file_as_it_is"),
        (NotRecognised, "the_file_is_recognised"),
        (TakesAll, "other_files_are_not_recognised_by_what_is_in_them"),
        (SaysItsPath, "where_the_file_is_does_not_matter"),
        (KeepsOrder, "the_same_content_agrees"),
        (Hides, "a_changed_value_is_found_by_its_name"),
        (NamesNothing, "a_changed_value_is_found_by_its_name"),
        (NamesNothing, "a_rule_reaches_the_changed_value"),
    ],
)
def test_a_fault_is_seen(faulty: type[TestScores], test: str, tmp_path: Path) -> None:
    contract, folder = faulty(), tmp_path
    checks = getattr(contract, f"test_{test}")
    with pytest.raises(AssertionError):
        checks(folder)
