"""Summaries as files of JSON, and back."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_mlcontainer.compare.sources import WRONG_BYTES, ComparedFile
from pytest_mlcontainer.compare.summary.items import Item, Statistics, Summary, plain

VERSION = 1
_LIMIT_BYTES = 1 << 26


def summary_to_json(summary: Summary) -> str:
    items = summary.items
    raw = {
        "summary": VERSION,
        "size_bytes": summary.size_bytes,
        "sha256": summary.sha256,
        "items": None
        if items is None
        else {name: _item_to_json(item) for name, item in items.items()},
    }
    return json.dumps(raw, indent=1, ensure_ascii=True, allow_nan=False) + "\n"


def read_summary(side: ComparedFile) -> Summary:
    """A summary back from its file.

    Raises:
        UnreadableError: it is damaged, or of a newer version.
    """
    if side.size_bytes() > _LIMIT_BYTES:
        raise side.unreadable("has a summary in the baseline that is too large to be one")
    try:
        raw = json.loads(side.read().decode("utf-8"))
        if raw["summary"] != VERSION:
            raise ValueError(f"it is of version {raw['summary']!r:.50}, this reads {VERSION}")
        items = raw["items"]
        parsed = None if items is None else {name: _item_from(items[name]) for name in items}
        return Summary(int(raw["size_bytes"]), str(raw["sha256"]), parsed)
    except WRONG_BYTES as error:
        reason = f"the field {error} is missing" if isinstance(error, KeyError) else str(error)
        raise side.unreadable(
            f"has a summary in the baseline that is damaged ({reason:.200}); write it again"
        ) from error


def _item_to_json(item: Item) -> dict[str, Any]:
    statistics = item.statistics
    return {
        "dtype": item.dtype,
        "shape": list(item.shape),
        "sha256": item.sha256,
        "statistics": None
        if statistics is None
        else {
            name: [plain(each) for each in value] if isinstance(value, tuple) else _finite(value)
            for name, value in vars(statistics).items()
        },
        "places": list(item.places),
        "values": list(item.values),
    }


def _finite(value: float) -> Any:
    return value if isinstance(value, int) or math.isfinite(value) else str(value)


def _item_from(raw: Mapping[str, Any]) -> Item:
    shape = tuple(int(length) for length in raw["shape"])
    size = math.prod(shape)
    places = tuple(int(place) for place in raw["places"])
    values = tuple(raw["values"])
    if min(shape, default=0) < 0 or len(values) != len(places):
        raise ValueError("its shape or sample makes no sense")
    if list(places) != sorted(set(places)) or (places and not 0 <= places[0] <= places[-1] < size):
        raise ValueError("its sample lies outside its shape")
    found = raw["statistics"]
    statistics = None
    if found is not None:
        quantiles = tuple(float(each) for each in found["quantiles"])
        statistics = Statistics(
            nan=int(found["nan"]),
            infinite=int(found["infinite"]),
            negative_infinite=int(found["negative_infinite"]),
            min=float(found["min"]),
            max=float(found["max"]),
            mean=float(found["mean"]),
            mean_abs=float(found["mean_abs"]),
            std=float(found["std"]),
            rms=float(found["rms"]),
            quantiles=quantiles,
        )
    return Item(str(raw["dtype"]), shape, str(raw["sha256"]), statistics, places, values)


def write_summary(path: Path, summary: Summary) -> None:
    path.write_text(summary_to_json(summary), encoding="utf-8")
