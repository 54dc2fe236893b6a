"""What `--container-update` did, record by record."""

from __future__ import annotations

from pytest_mlcontainer.model import BaselineChange, ChangeKind
from pytest_mlcontainer.report.escape import escape
from pytest_mlcontainer.report.terminal import failure_lines

_NAMES = 20


def update_lines(change: BaselineChange, place: str) -> list[str]:
    """One line, and for a record that changed all that was different before.

    Args:
        place: the record's folder, as the reader would name it.
    """
    name = escape(f"{change.entrypoint}[{change.target.platform}]", 80)
    lines = [f"{name}: {change.kind.value}{_where(change.kind, escape(place, 200))}"]
    if change.note:
        lines.append(f"  {escape(change.note, 300)}")
    if change.kind is ChangeKind.CHANGED and change.outcome is not None:
        lines += [f"  {line}".rstrip() for line in failure_lines(change.outcome, "", 1)]
    for word, outputs in (("new", change.added), ("removed", change.removed)):
        lines += [f"  {word}: {escape(output, 200)}" for output in outputs[:_NAMES]]
        if len(outputs) > _NAMES:
            lines.append(f"  {word}: … and {len(outputs) - _NAMES:,} more")
    return lines


def _where(kind: ChangeKind, place: str) -> str:
    match kind:
        case ChangeKind.NEW | ChangeKind.CHANGED:
            return f", written to {place}"
        case ChangeKind.UNCHANGED:
            return f", {place} is left as it is"
        case ChangeKind.REMOVED:
            return f", {place} is gone"
