from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_mlcontainer.engines.process import Processes
from pytest_mlcontainer.errors import BuildError
from pytest_mlcontainer.images import (
    build_key,
    fingerprint,
    prepare,
    project_fingerprint,
    repository,
    wheels_copied,
)
from pytest_mlcontainer.model import BuildSettings, ImageJob, Platform, Secret, Settings, Target

AMD64 = Platform("linux", "amd64")


@pytest.fixture
def build(tmp_path: Path) -> BuildSettings:
    """A small project."""
    (tmp_path / "Dockerfile").write_text("FROM x\nCOPY dist/*.whl /tmp/\n")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "train.py").write_text("print(1)\n")
    return BuildSettings(tmp_path, tmp_path / "Dockerfile")


def settings_of(build: BuildSettings, name: str = "bikes") -> Settings:
    file = build.context / "pyproject.toml"
    return Settings(file, name, build, (AMD64,), AMD64)


class TestFingerprint:
    def test_it_stays_while_nothing_changes(self, build: BuildSettings) -> None:
        """Also when what is no source changes, or what the build itself makes."""
        before = fingerprint(build)
        for folder in (
            ".git",
            ".venv",
            "__pycache__",
            ".pytest_cache",
            ".hypothesis",
            "node_modules",
        ):
            (build.context / folder).mkdir()
            (build.context / folder / "x").write_text("x")
        (build.context / "src" / "__pycache__").mkdir()
        (build.context / "src" / "__pycache__" / "train.pyc").write_text("x")
        (build.context / ".coverage.host.123").write_text("x")
        assert fingerprint(build) == before

    @pytest.mark.parametrize(
        "change", ["content", "touch", "new", "less", "rename", "dockerfile", "dist"]
    )
    def test_it_changes_with_the_sources(self, build: BuildSettings, change: str) -> None:
        """Any of them, the Dockerfile too, and a wheel that somebody else has made."""
        source = build.context / "src" / "train.py"
        before = fingerprint(build)
        if change == "content":
            source.write_text("print(22)\n")
        elif change == "touch":
            os.utime(source, ns=(5, 5))
        elif change == "new":
            (build.context / "src" / "new.py").touch()
        elif change == "less":
            source.unlink()
        elif change == "rename":
            source.rename(source.with_name("infer.py"))
        elif change == "dockerfile":
            build.dockerfile.write_text("FROM y\n")
        else:
            (build.context / "dist").mkdir()
            (build.context / "dist" / "a.whl").touch()
        assert fingerprint(build) != before

    def test_what_before_build_makes_is_no_source(self, build: BuildSettings) -> None:
        """Else each session's wheel, made anew, would look like another project's."""
        build = replace(build, before=("uv build --wheel",))
        before = fingerprint(build)
        (build.context / "dist").mkdir()
        (build.context / "dist" / "a.whl").touch()
        assert fingerprint(build) == before
        (build.context / "src" / "new.py").touch()
        assert fingerprint(build) != before

    def test_a_dockerfile_outside_the_context(self, build: BuildSettings, tmp_path: Path) -> None:
        """`docker/train.Dockerfile` with another folder as context."""
        build = replace(build, context=tmp_path / "src")
        before = fingerprint(build)
        build.dockerfile.write_text("FROM y\n")
        assert fingerprint(build) != before

    def test_contexts_with_names_are_sources(self, build: BuildSettings, tmp_path: Path) -> None:
        """Folders of this machine, for any platform; what lies elsewhere has no time here."""
        for name in ("shared", "wheels-amd64", "layout"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "x").write_text("1")
        named = replace(
            build,
            context=tmp_path / "src",
            contexts=(
                ("a", str(tmp_path / "shared")),
                ("b", str(tmp_path / "wheels-{arch}")),
                ("c", f"oci-layout://{tmp_path / 'layout'}"),
                ("d", "docker-image://python:3.13-slim"),
                ("e", "https://example.org/x.git"),
                ("f", "git@example.org:x.git"),
            ),
        )
        seen = [fingerprint(named)]
        for name in ("shared", "wheels-amd64", "layout"):
            (tmp_path / name / "x").write_text("22")
            seen.append(fingerprint(named))
        assert len(set(seen)) == 4
        assert fingerprint(named) == seen[-1]

    def test_a_mode_is_part_of_a_source(self, build: BuildSettings) -> None:
        """COPY keeps it."""
        before = fingerprint(build)
        (build.context / "src" / "train.py").chmod(0o755)
        assert fingerprint(build) != before

    def test_what_the_dockerfile_leaves_out_counts(
        self, build: BuildSettings, tmp_path: Path
    ) -> None:
        """`train.Dockerfile.dockerignore` beside a Dockerfile outside the context."""
        build = replace(build, context=tmp_path / "src")
        before = fingerprint(build)
        (tmp_path / "Dockerfile.dockerignore").write_text("*.csv\n")
        assert fingerprint(build) != before

    def test_names_and_links_of_every_kind(self, build: BuildSettings) -> None:
        """Bytes that are no text, a link to nowhere, a pipe that must not be opened."""
        (build.context / "b\udcff").write_text("x")
        (build.context / "link").symlink_to("nowhere")
        os.mkfifo(build.context / "pipe")
        assert fingerprint(build) == fingerprint(build)


def test_the_state_of_a_project_is_not_that_of_its_context(
    build: BuildSettings, tmp_path: Path
) -> None:
    """A run on the host gets the whole project, also where only a folder of it is built from."""
    apart = replace(build, context=tmp_path / "src")
    settings = replace(settings_of(apart), file=tmp_path / "pyproject.toml")
    before = fingerprint(apart), project_fingerprint(settings)
    (tmp_path / "predict.py").write_text("print(2)\n")
    after = fingerprint(apart), project_fingerprint(settings)

    assert before[0] == after[0]
    assert before[1] != after[1]


class TestWheelsCopied:
    @pytest.mark.parametrize(
        ("text", "patterns"),
        [
            ("COPY dist/*.whl /tmp/", ("dist/*.whl",)),
            ("  copy ./dist/*.whl /tmp/", ("dist/*.whl",)),
            ("ADD /dist/a-1.0-py3-none-any.whl /tmp/", ("dist/a-1.0-py3-none-any.whl",)),
            ("COPY --chown=1:1 --link a.whl b.whl /tmp/", ("a.whl", "b.whl")),
            ("COPY --from=builder /dist/*.whl /tmp/", ()),
            ("COPY dist/${WHEEL}.whl /tmp/", ()),
            ("COPY src /tmp/x.whl", ()),
            ("RUN pip install dist/*.whl", ()),
            ("# COPY dist/*.whl /tmp/", ()),
            ("COPY", ()),
            ("", ()),
        ],
    )
    def test_what_the_dockerfile_takes_from_the_context(
        self, build: BuildSettings, text: str, patterns: tuple[str, ...]
    ) -> None:
        """A wheel that another stage makes, or that a variable names, is not looked for."""
        build.dockerfile.write_text(f"FROM x\n{text}\nCMD y\n")
        assert wheels_copied(build.dockerfile) == patterns


class TestPrepare:
    @staticmethod
    def run(build: BuildSettings, **environ: str) -> list[str]:
        told: list[str] = []
        env = {"PATH": os.environ["PATH"], **environ}
        prepare(build, build.context, env, Processes(), told.append)
        return told

    def test_the_commands_run_in_the_projects_folder(self, build: BuildSettings) -> None:
        """By a shell, in their order, each told with its lines."""
        build = replace(
            build, before=("mkdir dist && echo made", 'echo "$X" > "dist/$(basename $PWD).whl"')
        )
        told = self.run(build, X="wheel")
        assert told[0] == "before-build: mkdir dist && echo made"
        assert told[1].endswith("made")
        assert len(told) == 3
        assert (build.context / "dist" / f"{build.context.name}.whl").read_text() == "wheel\n"

    def test_one_that_fails(self, build: BuildSettings) -> None:
        """Its exit code, its folder and its last lines; those after it are not run."""
        build = replace(build, before=("seq 100; echo why >&2; exit 7", "touch never"))
        with pytest.raises(BuildError, match="a before-build command failed") as caught:
            self.run(build)
        lines = caught.value.value.splitlines()
        assert lines[0] == f"seq 100; echo why >&2; exit 7  (exit 7, in {build.context})"
        assert lines[-1] == "why"
        assert len(lines) == 21
        assert "uv" in caught.value.remedy
        assert not (build.context / "never").exists()

    def test_one_that_never_ends(self, build: BuildSettings) -> None:
        """It is ended at the build's limit, with its children."""
        build = replace(build, before=("echo at it; sleep 60",), timeout_s=0.5)
        with pytest.raises(BuildError, match=r"ran past 0\.5 s") as caught:
            self.run(build)
        assert "at it" in caught.value.value

    def test_no_wheel_was_made(self, build: BuildSettings) -> None:
        """What is there instead, and what has run."""
        build = replace(build, before=("mkdir -p dist && touch dist/a.tar.gz",))
        with pytest.raises(BuildError, match="before-build made no wheel") as caught:
            self.run(build)
        assert caught.value.value == (
            f"Dockerfile copies dist/*.whl; in {build.context}/dist there is: a.tar.gz; "
            "before-build ran: mkdir -p dist && touch dist/a.tar.gz"
        )

    def test_no_wheel_and_nothing_to_make_one(self, build: BuildSettings) -> None:
        """The line of configuration that would."""
        with pytest.raises(BuildError, match="no wheel to copy into the image") as caught:
            self.run(build)
        assert f"there is no folder {build.context}/dist" in caught.value.value
        assert 'before-build = ["uv build --wheel"]' in caught.value.remedy

    def test_a_wheel_that_is_there_already(self, build: BuildSettings) -> None:
        """CI made it in a step of its own."""
        (build.context / "dist").mkdir()
        (build.context / "dist" / "a.whl").touch()
        assert self.run(build) == []


class TestBuildKey:
    def test_it_is_the_same_for_the_same(self, build: BuildSettings) -> None:
        """In every worker and process; it is part of a tag, so it is plain."""
        job = ImageJob(Target(AMD64))
        settings = settings_of(build)
        key = build_key(settings, job, "engine", "sources")
        assert key == build_key(settings_of(build), job, "engine", "sources")
        assert key.isalnum()

    @pytest.mark.parametrize(
        "change",
        [
            {"args": (("EXTRA", "gpu"),)},
            {"args": (("EXTRA", "cp"), ("U", ""))},
            {"contexts": (("a", "b"),)},
            {"target": "runtime"},
            {"before": ("make",)},
            {"secrets": (Secret("a", env="A"),)},
            {"dockerfile": Path("/other")},
        ],
    )
    def test_every_setting_of_the_build_counts(
        self, build: BuildSettings, change: dict[str, Any]
    ) -> None:
        """Two sessions that build differently do not share."""
        job = ImageJob(Target(AMD64))
        keys = {
            build_key(settings_of(each), job, "engine", "sources")
            for each in (build, replace(build, **change))
        }
        assert len(keys) == 2

    def test_so_do_platform_engine_and_sources(self, build: BuildSettings) -> None:
        """And the image that is tested instead of one that is built."""
        settings = settings_of(build)
        jobs = [
            ImageJob(Target(AMD64)),
            ImageJob(Target(Platform("linux", "arm64"))),
            ImageJob(Target(AMD64), "image:tag"),
        ]
        keys = [build_key(settings, job, "engine", "sources") for job in jobs]
        keys.append(build_key(settings, jobs[0], "other", "sources"))
        keys.append(build_key(settings, jobs[0], "engine", "changed"))
        assert len(set(keys)) == len(keys)


class TestRepository:
    @pytest.mark.parametrize("name", ["bikes", "My Project", "--", "", "ünï", "a__b", "x" * 100])
    def test_it_is_a_name_that_engines_take(self, build: BuildSettings, name: str) -> None:
        """Whatever the project is called."""
        made = repository(settings_of(build, name))
        assert made.isascii()
        assert made == made.lower()
        assert not any(sign in made for sign in (" ", "--", "__", "/-"))

    def test_two_checkouts_have_their_own(self, build: BuildSettings, tmp_path: Path) -> None:
        """Cleaning one must not take the other's images."""
        other = replace(settings_of(build), file=tmp_path / "copy" / "pyproject.toml")
        assert repository(settings_of(build)) != repository(other)
