"""How a difference grows on its way from the statement where it comes in to the outputs."""

from __future__ import annotations

import math
from collections.abc import Iterator

from pytest_mlcontainer.model import Location, SourceLine, Step
from pytest_mlcontainer.report.html_text import head_html, t

_LOWEST, _DECADES = -17, 17  # of log10: below what float64 tells apart, up to 1


def where_html(location: Location | None) -> Iterator[str]:
    """A row for each statement; nothing for fewer than two."""
    if location is None or len(location.steps) < 2:
        return
    yield "<details>\n<summary><h3>From where it comes in to the outputs</h3></summary>"
    yield '<div class="wide">\n<table class="steps">'
    yield head_html(("statement", "what it reads differs by", "what it makes of it by", "there"))
    yield "<tbody>"
    for step in location.steps:
        marks = ", ".join(_marks(location, step.place))
        cells = f"<td>{_share(step.read)}</td><td>{_share(step.bound)}{_bar(step)}</td>"
        yield f'<tr><th scope="row">{_place(step.place)}</th>{cells}<td>{marks}</td></tr>'
    yield "</tbody>\n</table>\n</div>"
    yield "<p>Distances are relative to the expected value's norm; of large arrays estimated.</p>"
    yield "</details>"


def _place(place: SourceLine) -> str:
    return f"<code>{t(place.file, 120)}:{place.line}</code> <code>{t(place.text, 160)}</code>"


def _marks(location: Location, place: SourceLine) -> Iterator[str]:
    if place in location.origins:
        yield "comes in here"
    if location.amplifier is not None and location.amplifier.place == place:
        yield "grows here"
    if location.decision == place:
        yield "decides otherwise here"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.2g}" if math.isfinite(value) else "all of it"


def _bar(step: Step) -> str:
    """As long as the distance has decades; the number beside it says the same."""
    if not step.bound:
        return ""
    decades = math.log10(step.bound) if math.isfinite(step.bound) else 0.0
    share = min(1.0, max(0.0, (decades - _LOWEST) / _DECADES))
    return f' <progress max="1" value="{share:.2f}" aria-hidden="true"></progress>'
