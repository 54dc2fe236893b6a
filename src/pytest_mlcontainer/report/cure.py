"""What stops a drift, as statements for a reader, as lines to paste, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from statistics import median
from typing import Any, Final

from pytest_mlcontainer.model import (
    Cure,
    CureChange,
    CureKind,
    CurePrice,
    CureSetting,
    SourceLine,
)
from pytest_mlcontainer.report.where import place_text
from pytest_mlcontainer.wording import first_and_count

Below = tuple[tuple[str, str], ...]
_SHOWN: Final = 6
_BASELINE: Final = "the baseline"


def cure_statement(cure: Cure, advice: str = "", against: str = "") -> tuple[str, str, Below]:
    """Label, text and what is said under it.

    Args:
        advice: what usually helps against the cause; said where nothing better is known.
        against: what the runs were held against, as in `Outcome`, where they drift from it.
    """
    kept = against if against.startswith(_BASELINE) else ""
    if cure.kind is CureKind.SETTINGS:
        return "cured by", f"{_settings_text(cure)} — {_proof(cure, kept)}", _below(cure)
    if cure.kind is CureKind.CHANGE:
        what = " and ".join(each.what for each in cure.changes)
        where = "" if cure.place is None else f"{place_text(cure.place)} → "
        also = f", with {_settings_text(cure)}" if cure.settings else ""
        return "cured by a change", f"{where}{what}{also} — {_proof(cure)}", _below(cure)
    text = f"nothing that was tried makes the runs agree; {_runs(cure.runs)}"
    if not cure.vain and not cure.broken:
        text = "no setting is known that could make the runs agree"
        if kept:
            text = f"nothing that a setting decides differs from the environment of {kept}"
    if cure.notes:
        text = f"not told: {cure.notes[0]}; {_runs(cure.runs)}"
    return "not cured", text, _uncured(cure, cure.advice or advice)


def _settings_text(cure: Cure) -> str:
    return ", ".join(_named(each, f"{each.name}={each.value}") for each in cure.settings)


def _proof(cure: Cure, kept: str = "") -> str:
    tried = "".join(f" ({each.tried})" for each in cure.changes)
    each = " of each side" if cure.sides > 1 else ""
    parts = [f"with it{tried} {cure.agreeing} runs{each} agree{kept and f' with {kept}'}"]
    parts.append("without it they do not" if _count(cure) == 1 else "without any of it they do not")
    if cure.together:
        parts[0] += ", which nothing makes differ then"
    if not cure.is_smallest:
        parts.append("whether all of it is needed was not tried to the end")
    return f"{', '.join(parts[:2])}{''.join(f'; {each}' for each in parts[2:])}; {_runs(cure.runs)}"


def _below(cure: Cure) -> Below:
    ours = tuple(each for each in cure.settings if not each.is_there)
    there = [each for each in cure.settings if each.is_there]
    said: list[tuple[str, str]] = []
    for each in there:
        said.append(
            ("set already", f"{each.name}={each.value}: drift comes where something overrides it")
        )
    if ours:
        said += [("Dockerfile", line) for line in dockerfile_lines(ours)]
        said += _elsewhere(ours)
    said += [("price", _price(each)) for each in cure.prices if each.ratio is not None]
    said += _tried(cure)
    sources = dict.fromkeys(f"{each.name}: {each.source}" for each in ours)
    said += [("see", first_and_count(list(sources), _SHOWN))] if sources else []
    return (*said, *(("to bear in mind", each) for each in cure.notes))


def _elsewhere(ours: Sequence[CureSetting]) -> Below:
    """The settings for what takes each once: a table, and a workflow with a job for a platform."""
    if len({each.name for each in ours}) == len(ours):
        return (
            ("[tool.mlcontainer]", f"env = {{ {', '.join(_toml(e) for e in ours)} }}"),
            ("GitHub workflow", f"env: {{ {', '.join(_yaml(e) for e in ours)} }}"),
        )
    return (
        *(("GitHub workflow", _named(each, f"env: {{ {_yaml(each)} }}")) for each in ours),
        (
            "to bear in mind",
            "platforms need other values, which `env` of [tool.mlcontainer] has not: a stage for "
            "each of them in the Dockerfile (FROM base AS base-amd64, …, FROM base-${TARGETARCH})",
        ),
    )


def _uncured(cure: Cure, advice: str) -> Below:
    said = _tried(cure)
    if cure.place is not None:
        said.append(("the line", place_text(cure.place)))
    if advice:
        said.append(("usually helps", f"{advice} (advice: this was not tried)"))
    return (*said, *(("to bear in mind", each) for each in cure.notes[1:]))


def _tried(cure: Cure) -> list[tuple[str, str]]:
    said = []
    if cure.needless:
        said.append(("not needed", first_and_count(list(cure.needless), _SHOWN)))
    if cure.vain:
        said.append(("tried in vain", first_and_count(list(cure.vain), _SHOWN)))
    said += [("no cure", f"{names}: {why}") for names, why in cure.broken[:_SHOWN]]
    return said


def dockerfile_lines(settings: Iterable[CureSetting]) -> tuple[str, ...]:
    """`ENV` lines; those of one platform alone say so."""
    return tuple(_named(each, f"ENV {each.name}={_quoted(each.value)}") for each in settings)


def _named(setting: CureSetting, text: str) -> str:
    return f"{text} ({', '.join(setting.platforms)})" if setting.platforms else text


def _quoted(value: str) -> str:
    plain = value and all(letter.isalnum() or letter in "._-+,:/=<>@%" for letter in value)
    return value if plain else json.dumps(value, ensure_ascii=False).replace("$", "\\$")


def _toml(setting: CureSetting) -> str:
    return f"{setting.name} = {json.dumps(setting.value, ensure_ascii=False)}"


def _yaml(setting: CureSetting) -> str:
    return f"{setting.name}: {json.dumps(setting.value, ensure_ascii=False)}"


def _price(price: CurePrice) -> str:
    factor = f"{price.ratio:.2f} times as long"
    if _overlap(price.cured, price.plain):
        factor = "as long, as far as their spread tells"
    return (
        f"runs on {price.side} take {factor}: median {_seconds(price.cured)} with it, "
        f"{_seconds(price.plain)} without"
    )


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Whether the median of either lies within the other."""
    return min(one) <= median(other) <= max(one) or min(other) <= median(one) <= max(other)


def _seconds(times: tuple[float, ...]) -> str:
    return f"{median(times):.2f} s ({min(times):.2f}–{max(times):.2f}, {_runs(len(times))})"


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"


def _count(cure: Cure) -> int:
    return len({each.name for each in cure.settings}) + len(cure.changes)


def cure_to_json(cure: Cure | None) -> dict[str, Any] | None:
    """As `cure_from_json` reads it, with the lines to paste beside it."""
    if cure is None:
        return None
    ours = tuple(each for each in cure.settings if not each.is_there)
    return {
        **_plain(asdict(cure)),
        "kind": cure.kind.value,
        "broken": [{"names": names, "why": why} for names, why in cure.broken],
        "dockerfile": list(dockerfile_lines(ours)),
    }


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, (list, tuple)) else value


def cure_from_json(raw: Mapping[str, Any] | None) -> Cure | None:
    """What `cure_to_json` wrote.

    Raises:
        KeyError, TypeError, ValueError: it did not.
    """
    if raw is None:
        return None
    place = raw["place"]
    return Cure(
        kind=CureKind(raw["kind"]),
        settings=tuple(
            CureSetting(**{**each, "platforms": tuple(each["platforms"])})
            for each in raw["settings"]
        ),
        changes=tuple(CureChange(**each) for each in raw["changes"]),
        place=None if place is None else SourceLine(**{**place, "calls": tuple(place["calls"])}),
        advice=str(raw["advice"]),
        agreeing=int(raw["agreeing"]),
        sides=int(raw["sides"]),
        together=bool(raw["together"]),
        needless=tuple(raw["needless"]),
        vain=tuple(raw["vain"]),
        broken=tuple(_pairs(raw["broken"])),
        is_smallest=bool(raw["is_smallest"]),
        prices=tuple(
            CurePrice(str(each["side"]), tuple(each["cured"]), tuple(each["plain"]))
            for each in raw["prices"]
        ),
        runs=int(raw["runs"]),
        notes=tuple(str(each) for each in raw["notes"]),
    )


def _pairs(raw: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    return ((str(each["names"]), str(each["why"])) for each in raw)
