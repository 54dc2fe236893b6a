"""What holds a difference where no attribute is: its line is named, or nothing is proved.

Each program differs at the line that ends with the mark, and writes it by way of what that made.
"""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from pytest_mlcontainer.locating.answer import doubting, find, fitted
from pytest_mlcontainer.locating.ways import way_in
from pytest_mlcontainer.model import Location, SourceLine
from tests.inside.recorded import watch
from tests.locating.parted import SIDES, Parted, part

MARK = "  # here"
LOT = "int(os.environ['LOT'])"


def program_of(program: str) -> str:
    """Its text, with what has to be asked for in the place of LOT."""
    return "import os\n" + textwrap.dedent(program).strip().replace("LOT", LOT) + "\n"


def _part(folder: Path, program: str) -> tuple[Parted, int]:
    """Where a program's runs part, and the line of its mark."""
    text = program_of(program)
    line = next(n for n, each in enumerate(text.splitlines(), 1) if each.endswith(MARK))
    return part(folder, text), line


SEEN = {
    "two statements on one line": """
        rate = LOT; other = 3  # here
        found = rate * other
        print(found)
        """,
    "a condition and what it returns on one line": """
        def pick(n):
            if n == LOT: return "hit"  # here
            return "miss"
        found = [pick(n) for n in range(4)]
        print(found)
        """,
    "a context variable": """
        import contextvars
        rate = contextvars.ContextVar("rate", default=0)
        def setup():
            rate.set(LOT)  # here
        setup()
        found = [rate.get() * n for n in range(3)]
        print(found)
        """,
    "a formatter of logging": """
        import logging, sys
        shape = logging.Formatter("lot" * LOT + " %(message)s")  # here
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(shape)
        log = logging.getLogger("train")
        log.addHandler(handler)
        log.warning("done")
        """,
    "a dialect of csv": """
        import csv, sys
        class Dialect(csv.excel):
            delimiter = ",;|"[LOT]  # here
        rows = csv.writer(sys.stdout, dialect=Dialect)
        rows.writerow([1, 2])
        """,
    "what is put into a database": """
        import sqlite3
        base = sqlite3.connect(":memory:")
        base.execute("create table t (x int)")
        rate = 3 * LOT  # here
        base.execute("insert into t values (?)", (rate,))
        found = base.execute("select x from t").fetchall()
        print(found)
        """,
    "what is returned within a with": """
        import threading
        lock = threading.Lock()
        def rate():
            with lock:
                return LOT * 3  # here
        found = [rate() * n for n in range(3)]
        print(found)
        """,
    "what is returned before a finally": """
        def rate(n, seen=[]):
            try:
                return n * LOT  # here
            finally:
                seen.append(n)
        found = [rate(n) for n in range(3)]
        print(found)
        """,
    "what is returned at a second attempt": """
        tried = []
        def load():
            tried.append(1)
            if len(tried) < 2:
                raise OSError
            return LOT + 5  # here
        def attempt():
            for _ in range(3):
                try:
                    return load()
                except OSError:
                    continue
        found = attempt()
        print(found * 2)
        """,
    "a pattern": """
        import re
        pattern = re.compile("a" * LOT)  # here
        found = pattern.findall("aaaa")
        print(found)
        """,
    "what is given to a function later": """
        from functools import partial
        def scale(by, x):
            return by * x
        double = partial(scale, LOT)  # here
        found = [double(n) for n in range(3)]
        print(found)
        """,
    "a range": """
        steps = range(LOT)  # here
        found = [n * n for n in steps]
        print(found)
        """,
    "a slice": """
        part = slice(LOT)  # here
        found = "abcdef"[part]
        print(found)
        """,
    "an iterator": """
        words = map(str.upper, ["a" * LOT, "b"])  # here
        found = list(words)
        print(found)
        """,
    "a span of time": """
        import datetime
        step = datetime.timedelta(hours=LOT)  # here
        found = str(datetime.datetime(2020, 1, 1) + step)
        print(found)
        """,
    "a zone": """
        import datetime
        zone = datetime.timezone(datetime.timedelta(hours=LOT))  # here
        found = datetime.datetime.fromtimestamp(0, zone).isoformat()
        print(found)
        """,
    "a getter": """
        from operator import itemgetter
        pick = itemgetter(LOT)  # here
        found = [pick(row) for row in [(1, 2, 3), (4, 5, 6)]]
        print(found)
        """,
    "a generator's method": """
        import random
        draw = random.Random(LOT).random  # here
        found = [draw() for _ in range(3)]
        print(found)
        """,
    "a lambda": """
        score = lambda n: n * LOT  # here
        found = sorted([score(n) for n in range(3)])
        print(found)
        """,
    "a lambda that a library calls": """
        score = lambda n: -n * (LOT - 1.5)  # here
        found = sorted(range(5), key=score)
        print(found)
        """,
    "a lambda in a table": """
        table = {
            "plain": lambda n: n,
            "other": lambda n: n * LOT,  # here
        }
        found = {name: [table[name](n) for n in range(3)] for name in table}
        print(found)
        """,
    "what a lambda is given": """
        score = lambda n: n + 1
        rows = [LOT, 2]  # here
        found = list(map(score, rows))
        print(found)
        """,
    "what is around a lambda": """
        def maker(by):
            return lambda n: n * by
        by = LOT  # here
        score = maker(by)
        found = [score(1), score(2)]
        print(found)
        """,
    "a function that a lambda calls": """
        def weight(n):
            found = n * LOT  # here
            return found
        score = lambda n: weight(n) + 1
        found = list(map(score, [1, 2]))
        print(found)
        """,
    "a generator expression": """
        squares = (n * LOT for n in range(3))  # here
        found = list(squares)
        print(found)
        """,
    "what a generator expression goes through": """
        rows = [n * LOT for n in range(3)]  # here
        squares = (n * 2 for n in rows)
        found = list(squares)
        print(found)
        """,
    "a generator expression of another function": """
        def even(rows):
            return (row for row in rows if row % LOT == 0)  # here
        def main():
            kept = even(range(10))
            found = sum(kept)
            return found
        print(main())
        """,
    "a default of a lambda": """
        score = lambda n, by=LOT: n * by  # here
        found = sorted([score(n) for n in range(3)])
        print(found)
        """,
    "a factory of a field": """
        from dataclasses import dataclass, field
        @dataclass
        class Config:
            alpha: int = field(default_factory=lambda: LOT)  # here
        config = Config()
        found = [config.alpha * n for n in range(3)]
        print(found)
        """,
}


@pytest.mark.parametrize("name", SEEN)
def test_the_line_that_makes_it_is_proved(tmp_path: Path, name: str) -> None:
    """Not the one that uses it, which would pass for the origin when values are exchanged there."""
    parted, line = _part(tmp_path, SEEN[name])
    assert parted.lines[:1] == [line], parted.found.location
    assert parted.exchanged == parted.expected.stdout
    assert not parted.found.unseen


NAMED = {
    "a default of a function": """
        def score(n, by=LOT):  # here
            return n * by
        found = sorted([score(n) for n in range(3)])
        print(found)
        """,
    "what a decorator is given": """
        import functools
        def times(by):
            def wrap(function):
                @functools.wraps(function)
                def inner(*given):
                    return function(*given) * by
                return inner
            return wrap
        @times(LOT)  # here
        def score(n):
            return n + 1
        found = [score(n) for n in range(3)]
        print(found)
        """,
    "a generator expression through a generator": """
        def numbers():
            for n in range(3):
                yield n * LOT  # here
        squares = (n * 2 for n in numbers())
        found = list(squares)
        print(found)
        """,
}


@pytest.mark.parametrize("name", NAMED)
def test_what_cannot_be_exchanged_is_named(tmp_path: Path, name: str) -> None:
    """So that it is suspected."""
    parted, line = _part(tmp_path, NAMED[name])
    assert parted.lines[:1] == [line], parted.found.location


UNSEEN = {
    "a queue of coroutines": """
        import asyncio
        async def give(queue):
            await queue.put(LOT * 2)  # here
        async def take(queue):
            found = await queue.get()
            return found
        async def main():
            queue = asyncio.Queue()
            return (await asyncio.gather(give(queue), take(queue)))[1]
        print(asyncio.run(main()))
        """,
    "memory that children share": """
        import multiprocessing
        def fill(shared):
            for n in range(len(shared)):
                shared[n] = n * LOT  # here
        shared = multiprocessing.Array("i", 4)
        child = multiprocessing.get_context("fork").Process(target=fill, args=(shared,))
        child.start()
        child.join()
        total = sum(shared[:])
        print(total)
        """,
    "an iterator of itertools": """
        import itertools
        words = itertools.islice("abcdef", LOT)  # here
        found = list(words)
        print(found)
        """,
    "one that a function is given": """
        import itertools
        def collect(words):
            found = list(words)
            return found
        taken = itertools.islice("abcdef", LOT)  # here
        result = collect(taken)
        print(result)
        """,
    "one that an object holds": """
        import itertools
        class Reader:
            def __init__(self):
                self.words = itertools.islice("abcdef", LOT)  # here
            def read(self):
                found = list(self.words)
                return found
        result = Reader().read()
        print(result)
        """,
    "a database": """
        import sqlite3
        base = sqlite3.connect(":memory:")
        base.execute("create table t (x int)")
        base.execute("insert into t values (?)", (LOT,))  # here
        found = base.execute("select x from t").fetchall()
        print(found)
        """,
    "a variable of the environment": """
        import time
        os.environ["TZ"] = f"UTC+{LOT}"  # here
        time.tzset()
        found = time.localtime(0).tm_hour
        print(found)
        """,
    "a setting of the process": """
        import decimal
        decimal.getcontext().prec = 4 + LOT  # here
        found = str(decimal.Decimal(1) / decimal.Decimal(7))
        print(found)
        """,
}


@pytest.mark.parametrize("name", UNSEEN)
def test_what_nobody_can_look_into_is_no_proof(tmp_path: Path, name: str) -> None:
    """The line that uses it agrees when values are exchanged there, and is not the origin."""
    parted, line = _part(tmp_path, UNSEEN[name])
    assert parted.lines[:1] == [line], parted.found.location
    assert parted.found.unseen
    assert "cannot be seen" in parted.found.location.notes[0]


def test_a_file_that_is_opened_is_no_doubt(tmp_path: Path) -> None:
    """Nor a lock, a logger, or a module that was set: what they hold is not what is computed."""
    parted, line = _part(
        tmp_path,
        """
        import logging, random, threading
        random.seed(len(os.environ["PATH"]))
        logger, lock = logging.getLogger(), threading.Lock()
        with open("rows.txt", "w") as file:
            print("1 2 3", file=file)
        with lock, open("rows.txt") as file:
            found = [random.randrange(int(n)) + LOT for n in file.read().split()]  # here
        logger.info("%s", found)
        print(found)
        """,
    )
    assert parted.lines == [line]
    assert not parted.found.unseen


def test_a_file_that_an_argument_names_is_followed_to_what_was_written(tmp_path: Path) -> None:
    """Its name stands in a list, and in the text of the statement that reads it."""
    parted, line = _part(
        tmp_path,
        """
        import pathlib, sys
        sys.argv = ["train.py", "rows.txt", "other.txt"]
        value = LOT * 3  # here
        pathlib.Path(sys.argv[1]).write_text(str(value))
        pathlib.Path(sys.argv[2]).write_text("2")
        found = int(pathlib.Path("rows.txt").read_text()) * 3
        print(found)
        """,
    )
    assert parted.lines == [line]


WRITTEN_AT_ONCE = {
    "a text": """
        import pathlib
        pathlib.Path("rows.txt").write_text(str(LOT))  # here
        found = int(pathlib.Path("rows.txt").read_text()) * 3
        print(found)
        """,
    "into an open file": """
        with open("rows.txt", "w") as file:
            file.write("7\\n")
            file.write(str(LOT) + "\\n")  # here
        with open("rows.txt") as file:
            found = [int(line) for line in file]
        print(found)
        """,
    "a list of settings": """
        import json
        with open("rows.json", "w") as file:
            json.dump({"lot": LOT}, file)  # here
        with open("rows.json") as file:
            found = json.load(file)
        print(found)
        """,
    "printed": """
        with open("rows.txt", "w") as file:
            print(LOT, file=file)  # here
        found = open("rows.txt").read().split()
        print(found)
        """,
}


@pytest.mark.parametrize("name", WRITTEN_AT_ONCE)
def test_what_is_asked_for_and_written_at_once_is_followed(tmp_path: Path, name: str) -> None:
    """No name holds what was written: the line that reads it is not the first."""
    parted, line = _part(tmp_path, WRITTEN_AT_ONCE[name])
    assert parted.lines[:1] == [line], parted.found.location
    assert parted.found.unseen, "that the line which reads it makes nothing of its own is not seen"


def test_of_two_that_may_have_been_written_otherwise_none_is_proved(tmp_path: Path) -> None:
    """Both are named: what they asked for is held by no name."""
    parted, line = _part(
        tmp_path,
        """
        import pathlib
        pathlib.Path("same.txt").write_text(os.environ["PATH"][:1])
        pathlib.Path("rows.txt").write_text(str(LOT))  # here
        both = pathlib.Path("same.txt").read_text() + pathlib.Path("rows.txt").read_text()
        print(both)
        """,
    )
    assert line in parted.lines, parted.found.location
    assert parted.found.unseen


def test_what_an_output_is_given_at_once_is_named(tmp_path: Path) -> None:
    """Beside a value that differs and is written elsewhere."""
    text = program_of(
        """
        import pathlib, sys
        other = LOT * 2
        print(other, file=sys.stderr)
        pathlib.Path("rows.txt").write_text(str(LOT))  # here
        """
    )
    expected, actual = (watch(tmp_path, text, env=env) for env in SIDES)
    found = find(expected.streams, actual.streams, ("rows.txt",))
    assert [each.line for each in found.location.origins][:1] == [5], found.location


def test_what_was_written_the_same_is_not_blamed(tmp_path: Path) -> None:
    """The line that reads it also reads what differs."""
    parted, line = _part(
        tmp_path,
        """
        import pathlib
        pathlib.Path("rows.txt").write_text(str(len(os.environ["PATH"])))
        other = LOT * 2  # here
        found = int(pathlib.Path("rows.txt").read_text()) * other
        print(found)
        """,
    )
    assert parted.lines == [line]


def test_precision_that_is_set_for_a_block_is_put_into_its_context(tmp_path: Path) -> None:
    """It differs before what is divided in the block, which reads no name that holds it."""
    program = """
        import decimal
        with decimal.localcontext() as context:
            context.prec = 5 * LOT  # here
            found = decimal.Decimal(1) / 7
        print(found)
        """
    parted, line = _part(tmp_path, program)
    ((place, aims),) = parted.found.before
    assert (place.line, bool(aims)) == (line, True)
    values = next(tmp_path.glob("*-seen/values.pickle"))
    put = watch(tmp_path, program_of(program), env=SIDES[1], aims=aims, values=values)
    assert put.stdout == parted.expected.stdout


def test_what_differs_before_and_cannot_be_put_leaves_a_doubt() -> None:
    """What asks for something outside of the program is told first then."""
    user = SourceLine("train.py", 9, 9, text="total = library.total()", calls=("library.total",))
    asking = SourceLine("train.py", 3, 3, text="names = set(words)", calls=("set",))
    told = doubting(Location(origins=(user,), kind="computed by library.total"), (asking,))
    assert told.origins == (asking, user)
    assert not told.proven
    assert told.kind == "the order of a set, or a hash of text"
    assert "train.py:3 differs, too, and cannot be put into another run" in told.notes[0]


def test_which_task_ends_first_is_asked_by_the_loop(tmp_path: Path) -> None:
    """And not by the statement that takes the result of the one that it is given."""
    program = program_of("""
        import time
        from concurrent.futures import ThreadPoolExecutor, as_completed
        def work(n):
            time.sleep(0.3 * (n if LOT == 1 else 3 - n))
            return n * n
        found = []
        with ThreadPoolExecutor(3) as pool:
            waiting = [pool.submit(work, n) for n in range(1, 3)]
            for done in as_completed(waiting):
                found.append(done.result())
        print(found)
        """)
    sides = [watch(tmp_path, program, env=lot).streams for lot in SIDES]
    found = find(sides[0], sides[1], ("stdout",))
    assert [each.line for each in found.location.origins] == [10, 11]
    assert found.location.kind == "which of several tasks ends first"
    assert found.unseen


@pytest.mark.parametrize(
    ("text", "calls", "factors", "kind"),
    [
        (
            "names = sorted(each.resolve() for each in Path('data').glob('*.txt'))",
            ("sorted", ".resolve", "Path.glob", "Path"),
            {"workdir"},
            "the folder that it works in",
        ),
        (
            "names = [str(each.resolve()) for each in Path('data').glob('*.txt')]",
            ("str", ".resolve", "Path.glob", "Path"),
            {"file-order"},
            "the order of a folder's listing",
        ),
        (
            "hour = datetime.fromtimestamp(time.time()).hour",
            ("datetime.fromtimestamp", "time.time"),
            {"timezone"},
            "the clock or the time zone",
        ),
        ("size = len(data)", ("len",), {"simd"}, "computed here"),
        ("size = len(data)", ("len",), {"memory", "shm"}, "computed here"),
        (
            "lines = [each.lower() for each in file]",
            (".lower",),
            {"encoding"},
            "the default encoding",
        ),
        (
            "limit = int(file.read())",
            ("int", "file.read"),
            {"memory"},
            "how much room there is, on disk or in memory",
        ),
        ("seen = ago(path)", ("ago",), {"clock"}, "the clock or the time zone"),
        ("seen = ago(path)", ("ago",), {"timezone"}, "the time zone"),
    ],
)
def test_how_it_enters_is_told_by_what_was_varied(
    text: str, calls: tuple[str, ...], factors: set[str], kind: str
) -> None:
    """Where one statement asks for several things."""
    place = SourceLine("train.py", 3, 3, "", text, calls)
    location = fitted(Location(origins=(place,), kind="computed here"), frozenset(factors))
    assert location.kind == kind


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ('LIMIT = 1 if "CI" in os.environ else 8', True),
        ("found = dict(os.environ)", True),
        ("for name, value in os.environ.items():", True),
        ("from os import environ", False),
        ('note = "set os.environ first"', False),
    ],
)
def test_a_variable_is_asked_for_in_many_ways(text: str, asks: bool) -> None:
    way = way_in((), text, reordered=False)
    assert (way is not None and way.what == "an environment variable") is asks


def test_setting_a_property_reads_what_the_object_was(tmp_path: Path) -> None:
    """It is no origin, though what is seen there is the whole object, which differs before."""
    parted, line = _part(
        tmp_path,
        """
        class Table:
            def __init__(self, cells):
                self.cells = cells
                self._names = ['a']
            names = property(lambda self: self._names)
            @names.setter
            def names(self, given):
                self._names = given
        cells = [n * LOT for n in range(3)]  # here
        table = Table(cells)
        del cells
        table.names = ['b']
        print(table.cells, table.names)
        """,
    )
    assert parted.lines == [line]
    assert parted.exchanged == parted.expected.stdout


def test_setting_a_property_of_a_table_is_no_origin(tmp_path: Path) -> None:
    """Whose own code sets it."""
    pytest.importorskip("pandas", reason="pandas is not installed beside the tests")
    parted, line = _part(
        tmp_path,
        """
        import pandas as pd
        frame = pd.DataFrame({'a': [1, 2, LOT]})  # here
        table = frame.groupby('a').size().to_frame()
        table.columns = ['count']
        print(table.to_json())
        """,
    )
    assert parted.lines == [line]
    assert parted.exchanged == parted.expected.stdout
