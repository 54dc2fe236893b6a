"""What is drawn of an item, as JSON and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pytest_mlcontainer.model import (
    Confusion,
    Pictures,
    PlotGrid,
    Plots,
    PlottedSeries,
    TextLine,
    TextLines,
)


def plots_to_json(plots: Plots | None) -> dict[str, Any] | None:
    """Mappings, lists and scalars; infinities and NaN are strings."""
    return None if plots is None else _plain(asdict(plots))


def plots_from_json(raw: Mapping[str, Any] | None) -> Plots | None:
    """The plots that became this, or the same with numbers as they are."""
    if raw is None:
        return None
    return Plots(
        looked_at=raw["looked_at"],
        relative=tuple((float(low), float(high), count) for low, high, count in raw["relative"]),
        places=_grid(raw["places"]),
        density=_grid(raw["density"]),
        series=None if raw["series"] is None else PlottedSeries(**_tuples(raw["series"])),
        confusion=None if raw["confusion"] is None else Confusion(**_tuples(raw["confusion"])),
        pictures=None if raw["pictures"] is None else Pictures(**raw["pictures"]),
        text=_text(raw.get("text")),
    )


def _text(raw: Mapping[str, Any] | None) -> TextLines | None:
    if raw is None:
        return None
    return TextLines(tuple(TextLine(**line) for line in raw["lines"]), raw["is_cut"])


def _grid(raw: Mapping[str, Any] | None) -> PlotGrid | None:
    if raw is None:
        return None
    ends = {name: float(raw[name]) for name in ("low", "high")}
    return PlotGrid(**{**_tuples(raw), **ends})


def _tuples(raw: Any) -> Any:
    if isinstance(raw, Mapping):
        return {key: _tuples(value) for key, value in raw.items()}
    return tuple(_tuples(each) for each in raw) if isinstance(raw, (list, tuple)) else raw


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
