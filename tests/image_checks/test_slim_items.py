"""`image::slim` as a test: entrypoints that are watched on a real engine, and slimmer images."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterator
from typing import Any

import docker
import pytest

from pytest_mlcontainer.inside import file_watcher
from tests.image_checks.wheels import write_wheel
from tests.sample_project import BASE, MakeProject

OFF = "\n[tool.mlcontainer.image]\nlint = false\nsize = false\ngpu = false\n"
TRAIN = (
    '[tool.mlcontainer.entrypoints.train]\ncommand = ["python", "train.py"]\n'
    'outputs = ["outputs/*"]\n'
)
DOCKERFILE = f"""\
FROM {BASE}
COPY *.whl /w/
RUN pip install --no-index --no-cache-dir --root-user-action ignore --find-links /w useful idle
ENV GREETING='say "hi" to $USER'
WORKDIR /app
COPY train.py .
RUN mkdir outputs && chown 1000 outputs
USER 1000
ENTRYPOINT ["env"]
CMD ["true"]
"""
PROGRAM = """\
import json, os, useful
with open("outputs/metrics.json", "w") as file:
    json.dump([sorted(useful.NAMES), os.environ["GREETING"], os.getuid()], file)
"""

Slimmed = Callable[..., Any]


@pytest.fixture
def slimmed(project: MakeProject) -> Slimmed:
    """Runs the check in a project with a package that is used and a large one that is not."""

    def run(*args: str, train: str = PROGRAM, config: str = "", dockerfile: str = DOCKERFILE,
            slim: str = "true") -> Any:  # fmt: skip
        large = random.Random(0).randbytes(3_000_000)
        write_wheel(project.root, "useful", data=large)
        write_wheel(project.root, "idle", data=large[::-1])
        checks = f"{OFF}slim = {slim}\n"
        project.write(f"{config or TRAIN}{checks}", dockerfile=dockerfile, train=train)
        result = project.run(f"--container-report={project.root / 'report'}", *args)
        report = json.loads((project.root / "report" / "report.json").read_text())
        checked = [each for each in report["checks"] if each["check"] == "slim"]
        found = checked[0] if checked else {}
        return {**found, "ended": result.parseoutcomes(), "printed": result.stdout.str()}

    return run


def test_a_slimmer_image_is_named_once_it_was_built_and_served_as_well(
    slimmed: Slimmed, project: MakeProject
) -> None:
    check = slimmed()
    assert check["ended"] == {"passed": 3}, check["printed"]
    (finding,) = check["findings"]
    assert (finding["rule"], finding["place"], finding["line"]) == ("SL001", "Dockerfile", 1)
    # idle's 3 MB and pip, of which a program of two lines opens nothing.
    assert finding["cost_bytes"] == check["figures"]["saved_bytes"] > 3_000_000
    left_out = next(each for each in check["tables"] if each["title"].startswith("left out"))
    assert "idle 1.0" in left_out["rows"][0]["note"]
    assert "useful" not in left_out["rows"][0]["note"]
    text = next((project.root / "report").glob("slim-linux-*.Dockerfile")).read_text()
    assert text.splitlines()[0] == f"FROM {BASE} AS full"
    assert "/usr/local/lib/python3.13/site-packages/idle.bin" in text
    assert "useful" not in text.partition("FROM full AS trimmed")[2]
    assert text.rstrip().endswith('USER 1000\nENTRYPOINT ["env"]\nCMD ["true"]')
    assert "the stage at line 1 is called `full`" in finding["mend"]
    opened = check["figures"]["opened_bytes"]
    assert 3_000_000 < opened < check["figures"]["unopened_bytes"]


def test_what_is_to_be_kept_stays(slimmed: Slimmed) -> None:
    check = slimmed(slim='{ keep = ["idle", "/usr/local/lib/python3.13/site-packages/pip/*"] }')
    assert check["findings"] == []
    assert "no package and no cache of a megabyte or more" in check["notes"][0]


def test_nothing_is_proposed_where_the_program_writes_something_else_without_it(
    slimmed: Slimmed,
) -> None:
    train = "import importlib.util\n" + PROGRAM.replace(
        "os.getuid()", "importlib.util.find_spec('idle') is None, os.getuid()"
    )
    check = slimmed(train=train, slim='{ keep = ["pip"] }')
    assert check["findings"] == []
    (note,) = check["notes"]
    assert note == (
        "without Python packages that nothing used requires: train writes something else: "
        "outputs/metrics.json (drift)"
    )


def test_nothing_is_proposed_for_a_program_that_draws_lots(slimmed: Slimmed) -> None:
    train = "import random\n" + PROGRAM.replace("os.getuid()", "random.random()")
    check = slimmed(train=train)
    assert check["findings"] == []
    assert "its outputs differ from run to run, or by being watched" in check["notes"][0]


def test_an_entrypoint_that_fails_is_no_reason_to_leave_the_check_out(slimmed: Slimmed) -> None:
    """It fails with the entrypoint, also where it is asked for alone; so does no image."""
    check = slimmed("-k", "slim", train="raise SystemExit(3)")
    assert check["ended"]["failed"] == 1
    assert "exited with code 3" in check["printed"]
    check = slimmed("-k", "slim", "--container-image=no.such.example/image:1")
    assert check["ended"]["failed"] == 1
    assert "slim = false" not in check["printed"]


def test_nothing_is_proposed_where_a_server_would_open_more(slimmed: Slimmed) -> None:
    serve = (
        '\n[tool.mlcontainer.entrypoints.serve]\ncommand = ["python", "-m", "http.server", "8000"]'
        "\nport = 8000\n"
    )
    check = slimmed("-k", "slim", config=TRAIN + serve)
    assert check["findings"] == []
    assert "what serve opens depends on what it is asked" in check["notes"][0]


def test_a_static_program_without_a_shell_is_seen_and_nothing_is_proposed(
    slimmed: Slimmed, project: MakeProject, native: str
) -> None:
    # The program that watches is the only static one that is at hand.
    program = file_watcher(native.partition("/")[2])
    assert program is not None
    (project.root / "program").write_bytes(program)
    (project.root / "program").chmod(0o755)
    (project.root / "unused.bin").write_bytes(bytes(2_000_000))
    config = (
        '[tool.mlcontainer.entrypoints.train]\ncommand = ["/program", "/out/told", "/program"]\n'
        'outputs = ["/out/told"]\nexit-codes = [125]\n'
        '[tool.mlcontainer.entrypoints.train.compare]\n"/out/told" = { ignore = true }\n'
    )
    check = slimmed(
        config=config,
        dockerfile='FROM scratch\nCOPY program unused.bin /\nWORKDIR /out\nCMD ["/program"]\n',
    )
    assert check["findings"] == []
    assert "the image has no shell" in check["notes"][0]
    assert check["figures"]["opened_bytes"] == len(program)
    assert check["figures"]["unopened_bytes"] == 2_000_000


@pytest.fixture
def found_image(engine: docker.APIClient, project: MakeProject) -> Iterator[str]:
    """An image that was built elsewhere."""
    container = engine.create_container(
        BASE, ["sh", "-c", "mkdir /app && head -c 3000000 /dev/urandom > /root/.cache-of-pip && "
               "mkdir -p /root/.cache/pip && mv /root/.cache-of-pip /root/.cache/pip/x"]
    )["Id"]  # fmt: skip
    engine.start(container)
    assert engine.wait(container)["StatusCode"] == 0
    name = f"mlcontainer-found-{os.getpid()}"
    engine.commit(container, name, "1", changes=["WORKDIR /app", "CMD true"])
    engine.remove_container(container)
    yield f"{name}:1"
    engine.remove_image(f"{name}:1", force=True)


def test_an_image_without_a_dockerfile_is_the_base_of_what_is_proposed(
    slimmed: Slimmed, found_image: str
) -> None:
    config = (
        '[tool.mlcontainer.entrypoints.train]\ncommand = ["sh", "-c", "echo 1 > /app/one"]\n'
        'outputs = ["one"]\n'
    )
    check = slimmed(f"--container-image={found_image}", config=config, slim='{ keep = ["pip"] }')
    (finding,) = check["findings"]
    assert finding["place"] == found_image
    assert finding["mend"].splitlines()[1] == "FROM full AS trimmed"
    assert "/root/.cache" in finding["mend"]
    assert finding["cost_bytes"] >= 3_000_000


def test_a_program_that_changes_its_user_cannot_be_seen_whole_and_that_is_said(
    slimmed: Slimmed,
) -> None:
    train = "import os\nos.setuid(1000)\n" + PROGRAM
    config = TRAIN + 'capabilities = ["SETUID"]\n'
    dockerfile = DOCKERFILE.replace("USER 1000", "USER 0")
    check = slimmed("-rs", train=train, config=config, dockerfile=dockerfile)
    assert check["ended"] == {"passed": 2, "skipped": 1}
    said = " ".join(check["printed"].split())
    assert "train: it ran programs whose memory may not be read: as another user" in said
