"""Which comparator two files get: by what is in them first, by their name second."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_mlcontainer.compare import binary, csv, json, npy, npz, text
from pytest_mlcontainer.compare.added import format_of
from pytest_mlcontainer.compare.collect import collect_items
from pytest_mlcontainer.compare.format import Format
from pytest_mlcontainer.compare.rules import RuleBook
from pytest_mlcontainer.compare.sources import Pair, Side, UnreadableError
from pytest_mlcontainer.model import Comparator, Difference, Verdict

_KNOWN = (npy.FORMAT, npz.FORMAT, json.FORMAT, csv.FORMAT)


class Formats:
    """All formats of one comparison, those that plugins add first."""

    def __init__(self, comparators: tuple[Comparator, ...] = ()) -> None:
        self._known = (*(format_of(each) for each in comparators), *_KNOWN)

    def compare(self, pair: Pair, book: RuleBook) -> tuple[tuple[Difference, ...], tuple[str, ...]]:
        """Two files whose bytes differ: their differences, and notes on what is not listed."""
        try:
            format = self.find(pair)
        except UnreadableError as error:
            return (_failed(pair, str(error)),), ()
        if isinstance(format, Difference):
            return (format,), ()
        return collect_items(pair.name, _guarded(pair, book, format), format.folds)

    def find(self, pair: Pair) -> Format | Difference:
        """The format of both files; a difference where they have nothing in common."""
        actual, expected = self.recognise(pair.actual), self.recognise(pair.expected)
        if actual.name == expected.name:
            return actual
        if actual.textual and expected.textual:
            return text.FORMAT
        if {actual.name, expected.name} == {text.FORMAT.name, binary.FORMAT.name}:
            return binary.FORMAT
        note = f"the file is {actual.name}, expected {expected.name}"
        return Difference(pair.name, "", Verdict.DRIFT, note=note)

    def recognise(self, side: Side) -> Format:
        """The format of one file."""
        for format in self._known:
            if format.has_content is not None and format.has_content(side):
                return format
        for format in self._known:
            if side.name.lower().endswith(format.suffixes or ("\0",)) and format.may_be(side):
                return format
        return text.FORMAT if text.is_text(side) else binary.FORMAT


def _guarded(pair: Pair, book: RuleBook, format: Format) -> Iterator[Difference]:
    """What the format finds; whatever goes wrong in it becomes a difference that fails."""
    try:
        yield from format.compare(pair, book)
    except UnreadableError as error:
        yield _failed(pair, str(error))
    except Exception as error:
        # A plugin's comparator, or a library that a damaged file throws off: the other outputs
        # are compared all the same, and this one never passes.
        what = f"{type(error).__name__}: {error}"
        yield _failed(pair, f"the comparator for {format.name} raised {what:.500}")


def _failed(pair: Pair, reason: str) -> Difference:
    return Difference(pair.name, "", Verdict.FAILED, note=reason)
