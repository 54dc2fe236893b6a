"""`ignore = ["time"]` and `["duration"]`: the same rule holds on any day, and results stay."""

from __future__ import annotations

import datetime
import re
import time
from email.utils import format_datetime
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_mlcontainer.compare.text.excuses import excuse_all
from pytest_mlcontainer.config.patterns import NAMED
from pytest_mlcontainer.model import Tolerance, Verdict
from tests.fixture_types import Only
from tests.growth import times_longer

DAYS = st.datetimes(datetime.datetime(2015, 1, 1), datetime.datetime(2029, 12, 31))
QUICK = settings(max_examples=40, deadline=None)
# Written out by hand, so that the locale of this machine and padding play no part.
DAY_NAMES = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
MONTH_NAMES = ["January", "February", "March", "April", "May", "June", "July", "August"]
MONTH_NAMES += ["September", "October", "November", "December"]
FORMATS = """\
{A}, {d:02} {b} {y}
{a}, {d:02} {b} {y}
{a} {b} {d:02} {H:02}:{M:02}:{S:02} {y}
{a} {b} {d:2} {H:02}:{M:02}:{S:02} {y}
{a} {b} {d:2} {H:02}:{M:02}:{S:02} UTC {y}
{a} {b} {d:02} {y} {H:02}:{M:02}:{S:02} GMT+0100 (Central European Standard Time)
{A} {d} {B} {y} {H:02}:{M:02}
{A}, {B} {th}
{A}, {d:02}-{b}-{yy} {H:02}:{M:02}:{S:02} UTC
{a} {d:02}/{m:02}/{y}
{A} {d:02}. {B} {y}
{B} {th}, {y}
{th} of {B} {y}
{th} {B} {y}
{B} {d}, {y}
{b} {d}, {y}
{b}. {d:02}, {y}
{d} {B} {y}
{d:2} {B} {y}
{d:02}-{b}-{y}
{d:02}-{b}-{yy}
{d:02}{b}{y}
{b}-{d:02}-{y}
{y} {B} {d:02}
{d:02} {b}
{b} {d:2}
{B} {y}
{d:02}.{m:02}.{y} {H:02}:{M:02}
{m:02}/{d:02}/{y} {I:02}:{M:02} {p}
{m}/{d}/{y}, {I}:{M:02}:{S:02} {p}
{m:02}/{d:02}/{yy}
{d:02}/{m:02}/{yy}
{yy}/{m:02}/{d:02} {H:02}:{M:02}:{S:02} INFO
{d:02}.{m:02}.{yy} {H:02}:{M:02}
{y}年{m}月{d}日 {H:02}:{M:02}:{S:02}
{y}년 {m}월 {d}일 {H}시 {M}분
{A}, {th} {B} {y}, {I}.{M:02}{p}
{y}-{m:02}-{d:02} {I} {p}
datetime.datetime({y}, {m}, {d}, {H}, {M}, {S}, {us})
datetime.date({y}, {m}, {d})
\x1b[2m{y}-{m:02}-{d:02} {H:02}:{M:02}:{S:02}\x1b[0m
\x1b[1;32m{H:02}:{M:02}:{S:02}.{us:06}\x1b[39m
{d:02}/{b}/{y}:{H:02}:{M:02}:{S:02} +0000
{I:02}:{M:02}:{S:02} {p}
{I}:{M:02}{p}
{I:2}:{M:02} {p}
{H:02}:{M:02}:{S:02}
{H:02}:{M:02}:{S:02}.{us:06}
{H:02}:{M:02}:{S:02} {a} {d:02} {b} {y}
{H:02}:{M:02}, {d:02} {B} {y}
{d:02} {b} {y} {I:02}:{M:02}:{S:02} {p} PST
{y}-{m:02}-{d:02}
{y}-{m:02}-{d:02} at {H:02}:{M:02}
{y}-{m:02}-{d:02} {a} {H:02}:{M:02}:{S:02}
{y}-{m:02}-{d:02} ({A})
{y}-{m:02}-{d:02} {H:02}:{M:02}:{S:02},{us:06} CET
{y}-{m:02}-{d:02}T{H:02}:{M:02}:{S:02}.{us:06}+02:00
{y}-{m:02}-{d:02}T{H:02}:{M:02}:{S:02}Z
{y}-{m:02}-{d:02} {H:02}:{M:02}:{S:02} Europe/Berlin
{y}/{m:02}/{d:02} {H:02}:{M:02}:{S:02}
{y}.{m:02}.{d:02} {H:02}.{M:02}.{S:02}
{y}-{m:02}-{d:02}_{H:02}-{M:02}-{S:02}
{y}_{m:02}_{d:02}_{H:02}_{M:02}_{S:02}
{y}{m:02}{d:02}_{H:02}{M:02}{S:02}
{y}{m:02}{d:02}T{H:02}{M:02}{S:02}Z
{y}{m:02}{d:02}{H:02}{M:02}{S:02}
{yy}{m:02}{d:02}_{H:02}{M:02}{S:02}
run_{y}{m:02}{d:02}.csv
model_{y}-{m:02}-{d:02}-{H:02}-{M:02}-{S:02}-{us:06}.txt
runs/{b}{d:02}_{H:02}-{M:02}-{S:02}_host
I{m:02}{d:02} {H:02}:{M:02}:{S:02}.{us:06} main.cc
W{y}{m:02}{d:02} {H:02}:{M:02}:{S:02}.{us:06} main.cc
{b} {d:2} {H:02}:{M:02}:{S:02} host
{G}-W{V:02}-{u}
{G}W{V:02}{u}
{y}-{j:03}
{epoch}
{epoch}{ms:03}
timestamp: {epoch}.{us:06}
started on {A}
{A} at {H:02}:{M:02}""".splitlines()


def written(form: str, day: datetime.datetime) -> str:
    week = day.isocalendar()
    ordinal = {1: "st", 2: "nd", 3: "rd"}.get(day.day % 10, "th")
    ordinal = "th" if 10 < day.day % 100 < 14 else ordinal
    names = DAY_NAMES[day.weekday()], MONTH_NAMES[day.month - 1]
    return form.format(
        A=names[0],
        a=names[0][:3],
        B=names[1],
        b=names[1][:3],
        d=day.day,
        th=f"{day.day}{ordinal}",
        m=day.month,
        y=day.year,
        yy=f"{day.year % 100:02}",
        H=day.hour,
        I=day.hour % 12 or 12,
        p="PM" if day.hour >= 12 else "AM",
        M=day.minute,
        S=day.second,
        us=day.microsecond,
        ms=day.microsecond // 1000,
        G=week[0],
        V=week[1],
        u=week[2],
        j=day.timetuple().tm_yday,
        epoch=int(day.replace(tzinfo=datetime.UTC).timestamp()),
    )


@pytest.mark.parametrize("form", FORMATS)
@QUICK
@given(DAYS, DAYS)
def test_any_two_days_are_the_same_text_without_their_dates(
    form: str, one: datetime.datetime, other: datetime.datetime
) -> None:
    dates = [written(form, day) for day in (one, other)]
    for around in ("{}", "Date: {} Time: R2 0.98", "[{}] loss 0.5", "a,{},b"):
        masked = {re.sub(NAMED["time"], "|", around.format(date)) for date in dates}
        assert len(masked) == 1
        assert "|" in masked.pop()


@QUICK
@given(DAYS, DAYS)
def test_dates_as_libraries_write_them(one: datetime.datetime, other: datetime.datetime) -> None:
    for write in (
        str,
        datetime.datetime.isoformat,
        datetime.datetime.ctime,
        lambda day: format_datetime(day.replace(tzinfo=datetime.UTC)),
        lambda day: time.asctime(day.timetuple()),
    ):
        assert len({re.sub(NAMED["time"], "|", write(day)) for day in (one, other)}) == 1


@pytest.mark.parametrize(
    "text",
    [
        "loss: 0.123, accuracy 12:30?",
        "epoch 28/100, step 3/10, 3/4/5",
        "2024 rows, 1,234,567 params, score 20261128",
        "ratio 1:2:3 of 64:128:256",
        "version v2024.10.12, 0.20241128, 1.4999e9",
        "shape (28, 28), lr 1e-3, Sun 3, mon 5",
        "May be 3, March on, Saturday night",
        "split 80/10/10, version 12.10.24 5, score 3.5 am",
    ],
)
def test_numbers_that_are_results_are_no_dates(text: str) -> None:
    assert re.sub(NAMED["time"], "|", text) == text


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("took 1.2s", "took 58.31s"),
        ("took 3m 4s", "took 58s"),
        ("in 1h 2min", "in 59min"),
        ("in 2 minutes and 3.5 seconds", "in 1 hour, 2 minutes"),
        ("wall 0:00:01.23", "wall 1 day, 2:03:04"),
        ("123ms/step", "1s/step"),
        ("elapsed: 1.234 seconds", "elapsed: 12 seconds"),
        ("elapsed 1.234", "elapsed 12"),
        ("took 3.2 sec", "took 12 sec"),
        (
            "10/10 [======] - 1s 12ms/step - loss: 0.5",
            "10/10 [======] - 0s 980us/step - loss: 0.5",
        ),
        ("10/10 ━━━━ 1s 12ms/step - loss: 0.5", "10/10 ━━━━ 12s 1s/step - loss: 0.5"),
        ("5/10 [==>...] - ETA: 1:23 - loss: 0.5", "5/10 [==>...] - ETA: 3s - loss: 0.5"),
        (
            "100%|███| 10/10 [00:01<00:00,  9.80it/s, loss=0.5]",
            "100%|███| 10/10 [1:00:01<00:00, 1.02s/it, loss=0.5]",
        ),
        ("  0%| | 0/9 [00:00<?, ?it/s]", "  0%| | 0/9 [00:01<?, ?it/s]"),
        ("Epoch 3: 45.6 tokens/s", "Epoch 3: 1,045 tokens/s"),
        (
            "{'train_runtime': 12.34, 'train_samples_per_second': 99.1, 'train_loss': 0.5}",
            "{'train_runtime': 9.1, 'train_samples_per_second': 120, 'train_loss': 0.5}",
        ),
        ("step 2 | loss 0.3333 | step time 12.34ms", "step 2 | loss 0.3333 | step time 2.1ms"),
        ("fit_time: 1.2", "fit_time: 12.25"),
        ("real\t0m1.234s", "real\t12m1.5s"),
        ("total time=   9.9s; x", "total time=  10.1min; x"),
        (
            "    9.72 ms per token,   102.88 tokens per second",
            "   12.5 ms per token,    2.8 tokens per second",
        ),
        ("step 2   0.5   took    9.12 s", "step 2   0.5   took   10.12 s"),
        ("samples_per_second =     81.2", "samples_per_second =    481.2"),
        ("train_runtime      = 0:00:12.34", "train_runtime      = 0:01:02.34"),
        ("| fit_time | 0.31 |", "| fit_time | 12.5 |"),
        ("Time: 1.243s,  102.9/s", "Time: 0.2s,    9.1/s"),
        ("lr: 0.5  img/s: 34.2  x", "lr: 0.5  img/s: 134.2  x"),
        ("FPS: 31.2, 30.1 fps", "FPS: 1.2, 130 fps"),
        ("time (h:mm:ss or m:ss): 0:01.23", "time (h:mm:ss or m:ss): 1:00:01"),
        ("Wall time: 1.4 s", "Wall time: 1min 4s"),
        ("PT1M30.5S", "P1DT2H"),
        ("datetime.timedelta(seconds=12)", "datetime.timedelta(days=1, seconds=2)"),
        ("1d 2h, 5m 3s, took 5m", "2h 3m, 3s, took 12m"),
        (
            "\x1b[1m10/10\x1b[0m \x1b[1m1s\x1b[0m 23ms/step",
            "\x1b[1m10/10\x1b[0m \x1b[1m2s\x1b[0m 3ms/step",
        ),
        (
            "  5%|▌ | 1/20\r 50%|x | 10/20 [00:01<00:01]\r100%|x| 20/20 [00:02<00:00]",
            "  5%|▌ | 1/20\r100%|x| 20/20 [00:03<00:00]",
        ),
    ],
)
def test_durations_as_training_loops_print_them(only: Only, one: str, other: str) -> None:
    rule = Tolerance(patterns=(NAMED["duration"],))
    assert only("a.log", one + "\n", other + "\n", rule).verdict is Verdict.EQUIVALENT
    changed = other.replace("0.5", "0.6").replace("3333", "3334").replace("took", "needed")
    if changed != other:
        assert only("a.log", one + "\n", changed + "\n", rule).verdict is Verdict.DRIFT


@pytest.mark.parametrize(
    "text",
    [
        "loss: 0.123 - accuracy: 0.9155 - lr=1e-05 s=3",
        "5 models, timesteps: 1000, lifetime 3, sentiment: 5, overtime 5",
        "1.5 M params, 12:30, 10/10",
        "error 3.21 m, depth 35 m, took 3 steps, 3 d model of 5 d",
        "9.81 m/s, 30 km/h, 20 mm/h, 3 rad/s, 5 deg/s, 5 degrees per second, price 5/h",
        "max 0.85 min 0.12 mean 0.5, max 35 min 2, 5 min: 3, 5 min = 3",
    ],
)
def test_numbers_that_are_results_are_no_durations(text: str) -> None:
    assert re.sub(NAMED["duration"], "|", text) == text


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Peak memory: 204.1 MB, loss 0.5", "Peak memory: 91 MB, loss 0.5"),
        ("GPU mem 3.21G  loss 0.5", "GPU mem 11.3G  loss 0.5"),
        ("max_memory_allocated = 1024 MiB", "max_memory_allocated = 1.1 GiB"),
        ("mem: 512MB / 16384MB", "mem: 513MB / 16384MB"),
        ('{"rss": 1234 kB}', '{"rss": 1235 kB}'),
        ("needs 204 MiB of memory", "needs 1,204 MiB of memory"),
    ],
)
def test_memory_in_use_is_told_and_left_out(only: Only, one: str, other: str) -> None:
    found = only("a.log", f"{one}\n", f"{other}\n")
    assert found.verdict is Verdict.DRIFT
    assert '"a.log" = { ignore = ["memory"] }' in found.note
    rule = Tolerance(patterns=(NAMED["memory"],))
    assert only("a.log", f"{one}\n", f"{other}\n", rule).verdict is Verdict.EQUIVALENT
    assert only("a.log", f"{one} 1.5\n", f"{other} 1.6\n", rule).verdict is Verdict.DRIFT


@pytest.mark.parametrize(
    "text",
    [
        "model size: 300 MB, 80% peak accuracy, memory: 91%",
        "long-term memory: 0.5, memory 5 cells, memory loss: 0.5",
        "a dataset of 3 GB, saved 20 MB, memorised 3 k",
    ],
)
def test_sizes_and_shares_that_are_results_are_no_memory_in_use(text: str) -> None:
    assert re.sub(NAMED["memory"], "|", text) == text


@pytest.mark.parametrize("name", ["time", "duration", "memory"])
@pytest.mark.parametrize(
    "unit",
    [
        "memory ",
        "mem: ",
        "1 MB ",
        "a_mem_",
        "Sat ",
        "Nov 28 ",
        "time_",
        "12s ",
        "1s",
        "a_",
        "1,",
        "1,111",
        ", 5",
        "%/",
        "\r",
        "a%/a\r",
        " ",
        "  1",
        "?",
        "00:01<",
        "Sun, ",
        "2026-W48-",
        " of ",
        "20261128",
        "1 day, ",
        "[ ",
        "on Sat",
    ],
)
def test_no_text_keeps_the_patterns_busy(name: str, unit: str) -> None:
    word = unit.replace("/", "|")
    small, large = (word * (size // len(unit)) + "!" for size in (12_500, 200_000))
    assert times_longer(partial(re.sub, NAMED[name], ""), small, large) < 16 * 4


def test_a_text_that_differs_in_nothing_else_gets_the_rule_that_leaves_it_out(only: Only) -> None:
    one, other = "step 0 | loss 0.5 | step time 2.31ms\n", "step 0 | loss 0.5 | step time 9.9ms\n"
    found = only("stdout", one, other)
    assert found.verdict is Verdict.DRIFT
    assert "only durations and rates differ, which a rule leaves out: " in found.note
    assert '"stdout" = { ignore = ["duration"] }' in found.note
    found = only("stdout", f"{one}at 12:30:01\n", f"{other}at 12:31:00\n")
    assert '"stdout" = { ignore = ["time", "duration"] }' in found.note
    assert "ignore" not in only("stdout", one, other.replace("0.5", "0.6")).note
    found = only("m.json", {"at": "Sat, 28 Nov 2026"}, {"at": "Sun, 29 Nov 2026"})
    assert '"m.json:at" = { ignore = ["time"] }' in found.note


@pytest.mark.parametrize(
    ("one", "other", "names"),
    [
        ("in /tmp/a1/x", "in /tmp/b2/x", ("path",)),
        ("run 0123456789abcdef at 12:30:01", "run 0023456789abcdef at 12:30:02", ("time", "hex")),
        ("<x at 0x7f01>, 3s", "<x at 0x7f02>, 5s", ("address", "duration")),
        ("loss 0.5 in 3s", "loss 0.6 in 5s", ()),
        ("/app/out/ckpt_7.pt", "/app/out/ckpt_3.pt", ()),
        ("/builds/out/ckpt_7.pt", "/app/out/ckpt_3.pt", ()),
        ("/app/out/fold7", "/app/out/fold3", ()),
        ("best /tmp/a1/ckpt_7.pt in 3s", "best /tmp/b2/ckpt_3.pt in 5s", ()),
        ("/builds/proj/ckpt_3.pt", "/app/ckpt_3.pt", ("path",)),
        ("/builds/proj", "/app", ("path",)),
        ("/tmp/tmpab12cd_8.pt", "/tmp/tmpef34gh_9.pt", ("id",)),
        ("/tmp/a1/m_20261128_152104.pt", "/tmp/b2/m_20261129_152104.pt", ("path",)),
        ("00:00:01,000 --> 00:00:03,900", "00:00:01,000 --> 00:00:03,500", ()),
        ("[00:00.000 --> 00:03.900]  Hello", "[00:00.000 --> 00:03.500]  Hello", ()),
        ("<time>2024-05-01T12:00:00Z</time>", "<time>2024-05-01T10:00:00Z</time>", ()),
        ("<time>2024-05-01T12:00:01Z</time>", "<time>2024-05-01T10:00:00Z</time>", ("time",)),
        ("at 2024-05-01 12:00:00+02:00", "at 2024-05-01 10:00:00+00:00", ()),
    ],
)
def test_the_smallest_set_of_patterns_is_proposed(
    one: str, other: str, names: tuple[str, ...]
) -> None:
    assert excuse_all([(one, other)]).names() == names


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("runs/01HGW2N7EHJQ4XKZ6Z2V6C1T0M/m", "runs/01HGW2P9AAJQ4XKZ6Z2V6CZZ00/m"),
        ("Started server process [7]", "Started server process [1234]"),
        ("[7] [INFO] Starting", "[12] [INFO] Starting"),
        ("12:30:01 140234567890123 train.py:33] a", "12:30:01     7 train.py:33] a"),
    ],
)
def test_ids_that_servers_loggers_and_trackers_print(only: Only, one: str, other: str) -> None:
    rule = Tolerance(patterns=(NAMED["id"],))
    assert only("a.log", one + "\n", other + "\n", rule).verdict is Verdict.EQUIVALENT
    assert excuse_all([(one, other)]).names() == ("id",)


@pytest.mark.parametrize("text", ["0123456789" * 3, "history[3] [x]", "loss[3]: 0.5", "a 3 b.txt"])
def test_numbers_that_are_results_are_no_ids(text: str) -> None:
    assert re.sub(NAMED["id"], "|", text) == text
