"""Which comparator two files get: by what is in them first, by their name second."""

from __future__ import annotations

import codecs
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pytest_mlcontainer.compare import binary, csv, json, npy, npz, text
from pytest_mlcontainer.compare.json_text import JsonError
from pytest_mlcontainer.compare.rules import RuleBook
from pytest_mlcontainer.compare.sources import Pair, Side, chunks
from pytest_mlcontainer.model import Difference, Verdict

_TEXT_LIMIT_BYTES = 1 << 26


@dataclass(frozen=True)
class Format:
    """A kind of file.

    Args:
        compare: gives one difference for each item.
        has_content: whether a file is of this kind, by its bytes.
        suffixes: names that say so when the bytes do not.
        folds: whether items that agree are counted instead of listed.
        textual: whether two files of different textual formats can still be compared as text.
    """

    name: str
    compare: Callable[[Pair, RuleBook], Iterator[Difference]]
    has_content: Callable[[Side], bool] | None = None
    suffixes: tuple[str, ...] = ()
    folds: bool = False
    textual: bool = False


_BYTES = Format("bytes", binary.compare)
_TEXT = Format("text", text.compare, textual=True)


def formats() -> tuple[Format, ...]:
    """All but text and bytes, which take what is left."""
    return (
        Format("npy", npy.compare, lambda side: _begins(side, npy.MAGIC), (".npy",)),
        Format("npz", npz.compare, _is_npz, (".npz",)),
        Format("json", json.compare, _is_json, (".json",), folds=True, textual=True),
        Format("csv", csv.compare, None, (".csv", ".tsv"), folds=True, textual=True),
    )


def find_format(pair: Pair) -> Format | Difference:
    """The format of both files; a difference where they have nothing in common."""
    actual, expected = recognise(pair.actual), recognise(pair.expected)
    if actual.name == expected.name:
        return actual
    if actual.textual and expected.textual:
        return _TEXT
    if {actual.name, expected.name} == {"text", "bytes"}:
        return _BYTES
    note = f"the file is {actual.name}, expected {expected.name}"
    return Difference(pair.name, "", Verdict.DRIFT, note=note)


def recognise(side: Side) -> Format:
    """The format of one file."""
    known = formats()
    for format in known:
        if format.has_content is not None and format.has_content(side):
            return format
    for format in known:
        if side.name.lower().endswith(format.suffixes):
            return _TEXT if format.name == "csv" and _is_key_value(side) else format
    return _TEXT if _is_text(side) else _BYTES


def _begins(side: Side, magic: bytes) -> bool:
    with side.open() as stream:
        return stream.read(len(magic)) == magic


def _is_npz(side: Side) -> bool:
    if not (_begins(side, b"PK\x03\x04") or _begins(side, b"PK\x05\x06")):
        return False
    try:
        with side.open() as stream, zipfile.ZipFile(stream) as file:
            names = file.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return False
    return bool(names) and all(name.endswith(".npy") for name in names)


def _is_json(side: Side) -> bool:
    """An object or list that reads as JSON. What is only called .json is JSON by its name."""
    if side.size_bytes() > _TEXT_LIMIT_BYTES:
        return False
    with side.open() as stream:
        first = stream.read(256).lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if first not in (b"{", b"[") or side.name.lower().endswith(".json"):
        return False
    try:
        json.parse(side.read().decode("utf-8-sig"))
    except (JsonError, UnicodeDecodeError):
        return False
    return True


def _is_key_value(side: Side) -> bool:
    if not _is_text(side):
        return False
    return csv.is_key_value_text(side.read().decode("utf-8-sig"))


def _is_text(side: Side) -> bool:
    """UTF-8 without NUL, and not too large to be shown line by line."""
    if side.size_bytes() > _TEXT_LIMIT_BYTES:
        return False
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with side.open() as stream:
            for chunk in chunks(stream):
                decoder.decode(chunk)
                if b"\0" in chunk:
                    return False
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True
