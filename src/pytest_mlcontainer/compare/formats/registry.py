"""Which comparator two files get: by what is in them first, by their name second."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial

from pytest_mlcontainer.compare.collect import collect_items
from pytest_mlcontainer.compare.formats import (
    arrow,
    binary,
    compressed,
    gguf_file,
    hdf5,
    images,
    jsonl,
    lightgbm_file,
    matlab_file,
    msgpack_file,
    netcdf3,
    nifti,
    notebook,
    npy,
    npz,
    number_table,
    onnx_file,
    opened,
    parquet,
    pytorch,
    safetensors,
    skops_file,
    sqlite,
    tar_file,
    tensorboard_file,
    text_encodings,
    toml_file,
    ubjson,
    wav_file,
    yaml_file,
    zarr_store,
    zip_file,
)
from pytest_mlcontainer.compare.formats import csv_file as csv
from pytest_mlcontainer.compare.formats import json_file as json
from pytest_mlcontainer.compare.formats import text_file as text
from pytest_mlcontainer.compare.formats.added import format_of
from pytest_mlcontainer.compare.formats.kind import Format
from pytest_mlcontainer.compare.formats.stamps import same_but_stamps
from pytest_mlcontainer.compare.formats.unpacking import UnpackingBudget
from pytest_mlcontainer.compare.matching.axes import with_curves
from pytest_mlcontainer.compare.numeric.gaps import Values
from pytest_mlcontainer.compare.numeric.measure import Array
from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.sources import ComparedFile, MalformedError, Pair, UnreadableError
from pytest_mlcontainer.compare.values.exchanged import with_exchanged
from pytest_mlcontainer.model import Comparator, Difference, ReadAs, Verdict

_AS_TEXT = "; compared as text, numbers by tolerance"
_KNOWN = (
    pytorch.FORMAT,  # before pickles, which its older form begins as
    opened.FORMAT,
    npy.FORMAT,
    zarr_store.FORMAT,  # before npz and zip, which it is in a zip file
    npz.FORMAT,
    hdf5.FORMAT,
    onnx_file.FORMAT,
    safetensors.FORMAT,
    parquet.FORMAT,
    arrow.FORMAT,
    sqlite.FORMAT,
    ubjson.FORMAT,
    lightgbm_file.FORMAT,
    tensorboard_file.FORMAT,
    matlab_file.FORMAT,
    netcdf3.FORMAT,
    nifti.FORMAT,
    gguf_file.FORMAT,
    msgpack_file.FORMAT,
    wav_file.FORMAT,
    jsonl.FORMAT,
    notebook.FORMAT,  # before JSON, which it is
    json.FORMAT,
    csv.FORMAT,
    *images.FORMATS,
    yaml_file.FORMAT,
    toml_file.FORMAT,
)


class Formats:
    """All formats of one comparison, those that plugins add first."""

    def __init__(
        self, comparators: tuple[Comparator, ...] = (), allowance: UnpackingBudget | None = None
    ) -> None:
        """`allowance` is that of the archive around, or one with limits of its own."""
        self._comparators = comparators
        tar = tar_file.format_of(self._inside, allowance)
        self._known = (
            *(format_of(each) for each in comparators),
            replace(tar, has_content=tar_file.has_header),
            *_KNOWN,
            skops_file.format_of(self._inside, allowance),
            zip_file.format_of(self._inside, allowance),
            tar,
            *compressed.formats_of(self._inside, allowance),
            hdf5.BEHIND_USER_BLOCK,
        )

    def compare(self, pair: Pair, book: RuleBook) -> tuple[tuple[Difference, ...], tuple[str, ...]]:
        """Two files whose bytes differ: their differences, and notes on what is not listed."""
        try:
            format = self.find_for(pair, book)
        except UnreadableError as error:
            return (_failed(pair, str(error)),), ()
        return self.compare_as(format, pair, book)

    def compare_as(
        self, format: Format | Difference, pair: Pair, book: RuleBook
    ) -> tuple[tuple[Difference, ...], tuple[str, ...]]:
        """The same, where `find` was asked already."""
        if isinstance(format, Difference):
            return (format,), ()
        found = _told(_guarded(pair, book, format), book)
        kept, notes = collect_items(pair.name, found, format.folds)
        return with_curves(_exchanged(pair, format, kept)), notes

    def _inside(
        self, pair: Pair, book: RuleBook, allowance: UnpackingBudget
    ) -> Iterator[Difference]:
        """The differences of two members of an archive, one by one."""
        inner = Formats(self._comparators, allowance)
        try:
            format = inner.find_for(pair, book)
        except UnreadableError as error:
            yield _failed(pair, str(error))
            return
        if isinstance(format, Difference):
            yield format
        else:
            yield from _guarded(pair, book, format)

    def find_for(self, pair: Pair, book: RuleBook) -> Format | Difference:
        """As `find`, unless a rule says that text is to be read as text."""
        format = self.find(pair)
        tolerance = book.peek(pair.name).tolerance
        if format is number_table.FORMAT and tolerance.patterns:
            return text.FORMAT
        asked = tolerance.read_as is ReadAs.TEXT
        if asked and isinstance(format, Format) and format.textual:
            return _as_text("read as text, as the rule asks; numbers by tolerance")
        return format

    def find(self, pair: Pair) -> Format | Difference:
        """The format of both files; a difference where they have nothing in common."""
        actual, expected = self.recognise(pair.actual), self.recognise(pair.expected)
        if actual.name == expected.name:
            return actual
        if {actual.name, expected.name} == {text.FORMAT.name, number_table.FORMAT.name}:
            return text.FORMAT
        if actual.textual and expected.textual:
            return _as_text(f"the file is {actual.name}, expected {expected.name}{_AS_TEXT}")
        if {actual.name, expected.name} == {text.FORMAT.name, binary.FORMAT.name}:
            return binary.FORMAT
        note = f"the file is {actual.name}, expected {expected.name}"
        return Difference(pair.name, "", Verdict.DRIFT, note=note)

    def recognise(self, side: ComparedFile) -> Format:
        """The format of one file, or of a folder, which is a Zarr store."""
        if side.path.is_dir():
            return zarr_store.FORMAT
        for format in self._known:
            if format.has_content is not None and format.has_content(side):
                return format
        for format in self._known:
            if side.name.lower().endswith(format.suffixes or ("\0",)) and format.may_be(side):
                return format
        if not text_encodings.is_readable(side):
            return binary.FORMAT
        return number_table.FORMAT if number_table.is_number_table(side) else text.FORMAT


def _told(found: Iterator[Difference], book: RuleBook) -> Iterator[Difference]:
    for difference in found:
        book.study.on_difference(difference)
        yield difference


def _exchanged(pair: Pair, format: Format, found: tuple[Difference, ...]) -> tuple[Difference, ...]:
    """The differences, those of arrays with which other array of the file they are."""
    if format.arrays is None or sum(not each.verdict.passes for each in found) < 2:
        return found
    with suppress(UnreadableError), ExitStack() as open_:
        sides = [open_.enter_context(format.arrays(side)) for side in (pair.actual, pair.expected)]
        return with_exchanged(found, *(partial(_values, dict(arrays)) for arrays in sides))
    return found


def _values(arrays: Mapping[str, Callable[[], Array]], item: str) -> Values | None:
    return arrays[item]().values() if item in arrays else None


def _guarded(pair: Pair, book: RuleBook, format: Format) -> Iterator[Difference]:
    """What the format finds; whatever goes wrong in it becomes a difference that fails."""
    try:
        if not format.added and (same := _same_but_stamps(pair, book)) is not None:
            yield same
        else:
            yield from _as_found(pair, book, format)
    except UnreadableError as error:
        yield _failed(pair, str(error))
    except MemoryError:
        raise  # which is a limit that was met, and nothing of the format's
    except Exception as error:
        # A plugin's comparator, or a library that a damaged file throws off: the other outputs
        # are compared all the same, and this one never passes.
        what = f"{type(error).__name__}: {error}"
        yield _failed(
            pair,
            f"unreadable: the comparator for {format.name} raised {what:.500}; one of the files "
            "may be damaged: write it again, or ignore it by a rule",
        )


def _same_but_stamps(pair: Pair, book: RuleBook) -> Difference | None:
    """The answer for documents that differ in when they were made alone."""
    if book.peek(pair.name).tolerance.exact or pair.expected.path.is_dir():
        return None
    kind = same_but_stamps(pair)
    if not kind:
        return None
    applied = book.find(pair.name)
    note = f"the same but for when, and under which ids, it was made ({kind})"
    size = pair.expected.size_bytes()
    return Difference(
        pair.name,
        "",
        Verdict.EQUIVALENT,
        size=size,
        rule=f"exact but for its making ({applied.origin('documents')})",
        note=note,
        unit="bytes",
    )


def _as_found(pair: Pair, book: RuleBook, format: Format) -> Iterator[Difference]:
    """What the format finds; what its reader cannot take is compared as text, which is said."""
    try:
        yield from format.compare(pair, book)
    except MalformedError as error:
        why = f"{error}{_AS_TEXT}"
        if (
            text_encodings.encoding_of(pair.actual) is None
            or text_encodings.encoding_of(pair.expected) is None
        ):
            raise
        yield from text.compare(pair, book, why)


def _as_text(why: str) -> Format:
    return replace(text.FORMAT, compare=partial(text.compare, why=why))


def _failed(pair: Pair, reason: str) -> Difference:
    return Difference(pair.name, "", Verdict.FAILED, note=reason)
