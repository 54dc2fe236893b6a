"""What is drawn of what goes on: on a terminal (emulated, and looked at), and in lines."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pyte
import pytest

from pytest_mlcontainer.displays.folds import Fold, FoldedSteps, fold_for, unfolded
from pytest_mlcontainer.displays.live import LiveBlock
from pytest_mlcontainer.displays.plain import SILENT_S, PlainLines
from pytest_mlcontainer.displays.showing import DisplayChoice, DisplayKind, Showing, choose
from pytest_mlcontainer.displays.words import clock_of
from pytest_mlcontainer.errors import MlContainerError
from pytest_mlcontainer.progress.board import RunningTask, TaskBoard
from pytest_mlcontainer.progress.estimates import Estimates
from pytest_mlcontainer.progress.events import (
    Activity,
    Event,
    Task,
    TaskAdvanced,
    TaskBegan,
    TaskEnded,
    TaskMessage,
)

TRAIN = Task("1-a", Activity.RUNNING, "train[linux/arm64]", limit_s=600.0)
BUILD = Task("1-b", Activity.BUILDING, "image[linux/amd64]")
SEARCH = Task("1-c", Activity.SEARCHING, "train[linux/amd64]", most=40)


class Terminal:
    """A terminal that is emulated, with a program that writes and a block below what it writes."""

    def __init__(self, columns: int = 80, lines: int = 24, *, color: bool = False) -> None:
        self.screen = pyte.Screen(columns, lines)
        self.stream = pyte.Stream(self.screen)
        self.frames: list[str] = []
        self.size = os.terminal_size((columns, lines))
        self.board = TaskBoard(Estimates(None))
        self.block = LiveBlock(self.board, self._write, lambda: self.size, color=color)
        # As a terminal's driver does it.
        self.program: Callable[[str], None] = lambda text: self.stream.feed(
            text.replace("\n", "\r\n")
        )

    def _write(self, text: str) -> None:
        self.frames.append(text)
        self.stream.feed(text)

    def tell(self, *events: Event) -> None:
        for event in events:
            self.block.take(event, self.board.take(event))

    @property
    def shown(self) -> list[str]:
        lines = [line.rstrip() for line in self.screen.display]
        while lines and not lines[-1]:
            lines.pop()
        return lines


def test_what_goes_on_stands_below_the_line_that_is_being_written() -> None:
    terminal = Terminal()
    terminal.program("test_x.py .")
    terminal.tell(
        TaskBegan(BUILD, 100.0), TaskMessage("", "RUN pip install -r requirements.txt", "1-b")
    )
    terminal.tell(TaskBegan(SEARCH, 110.0), TaskAdvanced("1-c", 7, "not threads, locale"))
    terminal.block.tick(172.0)

    assert terminal.shown == [
        "test_x.py .",
        "  image[linux/amd64] building; RUN pip install -r requirements.txt         1:12",
        "  train[linux/amd64] searching for a cause, 7 of at most 40 runs; not thr… 1:02",
    ]
    terminal.tell(TaskEnded("1-b", 173.0))
    with terminal.block.paused():
        terminal.program("F")
    terminal.block.tick(174.0)
    assert terminal.shown[0] == "test_x.py .F"
    assert len(terminal.shown) == 2
    terminal.block.erase()
    assert terminal.shown == ["test_x.py .F"]


def test_at_the_bottom_of_the_screen_it_scrolls_and_loses_nothing() -> None:
    terminal = Terminal(lines=8)
    for number in range(20):
        with terminal.block.paused():
            terminal.program(f"line {number}\n" if number < 19 else "the last, unfinished")
        terminal.tell(TaskBegan(Task(f"1-{number}", Activity.RUNNING, f"run{number}"), 0.0))
        if number >= 2:
            terminal.tell(TaskEnded(f"1-{number - 2}", 1.0))
        terminal.block.tick(10.0 + number)
    assert terminal.shown[-3:] == [
        "the last, unfinished",
        "  run18 running                                                            0:29",
        "  run19 running                                                            0:29",
    ]
    terminal.block.erase()
    with terminal.block.paused():
        terminal.program(" goes on\n")
    assert terminal.shown[-2:] == ["line 18", "the last, unfinished goes on"]


def test_a_frame_that_is_the_same_is_not_written_again() -> None:
    terminal = Terminal()
    terminal.tell(TaskBegan(TRAIN, 0.0))
    for tenth in range(40):
        terminal.block.tick(5.0 + tenth / 10)
    # One for each second that the clock shows, in one piece.
    assert len(terminal.frames) == 4
    assert all(f.startswith("\x1b[?2026h") and f.endswith("\x1b[?2026l") for f in terminal.frames)


def test_what_takes_a_moment_is_not_shown() -> None:
    terminal = Terminal()
    terminal.tell(TaskBegan(TRAIN, 10.0))
    terminal.block.tick(10.3)
    assert terminal.frames == []
    terminal.tell(TaskEnded("1-a", 10.35))
    terminal.block.tick(11.0)
    assert terminal.frames == []


@pytest.mark.parametrize(("columns", "lines"), [(40, 24), (80, 5), (20, 10), (19, 24), (80, 3)])
def test_narrow_and_low_terminals_get_what_fits(columns: int, lines: int) -> None:
    terminal = Terminal(columns, lines)
    terminal.program("x")
    for number in range(9):
        task = Task(f"1-{number}", Activity.RUNNING, f"entrypoint-{number}[linux/arm64, threads]")
        terminal.tell(TaskBegan(task, 0.0))
    terminal.block.tick(7205.0)
    shown = terminal.shown
    assert shown[0] == "x"
    if columns < 20 or lines < 4:
        assert shown == ["x"]
        return
    rows = min(6, lines - 3)
    assert len(shown) == 1 + rows + 1
    what, left = shown[-1].split()[:2]
    assert (what, left.rstrip("…")) == ("and", str(9 - rows))  # cut at 20 columns by newer riches
    assert all("2:00:05" in row for row in shown[1:-1])


def test_another_width_is_taken_at_the_next_frame() -> None:
    terminal = Terminal(60)
    terminal.tell(TaskBegan(TRAIN, 0.0))
    terminal.block.tick(1.0)
    assert terminal.shown[1].endswith("0:01")
    assert len(terminal.shown[1]) == 59
    terminal.size = os.terminal_size((45, 24))
    terminal.block.tick(2.0)
    assert len(terminal.shown[1]) == 44


def test_nothing_of_a_container_acts_on_the_terminal() -> None:
    terminal = Terminal(100)
    terminal.tell(
        TaskBegan(BUILD, 0.0), TaskMessage("", "\x1b[2J\x1b]0;title\x07[bold]\nline\u202e", "1-b")
    )
    terminal.block.tick(5.0)
    assert r"\x1b[2J\x1b]0;title\x07[bold]\nline\u202e" in terminal.shown[1]


def test_colours_are_left_out_where_they_are_not_wanted() -> None:
    plain, coloured = Terminal(), Terminal(color=True)
    for terminal in (plain, coloured):
        terminal.tell(TaskBegan(TRAIN, 0.0))
        terminal.block.tick(5.0)
    assert plain.shown == coloured.shown
    assert "\x1b[1m" in coloured.frames[0]
    assert "\x1b[1m" not in plain.frames[0]


def test_the_clock_says_what_is_known_of_the_end() -> None:
    going = RunningTask(TRAIN, 0.0, usual_s=70.0)
    assert clock_of(going, 34.0) == "0:34 of about 1:10"
    assert clock_of(going, 100.0) == "1:40"
    assert clock_of(going, 334.0) == "5:34 of at most 10:00"
    assert clock_of(RunningTask(BUILD, 10.0), 9.0) == "0:00"


class Log:
    """Lines as a log gets them, by a clock that the test turns."""

    def __init__(self, fold: Fold = unfolded, *, says_steps: bool = True) -> None:
        self.lines: list[str] = []
        self.board = TaskBoard(Estimates(None))
        self.display = PlainLines(self.board, self.lines.extend, fold, says_steps)

    def tell(self, *events: Event) -> None:
        for event in events:
            self.display.take(event, self.board.take(event))

    def pass_time(self, start: float, end: float) -> None:
        for tick in range(int((end - start) * 4)):
            self.display.tick(start + tick / 4)


def test_lines_say_begin_steps_and_end() -> None:
    log = Log()
    log.tell(TaskBegan(TRAIN, 100.0), TaskBegan(BUILD, 100.0))
    log.pass_time(100.0, 102.0)
    log.tell(TaskMessage("", "RUN one", "1-b"))
    log.tell(TaskMessage("", "| what it printed", "1-b"))
    log.pass_time(102.0, 104.0)
    log.tell(TaskMessage("", "RUN two", "1-b"))
    log.pass_time(104.0, 108.0)
    log.tell(TaskEnded("1-b", 108.0), TaskEnded("1-a", 172.0, worked=False))
    assert log.lines == [
        "  train[linux/arm64]: running (at most 10:00)",
        "  image[linux/amd64]: building",
        "  image[linux/amd64]: building; RUN two",
        "  image[linux/amd64]: building: done after 0:08",
        "  train[linux/arm64]: running: ended after 1:12",
    ]


def test_a_run_under_many_variations_is_named_by_the_first_of_them() -> None:
    log = Log()
    names = ", ".join(("linux/amd64", "clock=+401d", "cpus=1", "env=leaked", "umask=0077"))
    log.tell(TaskBegan(Task("1-d", Activity.RUNNING, f"train[{names}]"), 100.0))
    log.pass_time(100.0, 102.0)
    assert log.lines == ["  train[linux/amd64, clock=+401d, cpus=1 and 2 more]: running"]


def test_lines_come_at_a_bearable_rate_and_never_stay_away() -> None:
    log = Log()
    log.tell(TaskBegan(BUILD, 0.0))
    for step in range(100):
        log.tell(TaskMessage("", f"step {step}", "1-b"))
        log.pass_time(step / 2, step / 2 + 0.5)
    assert len(log.lines) <= 11
    before = len(log.lines)
    log.pass_time(50.0, 50.0 + 4 * SILENT_S + 1)
    still = log.lines[before:]
    assert 4 <= len(still) <= 5
    assert re.fullmatch(r"  image\[linux/amd64\]: still building; step 99 \(2:\d\d\)", still[-1])


def test_what_was_over_at_once_is_in_no_line() -> None:
    log = Log()
    log.tell(TaskBegan(TRAIN, 0.0))
    log.pass_time(0.0, 0.5)
    log.tell(TaskEnded("1-a", 0.5))
    log.pass_time(0.5, 90.0)
    assert log.lines == []


@pytest.mark.parametrize(
    ("variable", "first", "last"),
    [
        ("GITHUB_ACTIONS", "::group::image[linux/amd64]: building", "::endgroup::"),
        ("GITLAB_CI", "section_start:9:image_linux_amd64_building", "section_end:9:image_linux"),
        ("BUILDKITE", "--- image[linux/amd64]: building", "--- tests"),
    ],
)
def test_ci_folds_the_steps_of_a_build(variable: str, first: str, last: str) -> None:
    log = Log(fold_for({variable: "true"}))
    log.tell(TaskBegan(BUILD, 0.0), TaskMessage("", "RUN one", "1-b"))
    log.pass_time(0.0, 2.0)
    log.tell(TaskMessage("", "::set-env name=PATH::/evil\x1b[0K", "1-b"), TaskEnded("1-b", 9.0))
    assert log.lines[0] == "  image[linux/amd64]: building; RUN one"
    # At the very beginning, where a log looks for its commands.
    assert log.lines[1].removeprefix("\x1b[0K").startswith(first)
    assert log.lines[2] == "  · RUN one"
    assert log.lines[3] == r"  · \x3a:set-env name=PATH::/evil\x1b[0K"
    assert log.lines[-1].removeprefix("\x1b[0K").startswith(last)


def test_elsewhere_nothing_folds() -> None:
    assert fold_for({})(FoldedSteps("title", ["a"], 0.0)) == ["  title"]


def test_short_tasks_do_not_keep_a_long_one_silent() -> None:
    """Thirty seconds without a line are thirty seconds, whatever begins and ends meanwhile."""
    log = Log()
    log.tell(TaskBegan(BUILD, 0.0))
    log.pass_time(0.0, 1.0)
    for second in range(1, 70):
        short = Task(f"2-{second}", Activity.LOOKING, "linux/amd64")
        log.tell(TaskBegan(short, float(second)))
        log.pass_time(second, second + 0.5)
        log.tell(TaskEnded(short.key, second + 0.5))
        log.pass_time(second + 0.5, second + 1)
    assert [line for line in log.lines if " still " in line] == [
        "  image[linux/amd64]: still building (0:30)",
        "  image[linux/amd64]: still building (1:00)",
    ]


def test_beside_the_steps_of_verbose_it_only_says_what_still_goes_on() -> None:
    log = Log(says_steps=False)
    log.tell(TaskBegan(BUILD, 0.0), TaskMessage("", "RUN one", "1-b"))
    log.pass_time(0.0, 40.0)
    log.tell(TaskEnded("1-b", 40.0))
    assert log.lines == ["  image[linux/amd64]: still building; RUN one (0:30)"]


@pytest.mark.parametrize(
    ("asked", "environ", "is_free", "shown"),
    [
        (None, {"TERM": "xterm"}, True, DisplayKind.LIVE),
        (None, {"TERM": "xterm"}, False, DisplayKind.PLAIN),
        (None, {}, True, DisplayKind.PLAIN),
        (None, {"TERM": "dumb"}, True, DisplayKind.PLAIN),
        (None, {"TERM": "xterm", "CI": ""}, True, DisplayKind.PLAIN),
        (None, {"MLCONTAINER_PROGRESS": "none"}, True, DisplayKind.NONE),
        ("live", {"MLCONTAINER_PROGRESS": "none"}, False, DisplayKind.LIVE),
        ("auto", {"TERM": "xterm", "MLCONTAINER_PROGRESS": "none"}, True, DisplayKind.LIVE),
        (None, {"MLCONTAINER_PROGRESS": ""}, False, DisplayKind.PLAIN),
    ],
)
def test_how_it_is_shown_is_as_asked_for_or_as_the_place_allows(
    asked: str | None, environ: dict[str, str], is_free: bool, shown: DisplayKind
) -> None:
    assert choose(asked, environ, is_free=is_free) is shown


@pytest.mark.parametrize(
    ("asked", "environ", "source"),
    [
        ("loud", {}, "--container-progress"),
        (None, {"MLCONTAINER_PROGRESS": "loud"}, "MLCONTAINER_PROGRESS"),
    ],
)
def test_what_does_not_exist_is_named_with_where_it_came_from(
    asked: str | None, environ: dict[str, str], source: str
) -> None:
    with pytest.raises(MlContainerError, match=f"{source} is none of auto, live, plain, none"):
        choose(asked, environ, is_free=True)


class Paper:
    """A place that is no terminal."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        self.text += text

    def write_lines(self, lines: list[str]) -> None:
        self.write("".join(f"{line}\n" for line in lines))

    def size(self) -> os.terminal_size:
        return os.terminal_size((0, 0))


def test_after_its_end_nothing_is_shown_any_more(tmp_path: Path) -> None:
    """Threads that still clean up tell of it; the terminal is somebody else's by then."""
    paper = Paper()
    showing = Showing(paper, DisplayChoice(DisplayKind.PLAIN, 1, color=False), {}, tmp_path)
    showing.tell(TaskBegan(BUILD, 0.0))
    showing.end()
    before = paper.text
    assert before == "  image[linux/amd64]: building\n"
    showing.tell(TaskMessage("", "late", "1-b"))
    showing.tell(TaskEnded("1-b", 99.0))
    assert paper.text == before


def test_what_others_told_last_is_shown_before_the_end(tmp_path: Path) -> None:
    paper = Paper()
    told: list[Event] = [TaskBegan(BUILD, 0.0), TaskEnded("1-b", 5.0)]

    def received() -> list[Event]:
        events = list(told)
        told.clear()
        return events

    showing = Showing(
        paper, DisplayChoice(DisplayKind.PLAIN, 1, color=False), {}, tmp_path, received
    )
    showing.end()
    assert "image[linux/amd64]: building" in paper.text
    assert Estimates(tmp_path).usual_s(BUILD) == 5.0
