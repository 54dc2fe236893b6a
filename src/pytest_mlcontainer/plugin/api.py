"""What the fixtures hand to tests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from platform import machine

import pytest

from pytest_mlcontainer import matrix
from pytest_mlcontainer.config import parse_platform, parse_rules
from pytest_mlcontainer.errors import PlatformSkipped, RunError
from pytest_mlcontainer.model import (
    Comparator,
    Entrypoint,
    Image,
    Outcome,
    Platform,
    Rule,
    Run,
    RunJob,
    Settings,
)
from pytest_mlcontainer.pipeline import compare_runs, needed_by, require
from pytest_mlcontainer.plugin.misuse import (
    checked,
    require_platform,
    require_run_arguments,
    require_switch,
    require_text,
    wrong_comparison,
)
from pytest_mlcontainer.plugin.session import ContainerSession, project_file
from pytest_mlcontainer.report import Result
from pytest_mlcontainer.report.terminal import failure_lines


@dataclass(frozen=True)
class RunningServer:
    """A server that answers.

    Args:
        url: base URL without a trailing slash.
        platform: where it runs.
    """

    url: str
    platform: Platform
    container: str


class Project:
    """The project under test; calling it runs an entrypoint."""

    def __init__(self, settings: Settings, session: ContainerSession) -> None:
        self.settings = settings
        self._session = session
        self._jobs: dict[str, RunJob] = {}

    @checked("run_entrypoint", 'run_entrypoint("train", platform="linux/arm64")')
    def __call__(
        self,
        name: str,
        *,
        platform: Platform | str | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
        repeat: int = 0,
        vary: Sequence[str] = (),
        check: bool = True,
    ) -> Run:
        """Run an entrypoint, or take the run already made with the same arguments.

        Args:
            platform: `linux/arm64`, `host`, …; the reference platform by default.
            env: environment variables on top of the configured ones.
            timeout: seconds of wall clock instead of the configured limit.
            repeat: another number asks for another run of the same thing.
            vary: names of variations that the run is made under, such as `threads`.
            check: False returns a run that failed, with its `failure`.

        Raises:
            MisuseError: an argument is of another type.
            MlContainerError: unknown entrypoint, a failed build, a variation that is unknown or
                has no effect here, or (with `check`) a failed run.
        """
        require_run_arguments(name, env, timeout, repeat, vary)
        require_platform("run_entrypoint", platform)
        require_switch("run_entrypoint", "check", check)
        job = matrix.run_job(self.settings, self._session.options, name, self._platform(platform))
        job = _changed(job, env, timeout, repeat)
        pipeline, names = self._session.pipeline, (vary,) if isinstance(vary, str) else tuple(vary)
        with _skipping():
            if names:
                run = pipeline.searches.run_varied(
                    self.settings, job, self._session.families, names
                )
            else:
                run = pipeline.runs.make(self.settings, job)
        self._session.results.record(Result.of_run(run))
        if not names:
            self._jobs[run.id] = job
        return require(run) if check else run

    @checked("run_entrypoint.image", 'run_entrypoint.image("linux/arm64")')
    def image(self, platform: Platform | str | None = None) -> Image:
        """The image for a platform, the reference's by default."""
        require_platform("run_entrypoint.image", platform)
        job = matrix.image_job(self.settings, self._session.options, self._platform(platform))
        with _skipping():
            return self._session.pipeline.images.make(self.settings, job)

    @property
    def platforms(self) -> tuple[Platform, ...]:
        return matrix.platforms(self.settings, self._session.options)

    @property
    def reference(self) -> Platform:
        return matrix.reference_platform(self.settings, self._session.options)

    @property
    def comparators(self) -> tuple[Comparator, ...]:
        """Formats that plugins add."""
        return self._session.comparators

    def find(self, fixture: str, *names: str) -> str:
        """The first of these names that is an entrypoint.

        Raises:
            RunError: none is.
        """
        for name in names:
            if self.settings.entrypoint(name) is not None:
                return name
        there = ", ".join(entry.name for entry in self.settings.entrypoints) or "none"
        raise RunError(
            f"the fixture {fixture} finds no entrypoint called {' or '.join(names)}",
            f"entrypoints of {self.settings.name}: {there}",
            'use run_entrypoint("NAME"), or rename the entrypoint',
        )

    @contextmanager
    def serve(self, name: str | None = None) -> Iterator[RunningServer]:
        """Start a server entrypoint on the reference platform."""
        chosen = name or self._only_server()
        job = matrix.serve_job(self.settings, self._session.options, chosen, self.reference)
        with self._session.pipeline.servers.serve(self.settings, job) as started:
            yield RunningServer(started.url, job.target.platform, started.container)

    def prefetch(self, name: str) -> None:
        """Start an entrypoint on every platform, side by side."""
        jobs = (
            matrix.run_job(self.settings, self._session.options, name, platform)
            for platform in self.platforms
        )
        self._session.prefetch(self.settings, tuple(jobs))

    def open_differing(
        self, actual: Run, expected: Run, rules: tuple[Rule, ...]
    ) -> tuple[Run, Run]:
        """Both runs, with those pickles opened that cannot be compared otherwise."""
        with _skipping():
            return self._session.pipeline.openings.open_differing(
                self.settings, actual, expected, rules
            )

    def settle(self, actual: Run, expected: Run, entry: Entrypoint, outcome: Outcome) -> Outcome:
        """A comparison of two platforms; of a drift with whether the reference repeats itself.

        Args:
            entry: with the rules by which they were compared.
        """
        job, other = self._jobs.get(expected.id), self._jobs.get(actual.id)
        if job is None or job.repeat or outcome.target.platform == outcome.reference.platform:
            return outcome
        with _skipping():
            comparisons = self._session.pipeline.comparisons
            outcome = comparisons.settle(
                self.settings, job, entry, outcome, self.comparators, other
            )
        for run in comparisons.settling_runs(self.settings, job):
            self._session.results.record(Result.of_run(run))
        return outcome

    def without_secrets(self, text: str) -> str:
        """The text as it may be shown."""
        return self._session.wording.without_secrets(text)

    def record(self, outcome: Outcome) -> None:
        """Put a comparison into the session's report."""
        self._session.results.record(Result.of_outcome(outcome))

    def _only_server(self) -> str:
        servers = [entry.name for entry in self.settings.entrypoints if entry.server is not None]
        if len(servers) == 1:
            return servers[0]
        raise RunError(
            "the fixture inference_server needs exactly one entrypoint with a `port`",
            f"servers of {self.settings.name}: {', '.join(servers) or 'none'}",
            "declare one: [tool.mlcontainer.entrypoints.serve] command = […], port = 8000, "
            'health = "/health"',
        )

    def _platform(self, platform: Platform | str | None) -> Platform:
        if platform is None:
            return self.reference
        return parse_platform(platform, machine()) if isinstance(platform, str) else platform


def project_under_test(session: ContainerSession) -> Project:
    """The project of the test that runs, and so of all that use fixtures: `preflight` saw to that.

    Raises:
        pytest.UsageError: it has no configuration.
    """
    start = session.config.rootpath / session.results.test.partition("::")[0]
    file = project_file(start, session.config.rootpath)
    settings = None if file is None else session.load(file)
    if settings is None:
        raise pytest.UsageError(
            f"no [tool.mlcontainer] table in any pyproject.toml above {start}\n"
            "  → write one (`mlcontainer init` makes a first version of it)"
        )
    return Project(settings, session)


class PlatformMatrix:
    """The platforms under test, the reference first."""

    def __init__(self, project: Project) -> None:
        self._project = project

    @property
    def platforms(self) -> tuple[Platform, ...]:
        return self._project.platforms

    @property
    def reference(self) -> Platform:
        return self._project.reference

    def __iter__(self) -> Iterator[Platform]:
        return iter(self.platforms)

    def __len__(self) -> int:
        return len(self.platforms)

    @checked("platform_matrix.run", 'platform_matrix.run("train")')
    def run(self, name: str) -> dict[Platform, Run]:
        """Run an entrypoint on every platform, side by side where cores allow."""
        require_text("platform_matrix.run", "name", name, 'platform_matrix.run("train")')
        self._project.prefetch(name)
        return {platform: self._project(name, platform=platform) for platform in self.platforms}


class OutputComparison:
    """Compares what runs wrote, by the entrypoint's rules.

    Args:
        verbosity: pytest's, for how much a failure says.
    """

    def __init__(self, project: Project, verbosity: int = 0) -> None:
        self._project, self._verbosity = project, verbosity

    @checked("compare_outputs", "compare_outputs(run, reference)")
    def __call__(
        self,
        actual: Run | Mapping[Platform, Run],
        expected: Run | None = None,
        *,
        rules: Mapping[str, Mapping[str, object]] | None = None,
        check: bool = True,
    ) -> tuple[Outcome, ...]:
        """Compare a run with another, or all runs of `platform_matrix.run(…)` with the reference's.

        Args:
            rules: as `[tool.mlcontainer.entrypoints.NAME.compare]`, instead of those configured.
            check: fail the test unless every verdict is `identical` or `equivalent`; False only
                returns what was found. With runs of one platform alone there is nothing to
                compare, and the test is skipped.

        Returns:
            One outcome for each comparison.

        Raises:
            ConfigError: the rules are not valid.
            MisuseError: what is to be compared are no runs, or an argument is of another type.
        """
        require_switch("compare_outputs", "check", check)
        if rules is not None and not isinstance(rules, Mapping):
            raise wrong_comparison("rules have to be a mapping, as in the configuration", rules)
        pairs = _pairs(actual, expected, self._project.reference)
        if check and not pairs:
            pytest.skip(f"nothing to compare: {self._project.reference} is the only platform here")
        outcomes = tuple(self._compare(left, right, rules) for left, right in pairs)
        if check:
            bad = [outcome for outcome in outcomes if not outcome.verdict.passes]
            if bad:
                __tracebackhide__ = True
                lines = [
                    line for outcome in bad for line in failure_lines(outcome, "", self._verbosity)
                ]
                pytest.fail(self._project.without_secrets("\n".join(lines)), pytrace=False)
        return outcomes

    def _compare(
        self, actual: Run, expected: Run, rules: Mapping[str, Mapping[str, object]] | None
    ) -> Outcome:
        entry = self._project.settings.entrypoint(actual.entrypoint) or Entrypoint("")
        chosen = entry.rules if rules is None else parse_rules(rules)
        alone = rules is not None or len(self._project.platforms) <= 2
        needed = needed_by(self._project.settings, entry.names, chosen, alone=alone)
        actual, expected = self._project.open_differing(actual, expected, chosen)
        outcome = compare_runs(
            actual, expected, chosen, self._project.comparators, entry.names, entry.outputs, needed
        )
        judged = replace(entry, rules=chosen)
        outcome = self._project.settle(actual, expected, judged, outcome)
        self._project.record(outcome)
        return outcome


@contextmanager
def _skipping() -> Iterator[None]:
    """A platform that the configuration wants skipped skips the test."""
    try:
        yield
    except PlatformSkipped as error:
        pytest.skip(str(error))


def _pairs(
    actual: Run | Mapping[Platform, Run], expected: Run | None, reference: Platform
) -> list[tuple[Run, Run]]:
    if expected is not None and not isinstance(expected, Run):
        raise wrong_comparison("the reference has to be a run", expected)
    if isinstance(actual, Run):
        if expected is None:
            raise wrong_comparison("the run to compare with is missing", actual.entrypoint)
        return [(actual, expected)]
    if not isinstance(actual, Mapping):
        raise wrong_comparison("takes a run, and the run to compare it with", actual)
    if not actual or not all(isinstance(run, Run) for run in actual.values()):
        raise wrong_comparison("takes runs by platform, as platform_matrix.run gives them", actual)
    if expected is None and reference not in actual:
        there = ", ".join(map(str, actual))
        raise wrong_comparison(f"no run of the reference, {reference}, is among them", there)
    base = expected or actual[reference]
    return [(run, base) for run in actual.values() if run is not base]


def _changed(
    job: RunJob, env: Mapping[str, str] | None, timeout: float | None, repeat: int
) -> RunJob:
    entry = job.entrypoint
    if env:
        left = tuple(secret for secret in entry.secrets if secret.id not in env)
        entry = replace(entry, env=tuple({**dict(entry.env), **env}.items()), secrets=left)
    if timeout is not None:
        entry = replace(entry, limits=replace(entry.limits, timeout_s=timeout))
    return replace(job, entrypoint=entry, repeat=repeat)
