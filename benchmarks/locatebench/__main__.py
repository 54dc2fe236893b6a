"""Locate the drift of each labelled case, and score the answers.

    python -m benchmarks.locatebench [--set measuring] [--case NAME]

Cases are those of DriftBench whose label has `origins`, and those in this package.
Each is varied by its own cause alone: the search for causes is measured by DriftBench.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from platform import machine

from benchmarks.driftbench.cases import CASES, RANDOMNESS, Case, load_cases, select
from benchmarks.driftbench.images import build_bases, staged
from benchmarks.locatebench.cures import CureAnswer, cure_table
from benchmarks.locatebench.wild import WILD, wild_answer, wild_table
from pytest_mlcontainer.cli.setup import pipeline_setup
from pytest_mlcontainer.config import load, parse_options
from pytest_mlcontainer.errors import MlContainerError
from pytest_mlcontainer.matrix import plan
from pytest_mlcontainer.model import Location, Outcome, VariesJob
from pytest_mlcontainer.pipeline import Pipeline
from pytest_mlcontainer.variations import FAMILIES

OWN = Path(__file__).parent / "cases"
_ANY = "hash-seed"  # for a program that draws lots: it has to be varied by something


@dataclass(frozen=True)
class Answer:
    """What came of one case.

    Args:
        location: None where no drift was found.
        wall_s: of all runs, those that found the drift too.
    """

    case: Case
    location: Location | None
    wall_s: float
    error: str = ""

    @property
    def lines(self) -> list[str]:
        found = () if self.location is None else self.location.origins
        return [f"{each.file}:{each.line}" for each in found]

    @property
    def first_is_right(self) -> bool:
        return self.lines[:1] != [] and self.lines[0] in self.case.origins

    @property
    def marks(self) -> list[bool]:
        """Of the amplifier and the deciding line that the label has, whether each was said."""
        found = self.location or Location()
        amplifier = None if found.amplifier is None else found.amplifier.place
        pairs = ((amplifier, self.case.amplifiers), (found.decision, self.case.decisions))
        return [
            place is not None and f"{place.file}:{place.line}" in known
            for place, known in pairs
            if known
        ]

    @property
    def proven_wrong(self) -> bool:
        """Whether it was called located, and is not."""
        proven = self.location is not None and self.location.proven
        return proven and not set(self.lines) & set(self.case.origins)


def answer(case: Case, folder: Path) -> Answer:
    """Locate a case's drift in a copy of it below `folder`."""
    outcome, wall_s, error = _outcome(case, folder, locate=True)
    return Answer(case, None if outcome is None else outcome.location, wall_s, error)


def cure_answer(case: Case, folder: Path) -> CureAnswer:
    """Cure a case's drift in a copy of it below `folder`."""
    outcome, wall_s, error = _outcome(case, folder, cure=True)
    return CureAnswer(case, None if outcome is None else outcome.cure, wall_s, error)


def _outcome(
    case: Case, folder: Path, *, locate: bool = False, cure: bool = False
) -> tuple[Outcome | None, float, str]:
    """What varying a case by its own cause comes to, how long it took, and what failed."""
    names = sorted({name for names in sorted(case.causes, key=sorted)[:1] for name in names})
    vary = _ANY if names == [RANDOMNESS] else ",".join(names)
    options = parse_options(machine(), prefix="--", vary=vary, locate=locate, cure=cure)
    started = time.monotonic()
    with staged(case, folder) as project:
        settings = load(project.project / "pyproject.toml", machine())
        assert settings is not None
        (job,) = (each for each in plan(settings, options) if isinstance(each, VariesJob))
        pipeline = Pipeline(pipeline_setup(os.environ, lambda _event: None), options)
        try:
            outcome = pipeline.searches.vary(settings, job, FAMILIES)
            return outcome, time.monotonic() - started, ""
        except MlContainerError as error:
            return None, time.monotonic() - started, error.what
        finally:
            pipeline.close()
            pipeline.clean_up(last=True)


def _line(found: Answer) -> str:
    location = found.location or Location()
    mark = "right" if found.first_is_right else "wrong" if found.lines else "none"
    kind = "located" if location.proven else "suspected" if found.lines else "abstains"
    missed = "" if all(found.marks) else " amplifier or decision: another"
    why = "" if found.first_is_right else found.error or "; ".join(location.notes[:1])
    return (
        f"{mark:5} {kind:9} {found.case.name:24} {', '.join(found.lines) or '-'}"
        f" ({location.runs} runs, {found.wall_s:.0f} s){missed} {why}".rstrip()
    )


def table(answers: Sequence[Answer]) -> Iterator[str]:
    """The scores, by set."""
    yield (
        "| set | cases | origin's line first | located | located and wrong "
        "| amplifier or decision | runs, median |"
    )
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    for name in sorted({each.case.set for each in answers}):
        own = [each for each in answers if each.case.set == name]
        right = sum(each.first_is_right for each in own)
        proven = sum(each.location is not None and each.location.proven for each in own)
        wrong = sum(each.proven_wrong for each in own)
        runs = [each.location.runs for each in own if each.location is not None]
        middle = statistics.median(runs) if runs else 0
        marks = [mark for each in own for mark in each.marks]
        yield (
            f"| {name} | {len(own)} | {right / len(own):.2f} | {proven / len(own):.2f} | {wrong} "
            f"| {sum(marks)} of {len(marks)} | {middle:g} |"
        )


def main(arguments: Sequence[str]) -> int:
    """Run the benchmark; 1 where anything is called located that is not."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.locatebench", description=__doc__)
    parser.add_argument("--set", default="all", choices=("development", "measuring", "all"))
    parser.add_argument("--case", action="append", default=[])
    parser.add_argument("--cures", action="store_true", help="what stops the drift, instead")
    parser.add_argument("--wild", action="store_true", help="rebuilt public issues, instead")
    asked = parser.parse_args(arguments)
    every = (*load_cases(CASES), *load_cases(OWN))
    build_bases()
    if asked.cures:
        return _cures(every, asked)
    if asked.wild:
        return _wild(asked)
    cases = tuple(each for each in every if each.origins and each.kind == "one")
    answers = []
    with tempfile.TemporaryDirectory() as folder:
        for case in select(cases, asked.set, tuple(asked.case)):
            answers.append(answer(case, Path(folder)))
            print(_line(answers[-1]), flush=True)
    print("\n".join(table(answers)))
    return int(any(each.proven_wrong for each in answers))


def _cures(every: tuple[Case, ...], asked: argparse.Namespace) -> int:
    """Cure the cases; 1 where anything is said to cure what nothing does."""
    cases = tuple(each for each in every if each.cures is not None and each.kind == "one")
    answers = []
    with tempfile.TemporaryDirectory() as folder:
        for case in select(cases, asked.set, tuple(asked.case)):
            answers.append(cure_answer(case, Path(folder)))
            print(answers[-1].line, flush=True)
    print("\n".join(cure_table(answers)))
    return int(any(each.is_wrong for each in answers))


def _wild(asked: argparse.Namespace) -> int:
    """Ask about public issues; 1 where a wrong cause is named."""
    answers = []
    with tempfile.TemporaryDirectory() as folder:
        for case in select(load_cases(WILD), "all", tuple(asked.case)):
            answers.append(wild_answer(case, Path(folder)))
            print(answers[-1].row, flush=True)
    print("\n".join(wild_table(answers)))
    return int(any(each.cause == "wrong" for each in answers))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
