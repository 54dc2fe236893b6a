"""Why a run did not do its job, in words; exit code, logs and outputs are all evidence."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_mlcontainer.engines import Usage
from pytest_mlcontainer.engines.failures import cut_line, explain_exec
from pytest_mlcontainer.errors import OutputError, TooMuchOutputError
from pytest_mlcontainer.model import HOST, Entrypoint, Failure, Platform, Run
from pytest_mlcontainer.runs.breaches import (
    Breach,
    memory_ran_out,
    memory_remedy,
    out_of_processes,
)
from pytest_mlcontainer.runs.remedies import Case
from pytest_mlcontainer.runs.symptoms import recognise
from pytest_mlcontainer.runs.warned import invalid_cast
from pytest_mlcontainer.wording import first_and_count

_TAIL_LINES = 20
_REFUSED_SHOWN = 3  # the record lists all of them
_TAIL_BYTES = 16_384
_NAMES_SHOWN = 8
_IDLE_SHARE = 0.02  # of one core: a run below that waits rather than computes
_EXEC_BYTES = 4096
_KILLED = 137
_SIGNALLED = 128
_RAISED = "Traceback (most recent call last)"
_NOT_STARTED = (126, 127)  # of a shell, for what it cannot execute or find


@dataclass(frozen=True)
class CpuUse:
    """CPU seconds of a run: in all, and in its last `window_s` seconds."""

    total_s: float
    last_s: float
    window_s: float

    @property
    def is_idle(self) -> bool:
        return self.last_s < _IDLE_SHARE * self.window_s


@dataclass(frozen=True)
class Ending:
    """How a run ended.

    Args:
        exit_code: None when it was killed for running too long.
        cpu: what a run past its limit had used, where the engine can tell.
        error: the engine's own word.
        breach: the limit for which it was ended, or beyond which nothing of it was kept.
        peak: the most that it was seen to use.
    """

    exit_code: int | None
    duration_s: float
    timed_out: bool = False
    cpu: CpuUse | None = None
    oom_killed: bool = False
    error: str = ""
    breach: Breach | None = None
    peak: Usage = Usage()


def explain(
    run: Run, ending: Ending, entry: Entrypoint, missing: tuple[str, ...]
) -> Failure | None:
    """The failure of a run, or None.

    Args:
        missing: one line for each declared output that was not written.
    """
    if ending.breach is not None:
        return Failure(
            f"{run.entrypoint} on {run.target} {ending.breach.did}",
            "\n".join([ending.breach.value, *_written(run, entry), tail(run)]),
            ending.breach.remedy(entry.table),
        )
    if ending.timed_out:
        return _timeout(run, ending, entry)
    if ending.exit_code not in entry.exit_codes or ending.error:
        return _exit(run, ending, entry, missing)
    return _unwritten(run, ending, entry, missing) if missing else None


def _unwritten(run: Run, ending: Ending, entry: Entrypoint, missing: tuple[str, ...]) -> Failure:
    refused = (f"not taken over: {line}" for line in run.refused)
    lines = "\n".join((*_memory(ending, entry), *missing, *refused))
    none = run.outputs and not run.written
    relative = f" {run.workdir}" if run.workdir else ""
    remedy = (
        f"correct `outputs` (relative ones refer to the working directory{relative}), or find "
        "out why the file was not written"
    )
    if any(each.inherited for each in run.outputs):
        remedy = f"declare only what {run.entrypoint} writes itself: {remedy}"
    return Failure(
        f"{run.entrypoint} on {run.target} exited with code {ending.exit_code} but "
        f"{'wrote none of' if none else 'did not write'} what it declares",
        f"{lines}\n{tail(run)}",
        remedy,
    )


def explain_refusal(error: OutputError, entry: Entrypoint) -> Failure:
    """The failure of a run whose outputs are not all taken over."""
    place = f" in {entry.table}" if isinstance(error, TooMuchOutputError) else ""
    return Failure(error.what, error.value, error.remedy + place)


def remarks(run: Run, ending: Ending, entry: Entrypoint) -> tuple[str, ...]:
    """What has to be known of a run that did its job."""
    who = f"{run.entrypoint} on {run.target}"
    found = [
        f"{who} exited with code {ending.exit_code}, but {ran_out}: what it wrote may lack data; "
        f"{memory_remedy(entry.limits, entry.table)}"
        for ran_out in _memory(ending, entry)
    ]
    if run.refused:
        listed = "; ".join(run.refused[:_REFUSED_SHOWN])
        more = "; and more, in its record" if len(run.refused) > _REFUSED_SHOWN else ""
        found.append(f"{who} wrote what is not taken over: {listed}{more}")
    cast = invalid_cast(run.stderr)
    if cast:
        found.append(f"{who} {cast}")
    inherited = [each.name for each in run.outputs if each.inherited]
    if inherited:
        found.append(
            f"not written by {who}, and not compared: "
            f"{first_and_count(inherited, _NAMES_SHOWN)} (there before it, unchanged)"
        )
    return tuple(found)


def missing_outputs(
    missing: tuple[str, ...],
    there: Mapping[str, tuple[str, tuple[str, ...]]],
    inherited: Callable[[str], tuple[str, ...]],
) -> tuple[str, ...]:
    """One line for each missing output, with what is there instead.

    Args:
        inherited: gives the files of a pattern that were there before the run, unchanged.
    """
    lines = []
    for pattern in missing:
        if names := inherited(pattern):
            lines.append(
                f"not written by this run: {pattern}; {first_and_count(names, _NAMES_SHOWN)} was "
                "there before it (put there by what it needs, or part of the image) and is "
                "unchanged"
            )
            continue
        folder, names = there.get(pattern, ("", ()))
        shown = ", ".join(names) if names else "nothing"
        lines.append(f"missing: {pattern}; in {folder} there is: {shown}")
    return tuple(lines)


def tail(run: Run) -> str:
    """The last lines it printed: stderr's, or stdout's if it printed no errors."""
    for name, file in (("stderr", run.stderr), ("stdout", run.stdout)):
        lines = last_lines(file)
        if lines:
            return "\n".join((f"last lines of {name} ({file}):", *(f"  {line}" for line in lines)))
    return "it printed nothing"


def explain_unstarted(
    exit_code: int | None, logs: tuple[Path, Path], platform: Platform, *, works: bool
) -> Failure | None:
    """The failure where a command could not even be executed; None where it could.

    Args:
        logs: what was printed to stdout and to stderr.
        works: whether a program of this platform is known to run on the engine.
    """
    stdout, stderr = logs
    if exit_code in (0, None) or stdout.stat().st_size or stderr.stat().st_size > _EXEC_BYTES:
        return None
    printed = stderr.read_text(encoding="utf-8", errors="replace")
    error = explain_exec(printed, platform, works=works)
    return None if error is None else Failure(error.what, error.value, error.remedy)


def _timeout(run: Run, ending: Ending, entry: Entrypoint) -> Failure:
    hangs = ending.cpu is not None and ending.cpu.is_idle
    lines = [f"{entry.limits.timeout_s:g} s of wall clock{cpu_use_text(ending.cpu)}"]
    remedy = (
        _remedy_for_hanging(run, entry)
        if hangs
        else slow_remedy(
            "timeout", entry.table, run.target.platform if run.target.emulated else None
        )
    )
    processes = _processes(run, ending, entry)
    if processes is not None:
        lines.append(processes[0])
        remedy = f"{processes[1]}; {remedy}"
    if ending.oom_killed:  # those that wait for it wait for ever
        lines += _memory(ending, entry)
        remedy = f"{memory_remedy(entry.limits, entry.table)}; {remedy}"
    return Failure(
        f"{run.entrypoint} on {run.target} ran past its timeout and was killed",
        "\n".join([*lines, *_written(run, entry), tail(run)]),
        remedy,
    )


def _memory(ending: Ending, entry: Entrypoint) -> tuple[str, ...]:
    if not ending.oom_killed:
        return ()
    child = ending.exit_code != _KILLED
    return (memory_ran_out(entry.limits, ending.peak, child=child),)


def _processes(run: Run, ending: Ending, entry: Entrypoint) -> tuple[str, str] | None:
    printed = _printed(run)
    found = out_of_processes(entry.limits, ending.peak, printed)
    return None if found is None else (found[0], f"{found[1]} in {entry.table}")


def cpu_use_text(cpu: CpuUse | None) -> str:
    if cpu is None:
        return ""
    if cpu.is_idle:
        return (
            f"; it had used {cpu.total_s:.1f} s of CPU, and none in the last "
            f"{cpu.window_s:.1g} s: it waits rather than computes"
        )
    return f"; it had used {cpu.total_s:.1f} s of CPU and was working"


def _remedy_for_hanging(run: Run, entry: Entrypoint) -> str:
    network = ', or the network (network = "none" here)' if entry.limits.network == "none" else ""
    emulated = (
        "; under emulation, a package that crashes as it is imported also looks like this: "
        f"{_native_engine(run.target.platform)}"
        if run.target.emulated
        else ""
    )
    return f"find out what it waits for: a lock, another process{network}{emulated}"


def slow_remedy(limit: str, table: str, platform: Platform | None) -> str:
    """What helps where work is not done in time.

    Args:
        limit: the key of the limit.
        platform: where it is emulated.
    """
    emulated = ""
    if platform is not None:
        native = _native_engine(platform)
        emulated = f"; this platform is emulated, which is 5 to 30 times slower: {native}"
    return f"raise `{limit}` in {table}, or make it do less{emulated}"


def _native_engine(platform: Platform) -> str:
    return f'a native engine can be named with engines = {{ "{platform}" = "ssh://user@machine" }}'


def _exit(run: Run, ending: Ending, entry: Entrypoint, missing: tuple[str, ...]) -> Failure:
    reason, remedy = _cause(run, ending, entry) or ("", _remedy_for_exit(run, ending, entry))
    lines = [*_memory(ending, entry), *_written(run, entry), *missing, tail(run)]
    processes = _processes(run, ending, entry)
    if processes is not None and not ending.oom_killed:
        lines.insert(0, processes[0])
        remedy = processes[1]
    if ending.error:
        lines.insert(0, f"the engine says: {ending.error}")
    return Failure(
        f"{run.entrypoint} on {run.target} {_how(ending.exit_code)}{reason}",
        "\n".join(lines),
        remedy,
    )


def _how(exit_code: int | None) -> str:
    """How it ended; what the host runs has the number of a signal, negative, for a code."""
    if exit_code is None or exit_code >= 0:
        return f"exited with code {exit_code}"
    try:
        return f"was ended by {signal.Signals(-exit_code).name}"
    except ValueError:
        return f"was ended by signal {-exit_code}"


def _cause(run: Run, ending: Ending, entry: Entrypoint) -> tuple[str, str] | None:
    """What it died of, and the remedy."""
    if ending.oom_killed:
        who = "it" if ending.exit_code == _KILLED else "one of its processes"
        remedy = memory_remedy(entry.limits, entry.table)
        return f" ({who} ran out of memory)", remedy
    user = run.facts.get("user.id")
    found = recognise(
        Case(
            printed=_printed(run),
            exit_code=_shell_code(ending.exit_code),
            limits=entry.limits,
            table=entry.table,
            gpus=run.target.gpus,
            emulated=bool(run.target.emulated),
            in_container=run.target.platform != HOST,
            outputs=entry.outputs,
            workdir=run.workdir or "/",
            inputs=tuple(target for _name, target in entry.inputs),
            root=None if user is None else user == 0,
        )
    )
    if found is None:
        return None
    if not found.cause:
        return "", f"the program's own words are above; {found.remedy}"
    return f" ({found.cause})", found.remedy


def _shell_code(exit_code: int | None) -> int | None:
    """The code that a shell, or a container, gives what a signal ended: 128 and its number."""
    return exit_code if exit_code is None or exit_code >= 0 else _SIGNALLED - exit_code


def _printed(run: Run) -> str:
    return "\n".join((*last_lines(run.stdout, cut=False), *last_lines(run.stderr, cut=False)))


def _remedy_for_exit(run: Run, ending: Ending, entry: Entrypoint) -> str:
    printed = _printed(run)
    there = "" if run.target.platform == HOST else " in the image"
    words = "the program's own words are above" if printed else f"run it by hand{there}"
    code = ending.exit_code or 0
    raised = code == 1 and _RAISED in printed  # which no program means as a success
    if (entry.outputs and not run.written) or code < 0 or code in _NOT_STARTED or raised:
        return words
    return (
        f"{words}; if this code is a success for it, declare "
        f"exit-codes = [0, {code}] in {entry.table}"
    )


def _written(run: Run, entry: Entrypoint) -> tuple[str, ...]:
    names = [output.name for output in run.written]
    if names:
        return (f"outputs written all the same: {first_and_count(names, _NAMES_SHOWN)}",)
    return ("outputs written: none",) if entry.outputs else ()


def last_lines(file: Path, *, cut: bool = True) -> list[str]:
    """The last lines of a log; none where there is no such file.

    Args:
        cut: each short enough to show; else whole, for what is looked for in them.
    """
    try:
        with file.open("rb") as source:
            source.seek(0, 2)
            source.seek(max(0, source.tell() - _TAIL_BYTES))
            text = source.read().decode("utf-8", "replace")
    except OSError:
        return []
    lines = [line for line in text.splitlines() if line.strip()][-_TAIL_LINES:]
    return [cut_line(line) for line in lines] if cut else lines
