"""Records from two machines, in pairs to compare.

The first place is the reference. A record of the second meets the first's record of the same
entrypoint: that of its own platform if there is one, else the only one. Of several repeats, the
first place's first one is the reference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from pytest_mlcontainer.errors import RecordError
from pytest_mlcontainer.model import Platform, Run
from pytest_mlcontainer.records import Record, find_records, read_conditions

Key = tuple[str, "str | None", str]


@dataclass(frozen=True)
class RecordSource:
    """All records from one of the two machines; messages call it by its label, `A` or `B`."""

    label: str
    records: tuple[Record, ...]


@dataclass(frozen=True)
class RecordPair:
    """Two records of one entrypoint that are compared.

    Args:
        repeats: more of the reference's.
        varied: the reference's under variations, from which a tolerance is calibrated.
        place: where the reference's record is, `A` or `B`.
    """

    actual: Record
    expected: Record
    repeats: tuple[Record, ...] = ()
    varied: tuple[Record, ...] = ()
    place: str = ""


@dataclass(frozen=True)
class Pairing:
    """The pairs of records to compare, and the records that have no counterpart.

    Args:
        alone: of each record that must have had a counterpart and has none, what is missing.
        notes: what was left out on purpose.
    """

    meetings: tuple[RecordPair, ...]
    alone: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Choice:
    """Which records are compared.

    Args:
        entrypoint: this one alone; None takes all.
        platform: where one of the places has records of it, only these count there.
    """

    entrypoint: str | None = None
    platform: Platform | None = None


def read_records(folder: Path, shown: Path) -> tuple[Record, ...]:
    """All records below a folder, their outputs held against the digests noted.

    Args:
        shown: what messages call the folder: an archive, where it was unpacked from one.

    Raises:
        RecordError: there is none, or one of them cannot be read.
    """
    try:
        found = tuple(read_conditions(each, verify=True) for each in find_records(folder))
    except RecordError as error:
        value = error.value.replace(str(folder), str(shown))
        raise RecordError(error.what, value, error.remedy) from error
    if not found:
        raise RecordError(
            "there are no records here",
            f"{shown}: no record.json in it, nor in its folders",
            "name what `pytest --container --container-records=DIR` wrote",
        )
    return found


def pair(actual: RecordSource, expected: RecordSource, choice: Choice) -> Pairing:
    """Pair the records of two machines by entrypoint, platform and repeat.

    Raises:
        RecordError: what was chosen is in neither place.
    """
    mine, theirs = _chosen(actual.records, expected.records, choice)
    varied = tuple(record for record in theirs if record.run.target.variations)
    mine, theirs = _only((mine, theirs), lambda record: not record.run.target.variations)
    grouped = _grouped(theirs)
    references = {key: _first_repeats(found) for key, found in grouped.items()}
    meetings: list[RecordPair] = []
    alone: list[str] = []
    used: set[Path] = set()
    for record in sorted(mine, key=_order):
        there = references.get(_key(record), {})
        partner = there.get(record.run.target.platform)
        if partner is None and len(there) == 1:
            (partner,) = there.values()
        if partner is None:
            alone.append(_alone(record, actual, expected, there))
        else:
            used.add(partner.run.folder)
            repeats = _others(partner, grouped[_key(record)])
            meetings.append(
                RecordPair(record, partner, repeats, _varied(partner, varied), expected.label)
            )
    met = {_key(meeting.actual) for meeting in meetings}
    missed = {_key(record) for record in mine} | met
    for key, found in references.items():
        if key not in missed:
            alone += [_alone(record, expected, actual, {}) for record in found.values()]
    unused = [
        f"{expected.label}'s record of {_name(record)} met none of {actual.label}'s"
        for key, found in references.items()
        if key in missed
        for record in found.values()
        if record.run.folder not in used
    ]
    return Pairing(tuple(meetings), tuple(alone), tuple(unused))


def groups(meetings: Iterable[RecordPair]) -> tuple[tuple[RecordPair, ...], ...]:
    """Meetings that are judged together: all repeats and seeds of one entrypoint on one target."""
    found: dict[tuple[object, ...], list[RecordPair]] = {}
    for meeting in meetings:
        run, conditions = meeting.actual.run, meeting.actual.conditions
        key = (run.entrypoint, conditions.variant, run.target.platform)
        found.setdefault(key, []).append(meeting)
    return tuple(tuple(group) for group in found.values())


def failed_runs(meetings: Iterable[RecordPair]) -> tuple[Run, ...]:
    """Each run that failed, once."""
    runs = (
        each.run
        for meeting in meetings
        for each in (meeting.expected, *meeting.repeats, meeting.actual)
    )
    return tuple({run.folder: run for run in runs if run.failure is not None}.values())


def _chosen(
    actual: tuple[Record, ...], expected: tuple[Record, ...], choice: Choice
) -> tuple[tuple[Record, ...], tuple[Record, ...]]:
    sides = actual, expected
    if choice.entrypoint is not None:
        name = choice.entrypoint
        known = sorted({record.run.entrypoint for side in sides for record in side})
        sides = _only(sides, lambda record: record.run.entrypoint == name)
        if not any(sides):
            raise RecordError("no record is of this entrypoint", name, f"there: {', '.join(known)}")
    if choice.platform is not None:
        platform = choice.platform
        known = sorted({str(record.run.target.platform) for side in sides for record in side})
        there = _only(sides, lambda record: record.run.target.platform == platform)
        if not any(there):
            raise RecordError(
                "no record is of this platform", str(platform), f"there: {', '.join(known)}"
            )
        sides = there[0] or sides[0], there[1] or sides[1]
    return sides


def _only(
    sides: tuple[tuple[Record, ...], tuple[Record, ...]], wanted: Callable[[Record], bool]
) -> tuple[tuple[Record, ...], tuple[Record, ...]]:
    return tuple(filter(wanted, sides[0])), tuple(filter(wanted, sides[1]))


def _key(record: Record) -> Key:
    return record.run.entrypoint, record.conditions.seed, record.conditions.variant


def _order(record: Record) -> tuple[str, str, bool, str, str, int]:
    entrypoint, seed, variant = _key(record)
    platform, repeat = str(record.run.target.platform), record.conditions.repeat
    return entrypoint, variant, seed is not None, seed or "", platform, repeat


def _grouped(records: tuple[Record, ...]) -> dict[Key, list[Record]]:
    found: dict[Key, list[Record]] = {}
    for record in sorted(records, key=_order):
        found.setdefault(_key(record), []).append(record)
    return found


def _first_repeats(records: list[Record]) -> dict[Platform, Record]:
    found: dict[Platform, Record] = {}
    for record in records:
        found.setdefault(record.run.target.platform, record)
    return found


def _others(first: Record, records: list[Record]) -> tuple[Record, ...]:
    """Further repeats of the same."""
    platform = first.run.target.platform
    alike = (each for each in records if each.run.target.platform == platform)
    return tuple(each for each in alike if each.run.folder != first.run.folder)


def _varied(first: Record, varied: tuple[Record, ...]) -> tuple[Record, ...]:
    """The same under variations, as far as it worked."""
    same = first.run.entrypoint, first.run.target.platform
    return tuple(
        each
        for each in varied
        if (each.run.entrypoint, each.run.target.platform) == same and each.run.failure is None
    )


def _alone(
    record: Record, here: RecordSource, other: RecordSource, there: dict[Platform, Record]
) -> str:
    name = _name(record)
    if not there:
        return f"{name} is in {here.label} only: {other.label} has no record of it"
    platforms = ", ".join(str(platform) for platform in there)
    return (
        f"{name} is in {here.label} only: {other.label} has it on {platforms}; --platform says "
        "which of them is the reference"
    )


def _name(record: Record) -> str:
    entrypoint, seed, variant = _key(record)
    more = f" with seed {seed}" if seed is not None else ""
    more += f" (variant {variant})" if variant else ""
    return f"{entrypoint} on {record.run.target}{more}"
