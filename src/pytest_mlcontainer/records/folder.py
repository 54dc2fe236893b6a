"""Records as folders: written, kept below a folder of the user's, found and read back."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from pytest_mlcontainer.errors import RecordError
from pytest_mlcontainer.model import Run, Target
from pytest_mlcontainer.records.fields import MAX_RECORD_BYTES, read_object
from pytest_mlcontainer.records.schema import (
    FILE,
    OPENED,
    STDERR_LOG,
    STDOUT_LOG,
    Conditions,
    Record,
    record_from_json,
    record_to_json,
    sha256,
)
from pytest_mlcontainer.storage import why_unwritable

_DEPTH = 6
_MOST_RECORDS = 10_000
_MOST_FOLDERS = 100_000
_TRIES = 500
_ALONE = Conditions()


def write_record(
    run: Run, conditions: Conditions = _ALONE, *, logs: bool = True, digests: bool = False
) -> None:
    """Write `record.json` into the run's folder, which holds everything else already.

    Args:
        digests: whether outputs get their SHA-256, so that a change can be seen elsewhere.

    Raises:
        RecordError: it would be larger than a record may be.
    """
    raw = record_to_json(run, conditions, sha256 if digests else None, logs=logs)
    text = json.dumps(raw, indent=1, ensure_ascii=True) + "\n"
    if len(text) > MAX_RECORD_BYTES:
        raise RecordError(
            "what the run wrote is too much for a record",
            f"{run.folder / FILE}: it would have {len(text):,} bytes, {MAX_RECORD_BYTES:,} at most",
            "declare fewer outputs, or give them shorter names",
        )
    (run.folder / FILE).write_text(text, encoding="utf-8")


def read_record(folder: Path) -> Run:
    """Read a run back.

    Raises:
        RecordError: there is none, it is damaged, of a newer schema, or names files outside it.
    """
    return read_conditions(folder).run


def read_conditions(folder: Path, *, verify: bool = False) -> Record:
    """Read a run back with its conditions.

    Args:
        verify: whether outputs are read and held against the digests noted.

    Raises:
        RecordError: as `read_record`; or an output is not what was noted.
    """
    return record_from_json(read_object(folder / FILE), folder, verify=verify)


def record_name(target: Target, conditions: Conditions = _ALONE) -> str:
    """The name of a record's folder: `linux-arm64`, `linux-arm64-repeat-2`."""
    parts = [target.platform.slug, *(f"with-{name}" for name in target.variations)]
    if conditions.seed is not None:
        parts.append(f"seed-{plain_name(conditions.seed)}")
    if conditions.variant:
        parts.append(f"variant-{conditions.variant}")
    if conditions.repeat:
        parts.append(f"repeat-{conditions.repeat}")
    return plain_name("-".join(parts))


def plain_name(text: str) -> str:
    """The text as the name of a file or folder on any system."""
    if re.fullmatch(r"[A-Za-z0-9_][\w.+=@,-]{0,99}", text, re.ASCII) and text[-1] != ".":
        return text
    shown = re.sub(r"[^A-Za-z0-9_-]", "_", text)[:40]
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return f"{shown or '_'}-{digest}"


def keep_record(run: Run, conditions: Conditions, into: Path) -> Path:
    """Keep a run below `into`, as ENTRYPOINT/PLATFORM, in place of an earlier run's record.

    Several processes may keep the same run at the same time. Outputs are linked where the file
    system can do that.

    Returns:
        The record's folder.

    Raises:
        RecordError: the folder holds something that is no record of ours, or cannot be written.
    """
    place = into / plain_name(run.entrypoint) / record_name(run.target, conditions)
    if not _holds(place, run, conditions):
        replace_folder(
            place,
            lambda folder: write_record(place_run(run, folder, link), conditions, digests=True),
        )
    return place


def place_run(
    run: Run, folder: Path, put: Callable[[Path | str, Path | str], object], *, logs: bool = True
) -> Run:
    """The same run with all its files in another folder, where `record.json` is still missing.

    Args:
        put: brings a file to a place in the folder.
        logs: whether to take over what it printed.
    """
    outputs = []
    for number, output in enumerate(run.outputs):
        path = folder / output.path.relative_to(run.folder)
        path.parent.mkdir(parents=True, exist_ok=True)
        put(output.path, path)
        opened = None
        if output.opened is not None:
            opened = folder / OPENED / str(number)
            shutil.copytree(output.opened, opened, symlinks=True, copy_function=put)
        outputs.append(replace(output, path=path, opened=opened))
    for log, name in ((run.stdout, STDOUT_LOG), (run.stderr, STDERR_LOG)):
        if logs:
            put(log, folder / name)
    return replace(
        run,
        folder=folder,
        stdout=folder / STDOUT_LOG,
        stderr=folder / STDERR_LOG,
        outputs=tuple(outputs),
    )


def link(source: str | Path, target: str | Path) -> None:
    """A second name for a file, or a copy where that cannot be."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def replace_folder(place: Path, fill: Callable[[Path], None]) -> None:
    """Make a record's folder anew, at once: a reader sees the old one or the new one.

    Args:
        fill: writes a record into the empty folder that it is given.

    Raises:
        RecordError: at `place` is something that is no record of ours, or it cannot be written.
    """
    # More than one look: another process may move its record away between the two questions.
    if all(os.path.lexists(place) and not is_record(place) for _ in range(_TRIES)):
        raise RecordError(
            "where the record would go is something else",
            str(place),
            "move it away, or name another folder",
        )
    new, old = (place.with_name(f".{place.name}-{uuid.uuid4().hex}{end}") for end in ("", "-old"))
    try:
        new.mkdir(parents=True)
        try:
            fill(new)
            _swap(new, place, old)
        finally:
            shutil.rmtree(new, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise RecordError(
            "the record cannot be written",
            why_unwritable(place, error),
            "name a folder that can be written, with room for the outputs",
        ) from error


def is_record(folder: Path) -> bool:
    """Whether a folder is empty or holds a record, of whatever schema."""
    if folder.is_symlink() or not folder.is_dir():
        return False
    try:
        if not any(folder.iterdir()):
            return True
        return {"schema", "entrypoint", "target"} <= read_object(folder / FILE).keys()
    except (RecordError, FileNotFoundError):
        return False  # the second: another process has just moved it away


def find_records(folder: Path) -> Iterator[Path]:
    """Folders with a `record.json`, sorted; none inside another.

    Raises:
        RecordError: there is more in it than a folder of records has.
    """
    found = 0
    for seen, (name, folders, files) in enumerate(os.walk(folder), 1):
        path = Path(name)
        if seen > _MOST_FOLDERS or found > _MOST_RECORDS:
            raise RecordError(
                "there is more here than records",
                f"{folder}: {seen:,} folders and {found:,} records looked at so far",
                "name the folder that --container-records wrote",
            )
        if FILE in files or FILE in folders:
            found += 1
            folders.clear()
            yield path
        elif len(path.relative_to(folder).parts) >= _DEPTH:
            folders.clear()
        # A name with a dot is one that is being written, or was left half written.
        folders[:] = sorted(each for each in folders if not each.startswith("."))


def _holds(place: Path, run: Run, conditions: Conditions) -> bool:
    """Whether this very run is there: another worker, or another test, kept it."""
    try:
        found = read_conditions(place)
    except RecordError:
        return False
    return (found.run.id, found.conditions) == (run.id, conditions)


def _swap(new: Path, place: Path, old: Path) -> None:
    for _ in range(_TRIES):
        try:
            if os.path.lexists(place):
                place.rename(old)
        except FileNotFoundError:
            continue  # another process has just moved it away
        try:
            new.rename(place)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            # Another process has just put its own there; the last one stays.
            shutil.rmtree(old, ignore_errors=True)
    raise OSError("other processes keep writing it")
