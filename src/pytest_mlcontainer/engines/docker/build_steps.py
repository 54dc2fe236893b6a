"""The steps of a build, from BuildKit's `--progress=rawjson`."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from pytest_mlcontainer.engines.trial_builds import BuildStep
from pytest_mlcontainer.secrets import Redactor

_KEPT_LINES: Final = 400
_KEPT_CHARACTERS: Final = 2000
# "[build 2/5] RUN …", "[ 2/12] COPY …", "[linux/arm64 stage-1 3/4] RUN …"
_STEP: Final = re.compile(r"\[(?P<before>[^\]]*?)\s*(?P<number>\d+)/\d+\] (?P<text>.*)", re.DOTALL)
# Digits beyond those that Python's own reader takes.
_FRACTION: Final = re.compile(r"(\.\d{1,6})\d*")


@dataclass
class _Vertex:
    """What is known so far of one vertex of BuildKit's graph."""

    name: str = ""
    cached: bool = False
    began: float | None = None
    ended: float | None = None
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=_KEPT_LINES))


class StepLog:
    """Collects the steps of one build.

    Args:
        hidden: what must not be in the names of steps.
    """

    def __init__(self, hidden: Redactor) -> None:
        self._hidden = hidden
        self._vertices: dict[str, _Vertex] = {}

    def feed(self, event: dict[str, Any]) -> None:
        """Take one event."""
        for raw in event.get("vertexes") or ():
            vertex = self._vertices.setdefault(raw["digest"], _Vertex())
            vertex.name = self._hidden.text(raw.get("name", ""))
            vertex.cached = vertex.cached or bool(raw.get("cached"))
            began, ended = _moment(raw.get("started")), _moment(raw.get("completed"))
            vertex.began = began if vertex.began is None else vertex.began
            vertex.ended = ended or vertex.ended

    def printed(self, vertex: str, lines: Iterable[str]) -> None:
        """Take whole lines that a vertex printed, with nothing left in them to hide."""
        known = self._vertices.setdefault(vertex, _Vertex())
        known.lines.extend(line[:_KEPT_CHARACTERS] for line in lines)

    def steps(self) -> tuple[BuildStep, ...]:
        """Those of the Dockerfile, as they were begun."""
        return tuple(self._steps())

    def _steps(self) -> Iterator[BuildStep]:
        known = [each for each in self._vertices.values() if _STEP.match(each.name)]
        for each in sorted(known, key=lambda one: one.began or 0.0):
            found = _STEP.match(each.name)
            if found is None or (each.began is None and not each.cached):
                continue
            stage = (found["before"].split() or [""])[-1]
            took_s = (each.ended or 0.0) - (each.began or 0.0) if each.ended else 0.0
            yield BuildStep(
                "" if "/" in stage else stage,
                int(found["number"]),
                found["text"],
                each.cached,
                max(took_s, 0.0),
                tuple(each.lines),
            )


def _moment(text: str | None) -> float | None:
    with suppress(ValueError, TypeError):
        written = _FRACTION.sub(r"\1", text or "").replace("Z", "+00:00")
        return datetime.fromisoformat(written).timestamp()
    return None
