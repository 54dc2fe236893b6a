"""How far two sketched values are apart, and how one is shown."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Final

from pytest_mlcontainer.locating.recording import Sketch

_DIGITS: Final = 9
_SHOWN: Final = 6
_FRACTIONS: Final = ("float", "complex", "bfloat")
_LONG: Final = 60
_DIGEST: Final = 8


def distance(expected: Sketch, actual: Sketch) -> float | None:
    """How far apart, relative to the expected value's Euclidean norm.

    Exact for single numbers and short arrays; for others an estimate from their projections, with
    a relative standard deviation of at most sqrt(2 / 16), about 0.35. Of containers, the largest
    of what they hold at the same places.

    Returns:
        None where the two are no numbers, or have not the same shape; infinity where they have
        not-a-number at different places.
    """
    kinds = {str(expected.get("t")), str(actual.get("t"))}
    if kinds <= {"float", "int", "array"}:
        return _of_numbers(expected, actual)
    if len(kinds) == 1 and "c" in expected and "c" in actual:
        found = [
            distance(left, right)
            for left, right in differing_parts(expected, actual)
            if left.get("t") != "fixed"
        ]
        return max((each for each in found if each is not None), default=None)
    return None


def _of_numbers(expected: Sketch, actual: Sketch) -> float | None:
    if list(expected.get("shape", ())) != list(actual.get("shape", ())):
        return None
    ours, theirs = _values(expected), _values(actual)
    if ours is None or theirs is None:
        ours, theirs = _floats(expected.get("p")), _floats(actual.get("p"))
    if not ours or not theirs or len(ours) != len(theirs):
        return None
    if expected.get("odd", 0) != actual.get("odd", 0):
        return math.inf
    apart = math.dist(ours, theirs)
    size = _number(expected.get("norm")) or math.hypot(*ours)
    if not math.isfinite(apart):
        return None if math.isnan(apart) else math.inf
    return apart / size if size else (math.inf if apart else 0.0)


def norm(sketch: Sketch) -> float:
    """The Euclidean norm of numbers, the largest of those that a container holds; 0 of others."""
    if sketch.get("t") in ("float", "int", "array"):
        return _number(sketch.get("norm")) or math.hypot(*(_values(sketch) or ()))
    parts = [each for each in sketch.get("c", ()) if isinstance(each, dict)]
    return max(map(norm, parts), default=0.0)


def _values(sketch: Sketch) -> list[float] | None:
    if sketch.get("t") in ("float", "int"):
        return _floats([sketch.get("v")])
    return _floats(sketch.get("v"))


def _floats(found: object) -> list[float] | None:
    if not isinstance(found, Sequence) or isinstance(found, str):
        return None
    numbers = [_number(each) for each in found]
    return None if None in numbers else [each for each in numbers if each is not None]


def _number(found: object) -> float | None:
    try:
        return float(found)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None


def differing_parts(expected: Sketch, actual: Sketch) -> Iterator[tuple[Sketch, Sketch]]:
    """What two containers hold at the same places, and is not the same."""
    pairs = zip(expected.get("c", ()), actual.get("c", ()), strict=False)
    for left, right in pairs:
        if isinstance(left, dict) and isinstance(right, dict) and left.get("d") != right.get("d"):
            yield left, right


def parts_within(expected: Sketch, actual: Sketch, deepest: int) -> Iterator[tuple[Sketch, Sketch]]:
    """The same, also of what these hold.

    Args:
        deepest: how many containers within each other are looked into.
    """
    for left, right in differing_parts(expected, actual) if deepest > 0 else ():
        yield left, right
        yield from parts_within(left, right, deepest - 1)


def names_within(sketch: Sketch, deepest: int) -> Iterator[str]:
    """The names of what a container holds, and of what these hold, in any order."""
    for part in sketch.get("c", ()) if deepest > 0 else ():
        if isinstance(part, dict):
            yield str(part.get("d"))
            yield from names_within(part, deepest - 1)


def digests(expected: Sketch, actual: Sketch) -> tuple[str, str]:
    """The names of two sketches."""
    return str(expected.get("d")), str(actual.get("d"))


def is_discrete(sketch: Sketch) -> bool:
    """Whether it is no measured quantity: text, a whole number, labels, a choice."""
    kind = sketch.get("t")
    if kind == "array":
        return not str(sketch.get("dtype", "")).startswith(_FRACTIONS)
    if kind in ("sequence", "set", "mapping", "object"):
        parts = [each for each in sketch.get("c", ()) if isinstance(each, dict)]
        return all(is_discrete(each) for each in parts)
    return kind != "float"


def is_reordered(expected: Sketch, actual: Sketch) -> bool:
    """Whether both hold the same, in another order."""
    left, right = expected.get("o"), actual.get("o")
    return left is not None and left == right and expected.get("d") != actual.get("d")


def shown(sketch: Sketch) -> str:
    """A value as text, in at most a line."""
    kind = sketch.get("t")
    if kind in ("float", "int", "fixed", "complex"):
        return str(sketch.get("v") or "a long whole number")
    if kind == "text":
        text = repr(str(sketch.get("v", "")))
        return text if len(text) <= _LONG else f"{text[:_LONG]}…"
    if kind == "array":
        return _array_text(sketch)
    if kind in ("sequence", "set", "mapping"):
        return _container_text(sketch)
    if kind == "bytes":
        return f"{sketch.get('n')} bytes, digest {str(sketch.get('d'))[:_DIGEST]}"
    return str(sketch.get("k") or kind)


def _array_text(sketch: Sketch) -> str:
    values, shape = sketch.get("v"), list(sketch.get("shape", ()))
    head = str(sketch.get("k") or sketch.get("dtype"))
    if isinstance(values, list):
        texts = [_short(each) for each in values]
        if not shape:
            return texts[0] if texts else head
        dots = ", …" if len(texts) > _SHOWN else ""
        return f"[{', '.join(texts[:_SHOWN])}{dots}]"
    size = " × ".join(map(str, shape))
    length = _number(sketch.get("norm"))
    return f"{head} {size}" + ("" if length is None else f", norm {length:.{_DIGITS}g}")


def _container_text(sketch: Sketch) -> str:
    kind, parts = str(sketch.get("t")), sketch.get("c", ())
    texts = [shown(each) if isinstance(each, dict) else "…" for each in parts[:_SHOWN]]
    if kind == "mapping":
        names = [str(each) for each in sketch.get("names", ())]
        texts = [f"{name}: {text}" for name, text in zip(names, texts, strict=False)]
    more = int(sketch.get("n", 0)) > len(texts)
    left, right = ("[", "]") if kind == "sequence" else ("{", "}")
    return f"{left}{', '.join(texts)}{', …' if more else ''}{right}"


def _short(value: Any) -> str:
    number = None if isinstance(value, str) else _number(value)
    return str(value) if number is None or isinstance(value, int) else f"{number:.{_DIGITS}g}"
