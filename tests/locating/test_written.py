"""What a process asks for and writes at once, and another reads: piped, printed, in a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_mlcontainer.locating.answer import find
from tests.inside.recorded import watch
from tests.locating.parted import SIDES
from tests.locating.test_hidden import MARK, program_of

CHILDREN = {
    "printed and captured": """
        import subprocess, sys
        if len(sys.argv) > 1:
            print(LOT * 3)  # here
            sys.exit()
        done = subprocess.run([sys.executable, __file__, "x"], capture_output=True, text=True)
        found = int(done.stdout) + 1
        print(found)
        """,
    "printed, as a text": """
        import subprocess, sys
        if len(sys.argv) > 1:
            print("lot", LOT)  # here
            sys.exit()
        text = subprocess.check_output([sys.executable, __file__, "x"], text=True)
        found = text + "!"
        print(found)
        """,
    "a file": """
        import pathlib, subprocess, sys
        if len(sys.argv) > 1:
            pathlib.Path("rows.txt").write_text(str(LOT))  # here
            sys.exit()
        subprocess.check_call([sys.executable, __file__, "x"])
        found = float(pathlib.Path("rows.txt").read_text())
        print(found)
        """,
    "a pipe": """
        taken, given = os.pipe()
        if os.fork() == 0:
            os.write(given, str(LOT).encode())  # here
            os._exit(0)
        os.wait()
        found = os.read(taken, 100).decode()
        print(found)
        """,
    "a connection": """
        import multiprocessing
        def work(given):
            given.send(LOT)  # here
            given.close()
        if __name__ == "__main__":
            taken, given = multiprocessing.Pipe()
            child = multiprocessing.get_context("fork").Process(target=work, args=(given,))
            child.start()
            found = taken.recv() * 2
            child.join()
            print(found)
        """,
    "a queue": """
        import multiprocessing
        def work(queue):
            queue.put(LOT)  # here
        if __name__ == "__main__":
            queue = multiprocessing.get_context("fork").Queue()
            child = multiprocessing.get_context("fork").Process(target=work, args=(queue,))
            child.start()
            found = queue.get() * 2
            child.join()
            print(found)
        """,
}


@pytest.mark.parametrize("name", CHILDREN)
def test_what_a_child_asks_for_and_writes_at_once_is_named(tmp_path: Path, name: str) -> None:
    """Not the line that receives it; and nothing is proved, since nobody saw what was written."""
    text = program_of(CHILDREN[name])
    line = next(n for n, each in enumerate(text.splitlines(), 1) if each.endswith(MARK))
    expected, actual = (watch(tmp_path, text, env=env) for env in SIDES)
    found = find(expected.streams, actual.streams, ("stdout",))
    assert [each.line for each in found.location.origins][:1] == [line], found.location
    assert found.unseen
