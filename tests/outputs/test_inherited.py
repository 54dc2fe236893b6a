"""Outputs that were there before a run are not that run's: they are never compared as its work."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest

from pytest_mlcontainer.outputs import Collected, DeclaredOutputs, Mark, collect_tar, collect_tree
from tests.sample_project import MakeProject

DOCKERFILE = """\
FROM python:3.13-slim
WORKDIR /app
RUN mkdir shipped && echo 1 > shipped/a.txt && ln -s a.txt shipped/link.txt
COPY *.py ./
"""

PROGRAM = """\
import os, pathlib, shutil, sys
models = pathlib.Path("models")
match sys.argv[1]:
    case "base":
        models.mkdir(exist_ok=True)
        (models / "base.txt").write_text("1")
    case "tune":
        (models / "tuned.txt").write_text((models / "base.txt").read_text() + "2")
    case "again":
        (models / "base.txt").write_text("1")
    case "sameplace":
        status = os.stat(models / "base.txt")
        (models / "base.txt").write_text("2")
        os.utime(models / "base.txt", ns=(status.st_atime_ns, status.st_mtime_ns))
    case "infer":
        os.makedirs("out", exist_ok=True)
        texts = [path.read_text() for path in sorted(models.iterdir())]
        pathlib.Path("out/texts.txt").write_text(" ".join(texts))
"""


def entry(name: str, outputs: str, needs: str = "") -> str:
    more = f'needs = ["{needs}"]' if needs else ""
    return (
        f'[tool.mlcontainer.entrypoints.{name}]\ncommand = ["python", "go.py", "{name}"]\n'
        f'outputs = ["{outputs}"]\n{more}\n'
    )


CHAIN = "\n".join(
    (
        entry("base", "models/*"),
        entry("tune", "models/*", "base"),
        entry("again", "models/*", "base"),
        entry("sameplace", "models/*", "base"),
        entry("idle", "models/*", "base"),
        entry("infer", "out/*", "tune"),
    )
)


@pytest.mark.parametrize("platform", ["native", "host"])
def test_what_a_needed_run_wrote_is_not_this_ones_output(
    platform: str, project: MakeProject, leaves_nothing: None
) -> None:
    """Copies of it count where they are written anew or changed, also under the old time, and fail
    the run where they are all there is; runs further on get them all the same."""
    root = project.write(CHAIN, dockerfile=DOCKERFILE, train="", go__py=PROGRAM)

    result = project.run(f"--container-platform={platform}", "--container-records=records")

    runs = {
        json.loads(file.read_text())["entrypoint"]: json.loads(file.read_text())
        for file in (root / "records").rglob("record.json")
    }
    written = {
        name: [each["name"] for each in run["outputs"] if not each.get("inherited")]
        for name, run in runs.items()
    }
    assert written == {
        "base": ["models/base.txt"],
        "tune": ["models/tuned.txt"],
        "again": ["models/base.txt"],
        "sameplace": ["models/base.txt"],
        "idle": [],
        "infer": ["out/texts.txt"],
    }
    assert [name for name, run in runs.items() if run["failure"]] == ["idle"]
    assert "wrote none of what it declares" in runs["idle"]["failure"]["what"]
    assert "not written by this run: models/*; models/base.txt" in runs["idle"]["failure"]["value"]
    assert any("not written by tune" in note for note in runs["tune"]["notes"])
    assert (next((root / "records").rglob("texts.txt"))).read_text() == "1 12"
    result.stdout.fnmatch_lines(
        ["*idle on * exited with code 0 but wrote none of what it declares*"]
    )


def test_files_of_the_image_are_not_the_runs_output(
    project: MakeProject, leaves_nothing: None
) -> None:
    """Two runs that leave them alone would agree on them whatever the program does."""
    project.write(
        entry("idle", "shipped/*") + "repeat = 2\n", dockerfile=DOCKERFILE, train="", go__py=PROGRAM
    )

    result = project.run()

    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(
        [
            "idle on * exited with code 0 but wrote none of what it declares:",
            "  not written by this run: shipped/[*]; shipped/a.txt, shipped/link.txt was there *",
        ]
    )


class TestWhatWasThere:
    def stream(self, **files: tuple[bytes, int]) -> list[bytes]:
        """A tar stream of `out`, of names with their content and time."""
        made = io.BytesIO()
        with tarfile.open(fileobj=made, mode="w") as tar:
            for name, (content, time) in files.items():
                member = tarfile.TarInfo(f"out/{name}")
                member.size, member.mtime = len(content), time
                tar.addfile(member, io.BytesIO(content))
        return [made.getvalue()]

    def marks(self, stream: list[bytes]) -> dict[str, Mark]:
        seen = Collected()
        collect_tar(stream, "/w/out", DeclaredOutputs(("out/*",), "/w"), None, seen)
        return seen.marks()

    @pytest.mark.parametrize(
        ("before", "after", "inherited"),
        [
            ((b"1", 7), (b"1", 7), True),
            ((b"1", 7), (b"1", 8), False),
            ((b"1", 7), (b"2", 7), False),
            ((b"1", 7), (b"11", 7), False),
        ],
        ids=["left alone", "the same bytes anew", "other bytes, same time", "longer"],
    )
    def test_a_file_is_inherited_if_bytes_and_time_are_those_of_before(
        self,
        before: tuple[bytes, int],
        after: tuple[bytes, int],
        inherited: bool,
        tmp_path: Path,
    ) -> None:
        """Bytes alone would call a file inherited that was written anew."""
        collected = Collected()
        declared = DeclaredOutputs(("out/*",), "/w")
        collect_tar(self.stream(a=after), "/w/out", declared, tmp_path, collected)

        collected.inherit(self.marks(self.stream(a=before)))

        assert collected.outputs["out/a"].inherited is inherited
        assert collected.missing(["out/*"]) == (("out/*",) if inherited else ())

    def test_looking_keeps_nothing(self, tmp_path: Path) -> None:
        """What is noted beforehand takes no room on this machine."""
        folder = tmp_path / "p" / "out"
        folder.mkdir(parents=True)
        (folder / "a").write_bytes(b"1" * 100)
        (folder / "b").symlink_to("a")
        seen = Collected()

        collect_tree(folder.parent, DeclaredOutputs(("out/*",), str(folder.parent)), None, seen)

        marks = seen.marks()
        assert sorted(marks) == ["out/a", "out/b"]
        assert marks["out/a"].digest == marks["out/b"].digest
        assert {path.name for path in tmp_path.rglob("*")} == {"p", "out", "a", "b"}
