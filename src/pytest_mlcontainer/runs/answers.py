"""Asking the numerical libraries of an image for what plain Python knows, once for each CPU."""

from __future__ import annotations

import posixpath
import uuid
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pytest_mlcontainer.engines import ContainerSpec, Engine
from pytest_mlcontainer.errors import RunError
from pytest_mlcontainer.facts.answers import Answers, WrongAnswer, answers_source, parse_answers
from pytest_mlcontainer.facts.known_answers import MARKER
from pytest_mlcontainer.model import Entrypoint, Facts, Image, Limits, Pairs, Target
from pytest_mlcontainer.runs.emulation import QEMU_CPU, with_cpu
from pytest_mlcontainer.storage import read_object, write_json

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


@dataclass(frozen=True)
class Asking:
    """What is asked, and where.

    Args:
        entry: whose program it is: its variables and its Python.
        facts: what the probe saw in the image.
        key: names this image, target, entrypoint's environment and engine.
        cache: folder for what is kept.
    """

    engine: Engine
    image: Image
    target: Target
    entry: Entrypoint
    facts: Facts
    key: str
    cache: Path

    @property
    def pythons(self) -> tuple[str, ...]:
        """The program's own Python first, which need not be on PATH."""
        own = self.entry.entrypoint
        words = (*(self.image.entrypoint if own is None else own), *self.entry.command)
        words = words or self.image.command
        named = [word for word in words[:1] if posixpath.basename(word).startswith("python")]
        return (*named, "python3", "python")

    @property
    def has_libraries(self) -> bool:
        """Whether there may be any: the probe sees packages of the Python on PATH alone."""
        elsewhere = any("/" in word for word in self.pythons)
        return elsewhere or any(self.facts.get(f"package.{name}") for name in _PACKAGES)


def ask(asking: Asking) -> Answers:
    """What its libraries answer; nothing where there are none, or no Python.

    Raises:
        EngineError: the container cannot be started.
    """
    if not asking.has_libraries:
        return Answers()
    return _ask(asking, ())


def unasked_notes(answers: Answers, target: Target) -> tuple[str, ...]:
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


def explain_wrong(asking: Asking, answers: Answers, ours: str | None) -> RunError:
    """What is wrong, and what computes right instead, found by trying.

    Args:
        ours: the CPU that would be emulated, had nobody named another; None where none would.
    """
    platform, cpu = asking.target.platform, asking.target.cpu
    libraries = ", ".join(dict.fromkeys(each.library for each in answers.wrong))
    where = f"on {platform}" if cpu is None else f"on the emulated CPU {cpu.name} ({platform})"
    if asking.target.emulated and cpu is None:
        where = f"on the emulated CPU of {platform}"
    lines = [_line(each) for each in answers.wrong[:_SHOWN]]
    more = len(answers.wrong) - _SHOWN
    lines += [f"and {more} more kinds of answers"] if more > 0 else []
    return RunError(
        f"{libraries} computes wrong {where}, so that no output of it was judged",
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
        tried = _ask(asking, ((QEMU_CPU, ours),))
        if _is_right(tried):
            who = "" if cpu is None else f"; {cpu.by} names {cpu.name}: leave {QEMU_CPU} out there"
            return f"emulate the CPU {ours}, with which all {tried.count} answers are right{who}"
    taken = dict((*asking.image.env, *asking.entry.env)).get(_KERNEL, "")
    for kernel in _KERNELS.get(asking.image.platform.architecture, ()):
        tried = _ask(asking, ((_KERNEL, kernel),)) if kernel != taken else Answers()
        if _is_right(tried):
            return (
                f'set env = {{ {_KERNEL} = "{kernel}" }}, with which all {tried.count} answers are '
                "right here, or install another release of the library"
            )
    return (
        "install another release of the library, or run on another CPU: its numbers are of no use "
        "here, and no tolerance makes them so"
    )


def _is_right(answers: Answers) -> bool:
    return bool(answers.count) and answers.finished and not answers.wrong


def _ask(asking: Asking, more: Pairs) -> Answers:
    """What is kept of an earlier time, else what a container says."""
    source = answers_source()
    text = f"{source}{_SCRIPT}{more}"
    file = asking.cache / f"{asking.key}-{zlib.crc32(text.encode()):08x}.json"
    with suppress(OSError, ValueError):
        known = read_object(file)
        if known is not None:
            return parse_answers(str(known["printed"]))
    printed = _printed(asking, more, source)
    answers = parse_answers(printed)
    if answers.finished:
        kept = [line for line in printed.splitlines() if line.startswith(MARKER)]
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, {"printed": "\n".join(kept)})
    return answers


def _printed(asking: Asking, more: Pairs, source: str) -> str:
    attempts = [("/bin/sh", "-c", _SCRIPT, "answers", source, *asking.pythons)]
    attempts += [(python, "-c", source) for python in asking.pythons]
    for program, *words in attempts:
        spec = ContainerSpec(
            image=asking.image.reference,
            platform=asking.image.platform,
            entrypoint=(program,),
            command=tuple(words),
            env=tuple({**dict(asking.entry.env), **dict(more)}.items()),
            limits=_LIMITS,
            passing=True,
        )
        with suppress(RunError):
            return _said(asking, with_cpu(spec, asking.target))
    return ""


def _said(asking: Asking, spec: ContainerSpec) -> str:
    folder = asking.cache / uuid.uuid4().hex
    folder.mkdir(parents=True)
    stdout, stderr = folder / "stdout", folder / "stderr"
    try:
        with asking.engine.container(spec) as container:
            container.failed = False
            container.start()
            if container.wait(spec.limits.timeout_s) is None:
                container.kill(0)
            container.write_logs(stdout, stderr)
        return stdout.read_text(encoding="utf-8", errors="replace")
    finally:
        stdout.unlink(missing_ok=True)
        stderr.unlink(missing_ok=True)
        folder.rmdir()
