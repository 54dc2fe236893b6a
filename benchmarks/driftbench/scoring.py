"""Answers and labels → scores. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import mean, median

from benchmarks.driftbench.cases import DRIFTING, RANDOMNESS, Case, Sets


@dataclass(frozen=True)
class Answer:
    """What a tool said of a case, once.

    Args:
        verdict: `drift`, `nondeterministic`, `identical`, `equivalent`, or what went wrong.
        causes: sets of names, the first being what it names first; () where it names none.
        runs: of the entrypoint that it took; 0 where that is not known.
        seconds: of wall clock, without building images.
        lines: `file:line` of where it says that the drift comes in; `located`, whether proved.
    """

    verdict: str
    causes: tuple[frozenset[str], ...] = ()
    runs: int = 0
    seconds: float = 0.0
    lines: tuple[str, ...] = ()
    located: bool = False

    @property
    def alarms(self) -> bool:
        return self.verdict in DRIFTING


@dataclass(frozen=True)
class Scores:
    """Shares of all answers to the cases scored; None where no case is of the kind asked about.

    Args:
        cases, answers: how many.
        recall: of the drifting cases, those that were found to drift.
        false_alarms: answers that find a drift in a clean case, or fail on one.
        precision: of the answers that find a drift, those whose case does.
        verdicts: answers with a verdict that is right, word for word.
        top1: of the drifting cases that have a cause, those whose first named set is one of the
            label's.
        set_f1: how well all named sets meet the label's, the mean over these cases.
        abstention: of the cases whose noise is their own, those that are called nondeterministic
            without a change of the environment being blamed.
        drifting_runs, clean_runs: the median over cases of the runs that an answer took.
        stability: cases with the same verdict and the same causes in every repeat.
    """

    cases: int
    answers: int
    recall: float | None
    false_alarms: int
    precision: float | None
    verdicts: float | None
    top1: float | None
    set_f1: float | None
    abstention: float | None
    drifting_runs: float | None
    clean_runs: float | None
    stability: float | None

    @property
    def clean_recall(self) -> float | None:
        """The headline: recall, worth nothing where there is a false alarm."""
        return 0.0 if self.false_alarms and self.recall is not None else self.recall


Pair = tuple[Case, Answer]


def score(answers: Sequence[tuple[Case, Sequence[Answer]]]) -> Scores:
    """Scores of some cases, each with one answer or with those of its repeats."""
    pairs = [(case, answer) for case, several in answers for answer in several]
    drifting = [(case, answer) for case, answer in pairs if case.drifts]
    clean = [(case, answer) for case, answer in pairs if not case.drifts]
    caused = [(case, answer) for case, answer in drifting if not case.intrinsic]
    intrinsic = [answer for case, answer in drifting if case.intrinsic]
    alarms = [(case, answer) for case, answer in pairs if answer.alarms]
    return Scores(
        cases=len(answers),
        answers=len(pairs),
        recall=_share(answer.alarms for _case, answer in drifting),
        false_alarms=sum(answer.verdict not in case.verdicts for case, answer in clean),
        precision=_share(case.drifts for case, _answer in alarms),
        verdicts=_share(answer.verdict in case.verdicts for case, answer in pairs),
        top1=_share(names_first(case, answer) for case, answer in caused),
        set_f1=_mean(set_f1(answer.causes, case.causes) for case, answer in caused),
        abstention=_share(abstains(answer) for answer in intrinsic),
        drifting_runs=_median(answer.runs for _case, answer in drifting if answer.runs),
        clean_runs=_median(answer.runs for _case, answer in clean if answer.runs),
        stability=_share(is_stable(several) for _case, several in answers),
    )


def names_first(case: Case, answer: Answer) -> bool:
    """Whether the set named first is one of the label's."""
    return answer.alarms and bool(answer.causes) and answer.causes[0] in case.causes


def set_f1(named: Iterable[frozenset[str]], true: Sets) -> float:
    """The harmonic mean of precision and recall of sets, each counting only as a whole."""
    given = frozenset(named)
    return 2 * len(given & true) / (len(given) + len(true)) if given or true else 1.0


def abstains(answer: Answer) -> bool:
    """Whether noise is found, and nothing of the environment is blamed for it."""
    return answer.verdict == "nondeterministic" and set(answer.causes) <= {frozenset({RANDOMNESS})}


def is_stable(answers: Sequence[Answer]) -> bool:
    """Whether all repeats say the same."""
    return len({(answer.verdict, frozenset(answer.causes)) for answer in answers}) == 1


def _share(values: Iterable[bool]) -> float | None:
    return _mean(float(value) for value in values)


def _mean(values: Iterable[float]) -> float | None:
    known = list(values)
    return mean(known) if known else None


def _median(values: Iterable[int]) -> float | None:
    known = list(values)
    return median(known) if known else None
