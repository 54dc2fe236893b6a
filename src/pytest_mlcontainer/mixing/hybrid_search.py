"""The search among hybrid images: which changes between two images make outputs drift."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from pytest_mlcontainer.experiments.last_words import failure_line
from pytest_mlcontainer.experiments.set_apart import APART, apart_findings
from pytest_mlcontainer.explain.materiality import materiality
from pytest_mlcontainer.explain.search import search_causes
from pytest_mlcontainer.explain.trials import (
    Crash,
    Findings,
    Reading,
    SearchOutcome,
    Trial,
)
from pytest_mlcontainer.judging.unsteady import as_nondeterministic
from pytest_mlcontainer.mixing.hybrid_trials import HybridTrials
from pytest_mlcontainer.mixing.hybrids import ImagePair
from pytest_mlcontainer.mixing.questions import Answer, Other, Question
from pytest_mlcontainer.mixing.words import files_of, listed, size_of, what_drifts
from pytest_mlcontainer.model import (
    Cause,
    Difference,
    Explanation,
    Failure,
    Outcome,
    Pairs,
    Run,
    SearchFinding,
    Verdict,
)

_NAMED = 6


class HybridSearch:
    """Finds which changes between two images make outputs drift, and says so.

    Args:
        trials: of the same pair.
        not_exercised: changes that cannot be made, with the reasons.
        other: the run that all of B made, where no image can be begun with it.
    """

    def __init__(
        self,
        trials: HybridTrials,
        question: Question,
        pair: ImagePair,
        not_exercised: Pairs,
        other: Other = None,
    ) -> None:
        self._question = question
        self._pair = pair
        self._changes = {change.name: change for change in pair.changes}
        self._left_out = not_exercised
        self._other = other
        self._trials = trials

    @property
    def _not_exercised(self) -> Pairs:
        return (*self._left_out, *self._trials.unbuilt)

    def answer(self) -> Answer:
        host = self._other
        if isinstance(host, Run):
            control = self._trials.run()
            if isinstance(control, Run) and self._trials.compare(host, control).verdict.passes:
                return self._agreeing(host, control)
        self._trials.set_apart()
        weights = {name: change.weight for name, change in self._changes.items()}
        budget = self._question.budget
        findings = self._trials.experiment.drive(
            lambda: search_causes(tuple(weights), weights, budget=budget)
        )
        if findings.kind is SearchOutcome.FAILED:
            raise self._trials.control_failure()
        causes = tuple(self._cause(cause) for cause in self._minimal(findings.causes))
        outcome = self._outcome(findings, causes, host)
        return Answer(outcome, tuple(self._headlines(outcome)), self._is_whole(causes))

    def _is_whole(self, causes: Iterable[Cause]) -> bool:
        names = {name for cause in causes for name in cause.names}
        if not isinstance(self._other, Run) or not names or not names <= self._changes.keys():
            return False
        run = self._trials.run(self._trials.closed(names))
        return isinstance(run, Run) and self._trials.compare(run, self._other).verdict.passes

    # What was found

    def _minimal(self, causes: Iterable[Cause]) -> tuple[Cause, ...]:
        """The causes with all that cannot be apart from them, as far as that matters."""
        found: dict[frozenset[str], Cause] = {}
        for cause in causes:
            names = self._trials.closed(cause.names)
            if names <= self._changes.keys():
                names = self._smallest(names)
            found.setdefault(names, replace(cause, names=tuple(sorted(names))))
        return tuple(
            cause for names, cause in found.items() if not any(each < names for each in found)
        )

    def _smallest(self, names: frozenset[str]) -> frozenset[str]:
        """A part that drifts and can be made alone; the names themselves where there is none."""
        for name in sorted(names):
            part = frozenset(each for each in names if name not in self._trials.closed([each]))
            if part and part != names and self._trials.closed(part) == part:
                seen = self._trials.experiment.observe(Trial(tuple(sorted(part))))
                if seen.reading is Reading.DRIFTS:
                    return self._smallest(part)
        return names

    def _cause(self, cause: Cause) -> Cause:
        names = frozenset(cause.names)
        if not names <= self._changes.keys():
            return cause  # `randomness`
        seen = self._readings().get(names, [])
        drifted = sum(1 for reading in seen if reading is Reading.DRIFTS)
        just = "just this" if len(names) == 1 else "just these"
        differences = self._differences(names)
        parts = [
            f"with {just}, {what_drifts(differences)} in {drifted} of {len(seen)} runs"
            f"{size_of(differences)}"
        ]
        others = max((each - names for each in self._agreeing_sets(names)), key=len, default=())
        if others:
            noun = "change" if len(others) == 1 else "changes"
            without = "it" if len(names) == 1 else "all of these"
            parts.append(f"with {len(others)} other {noun}, without {without}, nothing drifts")
        together = [tie.why for tie in self._trials.ties if {tie.name, tie.needs} <= names]
        parts += list(dict.fromkeys(together))[:2]
        return replace(cause, runs=len(seen), evidence="; ".join(parts))

    def _differences(self, names: frozenset[str]) -> tuple[Difference, ...]:
        """How the outputs with just these changes differ from A's."""
        run, control = self._trials.run(names), self._trials.control
        if isinstance(run, Run) and control is not None:
            return self._trials.compare(run, control).differences
        return ()

    def _readings(self) -> dict[frozenset[str], list[Reading]]:
        """How runs came out, for each set of changes that was made."""
        readings: dict[frozenset[str], list[Reading]] = {}
        for result in self._trials.experiment.results:
            for task in result.tasks:
                readings.setdefault(task.names, []).append(result.seen.reading)
        return readings

    def _agreeing_sets(self, cause: frozenset[str]) -> Iterator[frozenset[str]]:
        """What was changed without an effect, and without all of the cause."""
        for names, readings in self._readings().items():
            if all(reading is Reading.AGREES for reading in readings) and not cause <= names:
                yield names

    def _outcome(
        self, findings: Findings, causes: tuple[Cause, ...], host: Run | Failure | None
    ) -> Outcome:
        drawn = self._drawn(findings, causes, host)
        crashes = tuple(self._crash(each) for each in findings.crashes)
        explanation = Explanation(
            runs=self._trials.spent + (host is not None),
            tried=self._tried(),
            not_exercised=tuple(dict.fromkeys(self._not_exercised)),
            findings=(*crashes, *apart_findings(self._trials.apart)),
            materiality=materiality(drawn.differences) if not drawn.verdict.passes else "",
            open=(*findings.open, *self._open(findings, causes, host)),
            suspects=tuple(sorted(findings.suspects)),
            trials=self._trials.experiment.told,
        )
        return replace(
            drawn, causes=causes, against=f"image {self._question.a}", explanation=explanation
        )

    def _drawn(
        self, findings: Findings, causes: tuple[Cause, ...], host: Run | Failure | None
    ) -> Outcome:
        """The comparison that shows it: B with A; where B fails, a cause with A."""
        control = self._trials.control
        if control is None:
            raise self._trials.control_failure()
        whole = host if host is not None else self._trials.run(self._pair.names)
        if findings.kind is SearchOutcome.NONDETERMINISTIC:
            others = [run for run in self._trials.results if run is not control]
            outcome = self._trials.compare(others[0], control) if others else self._same(control)
            return as_nondeterministic(outcome)
        if isinstance(whole, Run):
            return self._trials.compare(whole, control)
        for cause in causes:
            run = self._trials.run(frozenset(cause.names))
            if isinstance(run, Run):
                return replace(self._trials.compare(run, control), verdict=Verdict.FAILED)
        return replace(self._same(control), verdict=Verdict.FAILED, notes=(failure_line(whole),))

    def _same(self, control: Run) -> Outcome:
        return replace(self._trials.compare(control, control), differences=(), notes=())

    def _agreeing(self, actual: Run, control: Run) -> Answer:
        outcome = replace(
            self._trials.compare(actual, control), against=f"image {self._question.a}"
        )
        explanation = Explanation(runs=2, tried=self._tried(), not_exercised=self._not_exercised)
        outcome = replace(outcome, explanation=explanation)
        return Answer(outcome, tuple(self._headlines(outcome)))

    def _crash(self, crash: Crash) -> SearchFinding:
        names = tuple(sorted(crash.names))
        texts = listed([self._changes[name].text for name in names if name in self._changes])
        verb = "makes" if len(names) == 1 else "together make"
        text = f"{texts} {verb} {self._question.entry.name} fail: {crash.failure}"
        return SearchFinding("crash", names, text)

    def _tried(self) -> tuple[str, ...]:
        return tuple(f"{each.name}={each.setting}" for each in self._pair.changes)

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
            files = files_of(self._differences(frozenset(cause.names)))
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
