"""Runs that die of what their image or their settings lack, in real containers."""

from __future__ import annotations

from tests.fixture_types import FailureOf
from tests.sample_project import MakeProject

CAUSES = """\
import ctypes, sys
from multiprocessing import shared_memory

match sys.argv[1]:
    case "library":
        ctypes.CDLL("libGL.so.1")
    case "driver":
        ctypes.CDLL("libcuda.so.1")
    case "memory":
        bytearray(1 << 50)
    case "shared":
        block = shared_memory.SharedMemory(create=True, size=128 << 20)
        block.buf[:] = bytes(128 << 20)
    case "survived":
        try:
            ctypes.CDLL("libGL.so.1")
        except OSError as error:
            print(error, file=sys.stderr)
"""

CASES = {
    "library": ("(the shared library libGL.so.1 is missing)", "apt-get install"),
    "driver": ("(it looks for a GPU, and the run has none)", 'gpus = "all" in [tool.mlcontainer.'),
    "memory": ("(it could not get the memory that it asked for)", "no `memory` is set"),
    "shared": ("exited with code 135 (a bus error)", "raise `shm-size` (64 MiB, the engine's"),
    "full": ("(shared memory, /dev/shm, ran out)", "raise `shm-size` (1 MiB now)"),
}


def test_a_run_that_lacks_something_says_what_and_which_setting_gives_it(
    project: MakeProject, failure_of: FailureOf, leaves_nothing: None
) -> None:
    """And one that printed the same words and went on is no failure."""
    names = [name for name in CASES if name != "full"]
    project.write(
        "".join(
            f'[tool.mlcontainer.entrypoints.{name}]\ncommand = ["python", "train.py", "{name}"]\n'
            for name in (*names, "survived")
        )
        + '[tool.mlcontainer.entrypoints.full]\nshm-size = "1m"\n'
        + 'command = ["dd", "if=/dev/zero", "of=/dev/shm/file", "bs=1M", "count=3"]\n',
        train=CAUSES,
    )
    result = project.run("-k", "not image")
    result.assert_outcomes(passed=1, failed=5)
    for name, (cause, remedy) in CASES.items():
        said = failure_of(result, f"{name}[")
        assert cause in said
        assert remedy in said
