"""The releases that are looked at: one image each."""

from __future__ import annotations

from dataclasses import dataclass

_TORCH_NEEDS = (
    "filelock", "typing-extensions", "sympy", "mpmath", "networkx", "jinja2", "markupsafe",
    "fsspec",
)  # fmt: skip
AMD64, ARM64 = "linux/amd64", "linux/arm64"


@dataclass(frozen=True)
class Row:
    """One image: a Python with releases of packages.

    Args:
        base: the image that it starts from.
        packages: as pip is given them.
        setup: a shell command instead, for what comes from a distribution.
    """

    base: str
    packages: tuple[str, ...] = ()
    setup: str = ""
    platform: str = AMD64

    @property
    def name(self) -> str:
        what = ", ".join(each.replace("==", " ") for each in self.packages) or self.setup
        emulated = ", emulated arm64" if self.platform == ARM64 else ""
        return f"{self.base.replace('python:', 'Python ').removesuffix('-slim')}{emulated}: {what}"

    @property
    def dockerfile(self) -> str:
        """Wheels alone, so that a release without one for this Python is said and not compiled."""
        if self.setup:
            return f"FROM {self.base}\nRUN {self.setup}\n"
        pip = "pip install --no-cache-dir --root-user-action=ignore --only-binary=:all:"
        wanted = " ".join(f"'{each}'" for each in self.packages)
        if self.platform == AMD64:
            return f"FROM {self.base}\nRUN {pip} {wanted}\n"
        # pip itself is slow under emulation; and elsewhere it takes the markers of its own machine.
        wanted += " " + " ".join(_TORCH_NEEDS) + " --no-deps"
        tags = " ".join(f"--platform manylinux_{each}_aarch64" for each in ("2_28", "2_27", "2_17"))
        return (
            f"FROM --platform=$BUILDPLATFORM {self.base} AS wheels\n"
            f"RUN {pip} --target /wheels {tags} --platform manylinux2014_aarch64 {wanted}\n"
            f"FROM {self.base}\nCOPY --from=wheels /wheels /wheels\nENV PYTHONPATH=/wheels\n"
        )


ROWS = (
    Row("python:3.8-slim", ("numpy==1.22.4", "scipy==1.8.1", "scikit-learn==1.1.3")),
    Row("python:3.9-slim", ("numpy==1.23.5", "scipy==1.9.3", "scikit-learn==1.2.2")),
    Row("python:3.10-slim", ("numpy==1.24.4", "scipy==1.10.1", "xgboost==1.7.6")),
    Row("python:3.11-slim", ("numpy==1.23.5", "scipy==1.9.3", "scikit-learn==1.2.2")),
    Row("python:3.11-slim", ("numpy==1.24.4", "scipy==1.10.1", "xgboost==1.7.6")),
    Row("python:3.11-slim", ("numpy==1.25.2", "scipy==1.11.4", "lightgbm==4.1.0")),
    Row("python:3.11-slim", ("numpy==1.26.4", "scipy==1.12.0", "scikit-learn==1.4.2")),
    Row("python:3.11-slim", ("numpy==2.0.2", "scipy==1.13.1", "pandas==2.2.3", "polars==1.12.0")),
    Row("python:3.13-slim", ("numpy==2.1.3", "onnxruntime==1.20.1")),
    Row("python:3.13-slim", ("numpy==2.2.6", "scipy==1.15.3", "scikit-learn==1.6.1")),
    Row("python:3.13-slim", ("numpy==2.3.5", "scipy==1.16.3", "jax==0.8.0")),
    Row("python:3.13-slim", ("numpy==2.4.4", "scipy==1.17.1", "lightgbm==4.6.0")),
    Row("python:3.13-slim", ("numpy==2.5.5", "scipy==1.18.1")),
    Row("python:3.14-slim", ("numpy==2.5.5", "scipy==1.18.1")),
    Row("python:3.15-slim", ("numpy==2.5.5", "scipy==1.18.1", "scikit-learn==1.9.1")),
    Row("python:3.13-alpine", ("numpy==2.3.5", "scipy==1.16.3")),
    Row("python:3.11-slim", ("tensorflow-cpu==2.17.1",)),
    Row("debian:bookworm-slim", setup="apt-get update -q && apt-get install -qy python3-numpy "
        "python3-scipy libopenblas0"),
    Row("python:3.11-slim", ("numpy==1.26.4", "torch==2.2.2"), platform=ARM64),
    Row("python:3.13-slim", ("numpy==2.3.5", "torch==2.9.1"), platform=ARM64),
)  # fmt: skip
