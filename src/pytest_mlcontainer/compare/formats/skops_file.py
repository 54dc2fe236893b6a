"""skops files: zip archives of a tree, `schema.json`, and of arrays that it names.

Format: https://skops.readthedocs.io/en/stable/persistence.html

skops calls arrays after the address that they had in memory, `140299834592496.npy`, and notes every
object's as `__id__`. Here an array is called by its first place in the tree,
`estimators_[0]/tree_/values.npy`, and addresses are no part of the model.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import IO, Any, Final, cast

from pytest_mlcontainer.compare.formats import archives, json_file
from pytest_mlcontainer.compare.formats.archives import Members
from pytest_mlcontainer.compare.formats.json_text import JsonError
from pytest_mlcontainer.compare.formats.kind import Format, begins
from pytest_mlcontainer.compare.formats.unpacking import (
    MOST_MEMBERS,
    CompareInside,
    UnpackingBudget,
)
from pytest_mlcontainer.compare.formats.zip_file import open_members
from pytest_mlcontainer.compare.formats.zips import has_directory
from pytest_mlcontainer.compare.sources import ComparedFile, UnreadableError

_SCHEMA: Final = "schema.json"
_MOST_BYTES: Final = 1 << 26
_DIRECTORY_BYTES: Final = 1 << 16  # whose last entry is the schema's: it is written last
_ADDRESS: Final = re.compile(r"[0-9]{6,20}(\.[a-z]{1,8})")


def format_of(inside: CompareInside, allowance: UnpackingBudget | None) -> Format:
    compare = partial(archives.compare, _open, inside, allowance)
    return Format("skops", compare, _is_skops, folds=True)


def _is_skops(side: ComparedFile) -> bool:
    if not begins(side, b"PK\x03\x04") or not has_directory(side):
        return False
    with side.open() as stream:
        stream.seek(max(0, side.size_bytes() - _DIRECTORY_BYTES))
        if _SCHEMA.encode() not in stream.read(_DIRECTORY_BYTES):
            return False
    try:
        with open_members(side, MOST_MEMBERS) as members:
            return _tree_of(members) is not None
    except UnreadableError:
        return False


@contextmanager
def _open(side: ComparedFile, most_members: int) -> Iterator[Members]:
    """The members, called by where in the tree they are; as they are where it is no tree."""
    with open_members(side, most_members) as members:
        tree = _tree_of(members)
        yield members if tree is None else _renamed(members, tree)


def _tree_of(members: Members) -> dict[str, Any] | None:
    schema = members.get(_SCHEMA)
    if schema is None:
        return None
    try:
        with schema.open() as stream:
            data = bytearray()
            while len(data) <= _MOST_BYTES and (chunk := stream.read(schema.step)):
                data += chunk
        tree = json_file.parse(data.decode()) if len(data) <= _MOST_BYTES else None
    except (JsonError, UnicodeDecodeError, UnreadableError):
        return None
    return tree if isinstance(tree, dict) and "__loader__" in tree else None


def _renamed(members: Members, tree: dict[str, Any]) -> Members:
    names: dict[str, str] = {}
    without = _without_addresses(tree, names)
    try:
        data = json.dumps(without).encode()
    except RecursionError:
        return members
    found = {names.get(name, name): member for name, member in members.items()}
    if len(found) < len(members):
        return members
    schema = replace(
        members[_SCHEMA], open=lambda: nullcontext(cast("IO[bytes]", io.BytesIO(data)))
    )
    return {**found, _SCHEMA: schema}


def _without_addresses(tree: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """A copy of the tree; `names` gets what each file that is called by its address is called."""
    copy: dict[str, Any] = {}
    waiting: list[tuple[Any, Any, str]] = [(tree, copy, "")]
    while waiting:
        source, into, path = waiting.pop()
        pairs = source.items() if isinstance(source, dict) else enumerate(source)
        children: list[tuple[Any, Any, str]] = []
        for key, value in pairs:
            if key == "__id__":
                continue
            held = value
            if isinstance(value, (dict, list)):
                held = type(value)()
                children.append((value, held, _step(path, key)))
            elif key == "file" and isinstance(value, str):
                held = names.setdefault(value, _called(value, path))
            if isinstance(into, dict):
                into[key] = held
            else:
                into.append(held)
        waiting += reversed(children)
    return copy


def _step(path: str, key: object) -> str:
    if isinstance(key, int):
        return f"{path}[{key}]"
    return path if key == "content" else f"{path}/{key}".removeprefix("/")


def _called(name: str, path: str) -> str:
    found = _ADDRESS.fullmatch(name)
    return name if found is None else f"{path or 'array'}{found[1]}"
