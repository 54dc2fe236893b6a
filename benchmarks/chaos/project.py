"""A small but whole project: it builds, probes, runs, needs, varies, serves, and runs on the host.

Its sources are the same for every trial, so that only the first one builds layers; its folder is
the trial's own, so that its images are, too.
"""

from __future__ import annotations

from pathlib import Path

_DOCKERFILE = """\
FROM python:3.13-slim
WORKDIR /app
COPY *.py ./
RUN python -c "open('built', 'w').write('yes')"
"""
_HEAD = """\
[project]
name = "{name}"
version = "1"

[tool.mlcontainer]
"""
_CONFIG = """\
platforms = ["native", "host"]
timeout = 60

[tool.mlcontainer.entrypoints.train]
command = ["python", "train.py"]
inputs = { "data" = "data" }
outputs = ["outputs/*"]
vary = ["network"]

[tool.mlcontainer.entrypoints.infer]
command = ["python", "infer.py"]
needs = ["train"]
outputs = ["outputs/predictions.json"]

[tool.mlcontainer.entrypoints.serve]
command = ["python", "-m", "http.server", "8000"]
port = 8000
"""
_TRAIN = """\
import json, os, pathlib, time

os.makedirs("outputs", exist_ok=True)
numbers = [float(line) for line in pathlib.Path("data/numbers.txt").read_text().split()]
time.sleep(0.3)
with open("outputs/model.json", "w") as file:
    json.dump({"mean": sum(numbers) / len(numbers)}, file)
"""
_INFER = """\
import json, time

with open("outputs/model.json") as file:
    mean = json.load(file)["mean"]
time.sleep(0.2)
with open("outputs/predictions.json", "w") as file:
    json.dump([mean, 2 * mean], file)
"""
_TEST = """\
import urllib.request


def test_serves(inference_server):
    assert urllib.request.urlopen(inference_server.url, timeout=10).status == 200


def test_trains_anew(run_entrypoint):
    assert run_entrypoint("train", repeat=1).exit_code == 0
"""


def write(root: Path, name: str, *, tests: str | None = None, config: str | None = None) -> Path:
    """Write the project into a new folder.

    Args:
        name: of the project, by which its images are found.
        tests: of the project, instead of its own.
        config: what stands in `[tool.mlcontainer]`, instead of its own.
    """
    files = {
        "Dockerfile": _DOCKERFILE,
        "pyproject.toml": _HEAD.replace("{name}", name) + (config or _CONFIG),
        "train.py": _TRAIN,
        "infer.py": _INFER,
        "test_project.py": tests or _TEST,
        "data/numbers.txt": "1.5\n2.5\n4.0\n",
    }
    for name, text in files.items():
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
    return root
