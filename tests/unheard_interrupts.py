"""A Ctrl-C that does not wake the main thread, as one that comes the moment before that sleeps."""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
import signal, threading, time
{setup}

def interrupt():
    time.sleep(1)
    # To this thread alone, so that the other one sleeps on.
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)
    time.sleep(60)
    {after}

threading.Thread(target=interrupt, daemon=True).start()
began = time.monotonic()
try:
    {wait}
except KeyboardInterrupt:
    print("heard" if time.monotonic() - began < 30 else "late", flush=True)
"""


def interrupt_while(wait: str, setup: str, after: str = "pass") -> str:
    """Whether a wait was interrupted in time, "heard", or at its own end: "late".

    Args:
        wait: a statement, that waits for a minute or for ever.
        setup: what it needs.
        after: a statement that ends a wait for ever, after a minute.
    """
    program = _PROGRAM.format(setup=setup, wait=wait, after=after)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120
    )
    return done.stdout.strip() or done.stderr
