"""`image::start` as a test: images that start, and those that do not, on a real engine."""

from __future__ import annotations

import json
import platform
import struct
from typing import Any

import pytest

from tests.fixture_types import FailureOf
from tests.sample_project import BASE, MakeProject

ENTRY = '[tool.mlcontainer.entrypoints.train]\ncommand = ["python", "train.py"]\n'
SERVER = """\
import http.server, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
address = sys.argv[1] if len(sys.argv) > 1 else "0.0.0.0"
http.server.HTTPServer((address, 8000), http.server.SimpleHTTPRequestHandler).serve_forever()
"""
BEGIN = f"FROM {BASE}\nWORKDIR /app\nCOPY *.py ./\n"


def image(values: str) -> str:
    off = "lint = false\nsize = false\ngpu = false\n"
    return f"{ENTRY}\n[tool.mlcontainer.image]\n{off}start = {{ {values} }}\n"


def checked(project: MakeProject, values: str, steps: str, **files: str) -> dict[str, Any]:
    """The check in `report.json`; `rules` are those that it found, each with its finding."""
    project.write(image(values), dockerfile=BEGIN + steps, **files)
    folder = project.root / "report"
    project.run("-k", "start", f"--container-report={folder}")
    (check,) = json.loads((folder / "report.json").read_text())["checks"]
    check["rules"] = {each["rule"]: each for each in check["findings"]}
    return dict(check)


def test_a_server_starts_listens_turns_healthy_and_ends_when_asked(project: MakeProject) -> None:
    steps = (
        "RUN useradd app\nUSER app\nEXPOSE 8000\nLABEL owner=team\n"
        "HEALTHCHECK --interval=1s --retries=5 CMD python -c "
        "\"import urllib.request as u; u.urlopen('http://localhost:8000/')\"\n"
        'ENTRYPOINT ["python", "serve.py"]\n'
    )
    values = (
        'serves = 8000, user = "app", read-only = true, network = "none", ports = [8000], '
        'labels = { owner = "team" }, entrypoint = ["python", "serve.py"]'
    )
    check = checked(project, values, steps, serve__py=SERVER)
    assert (check["passes"], check["findings"], check["notes"]) == (True, [], [])
    assert "healthy after " in check["headline"]
    assert ", stopped in " in check["headline"]
    assert check["figures"]["stop_s"] < 10


def test_a_command_ends_as_declared(project: MakeProject, failure_of: FailureOf) -> None:
    steps = 'CMD ["python", "-c", "print(\'no data\'); raise SystemExit(3)"]\n'
    assert checked(project, "exit-codes = [0, 3]", steps)["passes"]
    project.write(image("exit-codes = 0"), dockerfile=BEGIN + steps)
    result = project.run("-k", "start")
    result.assert_outcomes(failed=1)
    said = failure_of(result, "image::start")
    assert "error ST006: the default command ended with exit code 3 after " in said
    assert "declared is 0" in said
    assert "no data" in said


def test_a_server_that_ends_or_does_not_end_is_found(project: MakeProject) -> None:
    ended = checked(project, "serves = 8000", 'CMD ["python", "-c", "print(1)"]\n')
    assert "declared is that it goes on running" in ended["rules"]["ST006"]["what"]
    sleeps = 'CMD ["sleep", "600"]\n'
    long = checked(project, "exit-codes = 0, timeout = 2", sleeps)
    assert "has not ended within 2 s" in long["rules"]["ST006"]["what"]


def test_a_server_on_loopback_is_told_from_one_on_another_port(project: MakeProject) -> None:
    steps = 'CMD ["python", "serve.py", "127.0.0.1"]\n'
    check = checked(project, "serves = 8000, timeout = 4", steps, serve__py=SERVER)
    assert set(check["rules"]) == {"ST007"}
    assert "own loopback alone (127.0.0.1:8000)" in check["rules"]["ST007"]["why"]
    steps = 'EXPOSE 9000\nCMD ["python", "serve.py"]\n'
    check = checked(project, "serves = 9000, timeout = 4", steps, serve__py=SERVER)
    assert check["rules"]["ST007"]["why"] == "it listens on 8000"
    check = checked(project, "serves = 8000", steps, serve__py=SERVER)
    assert check["passes"]
    assert check["rules"]["ST010"]["what"] == "port 9000 is exposed, and nothing listens on it"


def test_a_health_check_that_fails_shows_what_it_printed(project: MakeProject) -> None:
    steps = (
        "HEALTHCHECK --interval=1s --retries=2 CMD curl -f http://localhost:8000/\n"
        'CMD ["python", "serve.py"]\n'
    )
    check = checked(project, "serves = 8000", steps, serve__py=SERVER)
    found = check["rules"]["ST008"]
    assert "`curl -f http://localhost:8000/` is unhealthy" in found["what"]
    assert "it listens on: 8000" in found["why"]
    assert "curl: not found" in found["why"]
    assert "its program is not in the image" in found["mend"]


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ('CMD ["python", "-c", "import time; time.sleep(600)"]', "it has no handler for SIGTERM"),
        ("CMD python -c 'import time; time.sleep(600)'; true", "a shell: it has no handler"),
        (
            'CMD ["sh", "-c", "trap \'\' TERM; while true; do sleep 1; done"]',
            "a shell: it ignores SIGTERM",
        ),
        (
            "STOPSIGNAL SIGUSR1\n"
            'CMD ["python", "-c", "import signal, time; '
            'signal.signal(10, print); time.sleep(600)"]',
            "it has a handler for SIGUSR1, and had not ended after it",
        ),
    ],
)
def test_why_a_command_goes_on_is_seen_at_its_first_process(
    project: MakeProject, command: str, why: str
) -> None:
    check = checked(project, "serves = true, timeout = 2, stop-timeout = 2", f"{command}\n")
    assert set(check["rules"]) == {"ST009"}
    assert why in check["rules"]["ST009"]["why"]


def test_a_shell_that_gives_way_to_its_command_is_not_blamed(project: MakeProject) -> None:
    steps = "CMD exec python serve.py\n"
    assert checked(project, "serves = 8000", steps, serve__py=SERVER)["findings"] == []


def test_what_is_declared_and_missing_is_each_a_finding(project: MakeProject) -> None:
    values = 'labels = ["a", "b=1"], ports = ["53/udp"], entrypoint = ["x"], user = "non-root"'
    check = checked(project, values, "LABEL b=2\nEXPOSE 53\n")
    assert set(check["rules"]) == {"ST001", "ST002", "ST003", "ST004"}
    assert check["rules"]["ST003"]["why"] == "it exposes 53/tcp"
    assert check["rules"]["ST004"]["what"] == "USER is user 0 (root), declared is non-root"
    assert "the default command was not started" in check["notes"][0]


def test_the_user_is_that_of_the_first_process(project: MakeProject) -> None:
    steps = 'RUN useradd -u 1234 app\nUSER app\nCMD ["python", "serve.py"]\n'
    assert checked(project, 'serves = 8000, user = "1234"', steps, serve__py=SERVER)["passes"]
    check = checked(project, 'serves = 8000, user = "www"', steps, serve__py=SERVER)
    assert check["rules"]["ST004"]["what"] == "the image has no user www, which is declared"
    check = checked(project, 'serves = 8000, user = "1000"', steps, serve__py=SERVER)
    found = check["rules"]["ST004"]
    assert found["what"] == "the first process is user 1234, declared is 1000"


def test_a_restriction_that_is_to_blame_is_found_by_leaving_it_out(project: MakeProject) -> None:
    steps = "CMD [\"python\", \"-c\", \"open('/app/log.txt', 'w').write('x')\"]\n"
    check = checked(project, "exit-codes = 0, read-only = true", steps)
    why = check["rules"]["ST006"]["why"]
    assert "may write to, it goes as declared; there it wrote /app/log.txt" in why
    assert "Read-only file system" in why
    mended = 'exit-codes = 0, read-only = true, writable = "/app"'
    assert checked(project, mended, steps)["passes"]
    # Then it waits for what never comes.
    program = "import time; open('/app/log.txt', 'w'); time.sleep(90)"
    check = checked(
        project,
        "serves = 8000, read-only = true, timeout = 4",
        f'CMD ["python", "-c", "{program}"]\n',
    )
    why = check["rules"]["ST006"]["why"]
    assert "may write to, that does not happen, but then: nothing can connect to port 8000" in why
    alone = "import os, sys; sys.exit(0 if os.path.exists('/sys/class/net/eth0') else 2)"
    steps = f'CMD ["python", "-c", "{alone}"]\n'
    check = checked(project, 'exit-codes = 0, network = "none"', steps)
    assert check["rules"]["ST006"]["why"].startswith("with a network it goes as declared")


def test_a_command_that_is_not_there_is_found(project: MakeProject) -> None:
    check = checked(project, "serves = true", 'CMD ["pyhton", "serve.py"]\n')
    assert "the default command does not start" in check["rules"]["ST005"]["what"]
    assert "pyhton" in check["rules"]["ST005"]["why"]


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the program is written for x86-64")
def test_an_image_with_one_static_program_is_watched_from_outside(project: MakeProject) -> None:
    """It has no shell, no `cat`, no package manager: `pause` alone."""
    (project.root / "pause").write_bytes(pausing_program())
    steps = 'FROM scratch\nCOPY --chmod=755 pause /pause\nEXPOSE 80\nCMD ["/pause"]\n'
    check = checked(project, 'serves = 80, stop-timeout = 2, user = "0"', steps)
    assert set(check["rules"]) == {"ST009"}
    assert "process 1 is `/pause`; it has no handler for SIGTERM" in check["rules"]["ST009"]["why"]
    assert check["notes"][0].startswith("whether anything listens on port 80 was not seen")


def pausing_program() -> bytes:
    """An ELF file for x86-64 that calls pause(2) again and again."""
    code = bytes.fromhex("b8220000000f05ebf7")
    base, start = 0x400000, 64 + 56
    head = b"\x7fELF\x02\x01\x01" + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, base + start, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    size = start + len(code)
    return head + struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, size, size, 0x1000) + code


@pytest.mark.emulation
def test_an_emulated_start_has_the_cpu_of_the_projects_runs(
    project: MakeProject, foreign: str
) -> None:
    """The default one is several times slower; and what is found is called emulated."""
    if not foreign.endswith("arm64"):
        pytest.skip("only arm64 has CPUs to choose from")
    exits = "import os; raise SystemExit(os.environ.get('QEMU_CPU') != 'cortex-a57')"
    project.write(
        f'{image("exit-codes = 0")}\n[tool.mlcontainer.env]\nQEMU_CPU = "cortex-a57"\n',
        dockerfile=f'{BEGIN}CMD ["python", "-c", "{exits}"]\n',
    )
    folder = project.root / "report"
    arguments = (f"--container-platform={foreign}", f"--container-report={folder}")
    project.run("-k", "start", *arguments)
    (check,) = json.loads((folder / "report.json").read_text())["checks"]
    assert (check["passes"], check["findings"]) == (True, [])
    assert "cortex-a57, chosen by the configuration" in check["notes"][0]
    project.write(image("exit-codes = 1"), dockerfile=f"{BEGIN}CMD true\n")
    project.run("-k", "start", *arguments)
    (check,) = json.loads((folder / "report.json").read_text())["checks"]
    assert f"{foreign} is emulated here" in check["findings"][0]["why"]
