"""Ids of records that others refer to (`images[*].id`, `annotations[*].image_id`) and that are all
new ones in the other run, one for one: drift, but maybe nothing else is, which has to be said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from pytest_mlcontainer.compare.values.notes import join_notes
from pytest_mlcontainer.model import Difference
from pytest_mlcontainer.wording import first_of

_ID: Final = re.compile(r"(?:\A|[._\]])id\Z|_id(?:\[|\Z)", re.IGNORECASE)
_MOST: Final = 1 << 20
_NAMED: Final = 4

_Mapped = dict[str, dict[Any, Any]]


def with_renumbered(
    differences: Iterator[Difference], actual: Any, expected: Any
) -> Iterator[Difference]:
    """The differences of two trees; ids that fail with a note, where they were only given anew."""
    said: str | None = None
    for each in differences:
        if each.verdict.passes or not _ID.search(each.item):
            yield each
            continue
        if said is None:
            said = _say(actual, expected)
        yield replace(each, note=join_notes(each.note, said))


def _say(actual: Any, expected: Any) -> str:
    """That ids were renumbered consistently, and which; "" where one of them was not."""
    if not (isinstance(actual, dict) and isinstance(expected, dict)):
        return ""
    own: _Mapped = {}
    references: dict[str, _Mapped] = {}
    for name in expected:
        fields = _fields(actual.get(name), expected[name])
        if fields is None:
            return ""
        for field, mapped in fields.items():
            if field == "id":
                own[name] = mapped
            else:
                references.setdefault(field, {})[name] = mapped
    if not all(_agree(name, ids, references) for name, ids in own.items()):
        return ""
    fields = {f"{name}[*].id": ids for name, ids in own.items()}
    for field, places in references.items():
        fields |= {f"{place}[*].{field}": ids for place, ids in places.items()}
    moved = [path for path, ids in fields.items() if any(old != new for old, new in ids.items())]
    if not any(f"{name}[*].id" in moved and _users(name, references) for name in own):
        return ""
    return f"ids renumbered consistently, one for one: {first_of(moved, _NAMED)}"


def _agree(name: str, ids: Mapping[Any, Any], references: Mapping[str, _Mapped]) -> bool:
    """Whether all that refers to the ids of these records was given the same new ones."""
    for used in _users(name, references):
        if any(ids.get(old) != new for old, new in used.items()):
            return False
    # The same ids in another order: the records themselves may have moved.
    return ids.keys() != {*ids.values()} or all(old == new for old, new in ids.items())


def _users(name: str, references: Mapping[str, _Mapped]) -> list[dict[Any, Any]]:
    return [
        ids
        for field, places in references.items()
        if _refers_to(field, name)
        for ids in places.values()
    ]


def _fields(actual: Any, expected: Any) -> _Mapped | None:
    """The ids of two lists of records, by field: the expected one → the actual one; empty for what
    is no such list. None where one became two, or two became one."""
    found: _Mapped = {}
    if not (isinstance(actual, list) and isinstance(expected, list)):
        return found
    if len(actual) != len(expected) or len(expected) > _MOST:
        return found
    for left, right in zip(actual, expected, strict=True):
        if not (isinstance(left, dict) and isinstance(right, dict)):
            return {}
        for field, old in right.items():
            new = left.get(field)
            if not (isinstance(field, str) and _ID.search(field) and _are_ids(old, new)):
                continue
            if found.setdefault(field, {}).setdefault(old, new) != new:
                return None
    one_for_one = all(len({*ids.values()}) == len(ids) for ids in found.values())
    return found if one_for_one else None


def _are_ids(old: Any, new: Any) -> bool:
    return type(old) is type(new) and type(old) in (int, str)


def _refers_to(field: str, name: str) -> bool:
    """Whether a field called so, `category_id`, holds ids of records of that name, `categories`."""
    of = field.removesuffix("_id")
    return name in (of, f"{of}s", f"{of}es", f"{of.removesuffix('y')}ies")
