"""What `mlcontainer init` takes from DVC's, MLflow's and Make's files: right, or nothing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pytest_mlcontainer.cli.declared_commands import plain_words
from pytest_mlcontainer.cli.guessed_entrypoint import Guess
from pytest_mlcontainer.cli.guesses import Guesses
from tests.cli.guessing import ALL, guesses

CODE = "import sys\nprint(sys.argv[1])\n"  # so that nothing else would start it
PIPELINE = """
stages:
  train:
    cmd: python src/train.py --alpha 0.5
    deps: [src/train.py, build/prepared]
    params: [alpha]
    outs: [model]
    metrics:
      - metrics.json:
          cache: false
  prepare@all:
    cmd: [uv run python -m src.prepare]
    deps: [data/raw.csv]
    outs: [build/prepared]
"""
FILES = {"src/train.py": CODE, "src/prepare.py": CODE, "params.yaml": "a: 1", "data/raw.csv": "1"}


def declared(root: Path, files: dict[str, str], dockerfile: str = ALL) -> Guesses:
    return guesses(root, dockerfile, files)


def by_name(found: Guesses) -> dict[str, Guess]:
    return {guess.name: guess for guess in found.entrypoints}


def test_a_pipeline_is_taken_stage_by_stage(tmp_path: Path) -> None:
    found = by_name(declared(tmp_path, {"dvc.yaml": PIPELINE, **FILES}))
    assert set(found) == {"train", "prepare-all"}
    train, prepare = found["train"], found["prepare-all"]
    assert train.command == ("python", "src/train.py", "--alpha", "0.5")
    assert train.outputs == ("model/**", "metrics.json")
    assert train.needs == ("prepare-all",)
    assert (prepare.command, prepare.needs) == (("python", "-m", "src.prepare"), ())
    assert prepare.outputs == ("build/prepared/**",)


def test_a_server_stays_beside_it(tmp_path: Path) -> None:
    server = f'{ALL}EXPOSE 80\nCMD ["uvicorn", "src.app:app", "--port", "80"]\n'
    found = by_name(declared(tmp_path, {"dvc.yaml": PIPELINE, **FILES}, server))
    assert set(found) == {"train", "prepare-all", "serve"}
    assert found["serve"].needs == ("train",)


@pytest.mark.parametrize(
    ("before", "after", "lacks"),
    [
        ("python src/train.py --alpha 0.5", "python src/train.py > log", "no single plain command"),
        ("python src/train.py --alpha 0.5", "python src/train.py ${alpha}", "no single plain"),
        ("src/train.py --alpha", "src/gone.py --alpha", "the image has no python src/gone.py"),
        ("data/raw.csv", "data/gone.csv", "the image has no data/gone.csv"),
        ("params: [alpha]", "params: [{conf/a.yaml: [b]}]", "the image has no conf/a.yaml"),
        ("outs: [model]", "outs: [model]\n    wdir: src", "no single plain command"),
    ],
)
def test_a_pipeline_that_cannot_run_as_a_whole_is_none(
    tmp_path: Path, before: str, after: str, lacks: str
) -> None:
    files = {"dvc.yaml": PIPELINE.replace(before, after), **FILES}
    found = declared(tmp_path, files)
    assert "prepare-all" not in by_name(found)
    assert any(lacks in note for note in found.notes)


def test_a_stage_that_lacks_its_data_is_not_guessed_by_its_file_either(tmp_path: Path) -> None:
    files = {**FILES, "src/train.py": "print(1)\n", "predict.py": "print(2)\n"}
    pipeline = PIPELINE.replace("data/raw.csv", "data/gone.csv")
    found = by_name(declared(tmp_path, {**files, "dvc.yaml": pipeline}))
    assert set(found) == {"infer"}


def test_without_a_reader_of_yaml_no_stage_is_guessed_by_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    files = {**FILES, "src/train.py": "print(1)\n", "predict.py": "print(2)\n"}
    found = declared(tmp_path, {**files, "dvc.yaml": PIPELINE})
    assert set(by_name(found)) == {"infer"}
    assert "dvc.yaml is not read without pytest-mlcontainer[yaml]" in found.notes


@pytest.mark.parametrize("text", ["stages: [", "- 1", "stages: 3", "", "stages: {a: {foreach: x}}"])
def test_a_file_that_says_nothing_is_passed_over(tmp_path: Path, text: str) -> None:
    found = declared(tmp_path, {"dvc.yaml": text, "train.py": "print(1)\n"})
    assert by_name(found)["train"].command == ("python", "train.py")


def test_mlflows_entry_points_get_their_defaults(tmp_path: Path) -> None:
    project = """
entry_points:
  main:
    parameters:
      alpha: {type: float, default: 0.5}
    command: "python train.py --alpha {alpha}"
  predict:
    parameters: {model: path}
    command: "python predict.py {model}"
"""
    found = declared(tmp_path, {"MLproject": project, "train.py": CODE, "predict.py": CODE})
    assert by_name(found)["train"].command == ("python", "train.py", "--alpha", "0.5")
    assert "entry point predict of MLproject cannot be started without model" in found.notes
    assert "infer" not in by_name(found)


@pytest.mark.parametrize(
    ("recipe", "command"),
    [
        ("\tpython train.py --fast", ("python", "train.py", "--fast")),
        ("\t@$(PYTHON) train.py $(ARGS)", ("python", "train.py", "-n", "3")),
        (
            "\t@echo go\n\tpoetry run python train.py \\\n\t  --fast",
            ("python", "train.py", "--fast"),
        ),
        ("\tpython train.py && python more.py", None),
        ("\tpython train.py\n\tpython more.py", None),
        ("\tpython train.py $(UNKNOWN)", None),
        ("\tpytest train.py", None),
        ("\tdocker run train.py", None),
        ("", None),
    ],
)
def test_a_target_of_one_plain_command_is_taken(
    tmp_path: Path, recipe: str, command: tuple[str, ...] | None
) -> None:
    variables = "PYTHON ?= python3\nARGS := -n 3 # few\n"
    make = f"{variables}install:\n\tpip install .\ntrain: install\n{recipe}\n"
    found = by_name(declared(tmp_path, {"Makefile": make, "train.py": CODE}))
    assert (found["train"].command if "train" in found else None) == command


def test_a_target_that_needs_another_is_left_alone(tmp_path: Path) -> None:
    make = "data:\n\tcurl x\ntrain: data\n\tpython train.py 1\n"
    assert "train" not in by_name(declared(tmp_path, {"Makefile": make, "train.py": CODE}))


@pytest.mark.parametrize("installed", [True, False])
def test_a_notebook_is_run_by_what_the_image_has(tmp_path: Path, installed: bool) -> None:
    make = "train:\n\tpapermill train.ipynb out.ipynb\n"
    needed = {"requirements.txt": "papermill==2.6\n"} if installed else {}
    found = by_name(declared(tmp_path, {"Makefile": make, "train.ipynb": "{}", **needed}))
    assert ("train" in found) is installed
    if installed:
        assert found["train"].command == ("papermill", "train.ipynb", "out.ipynb")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("python a.py 'x y'", ("python", "a.py", "x y")),
        ("uv run --frozen python a.py", ("python", "a.py")),
        ("A=1 python a.py", ()),
        ("python a.py | tee log", ()),
        ("python a.py 'x", ()),
        ("python a.py ${x}", ()),
    ],
)
def test_words_of_a_line_without_a_shell(text: str, words: tuple[str, ...]) -> None:
    assert plain_words(text) == words
