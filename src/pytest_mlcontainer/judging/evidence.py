"""Several runs of each side (repeats, seeds, variations) → one outcome."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from pytest_mlcontainer import facts as environment_facts
from pytest_mlcontainer.compare import compare_outputs, verdict_of
from pytest_mlcontainer.compare.numeric.tolerance import Calibration
from pytest_mlcontainer.compare.readers.apart import DifferencesAndNotes
from pytest_mlcontainer.compare.rules.study import Item, Study
from pytest_mlcontainer.judging import NOTHING_NEEDED, Needed, printed
from pytest_mlcontainer.judging.apart import Exclusions, joined, say, set_apart
from pytest_mlcontainer.judging.equivalence import Metrics
from pytest_mlcontainer.judging.moved import settle_moved
from pytest_mlcontainer.judging.noise import (
    LEAST_RUNS,
    Outputs,
    RepeatSpread,
    add_note,
    keep_worst,
    measure_spread,
    shorten,
)
from pytest_mlcontainer.judging.unsteady import counted_so, nondeterministic
from pytest_mlcontainer.model import (
    Comparator,
    Difference,
    Entrypoint,
    Outcome,
    Rule,
    Run,
    Verdict,
)

Calibrate = Callable[[Item], Calibration]


@dataclass(frozen=True)
class Evidence:
    """The runs that one comparison is made of, each of which did its job.

    Args:
        pairs: for each seed (one without a name where there are none): the run to be judged, and
            the reference's.
        repeats: for each target its runs of the same, the reference's first; or nothing.
        varied: the reference and the same under variations, by name; or nothing.
        notes: what was left out of it, and why.
    """

    pairs: tuple[tuple[str, Run, Run], ...] = ()
    repeats: tuple[tuple[Run, ...], ...] = ()
    varied: tuple[tuple[str, Run], ...] = ()
    notes: tuple[str, ...] = ()


def judge(
    entry: Entrypoint,
    evidence: Evidence,
    comparators: tuple[Comparator, ...] = (),
    needed: Needed = NOTHING_NEEDED,
) -> Outcome:
    """Hold the runs on one target against the reference's; `needed` as in `compare_runs`."""
    return _EvidenceJudge(entry, evidence, comparators, needed).outcome()


def judge_repeats(
    entry: Entrypoint,
    evidence: Evidence,
    comparators: tuple[Comparator, ...] = (),
    needed: Needed = NOTHING_NEEDED,
) -> Outcome:
    """Hold the repeats of one target against one another; `needed` as in `compare_runs`."""
    return _EvidenceJudge(entry, evidence, comparators, needed).of_repeats()


def settle(
    entry: Entrypoint,
    outcome: Outcome,
    runs: tuple[Run, Run],
    comparators: tuple[Comparator, ...] = (),
    actual: Run | None = None,
) -> Outcome:
    """A drift between platforms, told from randomness by one more run of the reference.

    Args:
        runs: the reference, as it was compared, and once more.
        actual: what it was compared with; where clocks and ids are all that the reference differs
            from itself in, the rest of this is judged once more.
    """
    judge = _EvidenceJudge(entry, Evidence(repeats=(runs,)), comparators, NOTHING_NEEDED)
    return judge.settled(outcome, actual)


_RENAMED_TIMES = 3


class _EvidenceJudge:
    def __init__(
        self,
        entry: Entrypoint,
        evidence: Evidence,
        comparators: tuple[Comparator, ...],
        needed: Needed,
    ) -> None:
        self._entry = entry
        self._evidence = evidence
        self._comparators = comparators
        self._needed = needed
        self._notes: list[str] = list(evidence.notes)
        self._calibrate = self._calibration()

    def outcome(self) -> Outcome:
        _seed, actual, expected = self._evidence.pairs[0]
        differences = self._of_seeds()
        spreads = [(runs, self._spread(runs)) for runs in self._evidence.repeats]
        if spreads:
            floor = spreads[0][1].floor
            differences = [_against_noise(each, floor(each)) for each in differences]
            self._notes.append(_count_repeats(spreads))
        for runs, spread in spreads:
            differences = _unsteady(differences, spread, str(runs[0].target.platform))
        return self._outcome(actual, expected, differences)

    def of_repeats(self) -> Outcome:
        (runs,) = self._evidence.repeats
        needed = frozenset(for_repeats(rule) for rule in self._needed.rules)
        spread = self._spread(runs, replace(self._needed, rules=needed))
        self._notes += [*counted_so(spread.notes), _count_repeats([(runs, spread)])]
        apart = self._all_apart(spread)
        if apart:
            self._notes.append(f"repeats differ in {say(apart)}")
        differences = [
            replace(nondeterministic(each), noise=spread.floor(each)) for each in spread.differences
        ]
        outcome = self._outcome(runs[0], runs[0], differences)
        return replace(outcome, against="other repeats")

    def settled(self, outcome: Outcome, actual: Run | None = None) -> Outcome:
        (runs,) = self._evidence.repeats
        spread, platform = self._spread(runs), str(runs[0].target.platform)
        if not any(each.verdict is Verdict.DRIFT for each in spread.differences):
            note = (
                f"{platform} was run once more and repeated itself: nothing says that this is "
                "randomness"
            )
            return replace(outcome, notes=(note, *outcome.notes))
        apart = self._all_apart(spread)
        if apart:
            return self._settled_apart(outcome, apart, actual, runs[0])
        differences = [_against_noise(each, spread.floor(each)) for each in outcome.differences]
        listed, cut = shorten(_unsteady(differences, spread, platform))
        note = (
            f"{platform} was run once more and disagrees with itself, so that this says nothing of "
            "the platforms: make it repeat itself first; --container-repeat=N measures how far its "
            "runs lie apart"
        )
        return replace(
            outcome,
            verdict=verdict_of(listed),
            differences=listed,
            notes=(note, *outcome.notes, *cut),
        )

    def _all_apart(self, spread: RepeatSpread) -> Exclusions:
        """What clocks and ids make repeats differ in, where that is all; else nothing."""
        return self._apart_within(spread, _RENAMED_TIMES) or Exclusions()

    def _apart_within(self, spread: RepeatSpread, times: int) -> Exclusions | None:
        """The same; None where something else differs.

        What is in outputs of two names is compared once these meet, so the names are tried.

        Args:
            times: how often names may be found anew.
        """
        failing = [each for each in spread.differences if not each.verdict.passes]
        rules = self._entry.rules
        if not all(set_apart((each,), rules) for each in failing):
            return None
        found = set_apart(failing, rules)
        if not found.names:
            return found
        (runs,) = self._evidence.repeats
        names = (*self._entry.names, *found.names)
        entry = replace(self._entry, rules=found.amended(rules), names=names)
        renamed = _EvidenceJudge(entry, self._evidence, self._comparators, NOTHING_NEEDED)
        inner = renamed._apart_within(renamed._spread(runs), times - 1) if times else None
        return None if inner is None else joined(found, inner)

    def _settled_apart(
        self, outcome: Outcome, apart: Exclusions, actual: Run | None, expected: Run
    ) -> Outcome:
        """The outcome with all else judged, which a clock or an id does not excuse."""
        note = (
            f"{expected.target.platform} was run once more: it differs from itself in {say(apart)}"
        )
        rules, names = apart.amended(self._entry.rules), (*self._entry.names, *apart.names)
        differences = outcome.differences
        if actual is not None:
            entry = replace(self._entry, rules=rules, names=names)
            other = _EvidenceJudge(entry, Evidence(), self._comparators, NOTHING_NEEDED)
            differences = other._compare(other._outputs(actual), other._outputs(expected), Study())[
                0
            ]
            if not verdict_of(differences).passes:
                listed, cut = shorten(differences)
                notes = (f"{note}; what follows is all else", *outcome.notes, *cut)
                return replace(outcome, differences=listed, notes=notes)
        # Without the run itself, what else it differs in is all that is known of the rest.
        marked = tuple(
            nondeterministic(each) if actual is not None or set_apart((each,), rules) else each
            for each in outcome.differences
        )
        return replace(
            outcome,
            verdict=verdict_of(marked),
            differences=marked,
            notes=(f"{note}, and from the other platform in nothing more", *outcome.notes)
            if actual is not None
            else (note, *outcome.notes),
        )

    def _outcome(self, actual: Run, expected: Run, differences: Iterable[Difference]) -> Outcome:
        listed, cut = shorten(differences)
        said = (*expected.notes, *actual.notes, *self._notes, *cut)
        return Outcome(
            entrypoint=actual.entrypoint,
            target=actual.target,
            reference=expected.target,
            verdict=verdict_of(listed),
            differences=listed,
            facts=environment_facts.differing(actual.facts, expected.facts),
            notes=tuple(dict.fromkeys(said)),
        )

    def _of_seeds(self) -> list[Difference]:
        """The comparison of each seed, put together; metrics over all of them."""
        pairs = self._evidence.pairs
        if len(pairs) == 1:
            _seed, actual, expected = pairs[0]
            study = Study(calibrate=self._calibrate, needed=self._needed)
            return list(self._compare(self._outputs(actual), self._outputs(expected), study)[0])
        metrics = Metrics(tuple(seed for seed, _actual, _expected in pairs))
        parts = []
        for seed, actual, expected in pairs:
            watcher, taker = metrics.watcher(seed), metrics.taker(seed)
            study = Study(self._calibrate, watcher, taker, self._needed)
            found, _notes = self._compare(self._outputs(actual), self._outputs(expected), study)
            parts.append((f"seed {seed}", found))
        self._notes.append(
            f"{len(pairs)} seeds, each run on both platforms; what is not judged over all of them "
            "is shown for the seed where it is furthest off"
        )
        return list(keep_worst([*parts, ("", tuple(metrics.judge()))]))

    def _outputs(self, run: Run) -> Outputs:
        return (*run.written, *printed(run, run, self._entry.rules, self._entry.outputs))

    def _compare(self, actual: Outputs, expected: Outputs, study: Study) -> DifferencesAndNotes:
        found = compare_outputs(
            actual, expected, self._entry.rules, self._comparators, self._entry.names, study
        )
        self._notes += found[1]
        return settle_moved(found[0], expected, self._comparators), found[1]

    def _spread(self, runs: tuple[Run, ...], needed: Needed = NOTHING_NEEDED) -> RepeatSpread:
        rules = tuple(for_repeats(rule) for rule in self._entry.rules)

        def compare(actual: Outputs, expected: Outputs, study: Study) -> DifferencesAndNotes:
            study = replace(study, calibrate=self._calibrate, needed=needed)
            differences, notes = compare_outputs(
                actual, expected, rules, self._comparators, self._entry.names, study
            )
            return settle_moved(differences, expected, self._comparators), notes

        labels = [f"repeat {number}" for number in range(len(runs))]
        return measure_spread([self._outputs(run) for run in runs], labels, compare)

    def _calibration(self) -> Calibrate | None:
        """Bounds from runs under variations; with too few of them none, which is noted."""
        varied = self._evidence.varied
        if not varied:
            return None
        if len(varied) < LEAST_RUNS:
            runs = "1 run" if len(varied) == 1 else f"{len(varied)} runs"
            why = f"{runs} of the reference, with those under variations; it takes {LEAST_RUNS}"
            self._notes.append(f"not calibrated, so the default tolerance holds: {why}")
            return None

        def compare(actual: Outputs, expected: Outputs, study: Study) -> DifferencesAndNotes:
            rules, names = self._entry.rules, self._entry.names
            return compare_outputs(actual, expected, rules, self._comparators, names, study)

        names = [name for name, _run in varied]
        results = [self._outputs(run) for _name, run in varied]
        spread = measure_spread(results, names, compare, every_pair=True)
        platform = varied[0][1].target.platform
        text = f"calibrated by {len(varied)} runs on {platform}: as it is, {', '.join(names[1:])}"
        self._notes.append(text)
        alike = [names[number] for number in spread.like_first]
        if alike:
            self._notes.append(f"variations that changed no file: {', '.join(alike)}")
        return spread.calibration


def for_repeats(rule: Rule) -> Rule:
    """The same rule for runs of one seed: nothing varies that equivalence could allow for.

    NaN that is the same in every repeat is no disagreement of repeats.
    """
    tolerance = replace(rule.tolerance, equal_nan=True)
    if tolerance.equivalence is not None:
        tolerance = replace(tolerance, equivalence=None, margin=tolerance.equivalence)
    return replace(rule, tolerance=tolerance)


def _against_noise(difference: Difference, noise: float | None) -> Difference:
    difference = replace(difference, noise=noise)
    error = difference.max_abs
    if error and noise is not None and error <= noise:
        return add_note(difference, "no more than repeats of the reference differ by")
    return difference


def _unsteady(
    differences: list[Difference], spread: RepeatSpread, platform: str
) -> list[Difference]:
    """With each item whose repeats disagree marked as such, also where two runs happened to agree.

    What a comparison of two runs says of such an item says nothing of their platforms.
    """
    note = f"repeats on {platform} disagree"
    listed = {(each.output, each.item) for each in differences}
    marked = [
        add_note(replace(each, verdict=Verdict.NONDETERMINISTIC), note)
        if spread.disagrees(each) and each.verdict is not Verdict.FAILED
        else each
        for each in differences
    ]
    marked += [
        add_note(replace(nondeterministic(each), noise=spread.floor(each)), f"on {platform}")
        for each in spread.differences
        if each.verdict is Verdict.DRIFT and (each.output, each.item) not in listed
    ]
    return list(keep_worst([("", marked)]))


def _count_repeats(spreads: list[tuple[tuple[Run, ...], RepeatSpread]]) -> str:
    each = [
        f"{spread.runs} runs on {runs[0].target.platform} wrote "
        + ("the same files" if spread.distinct == 1 else f"{spread.distinct} different results")
        for runs, spread in spreads
    ]
    return f"repeats: {', '.join(each)}"
