"""Text that a file keeps beside its values, by key: names of classes, units, a network's settings.

What says who wrote the file, when, where and with what is no drift; what says anything else is.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.text.excuses import NOUNS, excuse_all
from pytest_mlcontainer.compare.values.numbers_in_text import agree_by_numbers
from pytest_mlcontainer.model import Difference, Tolerance, Verdict
from pytest_mlcontainer.model.clock_names import is_date_of_run, is_host, is_id, is_process
from pytest_mlcontainer.wording import first_of, truncate

_OF_MAKER: Final = re.compile(
    r"(?:^|[._:\- ])(?:format|(?:\w+_)?version|producer|software|creator|(?:created|written)_by|"
    r"writer|author|vendor|library|framework|generator|created|modified|(?:\w+_)?date|"
    r"(?:\w+_)?hash|license|description|comment|docs|url|doc|title|path|output_name|user|commit|"
    r"stack_trace|fingerprint)$",
    re.I,
)
_WORD: Final = re.compile(r"[\w.:+-]+")
_MOST: Final = 1 << 16
_SHOWN: Final = 120


def compare_metadata(
    output: str, actual: Mapping[str, str], expected: Mapping[str, str], book: RuleBook
) -> Iterator[Difference]:
    """A difference for each key whose text is not the same.

    Args:
        actual, expected: item name → text; the name ends with the key, after `.` or `@`.
    """
    for item in dict.fromkeys((*expected, *actual)):
        mine, theirs = actual.get(item), expected.get(item)
        if mine == theirs:
            continue
        applied = book.find(output, item)
        if applied.tolerance.ignore:
            continue
        # A rule for the file is about its values.
        is_exact = applied.tolerance.exact and applied.rule is not None and applied.rule.item
        excuse = "" if is_exact else _excuse(item, mine, theirs)
        yield Difference(
            output,
            item,
            Verdict.EQUIVALENT if excuse else Verdict.DRIFT,
            worst_actual=_shown(mine),
            worst_expected=_shown(theirs),
            differing=1,
            beyond=int(not excuse),
            size=1,
            note=f"metadata{excuse}: {_shown(mine)}, expected {_shown(theirs)}",
        )


def _excuse(item: str, actual: str | None, expected: str | None) -> str:
    key = re.split(r"[@]|^__metadata__\.|^metadata_props\.", item)[-1]
    if _OF_MAKER.search(key) or any(of(key) for of in (is_date_of_run, is_host, is_id, is_process)):
        return " of how the file was made"
    if actual is None or expected is None:
        return ""
    left, right = _plain(actual), _plain(expected)
    if left == right or agree_by_numbers(left, right, Tolerance()):
        return " that is written otherwise"
    if Counter(_WORD.findall(left)) == Counter(_WORD.findall(right)):
        return ""  # the same in another order, which no clock brings about
    names = excuse_all([(left, right)]).names()
    return f" that differs in {first_of([NOUNS[name] for name in names], 3)} alone" if names else ""


def _plain(text: str) -> str:
    """JSON in one form, other text as it is."""
    with suppress(ValueError, RecursionError):
        if len(text) <= _MOST and text[:1] in '{["':
            held: Any = json.loads(text)
            return json.dumps(held, sort_keys=True)
    return text


def _shown(text: str | None) -> str:
    return "(none)" if text is None else truncate(repr(text), _SHOWN)
