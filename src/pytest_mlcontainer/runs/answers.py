"""Asking numerical libraries, where a program runs, for what plain Python knows."""

from __future__ import annotations

import abc
import posixpath
import shutil
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from pytest_mlcontainer.engines import ContainerSpec, Runner
from pytest_mlcontainer.engines.process import Processes
from pytest_mlcontainer.errors import RunError
from pytest_mlcontainer.facts.answers import (
    KnownAnswers,
    WrongAnswer,
    answers_source,
    parse_answers,
)
from pytest_mlcontainer.inside.known_answers import MARKER
from pytest_mlcontainer.model import (
    HOST,
    Entrypoint,
    Facts,
    Image,
    Limits,
    Pairs,
    Target,
    architecture_of,
)
from pytest_mlcontainer.runs.emulation import QEMU_CPU, with_cpu
from pytest_mlcontainer.storage import read_object, write_json
from pytest_mlcontainer.temporary import temporary_folder

_LIMITS = Limits(timeout_s=660.0)
_PACKAGES = ("numpy", "scipy", "torch")
# Kernels that processors of the last ten years have, the newest first.
_KERNELS = {"amd64": ("Haswell", "Nehalem"), "arm64": ("NEOVERSEN1", "ARMV8")}
_KERNEL = "OPENBLAS_CORETYPE"
_SHOWN = 4
_SCRIPT = """
source=$1; shift
for python in "$@"; do
    if command -v "$python" >/dev/null 2>&1; then exec "$python" -c "$source"; fi
done
"""


class Asking(abc.ABC):
    """Libraries of one environment that can be asked, with more variables if need be."""

    def __init__(self, entry: Entrypoint, facts: Facts, target: Target) -> None:
        """Say whose libraries they are.

        Args:
            entry: whose program it is: its variables and its Python.
            facts: what the probe saw there.
            target: with the CPU that is emulated.
        """
        self.entry = entry
        self.facts = facts
        self.target = target

    @abc.abstractmethod
    def put(self, more: Pairs = ()) -> KnownAnswers:
        """What they answer with these variables beside the entrypoint's.

        Raises:
            EngineError: a container cannot be started.
        """

    @property
    @abc.abstractmethod
    def env(self) -> Mapping[str, str]:
        """The variables that they have without more."""

    @property
    @abc.abstractmethod
    def command(self) -> tuple[str, ...]:
        """The program that an output comes from, with its arguments."""

    @property
    @abc.abstractmethod
    def where(self) -> str: ...

    @property
    @abc.abstractmethod
    def architecture(self) -> str: ...

    @property
    def pythons(self) -> tuple[str, ...]:
        """The program's own Python first, which need not be on PATH."""
        named = [word for word in self.command[:1] if posixpath.basename(word).startswith("python")]
        return (*named, "python3", "python")

    @property
    def has_libraries(self) -> bool:
        """Whether there may be any: the probe sees packages of the Python on PATH alone."""
        elsewhere = any("/" in word for word in self.pythons)
        return elsewhere or any(self.facts.get(f"package.{name}") for name in _PACKAGES)


class HostAsking(Asking):
    """The libraries of this machine's Python, asked each time."""

    def __init__(
        self,
        entry: Entrypoint,
        facts: Facts,
        processes: Processes,
        environ: Mapping[str, str],
        project: Path,
    ) -> None:
        super().__init__(entry, facts, Target(HOST))
        self._processes, self._environ, self._project = processes, environ, project

    @property
    def env(self) -> Mapping[str, str]:
        return {**self._environ, **dict(self.entry.env)}

    @property
    def command(self) -> tuple[str, ...]:
        return (*(self.entry.entrypoint or ()), *self.entry.command)

    @property
    def where(self) -> str:
        return "on host"

    @property
    def architecture(self) -> str:
        return architecture_of(str(self.facts.get("machine") or ""))

    def put(self, more: Pairs = ()) -> KnownAnswers:
        environ = {**self.env, **dict(more)}
        found = (shutil.which(name, path=environ.get("PATH")) for name in self.pythons)
        python = next(filter(None, found), None)
        if python is None:
            return KnownAnswers()
        command = [python, "-c", answers_source()]
        seconds = _LIMITS.timeout_s
        done = self._processes.run(command, cwd=self._project, env=environ, timeout_s=seconds)
        return parse_answers(done.output)


class ImageAsking(Asking):
    """The libraries of an image, asked once for each CPU."""

    def __init__(
        self,
        entry: Entrypoint,
        facts: Facts,
        target: Target,
        engine: Runner,
        image: Image,
        key: str,
        cache: Path,
    ) -> None:
        """Say which image it is.

        Args:
            key: names this image, target, entrypoint's environment and engine.
            cache: folder for what is kept.
        """
        super().__init__(entry, facts, target)
        self.key = key
        self._engine, self._image, self._cache = engine, image, cache

    @property
    def env(self) -> Mapping[str, str]:
        return dict((*self._image.env, *self.entry.env))

    @property
    def command(self) -> tuple[str, ...]:
        own = self.entry.entrypoint
        words = (*(self._image.entrypoint if own is None else own), *self.entry.command)
        return words or self._image.command

    @property
    def where(self) -> str:
        cpu, platform = self.target.cpu, self.target.platform
        if cpu is not None:
            return f"on the emulated CPU {cpu.name} ({platform})"
        return f"on the emulated CPU of {platform}" if self.target.emulated else f"on {platform}"

    @property
    def architecture(self) -> str:
        return self._image.platform.architecture

    def put(self, more: Pairs = ()) -> KnownAnswers:
        """What is kept of an earlier time, else what a container says."""
        source = answers_source()
        text = f"{source}{_SCRIPT}{more}"
        file = self._cache / f"{self.key}-{zlib.crc32(text.encode()):08x}.json"
        with suppress(OSError, ValueError):
            known = read_object(file)
            if known is not None:
                return parse_answers(str(known["printed"]))
        printed = self._printed(more, source)
        answers = parse_answers(printed)
        if answers.finished:
            kept = [line for line in printed.splitlines() if line.startswith(MARKER)]
            file.parent.mkdir(parents=True, exist_ok=True)
            write_json(file, {"printed": "\n".join(kept)})
        return answers

    def _printed(self, more: Pairs, source: str) -> str:
        attempts = [("/bin/sh", "-c", _SCRIPT, "answers", source, *self.pythons)]
        attempts += [(python, "-c", source) for python in self.pythons]
        for program, *words in attempts:
            spec = ContainerSpec(
                image=self._image.reference,
                platform=self._image.platform,
                entrypoint=(program,),
                command=tuple(words),
                env=tuple({**dict(self.entry.env), **dict(more)}.items()),
                limits=_LIMITS,
                passing=True,
            )
            with suppress(RunError):
                return self._said(with_cpu(spec, self.target))
        return ""

    def _said(self, spec: ContainerSpec) -> str:
        with temporary_folder() as folder:
            stdout, stderr = folder / "stdout", folder / "stderr"
            with self._engine.container(spec) as container:
                container.failed = False
                container.start()
                if container.wait(spec.limits.timeout_s) is None:
                    container.kill(0)
                container.write_logs(stdout, stderr)
            return stdout.read_text(encoding="utf-8", errors="replace")


def ask(asking: Asking) -> KnownAnswers:
    """What its libraries answer; nothing where there are none, or no Python.

    Raises:
        EngineError: a container cannot be started.
    """
    return asking.put() if asking.has_libraries else KnownAnswers()


def unasked_notes(answers: KnownAnswers, target: Target) -> tuple[str, ...]:
    """That it is not known whether a library computes right, where it could not be asked."""
    notes = [
        f"whether {library} computes right on {target.platform} is not known: {why}"
        for library, why in answers.unread
    ]
    if not answers.finished:
        notes.append(
            f"whether numerical libraries compute right on {target.platform} is not known: what "
            "asks them crashed or hung"
        )
    return tuple(notes)


def explain_wrong(asking: Asking, answers: KnownAnswers, ours: str | None) -> RunError:
    """What is wrong, and what computes right instead, found by trying.

    Args:
        ours: the CPU that would be emulated, had nobody named another; None where none would.
    """
    libraries = ", ".join(dict.fromkeys(each.library for each in answers.wrong))
    lines = [_line(each) for each in answers.wrong[:_SHOWN]]
    more = len(answers.wrong) - _SHOWN
    lines += [f"and {more} more kinds of answers"] if more > 0 else []
    return RunError(
        f"{libraries} computes wrong {asking.where}, so that no output of it was judged",
        "\n".join(lines),
        _remedy(asking, ours),
    )


def _line(wrong: WrongAnswer) -> str:
    blas = f" ({wrong.blas})" if wrong.blas else ""
    if not wrong.right:
        return f"{wrong.library}{blas}: {wrong.what}: {wrong.got}"
    off = "" if wrong.error is None else f", off by {wrong.error:.3g} × the largest right value"
    return (
        f"{wrong.library}{blas}: {wrong.what}: {wrong.got} instead of {wrong.right}{off}, "
        f"{wrong.share}"
    )


def _remedy(asking: Asking, ours: str | None) -> str:
    """The first change with which all answers are right."""
    cpu = asking.target.cpu
    if ours is not None and (cpu is None or cpu.name != ours):
        tried = asking.put(((QEMU_CPU, ours),))
        if _is_right(tried):
            who = "" if cpu is None else f"; {cpu.by} names {cpu.name}: leave {QEMU_CPU} out there"
            return f"emulate the CPU {ours}, with which all {tried.count} answers are right{who}"
    taken = asking.env.get(_KERNEL, "")
    for kernel in _KERNELS.get(asking.architecture, ()):
        tried = asking.put(((_KERNEL, kernel),)) if kernel != taken else KnownAnswers()
        if _is_right(tried):
            return (
                f'set env = {{ {_KERNEL} = "{kernel}" }}, with which all {tried.count} answers are '
                "right here, or install another release of the library"
            )
    return (
        "install another release of the library, or run on another CPU: its numbers are of no use "
        "here, and no tolerance makes them so"
    )


def _is_right(answers: KnownAnswers) -> bool:
    return bool(answers.count) and answers.finished and not answers.wrong
