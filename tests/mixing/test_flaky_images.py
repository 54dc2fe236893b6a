"""An image in which the entrypoint fails now and then is held against all the same."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import NoReturn, cast

import pytest

from pytest_mlcontainer.errors import RunError
from pytest_mlcontainer.mixing.changes import changes
from pytest_mlcontainer.mixing.hybrid_search import HybridSearch
from pytest_mlcontainer.mixing.hybrid_trials import HybridRun, HybridTrials
from pytest_mlcontainer.mixing.hybrids import ImagePair
from pytest_mlcontainer.mixing.looking import HybridTools
from pytest_mlcontainer.mixing.questions import ExperimentRuns, Question
from pytest_mlcontainer.mixing.sides import Side
from pytest_mlcontainer.model import (
    BuildSettings,
    Entrypoint,
    Failure,
    Image,
    Options,
    Output,
    Platform,
    Rule,
    Run,
    Settings,
    Target,
    Verdict,
)
from tests.mixing.image_contents import image, package


def _unused(*_given: object) -> NoReturn:
    raise AssertionError("nothing is built or run here")


AMD64 = Platform("linux", "amd64")
NOTHING = ExperimentRuns(_unused, _unused, _unused, _unused, _unused)


class FlakyTrials(HybridTrials):
    """Runs that are made up: the first ones in image A fail."""

    def __init__(self, question: Question, pair: ImagePair, folder: Path, failures: int) -> None:
        def itself(
            _settings: Settings, actual: Run, expected: Run, _rules: tuple[Rule, ...]
        ) -> tuple[Run, Run]:
            return actual, expected

        runner = replace(NOTHING, open_differing=itself)
        super().__init__(runner, cast(HybridTools, None), question, pair)
        self._folder = folder
        self._failures = failures

    def _prefetch(self, wanted: tuple[HybridRun, ...]) -> None:
        pass

    def _make(self, wanted: HybridRun) -> Run | Failure:
        if not wanted.names and wanted.repeat < self._failures:
            return Failure("exited with code 1", "no luck", "")
        name = f"{'+'.join(sorted(wanted.names)) or 'A'}-{wanted.repeat}"
        folder = self._folder / name
        folder.mkdir()
        for file in ("stdout", "stderr"):
            (folder / file).touch()
        (folder / "out.json").write_text(json.dumps({"loss": 2 if "x" in wanted.names else 1}))
        output = Output("out.json", folder / "out.json", 11)
        out, err = folder / "stdout", folder / "stderr"
        return Run(name, "train", Target(AMD64), 0, 0.1, folder, out, err, (output,))


def search(folder: Path, failures: int) -> HybridSearch:
    a, b = image(package("x", "1"), package("y", "1")), image(package("x", "2"), package("y", "2"))
    first, second = (
        Side(name, contents, Image(f"{name}:1", f"sha256:{name}", AMD64))
        for name, contents in (("a", a), ("b", b))
    )
    pair = ImagePair(first, second, changes(a, b))
    entry = Entrypoint("train", command=("python", "run.py"), outputs=("out.json",))
    build = BuildSettings(folder, folder / "Dockerfile")
    settings = Settings(
        folder / "pyproject.toml", "p", build, (AMD64,), AMD64, entrypoints=(entry,)
    )
    question = Question(settings, Options(image="a:1"), entry, "b:1")
    trials = FlakyTrials(question, pair, folder, failures)
    return HybridSearch(trials, question, pair, ())


def test_where_the_first_run_in_image_a_fails_and_another_works_that_one_counts(
    tmp_path: Path,
) -> None:
    answer = search(tmp_path, failures=1).answer()

    assert answer.outcome.verdict is Verdict.DRIFT
    assert [cause.names for cause in answer.outcome.causes] == [("x",)]
    assert "x 1 → 2 makes out.json drift" in answer.headlines


def test_where_it_never_works_there_the_error_says_so(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="train fails in image A, a:1"):
        search(tmp_path, failures=10**6).answer()
