"""Secrets reach builds and runs, and then are in nothing that is kept or shown."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import shutil
import sys
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import docker
import pytest

from tests.fixture_types import FailureOf
from tests.sample_project import MakeProject

BASE = "python:3.13-slim"
VALUES = {
    "BUILD_TOKEN": "build-variable-é/7Qw9+x",
    "build.txt": "build-file-5f1e6c40b2\nsecond-line-90aa17\n",
    "RUN_TOKEN": "run-variable-Zk3=81&yh",
    "run.txt": "run-file-2b9d77c1\n",
}
CONFIG = """
build-secrets = { token = "env:BUILD_TOKEN", file = "file:build.txt" }
cache-to = "type=inline"
secrets = { TOKEN = "env:RUN_TOKEN", "/run/secrets/file" = "file:run.txt" }
writable = ["outputs"]

[tool.mlcontainer.entrypoints.train]
command = ["python", "train.py"]
outputs = ["outputs/digests.json"]
vary = ["user", "read-only", "workdir"]

[tool.mlcontainer.entrypoints.leak]
command = ["python", "leak.py"]
outputs = ["outputs/*"]

[tool.mlcontainer.entrypoints.dies]
command = ["python", "leak.py"]
port = 8000
"""
DOCKERFILE = f"""\
FROM {BASE}
WORKDIR /app
COPY train.py leak.py ./
ARG AGAIN
RUN --mount=type=secret,id=token --mount=type=secret,id=file,target=/secret \\
    cat /run/secrets/token /secret && base64 /run/secrets/token >&2 && sha256sum /secret
USER 1234
ENTRYPOINT []
"""
TRAIN = """
import hashlib, json, os, pathlib
secret = pathlib.Path("/run/secrets/file")
values = os.environ["TOKEN"].encode(), secret.read_bytes()
text = json.dumps([hashlib.sha256(value).hexdigest() for value in values])
pathlib.Path("outputs/digests.json").write_text(text)
print(oct(secret.stat().st_mode), secret.stat().st_uid == os.getuid())
"""
LEAK = """
import base64, os, pathlib, sys
token, file = os.environ["TOKEN"], pathlib.Path("/run/secrets/file").read_text()
print("token:", token, "file:", file, repr(file))
print(base64.b64encode(f"user:{token}".encode()).decode(), token.encode().hex())
print("x" * 65_530 + token, file=sys.stderr)
os.makedirs("outputs/" + token)
for name, text in {
    "plain": token, "deep": "y" * (1 << 20) + file, "clean": "nothing here",
    "plain.b64": base64.b64encode(token.encode()).decode(),
    f"a {token}.txt": "a name", f"{token}/x": "a folder's",
}.items():
    pathlib.Path("outputs", name).write_text(text)
os.symlink("/run/secrets/file", "outputs/linked")
raise RuntimeError("not allowed: " + token)
"""

SAVE = """
import docker, json, os, pathlib
def test_save_it(project_image):
    api, folder = docker.from_env().api, pathlib.Path(os.environ["SAVED"])
    name = project_image.reference
    about = api.inspect_image(name), api.history(name)
    (folder / "image.json").write_text(json.dumps(about, ensure_ascii=False))
    with (folder / "image.tar").open("wb") as file:
        for chunk in api.get_image(name):
            file.write(chunk)
"""


def spellings(value: str) -> Iterator[bytes]:
    """Each line in forms of which none may be found anywhere."""
    for line in value.splitlines():
        raw = line.encode()
        yield from (raw, quote(line).encode(), raw.hex().encode(), json.dumps(line)[1:-1].encode())
        yield from (base64.b64encode(bytes(shift) + raw)[4:-4] for shift in range(3))


FORBIDDEN = {form: name for name, value in VALUES.items() for form in spellings(value)}


def leaks(where: str, data: bytes) -> list[str]:
    return [f"{where}: {name} as {form!r}" for form, name in FORBIDDEN.items() if form in data]


def leaks_below(folder: Path) -> list[str]:
    """In names and contents of all files but those that the secrets come from."""
    found = []
    for path in sorted(folder.rglob("*")):
        found += leaks("a name", str(path.relative_to(folder)).encode("utf-8", "surrogateescape"))
        if path.is_file() and path.name not in VALUES:
            found += leaks(str(path), path.read_bytes())
    return found


def leaks_in_layers(saved: Path, base: tuple[str, ...]) -> list[str]:
    """In the layers and manifests of a saved image, but for the layers of its base."""
    found = []
    with tarfile.open(saved) as archive:
        for member in archive:
            file = archive.extractfile(member)
            if file is not None and f"sha256:{Path(member.name).name}" not in base:
                data = file.read()
                found += leaks(member.name, data)
                if data[:2] == b"\x1f\x8b":
                    found += leaks(member.name, gzip.decompress(data))
    return found


@pytest.fixture
def secret_project(project: MakeProject, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, value in VALUES.items():
        if "." in name:
            project.write().joinpath(name).write_text(value)
        else:
            monkeypatch.setenv(name, value)
    return project


def test_no_value_is_found_anywhere(
    secret_project: Any,
    engine: docker.APIClient,
    failure_of: FailureOf,
    native: str,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    leaves_nothing: None,
) -> None:
    """Whatever a build and runs print and write: not in an image, a log, a record or a report."""
    again = uuid.uuid4()  # else nothing is printed
    arguments = f'build-args = {{ AGAIN = "{again}", PIP_TOKEN = "x" }}\n'
    root = secret_project.write(
        arguments + CONFIG, dockerfile=DOCKERFILE, train=TRAIN, leak__py=LEAK
    )
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("MLCONTAINER_CACHE_DIR", str(cache))
    saved = tmp_path_factory.mktemp("saved")
    monkeypatch.setenv("SAVED", str(saved))
    (root / "test_image.py").write_text(SAVE)
    result = secret_project.pytester.runpytest_subprocess(
        "-p", "no:randomly", "--container", "-vv", "-l", "--container-report=report",
        "--container-records=records", "--junitxml=junit.xml",
    )  # fmt: skip
    shutil.copytree(root / "records", root / "there")
    command = "from pytest_mlcontainer.cli import main; main()"
    compared = secret_project.pytester.run(
        sys.executable, "-c", command, "compare", "records", "there"
    )

    result.assert_outcomes(passed=4, failed=2)
    base = tuple(engine.inspect_image(BASE)["RootFS"]["Layers"])
    assert leaks_in_layers(saved / "image.tar", base) == []
    assert leaks("image", (saved / "image.json").read_bytes()) == []
    assert leaks_below(root) == []
    assert leaks_below(cache) == []
    assert leaks("terminal", (result.stdout.str() + result.stderr.str()).encode()) == []
    assert leaks("compare", (compared.stdout.str() + compared.stderr.str()).encode()) == []
    assert "build-args.PIP_TOKEN: whoever has the image can read" in result.stdout.str()
    # And yet all of it was there, and what was said besides is left.
    assert hashlib.sha256(VALUES["build.txt"].encode()).hexdigest() in result.stdout.str()
    record = root / "records" / "train" / native.replace("/", "-")
    digests = json.loads(next(record.rglob("digests.json")).read_text())
    assert digests == [
        hashlib.sha256(VALUES[name].encode()).hexdigest() for name in ("RUN_TOKEN", "run.txt")
    ]
    assert (record / "stdout.log").read_text() == "0o100400 True\n"
    assert "RuntimeError: not allowed: ***" in failure_of(result, "leak[")
    assert "RuntimeError: not allowed: ***" in failure_of(result, "dies[")
    record = root / "records" / "leak" / native.replace("/", "-")
    said = (record / "stdout.log").read_text()
    assert said.startswith("token: *** file: ***\n '***\\n'\nd")
    outputs = record / "outputs"
    assert [path.name for path in outputs.rglob("*") if path.is_file()] == ["clean"]
    refused = json.loads((record / "record.json").read_text())["refused"]
    assert set(refused) == {
        "outputs/linked: holds the value of the secret /run/secrets/file",
        "outputs/***/x: its name holds the value of the secret TOKEN",
        "outputs/a ***.txt: its name holds the value of the secret TOKEN",
        "outputs/deep: holds the value of the secret /run/secrets/file",
        "outputs/plain.b64: holds the value of the secret TOKEN",
        "outputs/plain: holds the value of the secret TOKEN",
    }


HOST = """
platforms = ["host"]

[tool.mlcontainer.entrypoints.leak]
command = ["python", "leak.py"]
outputs = ["outputs/*"]
secrets = { TOKEN = "env:RUN_TOKEN", FROM_FILE = "file:run.txt" }
"""
LEAK_ON_HOST = """
import os, pathlib
os.makedirs("outputs")
pathlib.Path("outputs", "file").write_text(os.environ["FROM_FILE"])
pathlib.Path("outputs", "length").write_text(str(len(os.environ["FROM_FILE"])))
raise RuntimeError("not allowed: " + os.environ["TOKEN"])
"""


def test_a_run_on_this_machine_gets_variables(
    secret_project: Any, failure_of: FailureOf, tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """With the same promises: no container is needed to keep them."""
    root = secret_project.write(HOST, dockerfile=None, leak__py=LEAK_ON_HOST)
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("MLCONTAINER_CACHE_DIR", str(cache))

    result = secret_project.run("--container-records=records", "--junitxml=junit.xml")

    result.assert_outcomes(failed=1)
    assert leaks_below(root) == []
    assert leaks_below(cache) == []
    assert leaks("terminal", result.stdout.str().encode()) == []
    assert "RuntimeError: not allowed: ***" in failure_of(result, "leak[")
    raw = json.loads((root / "records" / "leak" / "host" / "record.json").read_text())
    assert raw["refused"] == ["outputs/file: holds the value of the secret FROM_FILE"]
    assert next(root.rglob("records/**/length")).read_text() == "17"


def test_a_failed_build_shows_no_secret(secret_project: Any, failure_of: FailureOf) -> None:
    """Not in the lines of the step, nor in what the cache keeps of the failure."""
    dockerfile = f"FROM {BASE}\nRUN --mount=type=secret,id=token cat /run/secrets/token; exit 7\n"
    root = secret_project.write(CONFIG, dockerfile=dockerfile, leak__py="")

    result = secret_project.run("-k", "image", "--container-report=report")

    said = failure_of(result, "image[")
    assert "exit code: 7" in said
    assert "***" in said
    assert leaks("terminal", result.stdout.str().encode()) == []
    assert leaks_below(root) == []


def test_what_is_missing_is_said_before_anything_is_built(
    secret_project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it at once."""
    root = secret_project.write(CONFIG, dockerfile="FROM no-such-image\n", leak__py="")
    monkeypatch.delenv("RUN_TOKEN")
    (root / "run.txt").unlink()

    result = secret_project.run()

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([
        "*2 problems in the configuration; nothing was built or run:",
        "*pyproject.toml: secrets.TOKEN: is not set: the environment variable RUN_TOKEN",
        "*→ export RUN_TOKEN where pytest is started; in CI from the CI's own secrets",
        '*pyproject.toml: secrets."/run/secrets/file": no such file: "*run.txt"',
        "*→ create it, or correct the path (~ and variables are not expanded)",
    ])  # fmt: skip
    command = "from pytest_mlcontainer.cli import main; main()"
    said = secret_project.pytester.run(sys.executable, "-c", command, "doctor").stdout
    said.fnmatch_lines(["secrets * warning *secrets.TOKEN: is not set: *variable RUN_TOKEN"])
