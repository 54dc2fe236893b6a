"""The fault suite itself: small versions of its faults, and whether it can fail."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path

import docker
import pytest

from benchmarks.chaos.floods import Disk
from benchmarks.chaos.leftovers import wait_until_clean
from benchmarks.chaos.many_runs import slope
from benchmarks.chaos.table import Row, markdown, plain
from benchmarks.chaos.unclaimed import unclaimed
from pytest_mlcontainer.owners import current_owner

REPOSITORY = Path(__file__).parents[2]


def chaos(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The suite, in a process of its own."""
    # Others' tests run beside, so that nothing but this one's own trials may count.
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.chaos", *arguments],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_a_killed_session_leaves_nothing_and_harms_nobody(tmp_path: Path, engine: object) -> None:
    done = chaos("kills", "--kind", "pytest", "--trials", "1", "--shared", "--out", str(tmp_path))

    assert done.returncode == 0, done.stdout + done.stderr
    table = (tmp_path / "chaos.md").read_text()
    assert "| 1 | 1 |" in table, table


def test_what_was_survived_leaves_no_folder(engine: object) -> None:
    """The folder of a run is there for a look at what failed."""
    done = chaos("cache", "--trials", "8")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "what failed is in" not in done.stderr


def test_a_fault_that_does_not_exist_names_those_that_do() -> None:
    done = chaos("kill")

    assert done.returncode == 2
    assert "no fault kill; there are kills, restarts, " in done.stderr


def test_a_row_survives_only_when_each_of_its_trials_does() -> None:
    def row(trials: int, survived: int) -> Row:
        return Row("a kill", trials, survived, "1.0 s", "5 s")

    assert row(3, 3).passes
    assert not row(3, 2).passes
    assert not row(0, 0).passes, "what was not tried has not survived"


def test_the_table_has_a_row_for_each_fault_and_what_did_not_hold() -> None:
    rows = (
        Row("a kill", 3, 2, "7.1 s", "5 s", ("trial 1: container abc",)),
        Row("a restart", 2, 2, "3 s", "9 s"),
    )

    assert markdown(rows) == (
        "| fault | trials | survived | worst | bar |\n"
        "| --- | --- | --- | --- | --- |\n"
        "| a kill | 3 | 2 | 7.1 s | 5 s |\n"
        "| a restart | 2 | 2 | 3 s | 9 s |\n"
        "\n"
        "- a kill: trial 1: container abc"
    )
    assert plain(rows).splitlines()[1:] == [
        "a kill          3         2  7.1 s  5 s",
        "a restart       2         2    3 s  9 s",
    ]


def test_what_is_left_for_good_is_named() -> None:
    assert wait_until_clean(lambda: ("container abc",), 0.2).left == ("container abc",)
    assert wait_until_clean(lambda: (), 0.2).seconds is not None


def test_growth_is_the_slope_of_a_line() -> None:
    assert slope([5, 7, 9, 11]) == pytest.approx(2)
    assert slope([3, 3, 3]) == 0


def test_space_that_was_used_for_a_moment_counts(tmp_path: Path) -> None:
    # Others write meanwhile, too: so this is about the order of size.
    size = 64 << 20
    with Disk(tmp_path) as disk:
        (tmp_path / "big").write_bytes(os.urandom(size))
        while disk.most_bytes < size // 2:
            disk.wait(0.05)
        (tmp_path / "big").unlink()

    assert disk.most_bytes >= size // 2


def test_what_nobody_claims_counts_as_left(engine: docker.APIClient) -> None:
    """A volume without any label is seen, whoever made it; one of a session is that session's."""
    before = unclaimed(engine)
    nobodys, ours = (f"chaos-{uuid.uuid4().hex}" for _ in range(2))
    engine.create_volume(nobodys)
    engine.create_volume(ours, labels=current_owner(uuid.uuid4().hex).labels())
    try:
        new = unclaimed(engine) - before
    finally:
        engine.remove_volume(nobodys)
        engine.remove_volume(ours)

    assert f"volume {nobodys} of nobody" in new
    assert f"volume {ours} of nobody" not in new
