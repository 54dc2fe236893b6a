from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlcontainer.engines.docker.buildlog import BuildLog, explain_build
from pytest_mlcontainer.engines.docker.buildx import arguments, frontend_image, without_syntax_line
from pytest_mlcontainer.errors import BuildError, MlContainerError, PlatformError
from pytest_mlcontainer.model import BuildSettings, Platform, Secret
from pytest_mlcontainer.progress.events import DETAIL, FAR
from pytest_mlcontainer.secrets import Redactor, Value

AMD64 = Platform("linux", "amd64")

# What `docker buildx build --progress=rawjson` of buildx 0.29 printed, digests and times shortened
# and repetitions left out.
FAILING_STEP = r"""
{"vertexes":[{"digest":"sha256:08","name":"[internal] load build definition from Dockerfile","started":"2026-11-23T20:23:09Z"}]}
{"statuses":[{"id":"transferring dockerfile:","vertex":"sha256:08","name":"transferring","current":115,"timestamp":"2026-11-23T20:23:09Z","started":"2026-11-23T20:23:09Z"}]}
{"vertexes":[{"digest":"sha256:1f","inputs":["sha256:a3"],"name":"[2/2] RUN echo one; python -c \"import sys; sys.exit('café')\""},{"digest":"sha256:a3","name":"[1/2] FROM docker.io/library/python:3.13-slim@sha256:0d"}]}
{"vertexes":[{"digest":"sha256:a3","name":"[1/2] FROM docker.io/library/python:3.13-slim@sha256:0d","started":"2026-11-23T20:23:10Z","completed":"2026-11-23T20:23:10Z","cached":true}]}
{"vertexes":[{"digest":"sha256:1f","inputs":["sha256:a3"],"name":"[2/2] RUN echo one; python -c \"import sys; sys.exit('café')\"","started":"2026-11-23T20:23:10Z"}]}
{"logs":[{"vertex":"sha256:1f","stream":1,"data":"b25lCg==","timestamp":"2026-11-23T20:23:10Z"}]}
{"logs":[{"vertex":"sha256:1f","stream":2,"data":"Y2Fmw6kK","timestamp":"2026-11-23T20:23:10Z"}]}
{"vertexes":[{"digest":"sha256:1f","inputs":["sha256:a3"],"name":"[2/2] RUN echo one; python -c \"import sys; sys.exit('café')\"","started":"2026-11-23T20:23:10Z","completed":"2026-11-23T20:23:10Z","error":"process \"/bin/sh -c echo one; python -c \\\"import sys; sys.exit('café')\\\"\" did not complete successfully: exit code: 1"}]}
Dockerfile:2
--------------------
   1 |     FROM python:3.13-slim
   2 | >>> RUN echo one; python -c "import sys; sys.exit('café')"
   3 |
--------------------
ERROR: failed to build: failed to solve: process "/bin/sh -c echo one; python -c \"import sys; sys.exit('café')\"" did not complete successfully: exit code: 1
"""  # noqa: E501

MISSING_FILE = r"""
{"vertexes":[{"digest":"sha256:3c","inputs":["sha256:a3","sha256:8b"],"name":"[2/2] COPY dist/*.whl /tmp/","started":"2026-11-23T20:23:10Z"}]}
{"vertexes":[{"digest":"sha256:3c","inputs":["sha256:a3","sha256:8b"],"name":"[2/2] COPY dist/*.whl /tmp/","started":"2026-11-23T20:23:10Z","completed":"2026-11-23T20:23:10Z","error":"lstat /dist: no such file or directory"}]}
Dockerfile:2
--------------------
   1 |     FROM python:3.13-slim
   2 | >>> COPY dist/*.whl /tmp/
   3 |
--------------------
ERROR: failed to build: failed to solve: lstat /dist: no such file or directory
"""  # noqa: E501

MISSING_BASE = r"""
{"vertexes":[{"digest":"sha256:f5","name":"[internal] load metadata for nowhere.example/x:1","started":"2026-11-23T20:23:11Z"}]}
{"vertexes":[{"digest":"sha256:f5","name":"[internal] load metadata for nowhere.example/x:1","started":"2026-11-23T20:23:11Z","completed":"2026-11-23T20:23:11Z","error":"failed to do request: Head \"https://nowhere.example/v2/x/manifests/1\": dial tcp: lookup nowhere.example on 192.0.2.1:53: no such host"}]}
Dockerfile:1
--------------------
   1 | >>> FROM nowhere.example/x:1
   2 |     RUN true
   3 |
--------------------
ERROR: failed to build: failed to solve: nowhere.example/x:1: failed to resolve source metadata for nowhere.example/x:1: failed to do request: Head "https://nowhere.example/v2/x/manifests/1": dial tcp: lookup nowhere.example on 192.0.2.1:53: no such host
"""  # noqa: E501

MISSING_FRONTEND = r"""
{"vertexes":[{"digest":"sha256:82","name":"resolve image config for docker-image://docker.io/docker/dockerfile:1","started":"2026-11-23T20:23:11Z"}]}
{"vertexes":[{"digest":"sha256:82","name":"resolve image config for docker-image://docker.io/docker/dockerfile:1","started":"2026-11-23T20:23:11Z","completed":"2026-11-23T20:23:11Z","error":"docker.io/docker/dockerfile:1: not found"}]}
Dockerfile:1
--------------------
   1 | >>> # syntax=docker/dockerfile:1
   2 |     FROM python:3.13-slim
   3 |     RUN true
--------------------
ERROR: failed to build: failed to solve: failed to resolve source metadata for docker.io/docker/dockerfile:1: docker.io/docker/dockerfile:1: not found
"""  # noqa: E501

TYPO = r"""
{"vertexes":[{"digest":"sha256:b9","name":"[internal] load build definition from Dockerfile","started":"2026-11-23T20:23:11Z","completed":"2026-11-23T20:23:11Z"}]}
Dockerfile:2
--------------------
   1 |     FROM python:3.13-slim
   2 | >>> RUNN true
   3 |
--------------------
ERROR: failed to build: failed to solve: dockerfile parse error on line 2: unknown instruction: RUNN (did you mean RUN?)
"""  # noqa: E501


def fed(printed: str | Iterable[str], exit_code: int = 1) -> tuple[BuildLog, list[str]]:
    told: list[str] = []
    seen = BuildLog(told.append)
    lines = printed.strip().splitlines() if isinstance(printed, str) else printed
    for line in lines:
        seen.feed(line)
    seen.exit_code = exit_code
    return seen, told


def started(digest: str, name: str, **more: str) -> str:
    return json.dumps({"vertexes": [{"digest": digest, "name": name, "started": "now", **more}]})


def printed(digest: str, data: bytes, stream: int = 1) -> str:
    text = base64.b64encode(data).decode()
    return json.dumps({"logs": [{"vertex": digest, "stream": stream, "data": text}]})


UNREAD_CACHE = started(
    "c",
    "importing cache manifest from r.example/a:c",
    error="failed to configure registry cache importer: failed to do request: no such host",
)


@pytest.fixture
def build(tmp_path: Path) -> BuildSettings:
    (tmp_path / "Dockerfile").write_text("FROM python:3.13-slim\n")
    return BuildSettings(tmp_path, tmp_path / "Dockerfile")


def explained(printed: str | Iterable[str], build: BuildSettings, **how: bool) -> MlContainerError:
    return explain_build(fed(printed)[0], build, AMD64, emulated=how.get("emulated", False))


class TestBuildLog:
    def test_it_tells_each_step_once_and_each_line_as_it_comes(self) -> None:
        """Steps when they start, not when they are planned; lines marked as such."""
        _seen, told = fed(FAILING_STEP)
        assert told == [
            "[internal] load build definition from Dockerfile",
            "[1/2] FROM docker.io/library/python:3.13-slim@sha256:0d",
            "[2/2] RUN echo one; python -c \"import sys; sys.exit('café')\"",
            f"{DETAIL}one",
            f"{DETAIL}café",
        ]

    def test_a_step_that_goes_on_after_one_beside_it_is_told_again(self) -> None:
        """Else the last word on minutes of pip would be the context, which came in a second."""
        pip, context = "[packages 2/3] RUN pip install numpy", "[internal] load build context"
        events = [
            started("a", pip),
            started("b", context),
            started("b", context, completed="then"),
            started("a", pip, completed="later"),
        ]
        _seen, told = fed(events)
        assert told == [pip, context, pip]

    def test_it_tells_how_much_of_an_image_and_of_the_context_has_come(self) -> None:
        layer = {"id": "sha256:c1", "vertex": "sha256:a3", "total": 50_548_487}
        statuses: tuple[dict[str, object], ...] = (
            {**layer, "current": 7_340_032},
            {**layer, "current": 50_548_487},  # within the same second
            {"id": "extracting sha256:c1", "vertex": "sha256:a3", "current": 0},
            {"id": "transferring dockerfile:", "vertex": "sha256:f5", "current": 9},
            {"id": "transferring context:", "vertex": "sha256:b7", "current": 40_007_356},
        )
        _seen, told = fed(json.dumps({"statuses": [each]}) for each in statuses)
        assert told == [f"{FAR}7.3 MB of 50.5 MB", f"{FAR}40.0 MB"]

    def test_secrets_are_taken_out_before_lines_are_cut(self, build: BuildSettings) -> None:
        """Else the beginning of one would be left at the end of a long line."""
        told: list[str] = []
        seen = BuildLog(told.append, Redactor((Value("TOKEN", b"hf_0123456789"),)))
        for line in (
            started("sha256:a", "RUN cat hf_0123456789", error="not hf_0123456789"),
            printed("sha256:a", b"x" * 295 + b"hf_0123456789\n" + b"last hf_0123"),
            printed("sha256:a", b"456789"),
            "ERROR: hf_0123456789",
            "{hf_0123456789",
        ):
            seen.feed(line)
        seen.exit_code = 1
        error = explain_build(seen, build, AMD64, emulated=False)
        assert told == ["RUN cat ***", f"{DETAIL}{'x' * 295}***"]
        assert error.value.splitlines()[1:] == ["x" * 295 + "***", "last ***", "not ***"]
        assert "hf_" not in seen.text

    def test_a_build_that_succeeds_has_not_failed(self) -> None:
        """The exit code alone says so."""
        assert not fed(FAILING_STEP, exit_code=0)[0].failed
        assert fed("", exit_code=1)[0].failed

    def test_a_step_beside_the_failing_one_is_not_the_cause(self) -> None:
        """BuildKit cancels what runs in parallel, and may report that first."""
        seen, _told = fed(
            [
                started(
                    "a", "[a 2/2] RUN sleep 9", error="process did not complete: context canceled"
                ),
                started("b", "[b 2/2] RUN false", error="exit code: 1"),
                started("c", "[c 2/2] RUN false", error="exit code: 2"),
            ]
        )
        assert (seen.failed_step, seen.error) == ("[b 2/2] RUN false", "exit code: 1")

    def test_lines_that_come_after_the_error(self) -> None:
        """One event may hold both, in any order."""
        seen, _told = fed(
            [started("a", "[1/1] RUN x", error="exit code: 1"), printed("a", b"last words\n")]
        )
        assert seen.failed_lines == ("last words",)

    def test_lines_in_pieces(self) -> None:
        """A line ends where it ends, not where BuildKit cut it, even within a character."""
        data = "first ü\nsecond\nno end".encode()
        seen, told = fed(
            [started("a", "[1/1] RUN x", error="e"), *(printed("a", bytes([b])) for b in data)]
        )
        assert told[1:] == [f"{DETAIL}first ü", f"{DETAIL}second"]
        assert seen.failed_lines == ("first ü", "second", "no end")
        assert seen.failed_lines == ("first ü", "second", "no end")

    def test_two_streams_do_not_mix(self) -> None:
        """Half a line of stdout is not finished by stderr."""
        seen, _told = fed(
            [
                started("a", "[1/1] RUN x", error="e"),
                printed("a", b"half ", 1), printed("a", b"oops\n", 2), printed("a", b"done\n", 1),
            ]
        )  # fmt: skip
        assert seen.failed_lines == ("oops", "half done")

    def test_a_progress_bar_is_its_last_state(self) -> None:
        """As a terminal would leave it; empty lines are left out."""
        _seen, told = fed([printed("a", b"10%\r50%\r100%\n\n  \nnext\r\n")])
        assert told == [f"{DETAIL}100%", f"{DETAIL}next"]

    def test_the_last_lines_keep_what_went_to_stderr(self) -> None:
        """A compiler's message, followed by much that was buffered."""
        seen, _told = fed(
            [
                started("a", "[1/1] RUN x", error="e"),
                printed("a", b"the error\n", 2),
                printed("a", b"".join(b"line %d\n" % number for number in range(1000)), 1),
            ]
        )
        assert seen.failed_lines[0] == "the error"
        assert seen.failed_lines[-1] == "line 999"
        assert len(seen.failed_lines) == 15

    def test_a_line_of_any_length_is_shown_shortly(self) -> None:
        """Some tools print a progress bar of thousands of characters."""
        seen, _told = fed([started("a", "[1/1] RUN x", error="e"), printed("a", b"x" * 10**6)])
        assert len(seen.failed_lines[0]) < 500

    @given(st.lists(st.binary(max_size=20), max_size=8), st.integers(1, 2))
    def test_any_bytes_are_lines(self, pieces: list[bytes], stream: int) -> None:
        """Nothing that a step prints disturbs the reading, and complete lines are told."""
        _seen, told = fed([printed("a", piece, stream) for piece in pieces])
        assert len(told) <= b"".join(pieces).count(b"\n")
        assert not any("\n" in line for line in told)

    def test_other_lines_are_closing_words(self) -> None:
        """Words of the docker command, half a line at the end; not an event without content."""
        lines = ["{}", '{"vertexes": null, "logs": null}', "{", "ERROR: x", ""]
        seen, told = fed(lines)
        assert told == []
        assert seen.plain == ["{", "ERROR: x", ""]

    def test_a_cache_that_could_not_be_read_is_noted_with_its_key(self) -> None:
        """Unless it is not there yet, as before the first build."""
        (note,) = fed([UNREAD_CACHE], exit_code=0)[0].notes
        assert "r.example/a:c, of `cache-from` in [tool.mlcontainer]" in note
        assert "no such host" in note
        new = json.loads(UNREAD_CACHE)
        new["vertexes"][0]["error"] = "failed to configure registry cache importer: a:c: not found"
        assert fed([json.dumps(new)], exit_code=0)[0].notes == ()


class TestExplain:
    def test_a_failing_step(self, build: BuildSettings) -> None:
        """The step, its last lines and its exit code; not the log as a whole."""
        error = explained(FAILING_STEP, build)
        assert isinstance(error, BuildError)
        assert error.what == "the image for linux/amd64 could not be built"
        assert error.value.splitlines() == [
            "Dockerfile, [2/2] RUN echo one; python -c \"import sys; sys.exit('café')\"",
            "one",
            "café",
            'process "/bin/sh -c echo one; python -c \\"import sys; sys.exit(\'café\')\\"" did not '
            "complete successfully: exit code: 1",
        ]
        assert "the lines above are the step's own" in error.remedy

    def test_a_file_that_is_not_in_the_context(self, build: BuildSettings) -> None:
        """Where it was looked for; a wheel has to be made, an ignore file may hide it."""
        error = explained(MISSING_FILE, build)
        assert "[2/2] COPY dist/*.whl /tmp/" in error.value
        assert "lstat /dist: no such file or directory" in error.value
        assert str(build.context) in error.remedy
        assert 'before-build = ["uv build --wheel"]' in error.remedy
        assert ".dockerignore" not in error.remedy
        (build.context / ".dockerignore").write_text("dist\n")
        assert ".dockerignore may exclude it" in explained(MISSING_FILE, build).remedy
        other = MISSING_FILE.replace("dist/*.whl", "data.csv").replace("/dist", "/data.csv")
        assert "before-build" not in explained(other, build).remedy

    def test_a_base_image_that_cannot_be_had(self, build: BuildSettings) -> None:
        """The registry's own word, and the build context that would replace it."""
        error = explained(MISSING_BASE, build)
        assert "no such host" in error.value
        assert '"nowhere.example/x:1" = "docker-image://' in error.remedy

    def test_the_name_of_a_base_image_is_as_in_the_dockerfile(self, build: BuildSettings) -> None:
        """A build context called `docker.io/library/python` would replace nothing."""
        text = MISSING_BASE.replace("nowhere.example/x:1", "docker.io/library/python:3.99-slim")
        assert '"python:3.99-slim" = "docker-image://' in explained(text, build).remedy

    def test_a_stage_whose_name_is_misspelt(self, build: BuildSettings) -> None:
        """BuildKit takes it for an image, and Docker Hub has none of the name."""
        text = MISSING_BASE.replace("nowhere.example/x:1", "docker.io/library/bulider:latest")
        assert "stage" not in explained(text, build).remedy
        build.dockerfile.write_text("FROM a AS builder\nFROM b\nCOPY --from=bulider /a /b\n")
        assert explained(text, build).remedy.startswith("if the stage builder is meant")
        assert "stage" not in explained(MISSING_BASE, build).remedy

    def test_a_cache_that_cannot_be_read_is_not_why_a_step_fails(
        self, build: BuildSettings
    ) -> None:
        """BuildKit says so first, and goes on without it."""
        lines = [UNREAD_CACHE, *FAILING_STEP.strip().splitlines()]
        error = explained(lines, build)
        assert "Dockerfile, [2/2] RUN echo one" in error.value
        assert "the lines above are the step's own" in error.remedy

    @pytest.mark.parametrize(
        ("said", "key"),
        [
            ("ERROR: failed to build: registry cache importer requires ref", "cache-from"),
            ("ERROR: failed to build: registry cache exporter requires ref", "cache-to"),
            (
                "ERROR: failed to build: Cache export is not supported for the docker driver.",
                "cache-to",
            ),
        ],
    )
    def test_a_cache_that_cannot_be_used_is_named_by_its_key(
        self, build: BuildSettings, said: str, key: str
    ) -> None:
        value = "type=registry,ref=r.example/a:c,secret=s3cret"
        remedy = explained([said], replace(build, cache_from=(value,), cache_to=(value,))).remedy
        assert remedy.startswith(f"correct or leave out `{key}` in [tool.mlcontainer]")
        assert '["type=registry,ref=r.example/a:c"]' in remedy

    def test_a_cache_that_cannot_be_written_is_named_by_its_key(self, build: BuildSettings) -> None:
        error = "error writing layer blob: failed to do request: Head: connection refused"
        lines = [started("a", "exporting cache to registry", error=error)]
        found = explained(lines, replace(build, cache_to=("type=registry,ref=r.example/a:c",)))
        assert "connection refused" in found.value
        assert '`cache-to` in [tool.mlcontainer]: it is ["type=registry,ref=r.exa' in found.remedy

    def test_a_typo(self, build: BuildSettings) -> None:
        """No step has run; the closing words name the line."""
        error = explained(TYPO, build)
        assert "Dockerfile, before its first step" in error.value
        assert ">>> RUNN true" in error.value
        assert "did you mean RUN?" in error.value
        assert error.remedy.startswith("correct the Dockerfile")

    @pytest.mark.parametrize(
        ("words", "remedy"),
        [
            ("no build stage in current context", "begin it with a stage"),
            ("the Dockerfile cannot be empty", "begin it with a stage"),
            ('target stage "x" could not be found', "name one of its stages as `build-target`"),
            ("unterminated heredoc", "end the heredoc"),
            ("base name ($BASE) should not be blank", "declare it before the first FROM"),
            ('unsupported mount type "cach"', "correct the Dockerfile"),
        ],
    )
    def test_what_buildkit_refuses_is_a_fault_of_the_dockerfile(
        self, words: str, remedy: str, build: BuildSettings
    ) -> None:
        """It shows the line of the Dockerfile that is to blame, where there is one."""
        shown = [] if "stage" in words or "empty" in words else ["Dockerfile:2", "  2 | >>> A"]
        error = explained([*shown, f"ERROR: failed to build: failed to solve: {words}"], build)
        assert remedy in error.remedy

    def test_a_missing_emulator(self, build: BuildSettings) -> None:
        """Only on a platform that the engine emulates; else a script lacks its first line."""
        lines = [
            started("a", "[2/2] RUN true", error="exit code: 255"),
            printed("a", b"exec /bin/sh: exec format error\n", 2),
        ]
        assert isinstance(explained(lines, build, emulated=True), PlatformError)
        assert isinstance(explained(lines, build, emulated=False), BuildError)

    def test_words_that_are_no_json_alone(self, build: BuildSettings) -> None:
        """buildx may fail before it has an event to tell."""
        error = explained('ERROR: no builder "x" found', build)
        assert 'ERROR: no builder "x" found' in error.value
        assert error.remedy


class TestLostALayer:
    DIGEST = "sha256:" + "6af80d7d40536964" * 4

    @pytest.mark.parametrize(
        "error",
        [
            f'failed to prepare extraction snapshot "extract-65-0jkm sha256:87": parent snapshot '
            f"{DIGEST} does not exist: not found",
            f"failed to solve: content digest {DIGEST}: not found",
        ],
    )
    def test_the_removal_of_another_image_is_told_from_a_failure(self, error: str) -> None:
        """containerd drops layers that another build is about to export."""
        log, _lines = fed([started("a", "exporting to image", error=error)])
        assert log.lost_a_layer

    @pytest.mark.parametrize("printed", [FAILING_STEP, MISSING_FILE, MISSING_BASE, TYPO])
    def test_other_failures_are_none(self, printed: str) -> None:
        """They would only fail once more."""
        log, _lines = fed(printed)
        assert not log.lost_a_layer


class TestLacksImage:
    @pytest.mark.parametrize(
        "reference", ["docker/dockerfile:1", "docker.io/docker/dockerfile:1", "docker/dockerfile"]
    )
    def test_a_frontend_that_cannot_be_had(self, reference: str) -> None:
        """However it is spelled in the Dockerfile."""
        assert fed(MISSING_FRONTEND)[0].lacks_image(reference)

    def test_a_frontend_on_a_registry_of_its_own(self) -> None:
        """The port is not a tag."""
        text = MISSING_FRONTEND.replace("docker.io/docker", "localhost:5000")
        assert fed(text)[0].lacks_image("localhost:5000/dockerfile:1")
        assert not fed(text)[0].lacks_image("localhost:4000/dockerfile:1")

    @pytest.mark.parametrize("printed", [FAILING_STEP, MISSING_FILE, MISSING_BASE, TYPO])
    def test_other_failures_are_not_the_frontends(self, printed: str) -> None:
        """Also where the Dockerfile around the failure is shown, with its `# syntax=` line."""
        shown = printed.replace("   1 |", "   1 | # syntax=docker/dockerfile:1\n   1 |")
        assert not fed(shown)[0].lacks_image("docker/dockerfile:1")
        missing = f"{shown}\nERROR: pip: not found"
        assert not fed(missing)[0].lacks_image("docker/dockerfile:1")


class TestArguments:
    def test_everything_that_is_configured(self, tmp_path: Path) -> None:
        """Each value in its own word, so that no shell or comma can take it apart."""
        full = BuildSettings(
            tmp_path,
            tmp_path / "a b.Dockerfile",
            args=(("EXTRA", "a b=c"),),
            contexts=(("python:3.13-slim", "docker-image://mirror/python:3.13-{arch}"),),
            target="runtime",
            secrets=(Secret("token", env="TOKEN"), Secret("netrc", file=tmp_path / "netrc")),
            cache_from=("type=gha",),
            cache_to=("type=gha,mode=max",),
            builder="default",
        )
        words = arguments(full, full.dockerfile, AMD64, "p:tag", (("label", "x y"),))
        assert words[0] == "build"
        assert words[-1] == str(tmp_path)
        assert set(words[1:-1]) == {
            "--progress=rawjson",
            "--load",
            "--provenance=false",
            "--platform=linux/amd64",
            "--tag=p:tag",
            f"--file={tmp_path}/a b.Dockerfile",
            "--label=label=x y",
            "--build-arg=EXTRA=a b=c",
            "--build-context=python:3.13-slim=docker-image://mirror/python:3.13-amd64",
            "--cache-from=type=gha",
            "--cache-to=type=gha,mode=max",
            "--secret=id=token,env=TOKEN",
            f"--secret=id=netrc,src={tmp_path}/netrc",
            "--target=runtime",
            "--builder=default",
        }

    def test_a_context_for_each_platform(self, tmp_path: Path) -> None:
        """`{os}`, `{arch}` and `{variant}` stand for the platform's parts."""
        contexts = (("base", "oci-layout:///x/{os}-{arch}-{variant}"),)
        parts = BuildSettings(tmp_path, tmp_path / "Dockerfile", contexts=contexts)
        words = arguments(parts, parts.dockerfile, Platform("linux", "arm", "v7"), "t", ())
        assert "--build-context=base=oci-layout:///x/linux-arm-v7" in words
        assert "--platform=linux/arm/v7" in words


class TestFrontend:
    @pytest.mark.parametrize(
        ("text", "image"),
        [
            ("# syntax=docker/dockerfile:1\nFROM x\n", "docker/dockerfile:1"),
            ("#syntax = docker/dockerfile:1 \r\nFROM x\r\n", "docker/dockerfile:1"),
            ("\ufeff# SYNTAX=a/b\nFROM x", "a/b"),
            ("FROM x\n# syntax=docker/dockerfile:1\n", None),
            ("# a comment\n# syntax=docker/dockerfile:1\nFROM x\n", None),
            ("# syntaxes=a\nFROM x", None),
            ("", None),
        ],
    )
    def test_the_image_of_the_syntax_line(
        self, build: BuildSettings, text: str, image: str | None
    ) -> None:
        """The first line alone asks for one; further down it is a comment."""
        build.dockerfile.write_text(text, encoding="utf-8")
        assert frontend_image(build.dockerfile) == image

    def test_a_copy_without_it(self, build: BuildSettings) -> None:
        """The other lines are the same, byte for byte, at the same place; it is gone afterwards."""
        build.dockerfile.write_bytes(b"# syntax=docker/dockerfile:1\nFROM x\nRUN echo \xff\n")
        ignore = build.dockerfile.with_name("Dockerfile.dockerignore")
        ignore.write_text("*.log\n")
        with without_syntax_line(build.dockerfile) as copy:
            assert frontend_image(copy) is None
            assert copy.read_bytes().split(b"\n")[1:] == [b"FROM x", b"RUN echo \xff", b""]
            assert copy.with_name("Dockerfile.dockerignore").read_text() == "*.log\n"
        assert not copy.exists()
        assert frontend_image(build.dockerfile) == "docker/dockerfile:1"
