"""Whether every knob takes effect, release by release.

`python -m benchmarks.releases` builds an image for each row on the engine of DOCKER_HOST, turns one
knob after the other, and prints what shows its effect inside the container, as a Markdown table.
What has no effect and what cannot be seen are told apart. Ends with 1 where a numerical knob has
something to change and nothing shows that it did, or where a library computes wrong.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.releases.rows import ROWS, Row
from pytest_mlcontainer.engines.docker.engine import DockerEngine
from pytest_mlcontainer.errors import MlContainerError
from pytest_mlcontainer.facts import can_be_witnessed, took_effect
from pytest_mlcontainer.model import (
    EmulatedCpu,
    Entrypoint,
    Facts,
    Image,
    Knobs,
    NotExercised,
    Platform,
    Situation,
    Target,
)
from pytest_mlcontainer.owners import current_owner
from pytest_mlcontainer.runs.answers import ImageAsking, ask
from pytest_mlcontainer.runs.emulation import OURS, choose_cpu
from pytest_mlcontainer.runs.probe import Probe, read_facts
from pytest_mlcontainer.variations import FAMILIES

KNOBS = ("threads", "blas-kernel", "simd", "libm", "precision", "hash-seed", "encoding", "timezone",
         "cpus")  # fmt: skip
_NUMERIC = ("threads", "blas-kernel", "simd")
_TAG = "mlcontainer-releases"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.releases", description=__doc__)
    parser.add_argument("--only", metavar="TEXT", default="", help="rows whose name has this")
    arguments = parser.parse_args(argv)
    print(f"| release | {' | '.join(KNOBS)} | known answers |")
    print("| --- " * (len(KNOBS) + 2) + "|", flush=True)
    engine = DockerEngine(None, os.environ, current_owner(uuid.uuid4().hex))
    good = True
    try:
        for row in ROWS:
            if arguments.only in row.name:
                cells = _cells(engine, row)
                good &= not any("!" in cell for cell in cells)
                print(f"| {row.name} | {' | '.join(cells)} |", flush=True)
    finally:
        engine.close()
        engine.disconnect()
    return 0 if good else 1


def _cells(engine: DockerEngine, row: Row) -> list[str]:
    tag = f"{_TAG}:{uuid.uuid4().hex[:12]}"
    try:
        _build(tag, row)
        image = engine.find_image(tag, Platform(*row.platform.split("/")))
        assert image is not None
        with tempfile.TemporaryDirectory(prefix="mlcontainer-releases-") as folder:
            return _Looking(engine, image, Path(folder)).cells()
    except (subprocess.CalledProcessError, MlContainerError) as error:
        said = getattr(error, "stderr", None) or str(error)
        return [f"not built: {said.strip().splitlines()[-1][:120]}"] + [""] * len(KNOBS)
    finally:
        subprocess.run(["docker", "image", "rm", "-f", tag], capture_output=True, check=False)


def _build(tag: str, row: Row) -> None:
    words = [
        "docker",
        "buildx",
        "build",
        "-q",
        "--load",
        "--platform",
        row.platform,
        "-t",
        tag,
        "-",
    ]
    subprocess.run(words, input=row.dockerfile, text=True, capture_output=True, check=True)


class _Looking:
    """One image, looked at with one knob after the other turned."""

    def __init__(self, engine: DockerEngine, image: Image, cache: Path) -> None:
        self._engine, self._image, self._cache = engine, image, cache
        emulated = engine.emulates(image.platform)
        ours = choose_cpu(engine, image) if emulated else None
        cpu = None if ours is None else EmulatedCpu(ours, OURS, ours=True)
        self._target = Target(image.platform, emulated=emulated, cpu=cpu)

    def cells(self) -> list[str]:
        before = self._look(Knobs())
        entry = Entrypoint("look")
        here = Situation(self._image.platform, before, entry, self._image, over_image=True)
        return [*(self._cell(name, here) for name in KNOBS), self._answers(before)]

    def _cell(self, name: str, here: Situation) -> str:
        (family,) = (each for each in FAMILIES if each.name == name)
        choice = family.choose(here)
        if isinstance(choice, NotExercised):
            return choice.why
        shown = took_effect(choice.witness, here.facts, self._look(choice.knobs))
        if shown:
            return shown.partition(",")[0]
        mark = "! " if name in _NUMERIC else ""
        seen = can_be_witnessed(choice.witness, here.facts)
        return f"{mark}{choice}: {'no effect' if seen else 'cannot be seen'}"

    def _look(self, knobs: Knobs) -> Facts:
        key = uuid.uuid4().hex
        probe = Probe(self._engine, self._image, self._target, (), key, self._cache, deep=True)
        return read_facts(replace(probe, knobs=knobs))

    def _answers(self, before: Facts) -> str:
        asking = ImageAsking(
            Entrypoint("look"),
            before,
            self._target,
            self._engine,
            self._image,
            "answers",
            self._cache,
        )
        answers = ask(asking)
        if answers.wrong:
            return "! wrong: " + "; ".join(f"{each.library}: {each.what}" for each in answers.wrong)
        return _counted(answers.asked) + ("" if answers.finished else " (not finished)")


def _counted(asked: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{library}: {answers} right" for library, answers in asked) or "none asked"


if __name__ == "__main__":
    sys.exit(main())
