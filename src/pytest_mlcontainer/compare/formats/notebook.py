"""Jupyter notebooks, as JSON. When they were run, and under which ids, is no result.

Format: https://nbformat.readthedocs.io/en/latest/format_description.html, with what those who run
notebooks write into the metadata: nbclient (`execution`), papermill, ExecuteTime, ipywidgets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from pytest_mlcontainer.compare.formats import json_file
from pytest_mlcontainer.compare.rules.rules import RuleBook
from pytest_mlcontainer.compare.sources import ComparedFile, Pair
from pytest_mlcontainer.model import Difference, Verdict

_MARK: Final = b'"nbformat"'
_ENDS_BYTES: Final = 1 << 16  # writers sort the keys of the document: `cells` come first
_COUNT: Final = re.compile(r"cells\[\d+\]\.(?:outputs\[\d+\]\.)?execution_count")
_STAMP: Final = re.compile(
    r"cells\[\d+\]\.id"
    r"|cells\[\d+\]\.metadata\.(?:execution|ExecuteTime)\b.*"
    r"|(?:cells\[\d+\]\.)?metadata\.papermill\.(?:start_time|end_time|duration|(?:in|out)put_path)"
    r"|metadata\.widgets\b.*"
    r"|cells\[\d+\]\.outputs\[\d+\]\.data\.application/vnd\.jupyter\.widget-view\+json\.model_id",
    re.DOTALL,
)


def compare(pair: Pair, book: RuleBook) -> Iterator[Difference]:
    """Compare two notebooks, leaf by leaf; their stamps are counted, and are no drift."""
    stamps = 0
    for found in json_file.FORMAT.compare(pair, book):
        if _is_stamp(found, book):
            stamps += 1
        else:
            yield found
    if stamps:
        yield Difference(
            pair.name,
            "",
            Verdict.EQUIVALENT,
            differing=stamps,
            size=stamps,
            rule="exact but for its run (notebooks default)",
            note="the same but for when, and under which ids, it was run",
            unit="items",
        )


def _is_stamp(found: Difference, book: RuleBook) -> bool:
    counted = found.max_abs is not None and _COUNT.fullmatch(found.item)  # null: it was not run
    if found.verdict is not Verdict.DRIFT or not (counted or _STAMP.fullmatch(found.item)):
        return False
    return not book.peek(found.output, found.item).tolerance.exact


def _is_notebook(side: ComparedFile) -> bool:
    with side.open() as stream:
        ends = stream.read(_ENDS_BYTES)
        stream.seek(max(len(ends), side.size_bytes() - _ENDS_BYTES))
        ends += stream.read(_ENDS_BYTES)
    if _MARK not in ends or not ends.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return False
    return side.name.lower().endswith(".ipynb") or json_file.is_json(side)


FORMAT = replace(
    json_file.FORMAT, name="notebook", compare=compare, has_content=_is_notebook, suffixes=()
)
