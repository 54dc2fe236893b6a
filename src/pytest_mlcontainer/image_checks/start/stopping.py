"""Why a container does not end when it is asked to, by what was seen of its first process."""

from __future__ import annotations

import posixpath
import signal
from dataclasses import dataclass
from typing import Final

from pytest_mlcontainer.engines import FirstProcess
from pytest_mlcontainer.model import Image

_SHELLS: Final = ("sh", "bash", "dash", "ash", "zsh")


@dataclass(frozen=True)
class StopReason:
    """Why it goes on, and what to write instead."""

    why: str
    mend: str


def signal_name(image: Image) -> str:
    """Of the signal that asks a container of this image to end."""
    text = image.stop_signal
    if text.isdigit():
        known = [each.name for each in signal.Signals if each.value == int(text)]
        return known[0] if known else f"signal {text}"
    return text.upper() if text.upper().startswith("SIG") else f"SIG{text.upper() or 'TERM'}"


def stop_reason(image: Image, first: FirstProcess | None) -> StopReason:
    """What the first process does with the signal, as its kernel shows it.

    Args:
        first: None where that was not seen.
    """
    name = signal_name(image)
    number = next((each.value for each in signal.Signals if each.name == name), None)
    if first is None or number is None:
        return StopReason(
            "", "let the command end on that signal, and start it as process 1 itself"
        )
    shown = f"process 1 is `{first.command}`"
    if first.caught >> (number - 1) & 1:
        return StopReason(
            f"{shown}; it has a handler for {name}, and had not ended after it",
            "end in that handler, and wait for nothing that may take longer (open connections, "
            "a batch that is computed)",
        )
    what = (
        f"ignores {name}"
        if first.ignored >> (number - 1) & 1
        else f"has no handler for {name}, and the kernel delivers none to a process 1 without one"
    )
    if _is_shell(first):
        return StopReason(
            f"{shown}, a shell: it {what}; nor does it pass it on to what it started",
            _exec_form(image),
        )
    return StopReason(
        f"{shown}; it {what}",
        "handle it (in Python: signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)))\n"
        'or put an init in front, which passes it on: ENTRYPOINT ["tini", "--"] '
        "(`docker run --init` does the same)",
    )


def _is_shell(first: FirstProcess) -> bool:
    words = first.command.split()
    return bool(words) and posixpath.basename(words[0]).lstrip("-") in _SHELLS


def _exec_form(image: Image) -> str:
    if image.entrypoint[:2] == ("/bin/sh", "-c"):
        return 'write the exec form: ENTRYPOINT ["program", "argument"]; or `ENTRYPOINT exec …`'
    if not image.entrypoint and image.command[:2] == ("/bin/sh", "-c"):
        return 'write the exec form: CMD ["program", "argument"]; or `CMD exec program …`'
    return "start the program with `exec` in the last line of the script, so that it is process 1"
