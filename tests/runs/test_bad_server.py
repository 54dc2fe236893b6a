"""Servers that do not serve: what is said within their limit, and that nothing stays behind."""

from __future__ import annotations

import os
import select
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
import pytest

from pytest_mlcontainer.engines import Usage
from pytest_mlcontainer.engines.docker.server import _is_our_address
from pytest_mlcontainer.model import Entrypoint, Limits
from pytest_mlcontainer.runs.breaches import DISK, Breach
from pytest_mlcontainer.runs.failures import Ending
from pytest_mlcontainer.runs.server_failures import explain_server
from tests.fixture_types import FailureOf
from tests.sample_project import MakeProject

SERVER = """
[tool.mlcontainer.entrypoints.{name}]
command = ["python", "-u", "serve.py", "{name}"]
port = 8000
health = "/health"
startup-timeout = {limit}
"""

# Serves like a real one, or fails in the way that its argument names.
SERVE = """\
import os, sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503 if sys.argv[1] == "unhealthy" else 200)
        self.end_headers()

match sys.argv[1]:
    case "dies":
        sys.exit("no model at /models/best.onnx")
    case "silent":
        print("loading the model")
        time.sleep(600)
    case "slow":
        while True:
            pass
    case "loopback":
        HTTPServer(("127.0.0.1", 8000), Handler).serve_forever()
    case "drops":
        os.setuid(1000)
    case "workers":
        while True:
            print("[emerg] 7#7: setgid(101) failed (1: Operation not permitted)")
            time.sleep(1)
    case "waits":
        print("OSError: We couldn't connect to 'https://models.example.org' to load the files")
        time.sleep(600)
    case _:
        status = open("/proc/self/status").read()
        assert "CapBnd:\t0000000000000000" in status and "NoNewPrivs:\t1" in status
        HTTPServer(("0.0.0.0", 8000), Handler).serve_forever()
"""


def test_a_server_that_does_not_serve_is_explained_by_how_it_failed(
    project: MakeProject, failure_of: FailureOf, leaves_nothing: None
) -> None:
    limits = {"dies": 60, "drops": 60, "silent": 4, "loopback": 2, "unhealthy": 5, "good": 60}
    limits |= {"workers": 60, "waits": 4, "slow": 3}
    project.write(
        "".join(SERVER.format(name=name, limit=limit) for name, limit in limits.items()),
        serve__py=SERVE,
    )
    started = time.monotonic()
    result = project.run("-k", "not image")
    assert time.monotonic() - started < 75
    result.assert_outcomes(passed=1, failed=8)
    dies = failure_of(result, "dies[")
    assert "the server dies ended before it answered" in dies
    assert "exit code 1" in dies
    assert "no model at /models/best.onnx" in dies
    assert "must stay in the foreground" in dies
    silent = failure_of(result, "silent[")
    assert "the server silent did not answer in time" in silent
    assert "/health on port 8000, 4 s:" in silent
    assert "loading the model" in silent
    assert "startup-timeout" in silent
    drops = failure_of(result, "drops[")
    assert 'capabilities = ["SETGID", "SETUID"] in [tool.mlcontainer.entrypoints.drops]' in drops
    workers = failure_of(result, "workers[")
    assert "the server workers was denied what it needs to serve" in workers
    assert "setgid(101) failed (1: Operation not permitted)" in workers
    assert 'capabilities = ["SETGID", "SETUID"]' in workers
    assert "0.0.0.0" not in workers
    waits = failure_of(result, "waits[")
    assert "the server waits did not answer in time" in waits
    assert "a host was not reached" in waits
    assert "0.0.0.0" not in waits
    slow = failure_of(result, "slow[")
    assert "s of CPU and was working" in slow
    assert "raise `startup-timeout` in [tool.mlcontainer.entrypoints.slow]" in slow
    assert "0.0.0.0" not in slow
    loopback = failure_of(result, "loopback[")
    assert "it must listen on port 8000, and on 0.0.0.0, not 127.0.0.1" in loopback
    unhealthy = failure_of(result, "unhealthy[")
    assert "HTTP 503" in unhealthy
    assert "it answers, but not with success: check `health`" in unhealthy
    assert "GET /health" not in unhealthy


def test_a_server_without_a_page_at_its_root_is_ready_once_it_says_so(
    project: MakeProject, failure_of: FailureOf, leaves_nothing: None
) -> None:
    """As a Flask application that only takes predictions; a path that was named has to be there."""
    servers = SERVER.format(name="root", limit=30).replace("/health", "/")
    project.write(
        servers + SERVER.format(name="named", limit=4),
        serve__py=SERVE.replace('503 if sys.argv[1] == "unhealthy" else 200', "404"),
    )
    result = project.run("-k", "not image")
    result.assert_outcomes(passed=1, failed=1)
    assert "HTTP 404" in failure_of(result, "named[")


def test_a_server_whose_command_cannot_be_found_is_explained_like_a_run(
    project: MakeProject, failure_of: FailureOf, leaves_nothing: None
) -> None:
    project.write(SERVER.format(name="serve", limit=20).replace("python", "uvicorn"))
    said = failure_of(project.run("-k", "serve"), "serve[")
    assert "the command was not found in the image" in said
    assert "'uvicorn'" in said


# Does what its argument says once it is asked for anything but its health; or at once.
USED = """\
import os, subprocess, sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer

def misbehave(how):
    match how:
        case "fills" | "early":
            with open("/tmp/scratch.bin", "wb") as file:
                while True:
                    file.write(bytes(1 << 22))
                    file.flush()
        case "chatty":
            while True:
                print("x" * 99)
        case "crashes":
            print("the model is gone", file=sys.stderr)
            os._exit(3)
        case "hungry":
            held = [bytearray(b"x") * (1 << 29)]
        case "worker":
            subprocess.run([sys.executable, "-c", "bytearray(b'x') * (1 << 29)"])
        case "stops":
            os._exit(0)

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path != "/health":
            misbehave(sys.argv[1])
        self.send_response(200)
        self.end_headers()

print("begun", flush=True)
if sys.argv[1] == "early":
    misbehave("early")
HTTPServer(("0.0.0.0", 8000), Handler).serve_forever()
"""

USES = """\
from urllib.request import urlopen
import pytest

@pytest.mark.parametrize("name", {names})
def test_use(mlcontainer_project, name):
    with mlcontainer_project.serve(name) as server:
        try:
            urlopen(server.url + "/use", timeout=60).read()
        except OSError:
            pass
"""


def test_a_server_past_a_limit_or_gone_while_it_is_used_fails_the_test_that_uses_it(
    project: MakeProject, failure_of: FailureOf, leaves_nothing: None
) -> None:
    """Whatever the test itself makes of it; but one that was asked to end, and did, is fine."""
    limits = {
        "early": 'disk = "64m"',
        "fills": 'disk = "64m"',
        "chatty": 'log-limit = "1m"',
        "crashes": "",
        "hungry": 'memory = "64m"',
        "worker": 'memory = "64m"',
        "stops": "",
    }
    tables = "".join(
        SERVER.format(name=name, limit=60) + limit + "\n" for name, limit in limits.items()
    )
    uses = USES.format(names=list(limits))
    project.write(tables, serve__py=USED, test_uses__py=uses)
    result = project.run("test_uses.py")
    result.assert_outcomes(passed=1, failed=6)
    said = {name: failure_of(result, f"test_use[{name}") for name in limits if name != "stops"}
    for name in ("early", "fills"):
        assert f"the server {name} wrote more to disk than it may and was ended" in said[name]
        assert "disk is 64 MiB" in said[name]
        assert f"raise `disk` in [tool.mlcontainer.entrypoints.{name}]" in said[name]
    assert "begun" in said["early"]
    assert "the server chatty printed more than it may and was ended" in said["chatty"]
    assert "log-limit is 1 MiB" in said["chatty"]
    assert "raise `log-limit` in [tool.mlcontainer.entrypoints.chatty]" in said["chatty"]
    assert "the server crashes ended while it was used" in said["crashes"]
    assert "exit code 3" in said["crashes"]
    assert "the model is gone" in said["crashes"]
    hungry = "the server hungry ended while it was used (it ran out of memory)"
    assert hungry in said["hungry"]
    assert "the server worker ran out of memory while it was used" in said["worker"]
    for name in ("hungry", "worker"):
        assert "used all of its memory, 64 MiB" in said[name]
        assert f"raise `memory` (64 MiB now) in [tool.mlcontainer.entrypoints.{name}]" in said[name]


def test_the_fixture_says_at_its_end_what_became_of_its_server(
    project: MakeProject, failure_of: FailureOf, leaves_nothing: None
) -> None:
    """A refused connection alone would say nothing of why."""
    uses = "from urllib.request import urlopen\ndef test_use(inference_server):\n"
    uses += "    urlopen(inference_server.url + '/use').read()\n"
    project.write(SERVER.format(name="crashes", limit=60), serve__py=USED, test_uses__py=uses)
    result = project.run("test_uses.py")
    result.assert_outcomes(failed=1, errors=1)
    said = failure_of(result, "ERROR at teardown of test_use")
    assert "the server crashes ended while it was used" in said
    assert "exit code 3" in said


BOUND = """\
import os
import docker

def test_use(inference_server):
    client = docker.APIClient(os.environ["DOCKER_HOST"])
    bound = client.port(inference_server.container, 8000)
    client.close()
    assert {{each["HostIp"] for each in bound}} <= {ips}
    assert inference_server.url == "http://{host}:" + bound[0]["HostPort"]
"""


def test_the_port_of_a_server_beside_us_is_open_to_this_machine_alone(
    project: MakeProject, engine: docker.APIClient, leaves_nothing: None
) -> None:
    uses = BOUND.format(host="127.0.0.1", ips={"127.0.0.1"})
    project.write(SERVER.format(name="good", limit=60), serve__py=USED, test_uses__py=uses)
    project.run("test_uses.py").assert_outcomes(passed=1)


def test_the_port_of_a_server_elsewhere_is_open_to_whoever_reaches_that_machine(
    project: MakeProject,
    engine: docker.APIClient,
    monkeypatch: pytest.MonkeyPatch,
    leaves_nothing: None,
) -> None:
    """An engine at any other address than those of our loopback; it is the same one here."""
    uses = BOUND.format(host="127.0.0.2", ips={"0.0.0.0", "::"})
    project.write(SERVER.format(name="good", limit=60), serve__py=USED, test_uses__py=uses)
    with _forwarded(os.environ["DOCKER_HOST"]) as address:
        monkeypatch.setenv("DOCKER_HOST", address)
        project.run("test_uses.py").assert_outcomes(passed=1)


@contextmanager
def _forwarded(engine: str) -> Iterator[str]:
    """An engine's unix socket as a port of 127.0.0.2."""

    class Forward(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.socket(socket.AF_UNIX) as there:
                there.connect(engine.removeprefix("unix://"))
                sockets = (self.request, there)
                while readable := select.select(sockets, (), (), 60)[0]:
                    for each in readable:
                        data = each.recv(1 << 16)
                        if not data:
                            return
                        sockets[each is self.request].sendall(data)

    with socketserver.ThreadingTCPServer(("127.0.0.2", 0), Forward) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"tcp://127.0.0.2:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.parametrize(
    ("address", "ours"),
    [("127.0.0.1", True), ("192.0.2.1", False), ("", False), ("fe80::1", False)],
)
def test_an_engine_is_beside_us_where_its_bridge_is_one_of_our_interfaces(
    address: str, ours: bool
) -> None:
    assert _is_our_address(address) == ours


@pytest.mark.parametrize(
    ("ending", "answered", "said"),
    [
        (Ending(0, 1.0), True, None),
        (Ending(5, 1.0), True, None),  # declared
        (Ending(None, 1.0), True, None),
        (Ending(0, 1.0), False, "ended before it answered"),
        (Ending(0, 1.0, error="shim is gone"), True, "the engine says: shim is gone"),
        (Ending(0, 1.0, oom_killed=True), True, "one of its processes was killed when it ran out"),
        (Ending(None, 1.0, oom_killed=True), True, "ran out of memory while it was used"),
        (Ending(1, 1.0, peak=Usage(processes=4096)), True, "at its limit of processes"),
        (Ending(139, 1.0), True, "ended while it was used ("),
        (Ending(7, 1.0), True, "declare exit-codes = [0, 7]"),
        (Ending(0, 1.0, breach=Breach(DISK, 1, 2, 1.0)), True, "wrote more to disk"),
    ],
)
def test_which_ends_of_a_server_are_failures(
    ending: Ending, answered: bool, said: str | None, tmp_path: Path
) -> None:
    entry = Entrypoint("serve", exit_codes=(0, 5), limits=Limits())
    logs = (tmp_path / "stdout", tmp_path / "stderr")
    error = explain_server(entry, ending, logs, answered=answered, emulated=False)
    assert (error is None) == (said is None)
    assert said is None or said in str(error)
