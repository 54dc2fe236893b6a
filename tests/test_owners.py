from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_mlcontainer.model import LABEL
from pytest_mlcontainer.owners import current_owner, host_name, is_alive, start_time

# Takes a name as its first argument says, tells that it has, and waits.
NAMED = """
import ctypes, sys
name = bytes.fromhex(sys.argv[1])
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(15, ctypes.c_char_p(name), 0, 0, 0)
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("name", [b"python", b") Z 1 2 (", b"a b\n c", b"\xff\xfe", b""])
def test_a_process_lives_until_it_ends(name: bytes) -> None:
    """Whatever it calls itself: the kernel writes that into the very line that is read."""
    process = subprocess.Popen(
        [sys.executable, "-c", NAMED, name.hex()], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        started = start_time(process.pid)
        assert is_alive(process.pid, started)
        assert start_time(process.pid) == started
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        # Now a zombie, as a killed controller is whose parent does not look.
        assert not is_alive(process.pid, started)
    assert not is_alive(process.pid, started)
    assert start_time(process.pid) == ""


def test_a_reused_pid_is_another_process() -> None:
    """Its start differs, so its owner is dead; no start at all is nobody's."""
    assert is_alive(os.getpid(), start_time(os.getpid()))
    assert not is_alive(os.getpid(), "1@12345678")
    assert not is_alive(os.getpid(), "")
    assert not is_alive(2**22 + 1, "")


def test_this_process_as_owner() -> None:
    """Its labels say all that another process needs to judge whether it lives."""
    owner = current_owner("abc")
    labels = owner.labels()
    assert labels[LABEL] == "true"
    assert labels[f"{LABEL}.session"] == "abc"
    assert labels[f"{LABEL}.host"] == host_name()
    assert is_alive(int(labels[f"{LABEL}.pid"]), labels[f"{LABEL}.pid-start"])


@pytest.mark.skipif(sys.platform != "linux", reason="pid namespaces are Linux's")
def test_the_host_is_its_name_and_its_pid_namespace() -> None:
    """The same in a child; two containers with one host name are told apart."""
    code = "from pytest_mlcontainer.owners import host_name; print(host_name())"
    said = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True
    )
    assert said.stdout.strip() == host_name()
    assert host_name().endswith(f"/{Path('/proc/self/ns/pid').readlink()}")
