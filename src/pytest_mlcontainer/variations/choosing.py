"""Questions about a situation that several families ask when they choose a setting."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pytest_mlcontainer.model import (
    HOST,
    Choice,
    NotExercised,
    Situation,
    Variation,
    architecture_of,
)
from pytest_mlcontainer.variations.preload import library


def architecture(situation: Situation) -> str:
    """As in a platform: `amd64`. On `host` it is this machine's; "" where that is not known."""
    if situation.platform != HOST:
        return situation.platform.architecture
    return architecture_of(str(situation.facts.get("machine") or ""))


def where(situation: Situation) -> str:
    """What reasons call the place: a run has an image, or this machine."""
    return "on this machine" if situation.platform == HOST else "in the image"


def unknown_architecture(situation: Situation) -> NotExercised:
    return NotExercised(f"no settings are known for {architecture(situation) or 'this machine'}")


def no_python(situation: Situation) -> NotExercised | None:
    """That there is no Python whose behaviour could be changed; None where there is."""
    if situation.facts.get("python.version") is not None:
        return None
    return NotExercised(f"no Python {where(situation)}")


def no_container(situation: Situation) -> NotExercised | None:
    """That what only a container has cannot be changed; None in a container."""
    return NotExercised("needs a container") if situation.platform == HOST else None


def has_package(situation: Situation, *names: str) -> bool:
    return any(situation.facts.get(f"package.{name}") is not None for name in names)


def has_fact(situation: Situation, prefix: str) -> bool:
    """Whether anything is known whose name begins so."""
    return any(
        name.startswith(prefix) and value is not None for name, value in situation.facts.values
    )


def number(situation: Situation, name: str) -> int | None:
    """A fact that is a whole number; None where it is not known."""
    value = situation.facts.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def unpinned(situation: Situation, variation: Variation) -> Choice:
    """It with the variables that the project does not set itself; not exercised if it sets all.

    What it sets is the same wherever it runs, so that it is no source of drift.
    """
    env = variation.knobs.env
    free = tuple(pair for pair in env if pair[0] not in situation.pinned)
    if not free:
        return kept(situation, (name for name, _value in env))
    return replace(variation, knobs=replace(variation.knobs, env=free))


def kept(situation: Situation, names: Iterable[str]) -> NotExercised:
    """That these variables stay as the configuration or the image sets them."""
    pins = tuple(names)
    configured = dict(situation.entry.env)
    by_image = not any(name in configured for name in pins)
    who = "the image" if by_image and situation.image is not None else "the project"
    return NotExercised(f"{who} sets {_listed(pins)} itself", pins)


def no_preload(situation: Situation) -> NotExercised | None:
    """Why no library can be loaded into the programs of a run; None where it can."""
    if situation.platform == HOST:
        return no_container(situation)
    if situation.platform.os != "linux" or library(situation.platform.architecture) is None:
        return NotExercised(f"no library to preload for {situation.platform}")
    return None


def size_text(size_bytes: int) -> str:
    """As `docker run --memory` writes it: `1g`, `512m`."""
    gibibytes, rest = divmod(size_bytes, 1 << 30)
    return f"{size_bytes >> 20}m" if rest else f"{gibibytes}g"


def _listed(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
