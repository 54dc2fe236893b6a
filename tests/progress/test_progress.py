"""What goes on, made up of events, also of those of other processes and earlier sessions."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from pytest_mlcontainer.displays.words import state_of
from pytest_mlcontainer.progress.board import TaskBoard
from pytest_mlcontainer.progress.estimates import Estimates
from pytest_mlcontainer.progress.events import (
    FAR,
    Activity,
    Event,
    Task,
    TaskAdvanced,
    TaskBegan,
    TaskEnded,
    TaskMessage,
    event_from_json,
    event_to_json,
    task,
)
from pytest_mlcontainer.progress.far import TransferProgress, Transfers
from pytest_mlcontainer.progress.relay import EventReader, EventWriter
from pytest_mlcontainer.progress.timeline import Timeline

BUILD = Task("1-a", Activity.BUILDING, "image[linux/amd64]", "/project", limit_s=600.0, most=7)
EVENTS: tuple[Event, ...] = (
    TaskBegan(BUILD, 100.5),
    TaskMessage("image[linux/amd64]", "RUN pip install", "1-a"),
    TaskMessage("", "a line\udcff of nothing in particular"),
    TaskAdvanced("1-a", 3, "not threads"),
    TaskEnded("1-a", 160.5, worked=False),
)


def test_a_task_begins_and_ends_however_it_goes() -> None:
    told: list[Event] = []
    with task(told.append, Activity.RUNNING, "train[host]", limit_s=9.0) as progress:
        progress.say("a step")
        progress.advance(2, "known")
    with (
        pytest.raises(ZeroDivisionError),
        task(told.append, Activity.RUNNING, "train[host]"),
    ):
        1 / 0  # noqa: B018

    began, said, advanced, ended, second, failed = told
    assert isinstance(began, TaskBegan)
    assert (began.task.title, began.task.limit_s) == ("train[host]", 9.0)
    assert said == TaskMessage("train[host]", "a step", began.task.key)
    assert advanced == TaskAdvanced(began.task.key, 2, "known")
    assert isinstance(ended, TaskEnded)
    assert (ended.task, ended.worked) == (began.task.key, True)
    assert isinstance(second, TaskBegan)
    assert second.task.key != began.task.key
    assert isinstance(failed, TaskEnded)
    assert not failed.worked


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_survives_the_way_to_another_process(event: Event, tmp_path: Path) -> None:
    assert event_from_json(json.loads(json.dumps(event_to_json(event)))) == event
    EventWriter(tmp_path, "gw0").tell(event)
    assert list(EventReader(tmp_path).new()) == [event]


def test_a_reader_gives_what_is_new_and_waits_for_the_end_of_a_line(tmp_path: Path) -> None:
    writer, reader = EventWriter(tmp_path, "gw0"), EventReader(tmp_path)
    assert list(reader.new()) == []
    for event in EVENTS:
        writer.tell(event)
    assert reader.new() == list(EVENTS)
    assert list(reader.new()) == []

    (file,) = tmp_path.iterdir()
    whole = json.dumps(event_to_json(EVENTS[3])).encode()
    with file.open("ab") as more:
        more.write(b'{"kind": "Nonsense"}\n[1]\nnot JSON\n' + whole[:9])
    assert list(reader.new()) == []
    with file.open("ab") as more:
        more.write(whole[9:] + b"\n")
    assert list(reader.new()) == [EVENTS[3]]


def test_events_that_cannot_be_written_are_not_shown_and_do_no_harm(tmp_path: Path) -> None:
    EventWriter(tmp_path / "gone", "gw0").tell(EVENTS[0])


def test_the_board_has_what_goes_on_and_how_far_it_is() -> None:
    board = TaskBoard(Estimates(None))
    assert board.take(TaskMessage("x", "before", "1-a")) is None
    for event in EVENTS[:4]:
        board.take(event)
    (going,) = board.going()
    assert (going.task, going.began, going.done) == (BUILD, 100.5, 3)
    assert (going.step, going.known) == ("RUN pip install", "not threads")
    board.take(TaskMessage("image[linux/amd64]", "| a detail", "1-a"))
    assert going.step == "RUN pip install"
    assert going.said == ["RUN pip install", "| a detail"]
    assert board.take(EVENTS[4]) is going
    assert board.going() == ()
    assert board.take(EVENTS[4]) is None


def test_a_very_long_build_is_kept_with_both_its_ends() -> None:
    board = TaskBoard(Estimates(None))
    board.take(EVENTS[0])
    for number in range(5000):
        board.take(TaskMessage("", str(number), "1-a"))
    (going,) = board.going()
    assert len(going.said) == 2000
    assert (going.said[0], going.said[-1]) == ("0", "4999")


def test_nothing_goes_on_of_a_worker_that_is_no_more(tmp_path: Path) -> None:
    """What it told last counts, too; another worker's tasks stay."""
    reader = EventReader(tmp_path)
    dead, alive = EventWriter(tmp_path, "gw0"), EventWriter(tmp_path, "gw1")
    first, second = (Task(key, Activity.RUNNING, "train") for key in ("1-x", "1-y"))
    dead.tell(TaskBegan(BUILD, 1.0))
    dead.tell(TaskBegan(first, 1.0))
    alive.tell(TaskBegan(Task("2-x", Activity.RUNNING, "train"), 1.0))
    assert len(reader.new()) == 3
    dead.tell(TaskEnded("1-x", 2.0))
    dead.tell(TaskBegan(second, 3.0))
    last = reader.end("gw0")
    assert last[:2] == [TaskEnded("1-x", 2.0), TaskBegan(second, 3.0)]
    assert [(each.task, each.worked) for each in last[2:] if isinstance(each, TaskEnded)] == [
        ("1-a", False),
        ("1-y", False),
    ]
    assert reader.end("gw0") == reader.end("gw9") == []


def test_the_next_session_knows_how_long_it_took(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    first = Estimates(folder)
    assert first.usual_s(BUILD) is None
    first.note(BUILD, 71.26)
    first.note(Task("2", Activity.RUNNING, "short"), 0.4)
    first.keep()

    second = Estimates(folder)
    again = Task("99-z", Activity.BUILDING, "image[linux/amd64]", "/project")
    assert second.usual_s(again) == 71.3
    assert second.usual_s(Task("2", Activity.RUNNING, "short")) is None
    other = Task("1", Activity.BUILDING, "image[linux/amd64]", "/another")
    assert second.usual_s(other) is None


@pytest.mark.parametrize("text", ["", "[1]", '{"a": "b"}', "{"])
def test_estimates_that_are_damaged_are_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "durations.json").write_text(text)
    estimates = Estimates(tmp_path)
    assert estimates.usual_s(BUILD) is None
    estimates.note(BUILD, 5.0)
    estimates.keep()
    assert Estimates(tmp_path).usual_s(BUILD) == 5.0


def test_a_task_that_failed_is_no_estimate(tmp_path: Path) -> None:
    estimates = Estimates(tmp_path)
    board = TaskBoard(estimates)
    for event in (EVENTS[0], EVENTS[4]):
        board.take(event)
    estimates.keep()
    assert Estimates(tmp_path).usual_s(BUILD) is None


class TestHowFar:
    def test_it_is_told_at_most_once_a_second_and_worded_only_then(self) -> None:
        told: list[str] = []
        asked: list[int] = []
        now = [100.0]
        far = TransferProgress(told.append, lambda: now[0])

        def words() -> str:
            asked.append(1)
            return f"at {now[0]:g}"

        for moment in (100.0, 100.5, 100.9, 101.0, 101.2):
            now[0] = moment
            far.tell(words)

        assert told == [f"{FAR}at 100", f"{FAR}at 101"]
        assert len(asked) == 2

    def test_parts_are_summed_and_a_whole_is_named_only_where_it_is_known(self) -> None:
        told: list[str] = []
        moments = itertools.count()
        transfers = Transfers(TransferProgress(told.append, lambda: float(next(moments))))

        transfers.take("a", 1_000_000, 50_000_000)
        transfers.take("b", 2_000_000, 30_000_000)
        transfers.take("a", 50_000_000, 50_000_000)
        transfers.take("context", 4_000_000, None)

        assert told == [
            f"{FAR}1.0 MB of 50.0 MB",
            f"{FAR}3.0 MB of 80.0 MB",
            f"{FAR}52.0 MB of 80.0 MB",
            f"{FAR}56.0 MB",
        ]

    def test_what_has_come_whole_is_said_once(self) -> None:
        told: list[str] = []
        Transfers(TransferProgress(told.append)).take("context", 262, 262)
        assert told == [f"{FAR}262 bytes"]

    def test_it_stands_beside_the_step_until_the_next_one(self) -> None:
        board = TaskBoard(Estimates(None))
        states = []

        def tell(event: Event) -> None:
            going = board.take(event)
            if going is not None and isinstance(event, TaskMessage):
                states.append(state_of(going))

        with task(tell, Activity.BUILDING, "image[linux/amd64]") as progress:
            progress.say("[1/2] FROM python:3.13-slim")
            progress.say(f"{FAR}31.0 MB of 50.0 MB")
            progress.say("[2/2] RUN pip install .")

        assert states == [
            "building; [1/2] FROM python:3.13-slim",
            "building; [1/2] FROM python:3.13-slim, 31.0 MB of 50.0 MB",
            "building; [2/2] RUN pip install .",
        ]


def test_the_times_of_tasks_are_known_of_all_workers(tmp_path: Path) -> None:
    timeline = Timeline()
    with task(timeline.take, Activity.BUILDING, "image[linux/amd64]"):
        writer = EventWriter(tmp_path, "gw0")
        with (
            pytest.raises(ZeroDivisionError),
            task(writer.tell, Activity.RUNNING, "train[linux/amd64]"),
        ):
            1 / 0  # noqa: B018
    cut_off = Task("9-a", Activity.RUNNING, "infer[linux/amd64]")
    writer.tell(TaskBegan(cut_off, 4e9))
    (tmp_path / "gw1.events").write_bytes(b'{"kind": "TaskBegan", "task": 3\n\xff\n')

    spans = timeline.spans(tmp_path)

    assert [(each.activity, each.title, each.worker, each.worked) for each in spans] == [
        ("building", "image[linux/amd64]", "", True),
        ("running", "train[linux/amd64]", "gw0", False),
        ("running", "infer[linux/amd64]", "gw0", False),
    ]
    assert spans[0].start_s <= spans[1].start_s
    assert spans[0].duration_s >= spans[1].duration_s >= 0
    assert spans[2].duration_s == 0
