"""What a search among images says of drifts: short texts for its evidence and headlines."""

from __future__ import annotations

from pytest_mlcontainer.model import Difference


def what_drifts(differences: tuple[Difference, ...]) -> str:
    """The first place that drifts, as the beginning of a sentence."""
    first = _first(differences)
    return "it drifts" if first is None else f"{first.where} drifts"


def size_of(differences: tuple[Difference, ...]) -> str:
    """How far numbers are apart in the place that `what_drifts` names, in brackets; "" where that
    is not known: of another shape there is none."""
    first = _first(differences)
    return f" (max abs {first.max_abs:.3g})" if first is not None and first.max_abs else ""


def _first(differences: tuple[Difference, ...]) -> Difference | None:
    return next((each for each in differences if not each.verdict.passes), None)


def files_of(differences: tuple[Difference, ...]) -> str:
    """The outputs that drift, by their file names alone where these tell them apart."""
    outputs = list(dict.fromkeys(each.output for each in differences if not each.verdict.passes))
    short = [name.rpartition("/")[2] for name in outputs]
    return listed(short if len(set(short)) == len(short) else outputs, 3) or "the outputs"


def listed(texts: list[str], most: int = 8) -> str:
    """Texts in a sentence; of many the first ones, and how many more there are."""
    if len(texts) > most:
        return f"{', '.join(texts[:most])} and {len(texts) - most} more"
    return " and ".join(filter(None, (", ".join(texts[:-1]), *texts[-1:])))
