"""Where two runs part, as statements for a reader and as JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from pytest_mlcontainer.model import Location, Sides, SourceLine, Step

_HEAD = 3


def place_text(place: SourceLine) -> str:
    """`train.py:10, in Net.step: logits = x @ self.w`."""
    where = f", in {place.function}" if place.function else ""
    return f"{place.file}:{place.line}{where}: {place.text}"


def where_statements(location: Location) -> Iterator[tuple[str, str, tuple[tuple[str, str], ...]]]:
    """Label, text and what is said under it, in the order in which a reader wants them."""
    if not location.origins:
        yield "where it comes in", "not located", tuple(("why", each) for each in location.notes)
        return
    head = "located" if location.proven else "suspected"
    first, *others = location.origins
    below = [("there", _sides_text(each)) for each in location.values]
    below += [("how", location.kind)] if location.kind else []
    below += [("and also", place_text(each)) for each in others[:_HEAD]]
    if len(others) > _HEAD:
        below.append(("and also", f"{len(others) - _HEAD} more statements"))
    below.append(("shown by", _proof(location)))
    below += [("usually helps", location.mend)] if location.mend else []
    below += [("to bear in mind", each) for each in location.notes]
    yield head, place_text(first), tuple(below)
    if location.amplifier is not None:
        yield "grows there", _step_text(location.amplifier), ()
    if location.decision is not None:
        yield "decides otherwise there", place_text(location.decision), ()


def _proof(location: Location) -> str:
    runs = "1 run" if location.runs == 1 else f"{location.runs} runs"
    if not location.proven and not location.values:
        return f"{runs}: nothing but what it calls; it is a guess"
    if not location.proven:
        return (
            f"{runs}: what it is seen to read is equal on both sides, and what it makes of it is "
            "not; that all of the drift comes from there is not shown"
        )
    values = "its values" if len(location.origins) == 1 else "the values of these statements"
    return (
        f"{runs}: what it is seen to read is equal on both sides, what it makes of it is not, and "
        f"with {values} put into the other side's run the outputs agree"
    )


def _sides_text(sides: Sides) -> str:
    apart = ""
    if sides.expected == sides.actual and not sides.distance:
        return f"{sides.name}: {sides.actual} on both sides, as far as is shown, in other bytes"
    if sides.distance is not None and math.isfinite(sides.distance):
        apart = f" ({sides.distance:.2g} of its norm apart)"
    return f"{sides.name}: expected {sides.expected}, is {sides.actual}{apart}"


def _step_text(step: Step) -> str:
    if step.read is None or step.bound is None:
        return place_text(step.place)
    return f"{place_text(step.place)} ({step.read:.2g} of its norm becomes {step.bound:.2g})"


def location_to_json(location: Location | None) -> dict[str, Any] | None:
    """As `location_from_json` reads it; a distance that is no finite number is text."""
    return None if location is None else _plain(asdict(location))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def location_from_json(raw: Mapping[str, Any] | None) -> Location | None:
    """What `location_to_json` wrote.

    Raises:
        KeyError, TypeError, ValueError: it did not.
    """
    if raw is None:
        return None
    amplifier, decision = raw["amplifier"], raw["decision"]
    return Location(
        proven=bool(raw["proven"]),
        origins=tuple(_place(each) for each in raw["origins"]),
        values=tuple(
            Sides(each["name"], each["expected"], each["actual"], _float(each["distance"]))
            for each in raw["values"]
        ),
        kind=str(raw["kind"]),
        mend=str(raw["mend"]),
        amplifier=None if amplifier is None else _step(amplifier),
        decision=None if decision is None else _place(decision),
        steps=tuple(_step(each) for each in raw["steps"]),
        runs=int(raw["runs"]),
        notes=tuple(str(each) for each in raw["notes"]),
    )


def _place(raw: Mapping[str, Any]) -> SourceLine:
    return SourceLine(**{**raw, "calls": tuple(raw["calls"])})


def _step(raw: Mapping[str, Any]) -> Step:
    return Step(_place(raw["place"]), _float(raw["read"]), _float(raw["bound"]))


def _float(raw: object) -> float | None:
    return None if raw is None else float(str(raw))
