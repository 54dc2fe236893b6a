"""A run on disk: a folder that can be moved to another machine and compared there.

record.json      schema, target, exit code, facts, the list of outputs
stdout.log       what it printed
stderr.log
outputs/…        the files it wrote
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_mlcontainer.errors import RecordError
from pytest_mlcontainer.model import (
    Facts,
    Failure,
    Folder,
    Output,
    Platform,
    Run,
    Target,
)

SCHEMA = 1
FILE = "record.json"
STDOUT_LOG = "stdout.log"
STDERR_LOG = "stderr.log"
OUTPUTS = "outputs"


def write_record(run: Run) -> None:
    """Write `record.json` into the run's folder, which holds everything else already."""
    text = json.dumps(_to_json(run), indent=1, ensure_ascii=True)
    (run.folder / FILE).write_text(text + "\n", encoding="utf-8")


def read_record(folder: Path) -> Run:
    """Read a run back.

    Raises:
        RecordError: there is none, it is damaged, of a newer schema, or names files outside it.
    """
    file = folder / FILE
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RecordError("there is no readable record", f"{file}: {error}", "run again") from error
    schema = raw.get("schema") if isinstance(raw, dict) else None
    if schema != SCHEMA:
        raise RecordError(
            "the record is of another schema",
            f"{file}: schema {schema!r}, this version reads {SCHEMA}",
            "compare with the version of pytest-mlcontainer that wrote it, or a newer one",
        )
    try:
        return _from_json(raw, folder)
    except (KeyError, TypeError, ValueError, OSError, RuntimeError) as error:
        raise RecordError("the record is damaged", f"{file}: {error!r}", "run again") from error


def _to_json(run: Run) -> dict[str, Any]:
    platform = run.target.platform
    return {
        "schema": SCHEMA,
        "id": run.id,
        "entrypoint": run.entrypoint,
        "target": {
            "platform": str(platform),
            "emulated": run.target.emulated,
            "gpus": run.target.gpus,
            "engine": run.target.engine,
            "variations": list(run.target.variations),
        },
        "image": run.image,
        "workdir": run.workdir,
        "exit_code": run.exit_code,
        "duration_s": round(run.duration_s, 3),
        "failure": None if run.failure is None else vars(run.failure),
        "outputs": [
            {
                "name": output.name,
                "file": output.path.relative_to(run.folder).as_posix(),
                "size_bytes": output.size_bytes,
                "mode": output.mode,
                "uid": output.uid,
                "gid": output.gid,
            }
            for output in run.outputs
        ],
        "folders": [vars(folder) for folder in run.folders],
        "refused": list(run.refused),
        "facts": dict(run.facts.values),
    }


def _from_json(raw: Mapping[str, Any], folder: Path) -> Run:
    target = raw["target"]
    failure = raw["failure"]
    return Run(
        id=_the(raw["id"], str),
        entrypoint=_the(raw["entrypoint"], str),
        target=Target(
            platform=Platform(*_the(target["platform"], str).split("/")),
            engine=_the(target["engine"], str, None),
            gpus=_the(target["gpus"], str, None),
            emulated=_the(target["emulated"], bool, None),
            variations=_texts(target["variations"]),
        ),
        exit_code=_the(raw["exit_code"], int, None),
        duration_s=float(_the(raw["duration_s"], float, int)),
        folder=folder,
        stdout=_inside(STDOUT_LOG, folder),
        stderr=_inside(STDERR_LOG, folder),
        outputs=tuple(_output(entry, folder) for entry in _the(raw["outputs"], list)),
        folders=tuple(_folder(entry) for entry in _the(raw["folders"], list)),
        refused=_texts(raw["refused"]),
        image=_the(raw["image"], str, None),
        workdir=_the(raw["workdir"], str),
        facts=_facts(_the(raw["facts"], dict)),
        failure=None if failure is None else _failure(failure),
    )


def _output(entry: Mapping[str, Any], folder: Path) -> Output:
    path = _inside(_the(entry["file"], str), folder)
    size = _the(entry["size_bytes"], int)
    if path.stat().st_size != size:
        raise ValueError(f"{entry['file']!r} has {path.stat().st_size} bytes, not {size}")
    return Output(_the(entry["name"], str), path, size, *_ownership(entry))


def _folder(entry: Mapping[str, Any]) -> Folder:
    return Folder(_the(entry["name"], str), *_ownership(entry))


def _ownership(entry: Mapping[str, Any]) -> tuple[int, int, int]:
    return _the(entry["mode"], int), _the(entry["uid"], int), _the(entry["gid"], int)


def _failure(entry: Mapping[str, Any]) -> Failure:
    return Failure(*(_the(entry[part], str) for part in ("what", "value", "remedy")))


def _facts(raw: Mapping[str, Any]) -> Facts:
    return Facts(
        tuple((name, _the(raw[name], str, int, float, bool, None)) for name in sorted(raw))
    )


def _texts(raw: Any) -> tuple[str, ...]:
    return tuple(_the(text, str) for text in _the(raw, list))


def _the(value: Any, *kinds: type | None) -> Any:
    """The value, when it is of one of these types; None stands for itself."""
    if (None if value is None else type(value)) not in kinds:
        raise TypeError(f"{value!r:.100} is not of the right type")
    return value


def _inside(name: str, folder: Path) -> Path:
    """A file of the record. A record from elsewhere may name anything, or hold links."""
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{name!r} lies outside the record")
    if not path.is_file():
        raise ValueError(f"{name!r} is not there, or no file")
    return path
