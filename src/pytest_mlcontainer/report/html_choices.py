"""What would accept a difference, for people to read and for the page's script to put together.

A record of a baseline is what one run wrote, so `--container-update` keeps a run as a whole. Of one
with differences that are not to be accepted, too, those that are get rules instead.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from pytest_mlcontainer.model import Difference
from pytest_mlcontainer.report import words
from pytest_mlcontainer.report.acceptance import acceptance
from pytest_mlcontainer.report.html_text import t
from pytest_mlcontainer.report.session import Comparison

_LONGEST = 500
_COMMAND = 2000
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BASELINE = "the baseline"


def choice_data(comparison: Comparison) -> str:
    """Attributes of a comparison: the table for its rules, and how many items fail."""
    outcome = comparison.tree.outcome
    name = outcome.entrypoint
    key = name if _BARE_KEY.fullmatch(name) else json.dumps(name)
    data = {
        "table": f"tool.mlcontainer.entrypoints.{key}.compare",
        "failing": str(comparison.tree.failing_count),
    }
    return "".join(f' data-{key}="{t(value, _LONGEST)}"' for key, value in data.items())


def update_html(comparison: Comparison) -> Iterator[str]:
    """The command that keeps a run as the baseline, where it is held against one."""
    outcome = comparison.tree.outcome
    command = f"{comparison.repeat} --container-update"
    is_shown = comparison.repeat and len(command) <= _COMMAND and command.isprintable()
    if outcome.verdict.passes or not outcome.against.startswith(_BASELINE) or not is_shown:
        return
    count = words.items(comparison.tree.failing_count)
    yield "<h3>If this run is right</h3>"
    shown = f"<code>{t(command, _COMMAND)}</code>"
    yield f'<p class="update">{shown} keeps it, with {count} changed.</p>'


def rule_html(difference: Difference) -> Iterator[str]:
    """The rule that would let a difference pass, and what that would hide."""
    proposal = acceptance(difference)
    if proposal is None or len(proposal.line) > _LONGEST or not proposal.line.isprintable():
        return
    line, hides = t(proposal.line, _LONGEST), t(proposal.hides, _LONGEST)
    yield f'<p class="rule"><code>{line}</code> would let this pass; it hides {hides}.</p>'
