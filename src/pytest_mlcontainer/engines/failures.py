"""What an engine's words mean, and what to do: each message is explained here, once."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pytest_mlcontainer.errors import EngineError, MlContainerError, PlatformError, RunError
from pytest_mlcontainer.model import Platform

EXEC_FORMAT = "exec format error"

_LINE_SHOWN = 300
# "exec /app/run.sh: exec format error"; older: "standard_init_linux.go:228: exec user process
# caused: exec format error".
_EXEC_FAILED = re.compile(
    r"(?:standard_init_linux\.go:\d+: exec user process caused|exec (?P<program>[^\n]+?)): "
    r'"?(?P<reason>exec format error|no such file or directory|permission denied)"?'
)

_FULL_DISK = re.compile("no space left on device|disk quota exceeded|not enough space", re.I)

GPU_REMEDY = (
    "install the NVIDIA driver and the NVIDIA Container Toolkit on the engine's machine "
    "(`nvidia-ctk runtime configure --runtime=docker`, then restart the engine), "
    "or run without --gpus"
)


FULL_DISK_REMEDY = (
    "on the engine's machine, `docker system df` says what takes the room; `mlcontainer clean` "
    "removes what earlier sessions left, `docker builder prune` what builds keep for the next one, "
    "`docker image prune -a` images that no container uses"
)


def is_full_disk(message: str) -> bool:
    """Whether an engine's or a program's words say that a disk has no room left."""
    return bool(_FULL_DISK.search(message))


def refusal(what: str, message: str, remedy: str = "") -> EngineError:
    """What the engine did not do, in its own words, unless they say that its disk is full."""
    if is_full_disk(message):
        return EngineError(f"the engine's disk is full: {what}", message, FULL_DISK_REMEDY)
    return EngineError(what, message, remedy)


def emulation_remedy(platform: Platform) -> str:
    """How to make an engine run a foreign platform."""
    return (
        f"install emulation for {platform.architecture}: on Debian or Ubuntu `apt-get install "
        "qemu-user-static binfmt-support`, anywhere with Docker `docker run --privileged --rm "
        f"tonistiigi/binfmt --install {platform.architecture}`; or name a native engine: "
        f'engines = {{ "{platform}" = "ssh://user@machine" }}'
    )


def explain_exec(printed: str, platform: Platform, *, works: bool) -> MlContainerError | None:
    """Why a container that the engine did start could not execute its command.

    runc's last step, the `exec` itself, fails inside the container: the reason is all that the
    container prints, and its exit code says nothing.

    Args:
        works: whether a program of this platform is known to run on the engine.

    Returns:
        None for anything else that was printed.
    """
    found = _EXEC_FAILED.fullmatch(printed.strip())
    if found is None:
        return None
    program, reason = found["program"] or "", found["reason"]
    if reason == "no such file or directory":
        return command_not_found(program)
    if reason == "permission denied":
        return command_not_allowed(program, "")
    if works:
        return cannot_execute(program)
    return no_emulation(platform, f"{program}: {EXEC_FORMAT}")


def cut_line(line: str) -> str:
    """A line short enough to show: a progress bar may be one of many thousand characters."""
    return line if len(line) <= _LINE_SHOWN else f"{line[:_LINE_SHOWN]}…"


def cannot_execute(program: str) -> RunError:
    """The kernel refused the file's format on a platform that otherwise works."""
    return RunError(
        "the command cannot be executed",
        f"{program!r}: {EXEC_FORMAT}",
        "a script needs a first line such as `#!/bin/sh` (without a carriage return or a byte "
        "order mark); a program must be built for the platform that runs it",
    )


def no_emulation(platform: Platform, detail: str) -> PlatformError:
    """The engine cannot run this platform at all."""
    return PlatformError(f"the engine cannot run {platform}", detail, emulation_remedy(platform))


def command_not_found(program: str, argv: Sequence[str] = ()) -> RunError:
    """The program, or its interpreter or loader, is not in the image.

    Args:
        argv: the whole command, where it is known.
    """
    return RunError(
        "the command was not found in the image",
        f"{program!r}, in {argv}" if argv else repr(program),
        "check its spelling and PATH inside the image: "
        "`docker run --rm --entrypoint sh IMAGE -c 'echo $PATH; ls'`; a script also needs the "
        "interpreter of its first line, and a program its dynamic loader (glibc against musl)",
    )


def command_not_allowed(program: str, user: str) -> RunError:
    """The file may not be executed, by `user` where that is known."""
    return RunError(
        "the command cannot be executed",
        f"{program!r}: permission denied{f' (user {user})' if user else ''}",
        "give it the executable bit in the Dockerfile (`RUN chmod +x …`, `COPY --chmod=755 …`), "
        'or call its interpreter: command = ["python", "…"]',
    )
