"""SECURITY.md: each promise names tests that exist, and its defaults are those of the product."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.chaos.__main__ import FAULTS
from pytest_mlcontainer.model import Limits

REPOSITORY = Path(__file__).parent.parent
PAGE = (REPOSITORY / "SECURITY.md").read_text(encoding="utf-8")


def rows_below(heading: str) -> list[list[str]]:
    """The cells of the table below a heading, without the table's own head."""
    text = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_each_promise_is_tested_by_something_that_exists() -> None:
    promises = rows_below("What is promised")
    for promise, tested in promises:
        tests = re.findall(r"`(tests/[^`]+)`", tested)
        faults = re.findall(r"`([a-z-]+)`", tested.partition("fault")[2])
        assert tests or faults, promise
        assert [test for test in tests if not (REPOSITORY / test).exists()] == []
        assert [fault for fault in faults if fault not in FAULTS] == []
    named = " ".join(tested for _promise, tested in promises)
    assert [fault for fault in FAULTS if f"`{fault}`" not in named] == []


def test_what_opens_a_default_is_a_key_of_the_configuration() -> None:
    keys = (REPOSITORY / "docs" / "reference" / "configuration.md").read_text(encoding="utf-8")
    for default, opened in rows_below("Defaults"):
        settings = re.findall(r"`([^`]+)`", opened)
        assert settings or opened == "nothing", default
        assert [setting for setting in settings if f"\n| `{setting}` |" not in keys] == []


LIMITS = Limits()


@pytest.mark.parametrize(
    ("said", "actual", "value"),
    [
        ("| no network; a server", LIMITS.network, "none"),
        ("| 4096 processes and threads |", LIMITS.processes, 4096),
        ("| no more than 100 MiB printed |", LIMITS.log_bytes, 100 << 20),
        ("| outputs of 10 GiB, ", LIMITS.output_bytes, 10 << 30),
        (", 100,000 files |", LIMITS.output_files, 100_000),
        ("| 20 GiB written to disk |", LIMITS.disk_bytes, 20 << 30),
        ("| ten minutes |", LIMITS.timeout_s, 600),
        ("| never privileged |", LIMITS.privileged, False),
        ("| no socket of the engine |", LIMITS.engine_socket, False),
        ("| no new privileges", LIMITS.new_privileges, False),
        ("| all capabilities dropped |", LIMITS.capabilities, ()),
        ("The memory of a run has no limit unless", LIMITS.memory_bytes, None),
    ],
)
def test_the_defaults_are_what_the_page_says(said: str, actual: object, value: object) -> None:
    assert said in PAGE
    assert actual == value
