"""Names and formats of numbers, the same in every presenter. Nothing here is escaped yet."""

from __future__ import annotations

import math
import re
from typing import Final

from pytest_mlcontainer.model import (
    NOT_LISTED,
    CheckReport,
    Difference,
    Element,
    Outcome,
    Target,
    Verdict,
)
from pytest_mlcontainer.report.answer import is_varied, why
from pytest_mlcontainer.report.tree import Bins, Counts, merge_bins
from pytest_mlcontainer.wording import truncate

_WHICH_REPEATS: Final = re.compile(r"repeat \d+ and repeat \d+")

LEGEND = "(scale error: max abs / the largest |expected|; ULP: unit in the last place)"
SIGNS = {
    Verdict.IDENTICAL: "=",
    Verdict.EQUIVALENT: "≈",
    Verdict.DRIFT: "≠",
    Verdict.NONDETERMINISTIC: "~",
    Verdict.FAILED: "✗",
}
NUMBERS = ("max abs", "max rel", "max ULP", "scale error")
_BINS = 24
_NAMED = 3
_SIDE = 24
_BARS = "▁▂▃▄▅▆▇█"


def headline(outcome: Outcome, failing: int) -> str:
    """What was found, for someone who sees it for the first time."""
    target = str(outcome.target)
    reference = outcome.against or f"{outcome.reference} (the reference)"
    count = items(failing + _unlisted_failing(outcome))
    found = f"{count} not within tolerance"
    known = why(outcome)
    if known and outcome.verdict is not Verdict.NONDETERMINISTIC:
        return f"{outcome.entrypoint} on {target} {known}{f': {found}' if failing else ''}"
    match outcome.verdict:
        case Verdict.FAILED if _only_idle(outcome):
            return f"{outcome.entrypoint} on {target}: what is asked of its comparison fits nothing"
        case Verdict.FAILED:
            says = f"on {target} cannot be compared with {reference}"
        case Verdict.NONDETERMINISTIC:
            found = f"{count} not the same, or not within tolerance"
            both = not outcome.against and outcome.reference != outcome.target
            on = f"{target} and {outcome.reference}" if both else target
            known = known or f"repeats of one {'of them' if both else 'target'} disagree"
            return f"{outcome.entrypoint} on {on}: {known}: {found}"
        case Verdict.DRIFT:
            says = f"on {target} drifts from {reference}"
        case _:
            says = f"on {target} agrees with {reference}"
    return f"{outcome.entrypoint} {says}: {found}"


def _unlisted_failing(outcome: Outcome) -> int:
    """How many items do not pass and are only counted."""
    failing = {verdict.value for verdict in Verdict if not verdict.passes}
    unlisted = ", ".join(note.partition(NOT_LISTED)[2] for note in outcome.notes)
    counts = re.findall(r"(\d+) ([a-z]+)", unlisted)
    return sum(int(count) for count, verdict in counts if verdict in failing)


def _only_idle(outcome: Outcome) -> bool:
    """Whether nothing fails but rules, or patterns of names, that match nothing."""
    failing = [each for each in outcome.differences if not each.verdict.passes]
    return all(
        each.note.startswith("matched nothing") and each.output.startswith(("rule ", "names "))
        for each in failing
    )


def session_headline(counts: Counts, failures: int, checks: tuple[CheckReport, ...] = ()) -> str:
    """What came of all comparisons, runs, and checks of the image."""
    bad_checks = sum(bool(each.failing) for each in checks)
    noun = "check" if bad_checks == 1 else "checks"
    found = f"{bad_checks:,} {noun} of the image failed" if bad_checks else ""
    runs_and_comparisons = _headline_of_runs(counts, failures)
    if not counts and not failures and checks:
        return found or "The image was checked; nothing was compared"
    return f"{runs_and_comparisons}, {found}" if found else runs_and_comparisons


def _headline_of_runs(counts: Counts, failures: int) -> str:
    total = sum(count for _verdict, count in counts)
    bad = sum(count for verdict, count in counts if not verdict.passes)
    failed = f"{runs(failures)} failed" if failures else ""
    if not total:
        return failed or "Nothing was compared"
    if not bad:
        agree = f"{comparisons(total)} agree{'s' if total == 1 else ''}"
    else:
        agree = f"{bad:,} of {comparisons(total)} {'does' if bad == 1 else 'do'} not agree"
    return f"{agree}, {failed}" if failed else agree


def comparisons(count: int) -> str:
    return "1 comparison" if count == 1 else f"{count:,} comparisons"


def runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count:,} runs"


def session_runs(count: int, more: int) -> str:
    """How many there were, and how many of them, or besides, searches for causes asked for."""
    return f"{runs(count)}, {runs(more)} in search of causes" if more else runs(count)


def name_of_reference(outcome: Outcome) -> str:
    """What the target was held against."""
    if is_varied(outcome):
        return outcome.against
    name = name_of_target(outcome.reference)
    return f"{outcome.against} ({name})" if outcome.against else name


def name_of_target(target: Target) -> str:
    """The target with all that tells it from others."""
    varied = target.variations
    parts = [str(target), *(varied if len(varied) <= _NAMED else (f"{len(varied)} variations",))]
    return " + ".join([*parts, f"gpus {target.gpus}"] if target.gpus else parts)


def items(count: int) -> str:
    return "1 item" if count == 1 else f"{count:,} items"


def counts_text(counts: Counts) -> str:
    return ", ".join(f"{count:,} {verdict.value}" for verdict, count in counts) or "nothing"


def numbers(difference: Difference) -> tuple[tuple[str, str], ...]:
    """All four side by side; one that has no meaning here is left out.

    Nothing is relative to an expected 0, and no units in the last place lie before an infinity.
    """
    off, relative, ulp = difference.max_abs, difference.max_rel, difference.max_ulp
    if ulp == 0 and off is not None and math.isinf(off):
        ulp = None
    texts = (
        short(off),
        None if relative == 0 and off else short(relative),
        None if ulp is None else _short_count(ulp),
        short(difference.scale_error),
    )
    named = zip(NUMBERS, texts, strict=True)
    return tuple((name, text) for name, text in named if text is not None)


def how_many(difference: Difference) -> str:
    """How many elements differ, and by which rule that is too much; "" where that says nothing."""
    if difference.differing and difference.size > 1:
        text = f"{difference.differing:,} of {difference.size:,} {difference.unit} differ"
        if not difference.rule:
            return text
        if not is_bound(difference):
            return f"{text}; rule: {difference.rule}"
        return f"{text}, {difference.beyond:,} beyond {difference.rule}"
    if difference.rule and difference.beyond:
        return f"beyond {difference.rule}" if is_bound(difference) else difference.rule
    return ""


def is_bound(difference: Difference) -> bool:
    """Whether the rule is a bound that a number can be beyond, not a demand to be equal."""
    return not difference.rule.startswith(("exact", "dtype"))


def errors_text(difference: Difference) -> str:
    """The quantiles in one line; "" without any."""
    if not difference.quantiles:
        return ""
    parts = [f"{share_name(share)} {short(error)}" for share, error in difference.quantiles]
    if difference.max_abs is not None:
        parts.append(f"max {short(difference.max_abs)}")
    return ", ".join(parts)


def share_name(share: float) -> str:
    return "median" if share == 0.5 else f"{share * 100:.6g}%"


def noise_text(difference: Difference) -> str:
    """The error against the noise between repeats of the reference; "" where that is not known."""
    noise, error = difference.noise, difference.max_abs
    if noise is None or difference.verdict is Verdict.NONDETERMINISTIC:
        return ""  # there the error is the noise
    if not noise:
        return "repeats of the reference are identical here"
    if error is None or not math.isfinite(error):
        return f"the noise between repeats is {short(noise)}"
    return f"{error / noise:.3g} × the noise between repeats ({short(noise)})"


def bins(difference: Difference) -> Bins:
    """The histogram, with no more bins than can be drawn."""
    return merge_bins(difference.histogram, _BINS)


def bars(shown: Bins) -> str:
    """The histogram as one word of block characters; what is not empty can be seen."""
    most = max((count for _low, _high, count in shown), default=0)
    return "".join(
        " " if not count else _BARS[math.ceil(count * len(_BARS) / most) - 1]
        for _low, _high, count in shown
    )


def place(difference: Difference, index: tuple[int, ...]) -> str:
    """Where an element is; "" for a value that is no array."""
    if not index:
        return ""
    if difference.unit == "lines":
        return f"line {index[0] + 1}"
    if difference.unit == "bytes":
        return f"byte {index[0]}"
    return f"[{', '.join(str(part) for part in index)}]"


def error_of(element: Element) -> str:
    return short(element.error) or ""


def excess_of(element: Element) -> str:
    """How often its error fits into what the bound allows."""
    return "" if element.excess is None else f"{element.excess:.3g} ×"


def brief(difference: Difference) -> str:
    """The most telling in a few words: two numbers, or what was noted, or one value for another, or
    how many differ."""
    if difference.verdict is Verdict.IDENTICAL:
        return ""
    found = [f"{name} {text}" for name, text in numbers(difference)[:2]]
    note = "" if _WHICH_REPEATS.fullmatch(difference.note) else difference.note
    sides = [difference.worst_actual, difference.worst_expected]
    if difference.size == 1 and all(sides):
        note = note or ", expected ".join(truncate(side, _SIDE) for side in sides)
    return ", ".join(found) or note or how_many(difference) or difference.note


def short(value: float | None) -> str | None:
    """Three significant digits."""
    if value is None:
        return None
    return str(value) if not math.isfinite(value) else f"{value:.3g}"


def _short_count(value: int) -> str:
    return f"{value:,}" if value < 10**9 else f"{value:.3g}"
