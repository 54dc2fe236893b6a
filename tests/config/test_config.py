from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_mlcontainer import config
from pytest_mlcontainer.config import keys
from pytest_mlcontainer.errors import ConfigError, MlContainerError
from pytest_mlcontainer.model import (
    ALL_VARIATIONS,
    DEFAULT_BUDGET,
    HOST,
    BuildSettings,
    CheckSettings,
    Emulation,
    Entrypoint,
    KeepPolicy,
    Limits,
    NeedsFrom,
    Options,
    Platform,
    Rule,
    Secret,
    Server,
    Settings,
    Tolerance,
)

FILE = Path("/project/pyproject.toml")
AMD64 = Platform("linux", "amd64")
ARM64 = Platform("linux", "arm64")
DOCS = Path(__file__).parents[2] / "docs" / "reference" / "configuration.md"


def settings_of(toml: str) -> Settings:
    """Settings of a `[tool.mlcontainer]` whose inner tables are written without that prefix."""
    return config.parse_settings(tomllib.loads(toml), FILE, "x86_64", "bikes")


def entry_of(toml: str) -> Entrypoint:
    return settings_of(f"[entrypoints.train]\n{toml}").entrypoints[0]


def problems_of(toml: str) -> tuple[MlContainerError, ...]:
    with pytest.raises(ConfigError) as caught:
        settings_of(toml)
    return caught.value.problems


def problem_of(toml: str) -> MlContainerError:
    (problem,) = problems_of(toml)
    return problem


class TestPlatform:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("linux/amd64", "linux/amd64"),
            ("linux/arm64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/amd64/v1", "linux/amd64"),
            ("linux/amd64/v3", "linux/amd64/v3"),
            ("linux/arm/v7", "linux/arm/v7"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/x86_64", "linux/amd64"),
            ("aarch64", "linux/arm64"),
            ("AMD64", "linux/amd64"),
            (" arm64 ", "linux/arm64"),
            ("linux/s390x", "linux/s390x"),
            ("host", "host"),
        ],
    )
    def test_aliases_become_the_oci_name(self, text: str, expected: str) -> None:
        """Whatever people call a platform, there is one value for it."""
        assert str(config.parse_platform(text, "x86_64")) == expected

    @pytest.mark.parametrize(
        ("machine", "expected"),
        [("x86_64", AMD64), ("AMD64", AMD64), ("aarch64", ARM64), ("arm64", ARM64)],
    )
    def test_native_is_the_machine(self, machine: str, expected: Platform) -> None:
        """`native` stands for the processor that the caller found, on Linux, macOS and Windows."""
        assert config.parse_platform("native", machine) == expected

    @pytest.mark.parametrize("machine", ["", "sparc64"])
    def test_native_of_an_unknown_machine_says_so(self, machine: str) -> None:
        """A machine without a known platform gets no guess."""
        with pytest.raises(MlContainerError) as caught:
            config.parse_platform("native", machine)
        assert caught.value.what.startswith("no platform is known for this machine's processor")
        assert caught.value.value == f'"{machine}"'
        assert "linux/amd64" in caught.value.remedy

    @pytest.mark.parametrize(
        ("text", "meant"),
        [
            ("linux/arm46", "linux/arm64"),
            ("linux/amd46", "linux/amd64"),
            ("nativ", "native"),
            ("hosts", "host"),
        ],
    )
    def test_a_misspelt_platform_gets_the_nearest_name(self, text: str, meant: str) -> None:
        """The error names the text, the nearest platform, and all there are."""
        with pytest.raises(MlContainerError) as caught:
            config.parse_platform(text, "x86_64")
        assert caught.value.what == "not a platform"
        assert caught.value.value == f'"{text}"'
        assert caught.value.remedy.startswith(f"did you mean {meant}?")
        assert "linux/riscv64" in caught.value.remedy

    @pytest.mark.parametrize("text", ["", "linux", "linux/", "linux/arm64/v7", "linux/arm64/v8/x"])
    def test_a_part_of_a_platform_is_none(self, text: str) -> None:
        """Nothing is filled in for an incomplete name."""
        with pytest.raises(MlContainerError, match="not a platform"):
            config.parse_platform(text, "x86_64")


class TestSize:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            (1024, 1024),
            ("1024", 1024),
            ("10b", 10),
            ("1k", 1024),
            ("1kb", 1024),
            ("1KiB", 1024),
            ("512m", 512 * 1024**2),
            ("4g", 4 * 1024**3),
            ("4 GB", 4 * 1024**3),
            ("1.5g", 3 * 1024**3 // 2),
            ("2T", 2 * 1024**4),
        ],
    )
    def test_sizes_read_as_docker_reads_them(self, value: object, expected: int) -> None:
        """Units are powers of 1024, in any case, with or without b or ib."""
        assert config.parse_size(value) == expected

    @pytest.mark.parametrize(
        "value", [0, -1, True, None, 1.5, "", "g", "4x", "-4g", "4gg", "9" * 30, "99999999p", "٤g"]
    )
    def test_anything_else_is_no_size(self, value: object) -> None:
        """Neither a boolean, a negative nor an impossible size passes."""
        with pytest.raises(MlContainerError) as caught:
            config.parse_size(value)
        assert caught.value.what == "not a size"
        assert caught.value.remedy == 'write a number with its unit: "512m", "4g"'


class TestDuration:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            (600, 600.0),
            (0.5, 0.5),
            ("90s", 90.0),
            ("10m", 600.0),
            ("2h", 7200.0),
            ("1h30m", 5400.0),
            ("1.5h", 5400.0),
        ],
    )
    def test_numbers_are_seconds_and_text_has_units(self, value: object, expected: float) -> None:
        """A duration is seconds, as a float."""
        assert config.parse_duration(value) == expected

    @pytest.mark.parametrize(
        "value",
        [0, -5, True, float("inf"), float("nan"), 10**400, "", "600", "ten", "5d", "30m1h", "0s"],
    )
    def test_anything_else_is_no_duration(self, value: object) -> None:
        """Nothing may run for ever, or for no time, and no unit is guessed."""
        with pytest.raises(MlContainerError) as caught:
            config.parse_duration(value)
        assert caught.value.what == "not a duration"
        assert '("90s", "10m", "2h")' in caught.value.remedy


class TestGpus:
    @pytest.mark.parametrize(
        "text",
        [
            "all",
            "2",
            "device=0",
            "device=0,1",
            '"device=0,1"',
            "device=GPU-3a23c669-1f69-c64e-cf85-44e9b07e7a2a",
            "capabilities=utility",
            "all,capabilities=utility",
            '2,"capabilities=compute,utility"',
            'driver=nvidia,count=2,"options=a=b"',
            "nvidia.com/gpu=all",
            "vendor.com/class=name",
            "none",
        ],
    )
    def test_what_docker_takes_is_kept_as_it_is(self, text: str) -> None:
        """A request that docker understands passes unchanged."""
        assert config.parse_gpus(text) == text

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("", "it is empty"),
            ("0", "the count has to be all or a number from 1"),
            ("-1", "the count has to be all or a number from 1"),
            ("two", "the count has to be all or a number from 1"),
            ("devices=0", "unknown key 'devices'"),
            ("device=", "device has no value"),
            ("device=0,,1", "the count has to be all or a number from 1"),
            ("all,2", "count is given twice"),
            ("all,device=0", "a count and devices exclude each other"),
            ('"device=0', "unexpected end of data"),
        ],
    )
    def test_what_docker_refuses_says_why(self, text: str, reason: str) -> None:
        """The reason and every form that works are in the error."""
        with pytest.raises(MlContainerError) as caught:
            config.parse_gpus(text)
        assert caught.value.what == f"not a GPU request ({reason})"
        assert "docker run --gpus" in caught.value.remedy


class TestEngine:
    @pytest.mark.parametrize(
        "text",
        [
            "unix:///var/run/docker.sock",
            "tcp://127.0.0.1:2375",
            "ssh://ci@arm-box",
            "https://engine:2376",
            "npipe:////./pipe/docker_engine",
            "desktop-linux",
        ],
    )
    def test_urls_and_context_names_pass(self, text: str) -> None:
        """What DOCKER_HOST or `docker context use` takes is an engine."""
        assert config.parse_engine(text) == text

    @pytest.mark.parametrize(
        ("text", "remedy"),
        [
            ("localhost:2375", 'write "tcp://localhost:2375"'),
            ("/run/docker.sock", 'write "unix:///run/docker.sock"'),
            ("shs://box", "did you mean ssh?"),
            ("unix://", "give a URL"),
            ("two words", "give a URL"),
            ("", "give a URL"),
        ],
    )
    def test_anything_else_gets_the_form_that_works(self, text: str, remedy: str) -> None:
        """A near miss is answered with what to write."""
        with pytest.raises(MlContainerError) as caught:
            config.parse_engine(text)
        assert caught.value.value == f'"{text}"'
        assert caught.value.remedy.startswith(remedy)


class TestDefaults:
    def test_an_empty_table_is_enough(self) -> None:
        """Everything has a default; the project's own folder and name are used."""
        assert settings_of("") == Settings(
            file=FILE,
            name="bikes",
            build=BuildSettings(Path("/project"), Path("/project/Dockerfile")),
            platforms=(AMD64,),
            reference=AMD64,
            checks=(CheckSettings("lint"), CheckSettings("size"), CheckSettings("gpu")),
        )

    def test_a_project_without_a_name_takes_its_folders(self) -> None:
        """There is always a name to call the image by."""
        assert config.parse_settings({}, FILE, "x86_64", "").name == "project"

    def test_settings_can_be_hashed(self) -> None:
        """Settings are frozen all the way down, whatever was set."""
        text = DOCS.read_text(encoding="utf-8")
        tables = [tomllib.loads(block)["tool"]["mlcontainer"] for block in toml_blocks(text)]
        assert all(hash(config.parse_settings(t, FILE, "x86_64", "bikes")) for t in tables)


class TestBuild:
    def test_every_key_reaches_its_place(self) -> None:
        """Paths become absolute from the file's folder; everything else is kept."""
        build = settings_of(
            """
            dockerfile = "docker/train.Dockerfile"
            context = ".."
            before-build = ["make data", "uv build --wheel", "make data"]
            build-args = { EXTRA = "cpu" }
            build-contexts = { "python:3.13-slim" = "docker-image://mirror/python:3.13-{arch}" }
            build-target = "runtime"
            build-secrets = { token = "env:TOKEN", netrc = "file:ci/netrc" }
            cache-from = "type=registry,ref=app:cache"
            cache-to = ["type=inline"]
            builder = "big"
            build-timeout = "2h"
            """
        ).build
        assert build == BuildSettings(
            context=Path("/"),
            dockerfile=Path("/project/docker/train.Dockerfile"),
            before=("make data", "uv build --wheel", "make data"),
            args=(("EXTRA", "cpu"),),
            contexts=(("python:3.13-slim", "docker-image://mirror/python:3.13-{arch}"),),
            target="runtime",
            secrets=(
                Secret("token", env="TOKEN"),
                Secret("netrc", file=Path("/project/ci/netrc")),
            ),
            cache_from=("type=registry,ref=app:cache",),
            cache_to=("type=inline",),
            builder="big",
            timeout_s=7200.0,
        )

    @pytest.mark.parametrize(
        ("written", "read"),
        [
            ("../base", "/base"),
            ("base/{os}-{arch}", "/project/base/{os}-{arch}"),
            ("oci-layout://layouts/base:latest", "oci-layout:///project/layouts/base:latest"),
            ("https://example.org/repo.git", "https://example.org/repo.git"),
            ("git@example.org:repo.git", "git@example.org:repo.git"),
        ],
    )
    def test_local_build_contexts_are_relative_to_the_file(self, written: str, read: str) -> None:
        """A build context that is a path does not depend on where pytest was started."""
        contexts = settings_of(f'build-contexts = {{ base = "{written}" }}').build.contexts
        assert contexts == (("base", read),)

    def test_a_secret_written_down_is_not_shown(self) -> None:
        """Somebody who puts the secret itself there does not find it in the CI log."""
        problem = problem_of('build-secrets = { token = "hunter2-hunter2" }')
        assert problem.what == (
            "pyproject.toml: [tool.mlcontainer] build-secrets.token: "
            "does not say where the secret is"
        )
        assert problem.value == "a string of 15 characters"
        assert problem.remedy == 'write "file:path/to/secret" or "env:NAME"'


class TestMatrixKeys:
    def test_platforms_fold_and_reference_defaults_to_the_first(self) -> None:
        """Two names of one platform are one platform."""
        settings = settings_of('platforms = ["arm64", "native", "linux/amd64", "host"]')
        assert settings.platforms == (ARM64, AMD64, HOST)
        assert settings.reference == ARM64

    def test_reference_emulation_and_engines(self) -> None:
        """The reference may be written by any name of its platform; so may an engine's key."""
        settings = settings_of(
            """
            platforms = ["linux/amd64", "linux/arm64"]
            reference = "aarch64"
            emulation = "skip"
            engines = { arm64 = "ssh://ci@arm-box" }
            """
        )
        assert settings.reference == ARM64
        assert settings.emulation is Emulation.SKIP
        assert settings.engines == ((ARM64, "ssh://ci@arm-box"),)

    def test_a_reference_hidden_by_a_typo_is_one_problem(self) -> None:
        """No second problem is reported that the first one caused."""
        problem = problem_of('platforms = ["amd64", "linux/arm46"]\nreference = "linux/arm64"')
        assert "platforms[1]" in problem.what


EVERY_KEY = """
command = ["python", "train.py", ""]
entrypoint = []
inputs = { "./data/" = "/data", "conf.yaml" = "conf/conf.yaml" }
outputs = ["./outputs/*", "models/", "/tmp/log.txt", "outputs/*"]
env = { SEED = "0" }
writable = ["cache"]
workdir = "/app/"
exit-codes = [0, 2]
timeout = "10m"
memory = "4g"
cpus = 2
shm-size = "1g"
network = "bridge"
gpus = "all"
user = "1000:1000"
processes = 64
log-limit = "1m"
output-limit = "2g"
output-files = 10
disk = "3g"
capabilities = ["CAP_CHOWN", "setuid", "CHOWN"]
new-privileges = true
privileged = true
engine-socket = true
[entrypoints.train.compare]
"outputs/*.npz" = { rtol = 1e-5, atol = 0, scale = 8, equal-nan = false }
"metrics.json:a:b" = { margin = 0.005 }
"./log" = { ignore = true }
stdout = { exact = true }
w = { ulp = 4 }
"""


class TestEntrypoints:
    def test_every_key_reaches_its_place(self) -> None:
        """An entrypoint with every key but a server's."""
        entry = entry_of(EVERY_KEY)
        assert entry == Entrypoint(
            name="train",
            command=("python", "train.py", ""),
            entrypoint=(),
            inputs=(("data", "/data"), ("conf.yaml", "conf/conf.yaml")),
            outputs=("outputs/*", "models/**", "/tmp/log.txt"),
            env=(("SEED", "0"),),
            writable=("cache",),
            workdir="/app",
            exit_codes=(0, 2),
            limits=Limits(
                timeout_s=600.0,
                memory_bytes=4 * 1024**3,
                cpus=2.0,
                shm_size_bytes=1024**3,
                network="bridge",
                gpus="all",
                user="1000:1000",
                processes=64,
                log_bytes=1024**2,
                output_bytes=2 * 1024**3,
                output_files=10,
                disk_bytes=3 * 1024**3,
                capabilities=("CHOWN", "SETUID"),
                new_privileges=True,
                privileged=True,
                engine_socket=True,
            ),
            rules=(
                Rule("outputs/*.npz", None, Tolerance(1e-5, 0.0, 8.0, equal_nan=False)),
                Rule("metrics.json", "a:b", Tolerance(margin=0.005)),
                Rule("./log", None, Tolerance(ignore=True)),
                Rule("stdout", None, Tolerance(exact=True)),
                Rule("w", None, Tolerance(ulp=4)),
            ),
        )

    def test_run_keys_at_the_top_are_defaults(self) -> None:
        """An entrypoint inherits what it does not set; env is merged, `none` takes GPUs back."""
        first, second = settings_of(
            """
            timeout = 60
            memory = "1g"
            gpus = "all"
            user = "app"
            exit-codes = 3
            writable = "cache"
            env = { SEED = "0", LANG = "C" }
            [entrypoints.first]
            [entrypoints.second]
            timeout = 90
            gpus = "none"
            writable = []
            env = { SEED = "1", EXTRA = "x" }
            """
        ).entrypoints
        limits = Limits(60.0, 1024**3, gpus="all", user="app")
        assert first.limits == limits
        assert first.env == (("SEED", "0"), ("LANG", "C"))
        assert (first.exit_codes, first.writable) == ((3,), ("cache",))
        assert second.limits == Limits(90.0, 1024**3, gpus=None, user="app")
        assert second.env == (("SEED", "1"), ("LANG", "C"), ("EXTRA", "x"))
        assert second.writable == ()

    def test_needs_may_be_one_name_and_come_later_in_the_file(self) -> None:
        """Needs are names; the order of the tables does not matter."""
        entry = settings_of(
            """
            [entrypoints.infer]
            needs = "train"
            needs-from = "same"
            [entrypoints.train]
            """
        ).entrypoints[0]
        assert entry.needs == ("train",)
        assert entry.needs_from is NeedsFrom.SAME

    def test_a_port_makes_a_server_with_a_network(self) -> None:
        """A server's port is of no use without a network, so it gets one by default."""
        entry = entry_of("port = 8000")
        assert entry.server == Server(8000, "/", 60.0)
        assert entry.limits.network == "bridge"
        entry = entry_of('port = 80\nhealth = "/ok"\nstartup-timeout = "2m"\nnetwork = "lab"')
        assert entry.server == Server(80, "/ok", 120.0)
        assert entry.limits.network == "lab"


TOP = "pyproject.toml: [tool.mlcontainer]"
TRAIN = "pyproject.toml: [tool.mlcontainer.entrypoints.train]"

BAD = {
    "unknown key": (
        'dockerfil = "x"',
        "pyproject.toml: unknown key in [tool.mlcontainer]",
        'dockerfil = "x"',
        "did you mean dockerfile?",
    ),
    "underscore": (
        "build_args = {}",
        "pyproject.toml: unknown key in [tool.mlcontainer]",
        "build_args = {}",
        "did you mean build-args?",
    ),
    "unknown key far from all": (
        "zzz = 1",
        "pyproject.toml: unknown key in [tool.mlcontainer]",
        "zzz = 1",
        "remove it; known here: dockerfile, context, ",
    ),
    "key of an entrypoint at the top": (
        'outputs = ["x"]',
        "pyproject.toml: unknown key in [tool.mlcontainer]",
        'outputs = ["x"]',
        "outputs belongs to an entrypoint: set it in [tool.mlcontainer.entrypoints.NAME]",
    ),
    "entrypoint at the top": (
        '[train]\ncommand = ["x"]',
        "pyproject.toml: unknown key in [tool.mlcontainer]",
        'train = { command = ["x"] }',
        "an entrypoint is a table [tool.mlcontainer.entrypoints.train]",
    ),
    "key of the top in an entrypoint": (
        '[entrypoints.train]\ndockerfile = "x"',
        "pyproject.toml: unknown key in [tool.mlcontainer.entrypoints.train]",
        'dockerfile = "x"',
        "dockerfile holds for the whole project: set it in [tool.mlcontainer]",
    ),
    "key of a rule in an entrypoint": (
        "[entrypoints.train]\nrtol = 0.5",
        "pyproject.toml: unknown key in [tool.mlcontainer.entrypoints.train]",
        "rtol = 0.5",
        "rtol belongs to a comparison rule: in [tool.mlcontainer.entrypoints.train.compare] "
        'write "outputs/*" = { rtol = 0.5 }',
    ),
    "unknown key in an entrypoint": (
        '[entrypoints.train]\noutptus = "x"',
        "pyproject.toml: unknown key in [tool.mlcontainer.entrypoints.train]",
        'outptus = "x"',
        "did you mean outputs?",
    ),
    "what others call it": (
        '[entrypoints.train]\nworking_dir = "/app"',
        "pyproject.toml: unknown key in [tool.mlcontainer.entrypoints.train]",
        'working_dir = "/app"',
        "that is called workdir here",
    ),
    "what it prints": (
        "[entrypoints.train]\nstdout = true",
        "pyproject.toml: unknown key in [tool.mlcontainer.entrypoints.train]",
        "stdout = true",
        'what it prints is compared where outputs names it: outputs = ["stdout"]',
    ),
    "entrypoint name with an unquoted dot": (
        "[entrypoints.my.train]\ncommand = []",
        "pyproject.toml: unknown key in [tool.mlcontainer.entrypoints.my]",
        "train = { command = [] }",
        'a name with a dot needs quotes: [tool.mlcontainer.entrypoints."my.train"]; what '
        "belongs to my itself stands in its own table: command = []",
    ),
    "a key of the entrypoint in a table of its own": (
        "[entrypoints.serve]\nserver = { port = 8000 }",
        "pyproject.toml: unknown key in [tool.mlcontainer.entrypoints.serve]",
        "server = { port = 8000 }",
        'a name with a dot needs quotes: [tool.mlcontainer.entrypoints."serve.server"]; what '
        "belongs to serve itself stands in its own table: port = 8000",
    ),
    "dockerfile is no string": (
        "dockerfile = 3",
        f"{TOP} dockerfile: has to be a string",
        "3",
        'put it in quotes: "3"',
    ),
    "dockerfile is empty": (
        'dockerfile = ""',
        f"{TOP} dockerfile: is empty",
        '""',
        "give a value or remove the key",
    ),
    "path with NUL": (
        'dockerfile = "a\\u0000"',
        f"{TOP} dockerfile: holds the character NUL",
        r'"a\u0000"',
        r"remove the \u0000",
    ),
    "context is a URL": (
        'context = "https://example.org/x.git"',
        f"{TOP} context: has to be a path on this machine",
        '"https://example.org/x.git"',
        "write a path",
    ),
    "before-build is a table": (
        "before-build = { x = 1 }",
        f"{TOP} before-build: has to be a string",
        "{ x = 1 }",
        'write "…"',
    ),
    "build-args is no table": (
        'build-args = ["A=1"]',
        f"{TOP} build-args: has to be a table",
        '["A=1"]',
        "write build-args = { name = … }, or a table of its own",
    ),
    "placeholder of a build context": (
        'build-contexts = { base = "docker-image://x:{architecture}" }',
        f'{TOP} build-contexts.base: unknown placeholder "{{architecture}}"',
        '"docker-image://x:{architecture}"',
        "known: {os}, {arch}, {variant}",
    ),
    "id of a secret": (
        'build-secrets = { "a,b" = "env:X" }',
        f'{TOP} build-secrets."a,b": not an id for a secret',
        '"a,b"',
        "use letters, digits, _, - and .",
    ),
    "build-target": (
        'build-target = "two words"',
        f"{TOP} build-target: not a name",
        '"two words"',
        "write it without white space and without a leading dash",
    ),
    "no platforms": (
        "platforms = []",
        f"{TOP} platforms: names no platform",
        "[]",
        'write ["native"], or remove the key',
    ),
    "platform": (
        'platforms = ["linux/arm46"]',
        f"{TOP} platforms[0]: not a platform",
        '"linux/arm46"',
        "did you mean linux/arm64?",
    ),
    "reference elsewhere": (
        'platforms = ["amd64", "host"]\nreference = "arm64"',
        f"{TOP} reference: is not among the platforms",
        '"arm64"',
        "choose one of linux/amd64, host, or add it to platforms",
    ),
    "emulation": (
        'emulation = "skipp"',
        f"{TOP} emulation: not a choice",
        '"skipp"',
        "did you mean skip? (known: allow, skip, fail)",
    ),
    "engine of host": (
        'engines = { host = "unix:///x" }',
        f"{TOP} engines.host: host runs without an engine",
        '"unix:///x"',
        "remove it",
    ),
    "two engines": (
        'engines = { amd64 = "a1", "linux/amd64" = "b1" }',
        f'{TOP} engines."linux/amd64": linux/amd64 has an engine already',
        '"b1"',
        "keep one of them",
    ),
    "engine of no platform": (
        'engines = { amd46 = "a1" }',
        f"{TOP} engines.amd46: not a platform",
        '"amd46"',
        "did you mean linux/amd64?",
    ),
    "timeout is boolean": (
        "timeout = true",
        f"{TOP} timeout: not a duration",
        "true",
        "write seconds (600)",
    ),
    "memory of four bytes": (
        "memory = 4",
        f"{TOP} memory: too small, the least is 6m",
        "4",
        'write a number with its unit: "512m", "4g"; '
        'a number alone is in bytes, did you mean "4g"?',
    ),
    "shm-size of a few bytes": (
        'shm-size = "64"',
        f"{TOP} shm-size: too small, the least is 4k",
        '"64"',
        'write a number with its unit: "512m", "4g"',
    ),
    "cpus": (
        'cpus = "2"',
        f"{TOP} cpus: not a number of CPUs",
        '"2"',
        "write a number above 0: 2, 0.5",
    ),
    "no processes": (
        "processes = 0",
        f"{TOP} processes: not a number of processes",
        "0",
        "write a whole number from 1 to 4194304",
    ),
    "processes as text": (
        'processes = "many"',
        f"{TOP} processes: not a number of processes",
        '"many"',
        "write a whole number from 1 to 4194304",
    ),
    "log-limit of a few bytes": (
        "log-limit = 100",
        f"{TOP} log-limit: too small, the least is 4k",
        "100",
        'write a number with its unit: "512m", "4g"; '
        'a number alone is in bytes, did you mean "100m"?',
    ),
    "output-limit": (
        'output-limit = "ten gigabytes"',
        f"{TOP} output-limit: not a size",
        '"ten gigabytes"',
        'write a number with its unit: "512m", "4g"',
    ),
    "output-files": (
        'output-files = "1g"',
        f"{TOP} output-files: not a number of files",
        '"1g"',
        "write a whole number from 1 to 1000000000",
    ),
    "disk": (
        "disk = -1",
        f"{TOP} disk: not a size",
        "-1",
        'write a number with its unit: "512m", "4g"',
    ),
    "capability misspelt": (
        'capabilities = ["CHOWN", "CAP_SYS_PTRAC"]',
        f"{TOP} capabilities[1]: not a capability",
        '"CAP_SYS_PTRAC"',
        "did you mean SYS_PTRACE?",
    ),
    "capabilities as a switch": (
        "capabilities = true",
        f"{TOP} capabilities: has to be a string",
        "true",
        'put it in quotes: "true"',
    ),
    "new-privileges": (
        'new-privileges = "yes"',
        f"{TOP} new-privileges: has to be true or false",
        '"yes"',
        "write true or false",
    ),
    "privileged": (
        "privileged = 1",
        f"{TOP} privileged: has to be true or false",
        "1",
        "write true or false",
    ),
    "engine-socket as a path": (
        'engine-socket = "/var/run/docker.sock"',
        f"{TOP} engine-socket: has to be true or false",
        '"/var/run/docker.sock"',
        "write true or false",
    ),
    "gpus is a number": (
        "gpus = 2",
        f"{TOP} gpus: has to be a string",
        "2",
        'put it in quotes: "2"',
    ),
    "user": (
        'user = "a:b:c"',
        f"{TOP} user: not a user",
        '"a:b:c"',
        'write "user" or "user:group"',
    ),
    "env value is a number": (
        "env = { SEED = 0 }",
        f"{TOP} env.SEED: has to be a string",
        "0",
        'put it in quotes: "0"',
    ),
    "env value is a boolean": (
        "env = { DEBUG = true }",
        f"{TOP} env.DEBUG: has to be a string",
        "true",
        'put it in quotes: "true"',
    ),
    "env name": (
        'env = { "A=B" = "x" }',
        f'{TOP} env."A=B": not a variable\'s name',
        '"A=B"',
        "use letters, digits, _, - and . and begin with a letter or _",
    ),
    "workdir is relative": (
        'workdir = "app"',
        f"{TOP} workdir: has to be an absolute path in the container",
        '"app"',
        'write "/app"',
    ),
    "writable is the root": (
        'writable = ["//"]',
        f"{TOP} writable[0]: cannot be the container's root folder",
        '"//"',
        "name a folder: /data",
    ),
    "exit code": (
        "exit-codes = [0, 256]",
        f"{TOP} exit-codes[1]: not an exit code",
        "256",
        "write a whole number from 0 to 255",
    ),
    "no exit codes": (
        "exit-codes = []",
        f"{TOP} exit-codes: is empty",
        "[]",
        "write [0], or remove it",
    ),
    "entrypoints is no table": (
        'entrypoints = ["train"]',
        f"{TOP} entrypoints: has to be a table",
        '["train"]',
        "write entrypoints = { name = … }, or a table of its own",
    ),
    "entrypoint is no table": (
        '[entrypoints]\ntrain = "python train.py"',
        "pyproject.toml: [tool.mlcontainer.entrypoints] train: an entrypoint has to be a table",
        '"python train.py"',
        "write it as [tool.mlcontainer.entrypoints.train]",
    ),
    "entrypoint called image": (
        "[entrypoints.image]",
        "pyproject.toml: [tool.mlcontainer.entrypoints] image: "
        "this name is taken by the image's own test",
        '"image"',
        "choose another name",
    ),
    "entrypoint name": (
        '[entrypoints."../x"]',
        'pyproject.toml: [tool.mlcontainer.entrypoints] "../x": not a name for an entrypoint',
        '"../x"',
        "use letters, digits, _, - and . and begin with a letter, a digit or _",
    ),
    "command is a string": (
        "[entrypoints.train]\ncommand = \"python train.py --name 'a b'\"",
        f"{TRAIN} command: has to be a list of strings",
        "\"python train.py --name 'a b'\"",
        'write ["python", "train.py", "--name", "a b"]',
    ),
    "command is for a shell": (
        '[entrypoints.train]\ncommand = "prepare && train"',
        f"{TRAIN} command: has to be a list of strings",
        '"prepare && train"',
        'write ["sh", "-c", "prepare && train"]',
    ),
    "command has an open quote": (
        '[entrypoints.train]\ncommand = "echo it\'s"',
        f"{TRAIN} command: has to be a list of strings",
        '"echo it\'s"',
        'write ["sh", "-c", "echo it\'s"]',
    ),
    "command is a number": (
        "[entrypoints.train]\ncommand = 3",
        f"{TRAIN} command: has to be a list of strings",
        "3",
        'write ["python", "…"]',
    ),
    "argument is a number": (
        '[entrypoints.train]\ncommand = ["python", 3]',
        f"{TRAIN} command: argument 2 has to be a string",
        "3",
        'put it in quotes: "3"',
    ),
    "first argument is empty": (
        '[entrypoints.train]\nentrypoint = [""]',
        f"{TRAIN} entrypoint: argument 1 is empty",
        '""',
        "give a value or remove the key",
    ),
    "input outside the project": (
        '[entrypoints.train]\ninputs = { "a/../../data" = "/data" }',
        f'{TRAIN} inputs."a/../../data": may not leave the project by ..',
        '"a/../../data"',
        "put the data in the project's folder",
    ),
    "input is absolute": (
        '[entrypoints.train]\ninputs = { "/mnt/data" = "/data" }',
        f'{TRAIN} inputs."/mnt/data": has to be relative to this file',
        '"/mnt/data"',
        "put the data in the project's folder and write its path from there",
    ),
    "input over the root": (
        '[entrypoints.train]\ninputs = { data = "/" }',
        f"{TRAIN} inputs.data: cannot be the container's root folder",
        '"/"',
        "name a folder: /data",
    ),
    "two inputs at one place": (
        '[entrypoints.train]\ninputs = { a = "/data", b = "/data/" }',
        f'{TRAIN} inputs.b: goes where "a" goes already',
        '"/data"',
        "give each input a container path of its own",
    ),
    "output climbs": (
        '[entrypoints.train]\noutputs = "../out"',
        f"{TRAIN} outputs: may not leave the working directory by ..",
        '"../out"',
        "write the absolute path in the container",
    ),
    "output is everything": (
        '[entrypoints.train]\noutputs = "."',
        f"{TRAIN} outputs: would take the whole working directory",
        '"."',
        'name the folder that the outputs are in: "outputs/*"',
    ),
    "needs-from": (
        '[entrypoints.train]\nneeds-from = "Same"',
        f"{TRAIN} needs-from: not a choice",
        '"Same"',
        "did you mean same? (known: reference, same)",
    ),
    "needs nothing that is there": (
        '[entrypoints.train]\nneeds = ["prepre"]\n[entrypoints.prepare]',
        f"{TRAIN} needs: no entrypoint has this name",
        '"prepre"',
        "did you mean prepare? (declared: prepare)",
    ),
    "needs itself": (
        '[entrypoints.train]\nneeds = "train"',
        f"{TRAIN} needs: an entrypoint cannot need itself",
        '"train"',
        'remove "train" from needs',
    ),
    "needs a server": (
        '[entrypoints.train]\nneeds = "api"\n[entrypoints.api]\nport = 80',
        f"{TRAIN} needs: is a server, which never ends and leaves no outputs",
        '"api"',
        "need an entrypoint that writes outputs",
    ),
    "needs in a circle": (
        '[entrypoints.x]\nneeds = "b"\n[entrypoints.train]\nneeds = "b"\n'
        '[entrypoints.b]\nneeds = "c"\n[entrypoints.c]\nneeds = "train"',
        f"{TRAIN} needs: goes in a circle",
        "train → b → c → train",
        "remove one of these needs; none of them could ever run first",
    ),
    "port": (
        "[entrypoints.train]\nport = 70000",
        f"{TRAIN} port: not a port",
        "70000",
        "write a whole number from 1 to 65535",
    ),
    "health without port": (
        '[entrypoints.train]\nhealth = "/ok"',
        f"{TRAIN} health: is for a server, and port is missing",
        '"/ok"',
        "add the port it listens on: port = 8000",
    ),
    "startup-timeout without port": (
        "[entrypoints.train]\nstartup-timeout = 5",
        f"{TRAIN} startup-timeout: is for a server, and port is missing",
        "5",
        "add the port it listens on: port = 8000",
    ),
    "health is a URL": (
        '[entrypoints.train]\nport = 80\nhealth = "http://localhost/ok"',
        f"{TRAIN} health: not a path of a URL",
        '"http://localhost/ok"',
        'begin it with a slash: "/health"',
    ),
    "server with outputs": (
        '[entrypoints.train]\nport = 80\noutputs = ["x"]',
        f"{TRAIN} outputs: a server never ends, so it has no outputs",
        '["x"]',
        "remove outputs, or remove port if this command ends by itself",
    ),
    "server without a network": (
        '[entrypoints.train]\nport = 80\nnetwork = "none"',
        f"{TRAIN} network: without a network nobody reaches port",
        '"none"',
        'remove it (a server then gets "bridge"), or name a network',
    ),
    "rule is a number": (
        '[entrypoints.train.compare]\n"m.json" = 0.5',
        'pyproject.toml: [tool.mlcontainer.entrypoints.train.compare] "m.json": '
        "a rule has to be a table",
        "0.5",
        'write "m.json" = { rtol = 0.5 }',
    ),
    "rule is a word": (
        '[entrypoints.train.compare]\nlog = "ignore"',
        "pyproject.toml: [tool.mlcontainer.entrypoints.train.compare] log: "
        "a rule has to be a table",
        '"ignore"',
        "write log = { ignore = true }",
    ),
    "rule without an output": (
        '[entrypoints.train.compare]\n":accuracy" = {}',
        'pyproject.toml: [tool.mlcontainer.entrypoints.train.compare] ":accuracy": '
        "the rule names no output",
        '":accuracy"',
        'begin with one: "outputs/metrics.json:accuracy"',
    ),
    "rule without an item": (
        '[entrypoints.train.compare]\n"m:" = {}',
        'pyproject.toml: [tool.mlcontainer.entrypoints.train.compare] "m:": '
        "the rule names no item after the colon",
        '"m:"',
        'write "m" for the whole output, or name the item',
    ),
    "rule with an unquoted dot": (
        "[entrypoints.train.compare]\nm.json = { rtol = 1 }",
        "pyproject.toml: unknown key in [tool.mlcontainer.entrypoints.train.compare.m]",
        "json = { rtol = 1 }",
        'a name with a dot needs quotes: "m.json" = { … }',
    ),
    "unknown key in a rule": (
        "[entrypoints.train.compare]\nm = { rtoll = 1 }",
        "pyproject.toml: unknown key in [tool.mlcontainer.entrypoints.train.compare.m]",
        "rtoll = 1",
        "did you mean rtol?",
    ),
    "tolerance is negative": (
        "[entrypoints.train.compare]\nm = { rtol = -1 }",
        "pyproject.toml: [tool.mlcontainer.entrypoints.train.compare.m] rtol: not a tolerance",
        "-1",
        "write a finite number from 0: 1e-5, 0.005",
    ),
    "tolerance is infinite": (
        "[entrypoints.train.compare]\nm = { atol = inf }",
        "pyproject.toml: [tool.mlcontainer.entrypoints.train.compare.m] atol: not a tolerance",
        "inf",
        "write a finite number from 0: 1e-5, 0.005",
    ),
    "ulp is a fraction": (
        "[entrypoints.train.compare]\nm = { ulp = 0.5 }",
        "pyproject.toml: [tool.mlcontainer.entrypoints.train.compare.m] ulp: not a number of ULP",
        "0.5",
        "write a whole number from 0 to ",
    ),
    "switch is a number": (
        "[entrypoints.train.compare]\nm = { ignore = 1 }",
        "pyproject.toml: [tool.mlcontainer.entrypoints.train.compare.m] ignore: "
        "has to be true or false",
        "1",
        "write true or false",
    ),
    "margin and rtol": (
        "[entrypoints.train.compare]\nm = { margin = 0, rtol = 1 }",
        "pyproject.toml: [tool.mlcontainer.entrypoints.train.compare.m] margin: "
        "cannot be combined with rtol",
        "margin = 0, rtol = 1",
        "keep margin alone, or remove it; rtol, atol and scale go together",
    ),
    "exact and ignore": (
        "[entrypoints.train.compare]\nm = { exact = true, ignore = true }",
        "pyproject.toml: [tool.mlcontainer.entrypoints.train.compare.m] exact: "
        "cannot be combined with ignore",
        "exact = true, ignore = true",
        "keep exact alone, or remove it; rtol, atol and scale go together",
    ),
    "host with absolute outputs": (
        'platforms = ["host"]\n[entrypoints.train]\ncommand = ["x"]\noutputs = ["/out/*"]',
        f"{TRAIN} outputs: the platform host has no container, "
        "so it cannot have absolute container paths",
        '"/out/*"',
        "write them relative to the working directory, or remove host from the platforms",
    ),
    "host with an absolute writable": (
        'platforms = ["host"]\n[entrypoints.train]\ncommand = ["x"]\nwritable = ["/cache"]',
        f"{TRAIN} writable: the platform host has no container, "
        "so it cannot have absolute container paths",
        '"/cache"',
        "write them relative to the working directory, or remove host from the platforms",
    ),
    "host with a workdir": (
        'platforms = ["host"]\nworkdir = "/app"\n[entrypoints.train]\ncommand = ["x"]',
        f"{TRAIN} workdir: the platform host has no container, "
        "so it cannot have absolute container paths",
        '"/app"',
        "remove workdir or remove host from the platforms",
    ),
    "host without a command": (
        'platforms = ["host"]\n[entrypoints.train]',
        f"{TRAIN} command: the platform host has no image whose command it could use",
        "no command",
        'add command = ["python", "…"], or remove host from the platforms',
    ),
}


class TestVary:
    @pytest.mark.parametrize(
        ("line", "names"),
        [
            ("", ()),
            ("vary = true", ALL_VARIATIONS),
            ("vary = false", ()),
            ('vary = ["threads", "hash-seed", "threads"]', ("threads", "hash-seed")),
            ('vary = "threads"', ("threads",)),
            ("vary = []", ()),
        ],
    )
    def test_all_none_or_names(self, line: str, names: tuple[str, ...]) -> None:
        """Of names each once; which there are is known when plugins are loaded."""
        assert entry_of(line).vary == names

    def test_an_entrypoint_replaces_what_is_said_for_all(self) -> None:
        """Both keys, each by itself."""
        settings = settings_of(
            "vary = true\nvary-budget = 12\n[entrypoints.a]\n[entrypoints.b]\nvary = false\n"
            "[entrypoints.c]\nvary = ['user']\nvary-budget = 5"
        )
        assert [(each.vary, each.vary_budget) for each in settings.entrypoints] == [
            (ALL_VARIATIONS, 12), ((), 12), (("user",), 5),
        ]  # fmt: skip
        assert entry_of("").vary_budget == DEFAULT_BUDGET

    def test_what_is_wrong_is_told_with_all_else(self) -> None:
        """Names that no variation can have, numbers that are none, and a key with a typo."""
        problems = problems_of(
            'timeout = "long"\nvary = 3\nvary-budget = 0\n'
            '[entrypoints.train]\nvary = ["Threads", "hash seed", 7]\nvary-budget = "many"\n'
            "vary_budget = 3"
        )
        assert [(each.what, each.value) for each in problems] == [
            ("pyproject.toml: [tool.mlcontainer] timeout: not a duration", '"long"'),
            ("pyproject.toml: [tool.mlcontainer] vary: neither names nor a switch", "3"),
            ("pyproject.toml: [tool.mlcontainer] vary-budget: not a number of runs", "0"),
            (
                "pyproject.toml: unknown key in [tool.mlcontainer.entrypoints.train]",
                "vary_budget = 3",
            ),
            (f"{TRAIN} vary[0]: not the name of a variation", '"Threads"'),
            (f"{TRAIN} vary[1]: not a name", '"hash seed"'),
            (f"{TRAIN} vary[2]: has to be a string", "7"),
            (f"{TRAIN} vary-budget: not a number of runs", '"many"'),
        ]
        assert "vary-budget" in problems[3].remedy

    def test_a_server_does_not_vary(self) -> None:
        """It writes nothing that could be compared."""
        problem = problem_of("[entrypoints.api]\nport = 80\nvary = true")
        assert problem.what.endswith(".api] vary: a server writes nothing to compare")
        assert problem.remedy == "remove vary"

    def test_a_server_under_variations_for_all_is_no_problem(self) -> None:
        """They are for the others."""
        assert settings_of("vary = true\n[entrypoints.api]\nport = 80").entrypoints[0].server


class TestProblems:
    @pytest.mark.parametrize(("toml", "what", "value", "remedy"), BAD.values(), ids=BAD)
    def test_a_bad_value_has_its_own_problem(
        self, toml: str, what: str, value: str, remedy: str
    ) -> None:
        """One mistake is one problem: where it is, what was found, and what to write."""
        problem = problem_of(toml)
        assert problem.what == what
        assert problem.value == value
        assert problem.remedy.startswith(remedy)

    def test_all_problems_come_at_once(self) -> None:
        """Nobody has to run again to learn of the next mistake."""
        with pytest.raises(ConfigError) as caught:
            settings_of(
                """
                before_build = "uv build"
                memory = "lots"
                [entrypoints.train]
                command = "python train.py"
                outptus = ["outputs/*"]
                """
            )
        assert str(caught.value) == (
            "/project/pyproject.toml: 4 problems in the configuration; "
            "nothing was built or run:\n"
            '  pyproject.toml: unknown key in [tool.mlcontainer]: before_build = "uv build"\n'
            "    → did you mean before-build?\n"
            '  pyproject.toml: [tool.mlcontainer] memory: not a size: "lots"\n'
            '    → write a number with its unit: "512m", "4g"\n'
            "  pyproject.toml: unknown key in [tool.mlcontainer.entrypoints.train]: "
            'outptus = ["outputs/*"]\n'
            "    → did you mean outputs?\n"
            "  pyproject.toml: [tool.mlcontainer.entrypoints.train] command: "
            'has to be a list of strings: "python train.py"\n'
            '    → write ["python", "train.py"]'
        )

    @pytest.mark.parametrize("word", ["baseline"])
    def test_words_of_the_design_that_do_nothing_yet_are_unknown(self, word: str) -> None:
        """A key that would be passed over in silence is refused."""
        assert "unknown key" in problem_of(f"{word} = 1").what

    def test_two_circles_are_two_problems(self) -> None:
        """Each circle is shown once, from its first declared entrypoint on."""
        toml = "\n".join(
            f'[entrypoints.{name}]\nneeds = "{need}"'
            for name, need in [("a", "b"), ("b", "a"), ("c", "d"), ("d", "c")]
        )
        assert [problem.value for problem in problems_of(toml)] == ["a → b → a", "c → d → c"]

    def test_a_long_chain_of_needs_is_no_problem(self) -> None:
        """Checking needs does not depend on the depth of Python's stack."""
        chain = [f"[entrypoints.e{n}]\nneeds = 'e{n + 1}'" for n in range(1500)]
        toml = "\n".join([*chain, "[entrypoints.e1500]"])
        assert len(settings_of(toml).entrypoints) == 1501

    def test_an_unreadable_command_is_not_a_missing_one_too(self) -> None:
        """On host, a command of the wrong form is one problem."""
        assert (
            "list of strings"
            in problem_of('platforms = ["host"]\n[entrypoints.train]\ncommand = "x"').what
        )

    def test_a_server_on_host_is_left_out_there(self) -> None:
        """A server needs a container, so what host cannot give is no problem for it."""
        toml = 'platforms = ["amd64", "host"]\n[entrypoints.api]\nport = 80\nworkdir = "/app"'
        assert settings_of(toml).entrypoints[0].server == Server(80)

    def test_host_selected_later_can_be_asked_for(self) -> None:
        """`--container-platform=host` finds the same problems as `host` in the file."""
        settings = settings_of('[entrypoints.train]\noutputs = ["/out/*"]')
        assert [problem.what for problem in config.check_host(settings)] == [
            f"{TRAIN} outputs: the platform host has no container, "
            "so it cannot have absolute container paths",
            f"{TRAIN} command: the platform host has no image whose command it could use",
        ]

    def test_escape_sequences_are_not_printed(self) -> None:
        """What is shown cannot drive the terminal that shows it."""
        problem = problem_of('"\\u001b[31m\\u009b" = "\\u001b[0m"')
        assert problem.value == r'"\u001b[31m\x9b" = "\u001b[0m"'


KEYS = st.sampled_from([*keys.TOP_KEYS, *keys.ENTRYPOINT_KEYS, *keys.RULE_KEYS, "train"])
NAMES = st.one_of(KEYS, st.text(max_size=8))
SCALARS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["native", "host", "/a", "../a", "4g", "train", "a:b", "oci-layout://", "{x}"]),
    st.integers(),
    st.integers(min_value=2**1100, max_value=2**1101),
    st.floats(),
    st.booleans(),
    st.dates(),
    st.times(),
    st.datetimes(),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=12,
)
ENTRIES = st.dictionaries(
    st.one_of(st.sampled_from(["train", "infer", "api"]), st.text(max_size=4)),
    st.one_of(VALUES, st.dictionaries(st.sampled_from(keys.ENTRYPOINT_KEYS), VALUES, max_size=6)),
    max_size=4,
)


def problems_from(parse: Callable[[], object]) -> tuple[MlContainerError, ...]:
    """The problems of a ConfigError; none if a value that can be hashed comes back."""
    try:
        hash(parse())
    except ConfigError as error:
        return error.problems or (MlContainerError("a ConfigError without any problem"),)
    return ()


def assert_whole(problems: tuple[MlContainerError, ...], beginning: str) -> None:
    for problem in problems:
        assert problem.what.startswith(beginning)
        assert problem.value
        assert problem.remedy
        assert "\x1b" not in str(problem)


class TestAnyInput:
    @given(table=st.dictionaries(NAMES, VALUES, max_size=6))
    def test_any_table_is_settings_or_problems(self, table: dict[str, object]) -> None:
        """Whatever TOML can hold, nothing but ConfigError is raised, and each problem is whole."""
        problems = problems_from(lambda: config.parse_settings(table, FILE, "x86_64", "bikes"))
        assert_whole(problems, "pyproject.toml: ")

    @given(entrypoints=ENTRIES)
    def test_any_entrypoints_are_settings_or_problems(self, entrypoints: object) -> None:
        """The same for what stands deeper."""
        table = {"platforms": ["native", "host"], "entrypoints": entrypoints}
        problems = problems_from(lambda: config.parse_settings(table, FILE, "x86_64", "bikes"))
        assert_whole(problems, "pyproject.toml: ")

    @given(text=st.text(max_size=200))
    @example(text="[" * 20_000)
    @example(text="a = 0x" + "f" * 10_000)
    @example(text="a = " + "9" * 10_000)
    def test_any_file_loads_or_has_problems(
        self, tmp_path_factory: pytest.TempPathFactory, text: str
    ) -> None:
        """A file may hold anything at all."""
        file = tmp_path_factory.mktemp("any") / "pyproject.toml"
        file.write_text(f"# mlcontainer\n{text}", encoding="utf-8")
        assert_whole(problems_from(lambda: config.load(file, "x86_64")), "pyproject.toml:")

    @given(
        platforms=st.text(max_size=30),
        gpus=st.text(max_size=30),
        engines=st.lists(st.text(max_size=30)),
    )
    def test_any_options_are_options_or_problems(
        self, platforms: str, gpus: str, engines: list[str]
    ) -> None:
        """The command line may hold anything, too."""
        problems = problems_from(
            lambda: config.parse_options(
                "x86_64",
                platforms=platforms,
                gpus=gpus,
                image=platforms,
                engines=engines,
                keep=gpus,
            )
        )
        assert_whole(problems, "--")


class TestLoad:
    def test_a_file_without_the_table_is_none(self, tmp_path: Path) -> None:
        """Somebody else's project is left alone, also one that only names the plugin."""
        file = tmp_path / "pyproject.toml"
        file.write_text('[project]\nname = "x"\n')
        assert config.load(file, "x86_64") is None
        file.write_text('[dependency-groups]\ntest = ["pytest-mlcontainer"]\n[tool.ruff]\n')
        assert config.load(file, "x86_64") is None

    def test_the_project_gives_its_name(self, tmp_path: Path) -> None:
        """The image is named after the project; a byte order mark does no harm."""
        file = tmp_path / "pyproject.toml"
        text = '[project]\nname = "bikes"\n[tool.mlcontainer]\n'
        file.write_text(text, encoding="utf-8-sig")
        settings = config.load(file, "aarch64")
        assert settings is not None
        assert (settings.name, settings.platforms) == ("bikes", (ARM64,))
        assert settings.root == tmp_path

    def test_a_relative_file_gives_absolute_paths(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Settings do not change their meaning with the current directory."""
        (tmp_path / "pyproject.toml").write_text("[tool.mlcontainer]\n")
        monkeypatch.chdir(tmp_path)
        settings = config.load(Path("pyproject.toml"), "x86_64")
        assert settings is not None
        assert settings.build.dockerfile == tmp_path / "Dockerfile"
        assert settings.name == tmp_path.name

    @pytest.mark.parametrize(
        ("text", "what", "value", "remedy"),
        [
            (
                "[tool.mlcontainer]\nplatforms = [linux/arm64]\n",
                "pyproject.toml:2:14: not valid TOML",
                "Invalid value\n2 | platforms = [linux/arm64]\n  |              ^",
                "correct this line; text needs quotes",
            ),
            (
                "[tool.mlcontainer]\n[tool.mlcontainer]\n",
                "pyproject.toml:2:18: not valid TOML",
                "Cannot declare ('tool', 'mlcontainer') twice\n"
                "2 | [tool.mlcontainer]\n  |                  ^",
                "keep one of the two",
            ),
            (
                "[tool.mlcontainer]\nplatforms = ['native'",
                "pyproject.toml:2:22: not valid TOML",
                "Unclosed array\n2 | platforms = ['native'\n  |                      ^",
                "correct this line",
            ),
        ],
    )
    def test_invalid_toml_points_at_the_line(
        self, tmp_path: Path, text: str, what: str, value: str, remedy: str
    ) -> None:
        """File, line and column, the line itself, and the parser's reason."""
        file = tmp_path / "pyproject.toml"
        file.write_text(text)
        with pytest.raises(ConfigError) as caught:
            config.load(file, "x86_64")
        (problem,) = caught.value.problems
        assert caught.value.source == str(file)
        assert (problem.what, problem.value, problem.remedy) == (what, value, remedy)

    def test_a_long_line_is_cut_around_the_column(self, tmp_path: Path) -> None:
        """A file in one line does not fill the screen."""
        file = tmp_path / "pyproject.toml"
        file.write_text(f"mlcontainer = [{'1, ' * 500}x, {'2, ' * 500}]")
        with pytest.raises(ConfigError) as caught:
            config.load(file, "x86_64")
        _, line, caret = caught.value.problems[0].value.splitlines()
        assert len(line) < 100
        assert line[caret.index("^")] == "x"

    def test_a_file_that_is_not_there_says_so(self, tmp_path: Path) -> None:
        """A wrong path is no project without configuration."""
        with pytest.raises(ConfigError) as caught:
            config.load(tmp_path / "pyproject.toml", "x86_64")
        (problem,) = caught.value.problems
        assert problem.what == "pyproject.toml: cannot be read"
        assert problem.value == "No such file or directory"
        assert problem.remedy == "check the path"

    def test_a_file_in_another_encoding_says_so(self, tmp_path: Path) -> None:
        """TOML is UTF-8; the place of the first wrong byte is named."""
        file = tmp_path / "pyproject.toml"
        file.write_bytes(b"# mlcontainer \xe9\n")
        with pytest.raises(ConfigError) as caught:
            config.load(file, "x86_64")
        (problem,) = caught.value.problems
        assert problem.what == "pyproject.toml: not UTF-8, which TOML has to be"
        assert problem.value == "byte 0xe9 at offset 14"
        assert problem.remedy == "save the file as UTF-8"

    @pytest.mark.parametrize("name", ["pytest-mlcontainer", "ml-container", "mlcontainers"])
    def test_a_misspelt_table_is_not_passed_over(self, tmp_path: Path, name: str) -> None:
        """A project that means this plugin does not find itself without tests."""
        file = tmp_path / "pyproject.toml"
        file.write_text(f"[tool.{name}]\n")
        with pytest.raises(ConfigError) as caught:
            config.load(file, "x86_64")
        (problem,) = caught.value.problems
        assert problem.what == "pyproject.toml: this table is not read"
        assert problem.value == f"[tool.{name}]"
        assert problem.remedy == "rename it to [tool.mlcontainer]"

    def test_mlcontainer_has_to_be_a_table(self, tmp_path: Path) -> None:
        """A value where the table should be is shown."""
        file = tmp_path / "pyproject.toml"
        file.write_text("[tool]\nmlcontainer = true\n")
        with pytest.raises(ConfigError) as caught:
            config.load(file, "x86_64")
        (problem,) = caught.value.problems
        assert problem.what == "pyproject.toml: [tool] mlcontainer: has to be a table"
        assert problem.value == "true"
        assert problem.remedy.startswith("write [tool.mlcontainer] on a line of its own")


def settings_in(folder: Path, toml: str = "") -> Settings:
    return config.parse_settings(tomllib.loads(toml), folder / "pyproject.toml", "x86_64", "bikes")


class TestCheckFiles:
    def test_nothing_is_missing(self, tmp_path: Path) -> None:
        """With everything there, there is no problem."""
        (tmp_path / "Dockerfile").touch()
        (tmp_path / "token").touch()
        toml = 'build-secrets = { a = "file:token", b = "env:B" }'
        assert config.check_files(settings_in(tmp_path, toml)) == ()

    def test_a_missing_dockerfile_names_those_nearby(self, tmp_path: Path) -> None:
        """The nearest Dockerfile comes first, hidden and installed ones are left out."""
        for name in ("docker/train.Dockerfile", "ci/deep/Dockerfile.gpu", "Containerfile"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        for name in (".git/Dockerfile", "node_modules/x/Dockerfile", "Dockerfile.dockerignore"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        (problem,) = config.check_files(settings_in(tmp_path))
        assert problem.what == f"{TOP} dockerfile: there is no Dockerfile"
        assert problem.value == f'"{tmp_path / "Dockerfile"}"'
        assert problem.remedy == (
            'set dockerfile = "Containerfile" '
            "(also here: docker/train.Dockerfile, ci/deep/Dockerfile.gpu), "
            "or test an image that is already built with --container-image=REF"
        )

    def test_a_project_without_any_dockerfile(self, tmp_path: Path) -> None:
        """With none nearby the two ways on are named."""
        (problem,) = config.check_files(settings_in(tmp_path))
        assert problem.remedy == (
            "write a Dockerfile there, "
            "or test an image that is already built with --container-image=REF"
        )

    def test_a_folder_is_no_dockerfile(self, tmp_path: Path) -> None:
        """A folder of that name is told apart from a missing file."""
        (tmp_path / "Dockerfile").mkdir()
        (problem,) = config.check_files(settings_in(tmp_path))
        assert problem.what == f"{TOP} dockerfile: it is not a file"

    def test_context_and_secrets_have_to_be_there(self, tmp_path: Path) -> None:
        """Everything that is missing is reported at once."""
        (tmp_path / "Dockerfile").touch()
        toml = 'context = "src"\nbuild-secrets = { token = "file:~/token" }'
        context, secret = config.check_files(settings_in(tmp_path, toml))
        assert context.what == f"{TOP} context: no such folder"
        assert context.value == f'"{tmp_path / "src"}"'
        assert context.remedy.startswith("give the folder that the build sends to the engine")
        assert secret.what == f"{TOP} build-secrets.token: no such file"
        assert secret.value == f'"{tmp_path / "~" / "token"}"'
        assert secret.remedy == (
            "create it, or correct the path (~ and variables are not expanded)"
        )


class TestOptions:
    def test_nothing_given_changes_nothing(self) -> None:
        """Without options the configuration stands."""
        assert config.parse_options("x86_64") == Options()

    def test_every_option_reaches_its_place(self) -> None:
        """Lists split at commas, platforms fold, a later engine replaces an earlier one."""
        options = config.parse_options(
            "aarch64",
            platforms="linux/amd64, native,arm64,host",
            gpus="device=0,1",
            image="registry.example/app:1",
            engines=[
                "tcp://old:2375",
                "tcp://new:2375",
                "arm64=ssh://ci@box",
                "https://box/?a=b",
                "amd64=https://box/?a=b",
            ],
            keep="failed",
        )
        assert options == Options(
            platforms=(AMD64, ARM64, HOST),
            gpus="device=0,1",
            image="registry.example/app:1",
            engines=(
                (None, "https://box/?a=b"),
                (ARM64, "ssh://ci@box"),
                (AMD64, "https://box/?a=b"),
            ),
            keep=KeepPolicy.FAILED,
        )

    @pytest.mark.parametrize(
        ("option", "value", "what", "shown", "remedy"),
        [
            (
                "platforms",
                "amd64,linux/arm46",
                "--container-platform: not a platform",
                '"linux/arm46"',
                "did you mean linux/arm64?",
            ),
            ("platforms", "", "--container-platform: not a platform", '""', "known: "),
            (
                "gpus",
                "two",
                "--gpus: not a GPU request (the count has to be all or a number from 1)",
                '"two"',
                "write it as after docker run --gpus",
            ),
            ("image", "", "--container-image: is empty", '""', "give a value"),
            (
                "image",
                "--rm",
                "--container-image: not a name",
                '"--rm"',
                "write it without white space and without a leading dash",
            ),
            (
                "engines",
                ["linux/arm46=tcp://x"],
                "--container-engine: not a platform",
                '"linux/arm46"',
                "did you mean linux/arm64?",
            ),
            (
                "engines",
                ["host=tcp://x"],
                "--container-engine: host runs without an engine",
                '"host=tcp://x"',
                "remove this option",
            ),
            (
                "engines",
                ["arm64=localhost:2375"],
                "--container-engine: not an engine",
                '"localhost:2375"',
                'write "tcp://localhost:2375"',
            ),
            (
                "keep",
                "failes",
                "--container-keep: not a choice",
                '"failes"',
                "did you mean failed? (known: none, failed, all)",
            ),
        ],
    )
    def test_a_bad_option_has_its_own_problem(
        self, option: str, value: object, what: str, shown: str, remedy: str
    ) -> None:
        """Option, value and the next step."""
        with pytest.raises(ConfigError) as caught:
            config.parse_options("x86_64", **{option: value})  # type: ignore[arg-type]
        (problem,) = caught.value.problems
        assert (problem.what, problem.value) == (what, shown)
        assert problem.remedy.startswith(remedy)

    def test_all_problems_come_at_once(self) -> None:
        """Two bad platforms and a bad word are three problems of the command line."""
        with pytest.raises(ConfigError) as caught:
            config.parse_options("x86_64", platforms="a,b", keep="x")
        assert caught.value.source == "command line"
        assert len(caught.value.problems) == 3


def toml_blocks(markdown: str) -> list[str]:
    return re.findall(r"^```toml\n(.*?)^```$", markdown, re.DOTALL | re.MULTILINE)


class TestVaryOptions:
    @pytest.mark.parametrize(
        ("text", "names"),
        [("all", ALL_VARIATIONS), ("threads, hash-seed,threads", ("threads", "hash-seed"))],
    )
    def test_names_are_separated_by_commas(self, text: str, names: tuple[str, ...]) -> None:
        """As in the configuration, each once."""
        options = config.parse_options("x86_64", vary=text, budget="7")
        assert (options.vary, options.budget) == (names, 7)

    def test_what_is_wrong_is_told_with_all_else(self) -> None:
        """Each under the name that the option has on the command line that it is from."""
        with pytest.raises(ConfigError) as caught:
            config.parse_options("x86_64", vary="threads,", budget="1.5", image="a b")
        assert [problem.what for problem in caught.value.problems] == [
            "--container-image: not a name",
            "--container-vary: is empty",
            "--container-budget: not a number of runs",
        ]
        with pytest.raises(ConfigError) as caught:
            config.parse_options("x86_64", prefix="--", budget="0")
        assert caught.value.problems[0].what == "--budget: not a number of runs"


class TestDocs:
    def test_every_block_is_a_configuration(self) -> None:
        """What the reference shows can be copied into a project."""
        blocks = toml_blocks(DOCS.read_text(encoding="utf-8"))
        assert len(blocks) > 3
        for block in blocks:
            table = tomllib.loads(block)["tool"]["mlcontainer"]
            config.parse_settings(table, FILE, "x86_64", "bikes")

    @pytest.mark.parametrize(
        ("heading", "known"),
        [
            ("The image", keys.BUILD_KEYS),
            ("Where it runs", keys.MATRIX_KEYS),
            ("A run", keys.RUN_KEYS),
            ("An entrypoint", set(keys.ENTRYPOINT_KEYS) - set(keys.RUN_KEYS)),
            ("Comparison rules", keys.RULE_KEYS),
        ],
    )
    def test_every_key_has_its_row_and_every_row_its_key(
        self, heading: str, known: set[str]
    ) -> None:
        """The reference and the parser know the same words."""
        text = DOCS.read_text(encoding="utf-8")
        _, section = text.split(f"\n## {heading}\n")
        rows = re.findall(r"^\| `([a-z-]+)` \|", section.split("\n## ")[0], re.MULTILINE)
        assert sorted(rows) == sorted(known)
