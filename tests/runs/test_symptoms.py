"""What a failed run died of, from the words that programs and loaders really print."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_mlcontainer.model import Limits
from pytest_mlcontainer.runs.remedies import Case, Symptom
from pytest_mlcontainer.runs.symptoms import recognise
from pytest_mlcontainer.runs.warned import invalid_cast

TABLE = "[tool.mlcontainer.entrypoints.train]"


def _of(printed: str, exit_code: int = 1, **more: object) -> Symptom | None:
    limits = more.pop("limits", Limits())
    return recognise(Case(printed, exit_code, limits, TABLE, **more))  # type: ignore[arg-type]


def _traceback(last: str, frame: str = 'File "/app/train.py", line 3, in <module>') -> str:
    return f"Traceback (most recent call last):\n  {frame}\n    import cv2\n{last}"


# what is printed, exit code, what the cause says, what the remedy says
KNOWN = {
    "carriage return behind set, dash": (
        "run.sh: 1: set: Illegal option -\r",
        2,
        "line ends of Windows",
        "sed -i",
    ),
    "carriage return behind set, bash": (
        "run.sh: line 1: set: -\r: invalid option",
        2,
        "line ends of Windows",
        "sed -i",
    ),
    "carriage return behind a name": (
        "python: can't open file '/srv/train.py\\r': [Errno 2] No such file or directory",
        2,
        "line ends of Windows",
        "sed -i",
    ),
    "carriage return behind do": (
        "run.sh: line 4: syntax error near unexpected token `$'do\\r''",
        2,
        "line ends of Windows",
        "sed -i",
    ),
    "variable in the exec form": (
        "python: can't open file '/srv/$SCRIPT': [Errno 2] No such file or directory",
        2,
        "no shell has put a value in place of $SCRIPT",
        'command = ["sh", "-c", "…"]',
    ),
    "variable in braces": (
        _traceback("FileNotFoundError: [Errno 2] No such file or directory: '${DATA}/train.csv'"),
        1,
        "no shell has put a value in place of ${DATA}",
        "let a shell do it",
    ),
    "dataloader bus error": (
        _traceback(
            "RuntimeError: DataLoader worker (pid 27) is killed by signal: Bus error. It is "
            "possible that dataloader's workers are out of shared memory. Please try to raise your "
            "shared memory limit."
        ),
        1,
        "shared memory, /dev/shm, ran out",
        "raise `shm-size` (64 MiB, the engine's default)",
    ),
    "insufficient shm": (
        "ERROR: Unexpected bus error encountered in worker. This might be caused by insufficient "
        "shared memory (shm).",
        135,
        "shared memory, /dev/shm, ran out",
        "shm-size",
    ),
    "torch cannot allocate shm": (
        _traceback(
            "RuntimeError: unable to allocate shared memory(shm) for file </torch_12_3>: No space "
            "left on device (28)"
        ),
        1,
        "shared memory, /dev/shm, ran out",
        "fewer workers",
    ),
    "shared_memory ENOSPC": (
        _traceback(
            "OSError: [Errno 28] No space left on device",
            'File "/usr/lib/python3.13/multiprocessing/shared_memory.py", line 120, in __init__',
        ),
        1,
        "shared memory, /dev/shm, ran out",
        "shm-size",
    ),
    "joblib on /dev/shm": (
        _traceback(
            "OSError: [Errno 28] No space left on device: '/dev/shm/joblib_memmapping_folder_7'"
        ),
        1,
        "shared memory, /dev/shm, ran out",
        "shm-size",
    ),
    "shm, by the line that failed": (
        "Traceback (most recent call last):\n"
        '  File "cache.py", line 1, in <module>\n'
        "    open('/dev/shm/x', 'wb').write(block)\n"
        "OSError: [Errno 28] No space left on device",
        1,
        "shared memory, /dev/shm, ran out",
        "shm-size",
    ),
    "bus error alone": ("", 135, "a bus error", "or /dev/shm is full: raise `shm-size`"),
    "disk, python": (
        _traceback("OSError: [Errno 28] No space left on device: 'outputs/model.bin'"),
        1,
        "the disk that it writes to is full",
        "`docker system df`",
    ),
    "disk or shm": (
        _traceback("OSError: [Errno 28] No space left on device"),
        1,
        "no space is left where it writes, which its words do not name",
        "where that is /dev/shm, raise `shm-size` (64 MiB, the engine's default)",
    ),
    "disk, shell": (
        "cp: error writing 'b': No space left on device",
        1,
        "disk that it writes to is full",
        "mlcontainer clean",
    ),
    "disk, node": (
        "Error: ENOSPC: no space left on device, write",
        1,
        "no space is left where it writes",
        "docker builder prune",
    ),
    "quota": (
        _traceback("OSError: [Errno 122] Disk quota exceeded"),
        1,
        "disk that it writes to is full",
        "docker system df",
    ),
    "libGL": (
        _traceback(
            "ImportError: libGL.so.1: cannot open shared object file: No such file or directory"
        ),
        1,
        "the shared library libGL.so.1 is missing",
        "--no-install-recommends libgl1` (Debian, Ubuntu); or use opencv-python-headless",
    ),
    "libgomp": (
        _traceback(
            "OSError: libgomp.so.1: cannot open shared object file: No such file or directory"
        ),
        1,
        "libgomp.so.1 is missing",
        "--no-install-recommends libgomp1`",
    ),
    "gthread": (
        _traceback("ImportError: libgthread-2.0.so.0: cannot open shared object file: No such …"),
        1,
        "libgthread-2.0.so.0 is missing",
        "libglib2.0-0",
    ),
    "sndfile": (
        _traceback("OSError: sndfile library not found using ctypes.util.find_library"),
        1,
        "libsndfile.so.1 is missing",
        "libsndfile1",
    ),
    "xcb": (
        _traceback("ImportError: libxcb.so.1: cannot open shared object file: No such file or …"),
        1,
        "libxcb.so.1 is missing",
        "libxcb1",
    ),
    "ssl 3 by its version": (
        "./tool: error while loading shared libraries: libssl.so.3: cannot open shared object "
        "file: No such file or directory",
        127,
        "libssl.so.3 is missing",
        "libssl3",
    ),
    "ssl 1.1 is in no package of now": (
        "./tool: error while loading shared libraries: libssl.so.1.1: cannot open shared object "
        "file: No such file or directory",
        127,
        "libssl.so.1.1 is missing",
        "`apt-file search libssl.so.1.1`",
    ),
    "a library of the project": (
        "./tool: error while loading shared libraries: libours.so: cannot open shared object file",
        127,
        "libours.so is missing",
        "apt-file search libours.so",
    ),
    "musl": (
        "Error loading shared library libgomp.so.1: No such file or directory (needed by x.so)",
        127,
        "libgomp.so.1 is missing",
        "`apk add`",
    ),
    "glibc program on musl": (
        "Error loading shared library ld-linux-x86-64.so.2: No such file or directory (needed by "
        "/usr/lib/python3.13/site-packages/x.so)",
        127,
        "built for another C library (ld-linux-x86-64.so.2)",
        "python:3.13-slim",
    ),
    "symbols on musl": (
        "Error relocating /usr/lib/x.so: __memcpy_chk: symbol not found",
        127,
        "built for another C library",
        "musl and glibc",
    ),
    "glibc too old": (
        _traceback(
            "ImportError: /lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.38' not found "
            "(required by /app/x.so)"
        ),
        1,
        "needs a newer glibc, with GLIBC_2.38",
        "newer base image",
    ),
    "libstdc++ too old": (
        _traceback("ImportError: libstdc++.so.6: version `GLIBCXX_3.4.30' not found (required by"),
        1,
        "needs a newer libstdc++, with GLIBCXX_3.4.30",
        "newer base image",
    ),
    "ELF class": (
        _traceback("OSError: /app/x.so: wrong ELF class: ELFCLASS32"),
        1,
        "x.so is for another platform",
        "copied binaries",
    ),
    "CUDA library": (
        _traceback("OSError: libcudart.so.12: cannot open shared object file: No such file or …"),
        1,
        "libcudart.so.12 is missing",
        "no CUDA libraries",
    ),
    "cuDNN": (
        "Could not load library libcudnn_ops_infer.so.8. Error: cannot open shared object file",
        134,
        "libcudnn_ops_infer.so.8 is missing",
        "no CUDA libraries",
    ),
    "no driver": (
        _traceback(
            "RuntimeError: Found no NVIDIA driver on your system. Please check that you have an "
            "NVIDIA GPU and installed a driver"
        ),
        1,
        "it looks for a GPU, and the run has none",
        f'gpus = "all" in {TABLE}',
    ),
    "libcuda": (
        _traceback("ImportError: libcuda.so.1: cannot open shared object file: No such file or …"),
        1,
        "it looks for a GPU, and the run has none",
        "--gpus=all",
    ),
    "no device": (
        "terminate called: CUDA error: no CUDA-capable device is detected",
        134,
        "it looks for a GPU, and the run has none",
        "use the CPU",
    ),
    "unknown error": (
        _traceback("RuntimeError: CUDA unknown error - this may be due to an incorrectly set up"),
        1,
        "the run has none",
        "gpus",
    ),
    "nvml": (
        _traceback("pynvml.NVMLError_LibraryNotFound: NVML Shared Library Not Found"),
        1,
        "the run has none",
        "gpus",
    ),
    "model saved on a GPU": (
        _traceback(
            "RuntimeError: Attempting to deserialize object on a CUDA device but "
            "torch.cuda.is_available() is False."
        ),
        1,
        "the run has none",
        "use the CPU",
    ),
    "CPU build": (
        _traceback("AssertionError: Torch not compiled with CUDA enabled"),
        1,
        "built without CUDA",
        "CUDA build",
    ),
    "GPU memory": (
        _traceback("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 GiB."),
        1,
        "the GPU's memory ran out",
        "smaller batch",
    ),
    "other GPU": (
        _traceback(
            "RuntimeError: CUDA error: no kernel image is available for execution on the device"
        ),
        1,
        "built for other GPUs",
        "compute capability",
    ),
    "MemoryError": (
        _traceback("MemoryError"),
        1,
        "could not get the memory that it asked for",
        "no `memory` is set",
    ),
    "numpy": (
        _traceback(
            "numpy._core._exceptions._ArrayMemoryError: Unable to allocate 7.28 TiB for an array "
            "with shape (1000000, 1000000) and data type float64"
        ),
        1,
        "could not get the memory",
        "make it use less",
    ),
    "bad_alloc": (
        "terminate called after throwing an instance of 'std::bad_alloc'\n  what():  bad",
        134,
        "could not get the memory",
        "make it use less",
    ),
    "torch on the CPU": (
        _traceback(
            "RuntimeError: [enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't "
            "allocate memory: you tried to allocate 4000000000000 bytes."
        ),
        1,
        "could not get the memory",
        "make it use less",
    ),
    "worker killed": (
        _traceback("RuntimeError: DataLoader worker (pid 12) is killed by signal: Killed."),
        1,
        "one of its processes was killed",
        "often for memory",
    ),
    "subprocess of another platform": (
        _traceback("OSError: [Errno 8] Exec format error: '/opt/tool'"),
        1,
        "for another platform, or no program",
        "#!/bin/sh",
    ),
    "illegal": ("", 132, "an instruction that this CPU does not have", "newer CPU"),
    "trap": ("", 133, "a trap", "stopped itself"),
    "abort": ("free(): invalid pointer", 134, "it aborted", "its own words"),
    "arithmetic": ("", 136, "an arithmetic error", "division by zero"),
    "killed": ("", 137, "it was killed", "SIGKILL"),
    "segmentation": ("", 139, "a segmentation fault", "native package"),
    "terminated": ("", 143, "it was terminated", "SIGTERM"),
}


@pytest.mark.parametrize("name", KNOWN)
def test_a_known_symptom_is_named_with_what_to_do(name: str) -> None:
    """Each as it is really printed, with its cause and the next step."""
    printed, exit_code, cause, remedy = KNOWN[name]
    found = _of(f"epoch 1\n{printed}\n", exit_code)
    assert found is not None
    assert cause in found.cause
    assert remedy in found.remedy


@pytest.mark.parametrize(
    "printed",
    [
        "",
        "ValueError: the learning rate is negative",
        _traceback("ValueError: bad shape"),
        # What was printed before the traceback did not end it.
        "OSError: libGL.so.1: cannot open shared object file\nfalling back\n"
        + _traceback("ValueError: bad shape"),
        # Nor did warnings.
        "/x/cuda/__init__.py:118: UserWarning: CUDA initialization: Found no NVIDIA driver on your "
        "system.\nfailed to converge",
        "2024-05-01 10:00:00.1: W tensorflow/x.cc:64] Could not load dynamic library "
        "'libcudart.so.11.0'; dlerror: libcudart.so.11.0: cannot open shared object file\nno data",
        "libGL.so.1: cannot open shared object file\n" + "epoch\n" * 10,
    ],
)
def test_nothing_is_claimed_without_evidence(printed: str) -> None:
    """A cause that is none sends people the wrong way."""
    assert _of(printed) is None


def test_too_many_open_files_are_no_lack_of_shared_memory() -> None:
    """PyTorch says both in one line."""
    found = _of(
        _traceback(
            "RuntimeError: unable to open shared memory object </torch_1> in read-write mode: Too "
            "many open files (24)"
        )
    )
    assert found is not None
    assert "too many files open" in found.cause
    assert "shm-size" not in found.remedy


def test_the_exceptions_that_led_to_the_last_one_count() -> None:
    """Packages wrap the loader's words into their own."""
    printed = (
        _traceback("OSError: libgomp.so.1: cannot open shared object file: No such file")
        + "\n\nDuring handling of the above exception, another exception occurred:\n\n"
        + _traceback("RuntimeError: lightgbm cannot be used")
    )
    found = _of(printed)
    assert found is not None
    assert "libgomp.so.1" in found.cause


def test_the_last_words_of_a_program_that_it_ran_count() -> None:
    """The traceback of the one that ran it says no more than that it failed."""
    child = _traceback("requests.exceptions.ConnectionError: Max retries exceeded with url: /a.csv")
    failed = "Command '['python', 'get.py']' returned non-zero exit status 1."
    parent = _traceback(f"subprocess.CalledProcessError: {failed}")
    found = _of(f"{child}\n{parent}")
    assert found is not None
    assert found.cause == "it looks for the network"
    assert _of(f"{child}\n{_traceback('RuntimeError: ' + failed)}") is None


def test_an_exit_code_weighs_more_than_words() -> None:
    """A crash is a crash, whatever was printed shortly before."""
    found = _of(_traceback("ImportError: libGL.so.1: cannot open shared object file"), 139)
    assert found is not None
    assert found.cause == "a segmentation fault"


def test_the_present_values_of_settings_are_said() -> None:
    """So that nobody has to look them up."""
    limits = Limits(shm_size_bytes=256 << 20, memory_bytes=1 << 30)
    shm = _of("insufficient shared memory (shm)", 1, limits=limits)
    memory = _of(_traceback("MemoryError"), 1, limits=limits)
    assert shm is not None
    assert f"`shm-size` (256 MiB now) in {TABLE}" in shm.remedy
    assert memory is not None
    assert f"`memory` (1 GiB now) in {TABLE}" in memory.remedy


def test_with_a_gpu_given_the_driver_is_to_blame() -> None:
    """The run asked for it, so the machine does not provide it."""
    found = _of(_traceback("RuntimeError: No CUDA GPUs are available"), gpus="all")
    assert found is not None
    assert "no NVIDIA driver that it can use" in found.cause
    assert "NVIDIA Container Toolkit" in found.remedy
    old = "RuntimeError: CUDA driver version is insufficient for CUDA runtime version"
    found = _of(_traceback(old), gpus="all")
    assert found is not None
    assert "too old for its CUDA" in found.cause
    assert "update the driver" in found.remedy


def test_on_this_machine_itself_no_setting_of_containers_is_named() -> None:
    """A run on `host` has neither an engine nor a /dev/shm of its own."""
    for printed in (
        "insufficient shared memory (shm)",
        _traceback("OSError: [Errno 28] No space left on device"),
        _traceback("ImportError: libGL.so.1: cannot open shared object file: No such file"),
        _traceback("RuntimeError: No CUDA GPUs are available"),
    ):
        found = _of(printed, in_container=False)
        assert found is not None
        assert not any(word in found.remedy for word in ("shm-size", "docker", "Dockerfile", TABLE))


@pytest.mark.parametrize(("code", "is_said"), [(132, True), (139, True), (137, False)])
def test_under_emulation_a_crash_may_be_the_emulators(code: int, is_said: bool) -> None:
    """What was killed from outside, is not."""
    found = _of("", code, emulated=True)
    assert found is not None
    assert ("emulator's fault" in found.remedy) is is_said


def test_a_cast_that_the_program_warned_of_is_said(tmp_path: Path) -> None:
    """NumPy's own words, from a real cast; CPUs differ in what it gives."""
    program = "import numpy; print(numpy.array([numpy.nan, 1e30]).astype(numpy.int32))"
    (tmp_path / "cast.py").write_text(f"{program}\n")
    done = subprocess.run(
        [sys.executable, "cast.py"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    (tmp_path / "stderr.log").write_text(f"epoch 1\n{done.stderr}" + "epoch 2\n" * 100)

    assert "invalid cast to integers at " in invalid_cast(tmp_path / "stderr.log")
    assert "cast.py:1:" in invalid_cast(tmp_path / "stderr.log")


@pytest.mark.parametrize(
    "printed", ["", "invalid value encountered in cast\n", "x.py:1: UserWarning: broadcast\n"]
)
def test_other_warnings_are_no_invalid_casts(tmp_path: Path, printed: str) -> None:
    (tmp_path / "stderr.log").write_text(printed)
    assert invalid_cast(tmp_path / "stderr.log") == ""
    assert invalid_cast(tmp_path / "missing.log") == ""


@pytest.mark.parametrize(
    "printed",
    [
        "run.sh: 1: set: Illegal option -z",
        "FileNotFoundError: [Errno 2] No such file or directory: 'prices in $.csv'",
    ],
)
def test_what_only_looks_like_them_is_not_taken_for_them(printed: str) -> None:
    found = _of(printed, 2)
    assert found is None or not re.search("Windows|shell", found.cause)


_STALE = (
    "/lib/sklearn/base.py:442: InconsistentVersionWarning: Trying to unpickle estimator "
    "LinearRegression from version 0.23.1 when using version 1.9.1. This might lead to …\n"
)
_IN_SKLEARN = 'File "/lib/site-packages/sklearn/linear_model/_base.py", line 764, in tags'


def test_a_model_of_another_scikit_learn_is_said_where_its_code_raises() -> None:
    ended = _traceback("AttributeError: 'LinearRegression' has no 'positive'", _IN_SKLEARN)
    found = _of(_STALE + ended)
    assert found is not None
    assert found.cause == "LinearRegression was saved by scikit-learn 0.23.1 and is read by 1.9.1"
    assert found.remedy.startswith("pin scikit-learn==0.23.1 in the image, or ")


def test_a_model_of_another_scikit_learn_is_not_to_blame_for_what_others_raise() -> None:
    assert _of(_STALE + _traceback("AttributeError: 'App' has no 'positive'")) is None
    assert _of(_traceback("AttributeError: 'App' has no 'positive'", _IN_SKLEARN)) is None
