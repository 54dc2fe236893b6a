"""What is read from a container that starts, without one: tables of /proc, users, signals."""

from __future__ import annotations

import signal

import pytest

from pytest_mlcontainer.engines import FirstProcess
from pytest_mlcontainer.engines.docker.images import image_of
from pytest_mlcontainer.image_checks.start.stopping import signal_name, stop_reason
from pytest_mlcontainer.image_checks.start.users import user_number
from pytest_mlcontainer.image_checks.start.watching import Listener, parse_listeners
from pytest_mlcontainer.model import Image, Platform

TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid
   0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0
   1: 0100007F:1388 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0
   2: 0B00007F:0035 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0
   3: 0200A8C0:D431 0300A8C0:01BB 01 00000000:00000000 00:00000000 00000000     0
"""
TABLE_6 = """\
  sl  local_address                         remote_address                        st
   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A
   1: 00000000000000000000000001000000:0051 00000000000000000000000000000000:0000 0A
   2: 0000000000000000FFFF00000100007F:0052 00000000000000000000000000000000:0000 0A
"""
PASSWD = "root:x:0:0:root:/root:/bin/bash\napp:x:1234:1234::/app:/bin/sh\nbroken:x\n"
TERM = 1 << (signal.SIGTERM - 1)


def made(**values: object) -> Image:
    return image_of("i", {"Id": "sha256:1", "Os": "linux", "Architecture": "amd64", **values})


def test_listeners_are_told_from_connections_and_loopback_from_all_addresses() -> None:
    assert tuple(parse_listeners(TABLE)) == (
        Listener(8080, False),
        Listener(5000, True),
        Listener(53, True),
    )
    assert tuple(parse_listeners(TABLE_6)) == (
        Listener(80, False),
        Listener(81, True),
        Listener(82, True),
    )
    assert tuple(parse_listeners("")) == ()


@pytest.mark.parametrize(
    ("user", "number"),
    [("", 0), ("root", 0), ("app", 1234), ("app:users", 1234), ("7:8", 7), ("broken", None)],
)
def test_a_user_has_the_number_that_the_image_gives_it(user: str, number: int | None) -> None:
    assert user_number(user, PASSWD) == number
    assert user_number("root", "") == 0


@pytest.mark.parametrize(
    ("signal_text", "name"),
    [("", "SIGTERM"), ("SIGINT", "SIGINT"), ("QUIT", "SIGQUIT"), ("3", "SIGQUIT")],
)
def test_the_signal_is_the_image_s_own(signal_text: str, name: str) -> None:
    assert signal_name(made(Config={"StopSignal": signal_text})) == name


def test_a_reason_says_only_what_was_seen() -> None:
    image = Image("i", "sha256:1", Platform("linux", "amd64"))
    assert stop_reason(image, None).why == ""
    caught = stop_reason(image, FirstProcess("0", TERM, 0, "python serve.py")).why
    assert "it has a handler for SIGTERM" in caught
    ignored = stop_reason(image, FirstProcess("0", 0, TERM, "python serve.py")).why
    assert ignored.endswith("it ignores SIGTERM")
    shell = stop_reason(image, FirstProcess("0", 0, 0, "/usr/bin/bash run.sh"))
    assert "a shell: it has no handler" in shell.why
    assert "`exec` in the last line of the script" in shell.mend


def test_a_health_check_s_limits_are_docker_s_where_it_says_none() -> None:
    second = 1_000_000_000
    health = {"Test": ["CMD-SHELL", "x"], "Interval": second, "StartPeriod": 5 * second}
    image = made(Config={"Healthcheck": health})
    assert image.health == ("CMD-SHELL", "x")
    assert image.health_limit_s == 5 + 3 * (1 + 30)
    assert made(Config={"Healthcheck": {"Test": ["NONE"]}}).health == ()
    assert made(Config={"ExposedPorts": {"80/tcp": {}}, "Labels": {"a": "b"}}).ports == ("80/tcp",)
