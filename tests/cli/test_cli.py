"""The command `mlcontainer`: what it says, what it changes, and its exit code."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import docker
import pytest

from pytest_mlcontainer.cli import main
from pytest_mlcontainer.config import load
from pytest_mlcontainer.engines.docker.sessions import list_images, remove_dead
from pytest_mlcontainer.model import LABEL, Owner, Server, Settings
from pytest_mlcontainer.owners import current_owner, host_name
from tests.sample_project import MakeProject

BASE = "python:3.13-slim"

TABLE = """\
[project]
name = "sample"
version = "1"

[tool.mlcontainer]
platforms = ["native"]

[tool.mlcontainer.entrypoints.train]
command = ["python", "train.py"]
outputs = ["outputs/*"]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def sample(folder: Path) -> Path:
    """A folder with a project in which nothing is wrong."""
    (folder / "pyproject.toml").write_text(TABLE)
    (folder / "Dockerfile").write_text(f"FROM {BASE}\n")
    return folder


def settings_in(folder: Path) -> Settings:
    """What its pyproject.toml configures."""
    found = load(folder / "pyproject.toml", "x86_64")
    assert found is not None
    return found


def add_key(folder: Path, line: str) -> None:
    """Add a key to the project's table."""
    (folder / "pyproject.toml").write_text(TABLE.replace("platforms", f"{line}\nplatforms", 1))


def lines_of(printed: str) -> dict[str, str]:
    """What `doctor` says: name to the rest of its line and the indented ones below."""
    found: dict[str, str] = {}
    name = ""
    for line in printed.splitlines():
        if not line.startswith(" "):
            name, line = line[:13].strip(), line[13:]
        found[name] = f"{found.get(name, '')}\n{line.strip()}".strip()
    return found


def native(engine: docker.APIClient) -> str:
    machine = engine.info()["Architecture"]
    return f"linux/{ {'x86_64': 'amd64', 'aarch64': 'arm64'}.get(machine, machine) }"


def foreign(engine: docker.APIClient) -> str:
    return ({"linux/amd64", "linux/arm64"} - {native(engine)}).pop()


# doctor


def test_doctor_says_ok_where_a_run_can_work(
    sample: Path, engine: docker.APIClient, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor"]) == 0
    said = lines_of(capsys.readouterr().out)
    assert said["engine"].startswith("ok")
    assert engine.version()["Version"] in said["engine"]
    assert f"API {engine.version()['ApiVersion']}" in said["engine"]
    assert said["buildx"].startswith("ok")
    assert "native" in said[native(engine)]
    assert said["cache"] == f"ok       {os.environ['MLCONTAINER_CACHE_DIR']}"
    assert "train on" in said["project"]


@pytest.mark.emulation
def test_doctor_says_how_it_knows_that_a_platform_is_emulated(
    folder: Path, engine: docker.APIClient, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["doctor"])
    said = lines_of(capsys.readouterr().out)[foreign(engine)]
    assert said.startswith("ok       emulated")
    assert "builder has tried it" in said or "binfmt_misc says so" in said


def test_doctor_without_an_engine_names_its_address_and_checks_the_rest(
    sample: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", "--engine", f"unix://{sample}/no.sock"]) == 1
    said = lines_of(capsys.readouterr().out)
    assert said["engine"].startswith("missing  no engine answers")
    assert f"{sample}/no.sock" in said["engine"]
    assert "→ start Docker" in said["engine"]
    assert "buildx" not in said
    assert said["project"].startswith("ok")


def test_doctor_answers_programs_with_the_same_findings(
    sample: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    address = f"unix://{sample}/no.sock"
    assert main(["doctor", "--engine", address]) == 1
    said = lines_of(capsys.readouterr().out)
    assert main(["doctor", "--json", "--engine", address]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert (answer["schema"], answer["works"]) == (1, False)
    assert [each["name"] for each in answer["findings"]] == list(said)
    first = answer["findings"][0]
    assert (first["name"], first["status"]) == ("engine", "missing")
    assert first["remedy"].startswith("start Docker")


def test_doctor_with_an_engine_of_no_known_kind_checks_the_rest(
    sample: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", "--engine", "moon://x"]) == 1
    printed = capsys.readouterr()
    said = lines_of(printed.out)
    assert said["engine"].startswith("missing  no kind of engine has this scheme: moon://x")
    assert said["project"].startswith("ok")
    assert printed.err == ""


def test_doctor_asks_the_engine_that_docker_host_names(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{folder}/other.sock")
    assert main(["doctor"]) == 1
    assert f"{folder}/other.sock" in capsys.readouterr().out


def test_doctor_with_an_unknown_context_lists_those_there_are(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", "--engine", "no-such-context"]) == 1
    said = lines_of(capsys.readouterr().out)["engine"]
    assert "'no-such-context'; known: default" in said


def test_doctor_without_buildx_says_how_to_get_it(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(folder))
    assert main(["doctor"]) == 1
    said = lines_of(capsys.readouterr().out)
    assert said["buildx"].startswith("missing  there is no usable buildx")
    assert "docker-buildx" in said["buildx"]


def test_doctor_with_an_unknown_builder_names_the_command_that_failed(
    sample: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_key(sample, 'builder = "no-such-builder"')
    assert main(["doctor"]) == 1
    said = lines_of(capsys.readouterr().out)["buildx"]
    assert "docker buildx inspect no-such-builder" in said
    assert "`docker buildx ls` lists the builders" in said


def test_doctor_outside_a_project_only_warns(
    folder: Path, engine: docker.APIClient, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor"]) == 0
    said = lines_of(capsys.readouterr().out)["project"]
    assert said.startswith("warning  no [tool.mlcontainer]")
    assert "→ `mlcontainer init`" in said


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (TABLE.replace("command", "comand"), "comand"),
        ("[tool.mlcontainer\n", "pyproject.toml:1:18: not valid TOML"),
        (TABLE, "there is no Dockerfile"),
    ],
)
def test_doctor_shows_what_is_wrong_with_the_table(
    folder: Path, capsys: pytest.CaptureFixture[str], text: str, expected: str
) -> None:
    (folder / "pyproject.toml").write_text(text)
    assert main(["doctor"]) == 1
    said = lines_of(capsys.readouterr().out)["project"]
    assert said.startswith("missing")
    assert expected in said


def test_doctor_misses_the_program_that_before_build_needs(
    sample: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_key(sample, 'before-build = ["no-such-packer --wheel", "cd x"]')
    assert main(["doctor"]) == 1
    said = lines_of(capsys.readouterr().out)["before-build"]
    assert said.startswith("missing  no-such-packer is not on PATH")


def test_doctor_misses_a_cache_folder_that_cannot_be_made(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "file").write_text("")
    monkeypatch.setenv("MLCONTAINER_CACHE_DIR", str(folder / "file/cache"))
    assert main(["doctor"]) == 1
    said = lines_of(capsys.readouterr().out)["cache"]
    assert "cannot be written" in said
    assert "set MLCONTAINER_CACHE_DIR" in said


def test_doctor_warns_of_another_engine_that_does_not_answer(
    sample: Path, engine: docker.APIClient, capsys: pytest.CaptureFixture[str]
) -> None:
    add_key(sample, f'engines = {{ "{foreign(engine)}" = "unix://{sample}/arm.sock" }}')
    assert main(["doctor"]) == 0
    said = lines_of(capsys.readouterr().out)["other engine"]
    assert said.startswith("warning  no engine answers")


# init


def test_init_writes_what_the_project_says_and_a_run_accepts_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "pyproject.toml").write_text(
        '# kept\n[project]\nname = "rides"\nversion = "1"\n'
        '[project.scripts]\nrides-train = "rides.cli:train"\nrides-predict = "rides.cli:infer"'
    )
    (folder / "Dockerfile").write_text(
        f"FROM {BASE}\nWORKDIR /app\nCOPY dist/*.whl /tmp/\nRUN pip install /tmp/*.whl\n"
    )
    (folder / "src/rides").mkdir(parents=True)
    (folder / "src/rides/cli.py").write_text('TARGET = "artifacts/model.joblib"\n')
    (folder / "data").mkdir()
    assert main(["init"]) == 0
    assert (folder / "pyproject.toml").read_text().startswith('# kept\n[project]\nname = "rides"')
    settings = settings_in(folder)
    assert settings.build.before == ("uv build --wheel",)
    assert [str(platform) for platform in settings.platforms] == ["linux/amd64", "linux/arm64"]
    train, infer = settings.entrypoints
    assert (train.name, train.command) == ("train", ("rides-train",))
    assert (train.outputs, train.inputs) == (("artifacts/*",), (("data", "data"),))
    assert (infer.name, infer.command, infer.needs) == ("infer", ("rides-predict",), ("train",))
    assert "wrote [tool.mlcontainer]" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("train", "predict", "outputs"),
    [
        ('"models/m.txt"', '"models/m.txt"', ("stdout",)),
        ('"models/m.txt"', '"models/m.txt", "predictions/p.csv"', ("predictions/*",)),
        ('"models/m.txt"', '"models/m.txt", "models/scores.csv"', ("models/scores.csv",)),
        ("", "", ()),
        ("", '"models/m.txt"', ()),
    ],
    ids=["reads alone", "a folder of its own", "a file of its own", "nothing said", "a model"],
)
def test_init_does_not_declare_what_training_writes_for_what_follows(
    folder: Path, train: str, predict: str, outputs: tuple[str]
) -> None:
    """Copies of it that inference leaves alone are not its outputs, and a run says so."""
    (folder / "Dockerfile").write_text("FROM python:3.13-slim\nWORKDIR /srv\nCOPY . .\n")
    (folder / "train.py").write_text(f"work_on({train})\n")
    (folder / "predict.py").write_text(f"work_on({predict})\n")

    assert main(["init"]) == 0

    settings = settings_in(folder)
    trained, infer = settings.entrypoint("train"), settings.entrypoint("infer")
    assert trained is not None
    assert infer is not None
    assert infer.outputs == outputs
    assert infer.needs == (("train",) if train else ()), "what hands nothing over is not needed"
    assert not set(trained.outputs) & set(infer.outputs)


def test_init_print_leaves_the_file_alone_and_marks_what_is_guessed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "Dockerfile").write_text(f"FROM {BASE}\nWORKDIR /app\nCOPY . .\n")
    (folder / "train.py").write_text('open("models/m.bin", "wb")\n')
    (folder / "predict.py").write_text("print(1)\n")
    (folder / "data").mkdir()
    assert main(["init", str(folder), "--print"]) == 0
    assert not (folder / "pyproject.toml").exists()
    said = capsys.readouterr().out
    assert 'command = ["python", "train.py"]' in said
    assert "# Guessed: the code names models." in said
    assert 'outputs = ["models/*"]' in said
    assert 'command = ["python", "predict.py"]' in said
    assert said.count("# Guessed from ") == 2
    assert "inputs" not in said, "the image copies everything already"


@pytest.mark.parametrize(
    ("lock", "steps", "asked"),
    [
        ("uv.lock", "RUN uv sync --frozen", True),
        ("poetry.lock", "COPY pyproject.toml poetry.lock ./\nRUN pip install poetry", True),
        ("uv.lock", "COPY . .\nRUN pip install -r requirements.txt", False),
        (None, "RUN uv sync", False),
    ],
)
def test_init_holds_the_image_against_a_lock_that_it_is_made_from(
    folder: Path, lock: str | None, steps: str, asked: bool
) -> None:
    (folder / "Dockerfile").write_text(f"FROM {BASE}\n{steps}\n")
    (folder / "train.py").write_text("")
    if lock is not None:
        (folder / lock).touch()
    assert main(["init"]) == 0
    named = {check.name for check in settings_in(folder).checks if check.asked}
    assert named == ({"environment"} if asked else set())


def test_init_makes_a_pyproject_where_there_is_none(folder: Path) -> None:
    (folder / "Dockerfile").write_text(f"FROM {BASE}\nCOPY . .\n")
    (folder / "train.py").write_text("print(1)")
    assert main(["init"]) == 0
    assert settings_in(folder).entrypoints[0].name == "train"


def test_init_says_at_once_that_nothing_of_the_project_runs_yet(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what it could not read without an extra."""
    (folder / "Dockerfile").write_text(f"FROM {BASE}\nCOPY . .\n")
    assert main(["init"]) == 0
    assert "no entrypoint is in it yet: its comments say why" in capsys.readouterr().out
    monkeypatch.setitem(sys.modules, "yaml", None)
    (folder / "pyproject.toml").unlink()
    (folder / "dvc.yaml").write_text("stages: {}\n")
    assert main(["init"]) == 0
    said = capsys.readouterr().out
    assert "dvc.yaml is not read without pytest-mlcontainer[yaml]: `pip install " in said
    assert "remove the table, and write it again" in said


def test_init_finds_the_subcommands_of_a_console_script(folder: Path) -> None:
    (folder / "pyproject.toml").write_text(
        '[project]\nname = "b"\nscripts = { b = "b.cli:main" }\n'
    )
    (folder / "b").mkdir()
    (folder / "b/cli.py").write_text('add_parser("train")\nadd_parser("infer")\n')
    (folder / "Dockerfile").write_text(f'FROM {BASE}\nENTRYPOINT ["b"]\nCMD ["train"]\n')
    assert main(["init"]) == 0
    train, infer = settings_in(folder).entrypoints
    assert (train.entrypoint, train.command) == (None, ()), "the image's own CMD"
    assert (infer.entrypoint, infer.command) == (None, ("infer",))


def test_init_replaces_an_entrypoint_that_starts_something_else(folder: Path) -> None:
    (folder / "Dockerfile").write_text(
        f'FROM {BASE}\nCOPY . .\nENTRYPOINT ["python", "train.py"]\n'
    )
    (folder / "train.py").write_text("print(1)")
    (folder / "infer.py").write_text("print(1)")
    assert main(["init"]) == 0
    train, infer = settings_in(folder).entrypoints
    assert (train.entrypoint, train.command) == (None, ())
    assert (infer.entrypoint, infer.command) == ((), ("python", "infer.py"))


def test_init_declares_a_server_from_expose_and_its_health_path(folder: Path) -> None:
    (folder / "docker").mkdir()
    (folder / "docker/api.Dockerfile").write_text(
        f"FROM --platform=linux/amd64 {BASE}\nEXPOSE 9000/tcp\n"
        'CMD ["uvicorn", "service:app", "--host", "0.0.0.0", "--port", "9000"]\n'
    )
    (folder / "service.py").write_text('@app.get("/healthz")\ndef healthz(): ...\n')
    assert main(["init"]) == 0
    settings = settings_in(folder)
    assert settings.build.dockerfile == folder / "docker/api.Dockerfile"
    assert [str(platform) for platform in settings.platforms] == ["linux/amd64"]
    (serve,) = settings.entrypoints
    assert (serve.name, serve.server) == ("serve", Server(9000, "/healthz"))


@pytest.mark.parametrize(
    ("files", "dockerfile", "health"),
    [
        ({"api/main.py": '@app.get("/health")'}, "", "/health"),
        ({"api/main.py": "", "api/routes/state.py": 'router.get("/ping")'}, "", "/ping"),
        (
            {"api/main.py": '@app.get("/healthz")', "other/a.py": '@app.get("/health")'},
            "",
            "/healthz",
        ),
        ({"api/main.py": "", "tests/test_x.py": 'get("/status")'}, "", "/status"),
        (
            {"api/main.py": ""},
            "HEALTHCHECK CMD curl -f http://localhost:8000/state/live || exit 1\n",
            "/state/live",
        ),
        ({"api/main.py": "", "venv/lib/x.py": 'get("/health")'}, "", "/"),
    ],
)
def test_init_finds_the_health_path_wherever_the_code_is(
    folder: Path, files: dict[str, str], dockerfile: str, health: str
) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "Dockerfile").write_text(
        f"FROM {BASE}\nCOPY . .\nEXPOSE 8000\n{dockerfile}"
        'CMD ["uvicorn", "api.main:app", "--host", "0.0.0.0", "--port", "8000"]\n'
    )
    assert main(["init"]) == 0
    (serve,) = settings_in(folder).entrypoints
    assert serve.server == Server(8000, health)


@pytest.mark.parametrize(
    ("instructions", "commands"),
    [
        ('ENV PATH="/opt/program:${PATH}"\nCOPY program /opt/program\n', "on PATH"),
        ("COPY program/ /usr/local/bin/\n", "on PATH"),
        ("WORKDIR /opt\nCOPY program program\nENV PATH /opt/program:$PATH\n", "on PATH"),
        ("COPY program /opt/program\n", "nothing"),
    ],
)
def test_init_finds_programs_that_the_image_has_on_its_path(
    folder: Path, instructions: str, commands: str
) -> None:
    """As images for hosted training have them."""
    (folder / "program").mkdir()
    (folder / "program" / "train").write_text(
        '#!/usr/bin/env python3\nopen("/opt/ml/model/model.txt", "w").write("1")\n'
    )
    (folder / "program" / "train").chmod(0o755)
    (folder / "program" / "predict").write_text("#!/bin/sh\necho\n")
    (folder / "Dockerfile").write_text(f"FROM {BASE}\n{instructions}")
    assert main(["init"]) == 0
    entries = settings_in(folder).entrypoints
    if commands == "nothing":
        assert entries == ()
        return
    train, infer = entries
    assert (train.command, train.outputs) == (("train",), ("/opt/ml/model/*",))
    assert infer.command[0] == "sh"  # without its bit it cannot be executed
    assert infer.command[1].endswith("/predict")


def test_init_without_a_dockerfile_at_its_place_names_those_elsewhere(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for place in ("deploy/cpu", "deploy/gpu", "node_modules/x", ".venv/y"):
        (folder / place).mkdir(parents=True)
        (folder / place / "Dockerfile").write_text(f'FROM {BASE}\nCMD ["bikes"]\n')
    assert main(["init"]) == 1
    said = capsys.readouterr().err
    assert "elsewhere: deploy/cpu/Dockerfile, deploy/gpu/Dockerfile\n" in said
    assert "`mlcontainer init --dockerfile deploy/cpu/Dockerfile`" in said

    assert main(["init", "--dockerfile", "deploy/gpu/Dockerfile"]) == 0
    assert settings_in(folder).build.dockerfile == folder / "deploy/gpu/Dockerfile"


def test_init_names_of_dockerfiles_elsewhere_the_one_that_trains_and_its_context(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for place in ("app", "train"):
        (folder / place).mkdir()
        (folder / place / f"{place}.py").write_text("print(1)\n")
        (folder / place / "Dockerfile").write_text(
            f'FROM {BASE}\nCOPY {place}.py .\nCMD ["python", "{place}.py"]\n'
        )
    assert main(["init"]) == 1
    assert "→ `cd train && mlcontainer init`, because it copies " in capsys.readouterr().err


def test_init_takes_the_dockerfile_that_trains_of_those_in_their_folder(folder: Path) -> None:
    (folder / "dockerfiles").mkdir()
    for name in ("api", "train"):
        text = f'FROM {BASE}\nCOPY {name}.py .\nCMD ["python", "{name}.py"]\n'
        (folder / f"dockerfiles/{name}.dockerfile").write_text(text)
        (folder / f"{name}.py").write_text("print(1)\n")
    assert main(["init"]) == 0
    assert settings_in(folder).build.dockerfile == folder / "dockerfiles/train.dockerfile"


def test_init_names_no_folder_of_data_as_an_input_of_which_the_image_copies_a_file(
    folder: Path,
) -> None:
    (folder / "data").mkdir()
    (folder / "data/rides.csv").write_text("1")
    (folder / "train.py").write_text("print(1)\n")
    (folder / "Dockerfile").write_text(f"FROM {BASE}\nCOPY data/rides.csv data/\nCOPY train.py .\n")
    assert main(["init"]) == 0
    (train,) = settings_in(folder).entrypoints
    assert train.inputs == ()


def test_init_refuses_a_dockerfile_that_is_none_of_the_projects(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "inside").mkdir()
    (folder / "Dockerfile").write_text(f"FROM {BASE}\n")
    for name in ("no/Dockerfile", "../Dockerfile"):
        assert main(["init", "inside", "--dockerfile", name]) == 1
        assert "there is no such Dockerfile in the project" in capsys.readouterr().err


def test_init_prefers_of_several_dockerfiles_one_that_starts_something(folder: Path) -> None:
    (folder / "docker").mkdir()
    (folder / "docker/base.dockerfile").write_text(f"FROM {BASE}\n")
    (folder / "docker/run.dockerfile").write_text(f'FROM {BASE}\nENTRYPOINT ["bikes"]\n')
    assert main(["init"]) == 0
    assert settings_in(folder).build.dockerfile == folder / "docker/run.dockerfile"


def test_init_keeps_the_line_ends_of_the_file(folder: Path) -> None:
    (folder / "pyproject.toml").write_bytes(b'[project]\r\nname = "w"\r\n')
    (folder / "Dockerfile").write_text(f"FROM {BASE}\n")
    assert main(["init"]) == 0
    after = (folder / "pyproject.toml").read_bytes()
    assert after.count(b"\n") == after.count(b"\r\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (TABLE, "there is a [tool.mlcontainer] already"),
        ("[project\nname = 1\n", "not valid TOML"),
        ("tool = { other = 1 }\n", "a table cannot be appended"),
    ],
)
def test_init_refuses_a_file_that_it_would_spoil(
    folder: Path, capsys: pytest.CaptureFixture[str], text: str, expected: str
) -> None:
    (folder / "pyproject.toml").write_text(text)
    (folder / "Dockerfile").write_text(f"FROM {BASE}\n")
    assert main(["init"]) == 1
    assert expected in capsys.readouterr().err
    assert (folder / "pyproject.toml").read_text() == text


def test_init_without_a_dockerfile_or_a_folder_says_so(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init"]) == 1
    assert "there is no Dockerfile" in capsys.readouterr().err
    assert main(["init", "nowhere"]) == 1
    assert "there is no such folder" in capsys.readouterr().err
    assert not (folder / "pyproject.toml").exists()


# clean


def make(engine: docker.APIClient, owner: Owner, **labels: str) -> tuple[str, str]:
    """A container with a labelled volume, as a run of `owner` makes them."""
    volume = f"mlcontainer-{owner.session[:12]}-test"
    engine.create_volume(volume, labels=owner.labels())
    host = engine.create_host_config(network_mode="none", binds=[f"{volume}:/data"])
    container = engine.create_container(
        BASE, ["true"], labels={**owner.labels(), **labels}, host_config=host
    )
    return container["Id"], volume


def exists(engine: docker.APIClient, made: tuple[str, str]) -> tuple[bool, bool]:
    container, volume = made
    volumes = engine.volumes(filters={"name": volume})["Volumes"] or ()
    return (
        bool(engine.containers(all=True, filters={"id": container})),
        any(each["Name"] == volume for each in volumes),
    )


def remove(engine: docker.APIClient, *things: tuple[str, str]) -> None:
    for container, volume in things:
        if exists(engine, (container, volume))[0]:
            engine.remove_container(container, force=True)
        if exists(engine, (container, volume))[1]:
            engine.remove_volume(volume)


def dead_owner() -> Owner:
    """A process of this machine that has ended."""
    return Owner(uuid.uuid4().hex, host_name(), os.getpid(), "1@long-ago")


def test_kept_containers_outlive_the_next_session_and_clean_removes_them(
    engine: docker.APIClient, alone: None, capsys: pytest.CaptureFixture[str]
) -> None:
    owner = dead_owner()
    kept = make(engine, owner, **{f"{LABEL}.keep": "true"})
    gone = make(engine, dead_owner())
    living = make(engine, current_owner(uuid.uuid4().hex))
    away = make(engine, Owner(uuid.uuid4().hex, "ci-7/pid:[1]", 1, "1@x"))
    try:
        remove_dead(engine, current_owner(uuid.uuid4().hex))
        # The session of another test may be removing just the same.
        deadline = time.monotonic() + 10
        while exists(engine, gone) != (False, False):
            assert time.monotonic() < deadline, exists(engine, gone)
            time.sleep(0.1)
        assert exists(engine, kept) == (True, True), "a volume stays with its container"
        assert owner.session not in remove_dead(engine, current_owner("x")), "nothing was removed"

        assert main(["clean", "--dry-run"]) == 0
        said = capsys.readouterr().out
        assert exists(engine, kept) == (True, True)
        (line,) = [line for line in said.splitlines() if f"session {owner.session[:8]}, k" in line]
        assert line.startswith("  would remove  container ")
        assert "kept by --container-keep" in line

        assert main(["clean"]) == 0
        said = capsys.readouterr().out
        assert exists(engine, kept) == (False, False)
        assert f"  removed       volume {kept[1]}" in said
        assert exists(engine, living) == exists(engine, away) == (True, True)
        assert f"process {os.getpid()} still runs" in said
        assert "on ci-7/pid:[1]: only there is it known" in said
    finally:
        remove(engine, kept, gone, living, away)


def test_a_run_with_container_keep_leaves_what_only_clean_removes(
    project: MakeProject, engine: docker.APIClient, alone: None, capsys: pytest.CaptureFixture[str]
) -> None:
    project.write()
    result = run_pytest(project.root, "--container-keep=all")
    assert result.returncode == 0, result.stdout
    kept = containers_of(engine, project.root)
    assert kept
    assert all(f"{LABEL}.keep" in container["Labels"] for container in kept)
    assert run_pytest(project.root, "-k", "image").returncode == 0
    ids = {container["Id"] for container in kept}
    assert ids <= {container["Id"] for container in engine.containers(all=True)}, "swept"
    assert main(["clean"]) == 0
    said = capsys.readouterr().out
    assert not ids & {container["Id"] for container in engine.containers(all=True)}
    for container in kept:
        assert f"removed       container {container['Names'][0].lstrip('/')}" in said
        assert not list_images(engine, container["Image"])


def test_clean_leaves_a_users_own_container_of_an_image_of_ours(
    engine: docker.APIClient, alone: None, capsys: pytest.CaptureFixture[str]
) -> None:
    inherited = {LABEL: "true", f"{LABEL}.project": "sample"}
    mine = engine.create_container(BASE, ["true"], labels=inherited, name=f"mine-{os.getpid()}")
    try:
        assert main(["clean"]) == 0
        assert engine.containers(all=True, filters={"id": mine["Id"]})
        assert f"mine-{os.getpid()}" not in capsys.readouterr().out
    finally:
        engine.remove_container(mine["Id"])


def test_clean_empties_the_cache_of_sessions_that_are_gone(
    folder: Path, alone: None, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = Path(os.environ["MLCONTAINER_CACHE_DIR"])
    idle, busy = cache / "idle", cache / "busy"
    for store, started in ((idle, "1@long-ago"), (busy, current_owner("b").pid_start)):
        (store / "run-1").mkdir(parents=True)
        (store / "run-1/big").write_bytes(b"0" * 2_000_000)
        (store / "sessions").mkdir()
        session = {"host": host_name(), "pid": os.getpid(), "pid_start": started}
        (store / f"sessions/{store.name}.json").write_text(
            json.dumps({**session, "beside": [], "ended": False})
        )
        (cache / f"session-{store.name}.jsonl").write_text(json.dumps({"store": str(store)}) + "\n")
    assert main(["clean", "--dry-run"]) == 0
    assert "would remove  1 results of sessions that ended (2.0 MB)" in capsys.readouterr().out
    assert (idle / "run-1").exists()
    assert main(["clean"]) == 0
    assert not (idle / "run-1").exists()
    assert not (cache / "session-idle.jsonl").exists()
    assert (busy / "run-1/big").exists()
    assert (cache / "session-busy.jsonl").exists()
    capsys.readouterr()
    assert main(["clean"]) == 0
    assert "results of sessions" not in capsys.readouterr().out


def test_clean_without_an_engine_says_so_and_forgets_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = Path(os.environ["MLCONTAINER_CACHE_DIR"])
    note = cache / "session-dead.jsonl"
    note.write_text(json.dumps({"endpoint": f"unix://{folder}/gone.sock"}) + "\n")
    hours_ago = time.time() - 7200
    os.utime(note, (hours_ago, hours_ago))
    assert main(["clean", "--dry-run"]) == 1
    said = capsys.readouterr().out
    assert f"engine unix://{folder}/gone.sock" in said
    assert "no engine answers" in said
    assert main(["clean", "--engine", f"unix://{folder}/none.sock"]) == 1
    assert note.exists()


# the command


@pytest.mark.parametrize("argv", [[], ["cleen"], ["init", "--prnt"]])
def test_a_wrong_command_line_ends_with_2_and_the_usage(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(argv)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "usage: mlcontainer" in said
    assert ("write a first [tool.mlcontainer]" in said) == (argv == [])


def test_the_installed_command_answers() -> None:
    command = Path(sys.executable).with_name("mlcontainer")
    done = subprocess.run([command, "--help"], capture_output=True, text=True, check=True)
    assert "doctor" in done.stdout
    assert "clean" in done.stdout


def run_pytest(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:randomly", "--container", *words],
        cwd=root,
        capture_output=True,
        text=True,
    )


def containers_of(engine: docker.APIClient, root: Path) -> list[dict[str, Any]]:
    """Containers of images that were built for the project in `root`."""
    where = hashlib.sha256(str(root).encode()).hexdigest()[:10]
    found = engine.containers(all=True, filters={"label": [f"{LABEL}.session"]})
    return [container for container in found if f"-{where}:" in container["Image"]]
