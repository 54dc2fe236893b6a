"""`image::rebuild` as a test: images that are built twice without a cache on a real engine."""

from __future__ import annotations

import json
from typing import Any

import docker
import pytest

from tests.fixture_types import FailureOf
from tests.image_checks.wheels import write_wheel
from tests.sample_project import BASE, MakeProject

ENTRY = '[tool.mlcontainer.entrypoints.train]\ncommand = ["python", "train.py"]\n'
OFF = "lint = false\nsize = false\ngpu = false\n"
SITE = "/usr/local/lib/python3.13/site-packages"
# Each fault with the rule that it is found by, in the order of its lines.
FAULTS = (
    ("RB001", "RUN date +%Y-%m-%dT%H:%M:%S.%N > /app/when"),
    ("RB003", "RUN mkdir -p /var/log && date +%N > /var/log/install.log"),
    ("RB004", "RUN mkdir -p /var/cache/ldconfig && date +%N > /var/cache/ldconfig/aux-cache"),
    ("RB006", 'RUN python -c "print({str(n) for n in range(99)})" > /set'),
    ("RB009", 'RUN echo "prefix=$(mktemp -d /tmp/build.XXXXXXXX)" > /prefix && rm -r /tmp/build.*'),
    ("RB010", 'RUN python -c "import uuid; print(uuid.uuid4())" > /id'),
    ("RB011", "RUN head -c 100 /dev/urandom > /blob"),
    ("RB007", f"RUN mkdir -p {SITE}/foo-1.$(date +%s%N).dist-info"),
    (
        "RB001",
        'RUN python -c "import struct, time; '
        "open('/bin.bin', 'wb').write(bytes(80) + struct.pack('<I', int(time.time())))\"",
    ),
)


def checked(project: MakeProject, steps: str, values: str = "interventions = false") -> Any:
    """The check in `report.json`; `lines` has the rules that were found at each line."""
    config = f"{ENTRY}\n[tool.mlcontainer.image]\n{OFF}rebuild = {{ {values} }}\n"
    project.write(config, dockerfile=steps)
    folder = project.root / "report"
    project.run("-k", "rebuild", f"--container-report={folder}")
    (check,) = json.loads((folder / "report.json").read_text())["checks"]
    check["lines"] = {(each["line"], each["rule"]): each for each in check["findings"]}
    return check


@pytest.mark.usefixtures("containerd_store")
def test_what_is_built_the_same_twice_passes(project: MakeProject) -> None:
    steps = (
        f"# syntax=docker/dockerfile:1\nARG BASE={BASE}\nFROM ${{BASE}}\nWORKDIR /app\nCOPY *.py ./"
        "\nRUN <<END\necho one > /app/a\ntouch /app/b\nEND\nENV A=b\n"
    )
    check = checked(project, steps)
    assert (check["passes"], check["findings"]) == (True, [])
    assert check["headline"] == "two builds without a cache have the same 4 layers"


@pytest.mark.usefixtures("containerd_store")
def test_each_reason_is_found_at_its_line(project: MakeProject, failure_of: FailureOf) -> None:
    steps = f"FROM {BASE}\nWORKDIR /app\n" + "".join(f"{line}\n" for _rule, line in FAULTS)
    check = checked(project, steps)
    wanted = {(number, rule) for number, (rule, _line) in enumerate(FAULTS, 3)}
    assert wanted == set(check["lines"]), check["findings"]
    when = check["lines"][3, "RB001"]
    assert when["place"] == "Dockerfile"
    assert "the time of the build is in /app/when" in when["what"]
    assert "as numbers they are the moments of the two builds" in check["lines"][11, "RB001"]["why"]
    assert "foo is 1." in check["lines"][10, "RB007"]["why"]
    assert check["headline"] == "9 of 11 layers differ between two builds without a cache"
    assert len(check["tables"]) == 9


@pytest.mark.usefixtures("containerd_store")
def test_bytecode_is_mended_by_the_variable_which_is_shown_by_building(
    project: MakeProject, failure_of: FailureOf
) -> None:
    name = write_wheel(project.root, "numbers")
    install = f"COPY *.whl /w/\nRUN pip install --no-index --no-deps --root / /w/{name}\n"
    config = f"{ENTRY}\n[tool.mlcontainer.image]\n{OFF}rebuild = true\n"
    project.write(config, dockerfile=f"FROM {BASE}\n{install}")
    result = project.run("-k", "rebuild")
    result.assert_outcomes(failed=1)
    said = failure_of(result, "image::rebuild")
    assert "Dockerfile:3: error RB002: compiled Python differs: " in said
    assert "only the time of the source in the header differs" in said
    assert "built twice more with `ARG SOURCE_DATE_EPOCH` behind each FROM, they differ no" in said
    mended = f"FROM {BASE}\nARG SOURCE_DATE_EPOCH\n{install}"
    assert checked(project, mended)["passes"]


@pytest.mark.usefixtures("containerd_store")
@pytest.mark.parametrize(
    ("steps", "said"),
    [(f"FROM {BASE}\nRUN false\n", "could not be built"), ("FORM x\n", "unknown instruction")],
)
def test_what_cannot_be_built_says_so(project: MakeProject, steps: str, said: str) -> None:
    config = f"{ENTRY}\n[tool.mlcontainer.image]\n{OFF}rebuild = true\n"
    project.write(config, dockerfile=steps)
    assert said in project.run("-k", "rebuild").stdout.str()


def test_without_a_dockerfile_there_is_nothing_to_build(project: MakeProject) -> None:
    project.write(f"{ENTRY}\n[tool.mlcontainer.image]\n{OFF}rebuild = true\n", dockerfile=None)
    result = project.run("-k", "rebuild", f"--container-image={BASE}")
    result.assert_outcomes(skipped=1)


@pytest.mark.emulation
@pytest.mark.usefixtures("containerd_store")
def test_an_image_of_files_alone_is_rebuilt_for_another_platform(
    project: MakeProject, foreign: str
) -> None:
    """It has no shell; the platform is emulated, and nothing in it is run."""
    config = f'platforms = ["{foreign}"]\n{ENTRY}\n[tool.mlcontainer.image]\n{OFF}rebuild = true\n'
    project.write(config, dockerfile="FROM scratch\nCOPY train.py /\n")
    result = project.run("-k", "rebuild")
    result.assert_outcomes(passed=1)


def test_a_store_that_hands_out_no_layers_is_told(
    project: MakeProject, engine: docker.APIClient
) -> None:
    """Also where the image cannot be built: nothing is built for this check."""
    if "io.containerd" in str(engine.info()["DriverStatus"]):
        pytest.skip("containerd's image store hands out layers")
    config = f"{ENTRY}\n[tool.mlcontainer.image]\n{OFF}rebuild = true\n"
    project.write(config, dockerfile=f"FROM {BASE}\nRUN false\n")
    result = project.run("-k", "rebuild", "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*docker buildx create --driver docker-container*"])
