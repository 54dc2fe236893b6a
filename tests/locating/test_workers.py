"""What workers compute and hand on: through queues and pipes, in threads and forked children."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from pytest_mlcontainer.locating.answer import find, noise_of
from tests.inside.recorded import watch
from tests.locating.parted import SIDES, part

LOT = "int(os.environ['LOT'])"
PROGRAMS = {
    "a thread": """
        import os, queue, threading
        inbox, outbox = queue.Queue(), queue.Queue()
        def work():
            while (n := inbox.get()) is not None:
                found = n + LOT  # here
                outbox.put(found * 2)
        thread = threading.Thread(target=work)
        thread.start()
        for n in (1, 2, None):
            inbox.put(n)
        thread.join()
        rows = [outbox.get() for _ in range(2)]
        print(rows)
        """,
    "a child": """
        import multiprocessing, os
        def child(end):
            found = LOT  # here
            end.send([found + 1, 3])
        context = multiprocessing.get_context("fork")
        here, there = context.Pipe()
        process = context.Process(target=child, args=(there,))
        process.start()
        first, second = here.recv()
        process.join()
        print(first * second)
        """,
    "a child that is a class of its own": """
        import multiprocessing, os
        class Worker(multiprocessing.get_context("fork").Process):
            def __init__(self, inbox, outbox):
                super().__init__()
                self.inbox, self.outbox = inbox, outbox
            def run(self):
                while (n := self.inbox.get()) is not None:
                    found = n + LOT  # here
                    self.outbox.put((n, found * 2))
        context = multiprocessing.get_context("fork")
        inbox, outbox = context.Queue(), context.Queue()
        worker = Worker(inbox, outbox)
        worker.start()
        for n in (1, 2, None):
            inbox.put(n)
        rows = dict(outbox.get() for _ in range(2))
        worker.join()
        print(sorted(rows.items()))
        """,
    "a forked child that writes into a pipe": """
        import os
        def child(end):
            rate = 2 * LOT  # here
            os.write(end, str(rate + 1).encode())
        here, there = os.pipe()
        if os.fork() == 0:
            child(there)
            os._exit(0)
        os.close(there)
        found = int(os.read(here, 100))
        os.wait()
        print(found)
        """,
    "a child of a library's, that asks for items": """
        import multiprocessing, os
        class Items:
            def __len__(self):
                return 3
            def __getitem__(self, n):
                shift = LOT * n  # here
                return n + shift
        # As a loader of PyTorch's with workers.
        exec('''
        def run(items, end):
            end.send([items[n] * 2 for n in range(len(items))])
        def loaded(items):
            context = multiprocessing.get_context("fork")
            here, there = context.Pipe()
            process = context.Process(target=run, args=(items, there))
            process.start()
            yield from here.recv()
            process.join()
        '''.replace("\\n        ", "\\n"))
        total = 0
        for item in loaded(Items()):
            total += item
        print(total)
        """,
    "this process, for a child": """
        import multiprocessing, os
        def child(inbox, outbox):
            outbox.put(inbox.get() * 3)
        context = multiprocessing.get_context("fork")
        inbox, outbox = context.Queue(), context.Queue()
        process = context.Process(target=child, args=(inbox, outbox))
        process.start()
        found = LOT  # here
        inbox.put(found + 1)
        result = outbox.get()
        process.join()
        print(result)
        """,
    "a pool, in the order in which they come": """
        import os
        from concurrent.futures import ThreadPoolExecutor
        # As `as_completed` may give them: each side has its own order.
        exec("def gathered(some): return [each.result() for each in some][:: 3 - 2 * LOT]")
        def work(n):
            found = n + 10 * LOT  # here
            return found
        with ThreadPoolExecutor(1) as pool:
            futures = [pool.submit(work, n) for n in range(4)]
        rows = gathered(futures)
        print(sorted(rows))
        """,
}


def _program(text: str) -> str:
    return textwrap.dedent(text).strip().replace("LOT", LOT) + "\n"


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_is_put_by_another_worker_is_followed(tmp_path: Path, name: str) -> None:
    """To the line that computes it there, not to the one that takes it."""
    program = _program(PROGRAMS[name])
    line = next(n for n, text in enumerate(program.splitlines(), 1) if text.endswith("# here"))
    parted = part(tmp_path, program)
    assert parted.lines == [line], parted.found.location


def test_functions_that_are_sent_to_other_processes_are_the_projects(tmp_path: Path) -> None:
    """As cloudpickle makes them there: of joblib's, Ray's and Spark's workers."""
    program = _program("""
        import os, types
        def fit(n):
            rate = n * LOT  # here
            return rate + 1
        def sent(function):
            code = function.__code__.replace(co_filename="<dynamic-code>")
            return types.FunctionType(code, {"__file__": __file__, "int": int, "os": os})
        copy = sent(fit)
        del fit
        rows = list(map(copy, [1, 2]))
        print(rows)
        """)
    assert part(tmp_path, program).lines == [3]


SHARED = """
import multiprocessing, os
exec('''
def run(starts, end):
    end.send([walk(each) for each in starts])
def gathered():
    context, found = multiprocessing.get_context("fork"), []
    cut = (7, 4)[LOT - 1]
    for starts in (range(cut), range(cut, 8)):
        here, there = context.Pipe()
        process = context.Process(target=run, args=(starts, there))
        process.start()
        found += here.recv()
        process.join()
    return found
''')
def walk(start):
    value = start
    for n in range(10):
        value += n * LOT  # here
    return value
rows = gathered()
print(rows)
"""


def test_what_is_looked_at_seldom_in_one_child_is_no_other_way(tmp_path: Path) -> None:
    """A child that is given more of the tasks looks at fewer turns of the last ones."""
    program = _program(SHARED)
    line = next(n for n, text in enumerate(program.splitlines(), 1) if text.endswith("# here"))
    sides = [watch(tmp_path, program, env=lot).streams for lot in SIDES]
    location = find(sides[0], sides[1], ("stdout",)).location
    assert {*(each.line for each in location.origins), line} == {line}, location


def test_what_a_process_has_for_itself_is_no_difference(tmp_path: Path) -> None:
    """A key and an id of the interpreter's, new in each run."""
    program = _program(PROGRAMS["a child that is a class of its own"])
    first, second = (watch(tmp_path, program, env={"LOT": "1"}).streams for _ in range(2))
    assert noise_of(first, second) == frozenset()
