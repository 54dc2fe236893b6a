"""What one program of a shell hands on to the next in a file is traced to the line that made it."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from tests.locating.parted import LOT, part

MARK = "  # here"
HANDED = {
    "a database": (
        """
        import os, sqlite3
        from contextlib import closing
        def connect(path):
            base = sqlite3.connect(path)
            return base
        def fill(base):
            rows = [(n, n * LOT) for n in range(4)]  # here
            cursor = base.cursor()
            cursor.executemany('INSERT INTO t VALUES (?, ?)', rows)
        with closing(connect('load.db')) as base:
            base.execute('CREATE TABLE t (a INTEGER, b INTEGER)')
            fill(base)
            base.commit()
        """,
        """
        import sqlite3
        def rows(path):
            with sqlite3.connect(path) as base:
                return [b for b, in base.execute('SELECT b FROM t')]
        found = rows('load.db')
        print(sum(found), found)
        """,
    ),
    "a database that gets what a function returns": (
        """
        import os, sqlite3
        def rate(n):
            return n * LOT + 0.5  # here
        base = sqlite3.connect('load.db')
        base.execute('CREATE TABLE t (a INTEGER, b REAL)')
        for n in range(4):
            base.execute('INSERT INTO t VALUES (?, ?)', (n, rate(n)))
        base.commit()
        """,
        """
        import sqlite3
        base = sqlite3.connect('load.db')
        total = base.execute('SELECT SUM(b) FROM t').fetchone()
        print(total)
        """,
    ),
    "an array, whose file gets a suffix": (
        """
        import os
        import numpy as np
        values = np.arange(4) * LOT  # here
        np.save('load', values)
        """,
        """
        import numpy as np
        values = np.load('load.npy')
        print(values.sum())
        """,
    ),
    "a model, which a function of the next returns": (
        """
        import os, pickle
        def main():
            model = {'w': [n * LOT for n in range(4)]}  # here
            with open('model.pkl', 'wb') as file:
                pickle.dump(model, file)
        main()
        """,
        """
        import pickle
        def load(path='model.pkl'):
            with open(path, 'rb') as file:
                return pickle.load(file)
        print(sum(load()['w']))
        """,
    ),
}


def _shell(folder: Path, sources: tuple[str, ...]) -> tuple[str, str]:
    """A program that runs others one after the other in a shell, and the first one's text."""
    texts = [textwrap.dedent(each).strip().replace("LOT", LOT) + "\n" for each in sources]
    names = [folder / f"{number}.py" for number in range(len(texts))]
    lines = ["import shutil, subprocess, sys"]
    for name, text in zip(names, texts, strict=True):
        name.write_text(text)
        lines.append(f"shutil.copy({str(name)!r}, {name.name!r})")
    shell = " && ".join(f"{{sys.executable}} {name.name}" for name in names)
    lines.append(f"found = subprocess.run(f'{shell}', shell=True, stdout=-1, text=True)")
    return "\n".join([*lines, "print(found.stdout)", ""]), texts[0]


@pytest.mark.parametrize("case", HANDED)
def test_the_program_that_wrote_it_is_where_it_comes_in(tmp_path: Path, case: str) -> None:
    """And not the one that reads it; with its values put there the outputs agree."""
    kept = tmp_path / "kept"
    kept.mkdir()
    program, first = _shell(kept, HANDED[case])
    line = next(n for n, each in enumerate(first.splitlines(), 1) if each.endswith(MARK))

    parted = part(tmp_path, program)

    places = [(each.file, each.line) for each in parted.found.location.origins]
    assert places == [("0.py", line)], parted.found.location
    assert parted.exchanged == parted.expected.stdout
