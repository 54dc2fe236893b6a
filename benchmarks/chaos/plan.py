"""What was asked for: how often, how long, and with which moments."""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass
from pathlib import Path

import docker


@dataclass(frozen=True)
class Plan:
    """How a fault is to be tried.

    Args:
        api: the engine.
        engine: its address for sessions; None is the one that they find themselves.
        folder: for everything that trials write; each makes one of its own.
        seed: decides all moments and inputs.
        trials: how often; None for the fault's own number.
        only: the number of the one trial to make; None for all.
        kind: of a fault that has several; None for all.
        quick: few trials and small amounts.
        shared: others use the engine meanwhile: what has no label may be theirs, and does not
            count.
    """

    api: docker.APIClient
    folder: Path
    seed: int = 0
    trials: int | None = None
    only: int | None = None
    kind: str | None = None
    quick: bool = False
    engine: str | None = None
    shared: bool = False

    def count(self, full: int, quick: int) -> int:
        """How many trials, where a fault has these numbers of its own."""
        return self.trials or (quick if self.quick else full)

    def numbers(self, count: int) -> tuple[int, ...]:
        """The numbers of the trials to make."""
        return tuple(range(count)) if self.only is None else (self.only,)

    def dice(self, *what: object) -> random.Random:
        """Random numbers of one trial, whatever other trials have drawn."""
        return random.Random("/".join(map(str, (self.seed, *what))))

    def say(self, line: str) -> None:
        """Tell how it goes."""
        print(line, file=sys.stderr, flush=True)
