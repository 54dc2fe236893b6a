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
from pytest_mlcontainer.compare.values.excused import says_moved
from pytest_mlcontainer.compare.values.numbers_in_text import agree_by_numbers
from pytest_mlcontainer.model import Difference, Tolerance, Verdict
from pytest_mlcontainer.model.clock_names import (
    is_date_of_run,
    is_digest,
    is_host,
    is_id,
    is_process,
)
from pytest_mlcontainer.wording import first_of, truncate

# As the whole of a key, or of what stands behind a dot in it: `modelspec.title`. A `box_format` and
# a `class_title` say something of the values.
_OF_MAKER: Final = re.compile(
    r"format|(?:.*[.:])?(?:version|producer|software|creator|writer|author|vendor|library|framework|"
    r"generator|created|modified|date|hash(?:_\w+)?|license|description|comment|docs|url|doc|title|"
    r"path|user|commit|fingerprint)",
    re.I | re.DOTALL,
)
# Longer ones, whose last word alone says too little: `keras_version`, `ss_sd_scripts_commit_hash`.
_TOOLS: Final = (
    "producer|software|library|lib|framework|package|tool|writer|exporter|converter|generator|api|"
    "app|build|release|format|file|schema|ir|onnx|opset|torch|pytorch|lightning|tf|tensorflow|keras|"
    "jax|flax|transformers|diffusers|datasets|peft|optimum|tokenizers|safetensors|gguf|pickle|"
    "pandas|numpy|scipy|sklearn|learn|skops|xgboost|lightgbm|catboost|python|arrow|pyarrow|parquet|"
    "spark|polars|duckdb|cuda|cudnn|driver|os|kernel|platform|runtime|ultralytics|model|sd|scripts"
)
_OF_MAKER_TOO: Final = re.compile(
    rf"(?:.*[_.:])?(?:(?:created|written|made|saved|exported|converted|trained)_by|output_name|"
    rf"stack_trace|(?:{_TOOLS})_version|(?:commit|git|model|file|build|legacy|revision)_(?:hash|sha)|"
    r"(?:git|vcs|scm)_(?:commit|branch|revision|url)|(?:file|model|checkpoint|serialization)_format|"
    r"(?:created|creation|modified|modification|updated?|saved?|export|build|release|conversion)_date|"
    r"(?:docs?|project|repo|repository|home|homepage|source|license|model)_(?:url|license|title|author)|"
    r"training_comment)",
    re.I | re.DOTALL,
)
# Of the CF conventions (2.6.2), ACDD 1.3, CMIP and what NCO and CDO leave behind.
CF_OF_MAKER: Final = re.compile(
    r"history|history_of_appended_files|date_(?:created|modified|issued|metadata_modified)|"
    r"creation_date|tracking_id|nco|cdo|nco_openmp_thread_number|_ncproperties",
    re.IGNORECASE,
)
_WORD: Final = re.compile(r"[\w.:+-]+")
_MOST: Final = 1 << 16
_SHOWN: Final = 120


def compare_metadata(
    output: str,
    actual: Mapping[str, str],
    expected: Mapping[str, str],
    book: RuleBook,
    of_maker: re.Pattern[str] | None = None,
) -> Iterator[Difference]:
    """A difference for each key whose text is not the same.

    Args:
        actual, expected: item name → text; the name ends with the key, after `.` or `@`.
        of_maker: more keys, as a whole, that say how a file of this format was made.
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
        excuse = "" if is_exact else _excuse(item, mine, theirs, of_maker)
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


def _excuse(
    item: str, actual: str | None, expected: str | None, of_maker: re.Pattern[str] | None
) -> str:
    key = re.split(r"[@]|^__metadata__\.|^metadata_props\.", item)[-1]
    named = re.sub(r"[\s-]+", "_", key)
    by_name = (_OF_MAKER.fullmatch, _OF_MAKER_TOO.fullmatch, is_date_of_run, is_host, is_id)
    if of_maker is not None and of_maker.fullmatch(named):
        return " of how the file was made"
    if any(of(named) for of in (*by_name, is_process)):
        return " of how the file was made"
    if actual is None or expected is None:
        return ""
    left, right = _plain(actual), _plain(expected)
    if left == right or agree_by_numbers(left, right, Tolerance()):
        return " that is written otherwise"
    if Counter(_WORD.findall(left)) == Counter(_WORD.findall(right)):
        return ""  # the same in another order, which no clock brings about
    if is_digest(key) or says_moved((left, right)):
        return ""  # of other data
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
