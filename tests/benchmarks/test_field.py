"""What public projects did to such a tool, each held by a test: how they build and run."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator

import docker
import pytest

from tests.fixture_types import FailureOf
from tests.sample_project import MakeProject

TRAIN_TABLE = """
[tool.mlcontainer.entrypoints.train]
command = ["python", "train.py"]
outputs = ["outputs/*"]
"""

# Makes what `uv build --wheel` would, without a build backend from an index.
MAKE_WHEEL = """\
import os, zipfile
os.makedirs("dist", exist_ok=True)
with zipfile.ZipFile("dist/sample-1-py3-none-any.whl", "w") as wheel:
    wheel.writestr("sample.py", "import os; os.mkdir('outputs'); open('outputs/m', 'w').close()")
    wheel.writestr("sample-1.dist-info/METADATA",
                   "Metadata-Version: 2.1\\nName: sample\\nVersion: 1\\n")
    wheel.writestr("sample-1.dist-info/WHEEL",
                   "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    wheel.writestr("sample-1.dist-info/RECORD", "")
"""


def test_a_wheel_from_before_build_is_copied_although_git_ignores_its_folder(
    project: MakeProject, leaves_nothing: None
) -> None:
    project.write(
        """
before-build = ["python make_wheel.py"]
[tool.mlcontainer.entrypoints.train]
command = ["python", "-m", "sample"]
outputs = ["outputs/m"]
""",
        dockerfile="""\
FROM python:3.13-slim
WORKDIR /app
COPY dist/*.whl /tmp/
RUN pip install --no-index --no-deps --no-cache-dir /tmp/*.whl
""",
        make_wheel__py=MAKE_WHEEL,
    )
    (project.root / ".gitignore").write_text("dist/\n")
    project.run().assert_outcomes(passed=2)


@pytest.fixture
def mirrored_base(engine: docker.APIClient, native: str) -> Iterator[str]:
    """The base image under local tags, one for each platform: `NAME:amd64`."""
    name = f"mlcontainer-test-{uuid.uuid4().hex[:12]}"
    architecture = native.partition("/")[2]
    engine.tag("python:3.13-slim", name, architecture)
    yield name
    engine.remove_image(f"{name}:{architecture}", noprune=True)


def test_a_base_image_out_of_reach_is_replaced_by_a_build_context_and_the_message_says_how(
    project: MakeProject, failure_of: FailureOf, leaves_nothing: None, mirrored_base: str
) -> None:
    base = "127.0.0.1:9/team/python:3.13-slim"
    dockerfile = f"FROM {base} AS runtime\nWORKDIR /app\nCOPY *.py ./\n"
    project.write(dockerfile=dockerfile)
    said = failure_of(project.run("-k", "image"), "image[")
    assert "could not be built" in said
    assert "connection refused" in said
    assert f'build-contexts = {{ "{base}" = "docker-image://' in said
    assert "{arch}" in said
    assert len(said.splitlines()) < 15

    replaced = f'build-contexts = {{ "{base}" = "docker-image://{mirrored_base}:{{arch}}" }}\n'
    project.write(replaced + TRAIN_TABLE, dockerfile=dockerfile)
    project.run().assert_outcomes(passed=2)


def test_a_syntax_line_whose_frontend_is_out_of_reach_is_built_without_it_and_says_so(
    project: MakeProject, leaves_nothing: None
) -> None:
    project.write(
        dockerfile="# syntax=127.0.0.1:9/docker/dockerfile:1\n"
        "FROM python:3.13-slim\nWORKDIR /app\nCOPY *.py ./\n"
    )
    result = project.run()
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        ["note: *`# syntax=127.0.0.1:9/docker/dockerfile:1` could not be fetched*"]
    )
    assert (project.root / "Dockerfile").read_text().startswith("# syntax=127.0.0.1:9")


def test_odd_places_work_a_dockerfile_below_its_context_and_names_with_blanks(
    project: MakeProject, leaves_nothing: None
) -> None:
    project.write(
        """
dockerfile = "docker/train.Dockerfile"
[tool.mlcontainer.entrypoints.train]
command = ["python", " train/main.py"]
inputs = { " raw data" = "/data/ raw" }
outputs = [" results/ñ *.txt"]
""",
        dockerfile=None,
    )
    for folder in ("docker", " train", " raw data/ 2024"):
        (project.root / folder).mkdir(parents=True)
    (project.root / "docker/train.Dockerfile").write_text(
        "FROM python:3.13-slim\nWORKDIR /app\nCOPY . .\n"
    )
    (project.root / " raw data/ 2024/ día.csv").write_text("1,2\n")
    (project.root / " train/main.py").write_text("""\
import os, shutil
os.mkdir(" results")
shutil.copy("/data/ raw/ 2024/ día.csv", " results/ñ out.txt")
""")
    (project.root / "test_it.py").write_text("""\
def test_it(run_entrypoint):
    assert run_entrypoint("train").output(" results/ñ out.txt").read_text() == "1,2\\n"
""")
    project.run().assert_outcomes(passed=3)


def test_a_build_that_fails_on_one_architecture_leaves_the_other_s_results(
    project: MakeProject, failure_of: FailureOf, leaves_nothing: None, native: str, foreign: str
) -> None:
    machine = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}[native]
    project.write(
        f'platforms = ["{native}", "{foreign}"]\n' + TRAIN_TABLE,
        dockerfile=f"""\
FROM python:3.13-slim
WORKDIR /app
COPY *.py ./
RUN test "$(uname -m)" = {machine} || {{ echo no CUDA wheel for this platform; exit 1; }}
""",
    )
    result = project.run()
    result.assert_outcomes(passed=2, failed=3)
    said = failure_of(result, f"image[{foreign}]")
    assert f"the image for {foreign} could not be built" in said
    assert "no CUDA wheel for this platform" in said
    assert result.stdout.str().count("\n  no CUDA wheel for this platform") == 1


def test_without_workdir_a_user_reads_private_inputs_and_writes_to_absolute_outputs(
    project: MakeProject, leaves_nothing: None
) -> None:
    project.write(
        """
[tool.mlcontainer.entrypoints.train]
command = ["python", "/opt/train.py"]
inputs = { "data" = "/data", "settings.json" = "/etc/sample/settings.json" }
outputs = ["/results/model/*.txt"]
writable = ["/results"]
""",
        dockerfile="FROM python:3.13-slim\nCOPY train.py /opt/\nUSER 1000:1000\n",
        train="""\
import os
os.mkdir("/results/model")
words = [open(path).read() for path in ("/data/deep/rows.csv", "/etc/sample/settings.json")]
open("/results/model/seen.txt", "w").write(" ".join([os.getcwd(), str(os.getuid()), *words]))
""",
        settings__json="{}",
        test_it__py="""\
def test_it(run_entrypoint):
    run = run_entrypoint("train")
    assert run.output("/results/model/seen.txt").read_text() == "/ 1000 rows {}"
""",
    )
    (project.root / "data/deep").mkdir(parents=True)
    (project.root / "data/deep/rows.csv").write_text("rows")
    for path, mode in (("data/deep/rows.csv", 0o600), ("data/deep", 0o700), ("data", 0o700),
                       ("settings.json", 0o600)):  # fmt: skip
        (project.root / path).chmod(mode)
    project.run().assert_outcomes(passed=3)


def test_the_command_is_appended_to_the_image_s_entrypoint_and_infer_may_write_beside_the_model(
    project: MakeProject, leaves_nothing: None
) -> None:
    project.write(
        """
[tool.mlcontainer.entrypoints.train]
command = ["train", "--seed=1"]
outputs = ["store/**"]
[tool.mlcontainer.entrypoints.infer]
command = ["infer"]
needs = ["train"]
outputs = ["store/model/cache.txt"]
""",
        dockerfile="""\
FROM python:3.13-slim
WORKDIR /app
RUN mkdir store && chown 999:999 store
COPY tool.py ./
USER 999
ENTRYPOINT ["python", "tool.py"]
""",
        tool__py="""\
import os, sys
if sys.argv[1] == "train":
    os.mkdir("store/model", 0o700)
    open("store/model/weights", "w").write(" ".join(sys.argv[1:]))
    os.chmod("store/model/weights", 0o600)
    # Tracking stores keep absolute paths.
    open("store/index", "w").write(os.path.abspath("store/model/weights"))
else:
    weights = open(open("store/index").read()).read()
    open("store/model/cache.txt", "w").write(f"{weights} as {os.getuid()}")
""",
        test_it__py="""\
def test_it(run_entrypoint):
    seen = run_entrypoint("infer").output("store/model/cache.txt").read_text()
    assert seen == "train --seed=1 as 999"
""",
    )
    project.run().assert_outcomes(passed=4)


def test_an_image_without_a_command_runs_what_is_on_path_and_one_with_a_command_runs_that(
    project: MakeProject, leaves_nothing: None
) -> None:
    project.write(
        """
[tool.mlcontainer.entrypoints.declared]
command = ["sample-train"]
outputs = ["by-name"]
""",
        dockerfile="""\
FROM python:3.13-slim
WORKDIR /app
RUN printf '#!/bin/sh\\ntouch by-name\\n' > /usr/local/bin/sample-train \\
 && chmod +x /usr/local/bin/sample-train
CMD []
""",
    )
    project.run().assert_outcomes(passed=2)
    project.write(
        '[tool.mlcontainer.entrypoints.default]\noutputs = ["by-cmd"]\n',
        dockerfile='FROM python:3.13-slim\nWORKDIR /app\nCMD ["touch", "by-cmd"]\n',
    )
    project.run().assert_outcomes(passed=2)


def test_a_run_that_writes_into_its_inputs_fails_and_the_project_s_files_stay(
    project: MakeProject, failure_of: FailureOf, leaves_nothing: None
) -> None:
    project.write(
        TRAIN_TABLE + 'inputs = { "data" = "data" }\n',
        train="open('data/rows.csv', 'w').write('overwritten')\n",
    )
    (project.root / "data").mkdir()
    (project.root / "data/rows.csv").write_text("rows")
    said = failure_of(project.run("-k", "train"), "train[")
    assert "Read-only file system: 'data/rows.csv'" in said
    assert "inputs are read-only" in said
    assert (project.root / "data/rows.csv").read_text() == "rows"


def test_limits_hold_inside_and_nothing_is_there_that_the_image_has_not(
    project: MakeProject, engine: docker.APIClient, leaves_nothing: None
) -> None:
    project.write(
        TRAIN_TABLE
        + """
user = "12345:12345"
writable = ["outputs"]
memory = "300m"
cpus = 0.5
shm-size = "50m"
""",
        train="""\
import json, os, socket
try:
    socket.create_connection(("192.0.2.1", 80), timeout=5)
except OSError as error:
    network = error.strerror
shm = os.statvfs("/dev/shm")
with open("outputs/inside.json", "w") as file:
    json.dump({
        "user": [os.getuid(), os.getgid()],
        "network": network,
        "interfaces": [name for _, name in socket.if_nameindex()],
        "shm": shm.f_blocks * shm.f_frsize,
        "root": sorted(os.listdir("/")),
    }, file)
print("précision: 0,93 – naïve Bayes")
""",
        test_it__py="""\
import json

def test_it(run_entrypoint):
    run = run_entrypoint("train")
    inside = json.loads(run.output("outputs/inside.json").read_text())
    assert inside["user"] == [12345, 12345]
    assert inside["network"] == "Network is unreachable"
    assert inside["shm"] == 50 * 1024 * 1024
    assert run.stdout.read_text(encoding="utf-8") == "précision: 0,93 – naïve Bayes\\n"
    print("ROOT", json.dumps(inside["root"]))
""",
    )
    result = project.run("-s")
    result.assert_outcomes(passed=3)
    plain = engine.create_container("python:3.13-slim", ["ls", "-A", "/"])["Id"]
    try:
        engine.start(plain)
        engine.wait(plain)
        own = engine.logs(plain).decode().split()
    finally:
        engine.remove_container(plain, force=True)
    (seen,) = (line for line in result.outlines if "ROOT " in line)
    assert sorted({*own, "app"}) == json.loads(seen.partition("ROOT ")[2])


def test_what_a_user_or_a_network_that_is_not_there_breaks_gets_its_own_remedy(
    project: MakeProject, failure_of: FailureOf, leaves_nothing: None
) -> None:
    project.write(
        """
[tool.mlcontainer.entrypoints.writes]
command = ["python", "-c", "open('model.bin', 'w')"]
outputs = ["model.bin"]
[tool.mlcontainer.entrypoints.fetches]
command = ["python", "-c", "import urllib.request as r; r.urlopen('http://models.example/a')"]
[tool.mlcontainer.entrypoints.online]
command = ["python", "-c", "raise SystemExit('Network is unreachable')"]
network = "bridge"
""",
        dockerfile="FROM python:3.13-slim\nWORKDIR /app\nUSER 999\n",
    )
    result = project.run("-k", "not image")
    result.assert_outcomes(failed=3)
    writes, fetches, online = (
        failure_of(result, name) for name in ("writes[", "fetches[", "online[")
    )
    assert "Permission denied: 'model.bin'" in writes
    assert "give /app to its user in the Dockerfile" in writes
    assert 'writable = ["outputs"] in [tool.mlcontainer.entrypoints.writes]' in writes
    assert "the run has no network" in fetches
    assert 'network = "bridge" in [tool.mlcontainer.entrypoints.fetches]' in fetches
    assert "has no network" not in online
