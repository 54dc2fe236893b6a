"""Baselines: records in the project's repository, which runs are compared with.

A baseline's record has no logs, no id, no times and no image, because they would change every
time; outputs that are too large are kept as a summary. A record is only
rewritten when the new run no longer agrees with it.
"""

from __future__ import annotations

import posixpath
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_mlcontainer.compare.readers.apart import write_summary_of
from pytest_mlcontainer.errors import MlContainerError, RecordError
from pytest_mlcontainer.facts import telling
from pytest_mlcontainer.globs import covers, names
from pytest_mlcontainer.judging import compare_runs, printed
from pytest_mlcontainer.model import (
    PRINTED,
    BaselineChange,
    ChangeKind,
    Comparator,
    Entrypoint,
    Outcome,
    Output,
    Platform,
    Run,
    Settings,
)
from pytest_mlcontainer.records import (
    Conditions,
    Record,
    find_records,
    place_run,
    plain_name,
    read_conditions,
    record_name,
    replace_folder,
    write_record,
)

_ID = "baseline"
_ATTRIBUTES = ".gitattributes"
# Git may change line ends, and then the digests are no longer those of the outputs.
_AS_THEY_ARE = "# Outputs of runs, byte for byte.\n* -text\n"
_SUFFIX = ".summary.json"


@dataclass(frozen=True)
class BaselineRecord:
    """The record of a baseline that a run is compared with.

    Args:
        note: that it is another platform's, if it is.
    """

    record: Record
    note: str = ""


def find_kept(
    folder: Path, run: Run, conditions: Conditions, reference: Platform
) -> BaselineRecord | None:
    """The record that a run is held against: its own platform's, else the reference's.

    Args:
        reference: the configured one, for a baseline with several other platforms.

    Raises:
        RecordError: it cannot be read; or there are several and none is the reference's.
    """
    own = place_of(folder, run, conditions)
    if (own / "record.json").exists():
        return BaselineRecord(_read(own))
    others = folder / plain_name(run.entrypoint)
    if not others.is_dir():
        return None
    records = [read_conditions(each) for each in find_records(others)]
    alike = {
        record.run.target.platform: record
        for record in records
        if _bare(record.conditions) == _bare(conditions)
    }
    if not alike:
        return None
    chosen = reference if reference in alike else next(iter(alike))
    if len(alike) > 1 and chosen != reference:
        raise RecordError(
            f"the baseline has {run.entrypoint} on several platforms, but not on this one",
            f"{others}: {', '.join(str(platform) for platform in alike)}; this is "
            f"{run.target.platform}",
            "keep the reference's or this platform's: --container-update writes it",
        )
    kept = _read(alike[chosen].run.folder)
    note = (
        f"held against the baseline's record of {chosen}, because it has none of "
        f"{run.target.platform}"
    )
    return BaselineRecord(kept, note)


def hold_against(
    run: Run, kept: BaselineRecord, entry: Entrypoint, comparators: tuple[Comparator, ...] = ()
) -> Outcome:
    """Compare a run with what is kept."""
    actual = replace(run, outputs=tuple(_kept_outputs(run, entry)))
    outcome = compare_runs(actual, kept.record.run, entry.rules, comparators, entry.names)
    notes = [kept.note] if kept.note else []
    same = run.target.platform == kept.record.run.target.platform
    against = "the baseline" if same else f"the baseline of {kept.record.run.target.platform}"
    return replace(outcome, notes=(*notes, *outcome.notes), against=against)


def update(
    run: Run,
    conditions: Conditions,
    entry: Entrypoint,
    folder: Path,
    limit_bytes: int,
    comparators: tuple[Comparator, ...] = (),
) -> BaselineChange:
    """Write the record of a run, unless the one that is kept agrees with it.

    Args:
        limit_bytes: outputs above this size are kept as a summary.

    Raises:
        MlContainerError: the run failed, or the record cannot be written.
    """
    if run.failure is not None:
        raise MlContainerError(
            f"the baseline of {run.entrypoint} is not updated, because its run failed",
            f"{run.failure.what}: {run.failure.value}" if run.failure.value else run.failure.what,
            run.failure.remedy,
        )
    place = place_of(folder, run, conditions)
    outcome, note = None, ""
    kept: tuple[Output, ...] = ()
    if (place / "record.json").exists():
        try:
            record = _read(place)
        except RecordError as error:
            note = f"the one before could not be read: {error.value}"
        else:
            outcome = hold_against(run, BaselineRecord(record), entry, comparators)
            kept = record.run.outputs
    names = {output.name for output in _kept_outputs(run, entry)}
    before = {output.name for output in kept}
    if outcome is not None and outcome.verdict.passes:
        return BaselineChange(ChangeKind.UNCHANGED, run.entrypoint, run.target, place, outcome)
    _write(run, conditions, entry, place, limit_bytes, comparators)
    _keep_bytes(folder)
    return BaselineChange(
        ChangeKind.NEW if outcome is None else ChangeKind.CHANGED,
        run.entrypoint,
        run.target,
        place,
        outcome,
        added=tuple(sorted(names - before)),
        removed=tuple(sorted(before - names)),
        note=note,
    )


def stale(folder: Path, settings: Settings, selected: tuple[Platform, ...]) -> tuple[str, ...]:
    """What is kept and no longer in the configuration, each with its reason.

    Args:
        selected: platforms of this session.
    """
    known = {*settings.platforms, *selected}
    found = []
    for place, record in _readable(folder):
        run = record.run
        entry = settings.entrypoint(run.entrypoint)
        where = f"the baseline keeps {place.relative_to(folder).as_posix()}"
        if entry is None:
            found.append(f"{where}, but no entrypoint is called {run.entrypoint}")
            continue
        if run.target.platform not in known:
            found.append(f"{where}, but {run.target.platform} is none of the platforms")
        kept = (posixpath.normpath(glob) for glob in entry.outputs)
        known_outputs = (*kept, *(rule.output for rule in entry.rules if rule.output in PRINTED))
        for output in run.outputs:
            if not any(covers(glob, output.name) for glob in known_outputs):
                found.append(f"{where}/{output.name}, which is no output of {entry.name} any more")
    return tuple(found)


def remove_stale(folder: Path, settings: Settings) -> tuple[BaselineChange, ...]:
    """Remove records of entrypoints that are no longer configured.

    Those of other platforms stay: another machine may well run them.
    """
    gone = []
    for place, record in list(_readable(folder)):
        run = record.run
        if settings.entrypoint(run.entrypoint) is not None:
            continue
        shutil.rmtree(place, ignore_errors=True)
        with suppress(OSError):  # not empty, or removed by another worker
            place.parent.rmdir()
        note = f"no entrypoint is called {run.entrypoint}"
        gone.append(
            BaselineChange(ChangeKind.REMOVED, run.entrypoint, run.target, place, note=note)
        )
    return tuple(gone)


def place_of(folder: Path, run: Run, conditions: Conditions) -> Path:
    """Where the record of a run is kept."""
    return folder / plain_name(run.entrypoint) / record_name(run.target, conditions)


def _read(place: Path) -> Record:
    try:
        return read_conditions(place, verify=True)
    except RecordError as error:
        remedy = "restore it from version control, or write it anew with --container-update"
        raise RecordError(error.what, error.value, remedy) from error


def _readable(folder: Path) -> Iterator[tuple[Path, Record]]:
    if not folder.is_dir():
        return
    for place in sorted(find_records(folder)):
        try:
            yield place, read_conditions(place)
        except RecordError:
            continue  # its own comparison says so


def _bare(conditions: Conditions) -> Conditions:
    """Without what the configuration says better."""
    return replace(conditions, rules=None, names=(), declared=())


def _kept_outputs(run: Run, entry: Entrypoint) -> Iterator[Output]:
    """Outputs, and what it printed if that is compared; without those that rules ignore."""
    for output in (*run.written, *printed(run, run, entry.rules, entry.outputs)):
        first = next((rule for rule in entry.rules if names(rule.output, output.name)), None)
        if first is None or first.item is not None or not first.tolerance.ignore:
            yield output


def _write(
    run: Run,
    conditions: Conditions,
    entry: Entrypoint,
    place: Path,
    limit_bytes: int,
    comparators: tuple[Comparator, ...],
) -> None:
    small: list[Output] = []
    large: list[Output] = []
    for output in _kept_outputs(run, entry):
        (large if output.size_bytes > limit_bytes else small).append(output)
    target = replace(run.target, engine=None)
    bare = replace(
        run,
        id=_ID,
        duration_s=0.0,
        image=None,
        target=target,
        refused=(),
        notes=(),
        facts=telling(run.facts),
        folders=tuple(replace(each, mtime_ns=None) for each in run.folders),
    )

    def fill(folder: Path) -> None:
        stored = place_run(replace(bare, outputs=tuple(small)), folder, shutil.copyfile, logs=False)
        outputs = list(stored.outputs)
        for output in large:
            path = folder / output.path.relative_to(run.folder)
            path = path.with_name(path.name + _SUFFIX)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_summary_of(output, path, comparators)
            outputs.append(replace(output, path=path, opened=None, summary=path))
        outputs.sort(key=lambda output: output.name)
        outputs = [replace(output, mtime_ns=None) for output in outputs]
        kept = _bare(conditions)
        write_record(replace(stored, outputs=tuple(outputs)), kept, logs=False, digests=True)

    replace_folder(place, fill)


def _keep_bytes(folder: Path) -> None:
    file = folder / _ATTRIBUTES
    if not file.exists():
        file.write_text(_AS_THEY_ARE, encoding="utf-8")
