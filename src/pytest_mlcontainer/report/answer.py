"""The explanation of an outcome, in the order in which a reader wants it.

First why: the cause, what the drift amounts to, what makes it large. After the numbers the rest:
what else was found, what was varied in vain, what could not be, and what is not known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pytest_mlcontainer.model import ALL_EMPTY, Cause, Explanation, Outcome, SearchFinding, Verdict
from pytest_mlcontainer.report.advice import RANDOMNESS, advice, changes
from pytest_mlcontainer.report.cure import cure_statement
from pytest_mlcontainer.report.where import where_statements
from pytest_mlcontainer.wording import first_and_count, truncate

UNVARIED = "nothing varied"
REPEATS = "other repeats"
_CAUSES = 5
_NOTE_SHOWN = 80
_FINDINGS = 20
_A_LINE = 100
_MOST_ALIKE = 8  # names that are listed whole
_HELPS = "usually helps"
_KINDS = {"flaky": "failed, and worked again"}
_APART, _LEAVES_OUT = "apart", "a rule leaves it out"
_SETTING = re.compile(r"([\w.-]+)=")


@dataclass(frozen=True)
class Statement:
    """One statement of the explanation. Nothing in it is escaped yet.

    Args:
        label: what it is about: "cause".
        names: of changes, before the text.
        text: in a sentence, or a list.
        below: what is said under it, each with its own label: ("usually helps", …).
        is_list: whether the text is a list, which may be broken anywhere.
    """

    label: str
    text: str = ""
    names: tuple[str, ...] = ()
    below: tuple[tuple[str, str], ...] = ()
    is_list: bool = False


def is_varied(outcome: Outcome) -> bool:
    """Whether one target was held against itself, with its environment varied."""
    return (
        outcome.explanation is not None
        and outcome.target.platform == outcome.reference.platform
        and outcome.against in (UNVARIED, REPEATS)
    )


def why(outcome: Outcome) -> str:
    """The answer as the end of a headline's first clause; "" where there is none.

    `drifts when threads change`, `repeats disagree until hash-seed is pinned`.
    """
    causes = [cause.names for cause in outcome.causes[:_CAUSES]]
    if not causes:
        if _is_apart(outcome):
            return "repeats differ in nothing but what looks like a clock or an id"
        varied = is_varied(outcome) and outcome.against == UNVARIED
        return f"{_verb(outcome)} when its environment changes" if varied else ""
    if outcome.verdict is Verdict.NONDETERMINISTIC:
        if (RANDOMNESS,) in causes:
            return "repeats disagree whatever is pinned"
        pins = " or ".join(" and ".join(names) for names in causes)
        one = all(len(names) == 1 for names in causes)
        return f"repeats disagree until {pins} {'is' if one else 'are'} pinned"
    if not is_varied(outcome):
        return ""
    return f"{_verb(outcome)} when {', or when '.join(changes(names) for names in causes)}"


def _is_apart(outcome: Outcome) -> bool:
    """Whether repeats differ in nothing but what was judged apart."""
    explained = outcome.explanation
    return (
        explained is not None
        and outcome.verdict is Verdict.NONDETERMINISTIC
        and not outcome.causes
        and bool(_of_kind(explained, _APART))
    )


def _verb(outcome: Outcome) -> str:
    if outcome.verdict is not Verdict.FAILED:
        return "agrees" if outcome.verdict.passes else "drifts"
    unreadable = any(each.verdict is Verdict.FAILED for each in outcome.differences)
    return "cannot be compared" if unreadable else "fails"


def answer(outcome: Outcome) -> tuple[Statement, ...]:
    """Cause, then what it explains of the drift, what it amounts to, and what makes it large."""
    return (*_explained(outcome), *_located(outcome), *_cured(outcome))


def _located(outcome: Outcome) -> Iterator[Statement]:
    """Where the two runs part, where that was looked for."""
    if outcome.location is not None:
        for label, text, below in where_statements(outcome.location):
            yield Statement(label, text, below=below)


def _cured(outcome: Outcome) -> Iterator[Statement]:
    """What makes the runs agree, where that was looked for."""
    if outcome.cure is not None:
        names = dict.fromkeys(name for cause in outcome.causes for name in cause.names)
        known = "; or ".join(each for each in map(advice, names) if each)
        against = outcome.against if outcome.verdict is Verdict.DRIFT else ""
        label, text, below = cure_statement(outcome.cure, known, against)
        yield Statement(label, text, below=below)


def _explained(outcome: Outcome) -> tuple[Statement, ...]:
    explained = outcome.explanation
    # Of what repeats differ in, a setting that was varied says nothing.
    tried = (
        () if explained is None or outcome.verdict is Verdict.NONDETERMINISTIC else explained.tried
    )
    said = [_cause(cause, tried) for cause in outcome.causes[:_CAUSES]]
    if len(outcome.causes) > _CAUSES:
        said.append(Statement("cause", f"{len(outcome.causes) - _CAUSES:,} more"))
    if explained is None:
        return tuple(said)
    if not outcome.causes and not outcome.verdict.passes and not _is_apart(outcome):
        said.append(_no_cause(explained))
    said += [
        Statement("judged apart", each.text, below=((_LEAVES_OUT, each.advice),))
        for each in _of_kind(explained, _APART)
    ]
    said += [
        Statement(
            "to bear in mind" if each.names == ("platform",) else "explained in part",
            f"— {each.text}",
            each.names,
            _advice(each),
        )
        for each in _of_kind(explained, "part")
    ]
    if explained.materiality:
        said.append(Statement("what it amounts to", explained.materiality))
    said += [
        Statement("why it is this large", each.text, each.names, _advice(each))
        for each in _of_kind(explained, "amplifier")
    ]
    return tuple(said)


def rest(outcome: Outcome, *, brief: bool = False) -> tuple[Statement, ...]:
    """Other findings, then what was varied in vain, what was not, and what is not known.

    Args:
        brief: where it fills more than a line what was varied in vain, or why some was not, name
            the first alone, or no reason.
    """
    explained = outcome.explanation
    if explained is None:
        return ()
    told = not outcome.causes and not outcome.verdict.passes and not _is_apart(outcome)
    open_ = explained.open[1:] if told else explained.open
    said = [*_others(outcome, explained), *_tried(outcome, explained, brief=brief)]
    if explained.not_exercised:
        text = _reasons(explained)
        if brief and len(text) > _A_LINE:
            names = ", ".join(name for name, _why in explained.not_exercised)
            text = f"{truncate(names, _A_LINE)} (-v says why)"
        said.append(Statement("not exercised", text, is_list=True))
    said += [Statement("not known", each) for each in open_]
    if not outcome.causes:
        said.append(Statement("runs made for this", f"{explained.runs:,}"))
    return tuple(said)


def remarks(outcome: Outcome) -> tuple[str, ...]:
    """What a reader has to see although the outcome passes, each in a line."""
    explained = outcome.explanation
    if not outcome.verdict.passes:
        return ()
    said = [each for each in outcome.notes if each.startswith(ALL_EMPTY)]
    if explained is not None:
        said += [f"{each.label}: {each.text}" for each in _others(outcome, explained)]
        if explained.not_exercised:
            said.append(f"not exercised: {_reasons(explained)}")
        said += [f"not known: {each}" for each in explained.open]
    return tuple(f"{outcome.entrypoint} on {outcome.target}: {each}" for each in said)


def in_brief(outcome: Outcome) -> str:
    """The cause, or what else was found and how much was varied in vain; "" where nothing was."""
    if outcome.causes:
        return " or ".join(" + ".join(cause.names) for cause in outcome.causes)
    if outcome.explanation is not None and outcome.verdict.passes:
        count = len(_without_effect(outcome, outcome.explanation))
        found = [each.label for each in _others(outcome, outcome.explanation)]
        if count:
            found.append(f"{count:,} {'variation' if count == 1 else 'variations'} without effect")
        return ", ".join(found)
    return ""


def _cause(cause: Cause, tried: tuple[str, ...]) -> Statement:
    settings = [
        each for each in tried for name in cause.names if each.startswith((f"{name}=", f"{name} "))
    ]
    runs = "1 run" if cause.runs == 1 else f"{cause.runs:,} runs"
    if cause.names == (RANDOMNESS,):
        head = "(an unseeded generator, a race, or something from outside) — "
    else:
        head = f"({', '.join(settings)}) — " if settings else "— "
    # A package is called by its own name; its setting says from which version to which.
    versions = any(" → " in each for each in settings)
    helps = dict.fromkeys(
        advice(name) or (advice("dependency") if versions else "") for name in cause.names
    )
    below = [("alone it moves", _moved(cause))] if cause.moves else []
    return Statement(
        "cause",
        f"{head}{cause.evidence.rstrip('.')}; {runs}",
        cause.names,
        (*below, *((_HELPS, each) for each in helps if each)),
    )


def _moved(cause: Cause) -> str:
    """The worst few items that it alone makes drift, each with how far or how."""
    said = []
    for each in cause.moves:
        numbers = [("max abs", each.max_abs), ("max rel", each.max_rel)]
        far = [f"{name} {number:.3g}" for name, number in numbers if number is not None]
        how = ", ".join(far) or truncate(each.note, _NOTE_SHOWN)
        said.append(f"{each.where} ({how})" if how else each.where)
    more = f"; and {cause.moves_more:,} more" if cause.moves_more else ""
    return f"{'; '.join(said)}{more}"


def _no_cause(explained: Explanation) -> Statement:
    known = bool(explained.suspects)
    text = "— not narrowed down further: it is among these" if known else "not found"
    if explained.open:
        text += f"; {explained.open[0]}"
    return Statement("suspected" if known else "cause", text, explained.suspects)


def _of_kind(explained: Explanation, kind: str) -> list[SearchFinding]:
    return [each for each in explained.findings if each.kind == kind][:_FINDINGS]


def _advice(finding: SearchFinding) -> tuple[tuple[str, str], ...]:
    if not finding.advice:
        return ()
    source = f" ({finding.source})" if finding.source else ""
    return ((_HELPS, f"{finding.advice}{source}"),)


def _others(outcome: Outcome, explained: Explanation) -> Iterator[Statement]:
    """Crashes that are not the outcome's cause anyway, runs that failed at random, and the like."""
    causes = {cause.names for cause in outcome.causes}
    for each in explained.findings[:_FINDINGS]:
        if each.kind in ("amplifier", "part", _APART) or (
            each.kind == "crash" and each.names in causes
        ):
            continue
        crash = each.kind == "crash" and each.names
        label = (
            f"crash under {' + '.join(each.names)}" if crash else _KINDS.get(each.kind, each.kind)
        )
        yield Statement(label, each.text, (), _advice(each))


def _tried(outcome: Outcome, explained: Explanation, *, brief: bool) -> Iterator[Statement]:
    """Of a program that is not repeatable, and after an unfinished search, less can be claimed."""
    names = _without_effect(outcome, explained)
    text = ", ".join(names)
    if brief and len(text) > _A_LINE // 2:
        text = f"{first_and_count(names, 3)} (-v names them)"
    if _is_apart(outcome) and names:
        yield Statement("varied without effect on all else", text, is_list=True)
        return
    if not names or outcome.verdict is Verdict.NONDETERMINISTIC:
        return
    finished = outcome.verdict.passes or (outcome.causes and not explained.open)
    label = "varied without effect on the results" if finished else "also varied"
    yield Statement(label, text, is_list=True)


def _without_effect(outcome: Outcome, explained: Explanation) -> tuple[str, ...]:
    """Names of variations that took effect and are no part of a cause, a crash or suspects."""
    involved = {name for cause in outcome.causes for name in cause.names}
    involved |= {name for each in explained.findings for name in each.names}
    involved |= set(explained.suspects)
    settings = [found for each in explained.tried if (found := _SETTING.match(each))]
    names = dict.fromkeys(found[1] for found in settings)
    return tuple(name for name in names if name not in involved)


def _reasons(explained: Explanation) -> str:
    """Names with their reason; those that share one together."""
    names: dict[str, list[str]] = {}
    for name, reason in explained.not_exercised:
        names.setdefault(reason, []).append(name)
    return ", ".join(
        f"{_first(alike)} ({reason})" if reason else _first(alike)
        for reason, alike in names.items()
    )


def _first(names: list[str]) -> str:
    """All names, or the first of many: those of packages that one side alone has fill a page."""
    if len(names) <= _MOST_ALIKE:
        return " and ".join(names)
    return f"{', '.join(names[:3])} and {len(names) - 3} more"
