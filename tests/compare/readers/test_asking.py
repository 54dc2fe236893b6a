"""Whoever compares waits for what readers find, and can be interrupted meanwhile."""

from __future__ import annotations

from tests.unheard_interrupts import interrupt_while

SETUP = """
from pytest_mlcontainer.compare.readers.asking import PendingPair
from pytest_mlcontainer.compare.readers.process import ReaderDiedError

pair = PendingPair(None, lambda message: None)
"""


def test_ctrl_c_is_heard_that_comes_as_the_wait_begins() -> None:
    wait = "pair.result(lambda message: None)"
    assert interrupt_while(wait, SETUP, 'pair.fail(ReaderDiedError("late"))') == "heard"
