"""Whoever compares waits for what readers find, and can be interrupted meanwhile."""

from __future__ import annotations

import subprocess
import sys

INTERRUPTED = """
import signal, threading, time
from pytest_mlcontainer.compare.readers.asking import PendingPair
from pytest_mlcontainer.compare.readers.process import DeadError

pair = PendingPair(None, lambda message: None)

def interrupt():
    time.sleep(1)
    # To this thread alone: as a signal that comes the moment before the other one sleeps, it does
    # not wake it.
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)
    time.sleep(60)
    pair.fail(DeadError("late"))

threading.Thread(target=interrupt, daemon=True).start()
began = time.monotonic()
try:
    pair.result(lambda message: None)
except KeyboardInterrupt:
    print("heard" if time.monotonic() - began < 30 else "late", flush=True)
"""


def test_ctrl_c_is_heard_that_comes_as_the_wait_begins() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=120
    )
    assert done.stdout == "heard\n", done.stderr
