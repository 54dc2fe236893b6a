"""What a check of the image is given, and how what it found is judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_mlcontainer import globs
from pytest_mlcontainer.engines import Engine, LogLine
from pytest_mlcontainer.engines.process import Processes
from pytest_mlcontainer.image_checks.contents import RecentContents
from pytest_mlcontainer.image_checks.trials import EntrypointTrials
from pytest_mlcontainer.model import (
    CheckReport,
    CheckSettings,
    Facts,
    Image,
    ImageFinding,
    Platform,
    Settings,
    Severity,
    Target,
)
from pytest_mlcontainer.secrets import NOTHING, Redactor


@dataclass(frozen=True)
class CheckInputs:
    """What a check may look at. What is costly is made when it is asked for first.

    Args:
        platform: whose image is checked; None for a check of the sources.
        platforms: all whose images there are in this session, the reference first.
        with_host: whether runs on this machine, without a container, belong to the session.
        endpoint: of the engine that builds; None is the default one.
        environ: environment variables for commands.
        cache: folder of this machine that stays from session to session.
        engine, image, facts: those of a platform; facts are what the probe read in its image.
        target: where containers of a platform's image run, with what is known of emulation.
        report_folder: that of the session's reports, for files that belong to them; None for none.
        hidden: what must be in nothing that is said of a build.
        recent: contents of the images that this session's checks looked at last.
        log: is told what goes on.
        trials: of the entrypoints, for checks that need their runs; None for all others.
    """

    settings: Settings
    check: CheckSettings
    platform: Platform | None
    platforms: tuple[Platform, ...]
    endpoint: str | None
    environ: Mapping[str, str]
    processes: Processes
    cache: Path
    engine: Callable[[Platform], Engine]
    image: Callable[[Platform], Image]
    facts: Callable[[Platform], Facts]
    target: Callable[[Platform], Target]
    report_folder: Path | None
    recent: RecentContents
    log: LogLine
    hidden: Redactor = NOTHING
    trials: EntrypointTrials | None = None
    with_host: bool = False

    def report(
        self, findings: tuple[ImageFinding, ...], notes: tuple[str, ...] = ()
    ) -> CheckReport:
        """A report of this check with what it found."""
        return CheckReport(self.check.name, self.platform, findings, notes=notes)


def judge(report: CheckReport, check: CheckSettings) -> CheckReport:
    """The report without what is to be ignored and tables of no rows, the worst finding first."""
    kept = [each for each in report.findings if not _is_ignored(each, check.ignore)]
    kept.sort(key=lambda each: (-each.severity.rank, each.place, each.line or 0, each.rule))
    tables = tuple(each for each in report.tables if each.rows)
    return replace(report, findings=tuple(kept), tables=tables, threshold=check.threshold)


def milder(finding: ImageFinding) -> ImageFinding:
    """The same as a warning at most: of a rule of style, where nobody asked to fail for those."""
    if finding.severity is not Severity.ERROR:
        return finding
    return replace(finding, severity=Severity.WARNING)


def _is_ignored(finding: ImageFinding, ignore: tuple[str, ...]) -> bool:
    for each in ignore:
        rule, colon, places = each.partition(":")
        if rule == finding.rule and (not colon or globs.covers(places, finding.place)):
            return True
    return False
