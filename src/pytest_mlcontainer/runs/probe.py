"""Reading the facts of an environment from inside, once for each image and target."""

from __future__ import annotations

import json
import posixpath
import signal
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from pytest_mlcontainer import facts
from pytest_mlcontainer.engines import Container, ContainerSpec, Runner
from pytest_mlcontainer.engines.failures import EXEC_FORMAT, no_emulation
from pytest_mlcontainer.errors import RunError
from pytest_mlcontainer.model import Facts, Image, Knobs, Limits, Pairs, Platform, Target
from pytest_mlcontainer.runs.emulation import with_cpu
from pytest_mlcontainer.runs.knobs import KnobResources, turn
from pytest_mlcontainer.storage import read_object, write_json
from pytest_mlcontainer.temporary import temporary_folder

_LIMITS = Limits(timeout_s=120.0)
_SIGNALLED = 128  # what a shell adds to the number of the signal that ended a program


@dataclass(frozen=True)
class Probe:
    """Where and how to look.

    Args:
        env: variables that every entrypoint gets, since they are part of the environment.
        key: names this image, target and engine; facts are kept under it for later sessions.
        cache: folder for what is kept.
        deep: with canaries, small computations whose last bits tell processors apart.
        knobs: how the environment is changed; `means` is what the engine has ready for that.
        limits, workdir: of the run whose environment it is; None for that of any run.
    """

    engine: Runner
    image: Image
    target: Target
    env: Pairs
    key: str
    cache: Path
    deep: bool = False
    knobs: Knobs = Knobs()
    means: KnobResources = KnobResources()
    limits: Limits | None = None
    workdir: str | None = None


def read_facts(probe: Probe) -> Facts:
    """What the probe sees; no facts where the image has neither a Python nor a shell.

    Raises:
        PlatformError: the engine cannot run the image's platform.
        GpuError, EngineError: the container cannot be started.
    """
    file = probe.cache / f"{probe.key}-{_kind(probe)}.json"
    with suppress(OSError, ValueError):
        known = read_object(file)
        if known is not None and _is_of_today(file):
            return _facts(known)
    seen = _look(probe)
    # What a crash or a busy machine hid may be seen the next time.
    if seen.values and not facts.unfinished(seen):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, dict(seen.values))
    return seen


def _kind(probe: Probe) -> str:
    """What looks: another version of the probe sees other facts, and so does a deeper look."""
    text = "".join((facts.shell_probe(), *facts.probe_sources(deep=probe.deep)))
    return f"{zlib.crc32(text.encode()):08x}"


def _is_of_today(file: Path) -> bool:
    """The date is one of the facts."""
    made = datetime.fromtimestamp(file.stat().st_mtime, UTC)
    return made.date() == datetime.now(UTC).date()


def _look(probe: Probe) -> Facts:
    sources = facts.probe_sources(deep=probe.deep)
    attempts: tuple[tuple[str, ...], ...] = (
        ("/bin/sh", "-c", facts.shell_probe(), "probe", *sources),
        ("python3", "-c", *sources),
    )
    limits = replace(probe.limits or _LIMITS, timeout_s=_LIMITS.timeout_s, gpus=probe.target.gpus)
    for program, *arguments in attempts:
        spec = ContainerSpec(
            image=probe.image.reference,
            platform=probe.image.platform,
            entrypoint=(program,),
            command=tuple(arguments),
            env=probe.env,
            workdir=probe.workdir,
            limits=limits,
            passing=True,
        )
        seen = _look_once(probe, _turned(probe, with_cpu(spec, probe.target)))
        if seen is not None:
            return seen
    return Facts()


def _turned(probe: Probe, spec: ContainerSpec) -> ContainerSpec:
    workdir = posixpath.normpath(posixpath.join("/", probe.image.workdir, probe.workdir or ""))
    return turn(spec, probe.knobs, probe.image, workdir, probe.means)


def _look_once(probe: Probe, spec: ContainerSpec) -> Facts | None:
    """None when this program is not in the image."""
    platform = probe.target.platform
    with temporary_folder() as folder:
        stdout, stderr = folder / "stdout", folder / "stderr"
        with probe.engine.container(spec) as container:
            container.failed = False
            try:
                container.start()
            except RunError as error:
                if EXEC_FORMAT in str(error):
                    _check_emulation(probe.engine, platform, error.value)
                return None
            ended = _wait(container, spec.limits.timeout_s)
            container.write_logs(stdout, stderr)
        if EXEC_FORMAT in stderr.read_text(errors="replace"):
            _check_emulation(probe.engine, platform, EXEC_FORMAT)
        return facts.parse_facts(stdout.read_text(errors="replace"), ended)


def _wait(container: Container, timeout_s: float) -> str:
    """How the probe ended, where it did not end by itself; "" otherwise."""
    ended = container.wait(timeout_s)
    if ended is None:
        container.kill(0)
        return f"killed after {timeout_s:g} s"
    if not ended.code or ended.code <= _SIGNALLED:
        return ""
    if container.inspect_exit().oom_killed:
        return "killed, out of memory"
    with suppress(ValueError):
        return f"killed by {signal.Signals(ended.code - _SIGNALLED).name}"
    return ""


def _check_emulation(engine: Runner, platform: Platform, detail: str) -> None:
    """A shell of a foreign platform that has the wrong format means that nothing runs it."""
    if engine.emulates(platform):
        raise no_emulation(platform, detail)


def _facts(raw: Mapping[str, object]) -> Facts:
    parsed = facts.parse_facts(facts.MARKER + json.dumps(raw))
    return parsed or Facts()
