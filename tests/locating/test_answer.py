"""Two recordings of a program: where they part, and how that reaches what is written.

Each program is run twice on this machine, with another value of a variable, and watched.
"""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from pytest_mlcontainer.locating.answer import LocationCandidate, find, noise_of
from pytest_mlcontainer.locating.ways import reads_alone, way_in
from tests.inside.recorded import watch

IMPORTS = "import json, os, random, sys\nLOT = os.environ['LOT']\n"


def _find(folder: Path, program: str, one: str = "1", two: str = "2") -> LocationCandidate:
    """What is found, where the lot differs; the program's first line is line 3."""
    text = IMPORTS + textwrap.dedent(program).lstrip()
    sides = [watch(folder, text, env={"LOT": lot}) for lot in (one, two)]
    assert [side.code for side in sides] == [0, 0], sides[0].stderr
    assert sides[0].stdout != sides[1].stdout
    return find(sides[0].streams, sides[1].streams, ("stdout",))


def _origins(found: LocationCandidate) -> list[int]:
    return [each.line for each in found.location.origins]


def test_the_statement_that_makes_the_difference_is_the_origin(tmp_path: Path) -> None:
    """Not those that hand it on."""
    found = _find(
        tmp_path,
        """
        def load():
            rows = [n * len(os.environ['LOT']) for n in range(5)]
            return rows
        rows = load()
        total = sum(rows)
        print(total)
        """,
        two="22",
    )
    # LOT itself differs from line 2 on; what is printed does not come from there.
    assert _origins(found) == [4]
    assert found.location.kind == "an environment variable"
    assert [(each.expected, each.actual) for each in found.location.values] == [
        ("[0, 1, 2, 3, 4]", "[0, 2, 4, 6, 8]")
    ]


PROGRAMS = {
    "what lies deep in objects": (
        """
        class Part:
            def __init__(self, inner):
                self.inner = inner
        whole = Part([Part({"a": Part((Part(0.5),))})])
        deepest = whole.inner[0].inner["a"].inner[0]
        vars(deepest).update(inner=0.5 * int(os.environ['LOT']))
        score = sum([whole.inner[0].inner["a"].inner[0].inner])
        print(score)
        """,
        [8],
    ),
    "objects of other code that are called": (
        """
        exec("class Scale:\\n def __call__(self, each): return each * self.by")
        scale = Scale()
        scale.by = int(os.environ['LOT'])
        total = scale(7)
        print(total)
        """,
        [5],
    ),
    "what two containers share": (
        """
        class Layer:
            def __init__(self):
                self.weight = [0.5, 0.25]
        class Model:
            def __init__(self):
                self.layers = {"first": Layer()}
        class Optimizer:
            def __init__(self, model):
                self.groups = [{"weight": each.weight} for each in model.layers.values()]
        model = Model()
        optimizer = Optimizer(model)
        exec("def step(o):\\n for g in o.groups: g['weight'][0] *= int(os.environ['LOT'])")
        step(optimizer)
        print(model.layers["first"].weight)
        """,
        [15],
    ),
    "attributes of objects": (
        """
        class Model:
            def fit(self, data):
                self.weight = float(os.environ['LOT'])
                self.rows = len(data)
                return self
            def predict(self, data):
                return [self.weight * each for each in data]
        model = Model()
        model.fit([1, 2])
        print(model.predict([3, 4]))
        """,
        [5],
    ),
    "what a method did to its object": (
        """
        class Counter:
            def __init__(self):
                self.seen = {}
            def add(self):
                self.seen[os.environ['LOT']] = 1
        counter = Counter()
        counter.add()
        print(list(counter.seen))
        """,
        [7],
    ),
    "elements of containers": (
        """
        rows = [0, 0]
        for n in range(2):
            rows[n] = n + int(os.environ['LOT'])
        table = {'rows': rows}
        print(table)
        """,
        [5],
    ),
    "arguments that are computed in a call": (
        """
        def show(value):
            print(value)
        show(os.environ['LOT'] * 2)
        """,
        [5],
    ),
    "values of generators": (
        """
        def numbers():
            for n in range(3):
                yield n * int(os.environ['LOT'])
        found = []
        for each in numbers():
            found.append(each)
        print(found)
        """,
        [5],
    ),
    "another way that is taken": (
        """
        def size():
            if os.environ['LOT'] == '1':
                return 4
            return 7
        n = size()
        print(n)
        """,
        [4],
    ),
    "an exception on one side alone": (
        """
        def number():
            try:
                int(os.environ['LOT'])
            except ValueError:
                return 0
            return 1
        print(number())
        """,
        [5],
    ),
    "an open file": (
        """
        path = f'{LOT}.txt'
        with open(path, 'w') as file:
            file.write('x' * int(LOT))
        with open(path) as file:
            text = file.read()
        print(text)
        """,
        [2],
    ),
    "results of children": (
        """
        import multiprocessing
        def work(n):
            m = n + int(os.environ['LOT'])
            return m
        if __name__ == '__main__':
            with multiprocessing.get_context('fork').Pool(1) as pool:
                found = pool.map(work, [10, 20])
            print(found)
        """,
        [5],
    ),
    "numbers of children": (
        """
        import multiprocessing
        def estimate(n):
            seed = n + int(os.environ['LOT'])
            return random.Random(seed).gauss(0.0, 1.0)
        if __name__ == '__main__':
            with multiprocessing.get_context('fork').Pool(1) as pool:
                found = pool.map(estimate, range(6))
            print(found)
        """,
        [5],
    ),
    "functions that a library calls": (
        """
        def key(n):
            place = n * int(os.environ['LOT'])
            return place % 7
        found = sorted(range(9), key=key)
        print(found)
        """,
        [4],
    ),
    "a file that it wrote itself": (
        """
        with open('names.json', 'w') as file:
            names = os.environ['LOT'] * 2
            json.dump(names, file)
        with open('names.json') as file:
            again = json.load(file)
        print(again)
        """,
        [4],
    ),
    "a file of another name": (
        """
        for n in '12':
            with open(f'{n}.txt', 'w') as file:
                file.write('x' * int(n))
        path = os.environ['LOT'] + '.txt'
        with open(path) as file:
            text = file.read()
        print(text)
        """,
        [6],
    ),
    "a comprehension": (
        """
        names = {name: len(name) for name in [os.environ['LOT'], 'a']}
        print(sorted(names))
        """,
        [3],
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_it_is_followed_through(tmp_path: Path, name: str) -> None:
    """Whatever way a value takes through a program."""
    program, lines = PROGRAMS[name]
    found = _find(tmp_path, program, two="x" if "exception" in name else "2")
    assert _origins(found) == lines, found.location


@pytest.mark.parametrize(
    "reads",
    [
        "found = subprocess.run([sys.executable, 'child.py'], capture_output=True, text=True)\n"
        "        rows = json.loads(found.stdout)",
        "text = subprocess.check_output([sys.executable, 'child.py'], text=True)\n"
        "        rows = json.loads(text)",
    ],
)
def test_what_children_of_children_print_is_followed(tmp_path: Path, reads: str) -> None:
    """As text, whose values are not those that the program makes of it."""
    found = _find(
        tmp_path,
        f"""
        import subprocess
        GRANDCHILD = (
            "import json, os, sys",
            "keys = sorted('abcdefghijkl', reverse=os.environ['LOT'] == '2')",
            "rows = {{key: n for n, key in enumerate(keys)}}",
            "json.dump(rows, sys.stdout)",
        )
        CHILD = (
            "import subprocess, sys",
            "said = subprocess.run([sys.executable, 'grandchild.py'], text=True, stdout=-1)",
            "sys.stdout.write(said.stdout)",
        )
        for name, lines in (("child.py", CHILD), ("grandchild.py", GRANDCHILD)):
            with open(name, "w") as file:
                file.write("\\n".join(lines))
        {reads}
        print([n * n for n in rows.values()][0], list(rows))
        """,
    )
    assert [(each.file, each.line) for each in found.location.origins] == [("grandchild.py", 2)]


def test_what_does_not_reach_the_outputs_is_no_origin(tmp_path: Path) -> None:
    """Other values may differ as they like."""
    found = _find(
        tmp_path,
        """
        begun = os.environ['LOT'] + 'x'
        name = begun * 2
        sizes = [len(name), 1]
        score = int(os.environ['LOT']) / 3
        print(score)
        """,
    )
    assert _origins(found) == [6]


def test_two_origins_are_both_told(tmp_path: Path) -> None:
    """Where both reach what is written."""
    found = _find(
        tmp_path,
        """
        a = int(os.environ['LOT'])
        b = float(os.environ['LOT'])
        print(a, b)
        """,
    )
    assert _origins(found) == [3, 4]


def test_what_differs_in_every_run_is_no_origin_beside_another(tmp_path: Path) -> None:
    """A clock beside a drift."""
    text = (
        IMPORTS + "import time\nt = time.perf_counter()\nx = int(os.environ['LOT'])\nprint(x, t)\n"
    )
    sides = [watch(tmp_path, text, env={"LOT": lot}) for lot in ("1", "2", "1")]
    noise = noise_of(sides[0].streams, sides[2].streams)
    assert [each.line for each in noise] == [4]
    found = find(sides[0].streams, sides[1].streams, ("stdout",), noise)
    assert _origins(found) == [5]
    assert found.location.kind == "an environment variable"


def test_a_small_difference_that_becomes_large_and_another_choice(tmp_path: Path) -> None:
    """The amplifier and the decision are told beside the origin."""
    found = _find(
        tmp_path,
        """
        x = 1.0 + float(os.environ['LOT']) * 1e-9
        y = [x, 2.0]
        rest = x - 1.0
        chosen = int(rest > 1.5e-9)
        print(chosen)
        """,
    )
    assert _origins(found) == [3]
    amplifier, decision = found.location.amplifier, found.location.decision
    assert amplifier is not None
    assert amplifier.place.line == 5
    assert amplifier.read == pytest.approx(1e-9, rel=0.01)
    assert amplifier.bound == pytest.approx(1.0, rel=0.01)
    assert decision is not None
    assert decision.line == 6
    assert [each.place.line for each in found.location.steps] == [3, 5, 6, 7]


SEEDED = """
import time
def shuffled(count):
    found = list(range(count))
    random.shuffle(found)
    return found
random.seed({seed})
rows = shuffled(20)
began = {began}
print(rows[:5], began)
"""


def test_the_seed_is_the_origin_of_what_is_drawn(tmp_path: Path) -> None:
    """Not each statement that draws: with its state put in place all of them agree."""
    program = SEEDED.format(seed="sum(map(ord, os.environ['LOT']))", began=0)
    found = _find(tmp_path, program)
    assert _origins(found) == [8]
    assert found.location.kind == "a generator of random numbers, by its seed"
    assert [each.name for each in found.location.values] == ["state of random"]
    assert [aim.names for aim in found.origins] == [("(random)",)]


def test_with_one_seed_what_is_not_drawn_is_its_own_origin(tmp_path: Path) -> None:
    found = _find(tmp_path, SEEDED.format(seed=0, began="len(os.environ['LOT'])"), two="22")
    assert _origins(found) == [10]


def test_what_is_read_of_a_clock_is_not_put_down_to_a_seed(tmp_path: Path) -> None:
    program = SEEDED.format(seed="os.environ['LOT']", began="time.time_ns()")
    found = _find(tmp_path, program.replace("rows[:5]", "0"))
    assert _origins(found) == [10]
    assert found.location.kind == "the clock or the time zone"


def test_what_cannot_be_seen_is_not_said_to_be_equal(tmp_path: Path) -> None:
    """A generator holds what it was made of, and nobody can look into it."""
    found = _find(
        tmp_path,
        """
        def words(text):
            return (word for word in text.split(os.environ['LOT']))
        found = words("a1b2c1d")
        first = [next(found) for _ in range(2)]
        print(first)
        """,
    )
    assert found.location.kind == (
        "computed by next; what was seen of its inputs is equal on both sides"
    )


def test_the_order_of_a_set_is_called_so(tmp_path: Path) -> None:
    """And its mend is told."""
    program = "names = {'ab', 'cd', 'ef', 'gh', 'ij'}\nfirst = list(names)\nprint(first)\n"
    sides = [watch(tmp_path, program, env={"PYTHONHASHSEED": seed}) for seed in ("1", "2")]
    assert sides[0].stdout != sides[1].stdout
    found = find(sides[0].streams, sides[1].streams, ("stdout",))
    assert _origins(found) == [1]
    assert found.location.kind == "the order of a set, or a hash of text"
    # A set has no order that could be put into another process: the list of it has.
    assert [(each.line, each.names) for each in found.origins] == [(2, ("first",))]


def test_what_is_computed_as_it_is_written_is_a_guess(tmp_path: Path) -> None:
    """Nothing is bound that could be put elsewhere."""
    found = _find(tmp_path, "sys.stdout.write(os.environ.get('LOT'))\n")
    assert _origins(found) == [3]
    assert not found.origins
    assert "computed in the statement that writes it" in found.location.notes[0]


def test_a_program_that_parts_nowhere_has_no_origin(tmp_path: Path) -> None:
    """Nothing is claimed of it."""
    program = IMPORTS + "x = 3\nprint(x)\n"
    sides = [watch(tmp_path, program, env={"LOT": lot}).streams for lot in ("1", "1")]
    assert _origins(find(sides[0], sides[1], ("stdout",))) == []


def test_a_program_that_was_not_seen_has_no_origin(tmp_path: Path) -> None:
    """And why is told."""
    found = find((), (), ("stdout",))
    assert not found.location.origins
    assert "python -I" in found.location.notes[0]


def test_a_damaged_recording_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    """It comes from a container: nothing in it may end the session."""
    program = IMPORTS + "x = int(LOT)\nprint(x)\n"
    sides = [watch(tmp_path, program, env={"LOT": lot}) for lot in ("1", "2")]
    (file,) = sides[1].folder.glob("*.jsonl")
    whole = file.read_bytes()
    hostile = [
        b"[" * 100_000,
        b'["e",99,"t0",1,{},{}]',
        b'["k",1]',
        b'["s",0,{"file":1}]',
        b'["k","d",{"t":"array","shape":[1e999],"v":[{}],"p":"x","norm":[]}]',
        b"\xff\xfe\0",
        b'{"a":1}',
        b"null",
    ]
    file.write_bytes(b"\n".join([*hostile, whole[: len(whole) * 2 // 3]]))
    (folder := sides[1].folder / "x.jsonl").write_bytes(b"")
    assert folder.exists()
    found = find(sides[0].streams, sides[1].streams, ("stdout",))
    assert found.location.origins or found.location.notes


@pytest.mark.parametrize(
    ("call", "what", "mend"),
    [
        ("time.perf_counter", "how fast it runs", "number of steps"),
        ("time.monotonic_ns", "how fast it runs", "number of steps"),
        ("time.time", "the clock or the time zone", "in UTC"),
        ("locale.format_string", "the locale", "LC_ALL"),
    ],
)
def test_a_stop_watch_is_no_clock(call: str, what: str, mend: str) -> None:
    """What it shows has no zone, and no moment to pass in."""
    way = way_in((call,), "", reordered=False)
    assert way is not None
    assert (way.what, mend in way.mend) == (what, True)


@pytest.mark.parametrize(
    ("calls", "is_file"),
    [
        (("tuple", "map", "line.split", "open"), True),
        (("pd.read_csv",), True),
        (("json.loads", "Path.read_text", "Path"), True),
        (("np.load", ".sum"), False),
        (("line.split",), False),
    ],
)
def test_what_only_reads_a_file_is_not_said_to_compute(
    calls: tuple[str, ...], is_file: bool
) -> None:
    assert reads_alone(calls) == is_file
