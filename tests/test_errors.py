from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlcontainer import errors
from pytest_mlcontainer.engines.failures import refusal
from pytest_mlcontainer.errors import ConfigError, EngineError, MlContainerError

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, MlContainerError)
]


def test_the_three_parts_are_shown() -> None:
    """What failed and the value in one line, the next step in its own."""
    error = MlContainerError("the image is not there", "bikes:1", "build it")
    assert str(error) == "the image is not there: bikes:1\n  → build it"


def test_long_parts_are_indented() -> None:
    """So that it is seen where one error ends and the next begins."""
    error = MlContainerError("the build failed", "step 3\n\nlast line", "do this\nand that")
    assert str(error) == ("the build failed:\n  step 3\n\n  last line\n  → do this\n    and that")


def test_empty_parts_leave_no_trace() -> None:
    """Not every error has a value or a next step."""
    assert str(MlContainerError("it failed")) == "it failed"
    assert str(MlContainerError("it failed", remedy="run again")) == "it failed\n  → run again"


def test_all_problems_of_a_configuration_are_one_error() -> None:
    """With their file and their number; each keeps its own parts."""
    problems = [
        MlContainerError("unknown key", "'platform'", 'did you mean "platforms"?'),
        MlContainerError("no such file", "Dockerfile"),
    ]
    error = ConfigError("pyproject.toml", problems)
    assert error.problems == tuple(problems)
    assert str(error) == (
        "pyproject.toml: 2 problems in the configuration; nothing was built or run:\n"
        "  unknown key: 'platform'\n"
        '    → did you mean "platforms"?\n'
        "  no such file: Dockerfile"
    )
    assert "1 problem in" in str(ConfigError("x", problems[:1]))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_caught_as_one_of_ours(kind: type[MlContainerError]) -> None:
    """One `except` in the plugin tells a user's problem from a defect of ours."""
    assert issubclass(kind, MlContainerError)
    assert kind.__doc__


@pytest.mark.parametrize("kind", KINDS)
def test_errors_survive_a_copy(kind: type[MlContainerError]) -> None:
    """Executors and pytest plugins send exceptions to other processes."""
    if kind is ConfigError:
        error: MlContainerError = ConfigError("pyproject.toml", [EngineError("a", "b", "c")])
    else:
        error = kind("what", "value", "remedy")
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(again) is kind
        assert str(again) == str(error)
        assert (again.what, again.value, again.remedy) == (error.what, error.value, error.remedy)


@given(st.text(), st.text(), st.text())
def test_any_text_can_be_told(what: str, value: str, remedy: str) -> None:
    """Values come from containers; nothing in them breaks the message or gets lost."""
    shown = str(MlContainerError(what, value, remedy))
    assert what in shown
    for part in (value, remedy):
        assert all(line in shown for line in part.splitlines())


def test_a_full_disk_of_the_engine_is_called_so() -> None:
    """Otherwise people look for room on their own machine."""
    error = refusal(
        "the engine refused to create the container",
        "mkdir /var/lib/docker/overlay2/1f-init: no space left on device",
    )
    assert str(error).startswith("the engine's disk is full: the engine refused to create the con")
    assert "`docker system df`" in error.remedy
    assert "`mlcontainer clean`" in error.remedy
    assert refusal("it refused", "no such thing", "look").remedy == "look"
