"""Runs in environments between two, asked for by the search, and what it found of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Union

from pytest_mlcontainer.errors import BuildError, EngineError, MlContainerError, RunError
from pytest_mlcontainer.explain.materiality import materiality
from pytest_mlcontainer.explain.packages import (
    Change,
    Contents,
    Distribution,
    ImageChangeKind,
    changes,
    closed,
    crossing,
    ties,
)
from pytest_mlcontainer.explain.search import search_causes
from pytest_mlcontainer.explain.trials import (
    Crash,
    Findings,
    Observation,
    Observations,
    Plan,
    Reading,
    SearchOutcome,
    Trial,
)
from pytest_mlcontainer.judging import compare_runs
from pytest_mlcontainer.judging.apart import Exclusions, set_apart
from pytest_mlcontainer.judging.evidence import for_repeats, nondeterministic
from pytest_mlcontainer.matrix import image_job, run_job
from pytest_mlcontainer.model import (
    Cause,
    Comparator,
    Difference,
    Entrypoint,
    Explanation,
    Failure,
    Image,
    ImageJob,
    NeedsFrom,
    Options,
    Outcome,
    Pairs,
    Rule,
    Run,
    RunJob,
    SearchFinding,
    Settings,
    Target,
    Verdict,
)
from pytest_mlcontainer.pipeline.bench import failure_line
from pytest_mlcontainer.pipeline.environments import (
    Mixture,
    Side,
    Workshop,
    build_environment,
    fetch_wheels,
    fitted,
    needs_wheel,
    pack_here,
    plan_recipe,
)
from pytest_mlcontainer.pipeline.set_apart import APART, apart_findings

HERE = "host"
# The run that all of B made, where no image can be begun with it; None where one can.
Other = Union[Run, Failure, None]
_TRACEBACK_BYTES = 50_000
_MODULE = re.compile(r"(?:site|dist)-packages/([A-Za-z_]\w*)|No module named '([A-Za-z_]\w*)")
_GROWN = 3  # times that a failing environment is tried with what may belong to it
_NAMED = 6


@dataclass(frozen=True)
class ExperimentRuns:
    """What experiments need of a pipeline; each takes the settings first.

    Args:
        image: gives the image for one platform.
        run: gives a run, failed or not.
        prefetch: starts what will be asked for soon.
        open_differing: both runs, with those pickles opened that cannot be compared otherwise.
        workshop: what building environments takes.
    """

    image: Callable[[Settings, ImageJob], Image]
    run: Callable[[Settings, RunJob], Run]
    prefetch: Callable[[Settings, tuple[ImageJob | RunJob, ...]], None]
    open_differing: Callable[[Settings, Run, Run, tuple[Rule, ...]], tuple[Run, Run]]
    workshop: Callable[[Settings, Target], Workshop]


@dataclass(frozen=True)
class Question:
    """What is asked.

    Args:
        settings: with a container platform as `reference`.
        options: with image A as `image`.
        entry: the entrypoint, one of those of the settings.
        b: image B, or `host`.
        budget: how many runs may be made to find causes.
    """

    settings: Settings
    options: Options
    entry: Entrypoint
    b: str
    comparators: tuple[Comparator, ...] = ()
    budget: int = 40

    @property
    def a(self) -> str:
        assert self.options.image is not None
        return self.options.image


@dataclass(frozen=True)
class Answer:
    """What came of it.

    Args:
        headlines: one line for each thing found; the outcome has all else.
        whole: whether image A with just the causes agrees with the run that all of B made.
    """

    outcome: Outcome
    headlines: tuple[str, ...]
    whole: bool = False


def one_way_changes(settings: Settings, a: Side, b: Side) -> tuple[Change, ...]:
    """The packages of B that can be brought into image A, where nothing else of B can be.

    What was installed from a folder is one of them where its versions differ.
    """
    project = _project_name(settings)
    found = changes(*_as_packages(a.contents, b.contents, project), project)
    return tuple(change for change in found if change.kind is ImageChangeKind.PACKAGE)


def _as_packages(a: Contents, b: Contents, project: str) -> tuple[Contents, Contents]:
    versions = [{each.name: each.version for each in side.distributions} for side in (a, b)]
    shared = versions[0].keys() & versions[1].keys() - {project}
    names = {name for name in shared if versions[0][name] != versions[1][name]}

    def freed(side: Contents) -> Contents:
        each = (replace(one, own=one.own and one.name not in names) for one in side.distributions)
        return replace(side, distributions=tuple(each))

    return freed(a), freed(b)


def _project_name(settings: Settings) -> str:
    return re.sub(r"[-_.]+", "-", settings.name).lower()


def mix(
    shop: Workshop, settings: Settings, a: Side, b: Side, only: frozenset[str] | None = None
) -> tuple[Mixture, Pairs]:
    """What can be chosen from either of two environments; and what cannot, with the reasons.

    Args:
        only: names of what is looked at, where that is not everything.
    """
    one_way = Mixture(a, b, ()).one_way
    found = changes(a.contents, b.contents, _project_name(settings))
    if one_way:
        found = one_way_changes(settings, a, b)
    found = tuple(change for change in found if only is None or change.name in only)
    packages = [change for change in found if change.kind is ImageChangeKind.PACKAGE]
    forth = _wanted(b.contents, a.contents, (change.after for change in packages))
    back = _wanted(a.contents, b.contents, (change.before for change in packages))
    wheels = (
        fetch_wheels(shop, settings, a, forth),
        fetch_wheels(shop, settings, b, () if one_way else back),
    )
    missing = {name: why for side in wheels for name, why in side.missing}
    kept = tuple(change for change in found if change.name not in missing)
    packed = pack_here(shop, kept, b.contents) if b.image is None else None
    return Mixture(a, b, kept, wheels, packed), tuple(sorted(missing.items()))


def _wanted(
    donor: Contents, base: Contents, packages: Iterable[Distribution | None]
) -> tuple[Distribution, ...]:
    return tuple(each for each in packages if each is not None and needs_wheel(donor, base, each))


class MixedRuns:
    """Runs what the search asks for, and says what it found.

    A trial's changes are made with all that cannot be apart from them.
    """

    def __init__(
        self,
        runner: ExperimentRuns,
        shop: Workshop,
        question: Question,
        mixture: Mixture,
        not_exercised: Pairs,
        other: Other = None,
    ) -> None:
        self._other = other
        self._runner = runner
        self._shop = shop
        self._question = question
        self._mixture = mixture
        self._not_exercised = list(not_exercised)
        self._changes = {change.name: change for change in mixture.changes}
        self._ties = ties(mixture.changes, mixture.a.contents, mixture.b.contents)
        self._own_rules = tuple(for_repeats(rule) for rule in question.entry.rules)
        self._apart = Exclusions()
        self._runs: dict[tuple[frozenset[str], int], Run | Failure] = {}
        self._groups: list[Run] = []
        self._read: dict[frozenset[str], list[Reading]] = {}

    def answer(self) -> Answer:
        host = self._other
        if isinstance(host, Run):
            control = self._run(frozenset(), 0)
            if isinstance(control, Run) and self._compare(host, control).verdict.passes:
                return self._agreeing(host, control)
        self._set_apart()
        weights = {name: change.weight for name, change in self._changes.items()}
        findings = self._drive(weights)
        if findings.kind is SearchOutcome.FAILED:
            raise self._control_failed()
        causes = tuple(self._cause(cause) for cause in self._minimal(findings.causes))
        outcome = self._outcome(findings, causes, host)
        return Answer(outcome, tuple(self._headlines(outcome)), self._is_whole(causes))

    def _is_whole(self, causes: Iterable[Cause]) -> bool:
        names = {name for cause in causes for name in cause.names}
        if not isinstance(self._other, Run) or not names or not names <= self._changes.keys():
            return False
        run = self._run(self._closed(names), 0)
        return isinstance(run, Run) and self._compare(run, self._other).verdict.passes

    # Trials

    def _drive(self, weights: Mapping[str, float]) -> Findings:
        search = search_causes(tuple(weights), weights, budget=self._question.budget)
        try:
            plan = next(search)
            while True:
                plan = search.send(self._observe_all(plan))
        except StopIteration as end:
            findings: Findings = end.value
            return findings

    def _observe_all(self, plan: Plan) -> Observations:
        jobs = []
        for trial in plan:
            try:
                jobs.append(self._job(self._closed(trial.changes), trial.repeat))
            except BuildError:
                continue  # it is told where the trial is read
        self._runner.prefetch(self._question.settings, tuple(jobs))
        ordered = sorted(plan, key=lambda trial: len(trial.changes))
        return {trial: self._observe(trial) for trial in ordered}

    def _observe(self, trial: Trial) -> Observation:
        names = self._closed(trial.changes)
        run = self._run(names, trial.repeat)
        if isinstance(run, Failure) and names and names != self._mixture.names:
            names, run = self._grow(names, trial.repeat, run)
        if isinstance(run, Failure):
            self._read.setdefault(names, []).append(Reading.FAILS)
            return Observation(Reading.FAILS, -1, failure_line(run))
        group = self._group(run)
        reading = Reading.AGREES if group == 0 else Reading.DRIFTS
        self._read.setdefault(names, []).append(reading)
        return Observation(reading, group)

    def _grow(
        self, names: frozenset[str], repeat: int, failed: Failure
    ) -> tuple[frozenset[str], Run | Failure]:
        """Try what fails together with the packages that it may not be apart from.

        Ties that make it work are kept; without such it is the changes themselves that fail.
        """
        known, grown, run = self._ties, names, failed
        mentioned = _modules_in(failed)
        for _ in range(_GROWN):
            more = crossing(grown, self._mixture.changes, mentioned)
            if not more or grown == self._mixture.names:
                break
            self._ties = (*self._ties, *more)
            grown = self._closed(grown)
            found = self._run(grown, repeat)
            if isinstance(found, Run):
                return grown, found
            mentioned = _modules_in(found)
        self._ties = known
        return names, run

    def _closed(self, names: Iterable[str]) -> frozenset[str]:
        return closed(names, self._ties)

    def _run(self, names: frozenset[str], repeat: int) -> Run | Failure:
        """The run with just these changes; what cannot be built or started has failed."""
        key = (names, repeat)
        if key not in self._runs:
            try:
                run = self._runner.run(self._question.settings, self._job(names, repeat))
                self._runs[key] = run if run.failure is None else _with_log(run.failure, run)
            except (RunError, BuildError, EngineError) as error:
                if not names:
                    raise
                if isinstance(error, BuildError):
                    self._note_unbuilt(names, error)
                self._runs[key] = Failure(error.what, error.value, error.remedy)
        return self._runs[key]

    def _note_unbuilt(self, names: frozenset[str], error: BuildError) -> None:
        last = (error.value.strip().splitlines() or [""])[-1]
        self._not_exercised.append((listed(sorted(names)), f"{error.what}: {last}"))

    def _job(self, names: frozenset[str], repeat: int) -> RunJob:
        """The run in the environment with just these changes, which is built if need be."""
        question, settings = self._question, self._question.settings
        job = run_job(settings, question.options, question.entry.name, settings.reference)
        recipe = plan_recipe(self._mixture, names)
        reference = build_environment(self._shop, settings, self._mixture, recipe)
        image = replace(
            image_job(settings, question.options, settings.reference), reference=reference
        )

        def moved(each: RunJob) -> RunJob:
            same = each.entrypoint.needs_from is NeedsFrom.SAME
            needs = tuple(moved(need) for need in each.needs) if same else each.needs
            entry = fitted(each.entrypoint, recipe)
            return replace(each, entrypoint=entry, image=image, needs=needs)

        return replace(moved(job), repeat=repeat)

    def _control_failed(self) -> MlContainerError:
        control = self._run(frozenset(), 0)
        assert isinstance(control, Failure)
        return RunError(
            f"{self._question.entry.name} fails in image A, {self._question.a}: {control.what}",
            control.value,
            control.remedy or "A is what B is held against: name an image in which it works",
        )

    def _group(self, run: Run) -> int:
        for number, other in enumerate(self._groups):
            if self._compare(run, other).verdict.passes:
                return number
        self._groups.append(run)
        return len(self._groups) - 1

    def _set_apart(self) -> None:
        """What two runs in image A differ in because of a clock or an id hides nothing else."""
        runs = [self._run(frozenset(), repeat) for repeat in (0, 1)]
        if all(isinstance(run, Run) for run in runs):
            one, other = (run for run in runs if isinstance(run, Run))
            self._apart = set_apart(self._compare(one, other).differences, self._own_rules)

    @property
    def _rules(self) -> tuple[Rule, ...]:
        return self._apart.amended(self._own_rules)

    def _compare(self, actual: Run, expected: Run) -> Outcome:
        question, entry = self._question, self._question.entry
        actual, expected = self._runner.open_differing(
            question.settings, actual, expected, self._rules
        )
        outcome = compare_runs(
            actual,
            expected,
            self._rules,
            question.comparators,
            (*entry.names, *self._apart.names),
            entry.outputs,
        )
        return replace(outcome, notes=self._apart.notes(outcome.notes))

    # What was found

    def _minimal(self, causes: Iterable[Cause]) -> tuple[Cause, ...]:
        """The causes with all that cannot be apart from them, as far as that matters."""
        found: dict[frozenset[str], Cause] = {}
        for cause in causes:
            names = self._closed(cause.names)
            if names <= self._changes.keys():
                names = self._smallest(names)
            found.setdefault(names, replace(cause, names=tuple(sorted(names))))
        return tuple(
            cause for names, cause in found.items() if not any(each < names for each in found)
        )

    def _smallest(self, names: frozenset[str]) -> frozenset[str]:
        """A part that drifts and can be made alone; the names themselves where there is none."""
        for name in sorted(names):
            part = frozenset(each for each in names if name not in self._closed([each]))
            if part and part != names and self._closed(part) == part:
                seen = self._observe(Trial(tuple(sorted(part))))
                if seen.reading is Reading.DRIFTS:
                    return self._smallest(part)
        return names

    def _cause(self, cause: Cause) -> Cause:
        names = frozenset(cause.names)
        if not names <= self._changes.keys():
            return cause  # `randomness`
        seen = self._read.get(names, [])
        drifted = sum(1 for reading in seen if reading is Reading.DRIFTS)
        just = "just this" if len(names) == 1 else "just these"
        differences = self._differences(names)
        parts = [
            f"with {just}, {_what_drifts(differences)} in {drifted} of {len(seen)} runs"
            f"{_size(differences)}"
        ]
        others = max((each - names for each in self._agreeing_sets(names)), key=len, default=())
        if others:
            noun = "change" if len(others) == 1 else "changes"
            without = "it" if len(names) == 1 else "all of these"
            parts.append(f"with {len(others)} other {noun}, without {without}, nothing drifts")
        together = [tie.why for tie in self._ties if {tie.name, tie.needs} <= names]
        parts += list(dict.fromkeys(together))[:2]
        return replace(cause, runs=len(seen), evidence="; ".join(parts))

    def _differences(self, names: frozenset[str]) -> tuple[Difference, ...]:
        """How the outputs with just these changes differ from A's."""
        run, control = self._run(names, 0), self._run(frozenset(), 0)
        if isinstance(run, Run) and isinstance(control, Run):
            return self._compare(run, control).differences
        return ()

    def _agreeing_sets(self, cause: frozenset[str]) -> Iterator[frozenset[str]]:
        """What was changed without an effect, and without all of the cause."""
        for names, readings in self._read.items():
            if all(reading is Reading.AGREES for reading in readings) and not cause <= names:
                yield names

    def _outcome(
        self, findings: Findings, causes: tuple[Cause, ...], host: Run | Failure | None
    ) -> Outcome:
        drawn = self._drawn(findings, causes, host)
        crashes = tuple(self._crash(each) for each in findings.crashes)
        explanation = Explanation(
            runs=len(self._runs) + (host is not None),
            tried=self._tried(),
            not_exercised=tuple(dict.fromkeys(self._not_exercised)),
            findings=(*crashes, *apart_findings(self._apart)),
            materiality=materiality(drawn.differences) if not drawn.verdict.passes else "",
            open=(*findings.open, *self._open(findings, causes, host)),
            suspects=tuple(sorted(findings.suspects)),
        )
        return replace(
            drawn, causes=causes, against=f"image {self._question.a}", explanation=explanation
        )

    def _drawn(
        self, findings: Findings, causes: tuple[Cause, ...], host: Run | Failure | None
    ) -> Outcome:
        """The comparison that shows it: B with A; where B fails, a cause with A."""
        control = self._run(frozenset(), 0)
        assert isinstance(control, Run)
        whole = host if host is not None else self._run(self._mixture.names, 0)
        if findings.kind is SearchOutcome.NONDETERMINISTIC:
            others = [run for run in self._groups if run is not control]
            outcome = self._compare(others[0], control) if others else self._same(control)
            marked = tuple(nondeterministic(each) for each in outcome.differences)
            return replace(outcome, differences=marked, verdict=Verdict.NONDETERMINISTIC)
        if isinstance(whole, Run):
            return self._compare(whole, control)
        for cause in causes:
            run = self._run(frozenset(cause.names), 0)
            if isinstance(run, Run):
                return replace(self._compare(run, control), verdict=Verdict.FAILED)
        return replace(self._same(control), verdict=Verdict.FAILED, notes=(failure_line(whole),))

    def _same(self, control: Run) -> Outcome:
        return replace(self._compare(control, control), differences=(), notes=())

    def _agreeing(self, actual: Run, control: Run) -> Answer:
        outcome = replace(self._compare(actual, control), against=f"image {self._question.a}")
        explanation = Explanation(
            runs=2, tried=self._tried(), not_exercised=tuple(self._not_exercised)
        )
        outcome = replace(outcome, explanation=explanation)
        return Answer(outcome, tuple(self._headlines(outcome)))

    def _crash(self, crash: Crash) -> SearchFinding:
        names = tuple(sorted(crash.names))
        texts = listed([self._changes[name].text for name in names if name in self._changes])
        verb = "makes" if len(names) == 1 else "together make"
        text = f"{texts} {verb} {self._question.entry.name} fail: {crash.failure}"
        return SearchFinding("crash", names, text)

    def _tried(self) -> tuple[str, ...]:
        return tuple(f"{each.name}={each.setting}" for each in self._mixture.changes)

    def _open(
        self, findings: Findings, causes: tuple[Cause, ...], host: Run | Failure | None
    ) -> Iterator[str]:
        if host is not None and not causes and findings.kind is SearchOutcome.CLEAN:
            yield (
                f"the container agrees with image {self._question.a} also with all packages of "
                "this machine that could be tried: what is left is Python, the system, its "
                "libraries, the processor, the environment of this machine"
                + (", and the packages that were not tried" if self._not_exercised else "")
            )
        elif not causes and findings.kind is SearchOutcome.CLEAN and self._not_exercised:
            yield "what could not be tried alone counts as part of the base image"

    def _headlines(self, outcome: Outcome) -> Iterator[str]:
        question, explained = self._question, outcome.explanation
        assert explained is not None
        known = [cause for cause in outcome.causes if set(cause.names) <= self._changes.keys()]
        for cause in known:
            texts = listed([self._changes[name].text for name in cause.names])
            verb = "makes" if len(cause.names) == 1 else "together make"
            files = _files(self._differences(frozenset(cause.names)))
            yield f"{texts} {verb} {files} drift"
        yield from (each.text for each in explained.findings)
        if outcome.verdict is Verdict.NONDETERMINISTIC:
            yield (
                f"{question.entry.name} wrote something else in another run in {question.a}: "
                "nothing can be said of the images before it repeats itself"
            )
        elif outcome.verdict.passes and not known:
            count = len(self._changes)
            differ = "1 thing differs" if count == 1 else f"{count} things differ"
            yield f"{question.b} agrees with {question.a}, though {differ} in them"
        elif not known and all(each.kind == APART for each in explained.findings):
            suspects = listed(list(explained.suspects) or ["all that differs"], _NAMED)
            yield f"{question.b} drifts from {question.a}; the cause is not known, among {suspects}"


def _what_drifts(differences: tuple[Difference, ...]) -> str:
    worst = next((each for each in differences if not each.verdict.passes), None)
    return "it drifts" if worst is None else f"{worst.where} drifts"


def _size(differences: tuple[Difference, ...]) -> str:
    sizes = [each.max_abs for each in differences if not each.verdict.passes and each.max_abs]
    return f" (max abs {max(sizes):.3g})" if sizes else ""


def _files(differences: tuple[Difference, ...]) -> str:
    """The outputs that drift, by their file names alone where these tell them apart."""
    outputs = list(dict.fromkeys(each.output for each in differences if not each.verdict.passes))
    short = [name.rpartition("/")[2] for name in outputs]
    return listed(short if len(set(short)) == len(short) else outputs, 3) or "the outputs"


def listed(texts: list[str], most: int = 8) -> str:
    if len(texts) > most:
        return f"{', '.join(texts[:most])} and {len(texts) - most} more"
    return " and ".join(filter(None, (", ".join(texts[:-1]), *texts[-1:])))


def _modules_in(failure: Failure) -> frozenset[str]:
    found = _MODULE.findall(f"{failure.value}")
    return frozenset(name for pair in found for name in pair if name)


def _with_log(failure: Failure, run: Run) -> Failure:
    """The failure with the end of what it printed, which names the packages that took part."""
    text = _end(run.stderr)
    return failure if text in failure.value else replace(failure, value=f"{text}\n{failure.value}")


def _end(file: Path) -> str:
    with file.open("rb") as source:
        source.seek(0, 2)
        source.seek(max(0, source.tell() - _TRACEBACK_BYTES))
        return source.read().decode("utf-8", "replace").strip()
