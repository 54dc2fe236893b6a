"""Changes of a program that can be tried from outside, by what they are tried against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pytest_mlcontainer.explain.pins import RANDOMNESS
from pytest_mlcontainer.model import CureChange


@dataclass(frozen=True)
class TriableChange:
    """A change, and what it may help against.

    Args:
        causes: names of causes.
        kinds: ways in which a difference comes in, as a `Location` says them.
    """

    change: CureChange
    causes: tuple[str, ...]
    kinds: tuple[str, ...]


TRIABLE: Final = (
    TriableChange(
        CureChange(
            "sort-listings",
            "sort the listing: sorted(…) around os.listdir, glob and iterdir",
            "os.listdir and os.scandir sorted from outside",
        ),
        causes=("file-order",),
        kinds=("the order of a folder's listing",),
    ),
    TriableChange(
        CureChange(
            "seed",
            "seed the generators with a constant: random.seed(0), numpy.random.default_rng(0)",
            "random and NumPy seeded with a constant from outside",
        ),
        causes=(RANDOMNESS, "clock", "hostname", "aslr"),
        kinds=("random numbers", "a generator of random numbers, by its seed"),
    ),
    TriableChange(
        CureChange(
            "fix-processors",
            "set the number of workers and chunks explicitly instead of counting processors",
            "os.cpu_count and the affinity made a constant from outside",
        ),
        causes=("cpus",),
        kinds=("the number of processors",),
    ),
)

# Python draws these from a generator of its own, which no seed in the program reaches.
_OF_ITS_OWN: Final = "an identifier that is made anew in each run"


def changes_for(causes: frozenset[str], kind: str) -> tuple[CureChange, ...]:
    """What may be tried.

    Args:
        causes: names of them.
        kind: how the difference comes in, where that was located; "" otherwise.
    """
    return tuple(
        each.change
        for each in TRIABLE
        if (kind in each.kinds or not causes.isdisjoint(each.causes))
        and not (each.change.name == "seed" and kind == _OF_ITS_OWN)
    )
