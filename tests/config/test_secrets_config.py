"""`secrets`: where they come from and go, and what is wrong with those that cannot be given."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_mlcontainer import config
from pytest_mlcontainer.errors import ConfigError, MlContainerError
from pytest_mlcontainer.model import Secret, Settings
from pytest_mlcontainer.secrets import (
    Redactor,
    disclose,
    exposed_arguments,
    find_problems,
    read_values,
)

TRAIN = '[entrypoints.train]\ncommand = ["train"]\n'


def settings_of(toml: str) -> Settings:
    file = Path("/project/pyproject.toml")
    return config.parse_settings(tomllib.loads(toml), file, "x86_64", "bikes")


def problems_of(toml: str) -> list[tuple[str, str, str]]:
    with pytest.raises(ConfigError) as caught:
        settings_of(toml)
    return [
        (problem.what.removeprefix("pyproject.toml: [tool.mlcontainer"), problem.value,
         problem.remedy)
        for problem in caught.value.problems
    ]  # fmt: skip


def test_variables_and_files_are_read_and_merged() -> None:
    """As `env` is; a path of this machine is relative to the file."""
    settings = settings_of(
        'secrets = { A = "env:A", "/run//secrets/b" = "file:b.txt" }\n' + TRAIN +
        'secrets = { A = "file:/etc/a", C = "env:X" }\n[entrypoints.infer]\ncommand = ["infer"]'
    )  # fmt: skip
    b = Secret("/run/secrets/b", file=Path("/project/b.txt"))
    train, infer = settings.entrypoints
    assert train.secrets == (Secret("A", file=Path("/etc/a")), b, Secret("C", env="X"))
    assert infer.secrets == (Secret("A", env="A"), b)


@pytest.mark.parametrize(
    ("toml", "problem"),
    [
        (
            'secrets = { "1a" = "env:A" }',
            ("] secrets.1a: not a variable's name", '"1a"', "use letters, digits, _, - and . and "
             "begin with a letter or _"),
        ),
        (
            'secrets = { "run/token" = "env:A" }',
            ('] secrets."run/token": has to be an absolute path in the container', '"run/token"',
             'write "/run/token"'),
        ),
        (
            'secrets = { "/run/../token" = "env:A" }',
            ('] secrets."/run/../token": may not leave the container by ..', '"/run/../token"',
             "write the path that it leads to"),
        ),
        (
            'secrets = { "/token" = "env:A" }',
            ('] secrets."/token": not the path of a file in a folder', '"/token"',
             'write the path of a file in a folder: "/run/secrets/token"'),
        ),
        (
            'secrets = { "/run/secrets/" = "env:A" }',
            ('] secrets."/run/secrets/": not the path of a file in a folder', '"/run/secrets/"',
             'write the path of a file in a folder: "/run/secrets/secrets"'),
        ),
        (
            'secrets = { "/tmp/token" = "env:A" }',
            ('] secrets."/tmp/token": would be hidden by what engines mount on /tmp',
             '"/tmp/token"', 'write "/run/secrets/token"'),
        ),
        (
            'secrets = { A = "hunter2-hunter2" }',
            ("] secrets.A: does not say where the secret is", "a string of 15 characters",
             'write "file:path/to/secret" or "env:NAME"'),
        ),
        (
            'secrets = { A = "env:A" }\nenv = { A = "1" }\n' + TRAIN,
            ("] secrets.A: is set by env too", "A", "remove it from one of the two"),
        ),
        (
            'env = { A = "1" }\n' + TRAIN + 'secrets = { A = "env:A" }',
            (".entrypoints.train] secrets.A: is set by env too", "A",
             "remove it from one of the two"),
        ),
        (
            TRAIN + 'secrets = { SEED = "env:A" }\nseeds = ["1", "2"]',
            (".entrypoints.train] secrets.SEED: is the variable of the seeds", "SEED",
             "name another variable for the seed: seed-env"),
        ),
        (
            TRAIN + 'secrets = { "/data/x" = "env:A" }\ninputs = { d = "/data" }',
            ('.entrypoints.train] secrets."/data/x": goes where the input "d" goes', "/data",
             'give it a path of its own: "/run/secrets/x"'),
        ),
        (
            'platforms = ["host"]\n' + TRAIN + 'secrets = { "/etc/x" = "env:A", B = "env:A" }',
            (".entrypoints.train] secrets: the platform host has no container, so no file can be "
             "put at a container path", '"/etc/x"',
             "give them as variables, or remove host from the platforms"),
        ),
    ],
)  # fmt: skip
def test_bad_ones_are_reported(toml: str, problem: tuple[str, str, str]) -> None:
    """Once each, and never with what may be the secret itself."""
    assert problems_of(toml) == [problem]


def test_variables_and_files_are_read(tmp_path: Path) -> None:
    """A file's last line end is no part of a variable, and stays in a file."""
    (tmp_path / "token").write_bytes(b"from-a-file\r\n")
    file = tmp_path / "token"
    secrets = (
        Secret("A", env="X"),
        Secret("B", file=file),
        Secret("/run/b", file=file),
        Secret("/run/a", env="X"),
    )
    given = disclose(secrets, {"X": "from-a-variable\n"}, Redactor())
    assert given.variables == (("A", "from-a-variable\n"), ("B", "from-a-file"))
    assert given.files == (("/run/b", b"from-a-file\r\n"), ("/run/a", b"from-a-variable\n"))
    assert given.hidden.text("from-a-file from-a-variable") == "*** ***"
    assert "from-a" not in repr(given)


UNREADABLE: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "missing": (lambda _path: None, "no such file", "create it, or correct the path (~ and"),
    "folder": (lambda path: path.mkdir(), "is not a file", "create it, or correct the path"),
    "empty": (lambda path: path.write_text(" \n"), "is empty", "set it: a value of at least 6"),
    "short": (lambda path: path.write_text("12345\n"), "has fewer than 6 characters", "set it: a"),
    "large": (
        lambda path: path.write_bytes(b"a" * (1 << 20) + b"b"),
        "is larger than 1 MiB, the most that is looked for in what is shown",
        "give data of this size as an input",
    ),
    "lines": (
        lambda path: path.write_bytes(b"abcdefghi\n" * 1001),
        "has more than 1000 lines, the most that are looked for in what is shown",
        "give a secret with fewer lines",
    ),
    "NUL": (
        lambda path: path.write_bytes(b"abc\0defghi"),
        "holds the byte 0, which no variable can",
        'give it as a file: "/run/secrets/A" = …',
    ),
    "no text": (
        lambda path: path.write_bytes(b"abcdef\xff"),
        "is not UTF-8, which engines want of variables",
        'give it as a file: "/run/secrets/A" = …',
    ),
    "long variable": (
        lambda path: path.write_bytes(b"a" * (1 << 17)),
        "is too long for a variable, which Linux limits to 131072 bytes",
        'give it as a file: "/run/secrets/A" = …',
    ),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_what_cannot_be_given_says_why(tmp_path: Path, kind: str) -> None:
    """Where it should come from, and what to do; never the value."""
    make, what, remedy = UNREADABLE[kind]
    make(tmp_path / "token")
    ((_secret, problem),) = find_problems((Secret("A", file=tmp_path / "token"),), {})
    assert (problem.what, problem.value) == (what, f'"{tmp_path / "token"}"')
    assert problem.remedy.startswith(remedy)


def test_a_variable_that_is_not_set_is_named() -> None:
    """With what to do on a laptop and in CI."""
    secret = Secret("/run/secrets/token", env="HF_TOKEN")
    ((_secret, problem),) = find_problems((secret,), {})
    assert problem.args == (
        "is not set",
        "the environment variable HF_TOKEN",
        "export HF_TOKEN where pytest is started; in CI from the CI's own secrets",
    )
    with pytest.raises(MlContainerError):
        disclose((secret,), {}, Redactor())
    assert read_values((secret,), {}) == Redactor()


def test_a_build_may_be_given_an_empty_one(tmp_path: Path) -> None:
    """Such as a configuration that only CI fills; any other problem is one here too."""
    (tmp_path / "a").touch()
    (tmp_path / "b").write_text("123")
    secrets = tuple(Secret(name, file=tmp_path / name) for name in "ab")
    found = [(secret.id, why.what) for secret, why in find_problems(secrets, {}, build=True)]
    assert found == [("b", "has fewer than 6 characters")]


COPYING = {
    "all": ("COPY . .", "", "ci/token", "."),
    "ADD": ("ADD ./ /app", "", "token", "."),
    "a folder": ("COPY --chown=1:1 ci ./", "", "ci/token", "ci"),
    "a glob": ("COPY *.tok \\\n  other /app/", "", "a.tok", "*.tok"),
    "itself": ('COPY ["ci/token", "/x"]', "", "ci/token", "ci/token"),
    "quoted": ('COPY "ci/token" "/x"', "", "ci/token", "ci/token"),
    "ignored": ("COPY . .", "# mine\nci", "ci/token", None),
    "ignored anywhere": ("COPY . .", "**/token", "a/b/token", None),
    "ignored by all": ("COPY . .", "*\n!src", "token", None),
    "not ignored after all": ("COPY . .", "*\n!ci", "ci/token", "."),
    "from a stage": ("COPY --from=base . .", "", "token", None),
    "elsewhere": ("COPY src .", "", "token", None),
    "outside": ("COPY . .", "", "../token", None),
}


@pytest.mark.parametrize("case", COPYING)
def test_a_secret_that_a_build_copies_is_refused(tmp_path: Path, case: str) -> None:
    """It would be in a layer, for everybody who has the image."""
    copy, ignore, name, source = COPYING[case]
    root = tmp_path / "project"
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text("a-secret")
    (root / "Dockerfile").write_text(f"FROM base\n{copy}\n")
    (root / ".dockerignore").write_text(ignore)
    toml = f'secrets = {{ A = "file:{name}", B = "env:B" }}\n{TRAIN}'
    settings = config.parse_settings(tomllib.loads(toml), root / "pyproject.toml", "x86_64", "")
    found = [(problem.what, problem.value) for problem in config.check_files(settings)]
    what = (
        "pyproject.toml: [tool.mlcontainer] Dockerfile copies the file of the secret A into the "
        "image"
    )
    expected = [] if source is None else [(what, f"COPY {source} takes {root / name}")]
    assert found == expected
    (root / "Dockerfile.dockerignore").write_text("**")
    assert config.check_files(settings) == ()


@pytest.mark.parametrize(
    ("name", "warned"),
    [
        ("PIP_TOKEN", True), ("TOKEN", True), ("DB_PASSWORD", True), ("api-key", True),
        ("AWS_SECRET_ACCESS_KEY", True), ("GITHUB_TOKEN_2", True), ("CLIENT_SECRET", True),
        ("TOKENIZER", False), ("MAX_TOKENS", False), ("KEYBOARD", False), ("CUDA", False),
        ("AWS_ACCESS_KEY_ID", False), ("PASSWORD_FILE", False), ("EMPTY_TOKEN", False),
    ],
)  # fmt: skip
def test_build_arguments_called_like_secrets_are_told(name: str, warned: bool) -> None:
    """BuildKit keeps them in the image's history; names that only look alike are left alone."""
    value = "" if name.startswith("EMPTY") else "x"
    lines = exposed_arguments(settings_of(f'build-args = {{ "{name}" = "{value}" }}').build)
    assert lines == (
        (f"build-args.{name}: whoever has the image can read build arguments in its history; "
         "a secret belongs in build-secrets",) if warned else ()
    )  # fmt: skip
