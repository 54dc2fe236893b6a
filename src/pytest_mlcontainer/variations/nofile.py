"""`nofile`: how many files and connections a process may have open at a time.

`docker run --ulimit nofile=…`. Docker 29 starts containers with 1,024, where earlier ones had
1,048,576: loaders that keep shards open fail with "Too many open files".
"""

from __future__ import annotations

from typing import Final

from pytest_mlcontainer.model import Choice, Family, Knobs, NotExercised, Situation, Variation
from pytest_mlcontainer.variations.choosing import no_container, number

_FEW: Final = 1024


def choose(situation: Situation) -> Choice:
    """1,024; as many as the engine allows, where it is that few already."""
    missing = no_container(situation)
    if missing is not None:
        return missing
    soft, hard = (number(situation, f"process.nofile{which}") for which in ("", "_hard"))
    if soft is not None and soft <= _FEW:
        if hard is None or hard <= soft:
            return NotExercised(f"the engine allows no more than {soft}")
        return _variation(hard)
    return _variation(_FEW)


def _variation(files: int) -> Variation:
    return Variation("nofile", str(files), Knobs(nofile=files), (f"process.nofile={files}",))


FAMILY: Final = Family(
    "nofile",
    "how many files may be open at a time",
    choose,
    hints=(
        r"\bRLIMIT_NOFILE\b|\b[gs]etrlimit\(|\bulimit\b",
        r"\bToo many open files\b|\bEMFILE\b",
        r"\bSC_OPEN_MAX\b|\bsharing_strategy\b",
    ),
    weight=0.5,
)
