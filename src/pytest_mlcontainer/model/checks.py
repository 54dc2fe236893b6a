"""Checks of the image itself: which there are, how they are set, and what they find."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Union

from pytest_mlcontainer.model.basics import Platform, Scalar

CheckValue = Union[str, int, float, bool, tuple[str, ...]]


class Severity(enum.Enum):
    """How bad a finding is, the mildest first."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"

    @property
    def rank(self) -> int:
        """Larger is worse."""
        return list(Severity).index(self)


class CheckNeeds(enum.Enum):
    """What has to be there before a check can be made."""

    DOCKERFILE = "the Dockerfile and its context"
    IMAGE = "the built image"
    RUNS = "runs of the entrypoints"


@dataclass(frozen=True)
class ImageCheck:
    """One check of the image, as configuration and plan know it; `image_checks` carries it out.

    Args:
        name: its key in `[tool.mlcontainer.image]`, and the last part of its test's name.
        by_default: whether it is made where nothing is configured.
        rules: those of our own that it may find something by. Of other programs' rules the names
            are not known here: `DL3008`, `SC2086`, `FromAsCasing`.
        keys: what its table may hold besides `threshold` and `ignore`.
        each_platform: whether it is made for each platform, or once.
    """

    name: str
    needs: CheckNeeds
    by_default: bool
    rules: tuple[str, ...]
    keys: tuple[str, ...] = ()
    each_platform: bool = True


# Each is carried out by the function of this name in `image_checks.registry`, which a test holds.
IMAGE_CHECKS: Final = (
    ImageCheck(
        "lint",
        CheckNeeds.DOCKERFILE,
        by_default=True,
        rules=tuple(f"ML{number:03}" for number in range(18)),
        keys=("dockerfiles", "large-file"),
        each_platform=False,
    ),
    ImageCheck(
        "size",
        CheckNeeds.IMAGE,
        by_default=True,
        rules=tuple(f"SZ{number:03}" for number in range(1, 11)),
        keys=("budget", "layer-budget", "growth"),
    ),
    ImageCheck(
        "gpu",
        CheckNeeds.IMAGE,
        by_default=True,
        rules=tuple(f"GPU{number:03}" for number in range(1, 11)),
        keys=("driver", "capabilities"),
    ),
    ImageCheck(
        "environment",
        CheckNeeds.IMAGE,
        by_default=False,
        rules=tuple(f"ENV{number:03}" for number in range(1, 10)),
        keys=("lock", "extras"),
    ),
    ImageCheck(
        "vulnerabilities",
        CheckNeeds.IMAGE,
        by_default=False,
        rules=("VU001",),
        keys=("database",),
    ),
    ImageCheck(
        "start",
        CheckNeeds.IMAGE,
        by_default=False,
        rules=tuple(f"ST{number:03}" for number in range(1, 11)),
        keys=(
            "exit-codes",
            "serves",
            "timeout",
            "stop-timeout",
            "user",
            "read-only",
            "writable",
            "network",
            "env",
            "labels",
            "entrypoint",
            "ports",
        ),
    ),
    ImageCheck(
        "cache",
        CheckNeeds.DOCKERFILE,
        by_default=False,
        rules=("CA001",),
        keys=("source", "cold"),
        each_platform=False,
    ),
    ImageCheck(
        "rebuild",
        CheckNeeds.DOCKERFILE,
        by_default=False,
        rules=tuple(f"RB{number:03}" for number in range(1, 13)),
        keys=("interventions",),
    ),
    ImageCheck(
        "slim",
        CheckNeeds.RUNS,
        by_default=False,
        rules=("SL001",),
        keys=("keep",),
    ),
)


@dataclass(frozen=True)
class CheckSettings:
    """How one check is set.

    Args:
        asked: the configuration names it, so that it may fail for matters of style, too.
        threshold: findings at least as bad as this fail the test.
        ignore: rules that are left out, `DL3008`; of one perhaps at some places: `ML005:data/*`.
        values: of the check's own keys that are set.
    """

    name: str
    asked: bool = False
    threshold: Severity = Severity.ERROR
    ignore: tuple[str, ...] = ()
    values: tuple[tuple[str, CheckValue], ...] = ()

    def value(self, key: str) -> CheckValue | None:
        """What is set for a key; None where nothing is."""
        return dict(self.values).get(key)


@dataclass(frozen=True)
class ImageFinding:
    """One thing that a check found.

    Args:
        rule: its id: `ML001`, `DL3008`, `FromAsCasing`.
        what: in one clause.
        place: a file relative to the project's folder, a path in the image, or a layer; may be "".
        line: of that file, from 1 on.
        why: the harm that it does.
        mend: exactly what to write, or to run.
        cost_bytes: what it adds to the image, where that is known.
        link: a page about the rule.
    """

    rule: str
    severity: Severity
    what: str
    place: str = ""
    line: int | None = None
    why: str = ""
    mend: str = ""
    cost_bytes: int | None = None
    cost_s: float | None = None
    link: str = ""

    @property
    def where(self) -> str:
        """`Dockerfile:3`; "" where it has no place."""
        return self.place if self.line is None else f"{self.place}:{self.line}"


@dataclass(frozen=True)
class CheckRow:
    """One part of something that was measured.

    Args:
        note: what else is to be said of it.
    """

    name: str
    size_bytes: int | None = None
    note: str = ""


@dataclass(frozen=True)
class CheckTable:
    """Something that was measured, in its parts, in the order in which they are to be read."""

    title: str
    rows: tuple[CheckRow, ...]


@dataclass(frozen=True)
class CheckReport:
    """What one check came to.

    Args:
        check: its name.
        platform: whose image was looked at; None for a check of the sources.
        findings: the worst first, without those that are ignored.
        threshold: as `CheckSettings.threshold`.
        notes: what could not be looked at, and why.
        figures: what was measured, as names (with their unit) and values: `total_bytes`.
        headline: what was measured, in a clause.
        tables: the same in its parts.
        tables_shown: whether a terminal shows those too, and not the report's files alone.
    """

    check: str
    platform: Platform | None = None
    findings: tuple[ImageFinding, ...] = ()
    threshold: Severity = Severity.ERROR
    notes: tuple[str, ...] = ()
    figures: tuple[tuple[str, Scalar], ...] = ()
    headline: str = ""
    tables: tuple[CheckTable, ...] = ()
    tables_shown: bool = False

    @property
    def failing(self) -> tuple[ImageFinding, ...]:
        """Those for which the test fails."""
        return tuple(each for each in self.findings if each.severity.rank >= self.threshold.rank)

    @property
    def name(self) -> str:
        """As its test is called."""
        return check_name(self.check, self.platform)


def check_name(check: str, platform: Platform | None) -> str:
    """`image::lint`, `image::size[linux/amd64]`."""
    return f"image::{check}" + ("" if platform is None else f"[{platform}]")


def check_report_to_json(report: CheckReport) -> dict[str, Any]:
    """The report as mappings, lists and scalars."""
    raw = asdict(report)
    raw["platform"] = None if report.platform is None else str(report.platform)
    raw["threshold"] = report.threshold.value
    for each in raw["findings"]:
        each["severity"] = each["severity"].value
    raw["findings"], raw["notes"] = list(raw["findings"]), list(raw["notes"])
    raw["figures"] = dict(report.figures)
    raw["tables"] = [{**each, "rows": list(each["rows"])} for each in raw["tables"]]
    return raw


def check_report_from_json(raw: Mapping[str, Any]) -> CheckReport:
    """The report that `check_report_to_json` was given."""
    platform = raw["platform"]
    return CheckReport(
        check=str(raw["check"]),
        platform=None if platform is None else Platform(*str(platform).split("/", 2)),
        findings=tuple(_finding_from_json(each) for each in raw["findings"]),
        threshold=Severity(raw["threshold"]),
        notes=tuple(str(each) for each in raw["notes"]),
        figures=tuple((str(name), value) for name, value in raw["figures"].items()),
        headline=str(raw.get("headline") or ""),
        tables=tuple(map(_table_from_json, raw.get("tables") or ())),
        tables_shown=bool(raw.get("tables_shown")),
    )


def _table_from_json(raw: Mapping[str, Any]) -> CheckTable:
    return CheckTable(str(raw["title"]), tuple(CheckRow(**each) for each in raw["rows"]))


def _finding_from_json(raw: Mapping[str, Any]) -> ImageFinding:
    """Fields that a later version added are left out."""
    values = {each.name: raw[each.name] for each in fields(ImageFinding)}
    return ImageFinding(**{**values, "severity": Severity(raw["severity"])})
