"""What a container may do: as little as possible, and what its project says in so many words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_mlcontainer.engines import ContainerSpec
from pytest_mlcontainer.engines.denials import allow_denied
from pytest_mlcontainer.engines.docker.isolation import isolation, socket_mounts
from pytest_mlcontainer.errors import EngineError
from pytest_mlcontainer.model import Limits, Platform
from tests.fixture_types import FailureOf
from tests.sample_project import MakeProject

TABLE = "[tool.mlcontainer.entrypoints.train]"
SPEC = ContainerSpec(image="image", platform=Platform("linux", "amd64"))
OPEN = Limits(
    capabilities=("CHOWN",), new_privileges=True, privileged=True, engine_socket=True, processes=5
)

# Everything that only a container can tell; run by root and, where the image says so, by another.
LOOK = """\
import os, sys
status = dict(line.split(":\\t") for line in open("/proc/self/status").read().splitlines())
granted = {"closed": 0, "own": 0, "open": 1 << 0 | 1 << 7}[sys.argv[1]]  # CHOWN, SETUID
assert int(status["CapBnd"], 16) == granted, status["CapBnd"]
assert int(status["CapEff"], 16) == (0 if sys.argv[1] == "own" else granted), status["CapEff"]
assert int(status["NoNewPrivs"]) == (sys.argv[1] != "open")
assert os.getuid() == (1000 if sys.argv[1] == "own" else 0)
assert not os.path.exists("/var/run/docker.sock")
assert not os.path.exists("/dev/mem") and not os.path.exists("/dev/vda")
for path in ("/data/folder/a.txt", "/data/file.txt"):
    assert open(path).read() == "as it was"
    for flags in (os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_TRUNC):
        try:
            os.open(path, flags)
        except OSError:
            continue
        sys.exit(f"{path} can be written to")
"""


def test_nothing_opens_a_container_but_its_own_settings() -> None:
    """By default, and for what nobody vouches for, everything is closed."""
    for spec in (SPEC, replace(SPEC, limits=OPEN, confined=True)):
        options = isolation(spec)
        assert options["cap_drop"] == ["ALL"]
        assert options["cap_add"] == []
        assert options["security_opt"] == ["no-new-privileges"]
        assert options["privileged"] is False
        assert socket_mounts(spec, "unix:///run/docker.sock") == []
    opened = isolation(replace(SPEC, limits=OPEN))
    assert opened["cap_add"] == ["CHOWN"]
    assert opened["security_opt"] == []
    assert opened["privileged"] is True
    assert opened["pids_limit"] == 5


def test_a_changed_personality_does_not_open_anything_else() -> None:
    """Its system call filter stands beside the rest."""
    first, second = isolation(replace(SPEC, personality=True))["security_opt"]
    assert first == "no-new-privileges"
    assert second.startswith("seccomp={")


def test_memory_is_a_limit_that_swap_does_not_lift() -> None:
    limits = Limits(memory_bytes=1 << 26)
    assert isolation(replace(SPEC, limits=limits))["memswap_limit"] == 1 << 26


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("unix:///run/user/1000/docker.sock", "/run/user/1000/docker.sock"),
        ("http+unix:///run/docker.sock", "/run/docker.sock"),
        ("the default engine", "/var/run/docker.sock"),
    ],
)
def test_the_socket_is_mounted_for_who_asks_for_it(address: str, source: str) -> None:
    (mount,) = socket_mounts(replace(SPEC, limits=OPEN), address)
    assert (mount["Source"], mount["Target"]) == (source, "/var/run/docker.sock")


@pytest.mark.parametrize("address", ["ssh://ci@arm-box", "tcp://10.0.0.7:2376", "npipe:////./p"])
def test_the_socket_of_another_machine_cannot_be_mounted(address: str) -> None:
    with pytest.raises(EngineError, match="engine-socket needs an engine with a unix socket"):
        socket_mounts(replace(SPEC, limits=OPEN), address)


@pytest.mark.parametrize(
    ("printed", "root", "allowed"),
    [
        ("error: failed switching to 'app': operation not permitted", True, '["SETGID", "SETUID"]'),
        ("gosu: setgroups: Operation not permitted", True, 'capabilities = ["SETGID", "SETUID"]'),
        ("su: cannot set groups: Operation not permitted", None, '["SETGID", "SETUID"]'),
        ("chown: changing ownership of 'a': Operation not permitted", True, '["CHOWN"]'),
        ("PermissionError: [Errno 1] Operation not permitted: 'x'", True, '"DAC_OVERRIDE", '),
        ("PermissionError: [Errno 13] Permission denied: '/app/x'", True, '["DAC_OVERRIDE"]'),
        ("PermissionError: [Errno 13] Permission denied: '/app/x'", False, None),
        ('sudo: The "no new privileges" flag is set', False, "new-privileges = true"),
        ("ValueError: negative", True, None),
    ],
)
def test_what_was_denied_names_the_setting_that_allows_it(
    printed: str, root: bool | None, allowed: str | None
) -> None:
    said = allow_denied(printed, TABLE, root=root)
    assert (allowed in said and TABLE in said) if allowed else not said


def test_a_run_has_what_is_granted_and_cannot_write_to_its_inputs(
    project: MakeProject, leaves_nothing: None
) -> None:
    """For root, for root with capabilities, and for the user that the image names."""
    run = '[tool.mlcontainer.entrypoints.{0}]\ncommand = ["python", "look.py", "{0}"]\n'
    inputs = 'inputs = { "given" = "/data/folder", "given/a.txt" = "/data/file.txt" }\n'
    (project.root / "given").mkdir()
    (project.root / "given/a.txt").write_text("as it was")
    (project.root / "given/a.txt").chmod(0o666)
    project.write(
        run.format("closed")
        + inputs
        + (run.format("own") + inputs + 'user = "1000"\n')
        + (run.format("open") + inputs + "new-privileges = true\n")
        + 'capabilities = ["CHOWN", "CAP_SETUID"]\n',
        look__py=LOOK,
    )
    project.run().assert_outcomes(passed=4)
    assert (project.root / "given/a.txt").read_text() == "as it was"


def test_an_image_with_a_user_of_its_own_runs_as_that_user(
    project: MakeProject, leaves_nothing: None
) -> None:
    project.write(
        '[tool.mlcontainer.entrypoints.train]\ncommand = ["python", "train.py"]\n',
        dockerfile="FROM python:3.13-slim\nCOPY train.py ./\nUSER 1234:5678\n",
        train="import os; assert (os.getuid(), os.getgid()) == (1234, 5678)\n",
    )
    project.run("-k", "train").assert_outcomes(passed=1)


def test_root_that_lacks_a_capability_is_told_its_name(
    project: MakeProject, failure_of: FailureOf, leaves_nothing: None
) -> None:
    project.write(
        """
[tool.mlcontainer.entrypoints.owners]
command = ["python", "-c", "import os; os.chown('/app', 5, 5)"]
[tool.mlcontainer.entrypoints.writes]
command = ["python", "-c", "open('/theirs/x', 'w')"]
""",
        dockerfile="FROM python:3.13-slim\nRUN mkdir /theirs && chown 1000 /theirs\nWORKDIR /app\n",
    )
    result = project.run("-k", "not image")
    result.assert_outcomes(failed=2)
    owners, writes = (failure_of(result, name) for name in ("owners[", "writes["))
    assert "capabilities = [" in owners
    assert '"CHOWN"' in owners
    assert 'capabilities = ["DAC_OVERRIDE"] in [tool.mlcontainer.entrypoints.writes]' in writes


def test_a_container_that_may_use_the_engine_finds_its_socket(
    project: MakeProject, leaves_nothing: None
) -> None:
    project.write(
        '[tool.mlcontainer.entrypoints.train]\ncommand = ["python", "train.py"]\n'
        "engine-socket = true\n",
        train="import socket; socket.socket(socket.AF_UNIX).connect('/var/run/docker.sock')\n",
    )
    project.run("-k", "train").assert_outcomes(passed=1)
