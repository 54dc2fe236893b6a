"""A container that is a pod; see `engines.Container`."""

from __future__ import annotations

import tarfile
import time
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, Any, Final, cast

from pytest_mlcontainer.engines import Exit, Stream, Usage
from pytest_mlcontainer.engines.failures import (
    cannot_execute,
    command_not_allowed,
    command_not_found,
)
from pytest_mlcontainer.engines.kubernetes import pod_states
from pytest_mlcontainer.engines.kubernetes.api import ClusterApi, NotThereError
from pytest_mlcontainer.engines.kubernetes.executing import PodPlace
from pytest_mlcontainer.engines.kubernetes.manifests import (
    BUSYBOX,
    SHARED,
    PodPlan,
    plan_job,
    volume_path,
)
from pytest_mlcontainer.engines.kubernetes.pod_states import KEEPER, PROGRAM
from pytest_mlcontainer.engines.kubernetes.pod_watch import PodWatch
from pytest_mlcontainer.engines.kubernetes.rewritten import check_rewritten, why_added_fails
from pytest_mlcontainer.engines.kubernetes.supervised import SupervisorLog, SupervisorState
from pytest_mlcontainer.engines.kubernetes.transfers import PodFiles, TarPieces
from pytest_mlcontainer.engines.printed import STDERR, STDOUT, LogFiles
from pytest_mlcontainer.errors import EngineError, EngineLostError
from pytest_mlcontainer.progress.far import TransferProgress

_JOB_S: Final = 3.0  # until its controller has made the pod; past it, its events are looked at
_START_S: Final = 120.0
_KILLED_S: Final = 30.0
_KILLED_CODE: Final = 137
_RECENT_BYTES: Final = 4000
_SILENCE_S: Final = 120.0

# Executed once more where a connection broke: who has gone does not go again.
_GO: Final = '[ -e "$D/going" ] || echo go >"$D/go"'
# $1 seconds of grace. The supervisor ends what is left itself.
_KILL: Final = """
read -r CHILD <"$D/child" || exit 0
"$B" kill -TERM "$CHILD" 2>/dev/null || exit 0
LEFT=$(($1 * 10))
while [ $LEFT -gt 0 ] && "$B" kill -0 "$CHILD" 2>/dev/null; do
    "$B" usleep 100000
    LEFT=$((LEFT - 1))
done
"$B" kill -KILL "$CHILD" 2>/dev/null
exit 0
"""
_RECENT: Final = '"$B" tail -q -c "$1" "$D/stdout" "$D/stderr" 2>/dev/null; exit 0'
_KINDS: Final = {"stdout": STDOUT, "stderr": STDERR}
# How much was printed on each: what is cut off is counted, too.
_PRINTED: Final = """
for NAME in stdout stderr; do
    [ -e "$D/$NAME" ] || { echo 0; continue; }
    "$B" stat -c %s "$D/$NAME"
done
"""
_CPU: Final = """
for FILE in /sys/fs/cgroup/cpuacct/cpuacct.usage /sys/fs/cgroup/cpu,cpuacct/cpuacct.usage; do
    [ -r "$FILE" ] && { "$B" cat "$FILE"; exit 0; }
done
"$B" sed -n 's/^usage_usec \\(.*\\)$/\\1000/p' /sys/fs/cgroup/cpu.stat
"""


@dataclass(frozen=True)
class PodAccess:
    """What a container needs of its engine."""

    api: ClusterApi
    watch: PodWatch


class PodContainer:
    """One pod, from its Job's creation on.

    Args:
        volumes: a tar stream for each of the spec's volumes.
    """

    def __init__(
        self, access: PodAccess, plan: PodPlan, volumes: tuple[Callable[[], Iterable[bytes]], ...]
    ) -> None:
        self.id: str = str(plan.metadata["name"])
        self.failed = False
        self.started: bool = False
        self._api, self._watch = access.api, access.watch
        self._plan = plan
        self._asked = plan_job(plan)["spec"]["template"]["spec"]
        self._volumes = volumes
        self._pod = ""
        self._following: SupervisorLog | None = None
        self._on_full: Callable[[], None] = lambda: None
        self._ended: Exit | None = None
        self._files_gone = False

    def put(self, path: str, tar: Iterable[bytes], *, copy: bool = False) -> None:
        if not copy:
            self._files().put(path, tar)

    def start(self) -> None:
        following = self._follow()
        following.on_full = self._on_full
        self._script(PROGRAM, _GO)
        told = following.wait_until(_is_decided, time.monotonic() + _START_S, self._check)
        if told.network_open:
            raise EngineError(
                "the cluster does not keep pods from the network",
                f"{self._plan.forbidden} was reached from a pod whose NetworkPolicy allows nothing",
                "use a cluster whose network plugin enforces NetworkPolicies, or let the program "
                'have a network: network = "bridge"',
            )
        if told.refused is not None:
            raise self._refused(told.refused)
        if not _is_decided(told):
            what = "the program in the pod was not started in time"
            raise EngineLostError(what, f"{self._pod}, after {_START_S:g} s", "run it again")
        self.started = True

    def follow(self, stdout: Path, stderr: Path, on_full: Callable[[], None]) -> None:  # noqa: ARG002 - the protocol's
        self._on_full = on_full
        if self._following is not None:
            self._following.on_full = on_full

    def wait(self, timeout_s: float) -> Exit | None:
        deadline = time.monotonic() + timeout_s
        following = self._follow()
        try:
            told = following.wait_until(_has_ended, deadline, self._check)
            if told.exit_code is None:
                # Whether it still runs has to be known: past its time is a verdict.
                told = following.ask()
        except _MemoryOverError:
            # With its first process its file system went.
            self._files_gone = True
            self._ended = Exit(_KILLED_CODE, oom_killed=True)
            return self._ended
        if told.exit_code is None:
            return None
        self._ended = Exit(told.exit_code, oom_killed=bool(told.oom_kills))
        return self._ended

    def kill(self, grace_s: float) -> None:
        if not self.started or self._ended is not None:
            return
        with suppress(EngineError):
            self._script(PROGRAM, _KILL, str(int(grace_s)), limit_s=grace_s + _SILENCE_S)
            self.wait(_KILLED_S)

    def inspect_exit(self) -> Exit:
        if self._ended is not None:
            return self._ended
        told = self._told()
        return Exit(told.exit_code, oom_killed=bool(told.oom_kills))

    def cpu_seconds(self) -> float | None:
        with suppress(EngineError, ValueError):
            return int(self._script(PROGRAM, _CPU)) / 1e9
        return None

    def usage(self) -> Usage:
        return Usage()

    def recent_words(self) -> str:
        said = b""
        with suppress(EngineError):
            said = self._script(KEEPER, _RECENT, str(_RECENT_BYTES))
        return self._plan.spec.secrets.hidden.text(said.decode("utf-8", "replace"))

    def write_logs(self, stdout: Path, stderr: Path) -> int:
        spec = self._plan.spec
        most, hidden = spec.limits.log_bytes, spec.secrets.hidden
        sizes = self._told().printed or tuple(map(int, self._script(KEEPER, _PRINTED).split()))
        keeper = self._files(KEEPER)
        with LogFiles(stdout, stderr, most, hidden) as files:
            if 0 < sum(sizes) <= most:
                _take_files(files, keeper.get_all(SHARED, *_KINDS))
            for name, size in zip(_KINDS, sizes, strict=True):
                if sum(sizes) > most and size and not files.is_over:
                    _take_files(files, keeper.get_all(SHARED, name))
        return max(files.seen_bytes, sum(sizes))

    def get(self, path: str) -> Stream | None:
        return None if self._files_gone else self._files().get(path)

    def changed_ns(self, path: str) -> int | None:  # noqa: ARG002 - the protocol's
        return None

    def close(self) -> None:
        """Let go of connections."""
        if self._following is not None:
            self._following.close()

    def pod(self) -> str:
        """The pod's name, once both of its containers run and its volumes are filled.

        Raises:
            EngineError: it will not run, or has waited for too long.
        """
        if not self._pod:
            running = self._await_running()
            self._pod = str(running["metadata"]["name"])
            self._fill()
        return self._pod

    def _await_running(self) -> dict[str, Any]:
        platform, pending_s = self._plan.spec.platform, self._plan.settings.pending_s
        deadline, far = time.monotonic() + pending_s, TransferProgress(self._plan.spec.log)
        far.tell(lambda: "queued")
        pod = self._watch.wait_until(self.id, bool, min(deadline, time.monotonic() + _JOB_S))
        while pod is None:
            if self._is_suspended():
                far.tell(lambda: "suspended: a queue has not let it go yet")
                deadline = time.monotonic() + pending_s  # as long as it takes
            elif time.monotonic() > deadline:
                raise pod_states.unscheduled("the Job has no pod", platform, pending_s)
            pod = self._watch.wait_until(self.id, bool, time.monotonic() + _JOB_S)

        def settled(pod: dict[str, Any] | None) -> bool:
            if pod is not None:
                far.tell(lambda: pod_states.phase_of(pod).told())
            return (
                pod is None
                or pod_states.is_running(pod)
                or self._why_never(pod) is not None
                or pod_states.phase_of(pod).step == "ended"
                or pod_states.terminated(pod) is not None
            )

        for note in check_rewritten(self._asked, pod):
            self._plan.spec.log(f"the cluster has changed the pod: {note}")
        pod = self._watch.wait_until(self.id, settled, deadline)
        if pod is not None and pod_states.is_running(pod):
            return pod
        raise self._why_not(pod)

    def _why_not(self, pod: dict[str, Any] | None) -> EngineError:
        """Why the pod does not run."""
        platform, pending_s = self._plan.spec.platform, self._plan.settings.pending_s
        if pod is None:
            return EngineLostError("somebody removed the pod", self.id, "run it again")
        never = self._why_never(pod)
        if never is not None:
            return never
        phase = pod_states.phase_of(pod)
        if phase.step == "waiting for a node":
            return pod_states.unscheduled(phase.why, platform, pending_s)
        ended = pod_states.terminated(pod)
        said = f"{phase.step} for {pending_s:g} s: {phase.why}"
        if ended is not None:
            said = f"its first process ended: {dict(ended)}"
        elif phase.step == "ended":
            said = "; ".join(map(": ".join, pod_states.troubled_containers(pod))) or phase.why
        return EngineError(
            "the pod does not start",
            said,
            "see `kubectl describe` of it, or raise pending-timeout of "
            "[tool.mlcontainer.kubernetes]",
        )

    def _why_never(self, pod: dict[str, Any]) -> EngineError | None:
        return why_added_fails(self._asked, pod) or pod_states.why_never(
            pod, self._plan.spec.platform
        )

    def _is_suspended(self) -> bool:
        """Whether the Job has no pod because a queue keeps it.

        Raises:
            EngineError: something else keeps it from having one, as its events tell.
        """
        try:
            job = self._api.get("jobs", self.id)
        except NotThereError as error:
            what = "somebody removed the Job"
            raise EngineLostError(what, self.id, "run it again") from error
        events = self._api.list("events", fields=f"involvedObject.name={self.id}")["items"]
        failed = [each for each in events if each.get("reason") == "FailedCreate"]
        if failed:
            raise self._api.not_admitted(str(failed[-1].get("message") or ""))
        return bool(job["spec"].get("suspend"))

    def _fill(self) -> None:
        keeper = self._files(KEEPER)
        for index, content in enumerate(self._volumes):
            keeper.put(volume_path(index), content())

    def _follow(self) -> SupervisorLog:
        if self._following is None:
            self._following = SupervisorLog(self._api, self.pod())
        return self._following

    def _files(self, container: str = PROGRAM) -> PodFiles:
        place = PodPlace(self._api, self.pod(), container)
        return PodFiles(place, BUSYBOX, SHARED)

    def _script(
        self, container: str, text: str, *arguments: str, limit_s: float = _SILENCE_S
    ) -> bytes:
        """What a script of the helper's shell prints, executed in one of the pod's containers."""
        files = self._files(container)
        place = PodPlace(self._api, self.pod(), container)
        execution, printed = place.run(files.script(text, *arguments), limit_s=limit_s)
        if execution.code:
            raise EngineError("the pod does not do what it is told", execution.words(), "")
        return printed

    def _check(self) -> None:
        """Raise what has ended the pod, if anything but its own program did."""
        pod = self._watch.pod_of(self.id)
        if pod is None:
            what = "somebody removed the pod"
            raise EngineLostError(what, self._pod or self.id, "run it again")
        if pod_states.was_oom_killed(pod):
            raise _MemoryOverError("memory was used up", self.id, "")
        ended = pod_states.why_ended(pod)
        if ended is not None:
            raise ended
        terminated = pod_states.terminated(pod)
        if terminated is not None and self._follow().ask().exit_code is None:
            # It never ends by itself, so that how the program would have ended is not known.
            what = "something ended the pod's first process"
            raise EngineLostError(what, str(dict(terminated)), "run it again")

    def _told(self) -> SupervisorState:
        return SupervisorState() if self._following is None else self._following.told

    def _refused(self, why: str) -> Exception:
        argv = self._plan.argv
        program = argv[0] if argv else ""
        if why == "missing":
            return command_not_found(program, argv)
        if why == "not-allowed":
            return command_not_allowed(program, self._plan.image.user)
        if why == "machine":
            return pod_states.cannot_run(self._plan.spec.platform, program)
        return cannot_execute(program)


class _MemoryOverError(EngineError):
    """The whole container was killed for lack of memory."""


def _is_decided(told: SupervisorState) -> bool:
    return told.started or told.network_open or told.refused is not None


def _has_ended(told: SupervisorState) -> bool:
    return told.exit_code is not None


def _take_files(files: LogFiles, stream: Stream | None) -> None:
    """Take what was printed out of a tar stream, as far as there is room for it."""
    if stream is None:
        return
    with closing(stream):
        source = cast("IO[bytes]", TarPieces(stream))
        with tarfile.open(fileobj=source, mode="r|") as tar:
            for entry in tar:
                content = tar.extractfile(entry) or BytesIO()
                while piece := content.read(1 << 16):
                    files.take(_KINDS[entry.name], piece)
                    if files.is_over:
                        return
        for _rest in stream:
            pass  # to its end, where it is known to be whole
