"""Runs that are watched: the recorder is put in, and what it wrote is taken out.

The recorder lies in a volume whose folder is in PYTHONPATH, so that every Python of the run finds
it when it starts. What it is asked, and what it writes, is in a folder of the container; the run's
record gets that.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Final

from pytest_mlcontainer.engines import Container
from pytest_mlcontainer.errors import EngineError, EngineLostError, OutputError
from pytest_mlcontainer.inside import recorder_files
from pytest_mlcontainer.model import Pairs, Recording
from pytest_mlcontainer.outputs import Collected, DeclaredOutputs, OutputLimits, collect_tar
from pytest_mlcontainer.runs.inputs import content_tar
from pytest_mlcontainer.secrets import Redactor

FOLDER: Final = "/mlcontainer-recorder"
INTO: Final = "/mlcontainer-recording"
RECORDING: Final = "recording"
"""The folder of a run's record with what the recorder wrote."""
VALUES: Final = "values.pickle"
_ASKED: Final = "asked.json"
_STREAMS: Final = "*.jsonl"
_PATH: Final = "PYTHONPATH"
_FILES: Final = 2000
_PIECE: Final = 1 << 20
_BYTES: Final = 256 << 20


def recorder_tar() -> Iterator[bytes]:
    """The recorder, for a volume of its own."""
    return content_tar(recorder_files())


def recorder_env(path: str | None) -> Pairs:
    """The variables that start the recorder.

    Args:
        path: the value of PYTHONPATH in the image or the configuration, if there is one.
    """
    found = ":".join((FOLDER, *filter(None, (path,))))
    return (_PATH, found), ("MLCONTAINER_RECORDING", INTO)


def asked_tar(recording: Recording) -> Iterator[bytes]:
    """What the recorder is asked, for unpacking at `INTO`."""
    asked = {
        "packages": list(recording.packages),
        "aims": [asdict(aim) for aim in recording.aims],
        "put": recording.values is not None,
        "records": recording.records,
        "dense": recording.dense,
        "changes": list(recording.changes),
    }
    files = {_ASKED: json.dumps(asked).encode()}
    if recording.values is not None:
        files[VALUES] = recording.values.read_bytes()
    return content_tar(files)


def take_recording(container: Container, folder: Path, hidden: Redactor) -> None:
    """What the recorder wrote, in the new folder `RECORDING` of a run's record.

    Nothing where it cannot be had: then nothing is said of the run.
    """
    into, raw = folder / RECORDING, folder / f"{RECORDING}.raw"
    into.mkdir()
    raw.mkdir()
    declared = DeclaredOutputs((f"{INTO}/{_STREAMS}", f"{INTO}/{VALUES}"), "/")
    collected = Collected(allowance=OutputLimits(_FILES, _BYTES))
    try:
        stream = container.get(INTO)
        if stream is not None:
            with closing(stream):
                collect_tar(stream, INTO, declared, raw, collected)
    except EngineLostError:
        raise
    except (EngineError, OutputError):
        return
    for output in collected.outputs.values():
        if output.path.suffix == ".jsonl":
            hidden.copy(output.path, into / output.path.name)
        elif not _holds_secret(output.path, hidden):
            output.path.replace(into / output.path.name)
    shutil.rmtree(raw)


def _holds_secret(file: Path, hidden: Redactor) -> bool:
    """Whether values that were kept hold a secret: then they are not put anywhere."""
    search = hidden.search()
    with file.open("rb") as content:
        while piece := content.read(_PIECE):
            search.feed(piece)
    return search.found is not None
