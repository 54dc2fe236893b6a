"""What every format keeps to, as tests: for authors of comparators.

class TestScores(ComparatorContract):
    filename = "test.scores"

    def comparator(self):
        return Comparator("scores", read_scores, suffixes=(".scores",))

    def write(self, path):
        path.write_text("auc 0.93\\nloss 0.21\\n")

    def change(self, path):
        path.write_text("auc 0.99\\nloss 0.21\\n")
        return "auc"
"""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Final

from pytest_mlcontainer.compare import compare_outputs, verdict_of
from pytest_mlcontainer.model import (
    Comparator,
    Difference,
    Output,
    Rule,
    Tolerance,
    Verdict,
)

_HEAD_BYTES: Final = 4096
_DAMAGED: Final = 60
_LONGEST_S: Final = 10.0
_FOREIGN: Final = (
    b"",
    b"\0",
    b"\xff" * _HEAD_BYTES,
    b'{"loss": 0.5}\n',
    b"step,loss\n1,0.5\n",
    b"\x93NUMPY\x01\x00",
    b"PK\x03\x04",
    b"\x89PNG\r\n\x1a\n",
    b"\x80\x04}q\x00.",
    random.Random(0).randbytes(_HEAD_BYTES),
)


class ComparatorContract:
    """Subclass it with `filename` and the methods up to `change`; pytest collects the rest.

    Args of the class:
        filename: what files of the format are called, `test.scores`.
    """

    filename = ""

    def comparator(self) -> Comparator:
        """The comparator."""
        raise NotImplementedError

    def write(self, path: Path) -> None:
        """Write a sound file of the format, the same each time."""
        raise NotImplementedError

    def write_otherwise(self, path: Path) -> None:
        """Write the same content with other bytes, where the format allows it: another order,
        another comment, another time."""
        self.write(path)

    def change(self, path: Path) -> str:
        """Write that file with one value changed by more than any default tolerance.

        Returns:
            the name of the item that has it.
        """
        raise NotImplementedError

    def test_items_have_names_that_are_text(self, tmp_path: Path) -> None:
        self.write(tmp_path / self.filename)
        items = self.comparator().read(tmp_path / self.filename)
        assert items, "read found nothing in the file that write wrote"
        assert all(isinstance(name, str) for name in items), list(items)

    def test_reading_leaves_the_file_as_it_is(self, tmp_path: Path) -> None:
        path = tmp_path / self.filename
        self.write(path)
        before = path.read_bytes()
        self.comparator().read(path)
        assert path.read_bytes() == before
        assert [each.name for each in tmp_path.iterdir()] == [self.filename]

    def test_the_file_is_recognised(self, tmp_path: Path) -> None:
        self.write(tmp_path / self.filename)
        assert self._takes((tmp_path / self.filename).read_bytes(), tmp_path / self.filename)

    def test_other_files_are_not_recognised_by_what_is_in_them(self, tmp_path: Path) -> None:
        recognises = self.comparator().recognises
        for number, data in enumerate(_FOREIGN):
            path = tmp_path / f"{number}.bin"
            path.write_bytes(data)
            taken = recognises is not None and recognises(path, data[:_HEAD_BYTES])
            assert not taken, f"a file that begins with {data[:16]!r} was taken for this format"

    def test_the_same_content_agrees(self, tmp_path: Path) -> None:
        self.write_otherwise(tmp_path / "actual")
        self.write(tmp_path / "expected")
        found = self._compared(tmp_path / "actual", tmp_path / "expected")
        assert verdict_of(found).passes, found

    def test_where_the_file_is_does_not_matter(self, tmp_path: Path) -> None:
        found = []
        for name in ("first", "second"):
            path = tmp_path / name / self.filename
            path.parent.mkdir()
            self.write(path)
            found.append(repr(dict(self.comparator().read(path))))
        assert found[0] == found[1]

    def test_a_changed_value_is_found_by_its_name(self, tmp_path: Path) -> None:
        item = self.change(tmp_path / "actual")
        self.write(tmp_path / "expected")
        found = self._compared(tmp_path / "actual", tmp_path / "expected")
        drifting = {each.item for each in found if each.verdict is Verdict.DRIFT}
        assert drifting == {item}, found

    def test_a_rule_reaches_the_changed_value(self, tmp_path: Path) -> None:
        item = self.change(tmp_path / "actual")
        self.write(tmp_path / "expected")
        rule = Rule(self.filename, item, Tolerance(ignore=True))
        found = self._compared(tmp_path / "actual", tmp_path / "expected", rule)
        assert verdict_of(found).passes, found

    def test_damaged_files_fail_and_nothing_else(self, tmp_path: Path) -> None:
        self.write(tmp_path / "expected")
        data = (tmp_path / "expected").read_bytes()
        dice = random.Random(0)
        for _number in range(_DAMAGED):
            (tmp_path / "actual").write_bytes(_damaged(data, dice))
            began = time.monotonic()
            found = self._compared(tmp_path / "actual", tmp_path / "expected")
            assert found, "a file about which nothing is said"
            assert time.monotonic() - began < _LONGEST_S

    def _takes(self, data: bytes, path: Path) -> bool:
        comparator = self.comparator()
        if comparator.recognises is not None and comparator.recognises(path, data[:_HEAD_BYTES]):
            return True
        return path.name.endswith(comparator.suffixes)

    def _compared(self, actual: Path, expected: Path, *rules: Rule) -> tuple[Difference, ...]:
        mine, theirs = (
            Output(self.filename, path, path.stat().st_size) for path in (actual, expected)
        )
        differences, _notes = compare_outputs((mine,), (theirs,), rules, (self.comparator(),))
        return differences


def _damaged(data: bytes, dice: random.Random) -> bytes:
    """Cut off, or with some bytes that are others."""
    if data and dice.random() < 1 / 3:
        return data[: dice.randrange(len(data))]
    found = bytearray(data)
    for _number in range(dice.choice((1, 2, 8)) if found else 0):
        found[dice.randrange(len(found))] = dice.randrange(256)
    return bytes(found)
