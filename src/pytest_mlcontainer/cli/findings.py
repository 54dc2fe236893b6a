"""What `mlcontainer doctor` has found: one line for each thing."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from pytest_mlcontainer.errors import MlContainerError

_NAME_WIDTH = 13


class Status(enum.Enum):
    """What a check came to; only what is `MISSING` keeps a run from working."""

    OK = "ok"
    WARNING = "warning"
    MISSING = "missing"


@dataclass(frozen=True)
class Finding:
    """One line of the answer. `remedy` is empty where nothing has to be done."""

    name: str
    status: Status
    text: str
    remedy: str = ""

    @property
    def raw(self) -> dict[str, str]:
        """As JSON can hold it."""
        return {**vars(self), "status": self.status.value}

    def __str__(self) -> str:
        first, *more = self.text.splitlines() or [""]
        lines = [f"{self.name:{_NAME_WIDTH}} {self.status.value:8} {first}", *more]
        if self.remedy:
            lines.append(f"→ {self.remedy}")
        return f"\n{' ' * (_NAME_WIDTH + 10)}".join(lines)


def finding_of(name: str, status: Status, error: MlContainerError) -> Finding:
    text = f"{error.what}: {error.value}" if error.value else error.what
    return Finding(name, status, text, error.remedy)
