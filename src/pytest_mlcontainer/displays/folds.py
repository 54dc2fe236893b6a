"""How logs of CI fold lines away, so that a build's steps are there without being in the way.

GitHub Actions: `::group::` and `::endgroup::`. GitLab: `section_start` and `section_end`.
Buildkite: `---`, up to the next one. Each is a documented command of its log.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

INDENT: Final = "  "  # of what stands among the lines of pytest
_MARK: Final = "· "  # so that no line of a build begins as a command of a log does


@dataclass(frozen=True)
class FoldedSteps:
    """What is folded away.

    Args:
        title: what is seen of it.
        at: when it ended, in seconds since the epoch.
    """

    title: str
    lines: list[str]
    at: float

    @property
    def marked(self) -> list[str]:
        return [f"{INDENT}{_MARK}{line}" for line in self.lines]


Fold = Callable[[FoldedSteps], list[str]]


def unfolded(steps: FoldedSteps) -> list[str]:
    """The title alone, where nothing folds."""
    return [f"{INDENT}{steps.title}"]


def fold_for(environ: Mapping[str, str]) -> Fold:
    """How the log that this process writes to folds lines away."""
    if environ.get("GITHUB_ACTIONS") == "true":
        return _github
    if environ.get("GITLAB_CI") == "true":
        return _gitlab
    if environ.get("BUILDKITE") == "true":
        return _buildkite
    return unfolded


def _github(steps: FoldedSteps) -> list[str]:
    return [f"::group::{steps.title}", *steps.marked, "::endgroup::"]


def _gitlab(steps: FoldedSteps) -> list[str]:
    name = re.sub(r"\W+", "_", steps.title).strip("_").lower()
    start = f"\x1b[0Ksection_start:{steps.at:.0f}:{name}[collapsed=true]\r\x1b[0K{steps.title}"
    return [start, *steps.marked, f"\x1b[0Ksection_end:{steps.at:.0f}:{name}\r\x1b[0K"]


def _buildkite(steps: FoldedSteps) -> list[str]:
    return [f"--- {steps.title}", *steps.marked, "--- tests"]
