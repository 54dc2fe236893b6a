"""Programs that are run on this machine with the recorder, and what it saw of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from pytest_mlcontainer import inside
from pytest_mlcontainer.locating.recording import ProcessRecording, read_recording
from pytest_mlcontainer.model import Aim


@dataclass(frozen=True)
class Watched:
    """A run of a program under the recorder.

    Args:
        folder: with what was recorded.
        seconds: that it took.
    """

    stdout: str
    stderr: str
    code: int
    folder: Path

    @property
    def streams(self) -> tuple[ProcessRecording, ...]:
        return read_recording(self.folder)

    @property
    def lines(self) -> list[int]:
        """Of the first process: lines of statements, in the order in which they ended."""
        return [each.site.line for each in self.streams[0].events if each.site is not None]


def watch(
    folder: Path,
    program: str,
    *,
    env: Mapping[str, str] = {},
    aims: tuple[Aim, ...] = (),
    values: Path | None = None,
    records: bool = True,
    dense: bool = False,
    packages: tuple[str, ...] = (),
    arguments: tuple[str, ...] = (),
    changes: tuple[str, ...] = (),
) -> Watched:
    """Run a program of this Python, `program.py` in a new folder below `folder`, watched."""
    number = len(list(folder.iterdir()))
    place, recorder, into = (folder / f"{number}-{name}" for name in ("run", "recorder", "seen"))
    for name, content in inside.recorder_files().items():
        file = recorder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    place.mkdir()
    into.mkdir()
    (place / "program.py").write_text(program)
    asked = {
        "packages": list(packages),
        "aims": [asdict(aim) for aim in aims],
        "put": values is not None,
        "records": records,
        "dense": dense,
        "changes": list(changes),
    }
    (into / "asked.json").write_text(json.dumps(asked))
    if values is not None:
        (into / "values.pickle").write_bytes(values.read_bytes())
    surrounding = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, *arguments, "program.py"],
        cwd=place,
        env={
            **surrounding,
            "PYTHONPATH": str(recorder),
            "MLCONTAINER_RECORDING": str(into),
            **env,
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    return Watched(done.stdout, done.stderr, done.returncode, into)
