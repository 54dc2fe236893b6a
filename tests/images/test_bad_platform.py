"""Platforms, images and hosts that cannot serve: never another platform in silence."""

from __future__ import annotations

import struct
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from tests.fixture_types import FailureOf
from tests.loopback_registry import RegistryProxy, make_certificates
from tests.sample_project import MakeProject

TRAIN_TABLE = """
[tool.mlcontainer.entrypoints.train]
command = ["python", "train.py"]
outputs = ["outputs/*"]
"""

# QEMU's own default CPU for arm64 is six times slower.
QEMU_CPU = 'QEMU_CPU = "neoverse-n1"'
# No engine of the tests emulates it, and none runs it natively.
FOREIGN = "linux/s390x"
_S390 = 22


def elf_of_s390x() -> bytes:
    """The smallest file that a kernel takes for a program of s390x: a header and one segment."""
    header = struct.pack(">16sHHIQQQIHHHHHH", b"\x7fELF\x02\x02\x01", 2, _S390, 1, 0x10078, 64, 0,
                         0, 64, 56, 1, 64, 0, 0)  # fmt: skip
    segment = struct.pack(">IIQQQQQQ", 1, 5, 0, 0x10000, 0x10000, 124, 124, 0x1000)
    return header + segment + b"\x0a\x01\x0a\x01"


@pytest.mark.parametrize(
    ("place", "item"),
    [("/bin/sh", "image["), ("/prog", "train[")],
    ids=["an image with a shell", "an image with nothing but the program"],
)
def test_a_platform_that_the_engine_cannot_run_says_how_to_install_emulation(
    project: MakeProject, failure_of: FailureOf, leaves_nothing: None, place: str, item: str
) -> None:
    project.write(
        f"""
platforms = ["{FOREIGN}"]
[tool.mlcontainer.entrypoints.train]
command = ["{place}"]
""",
        dockerfile=f"FROM scratch\nCOPY --chmod=755 prog {place}\n",
    )
    (project.root / "prog").write_bytes(elf_of_s390x())
    said = failure_of(project.run(), item)
    assert f"the engine cannot run {FOREIGN}" in said
    assert "exec format error" in said
    assert "tonistiigi/binfmt --install s390x" in said
    assert "qemu-user-static" in said
    assert f'engines = {{ "{FOREIGN}" = "ssh://user@machine" }}' in said
    assert "#!/bin/sh" not in said


def test_a_build_step_on_a_platform_that_the_engine_cannot_run_says_the_same(
    project: MakeProject, failure_of: FailureOf, leaves_nothing: None
) -> None:
    project.write(
        f'platforms = ["{FOREIGN}"]\n' + TRAIN_TABLE,
        dockerfile='FROM scratch\nCOPY --chmod=755 prog /prog\nRUN ["/prog"]\n',
    )
    (project.root / "prog").write_bytes(elf_of_s390x())
    said = failure_of(project.run("-k", "image"), "image[")
    assert f"the engine cannot run {FOREIGN}" in said
    assert '[2/2] RUN ["/prog"]' in said
    assert "tonistiigi/binfmt --install s390x" in said


@pytest.fixture
def foreign_image(engine: docker.APIClient, foreign: str, tmp_path: Path) -> Iterator[str]:
    """An image for another platform only, under a registry that nobody can reach."""
    reference = f"127.0.0.1:9/mlcontainer-test:{uuid.uuid4().hex[:12]}"
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    command = f"docker buildx build --quiet --load --provenance=false --platform={foreign} --tag"
    subprocess.run([*command.split(), reference, str(tmp_path)], check=True, capture_output=True)
    yield reference
    engine.remove_image(reference, force=True)


def test_an_image_of_another_architecture_is_refused_before_anything_runs(
    project: MakeProject,
    failure_of: FailureOf,
    leaves_nothing: None,
    foreign_image: str,
    native: str,
    foreign: str,
) -> None:
    project.write()
    result = project.run(
        f"--container-image={foreign_image}", f"--container-platform={native}", "-k", "image"
    )
    said = failure_of(result, f"image[{native}]")
    assert "the image is of another platform" in said
    assert f"{foreign_image} is {foreign}, asked for is {native}" in said
    assert f"docker buildx build --platform {native}" in said
    assert f"--container-platform={foreign}" in said


def test_an_image_that_is_nowhere_is_named_with_the_registry_s_answer(
    project: MakeProject, failure_of: FailureOf, leaves_nothing: None, native: str
) -> None:
    project.write()
    result = project.run("--container-image=127.0.0.1:9/nowhere:1")
    result.assert_outcomes(failed=2)
    said = failure_of(result, "image[")
    assert "the image is not on the engine, and the registry 127.0.0.1:9 does not answer" in said
    assert f"127.0.0.1:9/nowhere:1, for {native}" in said
    assert "connection refused" in said
    assert "check that it runs and its port" in said


@pytest.mark.parametrize(
    ("status", "what"),
    [
        (401, "does not let the engine pull"),
        (403, "does not let the engine pull"),
        (429, "limits how much may be asked of it"),
        (503, "fails"),
    ],
)
def test_a_registry_that_refuses_is_not_one_that_lacks_the_image(
    project: MakeProject, failure_of: FailureOf, leaves_nothing: None, tmp_path: Path, status: int,
    what: str,
) -> None:  # fmt: skip
    """Where an image is given, and where the Dockerfile begins with it."""
    with RegistryProxy("127.0.0.1:9", make_certificates(tmp_path / "tls")) as proxy:
        proxy.add("/v2/$", 200, body="{}", times=99)
        proxy.add("/manifests/", status, times=99)
        project.write(dockerfile=f"FROM {proxy.host}/base:1\n")
        given = failure_of(project.run(f"--container-image={proxy.host}/base:1"), "image[")
        built = failure_of(project.run(), "image[")
    expected = f"the registry {proxy.host} {what}"
    assert f"the image is not on the engine, and {expected}" in given
    assert f"→ {expected}: " in built


def test_an_image_built_for_another_platform_by_its_own_from_is_refused(
    project: MakeProject, failure_of: FailureOf, leaves_nothing: None, native: str, foreign: str
) -> None:
    qemu_cpu = QEMU_CPU if foreign.endswith("arm64") else ""
    machine = "aarch64" if foreign.endswith("arm64") else "x86_64"
    project.write(
        f'platforms = ["{native}"]\nenv = {{ {qemu_cpu} }}\n' + TRAIN_TABLE,
        dockerfile=f"FROM --platform={foreign} python:3.13-slim\nCOPY train.py /\n",
    )
    said = failure_of(project.run("-k", "image"), "image[")
    assert f"the container does not run as {native}" in said
    assert f"the machine is {machine}" in said
    assert "FROM with a fixed --platform" in said


def test_the_host_has_no_absolute_outputs_which_is_said_before_anything_is_built(
    project: MakeProject,
) -> None:
    project.write(TRAIN_TABLE.replace("outputs/*", "/outputs/model.bin"))
    result = project.run("--container-platform=host")
    result.assert_outcomes(errors=1)
    said = result.stdout.str()
    assert "[tool.mlcontainer.entrypoints.train] outputs" in said
    assert '"/outputs/model.bin"' in said
    assert "write them relative to the working directory" in said
    assert "nothing was built or run" in said


def test_commands_that_this_machine_has_not_are_named_with_the_path_that_was_searched(
    project: MakeProject, failure_of: FailureOf
) -> None:
    project.write(
        """
platforms = ["host"]
[tool.mlcontainer.entrypoints.missing]
command = ["sample-trainer", "--fast"]
[tool.mlcontainer.entrypoints.unreadable]
command = ["./noexec.sh"]
[tool.mlcontainer.entrypoints.shebang]
command = ["./noshebang"]
""",
        dockerfile=None,
        noexec__sh="#!/bin/sh\n",
        noshebang="echo hello\n",
    )
    (project.root / "noshebang").chmod(0o755)
    result = project.run()
    result.assert_outcomes(failed=3)
    missing = failure_of(result, "missing[host]")
    assert "the command of missing was not found on this machine" in missing
    assert "'sample-trainer', on PATH=" in missing
    assert "pip install -e ." in missing
    unreadable = failure_of(result, "unreadable[host]")
    assert "the command of unreadable cannot be executed on this machine" in unreadable
    assert "'./noexec.sh': Permission denied" in unreadable
    shebang = failure_of(result, "shebang[host]")
    assert "'./noshebang': Exec format error" in shebang
    assert "a first line that names its interpreter" in shebang


def test_a_run_on_the_host_fails_with_the_same_facts_as_one_in_a_container(
    project: MakeProject, failure_of: FailureOf
) -> None:
    project.write(
        """
platforms = ["host"]
timeout = 20
[tool.mlcontainer.entrypoints.train]
command = ["python", "train.py"]
outputs = ["outputs/model.bin", "outputs/log.txt"]
[tool.mlcontainer.entrypoints.endless]
command = ["python", "-c", "import time; time.sleep(600)"]
timeout = 1
""",
        dockerfile=None,
        train="""\
import os, sys
os.mkdir("outputs"); open("outputs/log.txt", "w").close()
sys.exit("out of disk")
""",
    )
    result = project.run()
    result.assert_outcomes(failed=2)
    train, endless = failure_of(result, "train[host]"), failure_of(result, "endless[host]")
    assert "train on host exited with code 1" in train
    assert "outputs written all the same: outputs/log.txt" in train
    assert "missing: outputs/model.bin; in ./outputs there is: log.txt" in train
    assert "out of disk" in train
    assert "endless on host ran past its timeout and was killed" in endless
    assert not (project.root / "outputs").exists()


def test_an_engine_that_does_not_answer_is_named_for_the_platform_that_it_was_given(
    project: MakeProject, failure_of: FailureOf, leaves_nothing: None, native: str, foreign: str
) -> None:
    project.write(f'platforms = ["{native}", "{foreign}"]\n' + TRAIN_TABLE)
    result = project.run(f"--container-engine={foreign}=unix:///nowhere.sock", "-k", "image")
    result.assert_outcomes(passed=1, failed=1)
    said = failure_of(result, f"image[{foreign}]")
    assert "no engine answers: unix:///nowhere.sock" in said
