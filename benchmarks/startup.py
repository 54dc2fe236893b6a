"""What pytest pays for the plugin when it is not used, and how fast the command starts."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import Figure, Seconds, in_turns, median_ms, timed

NAME = "startup"
ROUNDS = 30
_BAR_MS = 10.0
_TABLE_BAR_MS = 150.0
_COMMAND_BAR_MS = 500.0
_COMMAND_ROUNDS = 10
_COMMAND = "import sys; from pytest_mlcontainer.cli import main; sys.exit(main())"
_TABLE = '[tool.mlcontainer.entrypoints.train]\ncommand = ["python", "train.py"]\n'
# Out of both sides: these take longer than pytest itself (pytest-randomly imports numpy), and what
# is looked for is small.
_WITHOUT_OTHERS = tuple(
    word
    for plugin in ("randomly", "hypothesispytest", "xdist", "xdist.looponfail")
    for word in ("-p", f"no:{plugin}")
)


def figures(rounds: int) -> Iterator[Figure]:
    """Wall clock and CPU time of pytest on one empty test, with the plugin and without it, and
    CPU time beside a table whose items it skips."""
    with tempfile.TemporaryDirectory(prefix="mlcontainer-bench-") as folder:
        root = Path(folder)
        (root / "pytest.ini").write_text("[pytest]\n")
        (root / "test_nothing.py").write_text("def test_nothing():\n    pass\n")
        cpu: dict[str, list[float]] = {"with": [], "without": []}
        wall = in_turns(
            {
                "with": lambda: _pytest(root, cpu["with"]),
                "without": lambda: _pytest(root, cpu["without"], "-p", "no:mlcontainer"),
            },
            rounds,
        )
        busy = {name: tuple(seconds[1:]) for name, seconds in cpu.items()}
        yield _more(wall, "wall clock, --container absent")
        yield _more(busy, "user + sys, --container absent")
        (root / "pyproject.toml").write_text(_TABLE)
        cpu["with"].clear()
        in_turns({"with": lambda: _pytest(root, cpu["with"])}, rounds)
        beside = busy | {"with": tuple(cpu["with"][1:])}
        yield _more(beside, "user + sys, a table, --container absent", _TABLE_BAR_MS)
        yield _command(root)


def _more(taken: dict[str, Seconds], what: str, bar_ms: float = _BAR_MS) -> Figure:
    having, lacking = median_ms(taken["with"]), median_ms(taken["without"])
    detail = f"{having:.0f} ms - {lacking:.0f} ms"
    return Figure(NAME, what, having - lacking, bar_ms, "ms", detail)


def _command(root: Path) -> Figure:
    """Wall clock of `mlcontainer compare` on two folders without records: its start alone."""
    folders = [root / "first", root / "second"]
    for folder in folders:
        folder.mkdir()

    def start() -> None:
        ended = subprocess.run(
            [sys.executable, "-c", _COMMAND, "compare", *map(str, folders)],
            env=_environ(root),
            capture_output=True,
            text=True,
            check=False,
        )
        if "there are no records here" not in ended.stderr:
            raise RuntimeError(f"mlcontainer compare said {ended.stdout}{ended.stderr}")

    value = median_ms(in_turns({"start": timed(start)}, _COMMAND_ROUNDS)["start"])
    return Figure(NAME, "mlcontainer compare, its start", value, _COMMAND_BAR_MS, "ms", "")


def _pytest(root: Path, cpu: list[float], *words: str) -> float:
    """Seconds of wall clock; those of the CPU are appended to `cpu`."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", *_WITHOUT_OTHERS, *words],
        cwd=root,
        env=_environ(root),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _pid, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"pytest {' '.join(words)} ended with {process.returncode}")
    cpu.append(used.ru_utime + used.ru_stime)
    return time.perf_counter() - started


def _environ(root: Path) -> dict[str, str]:
    """With compiled modules, as an installed plugin has them, whatever is set here."""
    environ = {**os.environ, "PYTHONPYCACHEPREFIX": str(root / "compiled")}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    return environ
