"""Where runs part in functions that libraries, workers, shells and other modules call.

Each program is run twice on this machine, with another value of a variable, and watched.
"""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from pytest_mlcontainer.locating.answer import find
from tests.inside.recorded import watch
from tests.locating.parted import SIDES, Parted, part

IMPORTS = "import json, os, random, sys\n"


def _program(text: str) -> str:
    """Its first line is line 2."""
    return IMPORTS + textwrap.dedent(text).lstrip()


PROVED = {
    "a property that is asked twice": (
        """
        class Reading:
            def __init__(self, n):
                self.n = n
            @property
            def hour(self):
                return (self.n * 7 + int(os.environ['LOT'])) % 24
        readings = [Reading(n) for n in range(5)]
        def total():
            return sum(each.hour for each in readings)
        def peak():
            return max(readings, key=lambda each: each.hour).hour
        print(total(), peak())
        """,
        7,
    ),
    "modules that register themselves": (
        """
        import importlib
        with open('registry.py', 'w') as file:
            file.write('STEPS = []\\nclass Step:\\n    def __init_subclass__(cls):\\n')
            file.write('        STEPS.append(cls())\\n')
        for name in ('add', 'half'):
            with open(name + '.py', 'w') as file:
                file.write(f'from registry import Step\\nclass {name.title()}(Step):\\n')
                file.write('    def __call__(self, value):\\n')
                file.write('        return value ' + {'add': '+ 3', 'half': '/ 2'}[name] + '\\n')
        from registry import STEPS
        for name in sorted(('add', 'half'), reverse=os.environ['LOT'] == '2'):
            importlib.import_module(name)
        value = 1.0
        for step in STEPS:
            value = step(value)
        print(value)
        """,
        12,
    ),
    "functions in a list": (
        """
        def add(value):
            return value + 3
        def half(value):
            return value / 2
        steps = [add, half] if os.environ['LOT'] == '2' else [half, add]
        value = 1.0
        for step in steps:
            value = step(value)
        print(value)
        """,
        6,
    ),
    "a partial": (
        """
        import functools
        def chunks(values, size):
            return [sum(values[at : at + size]) for at in range(0, len(values), size)]
        def width():
            return 3 + int(os.environ['LOT'])
        split = functools.partial(chunks, size=2 * width())
        print([each for each in split(list(range(20)))])
        """,
        6,
    ),
    "what lies in slots": (
        """
        class Point:
            __slots__ = ('x', 'y')
            def __init__(self, x, y):
                self.x = x * int(os.environ['LOT'])
                self.y = y
        points = [Point(n, n) for n in range(4)]
        print(sum(each.x + each.y for each in points))
        """,
        5,
    ),
    "an attribute of a class": (
        """
        class Base:
            rate = 0.1
            @classmethod
            def tune(cls):
                cls.rate = 0.1 * int(os.environ['LOT'])
        class Child(Base):
            def run(self):
                return [self.rate * n for n in range(3)]
        Child.tune()
        print(Child().run())
        """,
        6,
    ),
    "a window": (
        """
        import collections
        window = collections.deque(maxlen=1 + int(os.environ['LOT']))
        sums = []
        for n in range(6):
            window.append(n)
            sums.append(sum(window))
        print(sums)
        """,
        3,
    ),
    "text that is written in memory": (
        """
        import io
        text = io.StringIO()
        for n in range(3):
            text.write(f"{n * int(os.environ['LOT'])};")
        print(text.getvalue())
        """,
        5,
    ),
    "a member of an enumeration": (
        """
        import enum
        class Mode(enum.Enum):
            FAST = '1'
            SLOW = '2'
        mode = Mode(os.environ['LOT'])
        print([n * (1 if mode is Mode.FAST else 3) for n in range(3)])
        """,
        6,
    ),
    "values that come in any order": (
        """
        from concurrent.futures import ThreadPoolExecutor
        def work(n):
            return n * n + int(os.environ['LOT'])
        with ThreadPoolExecutor(1) as pool:
            tasks = [pool.submit(work, n) for n in range(4)]
            found = [each.result() for each in sorted(tasks, key=lambda each: hash(each) % 97)]
        print(sorted(found))
        """,
        4,
    ),
    "a generator of random numbers in an object": (
        """
        class Sampler:
            def __enter__(self):
                self.rng = random.Random(int(os.environ['LOT']))
                return self
            def __exit__(self, *raised):
                self.rng = None
        with Sampler() as sampler:
            print([sampler.rng.random() for _ in range(3)])
        """,
        4,
    ),
}


@pytest.mark.parametrize("name", PROVED)
def test_it_is_found_and_proved(tmp_path: Path, name: str) -> None:
    """With its values exchanged, both sides write the same."""
    program, line = PROVED[name]
    parted = part(tmp_path, _program(program))
    assert parted.lines == [line], parted.found.location
    assert parted.exchanged == parted.expected.stdout


def test_tasks_meet_by_what_they_are_given(tmp_path: Path) -> None:
    """Which worker gets which is left to chance."""
    program = _program("""
        from concurrent.futures import ThreadPoolExecutor
        def work(n):
            found = n * 10 + int(os.environ['LOT'])
            return found
        order = [0, 1, 2, 3] if os.environ['LOT'] == '1' else [2, 3, 0, 1]
        with ThreadPoolExecutor(1) as pool:
            tasks = [pool.submit(work, n) for n in order]
        numbers = sorted(each.result() for each in tasks)
        print(numbers)
        """)
    sides = [watch(tmp_path, program, env=lot).streams for lot in SIDES]
    location = find(sides[0], sides[1], ("stdout",)).location
    assert [each.line for each in location.origins] == [4], location


def test_a_coroutine_is_given_what_the_statement_that_made_it_says(tmp_path: Path) -> None:
    """Which is not the one that runs the loop."""
    parted = part(
        tmp_path,
        _program("""
        import asyncio
        async def read(n):
            await asyncio.sleep(0)
            return n / 7
        async def read_all():
            tasks = [asyncio.create_task(read(n * int(os.environ['LOT']))) for n in range(3)]
            return await asyncio.gather(*tasks)
        found = asyncio.run(read_all())
        print(found)
        """),
    )
    assert parted.lines == [7], parted.found.location


def _piped(reduce: str) -> str:
    """A shell that pipes what `collect.py` prints into a program of this source."""
    return _program(f"""
        import subprocess
        with open('collect.py', 'w') as file:
            file.write('import os\\nfor n in range(3):\\n')
            file.write("    rate = n / (2 + int(os.environ['LOT']))\\n    print(rate)\\n")
        with open('reduce.py', 'w') as file:
            file.write({reduce!r})
        shell = f'{{sys.executable}} collect.py | {{sys.executable}} reduce.py'
        found = subprocess.run(shell, shell=True, stdout=-1, text=True)
        print(found.stdout)
        """)


def _parted_in_the_pipe(folder: Path, reduce: str) -> Parted:
    """Where the two lots part, which has to be the line that computes in the first program."""
    parted = part(folder, _piped(reduce))
    places = [(each.file, each.line) for each in parted.found.location.origins]
    assert places == [("collect.py", 3)], parted.found.location
    return parted


def test_what_a_shell_pipes_into_a_program_is_traced_to_the_one_before(tmp_path: Path) -> None:
    """And its values are put there, whichever of both comes first."""
    source = "import sys\nrows = [float(line) for line in sys.stdin]\n"
    source += "total = sum(rows)\nprint(total)\n"
    _parted_in_the_pipe(tmp_path, source)


def test_no_turn_of_a_loop_on_the_way_passes_for_what_differs_before(tmp_path: Path) -> None:
    """Its values, put there alone, make the outputs agree, and it is where they arrive."""
    source = "import sys\nlevel = 0.0\nfor line in sys.stdin:\n"
    source += "    level += 0.3 * (float(line) - level)\nprint(level)\n"
    parted = _parted_in_the_pipe(tmp_path, source)
    assert ("reduce.py", 3) not in [(each.file, each.line) for each, _aims in parted.found.before]


CALLED_BACK = """
import functools
def step(level, n):
    rate = 0.5 if n < 70 else 0.5 + int(os.environ['LOT']) / 1000
    return level + rate * (n % 3 - level)
level = functools.reduce(step, range(400), 0.0)
print(level)
"""


@pytest.mark.parametrize("dense", [False, True])
def test_a_library_is_not_blamed_for_calls_that_were_not_looked_at(
    tmp_path: Path, dense: bool
) -> None:
    """Among these may be the first that differs; recorded whole, it is found."""
    program = _program(CALLED_BACK)
    sides = [watch(tmp_path, program, env=lot, dense=dense).streams for lot in SIDES]
    found = find(sides[0], sides[1], ("stdout",))
    assert [each.line for each in found.location.origins] == [4 if dense else 6]
    assert found.is_loose is not dense
    assert bool(found.origins) is dense  # only these can be proved


def test_what_is_printed_is_no_part_of_a_file(tmp_path: Path) -> None:
    """Where the file is what drifts, whose name is put together."""
    program = _program("""
        started = os.getpid()
        found = [n / (int(os.environ['LOT']) + 2) for n in range(4)]
        name = 'result'
        with open(f'{name}.json', 'w') as file:
            json.dump(found, file)
        print('run', started)
        """)
    sides = [watch(tmp_path, program, env=lot).streams for lot in SIDES]
    location = find(sides[0], sides[1], ("outputs/result.json",)).location
    assert [each.line for each in location.origins] == [3], location


def test_rounding_about_zero_is_small(tmp_path: Path) -> None:
    """So the sign of it is another choice, and what enlarges it is told of where that is done."""
    program = _program("""
        def grow(x):
            for _ in range(60):
                x = 3.99 * x * (1.0 - x)
            return x
        big = 1e6
        rest = big * 1e-6 - 1.0 + (int(os.environ['LOT']) - 1.5) * 1e-13
        sign = rest > 0
        end = grow(0.3 + rest)
        print(sign, end)
        """)
    sides = [watch(tmp_path, program, env=lot).streams for lot in SIDES]
    location = find(sides[0], sides[1], ("stdout",)).location
    assert [each.line for each in location.origins] == [7]
    assert location.decision is not None
    assert location.decision.line == 8
    assert location.amplifier is not None
    assert location.amplifier.place.line == 4


def test_what_comes_in_large_is_not_enlarged(tmp_path: Path) -> None:
    """A sum over turns, of which a later one has a large difference of its own."""
    program = _program("""
        total = 0.0
        for n in range(20):
            value = 1.0 + n * n * int(os.environ['LOT']) * 1e-5 * n ** 3
            total += value
        print(total)
        """)
    sides = [watch(tmp_path, program, env=lot).streams for lot in SIDES]
    location = find(sides[0], sides[1], ("stdout",)).location
    assert [each.line for each in location.origins] == [4]
    assert location.amplifier is None


def test_what_differs_before_an_origin_and_seems_not_to_lead_to_it_is_told(tmp_path: Path) -> None:
    """To be tried without the origin: it may lead there where nothing can be seen, as here."""
    program = _program("""
        place = 'size.bin'
        open(place, 'w').close()
        rate = 3 * int(os.environ['LOT'])
        os.truncate(place, rate)
        total = os.stat(place).st_size
        print(total)
        """)
    parted = part(tmp_path, program)
    assert parted.lines == [6]
    ((place, aims),) = parted.found.before
    assert place.line == 4
    values = next(tmp_path.glob("*-seen/values.pickle"))
    put = watch(tmp_path, program, env=SIDES[1], aims=aims, values=values, records=False)
    assert put.stdout == parted.expected.stdout


def test_a_return_that_fails_is_where_the_ways_part(tmp_path: Path) -> None:
    """And another one gives something else."""
    program = _program("""
        def read(limit):
            try:
                return int('12'[int(os.environ['LOT']) - 1 : 1])
            except ValueError:
                return 7
        found = read(3) * 2
        print(found)
        """)
    sides = [watch(tmp_path, program, env=lot).streams for lot in SIDES]
    location = find(sides[0], sides[1], ("stdout",)).location
    assert [each.line for each in location.origins] == [4]


def test_the_condition_of_a_return_within_a_with_is_where_the_ways_part(tmp_path: Path) -> None:
    """What leaves the block comes after it."""
    program = _program("""
        import threading
        lock = threading.Lock()
        def pick(limit):
            with lock:
                if limit > int(os.environ['LOT']):
                    return 'many'
            return 'few'
        found = pick(2) * 2
        print(found)
        """)
    sides = [watch(tmp_path, program, env=lot).streams for lot in SIDES]
    location = find(sides[0], sides[1], ("stdout",)).location
    assert [each.line for each in location.origins] == [6]


def test_what_a_library_makes_in_turns_that_one_side_has_more_of_is_traced(tmp_path: Path) -> None:
    """To the loop, and to what decides how often: the part that is read was never bound alone."""
    program = _program("""
        import argparse
        parser = argparse.ArgumentParser()
        parser.add_argument('--coef', type=float)
        model = argparse.Namespace(coef=0, rest=[1, 2])
        size = 2 * int(os.environ['LOT'])
        for start in range(0, 12, size):
            parser.parse_args([f'--coef={start}.5'], namespace=model)
        print(model.coef)
        """)
    parted = part(tmp_path, program)
    assert parted.lines == [6], parted.found.location
    assert parted.exchanged == parted.expected.stdout
