"""Public issues of other results elsewhere, rebuilt: is the right cause named, and the line?

    python -m benchmarks.locatebench --wild [--case NAME]

The product is asked as by DriftBench, about everything that it can vary, and where runs part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.driftbench.cases import Case
from benchmarks.driftbench.images import staged
from benchmarks.driftbench.product import ask
from benchmarks.driftbench.scoring import Answer, names_first

WILD = Path(__file__).parent / "wild_cases"


@dataclass(frozen=True)
class WildAnswer:
    """What came of one case."""

    case: Case
    answer: Answer

    @property
    def cause(self) -> str:
        """Whether the cause is `right`, none is named (`abstains`), or it is `wrong`."""
        if self.answer.verdict not in self.case.verdicts:
            return "wrong"
        if not self.answer.causes:
            return "abstains"
        return "right" if names_first(self.case, self.answer) else "wrong"

    @property
    def line(self) -> str:
        """The same of the line; `–` where none is to be named, as of two images."""
        if not self.case.origins:
            return "–"
        if not self.answer.lines:
            return "abstains"
        return "right" if self.answer.lines[0] in self.case.origins else "wrong"

    @property
    def row(self) -> str:
        named = "; ".join("+".join(sorted(names)) for names in self.answer.causes) or "–"
        where = f", {self.answer.lines[0]}" if self.answer.lines else ""
        return (
            f"| {self.case.issue} | {self.case.name} | {self.answer.verdict}: {named}{where} "
            f"| {self.cause} | {self.line} | {self.answer.runs} |"
        )


def wild_answer(case: Case, folder: Path) -> WildAnswer:
    """Ask about a case, in a copy of it below `folder`."""
    options = () if case.kind == "pair" else ("--container-locate",)
    with staged(case, folder) as ready:
        return WildAnswer(case, ask(ready, *options)[0])


def wild_table(answers: Sequence[WildAnswer]) -> Iterator[str]:
    """A row for each case, and the shares below."""
    yield "| issue | case | answer | cause | line | runs |"
    yield "| --- | --- | --- | --- | --- | ---: |"
    yield from (each.row for each in answers)
    for what, said in (
        ("right cause", [each.cause for each in answers]),
        ("right line", [each.line for each in answers if each.case.origins]),
    ):
        count, wrong = said.count("right"), said.count("wrong")
        yield f"{what}: {count} of {len(said)} ({count / len(said):.2f}), wrong: {wrong}"
