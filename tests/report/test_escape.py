"""Text of a container in one line, in which nothing acts."""

from __future__ import annotations

import pytest

from pytest_mlcontainer.report.escape import escape


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("::error::no disk", r"\x3a:error::no disk"),
        ("    ::stop-commands::x", r"    \x3a:stop-commands::x"),
        ("##[add-mask]a", r"\x23#[add-mask]a"),
        ("epoch 1 ##vso[task.x]b", r"epoch 1 \x23#vso[task.x]b"),
        ("##teamcity[testFailed]", r"\x23#teamcity[testFailed]"),
    ],
)  # fmt: skip
def test_what_a_ci_runner_takes_for_a_command_is_none(text: str, shown: str) -> None:
    """GitHub's also behind spaces, which our own indent would be."""
    assert escape(text) == shown


@pytest.mark.parametrize(
    "text",
    ["torch::Tensor", "pyproject.toml::train", "time: 3", "## Heading", "# a [1]", ":"],
)
def test_other_colons_and_hashes_stay(text: str) -> None:
    assert escape(text) == text


def test_text_is_still_cut_where_that_is_longer() -> None:
    assert escape("::" + "a" * 300, 10) == r"\x3a:aaaa…"
