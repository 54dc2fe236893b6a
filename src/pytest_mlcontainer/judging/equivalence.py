"""A metric of several seeds on two platforms → equivalent within a margin, or not.

Two one-sided t-tests (TOST; Schuirmann, J. Pharmacokinet. Biopharm. 15, 1987) on the differences of
the pairs that have the same seed: with mean d, standard deviation s and n seeds,

    t1 = (d + margin) / (s / sqrt(n))      against  "the mean is -margin or less"
    t2 = (d - margin) / (s / sqrt(n))      against  "the mean is +margin or more"

and both have to be rejected at ALPHA. That is the same as the interval d ± t * s / sqrt(n) of
confidence 1 - 2 * ALPHA lying within the margin. It is the burden of proof that is turned round: a
plain t-test passes when the data are too few to show a difference, this one fails then.

The power. Given s, TOST succeeds if |d| <= margin - t * s / sqrt(n), and d is normal; s^2 (n - 1) /
sigma^2 has a chi-squared distribution, over which the probability is averaged (Phillips, J.
Pharmacokinet. Biopharm. 18, 1990, has the same as an integral of the bivariate noncentral t).
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final

import numpy as np

from pytest_mlcontainer.compare.numeric.gaps import DtypeKind, Floats, kind_of
from pytest_mlcontainer.compare.numeric.measure import Array
from pytest_mlcontainer.compare.rules.study import Item, Metric
from pytest_mlcontainer.model import Difference, Element, Verdict
from pytest_mlcontainer.wording import first_of

ALPHA: Final = 0.05
POWER: Final = 0.8
MOST_SEEDS: Final = 1000
MOST_ELEMENTS: Final = 100
_CHOSEN: Final = 2000
_ELEMENTS: Final = 5
_ROUNDING: Final = 1e-12
_MEASURABLE: Final = 1e150  # its square is still a number
_INSTALL: Final = "pip install 'pytest-mlcontainer[stats]'"


class MissingError(Exception):
    """statsmodels is not installed."""


@dataclass(frozen=True)
class Tost:
    """What the two one-sided tests say of the differences of n pairs.

    Args:
        low, high: the interval of confidence 1 - 2 × ALPHA for the mean difference.
        p: the larger of the two p-values.
    """

    mean: float
    deviation: float
    low: float
    high: float
    p: float
    n: int

    @property
    def is_equivalent(self) -> bool:
        return self.p <= ALPHA

    def is_apart(self, margin: float) -> bool:
        """Whether the interval lies wholly outside the margin."""
        return self.low > margin or self.high < -margin


def compare_means(differences: Floats, margin: float) -> Tost:
    """TOST of at least two paired differences.

    Where all of them are the same number, but for rounding, there is no spread to test with: that
    number decides.

    Raises:
        MissingError: it takes statsmodels, which is not installed.
    """
    mean, deviation = float(differences.mean()), float(differences.std(ddof=1))
    if deviation <= _ROUNDING * (margin + abs(mean)):
        return Tost(mean, 0.0, mean, mean, 0.0 if abs(mean) < margin else 1.0, len(differences))
    stats = _statsmodels("stats.weightstats")
    nothing = np.zeros(len(differences))
    p, _lower, _upper = stats.ttost_paired(differences, nothing, -margin, margin)
    low, high = stats.DescrStatsW(differences).tconfint_mean(alpha=2 * ALPHA)
    return Tost(mean, deviation, float(low), float(high), float(p), len(differences))


def power_of(n: int, deviation: float, mean: float, margin: float) -> float:
    """The probability that TOST of n pairs finds equivalence.

    Args:
        deviation, mean: of the paired differences, as they truly are.

    Raises:
        MissingError: it takes scipy, which comes with statsmodels.
    """
    stats = _scipy_stats()
    shares = (np.arange(_CHOSEN) + 0.5) / _CHOSEN
    error = deviation * np.sqrt(stats.chi2.ppf(shares, n - 1) / (n - 1) / n)
    room = margin - stats.t.ppf(1 - ALPHA, n - 1) * error
    true_error = deviation / math.sqrt(n)
    high, low = ((side - mean) / true_error for side in (room, -room))
    within = np.where(room > 0, stats.norm.cdf(high) - stats.norm.cdf(low), 0.0)
    return float(within.mean())


def seeds_needed(deviation: float, mean: float, margin: float) -> int | None:
    """The fewest seeds with which TOST finds equivalence with probability POWER.

    Returns:
        None where `MOST_SEEDS` are too few, as they are where |mean| is not below the margin.

    Raises:
        MissingError: as `power_of`.
    """
    low, high = 1, MOST_SEEDS
    if not abs(mean) < margin or not math.isfinite(deviation):
        return None
    if power_of(high, deviation, mean, margin) < POWER:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if power_of(middle, deviation, mean, margin) < POWER:
            low = middle
        else:
            high = middle
    return high


@dataclass(frozen=True)
class _Sample:
    actual: Floats
    expected: Floats


class Metrics:
    """Metrics gathered over the seeds, then judged."""

    def __init__(self, seeds: tuple[str, ...]) -> None:
        self._seeds = seeds
        self._samples: dict[Item, dict[str, _Sample]] = {}
        self._rules: dict[Item, tuple[float, str]] = {}
        self._same: dict[str, set[Item]] = {seed: set() for seed in seeds}

    def taker(self, seed: str) -> Callable[[Metric], bool]:
        """What takes the metrics of the pair of runs with this seed."""

        def take(metric: Metric) -> bool:
            numbers = _numbers(metric.actual), _numbers(metric.expected)
            if metric.is_stand_in or numbers[0] is None or numbers[1] is None:
                return False
            self._rules[metric.item] = metric.margin, metric.rule
            self._samples.setdefault(metric.item, {})[seed] = _Sample(numbers[0], numbers[1])
            return True

        return take

    def watcher(self, seed: str) -> Callable[[Difference], None]:
        """What takes note of items whose values were not looked at, because they are the same."""

        def watch(difference: Difference) -> None:
            if difference.verdict is Verdict.IDENTICAL:
                self._same[seed].add((difference.output, difference.item))

        return watch

    def judge(self) -> Iterator[Difference]:
        """One difference for each metric."""
        for item, samples in self._samples.items():
            margin, rule = self._rules[item]
            known = {seed: samples[seed] for seed in self._seeds if seed in samples}
            same = [seed for seed in self._seeds if seed not in known and item in self._same[seed]]
            yield _MetricJudge(item, margin, rule, known, tuple(same), self._seeds).difference()


@dataclass(frozen=True)
class _MetricJudge:
    """One metric over all seeds.

    Args:
        same: seeds for which only so much is known, that both platforms have the same.
    """

    item: Item
    margin: float
    rule: str
    samples: dict[str, _Sample]
    same: tuple[str, ...]
    seeds: tuple[str, ...]

    def difference(self) -> Difference:
        shapes = {sample.actual.shape for sample in self.samples.values()}
        if len(shapes) > 1:
            return self._bad(f"its length is not the same for each seed: {self._lengths()}")
        not_finite = [seed for seed, sample in self.samples.items() if not _is_finite(sample)]
        if not_finite:
            return self._bad(f"NaN or infinite for {_listed(not_finite)}, so it has no mean")
        with np.errstate(over="ignore"):
            rows = [sample.actual - sample.expected for sample in self.samples.values()]
        rows += [np.zeros_like(rows[0]) for _seed in self.same]
        differences = np.stack(rows)
        if not (np.abs(differences) < _MEASURABLE).all():
            return self._bad("the values are too far apart to be measured")
        if not differences.any():
            note = f"identical for {_count(len(rows))}"
            return self._make(Verdict.IDENTICAL, differences, 0, note)
        if len(rows) < 2:
            there = f"it is there for 1 of {len(self.seeds)} seeds"
            return self._make(Verdict.DRIFT, differences, 0, f"inconclusive: {there}")
        try:
            return self._test(differences)
        except MissingError as error:
            return self._make(Verdict.FAILED, differences, 0, str(error))

    def _test(self, differences: Floats) -> Difference:
        tests = [compare_means(column, self.margin) for column in differences.T]
        place = max(range(len(tests)), key=lambda number: _badness(tests[number]))
        worst = tests[place]
        passes = all(test.is_equivalent for test in tests)
        notes = [self._found(worst), "" if passes else self._reason(worst)]
        notes.append(self._furthest(differences[:, place]))
        if len(differences) < len(self.seeds):
            notes.append(f"it is there for {len(differences)} of {len(self.seeds)} seeds")
        verdict = Verdict.EQUIVALENT if passes else Verdict.DRIFT
        return self._make(verdict, differences, place, "; ".join(note for note in notes if note))

    def _found(self, test: Tost) -> str:
        percent = 100 * (1 - 2 * ALPHA)
        return (
            f"mean difference {test.mean:+.3g}, {percent:g} % interval [{test.low:.3g}, "
            f"{test.high:.3g}], p = {test.p:.2g}, n = {test.n}"
        )

    def _furthest(self, column: Floats) -> str:
        seed = [*self.samples, *self.same][int(np.argmax(np.abs(column)))]
        return f"furthest apart for seed {seed}"

    def _reason(self, test: Tost) -> str:
        if test.is_apart(self.margin):
            return f"the means differ by more than {self.margin:g}"
        if not test.deviation or abs(test.mean) >= self.margin:
            return (
                f"not equivalent within {self.margin:g}: the mean difference itself is not below it"
            )
        needed = seeds_needed(test.deviation, test.mean, self.margin)
        seeds = f"more than {MOST_SEEDS}" if needed is None else f"about {needed}"
        return (
            f"inconclusive: at this spread {seeds} seeds would be needed "
            f"(to succeed in {POWER:.0%} of cases)"
        )

    def _make(self, verdict: Verdict, differences: Floats, place: int, note: str) -> Difference:
        """Args: place: the element of the metric that is described."""
        column = differences[:, place]
        samples = list(self.samples.values())
        names = [*self.samples, *self.same]
        ranked = sorted(range(len(column)), key=lambda row: -abs(column[row]))[:_ELEMENTS]
        elements = tuple(
            Element(
                (self.seeds.index(names[row]),),
                repr(float(samples[row].actual[place])),
                repr(float(samples[row].expected[place])),
                abs(float(column[row])),
            )
            for row in ranked
            if column[row]
        )
        where = f"element {place} of {differences.shape[1]}: " if differences.shape[1] > 1 else ""
        return Difference(
            *self.item,
            verdict,
            max_abs=abs(float(column.mean())),
            worst_index=elements[0].index if elements else None,
            worst_actual=elements[0].actual if elements else "",
            worst_expected=elements[0].expected if elements else "",
            differing=int(np.count_nonzero(column)),
            beyond=int(np.count_nonzero(np.abs(column) > self.margin)),
            size=len(column),
            rule=self._rule(),
            note=where + note,
            unit="seeds",
            elements=elements,
        )

    def _rule(self) -> str:
        return f"equivalence within {self.margin:g}, TOST at {ALPHA:g} ({self.rule})"

    def _bad(self, note: str) -> Difference:
        size = len(self.samples) + len(self.same)
        return Difference(
            *self.item, Verdict.DRIFT, size=size, rule=self._rule(), note=note, unit="seeds"
        )

    def _lengths(self) -> str:
        sizes = [f"{len(sample.actual)} for {seed}" for seed, sample in self.samples.items()]
        return first_of(sizes, 4)


def _numbers(array: Array) -> Floats | None:
    """The values as a flat list of numbers; None for what is no small metric."""
    if array.size > MOST_ELEMENTS or not array.size:
        return None
    if kind_of(array.dtype) not in (DtypeKind.FLOAT, DtypeKind.INTEGER):
        return None
    return np.asarray(array.values().astype(np.float64)).reshape(-1)


def _is_finite(sample: _Sample) -> bool:
    return bool(np.isfinite(sample.actual).all() and np.isfinite(sample.expected).all())


def _badness(test: Tost) -> tuple[float, float]:
    return (math.inf if math.isnan(test.p) else test.p), abs(test.mean)


def _listed(seeds: list[str]) -> str:
    return f"{'seed' if len(seeds) == 1 else 'seeds'} {first_of(seeds, 5)}"


def _count(seeds: int) -> str:
    return "1 seed" if seeds == 1 else f"all {seeds} seeds"


def _statsmodels(name: str) -> Any:
    return _imported(f"statsmodels.{name}")


def _scipy_stats() -> Any:
    return _imported("scipy.stats")


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise MissingError(
            f"equivalence over seeds cannot be judged without the package {package}: {_INSTALL}"
        ) from error
