"""Tells parameters that rounding moved during training from those of another model.

Training repeats an arithmetic thousands of times, each time on what the last one gave. Under
another thread count, BLAS kernel or architecture the parameters of a converged model therefore move
by more than the rounding of one operation, and what it predicts stays the same. Measured on models
of scikit-learn and on plain training loops (the family `fitted` of `python -m benchmarks.noise`):
parameters of converged models moved by up to 4e-5 of their typical size, those of solvers that were
stopped early by 1e-3 to 1e-2, and with them what they predict, by 1e-4 and more.

So a parameter that is off by at most `MOST` of what is typical of its array is equivalent where
predictions were compared, and all of them agree: they vouch for the model. Where there are none, or
one differs, nothing is excused. What this hides is a change of parameters that no prediction that
was written shows. Predictions that are all the same value vouch for nothing: so are those of a
model that learnt nothing, whatever its parameters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Set
from dataclasses import replace
from pathlib import Path
from typing import Final

from pytest_mlcontainer.compare import compare_outputs
from pytest_mlcontainer.compare.numeric.measure import first_two
from pytest_mlcontainer.compare.rules.study import Metric, Study
from pytest_mlcontainer.model import Comparator, Difference, Output, Rule, Tolerance, Verdict

MOST: Final = 1e-4
_LEAST_PREDICTED = 10
_FORMATS = re.compile(r"\.(safetensors|pt|pth|ckpt|onnx|h5|hdf5|keras|pkl|pickle|joblib)$", re.I)
_FILES = re.compile(r"(^|[/_.-])(model|weights?|params?|parameters|state|checkpoint|coef)", re.I)
_ITEMS = re.compile(
    r"(^|[./_\]])(coefs?|dual_coef|intercepts?|weights?|bias(es)?|kernel|gamma|beta|theta|"
    r"embeddings?|components|means|covariances|precisions|centers|centroids)_?\d*"
    r"(\[\d+\])*(:\d+)?$",
    re.I,
)
_PREDICTIONS = re.compile(
    r"predict|prob|logit|score|label|forecast|y_?(hat|pred)|classes|decision|recommend", re.I
)

_PREDICTED = re.compile(r"pred|prob|logit|score|forecast|y_?hat|decision|recommend|output", re.I)
_ROWS = re.compile(r"(^|[._])(id|ids|idx|index|row|sample|name|path|file|image|key)s?$", re.I)
_PLACE = re.compile(r"\[[0-9]+\]")


def settle_moved(
    differences: Iterable[Difference],
    expected: tuple[Output, ...],
    comparators: tuple[Comparator, ...] = (),
) -> tuple[Difference, ...]:
    """The same differences, with parameters that only moved as equivalent, each with a note.

    Args:
        expected: what the reference wrote; its predictions are read where it depends on them.
        comparators: formats that plugins add.
    """
    found = tuple(differences)
    vouching = [each for each in found if _is_prediction(each)]
    size = max((each.size for each in vouching), default=0)
    if size < _LEAST_PREDICTED or not all(each.verdict.passes for each in vouching):
        return found
    if not any(map(_only_moved, found)):
        return found
    vary = _that_vary({each.output for each in vouching}, expected, comparators)
    where = next((each.where for each in vouching if each.output in vary), None)
    if where is None:
        return found
    return tuple(_settled(each, where) if _only_moved(each) else each for each in found)


def _that_vary(
    names: Set[str], outputs: tuple[Output, ...], comparators: tuple[Comparator, ...]
) -> frozenset[str]:
    """The outputs whose predictions are not all the same; those that cannot be looked into, too.

    Each is compared with itself, so as to be told of its values, whatever its format.
    """
    items: dict[str, dict[str, set[str]]] = {}

    def take(metric: Metric) -> bool:
        output, item = metric.item
        kind = _PLACE.sub("[*]", item)  # of values by names, `{"a.png": 1}`, all are of one kind
        kind = "*" if metric.expected.size == 1 and kind == item else kind
        items.setdefault(output, {}).setdefault(kind, set()).update(first_two(metric.expected))
        return True

    chosen = tuple(output for output in outputs if output.name in names)
    everything = (Rule("**", None, Tolerance(equivalence=1.0)),)
    compare_outputs(chosen, chosen, everything, comparators, study=Study(on_metric=take))
    constant = {name for name, each in items.items() if not _vary(each)}
    lines = (each for each in chosen if each.name not in items and _is_one_line(each.path))
    return frozenset(names - constant - {each.name for each in lines})


def _vary(items: dict[str, set[str]]) -> bool:
    """Whether predictions are not all the same, by what items hold: by those that are called as
    predictions are, or stand in what is; where none is, by all but the names of rows.
    """
    values = {item: found for item, found in items.items() if not _ROWS.search(item)}
    called = [found for item, found in items.items() if _PREDICTED.search(item.rpartition(".")[2])]
    inside = [found for item, found in values.items() if _PREDICTED.search(item)]
    return any(len(found) > 1 for found in called or inside or values.values())


def _is_one_line(path: Path) -> bool:
    """Whether a file is one line again and again."""
    with path.open("rb") as file:
        first, second = file.readline(), file.readline()
        return bool(second) and all(line == first for line in (second, *file))


def is_parameter(difference: Difference) -> bool:
    """Whether the item is what training fits, by the names of file and item."""
    if _ITEMS.search(difference.item):
        return True
    in_file = _FILES.search(difference.output.rpartition("/")[2])
    return bool(in_file) and bool(_FORMATS.search(difference.output) or not difference.item)


def _is_prediction(difference: Difference) -> bool:
    name = difference.output.rpartition("/")[2]
    return bool(_PREDICTIONS.search(name)) and not is_parameter(difference)


def _only_moved(difference: Difference) -> bool:
    off, typical = difference.max_abs, difference.typical
    return (
        difference.verdict is Verdict.DRIFT
        and difference.rule.endswith("default)")
        and is_parameter(difference)
        and off is not None
        and typical is not None
        and off <= MOST * typical
    )


def _settled(difference: Difference, where: str) -> Difference:
    off, typical = difference.max_abs, difference.typical
    assert off is not None
    assert typical is not None
    note = (
        f"moved by {off / typical:.2g} of its typical size, beyond rounding, as training moves "
        f"parameters; {where} agrees. A rule of its own decides otherwise"
    )
    note = f"{difference.note}; {note}" if difference.note else note
    return replace(difference, verdict=Verdict.EQUIVALENT, note=note)
