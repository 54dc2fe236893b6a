"""What a run that failed died of, from its exit code and its last words.

Nothing here is asked about a run that succeeded: what it printed on the way says nothing then.
"""

from __future__ import annotations

import re
from typing import Final

from pytest_mlcontainer.engines.failures import FULL_DISK_REMEDY, GPU_REMEDY, is_full_disk
from pytest_mlcontainer.model import Limits
from pytest_mlcontainer.runs.breaches import memory_remedy, size_text
from pytest_mlcontainer.runs.libraries import missing_library
from pytest_mlcontainer.runs.on_host import on_host
from pytest_mlcontainer.runs.remedies import Case, Symptom, remedy_of

_ILLEGAL, _TRAP, _ABORT, _BUS, _ARITHMETIC, _KILLED, _SEGMENT = 132, 133, 134, 135, 136, 137, 139
_TERMINATED: Final = 143
_SHM_DEFAULT: Final = 64 << 20  # of docker and podman
_TRACEBACK: Final = "Traceback (most recent call last)"
_CHAINED: Final = ("During handling of the above exception", "The above exception was the direct")
_WARNING: Final = re.compile(
    r"(^|\s)\w*warning:|^\s*(warning\b|W\d{4} |\d[\d:. -]+: W )|\bwarnings\.warn\b", re.I
)
# What is logged below an error did not end a program either: `INFO: …`, `[DEBUG] …`,
# `2026-01-01 10:00:00,123 - train - INFO - …`.
_LOGGED: Final = re.compile(
    r"^\W*(?:\d[\d\-/:.,TZ+ ]*\W*)?(?:[\w./]+ ?[-:|] ?)?\W?"
    r"(?:TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|debug|info|notice|warn)\b(?=\W|$)"
)
_ESTIMATOR: Final = re.compile(
    r"Trying to unpickle estimator (\w+) from version (\S+) when using version (\S+?)\. "
)
_CHILD_FAILED: Final = re.compile(
    r"subprocess\.CalledProcessError: .* returned non-zero exit status"
)
_PLAIN_QUOTES: Final = str.maketrans("‘’“”`", "''\"\"'")
_LAST_LINES: Final = 10  # of a program that prints no traceback
_SHM: Final = re.compile(
    r"insufficient shared memory|shared memory (object|file|segment)|/dev/shm/\S*.*No space left"
    r"|No space left on device.*/dev/shm|(write|allocate|mmap|resize|open|creating).* shared memory"
    r"|unable to write to file </torch_\d+|exceeds /dev/shm size"
    r"|DataLoader worker .*killed by signal: Bus error",
    re.I,
)
_SHM_FRAME: Final = re.compile(r"multiprocessing/(heap|shared_memory|sharedctypes)\.py|/dev/shm")
_NAMED_FILE: Final = re.compile(r"'[^']+'|\"[^\"]+\"")
_NO_DRIVER: Final = re.compile(
    r"libcuda\.so|libnvidia-ml\.so|Found no NVIDIA driver|no CUDA-capable device|CUDA unknown error"
    r"|No CUDA GPUs are available|CUDA_ERROR_NO_DEVICE|cudaErrorNoDevice|Driver Not Loaded"
    r"|NVML Shared Library Not Found|torch\.cuda\.is_available\(\) is False"
    r"|No visible GPU devices|couldn't communicate with the NVIDIA driver"
    r"|nvidia-smi: (command )?not found|Failed to infer device type"
    r"|No supported gpu backend found|(GPU|CUDA)Accelerator can ?not run on your system"
)
_OLD_DRIVER: Final = re.compile(
    r"CUDA driver version is insufficient|NVIDIA driver on your system is too old"
    r"|cudaErrorInsufficientDriver|unsatisfied condition: cuda"
)
_NO_MEMORY: Final = re.compile(
    r"^(\w+\.)*_?(Array)?MemoryError\b|bad_alloc|DefaultCPUAllocator: (not enough|can't allocate)"
    r"|Cannot allocate memory|Unable to allocate .* for an array|java\.lang\.OutOfMemoryError"
    r"|JavaScript heap out of memory|due to the node running low on memory"
)
_GPU_MEMORY: Final = re.compile(
    r"CUDA out of memory|CUDA error: out of memory|CUDA_ERROR_OUT_OF_MEMORY|OutOfMemoryError: CUDA"
    r"|OOM when allocating tensor|RESOURCE_EXHAUSTED: Out of memory"
)
_OTHER_GPU: Final = re.compile(r"no kernel image is available for execution on the device")
_CPU_BUILD: Final = re.compile(r"Torch not compiled with CUDA enabled")
_WORKER_KILLED: Final = re.compile(r"killed by signal: Killed|SIGKILL\(-9\)|terminated abruptly")
_OTHER_FORMAT: Final = re.compile(r"Exec format error")


def recognise(case: Case) -> Symptom | None:
    """The cause of a failure; None where nothing points to one.

    A crash is known from the exit code; for other failures the last telling line counts.
    """
    found = _recognise(case)
    if found is None or case.in_container:
        return found
    return Symptom(on_host(found.cause), on_host(found.remedy))


def _recognise(case: Case) -> Symptom | None:
    if case.exit_code in (_ILLEGAL, _ARITHMETIC, _SEGMENT):
        return _by_code(case)
    lines = telling_lines(case.printed)
    for line in reversed(lines):
        found = _by_line(case, line, lines)
        if found is not None:
            return found
    return _by_code(case) or _other_version(case, lines)


def _other_version(case: Case, lines: list[str]) -> Symptom | None:
    """What scikit-learn warned of before one of its own functions raised something."""
    warned = _ESTIMATOR.search(case.printed)
    if warned is None or not any("/sklearn/" in line for line in lines):
        return None
    name, written, read = warned.groups()
    return Symptom(
        f"{name} was saved by scikit-learn {written} and is read by {read}",
        f"pin scikit-learn=={written} in the image, or write the file anew with {read}",
    )


def telling_lines(printed: str) -> list[str]:
    """The lines that can say why a program ended.

    Those of the last traceback, with those that led to it, if there is one: what was printed
    before did not end the program, unless it ended for another one that it ran: then the last words
    of that one count, too. Warnings did not either.
    """
    lines = printed.splitlines()
    starts = [number for number, line in enumerate(lines) if _TRACEBACK in line]
    first = 0
    for start in reversed(starts):
        first = start
        if not any(line.strip().startswith(_CHAINED) for line in lines[max(0, start - 3) : start]):
            break
    telling = lines[first:] if starts else lines[-_LAST_LINES:]
    if first and any(_CHILD_FAILED.match(line) for line in telling):
        telling = [*telling_lines("\n".join(lines[:first])), *telling]
    # The GNU tools quote by the locale.
    return [
        line.translate(_PLAIN_QUOTES)
        for line in telling
        if not _WARNING.search(line) and not _LOGGED.search(line)
    ]


def _by_line(case: Case, line: str, lines: list[str]) -> Symptom | None:
    shared = _SHM.search(line) or (
        is_full_disk(line) and any(_SHM_FRAME.search(each) for each in lines)
    )
    if shared and "Too many open files" not in line:
        return _shm(case)
    return (
        _gpu(case, line) or _library(line) or _resources(case, line) or remedy_of(case, line, lines)
    )


def _resources(case: Case, line: str) -> Symptom | None:
    if is_full_disk(line) or "[Errno 28]" in line or "ENOSPC" in line:
        return _disk(case, line)
    if _NO_MEMORY.search(line):
        return Symptom("it could not get the memory that it asked for", _memory(case))
    if _WORKER_KILLED.search(line):
        return Symptom("one of its processes was killed", f"often for memory: {_memory(case)}")
    if _OTHER_FORMAT.search(line):
        return Symptom(
            "a program that it starts is for another platform, or no program",
            "install the build for this platform; a script needs a first line such as `#!/bin/sh`",
        )
    return None


def _gpu(case: Case, line: str) -> Symptom | None:
    if _GPU_MEMORY.search(line):
        less = "make it use less (a smaller batch), or let nothing else use that GPU"
        return Symptom("the GPU's memory ran out", less)
    if _OTHER_GPU.search(line):
        build = "install a build of the package for this GPU's compute capability"
        return Symptom("a package is built for other GPUs", build)
    if _CPU_BUILD.search(line):
        cpu = "install PyTorch's CUDA build in the image, or tell the program to use the CPU"
        return Symptom("its PyTorch is built without CUDA", cpu)
    if not _NO_DRIVER.search(line) and not _OLD_DRIVER.search(line):
        return None
    if case.gpus is None and case.in_container:
        return Symptom(
            "it looks for a GPU, and the run has none",
            f'give it one: gpus = "all" in {case.table} or --gpus=all; or tell it to use the CPU',
        )
    if _OLD_DRIVER.search(line):
        return Symptom(
            "the NVIDIA driver is too old for its CUDA",
            "update the driver of the machine with the GPU, or build the image with an older CUDA",
        )
    remedy = GPU_REMEDY if case.in_container else "install the NVIDIA driver on this machine"
    return Symptom("there is no NVIDIA driver that it can use", remedy)


def _library(line: str) -> Symptom | None:
    found = missing_library(line)
    if found is None:
        return None
    return Symptom(*found)


def _shm(case: Case) -> Symptom:
    if not case.in_container:
        return Symptom("shared memory ran out", "make room: `df -h /dev/shm` says what is left")
    size = case.limits.shm_size_bytes
    now = f"{size_text(size)} now" if size else f"{size_text(_SHM_DEFAULT)}, the engine's default"
    return Symptom(
        "shared memory, /dev/shm, ran out",
        f'raise `shm-size` ({now}) in {case.table}, as in shm-size = "1g"; or let its data loader '
        "have fewer workers",
    )


def _disk(case: Case, line: str) -> Symptom:
    if not case.in_container:
        return Symptom("a disk is full", "make room: `df -h` says where none is left")
    if "quota" in line or _NAMED_FILE.search(line):
        cause = "the disk that it writes to is full"
        return Symptom(cause, f"mostly the engine's: {FULL_DISK_REMEDY}")
    # /dev/shm is small, and full more often than a disk.
    return Symptom(
        "no space is left where it writes, which its words do not name",
        f"where that is /dev/shm, {_shm(case).remedy}; where it is the engine's disk: "
        f"{FULL_DISK_REMEDY}",
    )


def _memory(case: Case) -> str:
    return memory_remedy(case.limits if case.in_container else Limits(), case.table)


def _by_code(case: Case) -> Symptom | None:
    """What an exit code above 128 means."""
    shm = f"; or /dev/shm is full: {_shm(case).remedy}" if case.in_container else ""
    known = {
        _ILLEGAL: (
            "an instruction that this CPU does not have",
            "a package was built for a newer CPU; use a wheel for the baseline",
        ),
        _TRAP: ("a trap", "a native package stopped itself: its own words are above"),
        _ABORT: ("it aborted", "a native package gave up: its own words are above"),
        _BUS: ("a bus error", f"a file that it has mapped was cut off{shm}"),
        _ARITHMETIC: ("an arithmetic error", "look for a division by zero in a native package"),
        _SEGMENT: ("a segmentation fault", "look for a broken native package"),
        _KILLED: ("it was killed", "something sent SIGKILL: often the machine ran out of memory"),
        _TERMINATED: ("it was terminated", "something sent SIGTERM, and it did not handle that"),
    }
    found = known.get(case.exit_code or 0)
    if found is None:
        return None
    cause, remedy = found
    emulated = (
        "; under emulation this is often the emulator's fault, not the program's: confirm on a "
        "native machine before looking for drift"
        if case.emulated and case.exit_code not in (_KILLED, _TERMINATED)
        else ""
    )
    return Symptom(cause, remedy + emulated)
