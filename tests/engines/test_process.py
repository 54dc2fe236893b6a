from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_mlcontainer.engines.process import Completed, Processes
from pytest_mlcontainer.owners import is_alive, start_time


class Shell:
    """Runs shell scripts in an empty folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes = Processes()

    def run(
        self, script: str, timeout_s: float = 30, on_line: Callable[[str], None] | None = None
    ) -> Completed:
        return self.processes.run(
            ["/bin/sh", "-c", script],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"]},
            timeout_s=timeout_s,
            on_line=on_line,
        )

    def python(self, code: str, timeout_s: float = 30) -> Completed:
        argv = [sys.executable, "-c", code]
        return self.processes.run(argv, cwd=self.folder, env={}, timeout_s=timeout_s)

    def noted(self, name: str = "pid") -> tuple[int, str]:
        """A process that wrote its pid into a file: pid and start."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            file = self.folder / name
            if file.exists() and file.read_text().endswith("\n"):
                pid = int(file.read_text())
                return pid, start_time(pid)
            time.sleep(0.01)
        raise AssertionError(f"no {name} within 10 s")


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def gone(process: tuple[int, str]) -> bool:
    """Whether it ends within a few seconds."""
    deadline = time.monotonic() + 5
    while is_alive(*process):
        if time.monotonic() > deadline:
            os.kill(process[0], signal.SIGKILL)
            return False
        time.sleep(0.01)
    return True


class TestRun:
    def test_the_end_and_what_was_printed(self, shell: Shell) -> None:
        """Both streams in their order, and the exit code."""
        done = shell.run("echo out; echo err >&2; printf 'no newline'; exit 3")
        assert (done.exit_code, done.timed_out) == (3, False)
        assert done.output == "out\nerr\nno newline"

    def test_a_signal_is_a_negative_exit_code(self, shell: Shell) -> None:
        """A program that crashes is told apart from one that exits."""
        assert shell.run("kill -SEGV $$").exit_code == -signal.SIGSEGV

    def test_lines_come_as_they_are_printed(self, shell: Shell) -> None:
        """Not at the end: a silent build looks like one that hangs."""
        seen: list[tuple[str, float]] = []
        started = time.monotonic()
        done = shell.run(
            "echo first; sleep 1; printf 'second\\r\\n'; printf third",
            on_line=lambda line: seen.append((line, time.monotonic() - started)),
        )
        assert [line for line, _at in seen] == ["first", "second", "third"]
        assert seen[0][1] < 0.9
        assert done.output == "first\nsecond\r\nthird"

    def test_output_that_is_no_text(self, shell: Shell) -> None:
        """It is shown as far as it goes."""
        assert shell.run("printf 'a\\377b'").output == "a\ufffdb"

    def test_much_output_does_not_block(self, shell: Shell) -> None:
        """More than a pipe holds, on both streams."""
        done = shell.python("import sys\nfor s in (1, 2): open(s, 'w').write('x' * 10**6)")
        assert len(done.output) == 2 * 10**6

    def test_output_into_files(self, shell: Shell) -> None:
        """Each stream into its own, and nothing is held in memory."""
        out, err = shell.folder / "out", shell.folder / "err"
        done = shell.processes.run(
            ["/bin/sh", "-c", "echo out; echo err >&2"],
            cwd=shell.folder, env={}, timeout_s=30, stdout=out, stderr=err,
        )  # fmt: skip
        assert (out.read_text(), err.read_text(), done.output) == ("out\n", "err\n", "")

    def test_only_the_given_environment(
        self, shell: Shell, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What pytest itself was started with does not leak in; stdin is empty."""
        monkeypatch.setenv("SECRET", "x")
        done = shell.run('echo "[$SECRET]"; pwd -P; cat')
        assert done.output == f"[]\n{shell.folder.resolve()}\n"

    @pytest.mark.parametrize("argv", [["/no/such/program"], ["/"], ["/etc/passwd"]])
    def test_a_program_that_cannot_be_started(self, shell: Shell, argv: list[str]) -> None:
        """The reason is the system's own word."""
        with pytest.raises(OSError, match=r"No such file|Permission denied"):
            shell.processes.run(argv, cwd=shell.folder, env={}, timeout_s=30)

    def test_an_error_in_taking_a_line_is_raised(self, shell: Shell) -> None:
        """After the process has ended, which it does undisturbed."""

        def fail(line: str) -> None:
            raise KeyError(line)

        with pytest.raises(KeyError, match="one"):
            shell.run("echo one; echo two; sleep 0.2; echo three > done", on_line=fail)
        assert (shell.folder / "done").exists()


class TestLimit:
    def test_past_its_limit_a_process_is_ended(self, shell: Shell) -> None:
        """What it has printed so far is kept."""
        done = shell.run("echo before; exec sleep 60", timeout_s=0.5)
        assert done.timed_out
        assert done.exit_code == -signal.SIGTERM
        assert done.output == "before\n"
        assert done.duration_s < 3

    def test_its_children_are_ended_too(self, shell: Shell) -> None:
        """Also those that do not share its output."""
        script = "sh -c 'echo $$ > pid; exec sleep 60' > /dev/null 2>&1 & wait"
        done = shell.run(script, timeout_s=0.5)
        assert done.timed_out
        assert gone(shell.noted())

    def test_who_ignores_sigterm_is_killed(self, shell: Shell) -> None:
        """After a grace period, so that a limit is one."""
        done = shell.run("trap '' TERM; exec sleep 60", timeout_s=1)
        assert (done.timed_out, done.exit_code) == (True, -signal.SIGKILL)
        assert done.duration_s < 12

    def test_who_handles_sigterm_can_say_a_last_word(self, shell: Shell) -> None:
        """A trainer that saves its state when it is told to end."""
        script = "trap 'echo saved; exit 0' TERM; echo ready; while :; do sleep 0.1; done"
        done = shell.run(script, timeout_s=0.7)
        assert (done.timed_out, done.exit_code) == (True, 0)
        assert done.output.startswith("ready\n")
        assert done.output.endswith("saved\n")


class TestChildrenLeftBehind:
    def test_one_that_keeps_the_output_open_does_not_hold_us(self, shell: Shell) -> None:
        """The run ends with its own process; the child is ended with its group."""
        done = shell.run("sleep 60 & echo $! > pid; echo done")
        assert (done.exit_code, done.output) == (0, "done\n")
        assert done.duration_s < 15
        assert gone(shell.noted())

    def test_one_that_still_writes_is_heard(self, shell: Shell) -> None:
        """`… > >(tee log)` ends a moment later than the shell that started it."""
        assert shell.run("(sleep 0.5; echo late) & echo early").output == "early\nlate\n"

    def test_one_that_left_the_group_is_heard_no_more(self, shell: Shell) -> None:
        """It cannot be found, but after the run's end nobody is told what it prints."""
        seen: list[str] = []
        code = (
            "import os, time\n"
            "if os.fork() == 0:\n"
            "    os.setsid()\n"
            "    open('pid', 'w').write(f'{os.getpid()}\\n')\n"
            "    for number in range(200): os.write(1, b'daemon\\n'); time.sleep(0.1)\n"
            "    os._exit(0)\n"
            "while not os.path.exists('pid'): time.sleep(0.01)\n"
        )
        done = shell.processes.run(
            [sys.executable, "-c", code],
            cwd=shell.folder, env={}, timeout_s=30, on_line=seen.append,
        )  # fmt: skip
        told = len(seen)
        try:
            assert done.exit_code == 0
            assert done.duration_s < 15
            time.sleep(0.5)
            assert len(seen) == told
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(shell.noted()[0], signal.SIGKILL)


class TestKillAll:
    def test_it_ends_what_runs_and_refuses_the_rest(self, shell: Shell) -> None:
        """From another thread, at once, children too; and how it ended is no result."""
        raised: list[Exception] = []

        def work() -> None:
            try:
                shell.run("sh -c 'echo $$ > pid; exec sleep 60' & wait")
            except OSError as error:
                raised.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        child = shell.noted()
        started = time.monotonic()
        shell.processes.kill_all()
        thread.join(20)
        assert time.monotonic() - started < 5
        assert gone(child)
        assert [error.args[1] for error in raised] == ["this test session is ending"]
        with pytest.raises(OSError, match="this test session is ending"):
            shell.run("echo never")
        shell.processes.kill_all()

    def test_what_has_ended_by_itself_keeps_its_result(self, shell: Shell) -> None:
        """Only what was cut short is none."""
        done: list[Completed] = []
        thread = threading.Thread(target=lambda: done.append(shell.run("echo hi; exit 4")))
        thread.start()
        thread.join(20)
        shell.processes.kill_all()
        assert [(each.exit_code, each.output) for each in done] == [(4, "hi\n")]

    def test_ctrl_c_ends_the_process(self, shell: Shell) -> None:
        """The wait is interrupted at once, and leaves nothing that runs."""

        def interrupt() -> None:
            shell.noted()
            os.kill(os.getpid(), signal.SIGINT)

        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            shell.run("echo $$ > pid; exec sleep 60")
        thread.join()
        assert gone(shell.noted())

    def test_ctrl_c_while_it_is_being_started_leaves_nothing(
        self, shell: Shell, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The program may run for a while before its start returns here."""

        class Slow(subprocess.Popen[bytes]):
            def __init__(self, *args: Any, **words: Any) -> None:
                super().__init__(*args, **words)
                shell.noted()
                os.kill(os.getpid(), signal.SIGINT)

        monkeypatch.setattr(subprocess, "Popen", Slow)
        before = signal.getsignal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            shell.run("echo $$ > pid; exec sleep 60")
        assert gone(shell.noted())
        assert signal.getsignal(signal.SIGINT) is before
