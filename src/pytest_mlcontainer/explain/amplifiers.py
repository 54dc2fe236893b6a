"""Amplifiers: what turned a difference in the last bits into a large one.

An amplifier that a run's warnings or numbers show is stated as a fact; one that is only inferred is
called likely. Each comes with what usually helps.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from statistics import median

from pytest_mlcontainer.explain.materiality import is_reordered
from pytest_mlcontainer.item_kinds import (
    is_bits,
    is_boolean,
    is_discrete,
    is_float,
    is_integer,
    is_labels,
    own_words,
    words_of,
)
from pytest_mlcontainer.model import Difference, Element, SearchFinding

# Only these change the last bits of numbers; what another change does needs no amplifier.
_ROUNDING = frozenset({
    "aslr", "base-image", "blas-kernel", "cpu-model", "cpus", "dependency", "libm", "platform",
    "precision", "randomness", "simd", "threads",
})  # fmt: skip
_OTHERWISE = frozenset({
    "clock", "encoding", "env", "file-order", "hash-seed", "home", "hostname", "locale", "memory",
    "network", "nofile", "read-only", "shm", "timezone", "umask", "user", "workdir",
})  # fmt: skip
_READ = 500_000  # characters of what a run printed, from either end
_SOURCE = 200_000
_QUOTE = 120
_MOST = 4

# Phrases of scikit-learn, SciPy and statsmodels. A ConvergenceWarning alone is none: both libraries
# also give it for other things (too few distinct points, a parameter on its bound, another try).
_UNCONVERGED = re.compile(
    r"failed to converge|did not converge|hasn't converged yet|reached before convergence"
    r"|total no\. of iterations reached limit|max_iter was reached|solver terminated early"
    r"|maximum (?:number of )?(?:iterations?|function evaluations)\b.{0,40}?\b(?:reached|exceeded)"
    r"|iteration limit (?:reached|exceeded)|desired error not necessarily achieved"
    r"|convergence not achieved",
    re.IGNORECASE,
)
_WARNING = re.compile(r"\w*Warning: .*")
_ILL = re.compile(r"ill-conditioned matrix|poorly conditioned|matrix is singular", re.IGNORECASE)
_BEST = re.compile(r"best iteration(?: is:)?\D{0,20}(\d+)", re.IGNORECASE)
_ITERATIONS = frozenset({"iter", "iters", "iteration", "iterations", "epochs", "epoch"})
_SORTS = re.compile(r"\b(argsort|argpartition|sort_values|topk)\s*\(")
_HALF = re.compile(
    r"\.half\(\)|\bbfloat16\b|\bfloat16\b|\bautocast\s*\(|\b(?:fp16|bf16)\s*=\s*True"
    r"|mixed_float16"
)
_INDEXED = re.compile(r"\[(\d+)\]")
_HISTORY = frozenset({
    "curve", "epoch", "epochs", "history", "log", "loss", "losses", "score", "step", "steps",
    "train", "val",
})  # fmt: skip
_TINY = 1e-4
_SMALL_SHARE = 0.1
_GROWTH = 10.0
_STEP_OF_HALF = 1e-4
_STEPS = 5


def amplifiers(
    texts: Iterable[str],
    differences: Iterable[Difference],
    sources: Iterable[tuple[str, str]] = (),
    causes: Collection[str] = (),
) -> tuple[SearchFinding, ...]:
    """What made the drift as large as it is; the surest first, and a few at most.

    Args:
        texts: what each of the two runs printed.
        sources: the project's own programs: names, and what they say.
        causes: names of the changes that cause the drift. Where none of them changes the last bits
            of numbers, nothing is inferred from rounding.
    """
    said = [_ends(text) for text in texts]
    found = [each for each in differences if each.differing]
    failing = [each for each in found if not each.verdict.passes]
    if not failing:
        return ()
    certain = [*_unconverged(said), *_iterations(failing, said), *_ill_conditioned(said)]
    inferred: list[SearchFinding] = []
    if not causes or not _OTHERWISE.issuperset(causes) or not _ROUNDING.isdisjoint(causes):
        programs = [(name, text[:_SOURCE]) for name, text in sources]
        inferred = [
            *_ties(found, failing, programs),
            *_thresholds(found, failing),
            *_cancelled(failing),
            *_carried_on(found),
            *_half(failing, programs),
        ]
    return tuple([*certain, *inferred][:_MOST])


def _unconverged(said: Sequence[str]) -> Iterator[SearchFinding]:
    line = _first_line(said, _UNCONVERGED)
    if line:
        yield _finding(
            f"an unconverged solver ({line})",
            "raise the limit of iterations (max_iter, maxiter) or scale the features until it "
            "converges: an optimum moves with rounding far less than a step on the way to it",
            "scikit-learn, User Guide: Preprocessing data, to which its warning refers",
        )


def _iterations(failing: Sequence[Difference], said: Sequence[str]) -> Iterator[SearchFinding]:
    """Another number of steps, as an output or what was printed says."""
    for each in failing:
        if each.size == 1 and is_integer(each) and not _ITERATIONS.isdisjoint(own_words(each)):
            moved = f"{each.worst_expected} → {each.worst_actual}, {each.where}"
            break
    else:
        best = [found[-1] for text in said if (found := _BEST.findall(text))]
        if len(best) < 2 or len(set(best)) < 2:
            return
        moved = f"best iteration {best[0]} and {best[1]}"
    yield _finding(
        f"training ended after another number of steps ({moved})",
        "fix the number of steps, or stop by a criterion that rounding does not reach",
    )


def _ill_conditioned(said: Sequence[str]) -> Iterator[SearchFinding]:
    line = _first_line(said, _ILL)
    if line:
        yield _finding(
            f"an ill-conditioned problem ({line})",
            "scale the features, drop those that depend on others, or regularise",
        )


def _ties(
    found: Sequence[Difference],
    failing: Sequence[Difference],
    programs: Sequence[tuple[str, str]],
) -> Iterator[SearchFinding]:
    """Only where elements jump, no number moves by more than bits, and a sort is not stable."""
    if any(is_float(each) and not is_bits(each) and not is_reordered(each) for each in found):
        return
    jumping = [each for each in failing if is_reordered(each) or _jumps(each)]
    sort = next(_unstable_sorts(programs), None)
    if jumping and sort is not None:
        name, line, call = sort
        where = jumping[0].where
        moved = (
            "the same values stand in another order" if is_reordered(jumping[0]) else "places jump"
        )
        if call == "topk":
            help_, source = "break ties by a second key", "PyTorch, torch.topk: note on ties"
        elif call == "argpartition":
            help_, source = "sort with a second key, or use a stable sort", ""
        else:
            help_ = f'{call}(kind="stable"), in PyTorch stable=True, or a second key'
            source = "NumPy, numpy.sort: kind and stable; PyTorch, torch.argsort: stable"
        yield _finding(
            f"a tie is likely: in {where} {moved} while no number moves by more than its last "
            f"bits, and {call} in {name}, line {line}, leaves the order of equal elements open",
            help_,
            source,
        )


def _jumps(difference: Difference) -> bool:
    """Whether some whole numbers are others altogether, as places in an order are."""
    return is_integer(difference) and difference.size > 1 and (difference.max_abs or 0) > 1


def _unstable_sorts(programs: Sequence[tuple[str, str]]) -> Iterator[tuple[str, int, str]]:
    """Program, line and function of calls that leave the order of equal elements open."""
    for name, text in programs:
        for found in _SORTS.finditer(text):
            before = text[text.rfind("\n", 0, found.start()) + 1 : found.start()]
            if "#" in before or before.rstrip().endswith("def"):
                continue
            if "stable" not in _arguments(text, found.end()):
                yield name, text.count("\n", 0, found.start()) + 1, found[1]


def _arguments(text: str, start: int, most: int = 1000) -> str:
    """What stands between a call's parentheses, after the opening one."""
    depth = 1
    for at in range(start, min(len(text), start + most)):
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        if not depth:
            return text[start:at]
    return text[start : start + most]


def _thresholds(
    found: Sequence[Difference], failing: Sequence[Difference]
) -> Iterator[SearchFinding]:
    scores = [each for each in found if is_float(each) and each.size > 1]
    for each in failing:
        share = each.differing / max(1, each.size)
        if each.size < 2 or share > _SMALL_SHARE or is_reordered(each):
            continue
        if is_labels(each) and (is_integer(each) or is_discrete(each) or is_boolean(each)):
            near = [one for one in scores if _is_tiny(one)]
            beside = [one for one in near if one.output == each.output] or near
            if beside and len(near) == len(scores):
                yield _finding(
                    f"a threshold is likely: {each.differing:,} of {each.size:,} labels of "
                    f"{each.where} flip while {beside[0].where} moves by at most "
                    f"{beside[0].max_abs:.1g}",
                    "compare the scores by tolerance and the labels by a rate (agreement = 0.99), "
                    "or decide with a margin",
                )
                return
        elif is_integer(each) and each.max_abs == 1 and _is_number(each):
            yield _finding(
                f"rounding to whole numbers is likely: {each.differing:,} of {each.size:,} in "
                f"{each.where} are off by one",
                "round to fewer digits before the cut, or allow it with atol = 1",
            )
            return


def _is_tiny(difference: Difference) -> bool:
    of_scale = difference.scale_error
    return of_scale is not None and 0 < of_scale <= _TINY


def _is_number(difference: Difference) -> bool:
    """Whether its whole numbers count something, rather than say yes or no."""
    values = {each.expected for each in _shown(difference)}
    values |= {each.actual for each in _shown(difference)}
    return not is_labels(difference) and not values <= {"0", "1"}


def _cancelled(failing: Sequence[Difference]) -> Iterator[SearchFinding]:
    """Values off by much of themselves, and by next to nothing of what they were made of."""
    for each in failing:
        rel, of_scale = each.max_rel or 0.0, each.scale_error or 0.0
        wide = math.isfinite(rel) and rel >= 1e-2
        if is_float(each) and each.size > 1 and wide and 0 < of_scale <= 1e-5:
            yield _finding(
                f"sums that nearly cancel are likely: values of {each.where} are off by up to "
                f"{rel:.1g} of themselves, but by {of_scale:.1g} of the array's largest value",
                "where they are left of larger terms, a rule with atol says how much counts; "
                "beside values of another unit it is a drift like any other",
            )
            return


def _carried_on(found: Sequence[Difference]) -> Iterator[SearchFinding]:
    """Errors that grow along a history: in one array, or in one number for each step."""
    for each in found:
        if is_float(each) and each.size >= 2 * _STEPS and _HISTORY & words_of(each):
            elements = sorted(_shown(each), key=lambda one: one.index)
            if len(elements) >= 3 and _grows_to_the_end(each, elements):
                at = ", ".join(map(str, elements[-1].index))
                yield _grown(each.where, f"to {elements[-1].error or 0.0:.1g} at [{at}]")
                return
    series: dict[str, list[tuple[tuple[int, ...], float]]] = defaultdict(list)
    for each in found:
        places = tuple(int(place) for place in _INDEXED.findall(each.item)[:4])
        if is_float(each) and each.size == 1 and places and _HISTORY & words_of(each):
            name = f"{each.output}:{_INDEXED.sub('[…]', each.item)}"
            series[name].append((places, each.max_abs or 0.0))
    for name, steps in series.items():
        errors = [error for _places, error in sorted(steps)]
        third = len(errors) // 3
        if len(errors) >= _STEPS and all(map(math.isfinite, errors)) and third:
            first, last = median(errors[:third]), median(errors[-third:])
            if 0 < first * _GROWTH <= last:
                yield _grown(name, f"from {first:.1g} at first to {last:.1g} at the end")
                return


def _grows_to_the_end(difference: Difference, elements: Sequence[Element]) -> bool:
    """Whether the worst few stand in the last quarter, and the usual error is far smaller."""
    usual = dict(difference.quantiles).get(0.5)
    errors = [each.error or 0.0 for each in elements]
    last = elements[-1].index
    return (
        usual is not None
        and 0 < usual * _GROWTH / 2 <= max(errors)
        and len(last) == 1
        and all(each.index[0] >= difference.size * 0.75 for each in elements)
        and math.isfinite(max(errors))
    )


def _grown(where: str, how: str) -> SearchFinding:
    return _finding(
        f"small differences are carried on from step to step: the error of {where} grows {how}",
        "compare after fewer steps, or judge the end by a margin of its metric",
    )


def _half(
    failing: Sequence[Difference], programs: Sequence[tuple[str, str]]
) -> Iterator[SearchFinding]:
    help_ = "compute in float32 where results are compared, or widen the tolerance to the format"
    for each in failing:
        for name, step in (("bfloat16", "0.8%"), ("float16", "0.1%")):
            if is_float(each) and f"({name} default)" in each.rule:
                yield _finding(
                    f"half precision: {each.where} is {name}, in which a step is {step} of a value",
                    help_,
                    "PyTorch, Numerical accuracy",
                )
                return
    if not any(is_float(each) and (each.scale_error or 0.0) >= _STEP_OF_HALF for each in failing):
        return
    for name, text in programs:
        used = _HALF.search(text)
        if used:
            line = text.count("\n", 0, used.start()) + 1
            yield _finding(
                f"half precision is likely: {name}, line {line}, mentions {used[0].strip('.( ')}",
                help_,
                "PyTorch, Numerical accuracy",
            )
            return


def _shown(difference: Difference) -> tuple[Element, ...]:
    if difference.elements or difference.worst_index is None:
        return difference.elements
    return (Element(difference.worst_index, difference.worst_actual, difference.worst_expected),)


def _first_line(said: Sequence[str], wanted: re.Pattern[str]) -> str:
    """The first line with such a phrase, from the warning's name on where it has one; or ""."""
    for text in said:
        found = wanted.search(text)
        if found:
            start = text.rfind("\n", 0, found.start()) + 1
            end = text.find("\n", found.end())
            line = text[start : end if end >= 0 else len(text)].strip()
            named = _WARNING.search(line)
            line = (named[0] if named else line).rstrip(": ")
            return line if len(line) <= _QUOTE else line[: _QUOTE - 1] + "…"
    return ""


def _ends(text: str) -> str:
    return text if len(text) <= 2 * _READ else f"{text[:_READ]}\n{text[-_READ:]}"


def _finding(text: str, advice: str, source: str = "") -> SearchFinding:
    return SearchFinding("amplifier", (), text, advice, source)
