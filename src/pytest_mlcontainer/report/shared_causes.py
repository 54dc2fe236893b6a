"""One cause, many drifts: comparisons that drift for the same reason at the same line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from pytest_mlcontainer.model import Outcome, SourceLine
from pytest_mlcontainer.report.html_text import t
from pytest_mlcontainer.report.where import place_text
from pytest_mlcontainer.wording import first_and_count

_NAMED: Final = 6
_LISTED: Final = 20


@dataclass(frozen=True)
class SharedCause:
    """What drifts because of one line.

    Args:
        causes: names of the changes that make it drift; empty where they were not looked for.
        origin: the line at which the difference comes in.
        proven: whether that was shown for each of them.
        comparisons: their numbers in the session, from 0.
        drifting: what they are called: entrypoint and target.
        outputs: names of the outputs that drift, each with its entrypoint.
    """

    causes: tuple[str, ...]
    origin: SourceLine
    proven: bool
    comparisons: tuple[int, ...]
    drifting: tuple[str, ...]
    outputs: tuple[str, ...]


def share_causes(outcomes: Sequence[Outcome]) -> tuple[SharedCause, ...]:
    """The located drifts of a session, those of one reason and one line together."""
    groups: dict[tuple[tuple[str, ...], str, int], list[int]] = {}
    for number, outcome in enumerate(outcomes):
        location = outcome.location
        if outcome.verdict.passes or location is None or not location.origins:
            continue
        names = tuple(sorted({name for cause in outcome.causes for name in cause.names}))
        first = location.origins[0]
        groups.setdefault((names, first.file, first.line), []).append(number)
    return tuple(_shared(names, outcomes, numbers) for (names, *_), numbers in groups.items())


def _shared(
    names: tuple[str, ...], outcomes: Sequence[Outcome], numbers: Sequence[int]
) -> SharedCause:
    own = [outcomes[number] for number in numbers]
    locations = [each.location for each in own if each.location is not None]
    failing = [
        (each.entrypoint, difference.output)
        for each in own
        for difference in each.differences
        if not difference.verdict.passes
    ]
    return SharedCause(
        names,
        locations[0].origins[0],
        all(each.proven for each in locations),
        tuple(numbers),
        tuple(f"{each.entrypoint} on {each.target.platform}" for each in own),
        tuple(dict.fromkeys(f"{entry}: {output}" for entry, output in failing)),
    )


def shared_lines(shared: Sequence[SharedCause]) -> Iterator[str]:
    """A line for each line of the project that makes several comparisons drift."""
    for each in shared:
        if len(each.comparisons) > 1:
            yield (
                f"one cause, {len(each.comparisons)} drifts: {_why(each)}"
                f"{place_text(each.origin)} — {first_and_count(each.drifting, _NAMED)}"
            )


def shared_html(shared: Sequence[SharedCause], linked: set[int]) -> Iterator[str]:
    """The same for the page, with links to what drifts.

    Args:
        linked: numbers, from 1, of the comparisons that have a section.
    """
    several = [each for each in shared if len(each.comparisons) > 1][:_LISTED]
    if not several:
        return
    yield "<section>\n<h2>One cause, many drifts</h2>\n<ul>"
    for each in several:
        names = ", ".join(
            f'<a href="#c{number + 1}">{t(name, 120)}</a>' if number + 1 in linked else t(name, 120)
            for number, name in zip(each.comparisons, each.drifting, strict=True)
        )
        place = f"<code>{t(place_text(each.origin), 300)}</code>"
        yield f"<li>{t(_why(each), 200)}{place}: {names}</li>"
    yield "</ul>\n</section>"


def shared_json(shared: Sequence[SharedCause]) -> list[dict[str, Any]]:
    """All of them, those of one comparison too, as mappings and lists."""
    return [
        {
            "causes": list(each.causes),
            "origin": {**asdict(each.origin), "calls": list(each.origin.calls)},
            "proven": each.proven,
            "results": list(each.comparisons),
            "outputs": list(each.outputs),
        }
        for each in shared
    ]


def _why(shared: SharedCause) -> str:
    return f"{', '.join(shared.causes)} at " if shared.causes else ""
