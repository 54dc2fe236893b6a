"""Servers that do not serve: what is said within their limit, and that nothing stays behind."""

from __future__ import annotations

import time

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
    case "loopback":
        HTTPServer(("127.0.0.1", 8000), Handler).serve_forever()
    case "drops":
        os.setuid(1000)
    case _:
        status = open("/proc/self/status").read()
        assert "CapBnd:\t0000000000000000" in status and "NoNewPrivs:\t1" in status
        HTTPServer(("0.0.0.0", 8000), Handler).serve_forever()
"""


def test_a_server_that_does_not_serve_is_explained_by_how_it_failed(
    project, failure_of, leaves_nothing
):
    limits = {"dies": 60, "drops": 60, "silent": 4, "loopback": 2, "unhealthy": 5, "good": 60}
    project.write(
        "".join(SERVER.format(name=name, limit=limit) for name, limit in limits.items()),
        serve__py=SERVE,
    )
    started = time.monotonic()
    result = project.run("-k", "not image")
    assert time.monotonic() - started < 45
    result.assert_outcomes(passed=1, failed=5)
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
    loopback = failure_of(result, "loopback[")
    assert "it must listen on 0.0.0.0, not 127.0.0.1" in loopback
    unhealthy = failure_of(result, "unhealthy[")
    assert "HTTP 503" in unhealthy
    assert "it answers, but not with success: check `health`" in unhealthy
    assert "GET /health" not in unhealthy


def test_a_server_whose_command_cannot_be_found_is_explained_like_a_run(
    project, failure_of, leaves_nothing
):
    project.write(SERVER.format(name="serve", limit=20).replace("python", "uvicorn"))
    said = failure_of(project.run("-k", "serve"), "serve[")
    assert "the command was not found in the image" in said
    assert "'uvicorn'" in said
