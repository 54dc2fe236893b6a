"""What `image::cache` is made of, without an engine: which file, which step, which order."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_mlcontainer.dockerfile import Instruction, parse_instructions
from pytest_mlcontainer.engines.docker.build_steps import StepLog
from pytest_mlcontainer.engines.trial_builds import BuildStep
from pytest_mlcontainer.image_checks.cache.mends import reordered
from pytest_mlcontainer.image_checks.cache.sources import copy_context, takes, touch
from pytest_mlcontainer.image_checks.cache.steps import KnownStep, installed_packages, known_steps
from pytest_mlcontainer.image_checks.lint.shell import ShellCommand
from pytest_mlcontainer.image_checks.lint.stages import parse_recipe
from pytest_mlcontainer.secrets import NOTHING


@pytest.mark.parametrize(
    ("line", "taken"),
    [
        ("COPY . .", True),
        ("COPY ./src /app/", True),
        ("COPY src/*.py /app/", True),
        ("COPY *.py /app/", False),
        ("COPY s* /app/", True),
        ('COPY ["src/train.py", "/a b/"]', True),
        ("COPY --from=build src/train.py /", False),
        ("COPY --exclude=**/*.py . .", False),
        ("COPY requirements.txt ./", False),
        ("RUN --mount=type=bind,target=/src pip install /src", True),
        ("RUN --mount=type=bind,source=src,target=/src true", True),
        ("RUN --mount=type=bind,from=build,target=/src true", False),
        ("RUN --mount=type=cache,target=/src true", False),
    ],
)
def test_it_is_known_what_takes_a_file_along(line: str, taken: bool) -> None:
    (instruction,) = parse_instructions(line)
    assert takes(instruction, "src/train.py") is taken


def test_a_change_is_new_each_time_and_not_in_the_original(tmp_path: Path) -> None:
    project, copy = tmp_path / "project", tmp_path / "copy"
    (project / "src").mkdir(parents=True)
    (project / "src" / "train.py").write_text("print(1)\n")
    (project / "src" / "train.py").chmod(0o755)
    (project / "nb.ipynb").write_text('{"cells": []}')
    (project / "link").symlink_to("src")
    copy.mkdir()
    assert len(copy_context(project, ("src/train.py", "nb.ipynb", "link"), copy)) == 3
    seen = set()
    for _again in range(3):
        touch(copy / "src" / "train.py")
        touch(copy / "nb.ipynb")
        seen.add((copy / "src" / "train.py").read_bytes() + (copy / "nb.ipynb").read_bytes())
    assert len(seen) == 3
    assert json.loads((copy / "nb.ipynb").read_text()) == {"cells": []}
    compile((copy / "src" / "train.py").read_text(), "train.py", "exec")
    assert (copy / "src" / "train.py").stat().st_mode & 0o777 == 0o755
    assert (project / "src" / "train.py").read_text() == "print(1)\n"
    assert (copy / "link").is_symlink()


RECIPE = """\
ARG V=3.13
FROM python:$V AS build
# comment
WORKDIR /src
ENV A=b
COPY . .
RUN make
FROM scratch
COPY --from=build /a /a
FROM build
USER me
RUN two
"""


@pytest.mark.parametrize(
    ("stage", "number", "text", "line"),
    [
        ("build", 2, "WORKDIR /src", 4),
        ("build", 3, "COPY . .", 6),
        ("build", 4, "RUN make", 7),
        ("stage-1", 1, "COPY --from=build /a /a", 9),
        ("stage-2", 1, "RUN two", 12),
        ("stage-2", 2, "RUN two", None),
        ("build", 2, "RUN other", None),
        ("other", 2, "RUN make", None),
    ],
)
def test_a_step_is_found_among_the_instructions(
    stage: str, number: int, text: str, line: int | None
) -> None:
    recipe = parse_recipe(tuple(parse_instructions(RECIPE)), None, {})
    (found,) = known_steps(recipe, (BuildStep(stage, number, text, cached=False),))
    assert (found.instruction.line if found.instruction else None) == line


def test_steps_are_read_from_what_the_builder_says() -> None:
    log = StepLog(NOTHING)
    one = {"digest": "a", "name": "[linux/arm64 build  2/10] RUN x"}
    log.feed({"vertexes": [one, {"digest": "b", "name": "[internal] load build context"}]})
    began = {**one, "started": "2026-01-01T00:00:00.123456789Z"}
    log.feed({"vertexes": [began]})
    log.printed("a", ["a", "b"])
    log.feed({"vertexes": [{**began, "completed": "2026-01-01T00:00:02.123456789Z"}]})
    second = {"digest": "c", "name": "[3/4] COPY . .", "cached": True, "started": began["started"]}
    log.feed({"vertexes": [second]})
    first, last = log.steps()
    assert first == BuildStep("build", 2, "RUN x", False, 2.0, ("a", "b"))
    assert (last.stage, last.number, last.cached) == ("", 3, True)


def test_installers_tell_what_they_installed() -> None:
    lines = (
        "Installing collected packages: pytz, python-dateutil, numpy",
        "Successfully installed numpy-2.0.0",
        " + scipy==1.11.0",
        " + mine==0.1 (from file:///app)",
        "  - Installing pandas (2.0.0)",
        "Setting up libgomp1:amd64 (12.2.0-14) ...",
        "(1/3) Installing musl (1.2.5-r0)",
    )
    assert installed_packages(lines) == (
        *("pytz", "python-dateutil", "numpy", "scipy", "mine", "pandas", "libgomp1", "musl"),
    )


LOCKS = ("uv.lock", "poetry.lock")


def installs_of(run: Instruction) -> tuple[ShellCommand, ...]:
    """As the check finds them."""
    return KnownStep(BuildStep("", 1, "", cached=False), None, run).installs


COPY_ALONE = (
    "copy what lists the dependencies alone and install them, before `COPY {}` at line {} copies "
    "all"
)


@pytest.mark.parametrize(
    ("run", "mend"),
    [
        (
            "RUN pip install --no-cache-dir -r ci/requirements.txt -r dev.txt",
            "COPY ci/requirements.txt ci/\nCOPY dev.txt ./\n"
            "RUN pip install --no-cache-dir -r ci/requirements.txt -r dev.txt\nCOPY . .",
        ),
        (
            "RUN pip install .",
            "COPY pyproject.toml ./\nRUN pip install uv && uv pip install --system "
            "-r pyproject.toml\nCOPY . .\nRUN pip install --no-deps .",
        ),
        (
            "RUN pip install -e '.[dev, gpu]'",
            "COPY pyproject.toml ./\nRUN pip install uv && uv pip install --system "
            "-r pyproject.toml --extra dev --extra gpu\nCOPY . .\n"
            "RUN pip install --no-deps -e '.[dev, gpu]'",
        ),
        (
            "RUN --mount=type=cache,target=/root/.cache/uv uv sync --locked",
            "COPY pyproject.toml uv.lock ./\nRUN --mount=type=cache,target=/root/.cache/uv uv sync "
            "--no-install-project --locked\nCOPY . .\n"
            "RUN --mount=type=cache,target=/root/.cache/uv uv sync --locked",
        ),
        (
            "RUN poetry install --no-interaction",
            "COPY pyproject.toml poetry.lock ./\nRUN poetry install --no-root --no-interaction\n"
            "COPY . .\nRUN poetry install --no-interaction",
        ),
        (
            "RUN conda env update -n base -f environment.yml",
            "COPY environment.yml ./\nRUN conda env update -n base -f environment.yml\nCOPY . .",
        ),
        ("RUN pip install torch", "RUN pip install torch\nCOPY . ."),
        (
            "RUN apt-get install -y gcc && pip install -U pip && pip install -r dev.txt",
            "COPY dev.txt ./\nRUN apt-get install -y gcc && pip install -U pip && pip install "
            "-r dev.txt\nCOPY . .",
        ),
        (
            "RUN pip install -r ci/requirements.txt && pip install -r dev.txt",
            "COPY ci/requirements.txt ci/\nCOPY dev.txt ./\n"
            "RUN pip install -r ci/requirements.txt && pip install -r dev.txt\nCOPY . .",
        ),
        (
            "RUN pip install poetry && poetry install",
            "COPY pyproject.toml poetry.lock ./\n"
            "RUN pip install poetry && poetry install --no-root\nCOPY . .\n"
            "RUN pip install poetry && poetry install",
        ),
        (
            "RUN pip install -U pip && pip install .",
            "COPY pyproject.toml ./\nRUN pip install uv && uv pip install --system "
            "-r pyproject.toml\nCOPY . .\nRUN pip install -U pip && pip install --no-deps .",
        ),
    ],
)
def test_the_order_that_is_proposed_is_the_tool_s_own(run: str, mend: str) -> None:
    copy, install = parse_instructions(f"COPY . .\n{run}\n")
    names = ("ci/requirements.txt", "dev.txt", "environment.yml", "pyproject.toml", *LOCKS)
    texts = {"pyproject.toml": "[project]\nname = 'a'\ndependencies = ['numpy']\n"}
    installs = installs_of(install)
    assert reordered(copy, install, installs, names, lambda name: texts.get(name, "")) == mend


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[tool.poetry]\nname = 'a'\n",
        "[project]\nname = 'a'\ndynamic = ['version', 'dependencies']\n",
        "[project",
    ],
)
def test_dependencies_that_only_a_build_of_the_project_knows_are_not_guessed(text: str) -> None:
    copy, install = parse_instructions("COPY . .\nRUN pip install .\n")
    installs = installs_of(install)
    mend = reordered(copy, install, installs, ("pyproject.toml",), lambda _name: text)
    assert mend == COPY_ALONE.format(". .", 1)


@pytest.mark.parametrize(
    ("text", "mend"),
    [
        pytest.param(
            "COPY . /srv\nENV A=1\nRUN apt-get update\nWORKDIR /srv\nRUN pip install -r req.txt\n",
            "ENV A=1\nRUN apt-get update\nWORKDIR /srv\nCOPY req.txt ./\n"
            "RUN pip install -r req.txt\nCOPY . /srv",
            id="settings and the system's packages before, the COPY to an absolute path after",
        ),
        pytest.param(
            "COPY . srv\nWORKDIR srv\nRUN pip install -r req.txt\n",
            COPY_ALONE.format(". srv", 1),
            id="a COPY to a relative path cannot go behind a WORKDIR",
        ),
        pytest.param(
            "COPY src ./src\nCOPY --chown=me README.md ./\nLABEL a=b\nRUN poetry install\n",
            "COPY pyproject.toml ./\nRUN poetry install --no-root\nCOPY src ./src\n"
            "COPY --chown=me README.md ./\nLABEL a=b\nRUN poetry install",
            id="other COPYs after the sources",
        ),
        pytest.param(
            "COPY src ./src\nRUN make -C src\nRUN pip install -r req.txt\n",
            COPY_ALONE.format("src ./src", 1),
            id="what another RUN needs is not known",
        ),
        pytest.param(
            "COPY src ./src\nRUN pip install -r req.txt && python -m src.get_weights\n",
            COPY_ALONE.format("src ./src", 1),
            id="a program of the project's in the same RUN",
        ),
        pytest.param(
            "COPY . .\nRUN pip install -r req.txt && pip install -e .\n",
            COPY_ALONE.format(". .", 1),
            id="the project itself in the same RUN",
        ),
        pytest.param(
            "COPY . .\nRUN apt-get update && pip install -U pip && pip install -r req.txt\n",
            "COPY req.txt ./\nRUN apt-get update && pip install -U pip && pip install -r req.txt\n"
            "COPY . .",
            id="what else the RUN does needs nothing",
        ),
    ],
)
def test_what_stands_between_is_kept(text: str, mend: str) -> None:
    """The RUN works in the folder that a WORKDIR before it has named."""
    copy, *between, install = parse_instructions(text)
    names = ("req.txt", "pyproject.toml")
    stage = (copy, *between, install)
    assert reordered(copy, install, installs_of(install), names, stage=stage) == mend


@pytest.mark.parametrize(
    ("before", "copied"),
    [
        ("COPY pyproject.toml poetry.lock README.md ./\n", ""),
        ("WORKDIR /app\nCOPY pyproject.toml poetry.lock /app/\n", ""),
        ("COPY pyproject.toml ./\n", "COPY poetry.lock ./\n"),
        ("COPY pyproject.toml poetry.lock /tmp/\n", "COPY pyproject.toml poetry.lock ./\n"),
        ("", "COPY pyproject.toml poetry.lock ./\n"),
    ],
)
def test_what_is_there_already_is_not_copied_again(before: str, copied: str) -> None:
    stage = tuple(parse_instructions(f"{before}COPY src ./src\nRUN poetry install --only main\n"))
    copy, install = stage[-2:]
    names = ("pyproject.toml", "poetry.lock", "README.md")
    assert reordered(copy, install, installs_of(install), names, stage=stage) == (
        f"{copied}RUN poetry install --no-root --only main\nCOPY src ./src\n"
        "RUN poetry install --only main"
    )
