"""A baseline: Debian's reprotest, inside the container of a case.

It works on the project's folder with the `null` server, and looks for the variations that matter
with `--auto-build`. What it cannot have in a container is left out: disorderfs needs FUSE, other
users and domains need privileges. Cases of two images are not its question.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.driftbench.cases import Case, read_toml
from benchmarks.driftbench.images import BASES, build
from benchmarks.driftbench.scoring import Answer

NAME = "reprotest"
_VARIATIONS = "+all,-fileordering,-user_group,-domain_host"
_BASES = ("driftbench/science:1", "driftbench/locales:1", "python:3.13-slim")
_MOST_SECONDS = 600
# Its names for what reports here call otherwise.
_NAMES = {
    "build_path": "workdir",
    "time": "clock",
    "num_cpus": "cpus",
    "locales": "locale",
    "environment": "env",
}
_FOUND = "Observed unreproducibility when varying each of the following:"
_NOISE = "Not reproducible, even when fixing as much as reprotest knows how to."
_CLEAN = "Reproducible, even when varying"


def measure(
    cases: tuple[Case, ...], work: Path, others: dict[str, dict[str, list[Answer]]]
) -> Mapping[str, str]:
    """Put its answers into `others`; the reason instead, where it cannot be had."""
    contexts = {}
    try:
        for base in _BASES:
            tag = f"driftbench/{NAME}:{base.partition(':')[0].rpartition('/')[2]}"
            build(tag, BASES / f"{NAME}.Dockerfile", BASES, f"--build-arg=BASE={base}")
            contexts[base] = tag
    except RuntimeError as error:
        return {NAME: str(error).strip().splitlines()[-1]}
    answers = {case.name: [_ask(case, work, contexts)] for case in cases if _can_ask(case)}
    subprocess.run(["docker", "rmi", *contexts.values()], capture_output=True)
    others[NAME] = answers
    return {}


def read_output(text: str) -> Answer:
    """What it says at its end, as an answer."""
    if _NOISE in text:
        return Answer("nondeterministic")
    if _CLEAN in text:
        return Answer("identical")
    _before, found, after = text.partition(_FOUND)
    if not found:
        last = text.strip().splitlines()[-1:] or ["nothing"]
        return Answer(f"failed: {last[0][:200]}")
    lines = after.strip().splitlines()
    names = [line.strip() for line in lines if line.strip().replace("_", "").isalpha()]
    return Answer("drift", tuple(frozenset({_NAMES.get(name, name)}) for name in names))


def _can_ask(case: Case) -> bool:
    (table,) = _entrypoints(case.folder)
    return case.kind == "one" and not any(each.startswith("/") for each in table["outputs"])


def _entrypoints(folder: Path) -> list[dict[str, Any]]:
    return list(read_toml(folder / "pyproject.toml")["tool"]["mlcontainer"]["entrypoints"].values())


def _ask(case: Case, work: Path, contexts: Mapping[str, str]) -> Answer:
    tag, project = f"driftbench/{NAME}-{case.name}:{os.getpid()}", work / NAME / case.name
    shutil.copytree(case.folder, project, ignore=shutil.ignore_patterns("label.toml"))
    named = [f"--build-context={base}=docker-image://{tag}" for base, tag in contexts.items()]
    build(tag, project / "Dockerfile", project, *named)
    asked = subprocess.run(
        ["docker", "image", "inspect", tag], capture_output=True, text=True, check=True
    )
    (table,) = _entrypoints(project)
    try:
        done = subprocess.run(
            _command(tag, json.loads(asked.stdout)[0]["Config"], table, project),
            capture_output=True,
            text=True,
            timeout=_MOST_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return Answer("timeout")
    finally:
        subprocess.run(["docker", "rmi", tag], capture_output=True)
    return read_output(f"{done.stdout}\n{done.stderr}")


def _command(tag: str, image: dict[str, Any], table: dict[str, Any], project: Path) -> list[str]:
    command = [*(image["Entrypoint"] or ()), *(table.get("command") or image["Cmd"] or ())]
    outputs = " ".join(each.rstrip("/") for each in table["outputs"])
    inputs = (f"{project / name}:{path}:ro" for name, path in table.get("inputs", {}).items())
    varied = [NAME, "--auto-build", "--no-diffoscope", f"--variations={_VARIATIONS}"]
    varied += ["--build-command", shlex.join(command), ".", outputs, "--", "null"]
    return [
        *("docker", "run", "--rm", "--network", "none", "--user", "0"),
        # Without it neither addresses nor the kernel's name can be changed.
        *("--security-opt", "seccomp=unconfined"),
        *(f"--volume={each}" for each in inputs),
        *("--entrypoint", varied[0], tag, *varied[1:]),
    ]
