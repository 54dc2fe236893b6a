"""Why a server did not do its job, in words."""

from __future__ import annotations

import re
from pathlib import Path

from pytest_mlcontainer.engines.denials import allow_denied
from pytest_mlcontainer.engines.failures import cut_line
from pytest_mlcontainer.errors import RunError
from pytest_mlcontainer.model import Entrypoint, Platform, Server
from pytest_mlcontainer.runs.breaches import memory_ran_out, memory_remedy, out_of_processes
from pytest_mlcontainer.runs.failures import (
    CpuUse,
    Ending,
    cpu_use_text,
    last_lines,
    slow_remedy,
)
from pytest_mlcontainer.runs.remedies import Case
from pytest_mlcontainer.runs.symptoms import recognise

_KILLED = 137
# Of a master that goes on when all that it starts ends for this.
_REFUSED = re.compile(
    r"set(re|res)?[ug]id.*operation not permitted|set_?groups.*operation not permitted"
    r"|initgroups.*operation not permitted|failed switching to|cannot (drop|switch) (user|group)",
    re.I,
)


def explain_server(
    entry: Entrypoint, ending: Ending, logs: tuple[Path, Path], *, answered: bool, emulated: bool
) -> RunError | None:
    """What is wrong with a server's end; None of one that runs, or ended well once it had answered.

    Args:
        ending: its exit code is None while it runs.
        logs: what it printed to stdout and to stderr.
        answered: it has been ready, so that it may end: a test can ask it to.
    """
    name, words = f"the server {entry.name}", last_words(logs)
    if ending.breach is not None:
        remedy = ending.breach.remedy(entry.table)
        return RunError(f"{name} {ending.breach.did}", f"{ending.breach.value}\n{words}", remedy)
    runs = ending.exit_code is None
    well = runs or (ending.exit_code in entry.exit_codes and not ending.error)
    if answered and well and not ending.oom_killed:
        return None
    cause, known, remedy = _cause(entry, ending, logs, emulated=emulated)
    when = "while it was used" if answered else "before it answered"
    how = "one of its processes was killed" if runs else f"exit code {ending.exit_code}"
    lines = [how, *filter(None, (known, ending.error and f"the engine says: {ending.error}"))]
    return RunError(
        f"{name} {'ran out of memory' if runs else 'ended'} {when}{cause}",
        "\n".join((*lines, words)),
        remedy or _remedy(entry, ending, logs, answered=answered),
    )


def explain_refused(entry: Entrypoint, printed: str) -> RunError | None:
    """What is wrong with a server that lives and whose processes were denied what they need to
    serve; None where nothing says so."""
    if not _REFUSED.search(printed):
        return None
    allowed = allow_denied(printed, entry.table, root=None)
    lines = [cut_line(line) for line in printed.splitlines() if line.strip()]
    return RunError(
        f"the server {entry.name} was denied what it needs to serve",
        "\n".join(("it runs, but its own processes end:", *(f"  {line}" for line in lines))),
        allowed,
    )


def remedy_in_time(entry: Entrypoint, logs: tuple[Path, Path], *, emulated: bool) -> str:
    """What helps a server that did not answer in time, by its own words; "" where they say
    nothing."""
    limits, printed = entry.limits, _printed(logs)
    case = Case(printed, None, limits, entry.table, gpus=limits.gpus, emulated=emulated)
    found = recognise(case)
    return "" if found is None else f"{found.cause}: {found.remedy}".removeprefix(": ")


def explain_unanswered(
    entry: Entrypoint, server: Server, last: str, cpu: CpuUse | None, platform: Platform | None
) -> RunError:
    """What is wrong with a server that lives and did not answer in time, where its own words do not
    say it: they are added by the caller.

    Args:
        last: why the last request was no success.
        cpu: its use of the CPU at the end, where the engine can tell.
        platform: where that is emulated.
    """
    value = f"{server.health} on port {server.port}, {server.startup_timeout_s:g} s: {last}"
    if last.startswith("HTTP "):
        remedy = "it answers, but not with success: check `health`, or raise startup-timeout"
    elif cpu is not None and not cpu.is_idle:
        value += cpu_use_text(cpu)
        remedy = slow_remedy("startup-timeout", entry.table, platform)
    else:
        remedy = (
            f"it must listen on port {server.port}, and on 0.0.0.0, not 127.0.0.1, inside the "
            "container: check its own settings and `port`, or raise startup-timeout"
        )
    return RunError(f"the server {entry.name} did not answer in time", value, remedy)


def last_words(logs: tuple[Path, Path], but: str | None = None) -> str:
    """The last lines that a server printed to stderr, or to stdout if it printed none there.

    Args:
        but: what lines do not count that hold it.
    """
    for name, log in zip(("stderr", "stdout"), reversed(logs), strict=True):
        lines = [line for line in last_lines(log) if but is None or but not in line]
        if lines:
            return "\n".join((f"last lines of {name}:", *(f"  {line}" for line in lines)))
    return "it printed nothing"


def _cause(
    entry: Entrypoint, ending: Ending, logs: tuple[Path, Path], *, emulated: bool
) -> tuple[str, str, str]:
    """What it died of: for the headline, for the lines below it, and the remedy; "" for each."""
    table, limits, printed = entry.table, entry.limits, _printed(logs)
    if ending.oom_killed:
        known = memory_ran_out(limits, ending.peak, child=ending.exit_code != _KILLED)
        cause = "" if ending.exit_code is None else " (it ran out of memory)"
        return cause, known, memory_remedy(limits, table)
    full = out_of_processes(limits, ending.peak, printed)
    if full is not None:
        return "", full[0], f"{full[1]} in {table}"
    found = recognise(
        Case(printed, ending.exit_code, limits, table, gpus=limits.gpus, emulated=emulated)
    )
    if found is None:
        return "", "", ""
    return f" ({found.cause})" if found.cause else "", "", found.remedy


def _remedy(entry: Entrypoint, ending: Ending, logs: tuple[Path, Path], *, answered: bool) -> str:
    allowed = allow_denied(_printed(logs), entry.table, root=None)
    if answered:
        words = (
            "its own words are above; if it ends like this when a test asks it to, declare "
            f"exit-codes = [0, {ending.exit_code}] in {entry.table}"
        )
    else:
        words = "a server entrypoint must stay in the foreground; its own words are above"
    return "; ".join(filter(None, (words, allowed)))


def _printed(logs: tuple[Path, Path]) -> str:
    return "\n".join(line for log in logs for line in last_lines(log, cut=False))
