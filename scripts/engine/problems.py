"""The one exception of these scripts, and where they say what they are doing."""

from __future__ import annotations

import sys
import time

STARTED = time.monotonic()


class SetupError(Exception):
    """Something the person at the keyboard has to know: what failed, the value, the next step."""

    def __init__(self, what: str, value: object, remedy: str) -> None:
        super().__init__(f"{what}: {value}\n  {remedy}")


def say(text: str) -> None:
    """Progress goes to stderr, because stdout carries the lines that a shell evaluates."""
    print(f"[{time.monotonic() - STARTED:5.1f}s] {text}", file=sys.stderr, flush=True)
