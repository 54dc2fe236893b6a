"""A change that no program can ask for: things lie elsewhere in memory, and nothing else is new.

Variables that nothing reads take room of every size in the environment, on the stack and in
Python's own pools, so that objects made later lie elsewhere: the order of a set of objects that are
hashed by their address follows, and so does what reads memory that was never initialised. Every
other change moves memory as well; a program that drifts under this one alone drifts under many.
"""

from __future__ import annotations

from typing import Final

from pytest_mlcontainer.model import Knobs, Variation

_LONGEST: Final = 480
_STEP: Final = 16  # Python's pools have one size for each 16 bytes, up to 512
# One, two or three of each size: what lies behind them moves by different distances.
_PADDING: Final = tuple(
    (f"MLCONTAINER_PADDING_{size}_{number}", "x" * size)
    for size in range(_STEP, _LONGEST, _STEP)
    for number in range(1 + size // _STEP % 3)
)
PLACEBO: Final = Variation("memory-layout", "moved", Knobs(env=_PADDING), ())
# Its variables would show in what shows variables.
SHOWN_BY: Final = "env"
