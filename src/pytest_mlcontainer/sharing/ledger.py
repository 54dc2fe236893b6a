"""What each session has touched, noted on disk for whoever cleans up after it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from pytest_mlcontainer.model import Owner
from pytest_mlcontainer.storage import cache_in_use, clear, parse_object

_LEDGER = "session-"


@dataclass(frozen=True)
class Ledger:
    """What a session has touched, on disk, so that its controller can clean up after its workers.

    Args:
        root: the cache folder of all projects.
    """

    root: Path
    session: str

    def add(self, **entry: str) -> None:
        """Note one thing; a worker that dies right afterwards has still noted it.

        Raises:
            MlContainerError: the cache folder cannot be used.
        """
        with cache_in_use(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            with self._file.open("a", encoding="utf-8") as file:
                # A note before it may have been cut off, by a kill or a full disk.
                file.write(f"\n{json.dumps(entry, sort_keys=True)}\n")

    def enter(self, owner: Owner) -> None:
        """Note whose session it is, before anything else."""
        self.add(host=owner.host, pid=str(owner.pid), pid_start=owner.pid_start)

    def owner(self) -> Owner | None:
        """Whose session it is; None where that was not noted."""
        for entry in self.entries():
            if {"host", "pid", "pid_start"} <= entry.keys() and entry["pid"].isdigit():
                pid = int(entry["pid"])
                return Owner(self.session, entry["host"], pid, entry["pid_start"])
        return None

    def entries(self) -> tuple[dict[str, str], ...]:
        """Everything noted, each once; a note that its writer did not finish is none."""
        try:
            lines = self._file.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return ()
        read = (parse_object(line) for line in dict.fromkeys(lines))
        return tuple(
            entry
            for entry in read
            if entry is not None and all(isinstance(value, str) for value in entry.values())
        )

    def remove(self) -> None:
        """Forget it all, after the cleaning."""
        clear(self._file)

    @property
    def _file(self) -> Path:
        return self.root / f"{_LEDGER}{self.session}.jsonl"


def ledgers(root: Path) -> tuple[Ledger, ...]:
    """Those of all sessions that a cache folder knows."""
    names = sorted(file.stem for file in root.glob(f"{_LEDGER}*.jsonl"))
    return tuple(Ledger(root, name.removeprefix(_LEDGER)) for name in names)
