"""Labels: how many agree, and how they are renamed where a rule leaves their names free."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pytest_mlcontainer.compare.matching.vectors import assign
from pytest_mlcontainer.compare.numeric.gaps import DtypeKind, Values, kind_of
from pytest_mlcontainer.compare.numeric.loose import UnmatchableError
from pytest_mlcontainer.model import Difference, Verdict
from pytest_mlcontainer.wording import first_of

_MOST_LABELS = 2000
_NAMED = 6

Codes = NDArray[np.intp]


@dataclass(frozen=True)
class RenamedLabels:
    """The actual labels, renamed to the reference's.

    Args:
        agree: for each element whether the label is now the reference's.
        note: which label became which; "" where none had to.
    """

    agree: NDArray[np.bool_]
    note: str


def rate(difference: Difference, wanted: float) -> Difference:
    """A difference that counted what is not the same, judged by the share that is."""
    size, differing = difference.size, difference.differing
    share = (size - differing) / size if size else 1.0
    enough = share >= wanted
    verdict = Verdict.EQUIVALENT if differing else difference.verdict
    shown = f"{share:.4f}"
    if not enough and float(shown) >= wanted:
        shown = repr(share)
    note = f"agreement {shown} of {size}, at least {wanted:g} wanted"
    return replace(
        difference,
        verdict=verdict if enough else Verdict.DRIFT,
        beyond=0 if enough else differing,
        note="; ".join(text for text in (difference.note, note) if text),
    )


def are_labels(values: Values) -> bool:
    """Not so numbers with fractions: each is another one, so any would do for any other."""
    if kind_of(values.dtype) not in (DtypeKind.FLOAT, DtypeKind.COMPLEX):
        return True
    plain = values[np.isfinite(values)]
    return bool((plain == np.rint(plain)).all())


def rename(actual: Values, expected: Values) -> RenamedLabels:
    """Give the actual labels the names of the reference's, one to one, so that most agree.

    Args:
        actual, expected: of one shape.

    Raises:
        UnmatchableError: there are too many labels, or SciPy is needed and not installed.
    """
    mine, theirs = _code(actual), _code(expected)
    counts = max(len(mine[1]), len(theirs[1]))
    if counts > _MOST_LABELS:
        raise UnmatchableError(
            f"{counts} different labels are too many to find out which is which (at most "
            f'{_MOST_LABELS}): free = "labels" is for clusters'
        )
    together = np.zeros((len(mine[1]), len(theirs[1])), np.int64)
    np.add.at(together, (mine[0], theirs[0]), 1)
    names = _best_names(together)
    agree = names[mine[0]] == theirs[0]
    changed = [
        f"{mine[1][place]} → {theirs[1][name]}"
        for place, name in enumerate(names)
        if name >= 0 and mine[1][place] != theirs[1][name]
    ]
    note = f"labels renamed: {first_of(changed, _NAMED)}" if changed else ""
    return RenamedLabels(agree.reshape(expected.shape), note)


def _code(values: Values) -> tuple[Codes, list[object]]:
    """Each element as a number, and the label that it stands for; NaN is one label."""
    flat = values.reshape(-1)
    if not flat.dtype.hasobject:
        labels, codes = np.unique(flat, return_inverse=True)
        return np.asarray(codes, np.intp).reshape(-1), labels.tolist()
    known: dict[object, int] = {}
    found = [known.setdefault(label, len(known)) for label in flat.tolist()]
    return np.array(found, np.intp), list(known)


def _best_names(together: NDArray[np.int64]) -> Codes:
    """For each actual label that of the reference, −1 for none.

    Args:
        together: how often each actual label (row) meets each expected one (column).
    """
    rows, columns = together.shape
    if not rows or not columns:
        return np.full(rows, -1, np.intp)
    best = together.argmax(axis=1)
    if len(np.unique(best)) == rows:
        # Each has what suits it best, so no other naming can be better.
        return np.asarray(best, np.intp)
    size = max(rows, columns)
    square = np.zeros((size, size))
    square[:rows, :columns] = -together
    names = assign(square)[:rows]
    return np.where(names < columns, names, -1)
