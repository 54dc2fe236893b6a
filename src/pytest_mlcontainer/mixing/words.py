"""What a search among images says of drifts: short texts for its evidence and headlines."""

from __future__ import annotations

from pytest_mlcontainer.model import Difference


def what_drifts(differences: tuple[Difference, ...]) -> str:
    """The first place that drifts, as the beginning of a sentence."""
    worst = next((each for each in differences if not each.verdict.passes), None)
    return "it drifts" if worst is None else f"{worst.where} drifts"


def size_of(differences: tuple[Difference, ...]) -> str:
    """How far the numbers are apart at most, in brackets; "" where that is not known."""
    sizes = [each.max_abs for each in differences if not each.verdict.passes and each.max_abs]
    return f" (max abs {max(sizes):.3g})" if sizes else ""


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
