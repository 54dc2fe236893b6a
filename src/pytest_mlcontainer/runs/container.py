"""One execution of an entrypoint in a container."""

from __future__ import annotations

import posixpath
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_mlcontainer.engines import Container, ContainerSpec, Exit, LogLine, Runner, quiet
from pytest_mlcontainer.errors import EngineError, EngineLostError, RunError
from pytest_mlcontainer.model import (
    Entrypoint,
    Facts,
    Failure,
    Image,
    Knobs,
    Run,
    Target,
)
from pytest_mlcontainer.outputs import Collected, DeclaredOutputs, folders_left, links_left
from pytest_mlcontainer.progress.far import TransferProgress
from pytest_mlcontainer.records import OUTPUTS, STDERR_LOG, STDOUT_LOG, write_record
from pytest_mlcontainer.runs.breaches import LOG_LIMIT, Breach
from pytest_mlcontainer.runs.collecting import (
    let_time_pass,
    look_before,
    refine_times,
    take_outputs,
    what_is_there,
)
from pytest_mlcontainer.runs.emulation import with_cpu
from pytest_mlcontainer.runs.failures import (
    CpuUse,
    Ending,
    explain,
    explain_unstarted,
    missing_outputs,
    remarks,
)
from pytest_mlcontainer.runs.handing import plan_handed
from pytest_mlcontainer.runs.inputs import (
    Input,
    Move,
    file_tar,
    folders_tar,
    needs_tar,
)
from pytest_mlcontainer.runs.knobs import KnobResources, outermost, turn, watched_folders
from pytest_mlcontainer.runs.opened_files import take_opened_files
from pytest_mlcontainer.runs.programs import why_not_executed
from pytest_mlcontainer.runs.recording import INTO, asked_tar, take_recording
from pytest_mlcontainer.runs.secret_files import secret_folders, secrets_tar
from pytest_mlcontainer.runs.watching import GRACE_S, watch_container
from pytest_mlcontainer.secrets import Disclosed

_WATCHED_S = 2.0  # the last part of a run's time, in which its use of the CPU is looked at


@dataclass(frozen=True)
class ContainerRun:
    """All that a run in a container needs, ready for use.

    Args:
        id: names the run in its record.
        volumes: volume name → container path, for inputs that are folders.
        files: inputs that are single files.
        needs: finished runs whose outputs are put at the same paths.
        facts: what the probe saw in this image on this target.
        knobs: how its environment is changed; `means` is what the engine has ready for that.
        folder: empty folder on this machine for the record.
        secrets: read for this run.
        needed: another run may get its outputs, whose times are then read to the nanosecond.
        notes: what has to be known of where it runs.
        log: told what goes on.
    """

    id: str
    engine: Runner
    image: Image
    entry: Entrypoint
    target: Target
    volumes: tuple[tuple[str, str], ...]
    files: tuple[Input, ...]
    needs: tuple[Run, ...]
    facts: Facts
    folder: Path
    knobs: Knobs = Knobs()
    means: KnobResources = KnobResources()
    secrets: Disclosed = Disclosed()
    needed: bool = True
    notes: tuple[str, ...] = ()
    log: LogLine = quiet

    @property
    def home(self) -> str:
        """The working directory that the image or the project names."""
        return posixpath.normpath(posixpath.join("/", self.image.workdir, self.entry.workdir or ""))

    @property
    def workdir(self) -> str:
        """The working directory that it runs in."""
        return self.knobs.workdir or self.home

    @property
    def written(self) -> tuple[str, ...]:
        """Folders that it has to be able to write to, or that files are put into."""
        declared = DeclaredOutputs(self.entry.outputs, self.workdir)
        given = [posixpath.dirname(item.target) for item in self.files]
        for run in self.needs:
            given += [posixpath.dirname(each.path) for each in plan_handed(run, self.home).files]
        made = [posixpath.join(self.home, path) for path in self.entry.writable]
        return outermost((*declared.folders(), *given, *made))


def execute(job: ContainerRun) -> Run:
    """Run once; the record is on disk when this returns.

    A run that fails is returned with its `failure`, because its logs and partial outputs are worth
    keeping.

    Raises:
        RunError: the command could not be started.
        EngineLostError: the engine went away; the run can be repeated.
        PlatformError, GpuError, EngineError: the engine could not do what was asked.
    """
    declared = DeclaredOutputs(job.entry.outputs, job.workdir)
    with job.engine.container(_spec(job)) as container, _once_only(container, job):
        _fill(container, job)
        before = look_before(container, declared, job.entry)
        let_time_pass(before)
        ending = _run_to_its_end(container, job)
        hidden, into, far = job.secrets.hidden, job.folder / OUTPUTS, TransferProgress(job.log)
        far.tell(lambda: "collecting its outputs")
        collected, refusal = take_outputs(container, declared, into, job.entry, before, hidden, far)
        if job.knobs.recording is not None:
            take_recording(container, job.folder, hidden)
        if job.knobs.opens:
            take_opened_files(container, job.folder)
        if job.needed:
            refine_times(container, declared, collected)
        missing = collected.missing(job.entry.outputs)
        there = what_is_there(container, declared, missing) if missing else {}
        run, entry = _run(job, ending, collected), _limited(job)
        failure = None if ending.breach else refusal or _unstarted(container, job, run)
        lines = missing_outputs(missing, there, collected.inherited)
        failure = failure or explain(run, ending, entry, lines)
        notes = () if failure else (*job.notes, *remarks(run, ending, entry))
        run = replace(run, failure=hidden.failure(failure), notes=notes)
        container.failed = failure is not None
    write_record(run)
    return run


def _run_to_its_end(container: Container, job: ContainerRun) -> Ending:
    """Start it, watch it, and take what it printed."""
    limits = job.entry.limits
    stdout, stderr = job.folder / STDOUT_LOG, job.folder / STDERR_LOG
    watch = watch_container(container, limits)
    container.follow(stdout, stderr, watch.log_is_full)
    started = time.monotonic()
    _start(container, job)
    with watch:
        ended, cpu = _wait(container, limits.timeout_s)
    ending = _ending(container, job, ended, cpu, time.monotonic() - started)
    printed = container.write_logs(stdout, stderr)
    breach = watch.breach
    if printed > limits.log_bytes and (breach is None or breach.setting == LOG_LIMIT):
        breach = Breach(LOG_LIMIT, limits.log_bytes, printed, ending.duration_s)
    return replace(ending, breach=breach, peak=watch.peak)


def _start(container: Container, job: ContainerRun) -> None:
    """Start it; where it cannot be, with the reason that the container itself shows.

    Raises:
        RunError: its command cannot be executed.
    """
    try:
        container.start()
    except RunError as error:
        seen = why_not_executed(container, job.entry, job.image, job.home)
        if seen is None:
            raise
        raise RunError(seen.what, seen.value, seen.remedy) from error


def _unstarted(container: Container, job: ContainerRun, run: Run) -> Failure | None:
    """The failure of a run whose command could not even be executed."""
    works = not run.target.emulated or bool(run.facts.values)
    logs, platform = (run.stdout, run.stderr), run.target.platform
    failure = explain_unstarted(run.exit_code, logs, platform, works=works)
    return failure and (why_not_executed(container, job.entry, job.image, job.home) or failure)


def _limited(job: ContainerRun) -> Entrypoint:
    """The entrypoint with the memory that it has in this run."""
    memory = job.knobs.memory_bytes or job.entry.limits.memory_bytes
    return replace(job.entry, limits=replace(job.entry.limits, memory_bytes=memory))


@contextmanager
def _once_only(container: Container, job: ContainerRun) -> Iterator[None]:
    """Let a run that the engine interrupted be repeated, unless it may have changed something.

    Raises:
        EngineLostError: it can be repeated.
        EngineError: it had a network, and had begun.
    """
    try:
        yield
    except EngineLostError as error:
        network = job.entry.limits.network
        if network == "none" or not container.started:
            raise
        raise EngineError(
            error.what,
            error.value,
            f'run it again; it is not repeated by itself, because with network = "{network}" it '
            "may have changed something outside",
        ) from error


def _spec(job: ContainerRun) -> ContainerSpec:
    spec = ContainerSpec(
        image=job.image.reference,
        platform=job.image.platform,
        command=job.entry.command,
        entrypoint=job.entry.entrypoint,
        env=job.entry.env,
        workdir=job.entry.workdir and job.home,
        # The command line's --gpus is in the target.
        limits=replace(job.entry.limits, gpus=job.target.gpus),
        volumes=job.volumes,
        secrets=job.secrets,
        log=job.log,
    )
    written = (*job.written, *secret_folders(job.secrets))
    spec = with_cpu(spec, job.target)
    return turn(spec, job.knobs, job.image, job.home, job.means, written)


def _fill(container: Container, job: ContainerRun) -> None:
    made = tuple(posixpath.join(job.home, path) for path in job.entry.writable)
    if job.knobs.user or job.knobs.read_only:
        made += job.written  # another user, and a volume that is new, have to be let in
    if job.knobs.workdir is not None:
        # First: what is mounted inside the copy needs its folder there.
        _fill_copy(container, job, job.knobs.workdir, made)
    _put(container, job, made)
    told = watched_folders(job.knobs)
    if told:
        container.put("/", folders_tar(told))  # which every user may write to
    if job.knobs.recording is not None:
        container.put(INTO, asked_tar(job.knobs.recording))


def _put(container: Container, job: ContainerRun, made: tuple[str, ...]) -> None:
    if made:
        container.put("/", folders_tar(made))
    for item in job.files:
        container.put("/", file_tar(item))
    if job.needs:
        container.put("/", needs_tar(job.needs, job.home))
    if job.secrets.files:
        user = job.knobs.user or job.entry.limits.user or job.image.user
        container.put("/", secrets_tar(job.secrets, user))


def _fill_copy(
    container: Container, job: ContainerRun, elsewhere: str, made: tuple[str, ...]
) -> None:
    """The same in the copy of the working directory, where relative paths lead now."""
    there = [_moved(path, elsewhere, job.home) for path in made]
    if job.knobs.read_only:
        # An engine makes the folders that it mounts inputs on, but cannot in a read-only copy.
        there += [path for _name, path in job.volumes]
    within = tuple(path for path in there if path.startswith(f"{job.home}/") or path == job.home)
    if within:
        container.put("/", folders_tar(within), copy=True)
    for item in job.files:
        if item.target.startswith(f"{job.home}/"):
            container.put("/", file_tar(item), copy=True)
    if not job.needs:
        return
    container.put("/", needs_tar(job.needs, job.home), copy=True)
    if job.knobs.read_only:
        # Folders that can be written to lie over those of the copy, which cannot.
        container.put("/", needs_tar(job.needs, job.home, Move(job.home, elsewhere, job.written)))


def _moved(path: str, source: str, target: str) -> str:
    inside = path == source or path.startswith(f"{source}/")
    return target + path[len(source) :] if inside else path


def _wait(container: Container, timeout_s: float) -> tuple[Exit | None, CpuUse | None]:
    """Wait for the end; for a run that does not end in time also its use of the CPU."""
    watched_s = min(_WATCHED_S, timeout_s / 4)
    ended = container.wait(timeout_s - watched_s)
    if ended is not None:
        return ended, None
    before = container.cpu_seconds()
    ended = container.wait(watched_s)
    if ended is not None:
        return ended, None
    after = container.cpu_seconds()
    if before is None or after is None:
        return None, None
    return None, CpuUse(after, after - before, watched_s)


def _ending(
    container: Container,
    job: ContainerRun,
    ended: Exit | None,
    cpu: CpuUse | None,
    seconds: float,
) -> Ending:
    if ended is None:
        container.kill(GRACE_S)
        killed = container.inspect_exit().oom_killed
        return Ending(None, seconds, timed_out=True, cpu=cpu, oom_killed=killed)
    known = container.inspect_exit()
    error = ended.error
    if ended.code not in job.entry.exit_codes:
        error = error or known.error
    return Ending(ended.code, seconds, oom_killed=known.oom_killed, error=error)


def _run(job: ContainerRun, ending: Ending, collected: Collected) -> Run:
    declared = DeclaredOutputs(job.entry.outputs, job.workdir)
    return Run(
        id=job.id,
        entrypoint=job.entry.name,
        target=job.target,
        exit_code=ending.exit_code,
        duration_s=ending.duration_s,
        folder=job.folder,
        stdout=job.folder / STDOUT_LOG,
        stderr=job.folder / STDERR_LOG,
        outputs=tuple(sorted(collected.outputs.values(), key=lambda output: output.name)),
        folders=folders_left(collected, declared),
        links=links_left(collected, declared),
        refused=tuple(collected.refused),
        image=job.image.digest,
        workdir=job.workdir,
        facts=job.facts,
    )
