"""Variations reach what they name in releases of packages that hide it from a probe."""

from __future__ import annotations

import json

import pytest

from tests.sample_project import MakeProject

# The last release of NumPy 1, whose wheel has an OpenBLAS that needs another library beside it.
DOCKERFILE = """\
FROM python:3.11-slim
WORKDIR /app
RUN pip install --no-cache-dir --root-user-action=ignore numpy==1.26.4
COPY *.py ./
"""
TRAIN = """
import os, numpy
product = numpy.random.default_rng(0).random((300, 300), dtype="float32")
first = product
for _ in range(3):
    product = product @ first
    product /= product.max()
os.makedirs("outputs", exist_ok=True)
numpy.save("outputs/digits.npy", (product * numpy.float32(1e7)).astype("int64") % 2)
"""


# With the kernel for AVX-512 these products are the same whatever the number of threads.
ONE_KERNEL = f"{DOCKERFILE}ENV OPENBLAS_CORETYPE=Haswell\n"


@pytest.mark.parametrize(
    ("name", "witness", "dockerfile"),
    [
        ("blas-kernel", "blas.kernel * → *", DOCKERFILE),
        ("threads", "blas.threads * → *", ONE_KERNEL),
    ],
    ids=["blas-kernel", "threads"],
)
def test_an_openblas_that_needs_another_library_is_varied(
    project: MakeProject, name: str, witness: str, dockerfile: str, leaves_nothing: None
) -> None:
    """With NumPy 1 neither took effect by the probe, although both change results."""
    root = project.write(dockerfile=dockerfile, train=TRAIN)

    result = project.run(f"--container-vary={name}", "--container-report=report", "-k", "varies")

    result.assert_outcomes(failed=1, deselected=2)
    result.stdout.fnmatch_lines([f"cause: {name} ({name}=*) — {witness}"])
    (found,) = json.loads((root / "report" / "report.json").read_text())["results"]
    assert [each["names"] for each in found["causes"]] == [[name]]
