"""The library that gives any program another clock, or another order of files."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from pytest_mlcontainer.variations import preload
from scripts.native import COMPILERS
from scripts.preload import PRELOAD

BASE = "python:3.13-slim"
# QEMU's own default CPU for arm64 computes pointer authentication in software, six times slower.
QUICKLY = {"QEMU_CPU": "neoverse-n1"}
SOURCE = Path(preload.__file__).with_name("preload.c")
OFFSET_S = 401 * 86_400
THEN_S = 1_000_000_000

Loaded = Callable[..., str]


@pytest.fixture
def loaded(engine: docker.APIClient) -> Iterator[Loaded]:
    """Runs a command in a container that has the library; gives what it printed."""
    made: list[str] = []

    def run(platform: str, *command: str, library: bytes | None = None, **env: str) -> str:
        environment = {**QUICKLY, **env, **dict([preload.preload_env(None)])}
        # The other platform's may be missing: no test before has to have needed it.
        engine.pull(BASE, platform=platform)
        container = engine.create_container(
            BASE, list(command), platform=platform, environment=environment
        )["Id"]
        made.append(container)
        content = library or preload.library(platform.partition("/")[2])
        assert content is not None
        engine.put_archive(container, "/", packed(content))
        engine.start(container)
        code = engine.wait(container, timeout=300)["StatusCode"]
        printed = engine.logs(container).decode()
        assert code == 0, printed
        return printed

    yield run
    for container in made:
        engine.remove_container(container, force=True)


def packed(content: bytes) -> bytes:
    """A tar of the library at its place."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        member = tarfile.TarInfo(f"{preload.FOLDER}/{preload.NAME}".lstrip("/"))
        member.size, member.mode = len(content), 0o644
        tar.addfile(member, io.BytesIO(content))
    return raw.getvalue()


def test_there_is_one_for_both_architectures_and_none_for_others() -> None:
    """The package holds them ready; what has none is told so by None."""
    machines = {}
    for architecture in ("amd64", "arm64"):
        content = preload.library(architecture)
        assert content is not None
        assert content[:4] == b"\x7fELF"
        machines[architecture] = int.from_bytes(content[18:20], "little")
    assert machines == {"amd64": 62, "arm64": 183}
    assert preload.library("riscv64") is None
    assert preload.library("../amd64") is None


@pytest.mark.parametrize(
    ("existing", "value"),
    [
        (None, ""),
        ("", ""),
        ("/lib/a.so", ":/lib/a.so"),
        ("/lib/a.so /lib/b.so", ":/lib/a.so:/lib/b.so"),
        (f"{preload.FOLDER}/{preload.NAME}:/lib/a.so", ":/lib/a.so"),
    ],
)
def test_what_an_image_preloads_stays(existing: str | None, value: str) -> None:
    """Ours comes first, once, and the others behind it."""
    ours = f"{preload.FOLDER}/{preload.NAME}"
    assert preload.preload_env(existing) == ("LD_PRELOAD", ours + value)


def test_the_libraries_are_those_of_the_source() -> None:
    """Nobody edits the source without compiling it: `scripts/preload.py` writes the digest."""
    sums = SOURCE.with_name("SHA256SUMS").read_text(encoding="ascii")
    assert sums == PRELOAD.sums()
    assert [line.split()[1] for line in sums.splitlines()] == ["preload.c", "amd64.so", "arm64.so"]


EACH_PLATFORM = pytest.mark.parametrize(
    "on", ["native", pytest.param("foreign", marks=pytest.mark.emulation)]
)


@EACH_PLATFORM
def test_the_clock_is_shifted(loaded: Loaded, on: str, request: pytest.FixtureRequest) -> None:
    """All that tell the time of day agree that it is another day."""
    printed = loaded(
        request.getfixturevalue(on), "python", "-c", TIMES, MLCONTAINER_CLOCK_OFFSET_S=str(OFFSET_S)
    )
    assert is_shifted(printed)


TIMES = """
import datetime, os, subprocess, time
print(time.time(), time.clock_gettime(time.CLOCK_REALTIME), datetime.datetime.now().timestamp())
print(subprocess.check_output(["date", "+%s"]).decode())
os.environ.clear()
print(time.time())
"""


def is_shifted(printed: str) -> bool:
    """Whether there are the five times that TIMES prints, all of them after the offset."""
    found = [float(each) - OFFSET_S - time.time() for each in printed.split()]
    return len(found) == 5 and all(abs(off_s) < 120 for off_s in found)


def test_a_library_compiled_here_does_the_same(loaded: Loaded, native: str, tmp_path: Path) -> None:
    """The committed libraries can be made again, by whoever has a compiler."""
    architecture = native.partition("/")[2]
    if shutil.which(COMPILERS[architecture][0]) is None:
        pytest.skip(f"no {COMPILERS[architecture][0]} here")
    library = PRELOAD.compile_for(architecture, tmp_path).read_bytes()
    shift = {"MLCONTAINER_CLOCK_OFFSET_S": str(OFFSET_S)}
    assert is_shifted(loaded(native, "python", "-c", TIMES, library=library, **shift))
    assert os.fsencode(tmp_path) not in library
    assert os.fsencode(SOURCE.parent) not in library


def test_a_pinned_clock_shows_the_same_in_every_run(loaded: Loaded, native: str) -> None:
    """It starts at the second that it is given, and counts readings and what is slept."""
    code = (
        "import time; a = [time.time_ns() for _ in range(3)]; time.sleep(0.01); "
        "print(*a, time.time_ns())"
    )
    script = f'date +%s.%N; python -c "{code}"'
    first, second = (
        loaded(native, "sh", "-c", script, MLCONTAINER_CLOCK_FIXED_S=str(THEN_S)) for _ in "12"
    )
    assert first == second
    date, *readings, slept = first.split()
    assert date == f"{THEN_S}.000000000"
    assert [int(each) - int(readings[0]) for each in readings] == [0, 1000, 2000]
    assert 0 <= int(readings[0]) - THEN_S * 10**9 < 10**6
    assert int(slept) - int(readings[-1]) == 10**7 + 1000


def test_an_offset_moves_a_pinned_clock(loaded: Loaded, native: str) -> None:
    """So that the clock can be varied while it is pinned; what is no number changes nothing."""
    both = {"MLCONTAINER_CLOCK_FIXED_S": str(THEN_S), "MLCONTAINER_CLOCK_OFFSET_S": "-60"}
    assert loaded(native, "date", "+%s", **both) == f"{THEN_S - 60}\n"
    both["MLCONTAINER_CLOCK_OFFSET_S"] = "1.5"
    assert loaded(native, "date", "+%s", **both) == f"{THEN_S}\n"


WAITS = """
import asyncio, multiprocessing, queue, subprocess, threading, time
def condition():
    one = threading.Condition()
    with one:
        one.wait(0.1)
def by_the_clock():
    end = time.time() + 0.1
    while time.time() < end:
        time.sleep(0.02)
waits = {
    "event": lambda: threading.Event().wait(0.1),
    "condition": condition,
    "queue": lambda: queue.Queue().get(timeout=0.1),
    "process": lambda: subprocess.run(["sleep", "9"], timeout=0.1, capture_output=True),
    "asyncio": lambda: asyncio.run(asyncio.sleep(0.1)),
    "semaphore": lambda: multiprocessing.Semaphore(0).acquire(timeout=0.1),
    "results": lambda: multiprocessing.Queue().get(timeout=0.1),
    "sleep": lambda: time.sleep(0.1),
    "by the clock": by_the_clock,
}
for name, wait in waits.items():
    began = time.monotonic()
    try:
        wait()
    except (queue.Empty, subprocess.TimeoutExpired):
        pass
    print(name, time.monotonic() - began, sep="\t")
"""


@pytest.mark.parametrize(
    "env",
    [
        {"MLCONTAINER_CLOCK_OFFSET_S": str(OFFSET_S)},
        {"MLCONTAINER_CLOCK_OFFSET_S": str(-OFFSET_S)},
        {"MLCONTAINER_CLOCK_FIXED_S": str(THEN_S)},
        {"MLCONTAINER_CLOCK_FIXED_S": str(2 * THEN_S)},
    ],
    ids=["ahead", "behind", "long ago", "far ahead"],
)
def test_waiting_takes_as_long_as_ever(loaded: Loaded, native: str, env: dict[str, str]) -> None:
    """Neither for ever nor not at all, also where the kernel gets a time of day to wait for."""
    took = dict(
        line.split("\t") for line in loaded(native, "python", "-c", WAITS, **env).splitlines()
    )
    assert len(took) == 9
    for name, seconds in took.items():
        assert 0.09 <= float(seconds) < 20, name


@EACH_PLATFORM
def test_folders_are_read_backwards(
    loaded: Loaded, on: str, request: pytest.FixtureRequest
) -> None:
    """Python and other programs see the reverse of what the kernel gives, and see it all."""
    listing = "import os; print(*os.listdir('/usr/lib'))"
    script = f'python -c "{listing}"; ls -U /usr/lib | xargs echo'
    platform = request.getfixturevalue(on)
    plain = loaded(platform, "sh", "-c", script).splitlines()
    turned = loaded(platform, "sh", "-c", script, MLCONTAINER_FILE_ORDER="reverse").splitlines()
    assert plain[0] == plain[1]
    assert len(plain[0].split()) > 5
    for line in turned:
        assert line.split() == plain[0].split()[::-1]


FOLDERS = """
import glob, os, pathlib, shutil, subprocess
os.makedirs("/tmp/d/sub/deep")
names = {f"a rather long name, to fill more than one buffer {i}" for i in range(4_000)}
for name in names:
    open(f"/tmp/d/sub/{name}", "w").close()
all_of = names | {"deep"}
assert set(os.listdir("/tmp/d/sub")) == all_of
assert {entry.name for entry in os.scandir("/tmp/d/sub")} == all_of
assert {path.name for path in pathlib.Path("/tmp/d/sub").iterdir()} == all_of
assert {path.name for path in pathlib.Path("/tmp/d").rglob("*")} == all_of | {"sub"}
assert {os.path.basename(path) for path in glob.glob("/tmp/d/sub/*")} == all_of
assert sum(len(files) for _, _, files in os.walk("/tmp/d")) == 4_000
found = subprocess.check_output(["find", "/tmp/d"], text=True).splitlines()
assert len(found) == len(set(found)) == 4_003
fd = os.open("/tmp/d/sub", os.O_RDONLY)
assert os.listdir(fd) == os.listdir(fd)
assert set(os.listdir(fd)) == all_of
shutil.copytree("/tmp/d", "/tmp/copy")
assert set(os.listdir("/tmp/copy/sub")) == all_of
for entry in os.scandir("/tmp/d/sub"):
    if entry.is_file():
        os.unlink(entry.path)
assert os.listdir(fd) == ["deep"]
shutil.rmtree("/tmp/d")
assert os.listdir(fd) == []
subprocess.run(["rm", "-r", "/tmp/copy"], check=True)
for wrong, error in (("/none", FileNotFoundError), ("/etc/passwd", NotADirectoryError)):
    try:
        os.listdir(wrong)
    except error:
        continue
    raise AssertionError(wrong)
"""


def test_nothing_is_lost_in_large_folders(loaded: Loaded, native: str) -> None:
    """Walked, copied, read again, and removed while they are read; errors are those of libc."""
    loaded(native, "python", "-c", FOLDERS, MLCONTAINER_FILE_ORDER="reverse")


POSITIONS = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
libc.opendir.restype = libc.readdir.restype = ctypes.c_void_p
libc.telldir.restype = ctypes.c_long
for name in ("readdir", "telldir", "rewinddir", "closedir", "dirfd"):
    getattr(libc, name).argtypes = [ctypes.c_void_p]
libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
def read():
    at = libc.readdir(folder)
    return at and ctypes.string_at(at + 19)
folder = libc.opendir(b"/usr/lib")
assert os.path.samestat(os.fstat(libc.dirfd(folder)), os.stat("/usr/lib"))
places, names = [], []
while True:
    places.append(libc.telldir(folder))
    names.append(read())
    if names[-1] is None:
        break
assert len(names) > 5
for place, name in reversed(list(zip(places, names))):
    libc.seekdir(folder, place)
    assert read() == name
libc.rewinddir(folder)
again = []
while (name := read()) is not None:
    again.append(name)
assert again == names[:-1]
assert {b".", b".."} < set(again)
if "MLCONTAINER_FILE_ORDER" in os.environ:  # some programs skip the first two
    assert {b".", b".."} == set(again[:2])
assert libc.closedir(folder) == 0
"""


@pytest.mark.parametrize("env", [{}, {"MLCONTAINER_FILE_ORDER": "reverse"}], ids=["kept", "turned"])
def test_places_in_a_folder_are_found_again(
    loaded: Loaded, native: str, env: dict[str, str]
) -> None:
    """`telldir`, `seekdir` and `rewinddir` mean the same stream that `readdir` reads."""
    loaded(native, "python", "-c", POSITIONS, **env)


def test_without_variables_nothing_changes(loaded: Loaded, native: str) -> None:
    """The time of day is that of the machine, and stays that of files."""
    code = "import os, time; os.mkdir('/tmp/a'); print(time.time(), os.stat('/tmp/a').st_mtime)"
    now, of_file = map(float, loaded(native, "python", "-c", code).split())
    assert abs(now - time.time()) < 120
    assert abs(now - of_file) < 5
