"""Which of the lines that differ is shown first: what moved, before when and where it was run."""

from __future__ import annotations

from tests.fixture_types import Only

RUN = """Run on ip-172-31-4-9 at 2026-11-30 04:11:07 (pid 311)
throughput: 123.4 samples/s
validation loss: 0.6931
checkpoint saved to /tmp/tmpabx12kq_/model.pt
"""
LATER = (
    RUN.replace("04:11:07", "04:52:09")
    .replace("123.4", "119.8")
    .replace("tmpabx12kq_", "tmpzz9p0_la")
)


def test_a_number_that_moved_is_shown_before_times_and_rates(only: Only) -> None:
    """Of a time in line 1 nobody learns that the loss in line 3 is another one."""
    found = only("report.txt", LATER.replace("0.6931", "0.7412"), RUN)
    assert found.worst_actual == "validation loss: 0.7412"
    assert "line 1 is the first that differs; in line 3 a number moved" in found.note


def test_a_number_that_moved_is_shown_before_another_host(only: Only) -> None:
    other = LATER.replace("4-9", "88-12").replace("0.6931", "0.7412")
    assert only("report.txt", other, RUN).worst_actual == "validation loss: 0.7412"


def test_other_words_are_shown_before_times(only: Only) -> None:
    found = only("report.txt", LATER.replace("checkpoint saved", "nothing saved"), RUN)
    assert found.worst_actual.startswith("nothing saved")
    assert "line 4 is the first that differs by more than times, ids and paths" in found.note


def test_where_only_times_differ_the_first_is_shown(only: Only) -> None:
    found = only("report.txt", LATER, RUN)
    assert found.worst_actual.startswith("Run on")
    assert "moved" not in found.note
