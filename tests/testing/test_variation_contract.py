"""The contract of variations: all that come with the package keep it, and each fault is seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from pytest_mlcontainer.hooks import Family, Knobs, NotExercised, Situation, Variation
from pytest_mlcontainer.model import Entrypoint, Limits, Platform
from pytest_mlcontainer.testing import VariationContract, usual_situation
from pytest_mlcontainer.variations import FAMILIES

USUAL = usual_situation()
assert USUAL.image is not None
ONLINE = Entrypoint("train", ("python", "train.py"), limits=Limits(network="bridge"))
# Those that have something to change in none of the usual situations.
MORE = {
    "cpu-model": usual_situation(Platform("linux", "arm64"), facts={"env.QEMU_CPU": "neoverse-n1"}),
    "env": usual_situation(leaked=(("DATA_DIR", "/data"),)),
    "network": usual_situation(entry=ONLINE),
    "workdir": replace(USUAL, image=replace(USUAL.image, workdir="/app")),
}


@pytest.fixture(params=FAMILIES, ids=lambda family: family.name)
def family(request: pytest.FixtureRequest) -> Family:
    found: Family = request.param
    return found


class TestOurs(VariationContract):
    """Each of the families of this package."""

    @pytest.fixture(autouse=True)
    def _chosen(self, family: Family) -> None:
        self.chosen = family

    def family(self) -> Family:
        return self.chosen

    def situations(self) -> Iterable[Situation]:
        more = MORE.get(self.chosen.name)
        return (*super().situations(), *(() if more is None else (more,)))


def one_worker(situation: Situation) -> Variation | NotExercised:
    if "WORKERS" in situation.pinned:
        return NotExercised("the project sets WORKERS itself")
    return Variation("workers", "1", Knobs(env=(("WORKERS", "1"),)), ("environment.names",))


SOUND = Family("workers", "how many workers load data", one_worker, hints=("WORKERS",))


def answering(answer: Callable[[Situation], object]) -> Family:
    return replace(SOUND, choose=answer)  # type: ignore[arg-type]


def changed(**fields: object) -> Family:
    def choose(situation: Situation) -> Variation | NotExercised:
        found = one_worker(situation)
        return replace(found, **fields) if isinstance(found, Variation) else found  # type: ignore[arg-type]

    return answering(choose)


def unsteady(_situation: Situation, given: list[str] = ["1"]) -> Variation:  # noqa: B006
    given.append(str(len(given)))
    return Variation("workers", given[-1], Knobs(env=(("WORKERS", given[-1]),)), ("cpu.count",))


@pytest.mark.parametrize(
    ("faulty", "test"),
    [
        (replace(SOUND, name="Loader Workers"), "its_name_can_be_written_on_a_command_line"),
        (replace(SOUND, what=" "), "it_says_what_it_changes"),
        (answering(lambda _at: None), "it_answers_in_each_situation"),
        (answering(lambda _at: NotExercised("never")), "it_answers_in_each_situation"),
        (answering(lambda _at: NotExercised("")), "it_answers_in_each_situation"),
        (answering(unsteady), "it_answers_the_same_each_time"),
        (changed(name="other"), "what_it_makes_is_called_after_it_and_changes_something"),
        (changed(setting="1,2"), "what_it_makes_is_called_after_it_and_changes_something"),
        (changed(knobs=Knobs()), "what_it_makes_is_called_after_it_and_changes_something"),
        (changed(witness=()), "facts_bear_witness"),
        (changed(witness=("No fact",)), "facts_bear_witness"),
        (
            answering(lambda _at: one_worker(usual_situation())),
            "what_the_project_sets_stays",
        ),
    ],
)
def test_a_fault_is_seen(faulty: Family, test: str) -> None:
    class Contract(VariationContract):
        def family(self) -> Family:
            return faulty

    check = getattr(Contract(), f"test_{test}")
    with pytest.raises(AssertionError):
        check()


def test_a_reader_of_facts_that_may_be_missing_is_seen() -> None:
    """A probe sees nothing in an image without Python."""

    def choose(situation: Situation) -> Variation:
        count = dict(situation.facts.values)["cpu.count"]
        return Variation("workers", str(count), Knobs(env=(("WORKERS", str(count)),)), ("cpu.",))

    class Contract(VariationContract):
        def family(self) -> Family:
            return answering(choose)

    with pytest.raises(KeyError):
        Contract().test_it_answers_where_the_probe_saw_nothing()
