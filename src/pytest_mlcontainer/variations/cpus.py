"""`cpus`: how many processors a program finds.

`--cpuset-cpus` (Docker, "Runtime constraints on resources") changes what the scheduler's affinity
says; `--cpus` alone limits time and changes no count. `PYTHON_CPU_COUNT` (Python 3.13, "Command
line and environment") is what `os.cpu_count` says, which asks for no affinity.
"""

from __future__ import annotations

from typing import Final

from pytest_mlcontainer.model import (
    HOST,
    Choice,
    Family,
    Knobs,
    NotExercised,
    Situation,
    Variation,
)
from pytest_mlcontainer.variations.choosing import number

_COUNT: Final = ("PYTHON_CPU_COUNT", "1")
_WITNESS: Final = ("cpu.usable=1",)
# Without a container a program can only bind itself, before it becomes the command.
_BIND: Final = (
    "import os, sys; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); "
    "os.execvp(sys.argv[1], sys.argv[1:])"
)


def choose(situation: Situation) -> Choice:
    """One, where there are more."""
    usable = number(situation, "cpu.usable")
    if usable is None:
        usable = number(situation, "cpu.count")
    if usable == 1:
        return NotExercised("there is one processor anyway")
    env = () if _COUNT[0] in situation.pinned else (_COUNT,)
    if situation.platform != HOST:
        return Variation("cpus", "1", Knobs(env=env, cpuset="0"), _WITNESS)
    if number(situation, "cpu.usable") is None:
        return NotExercised("needs a container: this machine cannot bind a program")
    wrapper = ("python3", "-I", "-S", "-c", _BIND)
    return Variation("cpus", "1", Knobs(env=env, wrapper=wrapper), _WITNESS)


FAMILY: Final = Family(
    "cpus",
    "how many processors it may use",
    choose,
    hints=(
        r"\bcpu_count\(|\bprocess_cpu_count\(|\bsched_getaffinity\(|\bcpu_affinity\(",
        r"\beffective_n_jobs\(|\bget_num_threads\(",
        r"\bn_jobs\s*=\s*(?!1\b|None\b)",
        r"\bn_(?:workers|chunks|splits|shards|proc)\s*=\s*(?!\d)",
        r"\bnum_(?:workers|proc|cpus|shards)\s*=\s*(?!\d)",
        r"\b(?:Process|Thread)PoolExecutor\(",
        r"\b(?:Thread)?Pool\(",
        r"\bmax_workers\s*=\s*(?!1\b)",
        r"\bParallel\(",
        r"\bnproc\b|/proc/cpuinfo",
        r"\bAUTOTUNE\b",
        # As many threads as there are processors is what numeric libraries start.
        r"^(?:from|import) (?:numpy|scipy|sklearn|torch|tensorflow|jax|xgboost|lightgbm|numba)\b",
    ),
    weight=2.0,
    kin=("threads",),
)
