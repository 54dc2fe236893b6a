"""`image::size` and `image::gpu` as tests, on images that a real engine builds."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.fixture_types import FailureOf
from tests.image_checks.test_gpu_stack import library
from tests.sample_project import BASE, MakeProject

ENTRY = '[tool.mlcontainer.entrypoints.train]\ncommand = ["python", "train.py"]\n'
SITE = "/usr/local/lib/python3.13/site-packages"
# A layer that copies, one that deletes, one that only changes the owner.
WASTEFUL = f"""\
FROM {BASE}
WORKDIR /app
COPY *.py ./
RUN head -c 3000000 /dev/urandom > /app/model.pt && mkdir -p /root/.cache/pip \\
 && head -c 2000000 /dev/urandom > /root/.cache/pip/wheel
RUN head -c 4000000 /dev/urandom > /tmp/junk
RUN rm /tmp/junk && chown 1000 /app/model.pt
"""


def image(text: str) -> str:
    return f"{ENTRY}\n[tool.mlcontainer.image]\nlint = false\n{text}\n"


def reported(project: MakeProject, *args: str) -> dict[str, dict[str, Any]]:
    """The checks of `report.json`, by name and platform."""
    folder = project.root / "report"
    project.run("-k", "image", f"--container-report={folder}", *args)
    checks = json.loads((folder / "report.json").read_text())["checks"]
    return {f"{each['check']} {each['platform']}": each for each in checks}


def rules(check: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["rule"]: each for each in check["findings"]}


def test_an_image_is_measured_and_passes_where_nothing_is_declared(
    project: MakeProject, native: str
) -> None:
    project.write(image(""), dockerfile=WASTEFUL)
    result = project.run("-k", "size or gpu")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        [
            f"image::size?{native}?  * in 6 layers, * of them the base: 3 warnings*",
        ]
    )
    result.stdout.no_fnmatch_line("*what takes the room:*")
    result.stdout.no_fnmatch_line("image::gpu*")


def test_what_is_found_has_its_layer_bytes_and_instruction(
    project: MakeProject, native: str
) -> None:
    project.write(image("size = true"), dockerfile=WASTEFUL)
    check = reported(project)[f"size {native}"]
    figures = check["figures"]
    assert figures["layers"] == 6
    assert figures["hidden_bytes"] >= 7_000_000
    assert figures["caches_bytes"] == 2_000_000
    assert figures["total_bytes"] - figures["base_bytes"] == pytest.approx(12_000_000, abs=100_000)
    found = {(each["rule"], each["what"].split(":")[0]): each for each in check["findings"]}
    pip = found["SZ004", "pip's cache is in the image"]
    assert (pip["place"], pip["cost_bytes"]) == ("/root/.cache/pip", 2_000_000)
    assert "layer 4 (RUN /bin/sh -c head -c 3000000" in pip["why"]
    deleted = found["SZ005", "layer 6 deletes 4.0 MB that layer 5 still holds"]
    assert deleted["cost_bytes"] == 4_000_000
    again = found["SZ005", "layer 6 holds 3.0 MB of layer 4 a second time"]
    assert again["cost_bytes"] == 3_000_000
    titles = [table["title"] for table in check["tables"]]
    assert titles == ["layers", "what takes the room"]
    names = [row["name"] for row in check["tables"][1]["rows"]]
    assert any(re.match(r"libc6 \d", name) for name in names)
    page = (project.root / "report" / "report.html").read_text()
    assert "what takes the room" in page


def test_past_a_budget_it_fails_and_says_what_to_leave_out(
    project: MakeProject, failure_of: FailureOf
) -> None:
    limits = 'size = { budget = "20 MiB", layer-budget = "2.5 MiB" }'
    project.write(image(limits), dockerfile=WASTEFUL)
    result = project.run("-k", "size")
    result.assert_outcomes(failed=1)
    said = failure_of(result, "image::size")
    for part in (
        "its budget is 20 MiB (21 MB)",
        "layer 4: error SZ002: layer 4 takes 5.0 MB, the budget of a layer is 2,560 KiB",
        "    → leave out what no entrypoint needs, or raise size.budget",
        "what takes the room:",
        "4.0 MB  layer 5",
    ):
        assert part in said


def test_growth_is_that_since_the_last_other_build(
    project: MakeProject, native: str, failure_of: FailureOf
) -> None:
    settings = image('size = { growth = "1%" }')
    project.write(settings, dockerfile=WASTEFUL)
    first = project.run("-k", "size")
    first.assert_outcomes(passed=1)
    first.stdout.fnmatch_lines(["*note: no earlier build is recorded on this machine*"])
    project.write(settings, dockerfile=WASTEFUL + "RUN head -c 9000000 /dev/urandom > /app/new\n")
    second = project.run("-k", "size")
    second.assert_outcomes(failed=1)
    said = failure_of(second, "image::size")
    assert "error SZ003: the image grew by" in said
    assert "most of it: /app +9.0 MB" in said
    again = project.run("-k", "size")
    again.assert_outcomes(failed=1)


def test_an_image_that_is_known_is_not_read_again(
    project: MakeProject, engine: docker.APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second session finds what the first one read, and layers are shared."""
    cache = project.root.parent / "cache-of-two"
    monkeypatch.setenv("MLCONTAINER_CACHE_DIR", str(cache))
    project.write(image(""), dockerfile=WASTEFUL)
    project.run("-k", "size").assert_outcomes(passed=1)
    files = {file.name: file.stat().st_mtime_ns for file in inventories(cache)}
    assert len([name for name in files if name.startswith("image-")]) == 1
    result = project.run("-k", "size or gpu")
    result.assert_outcomes(passed=2)
    assert {file.name for file in inventories(cache)} == set(files)
    changed = WASTEFUL.replace("4000000", "4000001")
    project.write(image(""), dockerfile=changed)
    project.run("-k", "size").assert_outcomes(passed=1)
    new = {file.name for file in inventories(cache)} - set(files)
    layers = [name for name in new if name.startswith("layer-")]
    assert len(layers) == 2, "the layer that changed and the one above it"


def inventories(cache: Path) -> list[Path]:
    return [file for file in cache.glob("checks/inventories/*.json") if file.is_file()]


def test_cuda_is_read_from_the_image(project: MakeProject, native: str) -> None:
    """Made by hand: a torch that says that it is built for CUDA, with code for one GPU."""
    (project.root / "a.so").write_bytes(library((2, 80)))
    steps = f"""\
FROM {BASE}
ENV CUDA_VERSION=12.4.1 NVIDIA_REQUIRE_CUDA="cuda>=12.4"
COPY a.so {SITE}/torch/lib/libtorch_cuda.so
RUN cd {SITE} && mkdir torch-2.6.0+cu124.dist-info \\
 && echo "torch/lib/libtorch_cuda.so,," > torch-2.6.0+cu124.dist-info/RECORD
COPY train.py .
"""
    project.write(image('gpu = { driver = "520", capabilities = ["9.0"] }'), dockerfile=steps)
    check = reported(project)[f"gpu {native}"]
    assert not check["passes"]
    found = rules(check)
    assert set(found) == {"GPU001", "GPU003", "GPU009"}
    assert found["GPU009"]["place"] == f"{SITE}/torch/lib/libtorch_cuda.so"
    assert check["headline"] == "base with CUDA 12.4.1, torch 2.6.0+cu124 (CUDA 12.4)"
    project.write(image("gpu = true"), dockerfile=steps)
    check = reported(project)[f"gpu {native}"]
    assert check["passes"]
    assert set(rules(check)) == {"GPU007"}


@pytest.mark.emulation
def test_platforms_are_compared_at_the_second_one(
    project: MakeProject, native: str, foreign: str
) -> None:
    steps = (
        f"FROM {BASE}\nARG TARGETARCH\nWORKDIR /app\nCOPY *.py ./\n"
        f'RUN if [ "$TARGETARCH" = {foreign.partition("/")[2]} ]; '
        "then head -c 90000000 /dev/zero > /app/extra; fi\n"
    )
    project.write(image("size = true"), dockerfile=steps)
    checks = reported(project, f"--container-platform={native},{foreign}")
    assert "SZ010" not in rules(checks[f"size {native}"])
    found = rules(checks[f"size {foreign}"])["SZ010"]
    assert "/app +90 MB" in found["why"]


def test_an_image_that_is_given_has_an_unknown_base(project: MakeProject, native: str) -> None:
    project.write(image("size = true"), dockerfile=None)
    check = reported(project, f"--container-image={BASE}")[f"size {native}"]
    assert check["figures"]["base_bytes"] is None
    assert check["notes"][0].startswith("the image was not built here")
    assert check["figures"]["total_bytes"] > 50_000_000


@pytest.mark.parametrize("arguments", [(), ("-n2",)])
def test_workers_read_an_image_once(project: MakeProject, arguments: tuple[str, ...]) -> None:
    project.write(image(""), dockerfile=WASTEFUL)
    result = project.pytester.runpytest_subprocess(
        "-p", "no:randomly", "--container", "-k", "size or gpu", *arguments
    )
    result.assert_outcomes(passed=2)
