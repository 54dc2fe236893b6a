"""Work in threads: bounded in number and in the time of the end, and never waiting for itself."""

from __future__ import annotations

import threading
import time
from functools import partial

import pytest

from pytest_mlcontainer.errors import EngineError
from pytest_mlcontainer.pipeline.background import Background
from tests.unheard_interrupts import interrupt_while


def test_much_work_takes_few_threads() -> None:
    work, seen, gate = Background(workers=3), [], threading.Event()

    def make(number: int) -> int:
        gate.wait(5)
        seen.append(threading.current_thread())
        return number

    futures = [work.begin(number, partial(make, number)) for number in range(50)]
    gate.set()

    assert [future.result(10) for future in futures] == list(range(50))
    assert len(set(seen)) <= 3


def test_what_waits_for_other_work_never_waits_for_a_free_thread() -> None:
    """A chain longer than there are threads, begun at the wrong end, beside others of its kind."""
    work = Background(workers=2)

    def make(depth: int) -> int:
        return depth and work.result(depth - 1, lambda: make(depth - 1)) + 1

    futures = [work.begin(depth, partial(make, depth)) for depth in range(20, 0, -1)]

    assert [future.result(10) for future in futures] == list(range(20, 0, -1))


def test_each_thing_is_made_once() -> None:
    work, made = Background(workers=2), []

    def make() -> str:
        made.append("once")
        time.sleep(0.1)
        return "done"

    def ask() -> str:
        return work.result("same", make)

    assert [work.begin(number, ask).result(10) for number in range(5)] == ["done"] * 5
    assert made == ["once"]


def test_what_somebody_waits_for_comes_first() -> None:
    order: list[str] = []
    work, gate = Background(workers=1), threading.Event()
    work.begin("first", lambda: gate.wait(5))
    for name in ("perhaps", "perhaps too"):
        work.begin(name, partial(order.append, name))
    asked = threading.Thread(target=work.result, args=("asked", lambda: order.append("asked")))
    asked.start()
    time.sleep(0.1)
    gate.set()
    asked.join(10)

    assert order[0] == "asked"
    assert work.join()


def test_the_end_takes_no_longer_for_much_work_than_for_little() -> None:
    """Threads that do not end are left together after the time of one; what waits never begins."""
    work, gate, begun = Background(workers=4), threading.Event(), []

    def hang(number: int) -> None:
        begun.append(number)
        gate.wait(20)

    futures = [work.begin(number, partial(hang, number)) for number in range(12)]
    started = time.monotonic()
    ended = work.join(timeout_s=0.5)

    assert not ended
    assert work.busy
    assert time.monotonic() - started < 2
    assert len(begun) <= 4
    with pytest.raises(EngineError, match="this test session is ending"):
        futures[-1].result(0)
    with pytest.raises(EngineError, match="this test session is ending"):
        work.result("later", lambda: 1)
    gate.set()
    assert work.join()


def test_an_error_reaches_everyone_who_asks() -> None:
    work = Background()

    def fail() -> None:
        raise ValueError("no")

    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            work.result("bad", fail)
    assert work.known("bad") is None


def test_ctrl_c_is_heard_that_comes_as_the_wait_begins() -> None:
    setup = "from pytest_mlcontainer.pipeline.background import Background"
    wait = 'Background().result("run", lambda: time.sleep(60))'
    assert interrupt_while(wait, setup) == "heard"
