"""Origin a file differs between two builds, as its bytes show it."""

from __future__ import annotations

import difflib
import enum
import io
import re
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pytest_mlcontainer.image_checks.rebuild.comparing import DifferenceKind, FileChange


class Origin(enum.Enum):
    """Where a difference comes from; the value is the rule of its findings."""

    TIME = "RB001"
    BYTECODE = "RB002"
    LOG = "RB003"
    CACHE = "RB004"
    RECORD = "RB005"
    ORDER = "RB006"
    VERSION = "RB007"
    LOCALE = "RB008"
    PLACE = "RB009"
    RANDOM = "RB010"
    UNKNOWN = "RB011"
    ATTRIBUTES = "RB012"


@dataclass(frozen=True)
class ExplainedFile:
    """A file that differs, with the reason and what shows it."""

    change: FileChange
    reason: Origin
    evidence: str


@dataclass(frozen=True)
class BuildTimes:
    """Seconds since the epoch, from the start of the first build to the end of the second."""

    began: float
    ended: float

    def holds(self, seconds: int) -> bool:
        """Whether a number is a moment of the builds, give or take clocks that differ."""
        return self.began - 120 <= seconds <= self.ended + 120


_LOGS: Final = re.compile(r"(^|/)var/log/|\.log$")
_CACHES: Final = re.compile(
    r"^var/cache/(ldconfig|debconf|fontconfig|man|apt)/|^etc/ld\.so\.cache$|^var/lib/apt/"
    r"|^var/lib/systemd/catalog/|(^|/)\.cache/"
)
_LOCALES: Final = re.compile(r"^usr/lib/locale/")
_INFO: Final = re.compile(r"(?P<name>[\w.]+)-(?P<version>[^/-]+)\.dist-info(/|$)")
_TEMPORARY: Final = re.compile(r"^(var/)?tmp/.*|(^|/)tmp[\w]{6,}|(^|/)pip-[\w-]+-[\w]{8}")

_TIMES: Final = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z| ?[+-]\d\d:?\d\d)?)?"
    r"|(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? )?(?:\d{1,2} )?(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|"
    r"Oct|Nov|Dec)[a-z]* +(?:\d{1,2},? +)?(?:\d{4} +)?\d\d:\d\d(?::\d\d)?(?: ?[AP]M)?"
    r"(?: [A-Z]{3,4})?(?: \d{4})?"
    r"|\d{1,2}:\d\d:\d\d(?:\.\d+)?|\b(?:1[6-9]|2\d)\d{8}(?:\.\d+|\d{3}|\d{9})?\b"
    r"|\b\d+(?:\.\d+)? ?(?:ms|s|sec|seconds)\b"
)
_PLACES: Final = re.compile(r"/(?:var/)?tmp/[\w./+-]+|/[\w./-]*(?:pip|build)-[\w-]+-\w{8}[\w./-]*")
_NUMBERS: Final = re.compile(
    r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}|\b[0-9a-fA-F]{16,}\b|\b0x[0-9a-f]{6,}\b"
)
_DATES_IN_BYTES: Final = re.compile(rb"\d\d:\d\d:\d\d|\d{4}-\d\d-\d\d")
_MASKS: Final = (
    (Origin.TIME, _TIMES),
    (Origin.PLACE, _PLACES),
    (Origin.RANDOM, _NUMBERS),
)
_WORDS: Final = re.compile(r"\w+")
_PYC_HEAD: Final = 16


def explain(changes: tuple[FileChange, ...], times: BuildTimes) -> tuple[ExplainedFile, ...]:
    """The reason of each file of a layer."""
    versions = _other_versions(changes)
    return tuple(_explained(each, times, versions) for each in changes)


def _explained(change: FileChange, times: BuildTimes, versions: dict[str, str]) -> ExplainedFile:
    path = change.path
    for name, said in versions.items():
        if _belongs(path, name) and not _CACHES.search(path):
            return ExplainedFile(change, Origin.VERSION, said)
    if change.kind is DifferenceKind.ORDER:
        return ExplainedFile(change, Origin.ORDER, "the same files, in another order")
    if change.kind is DifferenceKind.ATTRIBUTES:
        time_alone = change.attributes.startswith("time ")
        return ExplainedFile(change, Origin.TIME if time_alone else Origin.ATTRIBUTES,
                         change.attributes)  # fmt: skip
    by_place = _by_place(path)
    if by_place is not None and not (by_place is Origin.RANDOM and change.before is not None):
        return ExplainedFile(change, by_place, change.kind.value)
    if change.before is None or change.after is None:
        compiled = path.endswith(".pyc") and change.kind is DifferenceKind.CONTENT
        return ExplainedFile(
            change, Origin.BYTECODE if compiled else Origin.UNKNOWN, change.kind.value
        )
    reason, evidence = _by_bytes(path, change.before, change.after, times)
    return ExplainedFile(change, reason, evidence)


def _by_place(path: str) -> Origin | None:
    for pattern, reason in (
        (_LOGS, Origin.LOG),
        (_CACHES, Origin.CACHE),
        (_LOCALES, Origin.LOCALE),
        (_TEMPORARY, Origin.RANDOM),
    ):
        if pattern.search(path):
            return reason
    return None


def _other_versions(changes: tuple[FileChange, ...]) -> dict[str, str]:
    """Packages of which the builds have installed different versions, with both."""
    sides: dict[DifferenceKind, dict[str, str]] = {}
    for each in changes:
        found = _INFO.search(each.path)
        if found is not None and not _CACHES.search(each.path):
            sides.setdefault(each.kind, {})[found["name"]] = found["version"]
    first = sides.get(DifferenceKind.FIRST_ONLY, {})
    second = sides.get(DifferenceKind.SECOND_ONLY, {})
    return {
        name: f"{name} is {first[name]} in the first build and {second[name]} in the second"
        for name in sorted(first.keys() & second.keys())
        if first[name] != second[name]
    }


def _belongs(path: str, package: str) -> bool:
    name = package.lower()
    return any(
        part.lower() == name or part.lower().startswith((f"{name}-", f"{name}.py"))
        for part in path.split("/")
    )


def _by_bytes(path: str, one: bytes, other: bytes, times: BuildTimes) -> tuple[Origin, str]:
    if path.endswith(".pyc"):
        return Origin.BYTECODE, _of_bytecode(one, other)
    if path.endswith(".dist-info/RECORD"):
        return Origin.RECORD, _of_lines(
            one.decode(errors="replace"), other.decode(errors="replace")
        )
    if one[:4] == b"PK\x03\x04" == other[:4] and (said := _of_zip(one, other)):
        return Origin.TIME, said
    if one[:2] == b"\x1f\x8b" == other[:2] and one[8:] == other[8:]:
        return Origin.TIME, "only the time in the header of gzip differs"
    texts = _texts(one, other)
    if texts is not None:
        return _of_texts(path, *texts)
    return _of_binary(one, other, times)


def _of_bytecode(one: bytes, other: bytes) -> str:
    if one[_PYC_HEAD:] != other[_PYC_HEAD:]:
        return "their code differs, not only the header"
    if one[8:12] != other[8:12] and one[4:8] == b"\0" * 4:
        stamps = [struct.unpack("<I", each[8:12])[0] for each in (one, other)]
        return f"only the time of the source in the header differs: {stamps[0]} and {stamps[1]}"
    return "only the header differs"


def _of_zip(one: bytes, other: bytes) -> str:
    """What says that only times of members differ; "" where that is not so."""
    try:
        with zipfile.ZipFile(io.BytesIO(one)) as a, zipfile.ZipFile(io.BytesIO(other)) as b:
            firsts, seconds = a.infolist(), b.infolist()
            if [(e.filename, e.CRC) for e in firsts] != [(e.filename, e.CRC) for e in seconds]:
                return ""
            pairs = zip(firsts, seconds, strict=True)
            moved = [e.filename for e, f in pairs if e.date_time != f.date_time]
    except (zipfile.BadZipFile, ValueError, OSError):
        return ""
    return f"only the times of members in the archive differ: {moved[0]}" if moved else ""


def _texts(one: bytes, other: bytes) -> tuple[str, str] | None:
    if b"\0" in one or b"\0" in other:
        return None
    try:
        return one.decode(), other.decode()
    except UnicodeDecodeError:
        return None


def _of_texts(path: str, one: str, other: str) -> tuple[Origin, str]:
    lines, others = one.splitlines(), other.splitlines()
    if sorted(lines) == sorted(others):
        return Origin.ORDER, "the same lines, in another order"
    if sorted(_WORDS.findall(one)) == sorted(_WORDS.findall(other)):
        return Origin.ORDER, f"the same words, in another order: {_of_lines(one, other)}"
    if path == "var/lib/dpkg/status" and (said := _of_dpkg(one, other)):
        return Origin.VERSION, said
    evidence = _of_lines(one, other)
    left, right = one, other
    for reason, pattern in _MASKS:
        left, right = pattern.sub("…", left), pattern.sub("…", right)
        if left == right:
            return reason, evidence
    return Origin.UNKNOWN, evidence


def _of_dpkg(one: str, other: str) -> str:
    """The first package of which another version was installed; "" where there is none."""
    pattern = re.compile(r"^Package: (\S+)\n(?:.+\n)*?Version: (\S+)", re.MULTILINE)
    before, after = dict(pattern.findall(one)), dict(pattern.findall(other))
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            versions = f"{before.get(name, 'missing')} and {after.get(name, 'missing')}"
            return f"{name} is {versions}"
    return ""


def _of_lines(one: str, other: str) -> str:
    """The first line that differs, of both."""
    lines, others = one.splitlines(), other.splitlines()
    for tag, a, b, c, d in _opcodes(lines, others):
        if tag != "equal":
            before = lines[a][:120] if b > a else "(nothing)"
            after = others[c][:120] if d > c else "(nothing)"
            return f"{before!r} and {after!r}"
    return "only the ends of lines differ"


def _opcodes(one: list[str], other: list[str]) -> Iterator[tuple[str, int, int, int, int]]:
    """As of difflib; of long texts those of the first pair of lines that differ."""
    if len(one) * len(other) <= 1_000_000:
        yield from difflib.SequenceMatcher(None, one, other, autojunk=False).get_opcodes()
        return
    for number, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            yield "replace", number, number + 1, number, number + 1
            return


def _of_binary(one: bytes, other: bytes, times: BuildTimes) -> tuple[Origin, str]:
    at = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), None)
    if at is None:
        return (
            Origin.UNKNOWN,
            f"{len(one):,} and {len(other):,} bytes; the shorter begins the other",
        )
    shown = f"from byte {at:,} on: {one[at : at + 8].hex()} and {other[at : at + 8].hex()}"
    for start in range(max(at - 7, 0), at + 1):
        for form, size in (("<I", 4), (">I", 4)):
            pair = [each[start : start + size] for each in (one, other)]
            if any(len(each) < size for each in pair) or pair[0] == pair[1]:
                continue
            numbers = [struct.unpack(form, each)[0] for each in pair]
            if all(map(times.holds, numbers)):
                return (
                    Origin.TIME,
                    f"{shown}; as numbers they are the moments of the two builds",
                )
    around = [_DATES_IN_BYTES.findall(each[max(at - 24, 0) : at + 24]) for each in (one, other)]
    if all(around) and around[0] != around[1]:
        first, second = (each[0].decode() for each in around)
        return Origin.TIME, f"{shown}; text there says {first} and {second}"
    return Origin.UNKNOWN, shown
