"""The recorder sees what a program does, and changes nothing of it."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from pytest_mlcontainer import inside
from pytest_mlcontainer.model import Aim
from tests.inside.recorded import watch

OLDEST = (3, 8)


def _program(text: str) -> str:
    return textwrap.dedent(text).lstrip()


@pytest.mark.parametrize("name", sorted(inside.recorder_files()))
def test_pythons_from_3_8_on_can_parse_it_and_it_needs_the_standard_library_alone(
    name: str,
) -> None:
    """Images have Pythons of many years, and what is in them is the project's business."""
    tree = ast.parse(inside.recorder_files()[name], feature_version=OLDEST)
    found = {
        module.partition(".")[0]
        for node in ast.walk(tree)
        for module in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom) and not node.level
            else []
        )
    }
    ours = {"mlcontainer_recorder"}
    assert found - ours <= set(sys.stdlib_module_names)


def test_what_statements_read_and_bind_is_recorded(tmp_path: Path) -> None:
    """With the values, in the order of execution, in the tree of calls."""
    seen = watch(
        tmp_path,
        _program("""
            def double(x):
                return x * 2
            total = 0
            for n in [1, 2]:
                total += double(n)
            print(total)
        """),
    )
    assert (seen.stdout, seen.code) == ("6\n", 0)
    (stream,) = seen.streams
    assert stream.ended
    events = [each for each in stream.events if each.site is not None and each.site.line == 2]
    values = [stream.sketches[each.bound["return"]]["v"] for each in events]
    assert values == ["2", "4"]
    assert [each.path for each in events] == [
        "t0><module>#1/5:1>double#1",
        "t0><module>#1/5:2>double#1",
    ]
    (last,) = [each for each in stream.events if each.site is not None and each.site.line == 6]
    assert stream.sketches[last.read["total"]]["v"] == "6"


def test_outputs_paths_and_modules_are_as_without_it(tmp_path: Path) -> None:
    """What the program sees of its own surroundings is the same, but for the variables."""
    program = _program("""
        import json, sys, threading
        import sitecustomize
        hidden = ("recorder", "recording")
        print(json.dumps([sys.path[1:], sys.argv, sitecustomize.__file__, sitecustomize.MINE]))
    """)
    packages = tmp_path / "packages"
    packages.mkdir()
    (packages / "sitecustomize.py").write_text("MINE = 'of the image'\n")
    (tmp_path / "runs").mkdir()
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "program.py").write_text(program)
    done = subprocess.run(
        [sys.executable, "program.py"],
        cwd=plain,
        env={"PYTHONPATH": str(packages)},
        capture_output=True,
        text=True,
        check=True,
    )
    recorder = tmp_path / "runs" / "0-recorder"
    seen = watch(tmp_path / "runs", program, env={"PYTHONPATH": f"{recorder}:{packages}"})
    assert json.loads(seen.stdout) == json.loads(done.stdout)
    assert json.loads(seen.stdout)[-1] == "of the image"


def test_nothing_of_a_value_is_called(tmp_path: Path) -> None:
    """Values may raise, hang or change when they are asked for anything."""
    seen = watch(
        tmp_path,
        _program("""
            class Touchy:
                def __init__(self):
                    self.inner = {"a": 1}
                def _no(self, *args):
                    raise SystemExit("touched")
                __eq__ = __ne__ = __repr__ = __str__ = __len__ = __iter__ = __bool__ = _no
                __getattr__ = __call__ = __array__ = __format__ = __reduce_ex__ = _no
                __hash__ = None
                @property
                def shape(self):
                    raise SystemExit("touched")
            def lazy():
                print("consumed")
                yield 1
            touchy = Touchy()
            waiting = lazy()
            both = [touchy, waiting]
            held = {"t": touchy}
            s = touchy.inner
            print("done")
        """),
    )
    assert (seen.stdout, seen.stderr, seen.code) == ("done\n", "", 0)
    assert seen.streams[0].ended


def test_threads_and_children_have_streams_of_their_own(tmp_path: Path) -> None:
    """Forked and spawned children too, by the order in which they began."""
    seen = watch(
        tmp_path,
        _program("""
            import multiprocessing, os, subprocess, sys, threading
            def work(n):
                m = n + 1
                return m
            if __name__ == "__main__":
                thread = threading.Thread(target=work, args=(10,))
                thread.start()
                thread.join()
                with multiprocessing.get_context("fork").Pool(1) as pool:
                    found = pool.map(work, [20])
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    found += pool.map(work, [30])
                print(found)
        """),
    )
    assert (seen.stdout, seen.code) == ("[21, 31]\n", 0)
    first, *others = seen.streams
    assert first.name == "0"
    assert {each.name.partition(".")[0] for each in others} == {"0"}
    paths = {each.path.partition(">")[0] for each in first.events}
    assert paths == {"t0", "t1"}
    bound = {
        stream.sketches[event.bound["m"]]["v"]
        for stream in others
        for event in stream.events
        if "m" in event.bound
    }
    assert bound == {"21", "31"}


def test_generators_and_exceptions_keep_their_places(tmp_path: Path) -> None:
    """A generator goes on where it was; what raised is told with the exception's name."""
    seen = watch(
        tmp_path,
        _program("""
            def numbers():
                for n in range(2):
                    yield n * 10
            def bad(n):
                raise ValueError(n)
            found = []
            for each in numbers():
                try:
                    bad(each)
                except ValueError as error:
                    found.append(each)
            print(found)
        """),
    )
    assert seen.stdout == "[0, 10]\n"
    (stream,) = seen.streams
    raised = [each.raised for each in stream.events if each.raised]
    assert raised == ["ValueError", "ValueError"]
    paths = {each.path for each in stream.events if each.site is not None and each.site.line == 3}
    assert paths == {"t0><module>#1/7:1>numbers#1"}


def test_a_long_loop_costs_little_to_write(tmp_path: Path) -> None:
    """What is executed very often is thinned; what comes after it is not."""
    seen = watch(
        tmp_path,
        _program("""
            total = 0
            for n in range(300_000):
                total += n % 7
            after = total + 1
            print(after)
        """),
    )
    assert seen.code == 0
    assert sum(each.stat().st_size for each in seen.folder.iterdir()) < 300_000
    assert seen.lines.count(3) < 200
    assert seen.lines[-2:] == [4, 5]


def test_of_a_function_called_often_late_calls_are_seen_whole(tmp_path: Path) -> None:
    text = """
        def step(a):
            b = a + 1
            for n in range(40):
                b = b * 2 % 1009
                if n in (20, 21, 22):
                    c = b
            return c

        state = 1
        for turn in range(300):
            state = step(state)
    """
    seen = watch(tmp_path, _program(text)).streams[0].events
    texts = [each.site.text for each in seen if each.site is not None]
    returned = [each for each in texts if each.startswith("return")]
    inner = [each for each in texts if "1009" in each]
    assert len(returned) == 66
    # The first 64 times, at 128 to 2048, and the first two times in each late call.
    assert len(inner) == 64 + 5 + 2 * 2
    # So it is of what comes after statements that are only counted: at 128, and in late calls.
    assert texts.count("c = b") == 64 + 1 + 2 * 2


def test_a_dense_recording_has_the_beginning_whole(tmp_path: Path) -> None:
    """As far as there is room."""
    program = "x = 0\nfor n in range(3000):\n    x = x + n\nprint(x)\n"
    assert watch(tmp_path, program, dense=True).lines.count(3) == 3000
    assert watch(tmp_path, program).lines.count(3) < 200


def test_values_of_one_run_are_put_into_another(tmp_path: Path) -> None:
    """Local names, attributes, elements of lists, and names of the module."""
    program = _program("""
        import os
        class Model:
            pass
        def draw():
            local = os.environ["LOT"]
            copy = local
            return copy
        model = Model()
        model.weight = float(os.environ["LOT"])
        items = [0]
        items[0] = os.environ["LOT"]
        top = os.environ["LOT"]
        print(draw(), model.weight, items, top)
    """)
    aims = tuple(
        Aim(number, "0", "program.py", line, (name,))
        for number, (line, name) in enumerate(
            [(5, "local"), (9, "model.weight"), (11, "items"), (12, "top")]
        )
    )
    kept = watch(tmp_path, program, env={"LOT": "1"}, aims=aims, records=False)
    assert kept.stdout == "1 1.0 ['1'] 1\n"
    values = kept.folder / "values.pickle"
    put = watch(tmp_path, program, env={"LOT": "2"}, aims=aims, values=values)
    assert put.stdout == kept.stdout
    assert put.streams[0].unput == {}
    some = watch(tmp_path, program, env={"LOT": "2"}, aims=aims[:1], values=values, records=False)
    assert some.stdout == "1 2.0 ['2'] 2\n"


def test_what_is_returned_is_put_where_nothing_binds_it(tmp_path: Path) -> None:
    """Of functions, methods, those below decorators, closures and recursion; each turn its own."""
    program = _program("""
        import functools
        import os
        def doubled(function):
            @functools.wraps(function)
            def call(*args):
                return 2 * function(*args)
            return call
        class Model:
            base = 0
            @classmethod
            def __lot(cls, n):
                return cls.base + n * int(os.environ["LOT"])
            @property
            def size(self):
                def inner():
                    return self.base + int(os.environ["LOT"])
                return inner()
            def lots(self):
                return [self.__lot(n) for n in range(3)]
        @doubled
        def draw(n):
            if n:
                return draw(n - 1) + int(os.environ["LOT"])
            return int(
                os.environ["LOT"]
            )
        print(Model().lots(), Model().size, draw(2), [draw(0)])
    """)
    lines = [
        number
        for number, line in enumerate(program.splitlines(), 1)
        if "return" in line and "LOT" in (line + program.splitlines()[number])
    ]
    assert len(lines) == 4
    aims = tuple(
        Aim(number, "0", "program.py", line, ("return",)) for number, line in enumerate(lines)
    )
    kept = watch(tmp_path, program, env={"LOT": "3"}, aims=aims, records=False)
    assert kept.stdout == "[0, 3, 6] 3 42 [6]\n", kept.stderr
    values = kept.folder / "values.pickle"
    for records in (False, True):
        put = watch(tmp_path, program, env={"LOT": "5"}, aims=aims, values=values, records=records)
        assert put.stdout == kept.stdout
        assert put.streams[0].unput == {}
    some = watch(tmp_path, program, env={"LOT": "5"}, aims=aims[:1], values=values)
    assert some.stdout == "[0, 3, 6] 5 70 [10]\n"


def test_each_turn_of_a_loop_gets_its_own_value(tmp_path: Path) -> None:
    """A statement computes otherwise each time that it is executed."""
    program = _program("""
        import os
        found = []
        for n in range(5):
            x = n * int(os.environ["LOT"])
            found.append(x)
        print(found)
    """)
    aims = (Aim(0, "0", "program.py", 4, ("x",)),)
    kept = watch(tmp_path, program, env={"LOT": "3"}, aims=aims, records=False)
    values = kept.folder / "values.pickle"
    put = watch(tmp_path, program, env={"LOT": "5"}, aims=aims, values=values, records=False)
    assert put.stdout == "[0, 3, 6, 9, 12]\n"


def test_what_cannot_be_pickled_is_said(tmp_path: Path) -> None:
    """Then nothing is put there."""
    program = "x = (n for n in range(3))\nprint(next(x))\n"
    aims = (Aim(0, "0", "program.py", 1, ("x",)),)
    assert watch(tmp_path, program, aims=aims, records=False).streams[0].unput == {0: ["x"]}


def test_a_program_with_a_trace_function_of_its_own_goes_on(tmp_path: Path) -> None:
    """It works as it does otherwise, and that it was not seen is said."""
    seen = watch(
        tmp_path,
        _program("""
            import sys
            lines = []
            def trace(frame, event, argument):
                lines.append(event)
                return trace
            sys.settrace(trace)
            def f():
                return 1
            f()
            sys.settrace(None)
            print(len(lines) > 1)
        """),
    )
    assert (seen.stdout, seen.code) == ("True\n", 0)
    assert seen.streams[0].lost or sys.version_info >= (3, 12)


def test_a_program_that_is_killed_leaves_what_it_did_before(tmp_path: Path) -> None:
    """And its stream does not say that it ended."""
    seen = watch(
        tmp_path,
        _program("""
            import os, signal
            def f():
                x = 1
            f()
            for n in range(5000):
                y = [n] * 3
            os.kill(os.getpid(), signal.SIGKILL)
        """),
        dense=True,
    )
    assert seen.code == -9
    assert not seen.streams[0].ended
    assert 3 in seen.lines


def test_a_folder_that_cannot_be_written_to_changes_nothing(tmp_path: Path) -> None:
    """The program runs; nothing is recorded."""
    seen = watch(
        tmp_path, "print('works')\n", env={"MLCONTAINER_RECORDING": str(tmp_path / "nowhere")}
    )
    assert (seen.stdout, seen.code) == ("works\n", 0)
    assert "nothing is recorded" in seen.stderr


def test_an_isolated_python_is_not_seen(tmp_path: Path) -> None:
    """It does not look at PYTHONPATH."""
    seen = watch(tmp_path, "print('works')\n", arguments=("-I",))
    assert (seen.stdout, seen.streams) == ("works\n", ())


def test_installed_packages_are_watched_where_they_are_the_projects_own(tmp_path: Path) -> None:
    """By their names; others run as they are."""
    library = tmp_path / "lib" / "site-packages"
    for name in ("mine", "theirs"):
        (library / name).mkdir(parents=True)
        (library / name / "__init__.py").write_text("def f():\n    x = 5\n    return x\n")
    (tmp_path / "runs").mkdir()
    program = (
        f"import sys\nsys.path.append({str(library)!r})\n"
        "import mine, theirs\nprint(mine.f() + theirs.f())\n"
    )
    seen = watch(tmp_path / "runs", program, packages=("mine",))
    files = {each.site.file for each in seen.streams[0].events if each.site is not None}
    assert any("mine" in each for each in files)
    assert not any("theirs" in each for each in files)


def test_what_a_compiled_function_reads_is_read_where_it_is_called(tmp_path: Path) -> None:
    """No line of it runs; its names are seen, not attributes that are called like variables."""
    text = """
        class Compiled:
            def __init__(self, function):
                self.__wrapped__ = function

            def __call__(self, x):
                return x * 3

        scale, offset, real = 2, 1, 5

        def shifted(x):
            return x + offset

        @Compiled
        def scaled(x):
            return shifted(x * scale).real

        x = 4
        y = scaled(x)
    """
    events = watch(tmp_path, _program(text)).streams[0].events
    read = next(each.read for each in events if each.site and each.site.text == "y = scaled(x)")
    assert set(read) == {"x", "scale", "offset"}


def test_code_that_a_library_generates_is_not_the_projects(tmp_path: Path) -> None:
    """TensorFlow writes functions that it compiles into files of its own in a folder for such."""
    text = """
        import pathlib, runpy, tempfile

        folder = pathlib.Path(tempfile.mkdtemp())
        for name in ("__autograph_generated_filex.py", "own.py"):
            folder.joinpath(name).write_text("inside = 1\\n")
            runpy.run_path(str(folder / name))
    """
    events = watch(tmp_path, _program(text)).streams[0].events
    files = [each.site.file for each in events if each.site and each.site.text == "inside = 1"]
    assert [Path(each).name for each in files] == ["own.py"]


def test_a_generator_whose_library_is_imported_meanwhile_was_not_seeded(tmp_path: Path) -> None:
    """A generator of one's own is seeded there, which imports NumPy."""
    program = """
import random
exec("class Own:\\n def seed(self, n):\\n  import numpy.random\\n  return self")
own = Own().seed(1)
random.seed(3)
"""
    events = {
        each.site.line: each for each in watch(tmp_path, program).streams[0].events if each.site
    }
    assert "(numpy.random)" not in events[4].bound
    assert "(random)" in events[5].bound
