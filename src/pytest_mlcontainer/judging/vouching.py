"""Finds the outputs that vouch for a model: what it chose for enough things, not all the same.

What is only called alike does not: names of classes, what is true of a test set, metrics, settings,
logs, plots. None of it would be another with another model, or it cannot show that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from pytest_mlcontainer.compare import compare_outputs
from pytest_mlcontainer.compare.numeric.measure import first_two, some_repeat
from pytest_mlcontainer.compare.rules.study import Metric, Study
from pytest_mlcontainer.model import Comparator, Output, Rule, Tolerance

_LEAST_PREDICTED: Final = 10
_BEGINNING_BYTES: Final = 1 << 16
_CHOSEN: Final = re.compile(
    r"predict(?:ion|ed)?s?(?![a-z])|probabilit(?:y|ies)|forecasts?(?![a-z])|logits?(?![a-z])"
    r"|(?<![a-z])(?:preds?|prob(?:a|as|s)?|scores?|y_?hat|y_?pred|decisions?|recommend\w*)(?![a-z])",
    re.I,
)
# As often what is true, or what classes are called: with these, values have to occur twice.
_CLASSES: Final = re.compile(r"(?<![a-z])(?:labels?|classes)(?![a-z])", re.I)
_TRUE: Final = re.compile(
    r"(?<![a-z])(?:test|train|training|val|valid|validation|dev|true|truth|gt|gold|actual)(?![a-z])",
    re.I,
)
_ABOUT: Final = re.compile(
    r"(?<![a-z])(?:config|conf|settings?|params?|args|schema|names?|map|mapping|encoder|vocab|metrics?"
    r"|report|summary|importances?|curve|roc|thresholds?|info|meta|metadata|plot|hist(?:ogram)?|card"
    r"|stats|statistics|cv|folds?|truth|readme|log|template|times?|timings?|latency|tree)(?![a-z])",
    re.I,
)
_DOCUMENTS: Final = re.compile(
    r"\.(?:log|md|rst|html?|ini|cfg|conf|toml|py|sh|ipynb|tex|pdf|eps|svg|docx)$", re.I
)
_PICTURES: Final = re.compile(r"\.(?:png|jpe?g|gif|webp|bmp|tiff?)$", re.I)
_MASKS: Final = re.compile(r"(?<![a-z])(?:masks?|seg(?:mentations?)?|labels?)(?![a-z])", re.I)

_PREDICTED: Final = re.compile(
    r"pred|prob|logit|score|forecast|y_?hat|decision|recommend|output", re.I
)
_ROWS: Final = re.compile(
    r"(^|[._])(id|ids|idx|index|row|sample|name|path|file|image|key)s?$"
    r"|(^|[._])(y_?(true|test)|true(_?labels?)?|labels?_true|(ground_?)?truth|gt|actual)$",
    re.I,
)
_MEASURED: Final = re.compile(
    r"(?<![a-z])(?:acc(?:uracy)?|au(?:ro|pr)?c|f1|f?beta|precision|recall|m[as]e|rmse|s?mape|loss"
    r"|r2|logloss|perplexity|[bn]leu|rouge|wer|cer|ndcg|mrr|m?iou|map|dice|brier|kappa|mcc|support"
    r"|(?:train|test|val|mean|std)[ _]scores?|times?)(?![a-z])",
    re.I,
)
_SCORES: Final = re.compile(r"scores?(?![a-z])", re.I)
_PLACE: Final = re.compile(r"\[[0-9]+\]")


@dataclass
class _Values:
    """Values that are called alike, of one output.

    Args:
        some: two that are not the same; one where there are no others.
        size: how many there are.
        repeat: whether one occurs twice.
        lone: whether each stands by itself, as a metric does, in no array and no record.
    """

    some: set[str] = field(default_factory=set)
    size: int = 0
    repeat: bool = False
    lone: bool = True

    def add(self, metric: Metric, lone: bool) -> None:
        found = first_two(metric.expected)
        self.repeat |= metric.repeat or some_repeat(metric.expected) or bool(self.some & found)
        self.some |= found
        self.size += metric.size or metric.expected.size
        self.lone &= lone


_Items = dict[str, _Values]


def may_vouch(name: str) -> bool:
    """Whether an output is called as what a model chose is."""
    file = PurePosixPath(name).name
    if _DOCUMENTS.search(file) or _ABOUT.search(_stem(file)):
        return False
    if _PICTURES.search(file) and not _MASKS.search(_stem(file)):
        return False
    return _is_chosen(name) or (
        bool(_CLASSES.search(_stem(file))) and not _TRUE.search(_stem(file))
    )


def that_vouch(
    names: Iterable[str], outputs: tuple[Output, ...], comparators: tuple[Comparator, ...]
) -> frozenset[str]:
    """Those of the outputs that hold predictions which are not all the same, and as many as it
    takes; what cannot be looked into is taken for such.

    Each is compared with itself, so as to be told of its values, whatever its format.
    """
    wanted = frozenset(filter(may_vouch, names))
    chosen = tuple(output for output in outputs if output.name in wanted)
    items = _items_of(chosen, comparators)
    found = {name: _predicted(each) for name, each in items.items()}
    lone = {name for name, each in found.items() if all(values.lone for values in each.values())}
    vary = {name for name in found.keys() - lone if _vary(name, found[name].values())}
    if len(lone) == 1 and not all(map(_is_chosen, (_SCORES.sub("", name) for name in lone))):
        lone = set()  # scores by the names of what was scored, a model or a data set
    if _vary_together([found[name] for name in sorted(lone)]):
        vary |= lone
    lines = {each.name for each in chosen if each.name not in items and _has_lines(each)}
    many = sum(values.size for name in vary for values in found[name].values())
    return frozenset(lines | (vary if many >= _LEAST_PREDICTED else set()))


def _stem(file: str) -> str:
    return file.partition(".")[0] or file


def _is_chosen(name: str) -> bool:
    return bool(_CHOSEN.search(_stem(PurePosixPath(name).name)))


def _items_of(
    outputs: tuple[Output, ...], comparators: tuple[Comparator, ...]
) -> dict[str, _Items]:
    items: dict[str, _Items] = {}

    def take(metric: Metric) -> bool:
        output, item = metric.item
        kind = _PLACE.sub("[*]", item)
        lone = kind == item and (metric.size or metric.expected.size) == 1
        kinds = items.setdefault(output, {})
        if not _MEASURED.search(item.replace("_", " ")):
            kinds.setdefault(kind, _Values()).add(metric, lone)
        return True

    everything = (Rule("**", None, Tolerance(equivalence=1.0)),)
    compare_outputs(outputs, outputs, everything, comparators, study=Study(on_metric=take))
    return items


def _predicted(items: _Items) -> _Items:
    """The items that are called as predictions are, or stand in what is; where none is, all but
    the names of rows and what is true of them.
    """
    values = {item: found for item, found in items.items() if not _ROWS.search(item)}
    called = {i: found for i, found in values.items() if _PREDICTED.search(i.rpartition(".")[2])}
    inside = {item: found for item, found in values.items() if _PREDICTED.search(item)}
    return called or inside or values


def _vary(name: str, items: Iterable[_Values]) -> bool:
    return any(
        len(each.some) > 1 and (each.repeat or _is_chosen(name)) for each in items if not each.lone
    )


def _vary_together(files: list[_Items]) -> bool:
    """Whether values that stand alone, in a file each or by names in one, `{"a.png": 1}`, are not
    all the same.
    """
    if len(files) == 1:
        return len({value for values in files[0].values() for value in values.some}) > 1
    by_item: dict[str, set[str]] = {}
    for items in files:
        for item, values in items.items():
            by_item.setdefault(item, set()).update(values.some)
    return any(len(some) > 1 for some in by_item.values())


def _has_lines(output: Output) -> bool:
    """Whether a text has lines enough that are not all the same; bytes are taken for such."""
    with output.path.open("rb") as file:
        try:
            file.read(_BEGINNING_BYTES).decode("utf-8", "strict")
        except UnicodeDecodeError as error:
            if error.end < _BEGINNING_BYTES - 4:
                return True
    lines = _lines(output.path)
    first = [line for line, _number in zip(lines, range(1000), strict=False)]
    repeat = len(set(first)) < len(first)
    vary = len(set(first)) > 1 or any(line != first[0] for line in lines)
    return len(first) >= _LEAST_PREDICTED and vary and (repeat or _is_chosen(output.name))


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from (line for line in file if line.strip())
