"""Generators, seeds and masked arrays of NumPy: seen, and put into the other side's run."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from tests.locating.parted import LOT, part

MARK = "  # here"
PROGRAMS = {
    "a generator of a function": """
        def main():
            rng = np.random.default_rng(LOT)  # here
            print(rng.normal(size=3).tolist())
        main()
        """,
    "a generator of a module": """
        rng = np.random.default_rng(LOT)  # here
        def jitter(x):
            return x + rng.normal(size=3)
        print(jitter(np.zeros(3)).tolist())
        """,
    "a generator that an object holds": """
        class Sampler:
            def __init__(self):
                self.rng = np.random.default_rng(LOT)  # here
            def draw(self):
                return self.rng.normal(size=3)
        print(Sampler().draw().tolist())
        """,
    "what gives a generator its bits": """
        bits = np.random.PCG64(LOT)  # here
        rng = np.random.Generator(bits)
        print(rng.normal(size=3).tolist())
        """,
    "a sequence of seeds": """
        seeds = np.random.SeedSequence(LOT)  # here
        rngs = [np.random.default_rng(each) for each in seeds.spawn(2)]
        print([each.normal() for each in rngs])
        """,
    "seeds in a list": """
        seeds = np.random.SeedSequence(LOT).spawn(2)  # here
        print([np.random.default_rng(each).normal() for each in seeds])
        """,
    "an array with a mask": """
        readings = np.ma.masked_less(np.arange(5), LOT)  # here
        print(readings.sum())
        """,
}


@pytest.mark.parametrize("case", PROGRAMS)
def test_the_line_that_makes_it_is_proved_to_be_the_origin(tmp_path: Path, case: str) -> None:
    """With its values put into the other side's run, the outputs agree."""
    text = textwrap.dedent(PROGRAMS[case]).strip().replace("LOT", LOT)
    program = f"import os\nimport numpy as np\n{text}\n"
    line = next(n for n, each in enumerate(program.splitlines(), 1) if each.endswith(MARK))

    parted = part(tmp_path, program)

    assert parted.lines == [line]
    assert not parted.found.unseen
    assert parted.exchanged == parted.expected.stdout
