"""A small project, written by a test and run by a pytest of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

BASE = "python:3.13-slim"

DOCKERFILE = f"""\
FROM {BASE}
WORKDIR /app
COPY *.py ./
"""

# Tests of runs count the items of runs; those of the checks have a table of their own.
NO_CHECKS = "\n[tool.mlcontainer.image]\nlint = false\nsize = false\ngpu = false\n"

TRAIN = """\
import json, os
os.makedirs("outputs", exist_ok=True)
with open("outputs/metrics.json", "w") as file:
    json.dump({"accuracy": 0.9}, file)
"""


class MakeProject:
    """Writes a small project and runs pytest in it."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        self.root = pytester.path

    def write(
        self,
        config: str | None = None,
        *,
        dockerfile: str | None = DOCKERFILE,
        train: str = TRAIN,
        **files: str,
    ) -> Path:
        """Write a project.

        Args:
            config: what follows `[tool.mlcontainer]`; one entrypoint `train` by default.
            dockerfile: None for a project without one.
            files: further files; `__` in a name stands for `.`: `infer__py="…"`.
        """
        if config is None:
            config = (
                "[tool.mlcontainer.entrypoints.train]\n"
                'command = ["python", "train.py"]\n'
                'outputs = ["outputs/*"]\n'
            )
        text = f'[project]\nname = "sample"\nversion = "1"\n\n[tool.mlcontainer]\n{config}\n'
        if "tool.mlcontainer.image]" not in text:
            text += NO_CHECKS
        (self.root / "pyproject.toml").write_text(text)
        if dockerfile is not None:
            (self.root / "Dockerfile").write_text(dockerfile)
        (self.root / "train.py").write_text(train)
        for name, content in files.items():
            (self.root / name.replace("__", ".")).write_text(content)
        return self.root

    def run(self, *args: str) -> pytest.RunResult:
        """`pytest --container …` in this process."""
        return self.pytester.runpytest_inprocess("-p", "no:randomly", "--container", *args)
