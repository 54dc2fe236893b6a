"""One execution of an entrypoint without a container, in a copy of the project."""

from __future__ import annotations

import errno
import os
import posixpath
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_mlcontainer.engines.process import Completed, Processes
from pytest_mlcontainer.errors import OutputError, RunError
from pytest_mlcontainer.facts import parse_facts, probe_sources
from pytest_mlcontainer.model import Entrypoint, Facts, Failure, Knobs, Link, Run, Target
from pytest_mlcontainer.outputs import (
    Collected,
    DeclaredOutputs,
    collect_tree,
    folders_left,
    links_left,
)
from pytest_mlcontainer.records import OUTPUTS, STDERR_LOG, STDOUT_LOG, write_record
from pytest_mlcontainer.runs.collecting import allowance_of
from pytest_mlcontainer.runs.failures import (
    Ending,
    explain,
    explain_refusal,
    missing_outputs,
    remarks,
)
from pytest_mlcontainer.runs.handing import put_on_host
from pytest_mlcontainer.runs.host_limits import HostLimits
from pytest_mlcontainer.runs.inputs import Input, copy_folder
from pytest_mlcontainer.secrets import Disclosed
from pytest_mlcontainer.temporary import temporary_folder

_NAMES_SHOWN = 20
_PROBE_TIMEOUT_S = 60.0
# What a checkout holds beside the project itself; copying it would only cost time.
_LEFT_BEHIND = shutil.ignore_patterns(
    ".git", ".hg", ".venv", "venv", ".tox", ".nox", "__pycache__", ".pytest_cache", ".mypy_cache",
    ".ruff_cache", "node_modules", "*.egg-info",
)  # fmt: skip


@dataclass(frozen=True)
class HostRun:
    """All that a run on this machine needs.

    Args:
        environ: the environment variables it gets, with those of the entrypoint on top.
        inputs: project files with the container paths they have elsewhere; those paths are
            replaced where they start an argument or a variable's value.
        folder: empty folder for the record.
        knobs: how its environment is changed, as far as that needs no container.
        secrets: read for this run; variables only.
        notes: what is known of the place before it runs.
    """

    id: str
    processes: Processes
    project: Path
    entry: Entrypoint
    target: Target
    environ: Mapping[str, str]
    inputs: tuple[Input, ...]
    needs: tuple[Run, ...]
    facts: Facts
    folder: Path
    knobs: Knobs = Knobs()
    secrets: Disclosed = Disclosed()
    notes: tuple[str, ...] = ()


def execute(job: HostRun) -> Run:
    """Run once in a copy of the project; the record is on disk when this returns.

    Raises:
        RunError: the command cannot be started.
    """
    with temporary_folder() as temporary:
        copy = temporary / (job.project.name or "project")
        workdir = _prepare(copy, job)
        before = Collected(allowance=allowance_of(job.entry))
        with suppress(OutputError):  # what is too much to look through counts as not there
            collect_tree(workdir, DeclaredOutputs(job.entry.outputs, str(workdir)), None, before)
        # Not in the record, whose logs never hold what must not be seen.
        logs = (Path(temporary, STDOUT_LOG), Path(temporary, STDERR_LOG))
        limits = HostLimits(job.entry.limits, logs, copy)
        done = _run_command(job, copy, workdir, logs, limits)
        limits.cut_logs()
        for log in logs:
            job.secrets.hidden.copy(log, job.folder / log.name, cut=limits.breach is not None)
        collected, refusal = _collect(job, workdir)
        collected.inherit(before.marks())
        missing = collected.missing(job.entry.outputs)
        run = _result(job, done, collected, workdir)
        code = None if done.timed_out else done.exit_code
        ending = Ending(code, done.duration_s, timed_out=done.timed_out, breach=limits.breach)
        there = {name: _what_is_there(workdir, name) for name in missing}
        lines = missing_outputs(missing, there, collected.inherited)
        failure = None if limits.breach else refusal
        failure = failure or explain(run, ending, job.entry, lines)
        notes = () if failure else remarks(run, ending, job.entry)
        run = replace(run, failure=job.secrets.hidden.failure(failure), notes=(*job.notes, *notes))
    write_record(run)
    return run


def _collect(job: HostRun, workdir: Path) -> tuple[Collected, Failure | None]:
    """Its outputs; and why they are not all, where there is too much."""
    collected = Collected(allowance=allowance_of(job.entry), hidden=job.secrets.hidden)
    into = job.folder / OUTPUTS
    into.mkdir()
    try:
        collect_tree(workdir, DeclaredOutputs(job.entry.outputs, str(workdir)), into, collected)
    except OutputError as error:
        return collected, explain_refusal(error, job.entry)
    return collected, None


def environment(environ: Mapping[str, str], entry: Entrypoint, knobs: Knobs) -> dict[str, str]:
    """The variables that a run gets: this machine's, the entrypoint's, and what is varied."""
    kept = {name: value for name, value in environ.items() if name not in knobs.unset}
    return {**kept, **dict(entry.env), **dict(knobs.env)}


def probe(
    processes: Processes,
    environ: Mapping[str, str],
    project: Path,
    wrapper: tuple[str, ...] = (),
    *,
    deep: bool = False,
) -> Facts:
    """The facts of this machine's Python, the first on PATH; none without one.

    Args:
        wrapper: a program, with its arguments, that executes what follows.
        deep: with canaries, which take longer.
    """
    python = shutil.which("python3", path=environ.get("PATH")) or shutil.which(
        "python", path=environ.get("PATH")
    )
    if python is None:
        return Facts()
    command = [*wrapper, python, "-c", *probe_sources(deep=deep)]
    done = processes.run(command, cwd=project, env=environ, timeout_s=_PROBE_TIMEOUT_S)
    return parse_facts(done.output) or Facts()


def _prepare(copy: Path, job: HostRun) -> Path:
    _copy_project(job.project, copy)
    workdir = copy / (job.entry.workdir or "")
    workdir.mkdir(parents=True, exist_ok=True)
    for name in job.entry.writable:
        (workdir / name).mkdir(parents=True, exist_ok=True)
    _remove_old_outputs(workdir, job.entry)
    for item in job.inputs:
        _copy_input(item, copy, workdir)
    put_on_host(job.needs, workdir)
    return workdir


def _copy_project(project: Path, copy: Path) -> None:
    """Copy all but what goes away meanwhile: a session may keep its records in the project.

    Raises:
        RunError: something cannot be read.
    """
    try:
        shutil.copytree(
            project, copy, ignore=_LEFT_BEHIND, symlinks=True, copy_function=_copy_if_there
        )
    except shutil.Error as error:
        (failed,) = error.args
        lasting = [f"{source}: {why}" for source, _copy, why in failed if os.path.lexists(source)]
        if lasting:
            raise RunError(
                "the project cannot be copied for a run on this machine",
                "; ".join(lasting[:_NAMES_SHOWN]),
                'make it readable for the user who runs pytest, or leave "host" out of platforms',
            ) from error


def _copy_if_there(source: str, target: str) -> None:
    """As `shutil.copy2`; a file that has gone since its folder was read was not meant."""
    with suppress(FileNotFoundError):
        shutil.copy2(source, target)


def _remove_old_outputs(workdir: Path, entry: Entrypoint) -> None:
    """What earlier runs left in the checkout must not pass for this run's output."""
    declared = DeclaredOutputs(entry.outputs, str(workdir))
    inside = Path(os.path.realpath(workdir))
    for root in declared.roots():
        place = Path(root)
        if not Path(os.path.realpath(place)).is_relative_to(inside):
            # The project keeps its outputs elsewhere; those are not ours to touch, or to write to.
            if place.is_symlink():
                place.unlink()
                place.mkdir()
            continue
        for folder, _folders, files in os.walk(root):
            for name in files:
                path = Path(folder, name)
                if declared.name_of(str(path)) is not None:
                    path.unlink()
        if place.is_file() and declared.name_of(root) is not None:
            place.unlink()


def _copy_input(item: Input, copy: Path, workdir: Path) -> None:
    place = _input_place(item, copy, workdir)
    if place.is_symlink():
        # A link to data kept elsewhere: the run gets a copy, since inputs are never written to.
        place.unlink()
    elif place.exists():
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    if item.is_folder:
        copy_folder(item.source, place)
    else:
        shutil.copy2(item.source, place)


def _input_place(item: Input, copy: Path, workdir: Path) -> Path:
    if item.target.startswith("/"):
        return copy / item.name
    return workdir / item.target


def _run_command(
    job: HostRun, copy: Path, workdir: Path, logs: tuple[Path, Path], limits: HostLimits
) -> Completed:
    argv = (*(job.entry.entrypoint or ()), *job.entry.command)
    if not argv:
        raise RunError(
            f"{job.entry.name} has no command to run on the host",
            "the image's own CMD is not known without a container",
            f"declare one: {job.entry.table} command = […]",
        )
    relocate = _relocation(job, copy, workdir)
    env = environment(job.environ, job.entry, job.knobs)
    env |= {name: relocate(value) for name, value in job.entry.env if value == env[name]}
    env |= dict(job.secrets.variables)
    argv = tuple(relocate(word) for word in argv)
    program = _find(argv[0], workdir, env.get("PATH"))
    if program is None:
        searched = f"in {job.project}" if "/" in argv[0] else f"on PATH={env.get('PATH')}"
        raise RunError(
            f"the command of {job.entry.name} was not found on this machine",
            f"{argv[0]!r}, {searched}",
            "install the project into the Python that runs pytest (`pip install -e .`), or leave "
            '"host" out of the platforms',
        )
    try:
        return job.processes.run(
            (*job.knobs.wrapper, program, *argv[1:]),
            cwd=workdir,
            env=env,
            timeout_s=job.entry.limits.timeout_s,
            stdout=logs[0],
            stderr=logs[1],
            past_limits=limits.passed,
        )
    except OSError as error:
        if error.errno == errno.ECANCELED:
            raise RunError(f"{job.entry.name} on the host was ended", "", "run it again") from error
        raise RunError(
            f"the command of {job.entry.name} cannot be executed on this machine",
            f"{argv[0]!r}: {error.strerror}",
            "make it executable, with a first line that names its interpreter",
        ) from error


def _find(program: str, workdir: Path, path: str | None) -> str | None:
    """Where a program is: on PATH, or, with a slash in its name, in the run's own folder."""
    if "/" not in program:
        return shutil.which(program, path=path)
    local = workdir / program
    return str(local) if local.exists() else None


def _relocation(job: HostRun, copy: Path, workdir: Path) -> Callable[[str], str]:
    """Replaces container paths of inputs at the start of a word, or of a `--flag=` value."""
    places = [
        (item.target, str(_input_place(item, copy, workdir)))
        for item in job.inputs
        if item.target.startswith("/")
    ]

    def relocate(word: str) -> str:
        flag, equals, value = word.rpartition("=") if word.startswith("-") else ("", "", word)
        for target, place in places:
            if value == target or value.startswith(target + "/"):
                return f"{flag}{equals}{place}{value[len(target) :]}"
        return word

    return relocate


def _result(job: HostRun, done: Completed, collected: Collected, workdir: Path) -> Run:
    declared = DeclaredOutputs(job.entry.outputs, str(workdir))
    folders = folders_left(collected, declared)
    links = links_left(collected, declared)
    return Run(
        id=job.id,
        entrypoint=job.entry.name,
        target=job.target,
        exit_code=None if done.timed_out else done.exit_code,
        duration_s=done.duration_s,
        folder=job.folder,
        stdout=job.folder / STDOUT_LOG,
        stderr=job.folder / STDERR_LOG,
        outputs=tuple(sorted(collected.outputs.values(), key=lambda output: output.name)),
        folders=tuple(replace(each, name=_relative(each.name, workdir)) for each in folders),
        links=tuple(
            Link(_relative(each.name, workdir), _relative(each.target, workdir))
            for each in links
            if Path(each.target).is_relative_to(workdir)
        ),
        refused=(
            *collected.refused,
            *(job.secrets.hidden.text(f"{path}: a link") for path in collected.links),
        ),
        workdir="",
        facts=job.facts,
    )


def _relative(path: str, workdir: Path) -> str:
    return posixpath.relpath(path, workdir)


def _what_is_there(workdir: Path, pattern: str) -> tuple[str, tuple[str, ...]]:
    (root,) = DeclaredOutputs((pattern,), str(workdir)).roots()
    folder = Path(root)
    while not folder.is_dir():
        folder = folder.parent
    names = sorted(child.name + ("/" if child.is_dir() else "") for child in folder.iterdir())
    shown = posixpath.join(".", os.path.relpath(folder, workdir))
    return shown, tuple(names[:_NAMES_SHOWN])
