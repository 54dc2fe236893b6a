"""What stands in `record.json`, and back: schema 2, and schema 1 (docs/reference/records.md)."""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_mlcontainer.errors import RecordError
from pytest_mlcontainer.model import (
    EmulatedCpu,
    Facts,
    Failure,
    Folder,
    Link,
    Output,
    Pairs,
    Platform,
    Rule,
    Run,
    Target,
)
from pytest_mlcontainer.records.fields import (
    count,
    file_inside,
    folder_inside,
    inside,
    pattern,
    rule_from_json,
    rule_to_json,
    seconds,
    texts,
    the,
)

SCHEMA = 2
FILE = "record.json"
STDOUT_LOG = "stdout.log"
STDERR_LOG = "stderr.log"
OUTPUTS = "outputs"
OPENED = "opened"
_PACKAGE = "pytest-mlcontainer"
_CHUNK = 1 << 20
_LARGE_BYTES = 1 << 30
_LAST_ID = 2**32 - 1
_LAST_NS = 2**63
# What schema 2 added, with the values that a record of schema 1 stands for.
_ADDED = {
    "version": "",
    "repeat": 0,
    "seed": None,
    "variant": "",
    "logs": True,
    "compare": None,
}
_ADDED_TO_OUTPUTS = {"sha256": None, "opened": None, "summary": None}

Digest = Callable[[Path], str]


@dataclass(frozen=True)
class Conditions:
    """What a record has beside its run: rules to compare it by, and which repeat or seed it is.

    Args:
        rules: of the entrypoint when it ran; None where they were not noted.
        names, declared: of the entrypoint, as `model.Entrypoint.names` and `outputs`.
        repeat: 0 for the first run of the same thing.
        seed: the value of the seed variable, for an entrypoint that is run with several.
        variant: "" for the entrypoint as configured; else a short digest of what a test changed.
    """

    rules: tuple[Rule, ...] | None = None
    names: Pairs = ()
    declared: tuple[str, ...] = ()
    repeat: int = 0
    seed: str | None = None
    variant: str = ""


@dataclass(frozen=True)
class Record:
    """A run read back, with its conditions.

    Args:
        version: of the pytest-mlcontainer that wrote it; "" where that was not noted.
    """

    run: Run
    conditions: Conditions
    version: str


def record_to_json(
    run: Run, conditions: Conditions, digest: Digest | None, *, logs: bool = True
) -> dict[str, Any]:
    """The record as mappings, lists and scalars.

    Args:
        digest: gives the SHA-256 of a file; None to go without.
        logs: whether stdout.log and stderr.log belong to it.
    """
    platform, cpu = run.target.platform, run.target.cpu
    return {
        "schema": SCHEMA,
        "version": importlib.metadata.version(_PACKAGE),
        "id": run.id,
        "entrypoint": run.entrypoint,
        "repeat": conditions.repeat,
        "seed": conditions.seed,
        "variant": conditions.variant,
        "target": {
            "platform": str(platform),
            "emulated": run.target.emulated,
            "gpus": run.target.gpus,
            "engine": run.target.engine,
            "variations": list(run.target.variations),
            "cpu": None if cpu is None else {"name": cpu.name, "by": cpu.by, "ours": cpu.ours},
        },
        "image": run.image,
        "workdir": run.workdir,
        "exit_code": run.exit_code,
        "duration_s": round(run.duration_s, 3),
        "failure": None if run.failure is None else vars(run.failure),
        "notes": list(run.notes),
        "logs": logs,
        "outputs": [_output_to_json(output, run.folder, digest) for output in run.outputs],
        "folders": [vars(folder) for folder in run.folders],
        "links": [vars(link) for link in run.links],
        "refused": list(run.refused),
        "compare": _comparison_to_json(conditions),
        "facts": dict(run.facts.values),
    }


def record_from_json(raw: Mapping[str, Any], folder: Path, *, verify: bool) -> Record:
    """The record, every field of it checked.

    Args:
        verify: whether outputs with a digest are read to check it.

    Raises:
        RecordError: it is of another schema, damaged, or names files outside its folder.
    """
    raw = _as_schema_2(raw, folder)
    try:
        return Record(_run(raw, folder, verify), _conditions(raw), the(raw["version"], str))
    except (KeyError, TypeError, ValueError, OSError, RuntimeError) as error:
        what = f"the field {error} is missing" if isinstance(error, KeyError) else str(error)
        raise RecordError(
            "the record is damaged, or was changed",
            f"{folder / FILE}: {what:.600}",
            "copy it again from where it was written, or run again",
        ) from error


def sha256(path: Path) -> str:
    """Of a file's content, in hex."""
    found = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            found.update(chunk)
    return found.hexdigest()


def _as_schema_2(raw: Mapping[str, Any], folder: Path) -> Mapping[str, Any]:
    schema = raw.get("schema")
    if type(schema) is int and schema == SCHEMA:
        return raw
    if type(schema) is int and schema == 1:
        outputs = raw.get("outputs")
        if isinstance(outputs, list):
            outputs = [
                {**each, **_ADDED_TO_OUTPUTS} if isinstance(each, dict) else each
                for each in outputs
            ]
        return {**raw, **_ADDED, "outputs": outputs}
    if type(schema) is int and schema > SCHEMA:
        writer = raw.get("version")
        named = isinstance(writer, str) and writer
        by = f" by {_PACKAGE} {repr(writer)[1:-1]:.50}" if named else ""
        raise RecordError(
            "the record was written by a newer version",
            f"{folder / FILE}: schema {schema}, written{by}; this is {_PACKAGE} "
            f"{importlib.metadata.version(_PACKAGE)}, which reads schemas 1 and {SCHEMA}",
            f"pip install --upgrade {_PACKAGE}",
        )
    raise RecordError(
        "this is no record",
        f"{folder / FILE}: schema {schema!r:.100}, which no version of {_PACKAGE} has written",
        "name a folder that --container-records wrote",
    )


def _output_to_json(output: Output, folder: Path, digest: Digest | None) -> dict[str, Any]:
    summary = output.summary is not None
    return {
        "name": output.name,
        "file": None if summary else output.path.relative_to(folder).as_posix(),
        "size_bytes": output.size_bytes,
        "sha256": None if summary or digest is None else digest(output.path),
        "mode": output.mode,
        "uid": output.uid,
        "gid": output.gid,
        "opened": _relative(output.opened, folder),
        "summary": _relative(output.summary, folder),
        "inherited": output.inherited,
        "mtime_ns": output.mtime_ns,
    }


def _relative(path: Path | None, folder: Path) -> str | None:
    return None if path is None else path.relative_to(folder).as_posix()


def _comparison_to_json(conditions: Conditions) -> dict[str, Any] | None:
    if conditions.rules is None:
        return None
    return {
        "rules": [rule_to_json(rule) for rule in conditions.rules],
        "names": [list(pair) for pair in conditions.names],
        "declared": list(conditions.declared),
    }


def _run(raw: Mapping[str, Any], folder: Path, verify: bool) -> Run:
    failure = raw["failure"]
    log = file_inside if the(raw["logs"], bool) else inside
    outputs = tuple(_output(entry, folder, verify) for entry in the(raw["outputs"], list))
    for each in ([output.name for output in outputs], [str(output.path) for output in outputs]):
        (twice, times), *_ = Counter(each).most_common(1) or [("", 0)]
        if times > 1:
            raise ValueError(f"the output {twice!r:.100} is listed twice")
    return Run(
        id=the(raw["id"], str),
        entrypoint=the(raw["entrypoint"], str),
        target=_target(the(raw["target"], dict)),
        exit_code=the(raw["exit_code"], int, None),
        duration_s=seconds(raw["duration_s"]),
        folder=folder,
        stdout=log(STDOUT_LOG, folder),
        stderr=log(STDERR_LOG, folder),
        outputs=outputs,
        folders=tuple(_folder(entry) for entry in the(raw["folders"], list)),
        links=tuple(_link(entry) for entry in the(raw.get("links", []), list)),
        refused=texts(raw["refused"]),
        image=the(raw["image"], str, None),
        workdir=the(raw["workdir"], str),
        facts=_facts(the(raw["facts"], dict)),
        failure=None if failure is None else _failure(the(failure, dict)),
        notes=texts(raw.get("notes", [])),
    )


def _target(raw: Mapping[str, Any]) -> Target:
    parts = the(raw["platform"], str).split("/")
    if len(parts) > 3 or not parts[0]:
        raise ValueError(f"{raw['platform']!r:.100} is no platform")
    return Target(
        platform=Platform(*parts),
        engine=the(raw["engine"], str, None),
        gpus=the(raw["gpus"], str, None),
        emulated=the(raw["emulated"], bool, None),
        variations=texts(raw["variations"]),
        cpu=_cpu(raw.get("cpu")),
    )


def _cpu(raw: object) -> EmulatedCpu | None:
    """Records of earlier versions do not have it."""
    if raw is None:
        return None
    fields = the(raw, dict)
    return EmulatedCpu(the(fields["name"], str), the(fields["by"], str), the(fields["ours"], bool))


def _conditions(raw: Mapping[str, Any]) -> Conditions:
    compare = the(raw["compare"], dict, None)
    return Conditions(
        rules=None if compare is None else tuple(map(rule_from_json, the(compare["rules"], list))),
        names=() if compare is None else tuple(map(_name, the(compare["names"], list))),
        declared=() if compare is None else texts(compare["declared"]),
        repeat=count(raw["repeat"]),
        seed=the(raw["seed"], str, None),
        variant=the(raw["variant"], str),
    )


def _name(raw: Any) -> tuple[str, str]:
    found, replacement = texts(raw)
    return pattern(found), replacement


def _output(entry: Any, folder: Path, verify: bool) -> Output:
    file, size = the(the(entry, dict)["file"], str, None), count(entry["size_bytes"])
    opened, summary = (the(entry[name], str, None) for name in ("opened", "summary"))
    digest = the(entry["sha256"], str, None)
    if summary is not None:
        if file is not None:
            raise ValueError(f"{file!r:.200} is there, and a summary in its place, too")
        path = file_inside(summary, folder)
    else:
        path = file_inside(the(file, str), folder)
        status = path.stat()
        if status.st_size != size:
            raise ValueError(f"{file!r:.200} has {status.st_size} bytes, not {size}")
        if verify and size > _LARGE_BYTES and status.st_blocks * 512 < size // 1000:
            raise ValueError(f"{file!r:.200} has {size:,} bytes, of which hardly any are there")
        if verify and digest is not None and sha256(path) != digest.lower():
            raise ValueError(f"{file!r:.200} is not what the run wrote: its SHA-256 is another")
    return Output(
        the(entry["name"], str),
        path,
        size,
        *_ownership(entry),
        opened=None if opened is None else folder_inside(opened, folder),
        summary=None if summary is None else path,
        inherited=the(entry.get("inherited", False), bool),
        mtime_ns=_moment(entry),
    )


def _folder(entry: Any) -> Folder:
    return Folder(the(the(entry, dict)["name"], str), *_ownership(entry), _moment(entry))


def _link(entry: Any) -> Link:
    return Link(*(the(the(entry, dict)[end], str) for end in ("name", "target")))


def _moment(entry: Mapping[str, Any]) -> int | None:
    """Nanoseconds since the epoch, as a file system can keep them; None where none are noted."""
    moment: int | None = the(entry.get("mtime_ns"), int, None)
    if moment is not None and abs(moment) >= _LAST_NS:
        raise ValueError(f"{moment} is no time of a file"[:100])
    return moment


def _ownership(entry: Mapping[str, Any]) -> tuple[int, int, int]:
    mode, uid, gid = (count(entry[name]) for name in ("mode", "uid", "gid"))
    if mode > 0o7777 or max(uid, gid) > _LAST_ID:
        raise ValueError(f"{mode}, {uid}, {gid} are no mode and ids"[:100])
    return mode, uid, gid


def _failure(entry: Mapping[str, Any]) -> Failure:
    return Failure(*(the(entry[part], str) for part in ("what", "value", "remedy")))


def _facts(raw: Mapping[str, Any]) -> Facts:
    return Facts(tuple((name, the(raw[name], str, int, float, bool, None)) for name in sorted(raw)))
