"""Random damage to the files that libraries in C read, which readers in processes of their own do.

    python -m benchmarks.chaos.fuzz formats --seconds 3600 --inputs 1000000
    python -m benchmarks.chaos.fuzz formats --kinds nc gguf

Each damaged file is compared with what it was. Whatever that does to its reader, the session that
compares goes on, within the limit of time of each, and nothing but differences comes out.
"""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.chaos.format_seeds import Seeds, damage, format_seeds
from pytest_mlcontainer.compare import compare_outputs
from pytest_mlcontainer.compare.readers.limits import ReaderLimits
from pytest_mlcontainer.compare.readers.pool import Pool
from pytest_mlcontainer.model import Difference, Output, Verdict

BATCH = 200
LIMIT_S = 3.0
_CORES = 2
_GIBIBYTE = 1 << 30


_RAISED = re.compile(r"the comparator for \w+ raised (\w+)")
_DIED = re.compile(r"the reader (crashed \(\w+|took more than [\d.]+ \w+)")


def _cause(note: str) -> str:
    found = _DIED.search(note)
    return note if found is None else found[1].replace("(", "by ")


@dataclass
class Found:
    """What came of damaged files.

    Args:
        verdicts: how many files have which.
        deaths: how many readers died how, or met an error that their format did not foresee.
        crashes: what must not be; one line each.
    """

    verdicts: Counter[str] = field(default_factory=Counter)
    deaths: Counter[str] = field(default_factory=Counter)
    crashes: list[str] = field(default_factory=list)


class Damaged:
    """Compares damaged files with sound ones, a batch at a time.

    Args:
        kinds: endings that say the formats; none for all of them.
    """

    def __init__(self, place: Path, kinds: Collection[str] = ()) -> None:
        self._place = place
        seeds = format_seeds()
        if unknown := set(kinds) - seeds.keys():
            raise ValueError(f"no files end so: {unknown}; known are {', '.join(seeds)}")
        self._seeds: Seeds = {kind: seeds[kind] for kind in kinds or seeds}
        self._sound: dict[tuple[str, int], Path] = {}
        for kind, files in self._seeds.items():
            for number, data in enumerate(files):
                path = place / f"sound-{number}.{kind}"
                path.write_bytes(data)
                self._sound[kind, number] = path
        self.found = Found()
        limits = ReaderLimits(readers=_CORES, memory_bytes=_GIBIBYTE, base_s=LIMIT_S)
        self._pool = Pool(limits)

    def close(self) -> None:
        self._pool.close()

    def batch(self, state: int, count: int = BATCH) -> None:
        """Damage and compare so many files; the same state, the same files."""
        dice = random.Random(state)
        actual, expected = [], []
        for number in range(count):
            kind, which = dice.choice(sorted(self._sound))
            data = damage(self._seeds[kind][which], self._seeds[kind], dice)
            path, name = self._place / f"damaged-{number}", f"{number:05}.{kind}"
            path.write_bytes(data)
            sound = self._sound[kind, which]
            actual.append(Output(name, path, len(data)))
            expected.append(Output(name, sound, sound.stat().st_size))
        began = time.monotonic()
        try:
            differences, _notes = compare_outputs(
                tuple(actual), tuple(expected), (), pool=self._pool
            )
        except Exception as error:  # whatever it is, it must not come out
            self.found.crashes.append(f"{state}: {type(error).__name__}: {error!s:.200}")
            return
        self._note(state, {each.name for each in actual}, differences)
        most = 2 * count * LIMIT_S
        if time.monotonic() - began > most:
            self.found.crashes.append(f"{state}: {count} files took more than {most} s")

    def _note(self, state: int, names: set[str], differences: tuple[Difference, ...]) -> None:
        worst: dict[str, Verdict] = {}
        for each in reversed(differences):
            worst[each.output] = each.verdict
            kind = each.output.partition(".")[2]
            if each.note.startswith("unreadable: the reader"):
                self.found.deaths[f"{kind}: the reader {_cause(each.note)}"] += 1
            elif found := _RAISED.search(each.note):
                self.found.deaths[f"{kind}: unforeseen {found[1]}"] += 1
        self.found.verdicts.update(verdict.value for verdict in worst.values())
        if missing := names - set(worst):
            self.found.crashes.append(f"{state}: nothing is said of {sorted(missing)[:3]}")
