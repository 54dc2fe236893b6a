"""Changes of the environment that must not change results: their names, and how to choose one.

A family of knobs has one file. What it offers depends on the situation, and what a project sets
itself stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from itertools import combinations
from typing import Final

from pytest_mlcontainer.errors import MlContainerError
from pytest_mlcontainer.model import (
    HOST,
    Choice,
    Family,
    Knobs,
    NotExercised,
    Pairs,
    Platform,
    Situation,
    Variation,
)
from pytest_mlcontainer.variations import (
    aslr,
    blas_kernel,
    clock,
    cpu_model,
    cpus,
    environment,
    file_order,
    hash_seed,
    home,
    hostname,
    libm,
    locales,
    memory,
    network,
    nofile,
    precision,
    read_only,
    shm,
    simd,
    threads,
    timezone,
    umask,
    user,
    workdir,
)
from pytest_mlcontainer.variations.hints import suspect
from pytest_mlcontainer.variations.masks import masking

__all__ = [
    "FAMILIES",
    "apart_pairs",
    "changes",
    "choose",
    "harmless",
    "kept_by_image",
    "kin_pairs",
    "pins",
    "suspect",
    "together",
    "wanted",
]

# They only order a search; one processor means one thread wherever a library counts processors.
_KIN, _KIN_NUMERIC = 100.0, 4.0

FAMILIES: Final[tuple[Family, ...]] = (
    threads.FAMILY,
    blas_kernel.FAMILY,
    simd.FAMILY,
    libm.FAMILY,
    precision.FAMILY,
    cpu_model.FAMILY,
    hash_seed.FAMILY,
    file_order.FAMILY,
    clock.FAMILY,
    timezone.FAMILY,
    cpus.FAMILY,
    hostname.FAMILY,
    locales.LOCALE,
    locales.ENCODING,
    user.FAMILY,
    home.FAMILY,
    environment.FAMILY,
    network.FAMILY,
    read_only.FAMILY,
    memory.FAMILY,
    shm.FAMILY,
    nofile.FAMILY,
    workdir.FAMILY,
    umask.FAMILY,
    aslr.FAMILY,
)


def wanted(families: Sequence[Family], names: Sequence[str] | None) -> tuple[Family, ...]:
    """The families of these names, in their own order; of None, all that need no asking for.

    Raises:
        MlContainerError: there is none of a name; every such name is in the message.
    """
    if names is None:
        return tuple(family for family in families if not family.on_request)
    known = [family.name for family in families]
    unknown = [name for name in dict.fromkeys(names) if name not in known]
    if unknown:
        raise MlContainerError(
            "there is no variation of this name" if len(unknown) == 1 else "unknown variations",
            ", ".join(unknown),
            _suggestion(unknown, known),
        )
    return tuple(family for family in families if family.name in names)


def _suggestion(unknown: Sequence[str], known: Sequence[str]) -> str:
    near = (get_close_matches(name.lower().replace("_", "-"), known, n=1) for name in unknown)
    meant = ", ".join(name for names in near for name in names)
    return f"{f'did you mean {meant}? ' if meant else ''}(known: {', '.join(known)})"


def choose(families: Iterable[Family], situation: Situation) -> tuple[tuple[Variation, ...], Pairs]:
    """What to vary, and of the other families the name and why there is nothing to vary."""
    varied: list[Variation] = []
    others: list[tuple[str, str]] = []
    for family in families:
        choice = within_reach(family.choose(situation), situation)
        if isinstance(choice, NotExercised):
            others.append((family.name, choice.why))
        else:
            varied.append(choice)
    return tuple(varied), tuple(others)


def within_reach(choice: Choice, situation: Situation) -> Choice:
    """The choice, unless the engine cannot make it."""
    if isinstance(choice, NotExercised):
        return choice
    missing = situation.capabilities.missing_knobs(choice.knobs)
    return NotExercised(f"the engine cannot change: {', '.join(missing)}") if missing else choice


def kept_by_image(families: Iterable[Family], situation: Situation) -> Mapping[str, Pairs]:
    """What the image sets and would be varied where it is named: family → variable and value."""
    image = {} if situation.image is None else dict(situation.image.env)
    found: dict[str, Pairs] = {}
    for family in families:
        choice = family.choose(situation)
        named = family.choose(replace(situation, over_image=True))
        if isinstance(named, NotExercised):
            continue
        here = choice.pins if isinstance(choice, NotExercised) else ()
        changed = () if isinstance(choice, NotExercised) else dict(choice.knobs.env)
        more = (name for name, _value in named.knobs.env if name not in changed)
        pairs = tuple(
            (name, image[name]) for name in dict.fromkeys((*here, *more)) if image.get(name)
        )
        if pairs:
            found[family.name] = pairs
    return found


def together(variations: Iterable[Variation]) -> Knobs:
    """All of them at once. What two of them set, the later one sets."""
    knobs = Knobs()
    for variation in variations:
        knobs += variation.knobs
    return knobs


def pins(situation: Situation, families: Sequence[Family] = FAMILIES) -> tuple[Variation, ...]:
    """What keeps runs from differing by themselves, as far as anything is left to keep."""
    choices = (
        within_reach(family.pin(situation), situation)
        for family in families
        if family.pin is not None
    )
    return tuple(choice for choice in choices if not isinstance(choice, NotExercised))


def apart_pairs(
    families: Iterable[Family], chosen: Iterable[Variation] | None = None
) -> frozenset[frozenset[str]]:
    """Names of families that hide each other: those that are known to, and what families say.

    It is enough that one of the two says so.

    Args:
        chosen: the variations that will be made, where that is known: some hide nothing.
    """
    known = tuple(families)
    told = frozenset(frozenset((family.name, other)) for family in known for other in family.apart)
    return told | masking(frozenset(family.name for family in known), chosen)


def kin_pairs(families: Iterable[Family]) -> Mapping[frozenset[str], float]:
    """Pairs of families that are often causes together, with how much more one is then suspected.

    It is enough that one of the two names the other. Those that are numeric are kin by what they
    do: a program that makes much of one kind of rounding makes it of others.
    """
    known = tuple(families)
    numeric = [family.name for family in known if family.numeric]
    named = [(family.name, other) for family in known for other in family.kin]
    return {
        **dict.fromkeys(map(frozenset, combinations(numeric, 2)), _KIN_NUMERIC),
        **dict.fromkeys(map(frozenset, named), _KIN),
    }


def harmless(platform: Platform) -> tuple[Variation, ...]:
    """Variations by which a tolerance is calibrated, each with a run of its own.

    On `host` there are those that any machine has.
    """
    architecture = "" if platform == HOST else platform.architecture
    return (
        *threads.SETTINGS,
        *blas_kernel.settings(architecture),
        *simd.settings(architecture),
        *hash_seed.SETTINGS,
    )


def changes(variation: Variation, env: Pairs) -> Pairs:
    """What the variation adds to an environment; empty where the project sets all of it itself.

    A variable that the project sets is the same on every platform, so it is no source of drift.
    """
    pinned = dict(env)
    return tuple((name, value) for name, value in variation.knobs.env if name not in pinned)
