"""Software that differs between two platforms: the first suspect where their outputs drift.

Packages of one side are brought into the other side's image, and the entrypoint is run there. What
cannot be brought (Python, the system, a package without a wheel) is said, and leaves open whether
it is the platform.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from pytest_mlcontainer.errors import MlContainerError
from pytest_mlcontainer.experiments.driver import worked_or_failed
from pytest_mlcontainer.facts import differing
from pytest_mlcontainer.judging.apart import Exclusions
from pytest_mlcontainer.mixing.across_images import explain_imported, explain_one_way
from pytest_mlcontainer.mixing.looking import HybridTools, look, look_here
from pytest_mlcontainer.mixing.questions import Answer, ExperimentRuns, Question
from pytest_mlcontainer.mixing.sides import Side
from pytest_mlcontainer.model import (
    Cause,
    Comparator,
    CompareJob,
    Facts,
    Options,
    Outcome,
    Pairs,
    RunJob,
    Settings,
)

_PACKAGE: Final = "package."
_ORIGIN: Final = ".origin"
_BASE: Final = ("python.version", "distribution", "libc")
_CALLED: Final = {"python.version": "Python", "distribution": "the system", "libc": "the C library"}
_LEAST_BUDGET: Final = 4
_LISTED: Final = 8


@dataclass(frozen=True)
class Software:
    """What is known of the software on both sides.

    Args:
        base: what differs and cannot be brought over, each in a few words.
        causes: packages that make the outputs of one side drift as they do between both.
        whole: with these alone both sides agree.
        tried, not_exercised, runs: as in `Explanation`.
        untried: packages that differ and were not tried, or that anything keeps from being.
    """

    base: tuple[str, ...] = ()
    causes: tuple[Cause, ...] = ()
    whole: bool = False
    tried: tuple[str, ...] = ()
    not_exercised: Pairs = ()
    untried: tuple[str, ...] = ()
    runs: int = 0

    @property
    def may_be_the_cause(self) -> bool:
        """Whether anything of it differs that was not shown to do nothing."""
        return bool(self.base or self.untried)

    def open(self) -> str:
        """What differs and was not tried; "" where nothing is left."""
        if not self.may_be_the_cause:
            return ""
        parts = [*self.base, *self.untried[:_LISTED]]
        more = len(self.untried) - _LISTED
        parts += [f"{more} more packages"] if more > 0 else []
        return (
            f"the software of both sides differs, and was not tried ({', '.join(parts)}): as long "
            "as it does, the platform is not known to be the cause"
        )


# Facts of the reference and of the target → what is known of their software.
AskSoftware = Callable[[Facts, Facts, Exclusions], Software]


@dataclass(frozen=True)
class SoftwareSearch:
    """Looks at the software of both sides of one comparison, where that differs.

    Args:
        outcome: what the comparison said.
        budget: how many runs may be made.
    """

    runner: ExperimentRuns
    settings: Settings
    options: Options
    job: CompareJob
    outcome: Outcome
    budget: int
    comparators: tuple[Comparator, ...] = ()

    def __call__(self, there: Facts, here: Facts, apart: Exclusions) -> Software:
        """What the software of both sides does.

        Args:
            there, here: facts of the reference, and of the target.
            apart: what runs of one platform differ in anyway.
        """
        if not there.values or not here.values:
            return Software(("there is no Python and no shell to look with",))
        facts = {name: (one, other) for name, one, other in differing(here, there)}
        base = tuple(
            f"{_CALLED[name]} {facts[name][0]} and {facts[name][1]}"
            for name in _BASE
            if name in facts
        )
        packages = {
            name.removeprefix(_PACKAGE): f"{one or 'not installed'} and {other or 'not installed'}"
            for name, (one, other) in facts.items()
            if name.startswith(_PACKAGE) and not name.endswith(_ORIGIN)
        }
        if not packages:
            return Software(base)
        try:
            found = self._tried(base, apart)
        except MlContainerError as error:
            why = " ".join(f"{error.what}: {error.value}".split())[:300]
            found = Software(base, not_exercised=tuple((name, why) for name in packages))
        if found.whole:
            return found
        known = {each.partition("=")[0] for each in found.tried}
        left = {name for name in packages if name not in known} | {*found.untried}
        untried = (f"{name} {packages.get(name, '')}".strip() for name in sorted(left))
        return replace(found, untried=tuple(untried))

    def _tried(self, base: tuple[str, ...], apart: Exclusions) -> Software:
        into, other = self._sides()
        tools = self.runner.hybrid_tools(self.settings, into.target)
        question = self._question(into, apart)
        a = self._side(tools, into, question)
        b = self._side(self.runner.hybrid_tools(self.settings, other.target), other, question)
        reached = worked_or_failed(lambda: self.runner.run(self.settings, other))
        # A machine has packages for many things; two images of one project have its own.
        search = explain_imported if other.image is None else explain_one_way
        answer = search(self.runner, tools, question, (a, b), reached)
        return Software(base) if answer is None else self._software(base, answer, (a, b))

    def _software(
        self, base: tuple[str, ...], answer: Answer, sides: tuple[Side, Side]
    ) -> Software:
        explained = answer.outcome.explanation
        assert explained is not None
        tried = {each.partition("=")[0] for each in explained.tried}
        found = [each for each in answer.outcome.causes if tried.issuperset(each.names)]
        causes = tuple(
            replace(each, evidence=self._evidence(each, sides, whole=answer.whole))
            for each in found
        )
        return Software(
            base,
            causes,
            answer.whole,
            explained.tried,
            explained.not_exercised,
            () if answer.whole else tuple(sorted(_untried(answer.outcome, tried, causes))),
            explained.runs,
        )

    def _evidence(self, cause: Cause, sides: tuple[Side, Side], *, whole: bool) -> str:
        a, b = sides
        text = f"brought from {b.name} into the image of {a.name}: {cause.evidence}"
        if whole:
            return f"{text}; the outputs then agree with those of {b.name}"
        return f"in part: {text}; the outputs do not yet agree with those of {b.name}"

    def _sides(self) -> tuple[RunJob, RunJob]:
        """Into whose image is brought, and from where: the reference's, unless it has none, or is
        emulated while the other is not."""
        actual, expected = self.job.actual, self.job.expected
        emulated = self.outcome.reference.emulated and not self.outcome.target.emulated
        if expected.image is None or (emulated and actual.image is not None):
            return actual, expected
        return expected, actual

    def _question(self, into: RunJob, apart: Exclusions) -> Question:
        platform = into.target.platform
        entry = replace(
            into.entrypoint,
            rules=apart.amended(into.entrypoint.rules),
            names=(*into.entrypoint.names, *apart.names),
        )
        assert into.image is not None
        image = self.runner.image(self.settings, into.image)
        return Question(
            replace(self.settings, platforms=(platform,), reference=platform),
            replace(self.options, image=image.reference),
            entry,
            str(self.job.actual.target.platform),
            self.comparators,
            max(_LEAST_BUDGET, self.budget),
        )

    def _side(self, tools: HybridTools, job: RunJob, question: Question) -> Side:
        name = str(job.target.platform)
        if job.image is None:
            return Side(name, look_here(tools, self.settings.root))
        image = self.runner.image(self.settings, job.image)
        return Side(name, look(tools, image, question.entry, name, packages_alone=True), image)


def _untried(outcome: Outcome, tried: set[str], causes: tuple[Cause, ...]) -> set[str]:
    """Packages of which it is not known that they do nothing."""
    explained = outcome.explanation
    assert explained is not None
    crashed = {name for each in explained.findings if each.kind == "crash" for name in each.names}
    left = {name for name, _why in explained.not_exercised} | crashed
    if not causes and (explained.suspects or outcome.causes or not outcome.verdict.passes):
        left |= tried  # the search did not come to an end
    return left - {name for cause in causes for name in cause.names}
