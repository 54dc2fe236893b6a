"""A server entrypoint in use: waited for until it answers, watched, and judged at the end."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from types import TracebackType

from pytest_mlcontainer.engines import Container, ContainerSpec, Exit, Launched
from pytest_mlcontainer.errors import MlContainerError, RunError
from pytest_mlcontainer.model import Entrypoint, Failure, Platform, Server
from pytest_mlcontainer.records import STDERR_LOG, STDOUT_LOG
from pytest_mlcontainer.runs.breaches import LOG_LIMIT, Breach
from pytest_mlcontainer.runs.failures import CpuUse, Ending, explain_unstarted
from pytest_mlcontainer.runs.server_failures import (
    explain_refused,
    explain_server,
    explain_unanswered,
    last_words,
    remedy_in_time,
)
from pytest_mlcontainer.runs.watching import watch_container
from pytest_mlcontainer.temporary import temporary_folder

_POLL_S = 0.1
_LOOK_S = 3.0  # between two looks at what it has printed so far
_REQUEST_TIMEOUT_S = 5.0
_NO_PAGE = (404, 405)  # not found; not by GET
# An engine notes an end a moment after it, and a test that ends because of it is as fast.
_NOTED_S = 0.3
_BUSY_S = 1.0  # in which it is seen whether it works
_ENDED_S = 10.0  # for one that was ended


@dataclass(frozen=True)
class StartedServer:
    """A server that answered its health path.

    Args:
        url: base URL without a trailing slash, reachable from this machine.
        container: the container's id.
    """

    url: str
    container: str


@contextmanager
def serve(
    entry: Entrypoint,
    spec: ContainerSpec,
    launching: AbstractContextManager[Launched],
    *,
    why_not_executed: Callable[[Container], Failure | None] | None = None,
    emulated: bool = False,
) -> Iterator[StartedServer]:
    """Start a server, wait until it answers, watch it during the `with` block, and judge it at its
    end.

    Args:
        launching: makes its container from `spec`, and removes it.
        why_not_executed: what the container itself shows where its command cannot be executed.
        emulated: its platform is.

    Raises:
        EngineError: the engine goes away or does not answer.
        RunError: it ends by itself before it answers, or does not answer within its
            `startup_timeout_s`; it is past a limit, out of memory, or ends with an exit code that
            is no success, now or while it is used. Chained to an error of the block, if any.
    """
    assert entry.server is not None
    look = _Look(spec.platform, why_not_executed, emulated)
    with temporary_folder() as folder, launching as launched:
        _start(launched, look)
        started = time.monotonic()
        with _Attended(launched.container, entry, folder, look) as attended:
            with spec.secrets.hidden.guarding():
                url = _await(launched, attended, entry.server, started)
            try:
                yield StartedServer(url, launched.container.id)
            except Exception as error:
                failure = attended.failure()
                if failure is not None:
                    raise failure from error
                raise
            failure = attended.failure()
            if failure is not None:
                raise failure


@dataclass(frozen=True)
class _Look:
    """What a server that did not start is looked at with.

    Args:
        platform: of the container; `emulated`, whether the engine's machine is another.
        why_not_executed: see `serve`.
    """

    platform: Platform
    why_not_executed: Callable[[Container], Failure | None] | None
    emulated: bool

    def closer(self, container: Container) -> Failure | None:
        return None if self.why_not_executed is None else self.why_not_executed(container)


def _start(launched: Launched, look: _Look) -> None:
    try:
        launched.start()
    except RunError as error:
        seen = look.closer(launched.container)
        if seen is None:
            raise
        raise RunError(seen.what, seen.value, seen.remedy) from error


class _Attended(AbstractContextManager["_Attended"]):
    """A running server that somebody looks after.

    Args:
        folder: for what it prints.
    """

    def __init__(self, container: Container, entry: Entrypoint, folder: Path, look: _Look) -> None:
        self.container = container
        self.entry = entry
        self._look = look
        self._logs = (folder / STDOUT_LOG, folder / STDERR_LOG)
        self._watch = watch_container(self.container, entry.limits)
        self._watching = ExitStack()
        self._started = time.monotonic()

    def __enter__(self) -> _Attended:
        self._watching.enter_context(self._watch)
        self.container.follow(*self._logs, self._watch.log_is_full)
        # Whoever waits notices that the engine is restarted; until the container is gone.
        Thread(target=self._wait, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._watching.__exit__(kind, error, trace)

    def failure(self, *, answered: bool = True) -> RunError | None:
        """What is wrong with how it ended, or with how it is; None where nothing is.

        Args:
            answered: it has; otherwise it is only looked at.

        Raises:
            EngineError: the engine has ended it, or stays away.
        """
        ended = self.container.wait(_NOTED_S if answered else 0.0)
        if ended is None and not answered and self._watch.breach is None:
            return None
        self._watching.close()
        if self._watch.breach is not None:
            ended = self.container.wait(_ENDED_S)
        ending = self._ending(ended)
        unstarted = None if answered else self._unstarted(ending)
        return unstarted or explain_server(
            self.entry, ending, self._logs, answered=answered, emulated=self._look.emulated
        )

    def refused(self) -> RunError | None:
        """What it was denied, of a server that lives and will never answer for that."""
        return explain_refused(self.entry, self.container.recent_words())

    def unanswered(self, server: Server, last: str) -> RunError:
        """What is wrong with a server that has not answered in time; it is ended for that.

        Args:
            last: why the last request was no success.
        """
        look, cpu = self._look, self._cpu_use()
        self.container.kill(0.0)
        self.container.write_logs(*self._logs)
        words = last_words(self._logs, f"GET {server.health} ")
        emulated = look.platform if look.emulated else None
        found = explain_unanswered(self.entry, server, last, cpu, emulated)
        known = remedy_in_time(self.entry, self._logs, emulated=look.emulated)
        return RunError(found.what, f"{found.value}\n{words}", known or found.remedy)

    def _cpu_use(self) -> CpuUse | None:
        before = self.container.cpu_seconds()
        time.sleep(_BUSY_S)
        after = self.container.cpu_seconds()
        if before is None or after is None:
            return None
        return CpuUse(after, after - before, _BUSY_S)

    def _unstarted(self, ending: Ending) -> RunError | None:
        """Why its command could not be executed, of a container that the engine did start."""
        works = not self._look.emulated
        failure = explain_unstarted(ending.exit_code, self._logs, self._look.platform, works=works)
        if failure is None:
            return None
        failure = self._look.closer(self.container) or failure
        return RunError(failure.what, failure.value, failure.remedy)

    def _wait(self) -> None:
        with suppress(MlContainerError, OSError):
            self.container.wait(float("inf"))

    def _ending(self, ended: Exit | None) -> Ending:
        known = self.container.inspect_exit()
        after_s, breach = time.monotonic() - self._started, self._watch.breach
        if ended is not None:
            printed, limit = self.container.write_logs(*self._logs), self.entry.limits.log_bytes
            if breach is None and printed > limit:
                breach = Breach(LOG_LIMIT, limit, printed, after_s)
        return Ending(
            None if ended is None else ended.code,
            after_s,
            oom_killed=known.oom_killed,
            error=known.error,
            breach=breach,
            peak=self._watch.peak,
        )


def _await(launched: Launched, attended: _Attended, server: Server, started: float) -> str:
    deadline = started + server.startup_timeout_s
    last, url = "no answer", None
    look_at = time.monotonic() + _LOOK_S
    while time.monotonic() < deadline:
        failure = attended.failure(answered=False)
        if failure is not None:
            raise failure
        url = url or launched.url()
        if url is not None:
            last = _health(url, server.health)
            if last == "":
                return url
        if time.monotonic() > look_at:
            look_at = time.monotonic() + _LOOK_S
            refused = attended.refused()
            if refused is not None:
                raise refused
        time.sleep(_POLL_S)
    raise attended.unanswered(server, last)


def _health(url: str, path: str) -> str:
    """Empty when the server answers with success, otherwise why not.

    A server that says that it has no page at `/` is as ready as one that has one.
    """
    try:
        with urllib.request.urlopen(url + path, timeout=_REQUEST_TIMEOUT_S):
            return ""
    except urllib.error.HTTPError as error:
        return "" if path == "/" and error.code in _NO_PAGE else f"HTTP {error.code}"
    except (OSError, urllib.error.URLError, ValueError) as error:
        return str(getattr(error, "reason", error))
