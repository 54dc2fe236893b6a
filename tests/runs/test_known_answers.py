"""Libraries that compute wrong are named as such: in this Python, in images, under emulation."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import docker
import pytest

from pytest_mlcontainer.engines.docker.sessions import list_images
from pytest_mlcontainer.facts.answers import answers_source, parse_answers
from tests.fixture_types import FailureOf
from tests.sample_project import MakeProject

# A kernel that returns at once, in the memory of every Python that starts: a fault as on a machine
# whose BLAS is wrong, of one routine, with which NumPy multiplies a matrix by itself transposed.
FAULTY = """
import ctypes, glob, os, platform, sys
RETURN = b"\\xc3" if platform.machine() == "x86_64" else b"\\xc0\\x03\\x5f\\xd6"
for folder in sys.path:
    for path in glob.glob(os.path.join(folder, "numpy.libs", "*openblas*")):
        routine = getattr(ctypes.CDLL(path), "scipy_cblas_ssyrk64_")
        place = ctypes.cast(routine, ctypes.c_void_p).value
        page = place & ~0xffff
        ctypes.CDLL(None).mprotect(ctypes.c_void_p(page), 0x20000, 7)
        ctypes.memmove(place, RETURN, len(RETURN))
"""
DOCKERFILE = """\
FROM python:3.13-slim
RUN pip install --no-cache-dir --root-user-action=ignore numpy==2.3.5
RUN mkdir /fault
COPY sitecustomize.py /fault/
WORKDIR /app
COPY train.py ./
"""
TRAIN = """
import numpy, os
os.makedirs("outputs", exist_ok=True)
numpy.save("outputs/sums.npy", numpy.arange(12.0).reshape(3, 4).sum(0))
"""
# Wheels of the foreign platform, taken by a Python of this one: pip is slow under emulation.
FOREIGN = """\
FROM --platform=$BUILDPLATFORM python:3.13-slim AS wheels
ARG TARGETARCH
RUN pip install -q --root-user-action=ignore --target /wheels --only-binary=:all: --platform \\
    manylinux_2_28_$([ "$TARGETARCH" = arm64 ] && echo aarch64 || echo x86_64) numpy==2.5.5
FROM python:3.13-slim
COPY --from=wheels /wheels /wheels
ENV PYTHONPATH=/wheels
WORKDIR /app
COPY train.py ./
"""
PRODUCT = """
import numpy, os
os.makedirs("outputs", exist_ok=True)
matrix = numpy.random.default_rng(0).standard_normal((40, 12))
numpy.save("outputs/gram.npy", matrix.T @ matrix)
"""
TABLE = """
[tool.mlcontainer.entrypoints.train]
command = ["python", "train.py"]
outputs = ["outputs/*"]
"""


DOCTOR = (str(Path(sys.executable).with_name("mlcontainer")), "doctor")


def printed_by_python(**env: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", answers_source()],
        env={"PATH": os.environ["PATH"], **env},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=120,
    ).stdout


class TestKnownAnswers:
    @pytest.mark.parametrize(
        "env",
        [{}, {"OPENBLAS_NUM_THREADS": "1"}, {"OPENBLAS_CORETYPE": "Nehalem"},
         {"ONEDNN_DEFAULT_FPMATH_MODE": "BF16"}, {"NPY_DISABLE_CPU_FEATURES": "AVX2"}],
        ids=str,
    )  # fmt: skip
    def test_what_computes_right_is_not_called_wrong(self, env: dict[str, str]) -> None:
        """With whatever threads, kernel and precision: these numbers do not round."""
        answers = parse_answers(printed_by_python(**env))
        assert answers.wrong == ()
        assert answers.finished
        assert answers.unread == ()
        names = [library.split()[0] for library, _count in answers.asked]
        assert names[:2] == ["NumPy", "SciPy"]
        assert answers.count > 100

    def test_a_fault_is_named_with_its_kernel_and_its_size(self, tmp_path: Path) -> None:
        """One routine of NumPy's BLAS alone: what uses it is wrong, and nothing else is."""
        (tmp_path / "sitecustomize.py").write_text(FAULTY)

        answers = parse_answers(printed_by_python(PYTHONPATH=str(tmp_path)))

        kinds = {each.what.partition(",")[0] for each in answers.wrong}
        assert kinds == {"float32 A @ A.T", "float32 A.T @ A"}
        for each in answers.wrong:
            assert each.library.startswith("NumPy ")
            assert "kernel" in each.blas
            assert each.right
            assert each.right != each.got
            assert each.error is None or each.error > 0.1

    def test_old_pythons_can_parse_it(self) -> None:
        """Images have Pythons of many years."""
        ast.parse(answers_source(), feature_version=(3, 7))

    def test_any_output_can_be_read(self) -> None:
        """What a container prints may be anything."""
        marker = "mlcontainer-answers:"
        for line in ("[]", "{", '{"library": 3, "answers": "x"}', '{"what": "x"}', "1" * 9999):
            answers = parse_answers(f"{marker}{line}\n")
            assert (answers.asked, answers.wrong) == ((), ())


def test_a_fault_on_purpose_is_a_failure_of_its_own(
    project: MakeProject, leaves_nothing: None
) -> None:
    """On the engine's own platform, although the run's output is right: nothing is judged."""
    env = 'env = { PYTHONPATH = "/fault" }\n'
    project.write(env + TABLE, dockerfile=DOCKERFILE, train=TRAIN, sitecustomize__py=FAULTY)

    result = project.run("--container-repeat=2")

    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(
        [
            "NumPy 2.3.5 computes wrong on linux/*, so that no output of it was judged:",
            "*NumPy 2.3.5 (OpenBLAS *, kernel *): float32 A @ A.T, * instead of *, off by *",
            "*→ install another release of the library, or run on another CPU: *",
        ]
    )
    text = result.stdout.str()
    assert "drift" not in text
    assert "nondeterministic" not in text


def test_a_cpu_that_computes_right_is_emulated(
    project: MakeProject, native: str, foreign: str, leaves_nothing: None
) -> None:
    """Where nobody names one; it is said which, what it costs, and what is faster."""
    project.write(
        f'platforms = ["{native}", "{foreign}"]\n' + TABLE, dockerfile=FOREIGN, train=PRODUCT
    )

    result = project.run()

    result.assert_outcomes(passed=5)
    result.stdout.fnmatch_lines([f"note: {foreign} is emulated here*, about ten times as slow *"])
    if foreign.endswith("arm64"):
        result.stdout.fnmatch_lines(["*(emulated CPU: neoverse-n1, chosen by pytest-mlcontainer)*"])


def test_a_named_cpu_that_computes_wrong_is_a_failure_of_its_own(
    project: MakeProject, native: str, foreign: str, failure_of: FailureOf, leaves_nothing: None
) -> None:
    """The configuration's word holds, and what comes of it is no drift and no platform's doing."""
    if not foreign.endswith("arm64"):
        pytest.skip("which of QEMU's CPUs for amd64 compute wrong is not known")
    env = 'env = { QEMU_CPU = "max" }\n'
    project.write(
        f'platforms = ["{native}", "{foreign}"]\n{env}' + TABLE, dockerfile=FOREIGN, train=PRODUCT
    )

    result = project.run()

    result.assert_outcomes(passed=3, failed=2)
    text = failure_of(result, f"train[{foreign}]")
    assert f"NumPy 2.5.5 computes wrong on the emulated CPU max ({foreign})" in text
    assert "float64 A @ B" in text or "more kinds" in text
    assert "emulate the CPU neoverse-n1, with which all" in text
    assert "cause: platform" not in result.stdout.str()


def test_the_host_is_asked_as_well(project: MakeProject, failure_of: FailureOf) -> None:
    """A fault of this machine's library is no drift of the host against the image."""
    fault = project.pytester.path / "fault"
    fault.mkdir()
    (fault / "sitecustomize.py").write_text(FAULTY)
    env = f'platforms = ["host"]\nenv = {{ PYTHONPATH = "{fault}" }}\n'
    project.write(env + TABLE, dockerfile=DOCKERFILE, train=TRAIN, sitecustomize__py=FAULTY)

    result = project.run("--container-repeat=2")

    result.assert_outcomes(failed=2)
    text = failure_of(result, "train[host]")
    assert re.search(r"NumPy \S+ computes wrong on host, so that no output of it was judged", text)
    assert "float32 A @ A.T" in text
    said = project.pytester.run(*DOCTOR)
    assert said.ret == 1
    said.stdout.re_match_lines([r"arithmetic +missing +NumPy \S+ computes wrong on host"])


def test_doctor_asks_the_image_that_is_kept(
    project: MakeProject,
    alone: None,
    native: str,
    monkeypatch: pytest.MonkeyPatch,
    engine: docker.APIClient,
) -> None:
    """Before there is one it says so; what computes wrong is missing, and what is right is not."""
    monkeypatch.delenv("MLCONTAINER_KEEP_IMAGES")
    root = project.write(TABLE, dockerfile=DOCKERFILE, train=TRAIN, sitecustomize__py=FAULTY)
    config = root / "pyproject.toml"
    config.write_text(config.read_text().replace('"sample"', '"asked-sample"'))

    def doctor() -> str:
        return str(project.pytester.run(*DOCTOR).stdout.str())

    try:
        assert f"arithmetic    ok       {native}: not tried: no image of this project" in doctor()
        project.run().assert_outcomes(passed=2)
        assert f"arithmetic    ok       {native}: no numerical library computes wrong" in doctor()
        config.write_text(config.read_text().replace(TABLE, f'env.PYTHONPATH = "/fault"\n{TABLE}'))
        assert f"NumPy 2.3.5 computes wrong on {native}, so that" in doctor()
    finally:
        mine = {"label": ["pytest-mlcontainer.project=asked-sample"]}
        for image in list_images(engine, filters=mine):
            for tag in image.get("RepoTags") or ():
                engine.remove_image(tag)
