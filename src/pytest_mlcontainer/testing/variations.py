"""What every variation keeps to, as tests: for authors of variations.

class TestLoaderWorkers(VariationContract):
    def family(self):
        return LOADER_WORKERS

    def situations(self):
        return [usual_situation(facts={"cpu.count": 8}), *super().situations()]
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from pytest_mlcontainer.model import (
    HOST,
    Entrypoint,
    Facts,
    Family,
    Image,
    Knobs,
    NotExercised,
    Pairs,
    Platform,
    Scalar,
    Situation,
    Variation,
)

_NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_FACT: Final = re.compile(r"[a-z][\w-]*(\.[\w-]+)*\.?(=.*)?")
_OWN: Final = "MLCONTAINER_"  # variables of ours, which steer what is loaded into programs
_AMD64: Final = Platform("linux", "amd64")
_ENTRY: Final = Entrypoint("train", ("python", "train.py"), outputs=("out/*",))
_USUAL: Final[dict[str, Scalar]] = {
    "machine": "x86_64",
    "libc": "glibc 2.41",
    "python.version": "3.13.5",
    "python.hash_randomization": True,
    "package.numpy": "2.4.6",
    "package.torch": "2.13.0",
    "blas.kernel": "SkylakeX",
    "blas.threads": 2,
    "cpu.flags": "avx avx2 fma",
    "cpu.count": 2,
    "cpu.usable": 2,
    "memory.total_bytes": 8 << 30,
    "memory.limit_bytes": None,
    "memory.shm_bytes": 64 << 20,
    "timezone.offset_s": 0,
    "timezone.data": True,
    "clock.date": "2026-11-24",
    "locale.encoding": "utf-8",
    "locale.decimal": ".",
    "locale.available": "de_DE.UTF-8 en_US.UTF-8",
    "user.id": 0,
    "user.home": "/root",
    "user.umask": "0022",
    "files.root_read_only": False,
    "process.aslr": "on",
    "process.nofile": 1 << 20,
    "process.nofile_hard": 1 << 20,
    "program.sh": "/bin/sh",
    "program.setarch": "/usr/bin/setarch",
}


def usual_situation(
    platform: Platform = _AMD64,
    *,
    facts: Mapping[str, Scalar] = MappingProxyType({}),
    entry: Entrypoint = _ENTRY,
    image_env: Pairs = (),
    leaked: Pairs = (),
) -> Situation:
    """A run in an image with Python, NumPy and PyTorch, on a machine with two processors.

    Args:
        platform: `HOST` has no image.
        facts: what the probe saw otherwise, `{"cpu.count": 8}`; None where it could not see it.
        image_env: variables that the image sets.
        leaked: as in `Situation`.
    """
    machine = {"arm64": "aarch64"}.get(platform.architecture, "x86_64")
    seen = {**_USUAL, "machine": machine, **facts}
    image = None if platform == HOST else Image("image", "sha256:0", platform, env=image_env)
    return Situation(platform, Facts(tuple(sorted(seen.items()))), entry, image, leaked)


class VariationContract:
    """Subclass it with `family`; pytest collects the rest."""

    def family(self) -> Family:
        """The family of variations."""
        raise NotImplementedError

    def situations(self) -> Iterable[Situation]:
        """Where it is wanted: in at least one of them it has something to change."""
        return (
            usual_situation(),
            usual_situation(Platform("linux", "arm64")),
            usual_situation(HOST),
        )

    def test_its_name_can_be_written_on_a_command_line(self) -> None:
        assert _NAME.fullmatch(self.family().name), self.family().name

    def test_it_says_what_it_changes(self) -> None:
        assert self.family().what.strip()

    def test_its_hints_are_regular_expressions(self) -> None:
        for hint in self.family().hints:
            re.compile(hint)

    def test_it_answers_in_each_situation(self) -> None:
        answers = [self.family().choose(each) for each in self.situations()]
        assert all(isinstance(each, Variation | NotExercised) for each in answers), answers
        assert any(isinstance(each, Variation) for each in answers), answers
        for answer in answers:
            if isinstance(answer, NotExercised):
                assert answer.why.strip(), "a reason is printed where nothing is changed"

    def test_it_answers_where_the_probe_saw_nothing(self) -> None:
        for each in self.situations():
            answer = self.family().choose(replace(each, facts=Facts()))
            assert isinstance(answer, Variation | NotExercised)

    def test_it_answers_the_same_each_time(self) -> None:
        for each in self.situations():
            assert self.family().choose(each) == self.family().choose(each)

    def test_what_it_makes_is_called_after_it_and_changes_something(self) -> None:
        for variation in self._variations():
            assert variation.name == self.family().name
            assert variation.setting.strip()
            assert "," not in variation.setting, "reports list variations with commas"
            assert variation.knobs != Knobs()

    def test_facts_bear_witness(self) -> None:
        """Without a witness it never counts as exercised."""
        for variation in self._variations():
            assert variation.witness, f"{variation} cannot be seen to have taken effect"
            for fact in variation.witness:
                assert _FACT.fullmatch(fact), fact

    def test_what_the_project_sets_stays(self) -> None:
        for each in self.situations():
            answer = self.family().choose(each)
            if not isinstance(answer, Variation):
                continue
            pinned = tuple((name, "as-the-project-has-it") for name, _value in answer.knobs.env)
            there = replace(each, entry=replace(each.entry, env=pinned))
            again = self.family().choose(there)
            if isinstance(again, Variation):
                given = dict(again.knobs.env)
                over = [
                    name
                    for name, value in pinned
                    if value not in given.get(name, value) and not name.startswith(_OWN)
                ]
                assert not over, f"it changes what the project sets: {', '.join(over)}"

    def _variations(self) -> list[Variation]:
        answers = (self.family().choose(each) for each in self.situations())
        return [each for each in answers if isinstance(each, Variation)]
