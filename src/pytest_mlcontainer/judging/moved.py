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
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from pytest_mlcontainer.judging.vouching import that_vouch
from pytest_mlcontainer.model import Comparator, Difference, Output, Verdict

MOST: Final = 1e-4
_FORMATS = re.compile(r"\.(safetensors|pt|pth|ckpt|onnx|h5|hdf5|keras|pkl|pickle|joblib)$", re.I)
_FILES = re.compile(r"(^|[/_.-])(model|weights?|params?|parameters|state|checkpoint|coef)", re.I)
_ITEMS = re.compile(
    r"(^|[./_\]])(coefs?|dual_coef|intercepts?|weights?|bias(es)?|kernel|gamma|beta|theta|"
    r"embeddings?|components|means|covariances|precisions|centers|centroids)_?\d*"
    r"(\[\d+\])*(:\d+)?$",
    re.I,
)
# Whatever is called so has to agree; `vouching` says what of it is enough.
_PREDICTIONS = re.compile(
    r"predict|(?<![a-z])preds?(?![a-z])|prob|logit|score|label|forecast|y_?(hat|pred)|classes|"
    r"decision|recommend",
    re.I,
)


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
    named = [each for each in found if _is_prediction(each)]
    if not named or not all(each.verdict.passes for each in named):
        return found
    if not any(map(_only_moved, found)):
        return found
    vouching = that_vouch(dict.fromkeys(each.output for each in named), expected, comparators)
    where = next((each.where for each in named if each.output in vouching), None)
    if where is None:
        return found
    return tuple(_settled(each, where) if _only_moved(each) else each for each in found)


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
