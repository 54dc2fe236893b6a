"""`mlcontainer compare A B`: records of two machines, held against each other without an engine."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_mlcontainer.cli import main
from pytest_mlcontainer.model import (
    Facts,
    Failure,
    Output,
    Platform,
    Rule,
    Run,
    Target,
    Tolerance,
)
from pytest_mlcontainer.records import Conditions, keep_record, open_records
from tests.sample_project import MakeProject

AMD64, ARM64, HOST = "linux/amd64", "linux/arm64", "host"
# No name without a capital is ever done with.
ENDLESS = r"(?:[a-z]|[a-z/.]|[^A-Z])*(?:[a-z]|[a-z/.]|[^A-Z])*(?:[a-z]|[^A-Z])*Z"
LOOSE = (Rule("outputs/*.json", "loss", Tolerance(margin=1.0)),)


class Records:
    """Writes records as two machines would, one folder each."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def add(
        self,
        place: str,
        platform: str,
        loss: float = 0.5,
        *,
        entrypoint: str = "train",
        failure: Failure | None = None,
        outputs: bool = True,
        variations: tuple[str, ...] = (),
        **conditions: Any,
    ) -> Path:
        number = len(list(self.root.glob("run-*")))
        folder = self.root / f"run-{number}"
        (folder / "outputs").mkdir(parents=True)
        for name in ("stdout.log", "stderr.log"):
            (folder / name).write_bytes(b"")
        (folder / "outputs" / "metrics.json").write_text(json.dumps({"loss": loss}))
        np.savez(folder / "outputs" / "weights.npz", w=np.arange(8.0) + loss)
        written = sorted((folder / "outputs").iterdir()) if outputs else ()
        run = Run(
            id=f"run-{number}",
            entrypoint=entrypoint,
            target=Target(Platform(*platform.split("/")), emulated=False, variations=variations),
            exit_code=0 if failure is None else 1,
            duration_s=1.0,
            folder=folder,
            stdout=folder / "stdout.log",
            stderr=folder / "stderr.log",
            outputs=tuple(
                Output(f"outputs/{path.name}", path, path.stat().st_size) for path in written
            ),
            facts=Facts((("machine", platform.partition("/")[2]),)),
            failure=failure,
        )
        return keep_record(run, Conditions(**{"rules": (), **conditions}), self.root / place)

    def compare(self, *words: str, a: str = "a", b: str = "b") -> int:
        return main(["compare", str(self.root / a), str(self.root / b), *words])


@pytest.fixture
def records(tmp_path: Path) -> Records:
    return Records(tmp_path)


@pytest.fixture
def two(records: Records) -> Records:
    """Two machines that agree."""
    records.add("a", AMD64)
    records.add("b", ARM64)
    return records


def table(out: str) -> list[str]:
    """The rows of the summary."""
    return [" ".join(line.split()) for line in out.splitlines() if " vs " in line]


def test_agreement_is_exit_code_0(two: Records, capsys: pytest.CaptureFixture[str]) -> None:
    assert two.compare() == 0
    assert table(capsys.readouterr().out) == ["train linux/arm64 vs linux/amd64 identical"]


def test_drift_is_exit_code_1_and_shown_as_pytest_shows_it(
    records: Records, capsys: pytest.CaptureFixture[str]
) -> None:
    records.add("a", AMD64, 0.5)
    records.add("b", ARM64, 0.75)
    assert records.compare() == 1
    out = capsys.readouterr().out
    assert "train on linux/arm64 drifts from linux/amd64 (the reference): 2 items" in out
    assert "outputs/metrics.json:loss\n    max abs 0.25" in out
    assert "the environments differ:" in out
    assert table(out) == [
        "train linux/arm64 vs linux/amd64 drift max abs 0.25, max rel 0.5 in "
        "outputs/metrics.json:loss"
    ]


def test_the_reference_can_be_the_second(
    records: Records, capsys: pytest.CaptureFixture[str]
) -> None:
    records.add("a", AMD64, 0.5)
    records.add("b", ARM64, 0.75)
    assert records.compare("--reference=B") == 1
    assert "train on linux/amd64 drifts from linux/arm64" in capsys.readouterr().out


def test_rules_come_from_the_reference_s_records(
    records: Records, capsys: pytest.CaptureFixture[str]
) -> None:
    """So that nothing but the records is needed."""
    rules = (*LOOSE, Rule("outputs/weights.npz", None, Tolerance(ignore=True)))
    records.add("a", AMD64, 0.5, rules=rules)
    records.add("b", ARM64, 0.75, rules=rules)
    assert records.compare() == 0
    assert "equivalent" in capsys.readouterr().out


def test_different_rules_are_said(records: Records, capsys: pytest.CaptureFixture[str]) -> None:
    records.add("a", AMD64, 0.5)
    records.add("b", ARM64, 0.75, rules=LOOSE)
    assert records.compare() == 1
    assert "different rules; those of the reference were used" in capsys.readouterr().out


def test_nothing_is_obeyed_of_the_record_that_is_judged(records: Records) -> None:
    """It may be a stranger's, and this pattern takes for ever on any name without a capital."""
    records.add("a", AMD64, 0.5)
    records.add("b", ARM64, 0.75, rules=LOOSE, names=((ENDLESS, ""),))
    assert records.compare() == 1


def test_a_pattern_of_the_reference_that_takes_for_ever_fails_the_comparison(
    two: Records, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Within seconds: a record from elsewhere must not hold up a machine."""
    for file in tmp_path.glob("a/**/record.json"):
        raw = json.loads(file.read_text())
        raw["compare"] = {"rules": [], "names": [[ENDLESS, ""]], "declared": []}
        file.write_text(json.dumps(raw))
    assert two.compare() == 1
    said = capsys.readouterr().out
    assert "the patterns in `names` took more than 10 s of computing" in said
    assert ENDLESS in said


def test_rules_of_a_file_replace_those_of_the_records(
    records: Records, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records.add("a", AMD64, 0.5)
    records.add("b", ARM64, 0.75)
    file = tmp_path / "pyproject.toml"
    file.write_text(
        '[tool.mlcontainer.entrypoints.train]\noutputs = ["outputs/*"]\n'
        '[tool.mlcontainer.entrypoints.train.compare]\n"outputs/*" = { atol = 0.3 }\n'
    )
    assert records.compare(f"--config={file}") == 0
    assert "equivalent" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("there", "met"), [((AMD64,), AMD64), ((AMD64, ARM64), "A's record")], ids=["one", "both"]
)
def test_each_record_meets_its_own_platform_or_the_only_one(
    records: Records, there: tuple[str, ...], met: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for platform in there:
        records.add("a", platform)
    for platform in (AMD64, ARM64):
        records.add("b", platform)
    assert records.compare() == 0
    assert table(capsys.readouterr().out) == [
        f"train {AMD64} vs A's record identical",
        f"train {ARM64} vs {met} identical",
    ]


def test_several_platforms_and_none_of_them_ones_own(
    records: Records, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is not guessed which is the reference; --platform says it."""
    records.add("a", AMD64)
    records.add("a", HOST, 0.75)
    records.add("b", ARM64)
    assert records.compare() == 1
    assert (
        "train on linux/arm64 is in B only: A has it on host, linux/amd64; --platform says which"
        in capsys.readouterr().out
    )
    assert records.compare(f"--platform={AMD64}") == 0
    assert table(capsys.readouterr().out) == [f"train {ARM64} vs {AMD64} identical"]


def test_the_platform_selects_on_either_side(
    records: Records, capsys: pytest.CaptureFixture[str]
) -> None:
    records.add("a", AMD64)
    records.add("b", AMD64, 0.75)
    records.add("b", ARM64)
    assert records.compare(f"--platform={ARM64}") == 0
    assert table(capsys.readouterr().out) == [f"train {ARM64} vs {AMD64} identical"]


@pytest.mark.parametrize(
    ("option", "said"),
    [("--platform=linux/s390x", "no record is of this platform: linux/s390x"),
     ("--entrypoint=fit", "no record is of this entrypoint: fit\n  → there: train")],
)  # fmt: skip
def test_a_choice_that_leaves_nothing(
    two: Records, option: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert two.compare(option) == 2
    assert said in capsys.readouterr().err


def test_an_entrypoint_in_one_place_only_is_a_failure(
    two: Records, capsys: pytest.CaptureFixture[str]
) -> None:
    two.add("a", AMD64, entrypoint="infer")
    assert two.compare() == 1
    assert "infer on linux/amd64 is in A only: B has no record of it" in capsys.readouterr().out
    assert two.compare("--entrypoint=train") == 0
    assert two.compare("--reference=B") == 1


def test_a_failed_run_is_a_failure(records: Records, capsys: pytest.CaptureFixture[str]) -> None:
    records.add("a", AMD64)
    failure = Failure("train on linux/arm64 exited with code 1", "no \x1b[31m memory", "give more")
    records.add("b", ARM64, failure=failure)
    assert records.compare() == 1
    out = capsys.readouterr().out
    assert "train on linux/arm64 exited with code 1" in out
    assert r"no \x1b[31m memory" in out
    assert "\x1b" not in out


def test_repeats_are_judged_together(records: Records, capsys: pytest.CaptureFixture[str]) -> None:
    """As pytest judges them: what repeats of one target disagree about is no drift."""
    records.add("a", AMD64)
    records.add("a", AMD64, repeat=1)
    records.add("b", ARM64)
    records.add("b", ARM64, 0.75, repeat=1)
    assert records.compare() == 1
    out = capsys.readouterr().out
    assert [row.split()[4] for row in table(out)] == ["nondeterministic"]
    records.add("b", ARM64, repeat=1)
    assert records.compare() == 0


def test_seeds_are_judged_together_and_variants_on_their_own(
    records: Records, capsys: pytest.CaptureFixture[str]
) -> None:
    for place, platform in (("a", AMD64), ("b", ARM64)):
        records.add(place, platform, 0.1)
        records.add(place, platform, 0.2, seed="2")
        records.add(place, platform, 0.3, variant="ab12cd34")
    assert records.compare() == 0
    assert len(table(capsys.readouterr().out)) == 2
    records.add("b", ARM64, 0.9, seed="2")
    assert records.compare() == 1


def test_a_seed_that_only_one_machine_has(two: Records, capsys: pytest.CaptureFixture[str]) -> None:
    two.add("a", AMD64, seed="2")
    assert two.compare() == 1
    assert "train on linux/amd64 with seed 2 is in A only" in capsys.readouterr().out


def test_runs_under_variations_calibrate_and_need_no_counterpart(
    records: Records, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = (Rule("outputs/*", None, Tolerance(calibrated=True)),)
    records.add("a", AMD64, 0.5, rules=rules)
    for number, name in enumerate(("threads", "hash-seed", "timezone", "locale"), 1):
        records.add("a", AMD64, 0.5 + number / 100, rules=rules, variations=(name,))
    records.add("b", ARM64, 0.52, rules=rules)
    assert records.compare() == 0
    assert table(capsys.readouterr().out)[0].split()[4] == "equivalent"
    records.add("b", ARM64, 0.9, rules=rules)
    assert records.compare() == 1


def test_the_report_has_the_numbers_of_the_terminal(records: Records, tmp_path: Path) -> None:
    records.add("a", AMD64, 0.5)
    records.add("b", ARM64, 0.75)
    assert records.compare(f"--report={tmp_path / 'report'}") == 1
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert [result["verdict"] for result in report["results"]] == ["drift"]
    assert report["runs"] == 2
    assert (tmp_path / "report" / "report.html").exists()


# Archives


def tar(folder: Path, target: Path, mode: str = "w:gz", inside: str = ".") -> Path:
    with tarfile.open(target, mode) as archive:  # type: ignore[call-overload]
        archive.add(folder, inside)
    return target


def zipped(folder: Path, target: Path) -> Path:
    """As GitHub hands out artifacts."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder).as_posix())
    return target


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tar of a folder"])
def test_archives_are_as_good_as_folders(
    two: Records, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are unpacked for as long as it takes, and nothing is left of that."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    for name in ("a", "b"):
        folder, target = tmp_path / name, tmp_path / f"{name}.archive"
        if kind == "zip":
            zipped(folder, target)
        else:
            mode = "w:gz" if kind == "tar.gz" else "w"
            tar(folder, target, mode, "records" if kind == "tar of a folder" else ".")
    assert two.compare(a="a.archive", b="b.archive") == 0
    assert two.compare(b="b.archive") == 0
    assert list((tmp_path / "tmp").iterdir()) == []


def test_outputs_with_one_content_may_be_links_in_a_tar(records: Records, tmp_path: Path) -> None:
    """Hard links, which tar makes of files with two names."""
    for place, platform in (("a", AMD64), ("b", ARM64)):
        record = records.add(place, platform)
        other = record / "outputs" / "weights.npz"
        other.unlink()
        other.hardlink_to(record / "outputs" / "metrics.json")
        raw = json.loads((record / "record.json").read_text())
        raw["outputs"][1].update({key: raw["outputs"][0][key] for key in ("size_bytes", "sha256")})
        (record / "record.json").write_text(json.dumps(raw))
    tar(tmp_path / "b", tmp_path / "b.tar")
    assert records.compare(b="b.tar") == 0


def evil_tar(target: Path, *members: tarfile.TarInfo) -> Path:
    with tarfile.open(target, "w") as archive:
        for member in members:
            archive.addfile(member, io.BytesIO(b"x" * member.size))
    return target


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    info.size = 1 if kind == tarfile.REGTYPE else 0
    return info


@pytest.mark.parametrize(
    "bad",
    [
        member("../evil"),
        member("train/../../evil"),
        member("train/link", tarfile.SYMTYPE, "/etc/passwd"),
        member("train/link", tarfile.SYMTYPE, "../../secret"),
        member("train/link", tarfile.LNKTYPE, "/etc/passwd"),
        member("train/pipe", tarfile.FIFOTYPE),
        member("train/device", tarfile.CHRTYPE),
    ],
    ids=lambda info: f"{info.name} {info.linkname}".strip(),
)
def test_a_tar_that_reaches_outside_itself(
    two: Records, tmp_path: Path, bad: tarfile.TarInfo, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "secret").write_text("s")
    evil_tar(tmp_path / "b.tar", bad)
    before = sorted(tmp_path.iterdir())
    assert two.compare(b="b.tar") == 2
    assert "the archive reaches outside itself" in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("name", ["../evil", "a/../../evil"])
def test_a_zip_that_reaches_outside_itself(
    two: Records, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr(name, "x")
    assert two.compare(b="b.zip") == 2
    assert "the archive reaches outside itself" in capsys.readouterr().err
    assert not (tmp_path / "evil").exists()
    assert not (tmp_path.parent / "evil").exists()


def test_a_link_in_a_zip(two: Records, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    info = zipfile.ZipInfo("train/record.json")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    assert two.compare(b="b.zip") == 2
    assert "(a link)" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
def test_an_archive_cut_short(
    two: Records, tmp_path: Path, kind: str, share: float, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wherever the download ended, it is never compared."""
    target = tmp_path / f"b.{kind}"
    if kind == "zip":
        zipped(tmp_path / "b", target)
    else:
        tar(tmp_path / "b", target, "w:gz" if kind == "tar.gz" else "w")
    data = target.read_bytes().rstrip(b"\0")
    target.write_bytes(data[: int(len(data) * share)])
    assert two.compare(b=target.name) == 2
    assert "the archive cannot be read" in capsys.readouterr().err


def test_an_archive_larger_than_the_disk(
    two: Records, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is told from what the archive says, before anything is unpacked."""
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("train/x", "x")
    data = bytearray((tmp_path / "b.zip").read_bytes())
    at = data.index(b"PK\x01\x02") + 24
    data[at : at + 4] = (0xFFFFFFFE).to_bytes(4, "little")
    directory = bytes(data[data.index(b"PK\x01\x02") : data.index(b"PK\x05\x06")])
    end = bytearray(data[data.index(b"PK\x05\x06") :])
    count = 40_000
    for place in (8, 10):
        end[place : place + 2] = count.to_bytes(2, "little")
    end[12:16] = (count * len(directory)).to_bytes(4, "little")
    start = bytes(data[: data.index(b"PK\x01\x02")])
    (tmp_path / "b.zip").write_bytes(start + directory * count + bytes(end))
    assert two.compare(b="b.zip") == 2
    assert "the archive does not fit on this machine" in capsys.readouterr().err


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", gzip.compress(b"hello", mtime=0), b"PK\x03\x04" + b"x"],
    ids=["empty", "text", "gzip of a text", "cut zip"],
)
def test_a_file_that_is_no_archive(
    two: Records, tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "b.zip").write_bytes(content)
    assert two.compare(b="b.zip") == 2
    error = capsys.readouterr().err
    assert "b.zip" in error
    assert "archive" in error


# Other bad input


def test_nothing_there(two: Records, capsys: pytest.CaptureFixture[str]) -> None:
    assert two.compare(b="c") == 2
    assert "there is no such folder or archive" in capsys.readouterr().err


def test_an_empty_folder(two: Records, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "c").mkdir()
    assert two.compare(b="c") == 2
    assert "there are no records here" in capsys.readouterr().err


def test_the_same_folder_twice(two: Records, capsys: pytest.CaptureFixture[str]) -> None:
    assert two.compare(b="../" + two.root.name + "/a") == 2
    assert "both are the same records" in capsys.readouterr().err


def test_a_record_edited_by_hand(
    two: Records, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "b" / "train" / "linux-arm64" / "outputs" / "metrics.json"
    file.write_text(file.read_text().replace("0.5", "0.7"))
    assert two.compare() == 2
    error = capsys.readouterr().err
    assert "'outputs/metrics.json' is not what the run wrote" in error


def test_a_newer_record_in_an_archive_is_called_by_the_archive_s_name(
    two: Records, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not by the folder that it was unpacked into, which is gone by then."""
    file = tmp_path / "b" / "train" / "linux-arm64" / "record.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "schema": 99, "version": "12.0"}))
    zipped(tmp_path / "b", tmp_path / "b.zip")
    assert two.compare(b="b.zip") == 2
    error = capsys.readouterr().err
    assert f"{tmp_path / 'b.zip'}/train/linux-arm64/record.json: schema 99" in error
    assert "written by pytest-mlcontainer 12.0" in error


def test_what_a_record_says_of_itself_is_shown_and_never_obeyed(
    two: Records, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a record that cannot be read, too, in its content and in the name of its folder."""
    folder = tmp_path / "b" / "train" / "linux-arm64"
    file = folder / "record.json"
    version = "12\x1b[31m\n→ all is well"
    file.write_text(json.dumps({**json.loads(file.read_text()), "schema": 99, "version": version}))
    folder.rename(folder.with_name("\x1b]0;title\x07"))
    assert two.compare() == 2
    error = capsys.readouterr().err
    assert r"written by pytest-mlcontainer 12\x1b[31m\n→ all is well; this is" in error
    assert r"train/\x1b]0;title\x07/record.json" in error
    assert "\x1b" not in error


def test_a_wrong_option_is_exit_code_2(two: Records) -> None:
    with pytest.raises(SystemExit) as caught:
        two.compare("--reference=C")
    assert caught.value.code == 2


def test_a_pyproject_without_our_table(
    two: Records, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\n')
    assert two.compare(f"--config={tmp_path}") == 2
    assert "no [tool.mlcontainer] table" in capsys.readouterr().err


def test_an_archive_is_opened_only_as_long_as_it_is_used(two: Records, tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a", tmp_path / "a.zip")
    with open_records(archive) as folder:
        assert (folder / "train" / "linux-amd64" / "record.json").is_file()
    assert not folder.exists()


def test_no_engine_and_no_docker_are_needed(two: Records) -> None:
    """Not even the packages, which take long to load."""
    program = (
        "import sys; from pytest_mlcontainer.cli import main; code = main(sys.argv[1:]);"
        "print('loaded:', *[m for m in ('docker', 'requests', 'testcontainers', 'pytest') "
        "if m in sys.modules]); sys.exit(code)"
    )
    words = ["compare", str(two.root / "a"), str(two.root / "b")]
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "loaded:"


# What pytest keeps

TRAIN = """
import json, os
os.makedirs("outputs", exist_ok=True)
json.dump({"loss": 0.5}, open("outputs/metrics.json", "w"))
print("trained")
"""
CONFIG = """
platforms = ["host"]
[tool.mlcontainer.entrypoints.train]
command = ["python", "train.py"]
outputs = ["outputs/*"]
[tool.mlcontainer.entrypoints.train.compare]
"outputs/metrics.json:loss" = { margin = 0.1 }
[tool.mlcontainer.entrypoints.broken]
command = ["python", "-c", "raise SystemExit(3)"]
"""


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_every_run_of_a_session_is_kept(
    project: MakeProject, workers: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """Failed ones too, with logs and rules; a second session replaces them."""
    root = project.write(CONFIG, train=TRAIN)
    for _ in range(2):
        result = project.pytester.runpytest_subprocess(
            "--container", "--container-records=kept", *workers
        )
        result.assert_outcomes(passed=1, failed=1)
    kept = root / "kept"
    assert {str(path.relative_to(kept)) for path in kept.glob("*/*")} == {
        "train/host", "broken/host",
    }  # fmt: skip
    assert (kept / "train" / "host" / "stdout.log").read_text() == "trained\n"
    raw = json.loads((kept / "train" / "host" / "record.json").read_text())
    assert raw["compare"]["rules"] == [
        {"output": "outputs/metrics.json", "item": "loss", "tolerance": {"margin": 0.1}}
    ]
    (root / "train.py").write_text(TRAIN.replace("0.5", "0.55"))
    project.run("--container-records=later", "-k", "train")
    capsys.readouterr()
    words = ["compare", str(kept), str(root / "later"), "--entrypoint=train"]
    assert main(words) == 0
    assert table(capsys.readouterr().out)[0].startswith("train host vs A's record equivalent")


def test_a_run_that_a_test_changed_is_kept_beside(project: MakeProject) -> None:
    """It is another run, and must not take the place of the configured one."""
    root = project.write(
        CONFIG,
        train=TRAIN,
        test_it__py="def test_it(run_entrypoint):\n"
        "    run_entrypoint('train')\n"
        "    run_entrypoint('train', env={'X': '1'})\n"
        "    run_entrypoint('train', repeat=1)\n",
    )
    project.run("--container-records=kept", "test_it.py").assert_outcomes(passed=1)
    names = sorted(path.name for path in (root / "kept" / "train").iterdir())
    assert [names[0], names[1]] == ["host", "host-repeat-1"]
    assert names[2].startswith("host-variant-")
    assert len(names) == 3


def test_records_that_cannot_be_kept(project: MakeProject) -> None:
    root = project.write(CONFIG, train=TRAIN)
    (root / "kept" / "train" / "host").mkdir(parents=True)
    (root / "kept" / "train" / "host" / "thesis.txt").write_text("mine")

    result = project.run("--container-records=kept", "-k", "train")

    result.assert_outcomes(failed=1, deselected=1)
    result.stdout.fnmatch_lines(["where the record would go is something else: *host"])
    assert (root / "kept" / "train" / "host" / "thesis.txt").exists()


def test_records_of_two_platforms_are_compared_where_there_is_no_engine(
    project: MakeProject,
    native: str,
    foreign: str,
    leaves_nothing: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The whole way: two sessions, each for a platform, an archive, and the verdict elsewhere."""
    script = TRAIN.replace("0.5", "0.5 if os.uname().machine == 'x86_64' else 0.55")
    root = project.write(CONFIG.replace('"host"', f'"{native}", "{foreign}"'), train=script)
    for number, platform in enumerate((native, foreign)):
        project.run(
            f"--container-platform={platform}", f"--container-records=m{number}", "-k", "train"
        ).assert_outcomes(passed=1, deselected=2)
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    archive = zipped(root / "m1", root / "m1.zip")
    capsys.readouterr()
    assert main(["compare", str(root / "m0"), str(archive)]) == 0
    out = capsys.readouterr().out
    assert table(out)[0].startswith(f"train {foreign}* vs {native} equivalent max abs 0.05")
