"""What an image does not have, so that `mlcontainer init` does not let a command start without it:
modules of the project, files that the build copies, the environment of its packages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_mlcontainer.cli.guesses import guess_entrypoints
from pytest_mlcontainer.dockerfile import parse_dockerfile
from tests.cli.guessing import ALL, guessed

BASE = "FROM python:3.13-slim\nWORKDIR /app\n"
SERVED = 'CMD ["uvicorn", "app:app", "--host", "0.0.0.0"]\n'


@pytest.mark.parametrize(
    ("copied", "code", "lacks"),
    [
        ("app.py", "from schemas import Wine", "it imports schemas, which the image does not have"),
        ("app.py", "import ml.model", "it imports ml, which the image does not have"),
        ("app.py ml/", "import schemas.x", "it imports schemas, which the image does not have"),
        ('"app.py" "schemas.py"', "import schemas", ""),
        ("app.py", "import numpy, json", ""),
        ("app.py", "import data", ""),  # a folder without Python files may be called as a package
        ("app.py", "import logging", ""),
        ("app.py", "try:\n    import schemas\nexcept ImportError:\n    schemas = None", ""),
        ("app.py", "def late():\n    import schemas", ""),
        (". .", "import schemas", ""),
    ],
)
def test_a_module_that_the_image_does_not_have_is_said(
    tmp_path: Path, copied: str, code: str, lacks: str
) -> None:
    files = {"app.py": f"{code}\napp = FastAPI()\n", "schemas.py": "", "ml/model.py": "",
             "data/rides.csv": "1", "logging.py": ""}  # fmt: skip
    dockerfile = f"{BASE}COPY {copied} ./\n{SERVED}"
    assert guessed(tmp_path, dockerfile, files)["serve"].lacks == lacks


def test_a_module_may_come_into_an_image_on_other_ways(tmp_path: Path) -> None:
    """With the whole project, when that is installed; by git; or from beside the script."""
    files = {"app.py": "import schemas\napp = FastAPI()\n", "schemas.py": ""}
    for step in ("COPY setup.py /src/\nRUN pip install /src", "RUN git clone https://a.b/c ."):
        dockerfile = f"{BASE}{step}\nCOPY app.py ./\n{SERVED}"
        setup = {"setup.py": "setup(name='x')\n"}
        assert guessed(tmp_path, dockerfile, {**files, **setup})["serve"].lacks == ""
    (tmp_path / "setup.py").unlink()
    packages = f"{BASE}COPY app.py pyproject.toml ./\nRUN uv sync --locked\n{SERVED}"
    found = guessed(tmp_path, packages, {**files, "pyproject.toml": "[project]\n"})
    assert "imports schemas" in found["serve"].lacks
    files = {"utils.py": "", "src/utils.py": "", "src/train.py": "import utils\nfit()\n"}
    assert guessed(tmp_path, f"{BASE}COPY src src\n", files)["train"].lacks == ""


@pytest.mark.parametrize(
    ("steps", "lacks"),
    [
        ("COPY model.pkl .", "the build copies model.pkl, which the project does not have"),
        ("COPY data/ /data/", "the build copies data/, which the project does not have"),
        ("COPY made/kept.csv .", "the build copies made/kept.csv, which .dockerignore leaves out"),
        ("COPY empty/ /empty/", ""),
        ("COPY *.pkl .", ""),
        ("COPY $MODEL .", ""),
        ("ADD https://example.org/model.pkl .", ""),
        ("ADD git@example.org:a/b.git /b", ""),
        ("COPY --from=other model.pkl .", ""),
    ],
)
def test_what_no_build_can_copy_is_said_of_all_entrypoints(
    tmp_path: Path, steps: str, lacks: str
) -> None:
    (tmp_path / "empty").mkdir()
    files = {"train.py": "fit()\n", "app.py": "app = FastAPI()\n", ".dockerignore": "made\n",
             "made/kept.csv": "1"}  # fmt: skip
    found = guessed(tmp_path, f"{BASE}COPY *.py ./\n{steps}\n{SERVED}", files)
    assert {name: each.lacks for name, each in found.items()} == {"train": lacks, "serve": lacks}


def test_a_stage_that_is_not_built_may_copy_what_it_likes(tmp_path: Path) -> None:
    dockerfile = f"{BASE}COPY model.pkl .\n{ALL}"
    assert guessed(tmp_path, dockerfile, {"train.py": "fit()\n"})["train"].lacks == ""


@pytest.mark.parametrize(
    ("steps", "entrypoint", "command"),
    [
        ('RUN uv sync\nCMD ["python", "train.py"]', None,
         ("uv", "run", "--no-sync", "python", "train.py")),
        ("RUN uv sync\nCMD python -u train.py --fast", None,
         ("uv", "run", "--no-sync", "python", "-u", "train.py", "--fast")),
        ("RUN poetry install\nENTRYPOINT python train.py", (), ("poetry", "run", "python",
         "train.py")),
        ("RUN uv sync\nENTRYPOINT [\"python\"]\nCMD [\"train.py\"]", (),
         ("uv", "run", "--no-sync", "python", "train.py")),
        ("RUN uv sync\nCMD uv run train.py", None, None),
        ("RUN uv sync\nCMD .venv/bin/python train.py", None, None),
        ("RUN uv sync\nCMD . .venv/bin/activate && python train.py", None, None),
        ("RUN uv sync\nRUN uv pip install --system -r a.txt\nCMD python train.py", None, None),
        ("RUN uv sync\nRUN pip install -r a.txt\nCMD python train.py", None, None),
        ("RUN POETRY_VIRTUALENVS_CREATE=false poetry install\nCMD python train.py", None, None),
        ("RUN poetry config --local virtualenvs.create 0\nRUN poetry install\n"
         "CMD python train.py", None, None),
        ("ENV PATH=/opt/packages/bin:$PATH\nRUN uv sync\nCMD python train.py", None, None),
        ("ENV PATH=/root/.cache/pypoetry/virtualenvs/a/bin:$PATH\nRUN poetry install\n"
         "CMD python train.py", None, None),
        ("ENV PATH=/opt/poetry/bin:/root/.local/bin:$PATH\nRUN poetry install\n"
         "CMD python train.py", None, ("poetry", "run", "python", "train.py")),
        ("ENV V=/app/.venv\nENV PATH=$V/bin:$PATH\nRUN uv sync\nCMD python train.py", None, None),
        ("ENV A=/app\nENV V=${A}/.venv\nENV PATH=\"${V}/bin:$PATH\"\nRUN uv sync\n"
         "CMD python train.py", None, None),
    ],
)  # fmt: skip
def test_the_images_own_command_gets_the_environment_that_has_its_packages(
    tmp_path: Path,
    steps: str,
    entrypoint: tuple[str, ...] | None,
    command: tuple[str, ...] | None,
) -> None:
    """`uv sync` puts them where plain `python` does not look."""
    train = guessed(tmp_path, f"{ALL}{steps}\n", {"train.py": "fit()\n"})["train"]
    assert (train.entrypoint, train.command) == (entrypoint, command)


def test_the_images_own_server_gets_it_too(tmp_path: Path) -> None:
    serve = guessed(tmp_path, f"{ALL}RUN uv sync\n{SERVED}", {"app.py": "app = FastAPI()\n"})
    command = ("uv", "run", "--no-sync", "uvicorn", "app:app", "--host", "0.0.0.0")
    assert [(each.name, each.command) for each in serve.values()] == [("serve", command)]


def _notebook(*cells: str) -> str:
    listed = [{"cell_type": "code", "source": cell.splitlines(keepends=True)} for cell in cells]
    return json.dumps({"cells": [{"cell_type": "markdown", "source": ["# app.run("]}, *listed]})


def test_a_notebook_that_the_image_runs_is_read(tmp_path: Path) -> None:
    """One that starts a server never ends; of another it is known what it reads and writes."""
    own = f'{ALL}ENTRYPOINT ["papermill", "main.ipynb", "out.ipynb"]\n'
    serves = _notebook("%pip list\nPORT = 9000", "uvicorn.run(app, host='0.0.0.0', port=PORT)")
    (serve,) = guessed(tmp_path, own, {"main.ipynb": serves}).values()
    assert (serve.name, serve.command, serve.port) == ("serve", None, 9000)
    trains = _notebook("x = read_csv('a.csv')", "!ls\nx.to_csv('b.csv')")
    (run,) = guessed(tmp_path, own, {"main.ipynb": trains}).values()
    assert (run.name, run.outputs) == ("run", ("b.csv",))
    assert run.lacks == "it reads a.csv, which neither the image nor the project has"
    for damaged in ("{", "[]", '{"cells": 3}', '{"cells": [3, {"cell_type": "code"}]}'):
        (run,) = guessed(tmp_path, own, {"main.ipynb": damaged}).values()
        assert run.name == "run"


@pytest.mark.parametrize(
    "call",
    [
        "subprocess.check_call([sys.executable, str(HERE / 'src' / 'get.py')])",
        "subprocess.run(['python', 'src/get.py'], check=True)",
        "os.system('python src/get.py')",
    ],
)
def test_a_script_that_a_program_starts_is_read_too(tmp_path: Path, call: str) -> None:
    files = {"train.py": f"{call}\nfit()\n",
             "src/get.py": "requests.get('https://example.org/a.csv')\n"}  # fmt: skip
    lacks = guessed(tmp_path, ALL, files)["train"].lacks
    assert lacks.startswith("it gets https://example.org/a.csv over a network")
    files["train.py"] = f"if not exists('a.csv'):\n    {call}\nfit()\n"
    assert guessed(tmp_path, ALL, {**files, "a.csv": "1"})["train"].lacks == ""


@pytest.mark.parametrize(
    ("file", "command"),
    [
        ("ml/train.py", ("python", "ml/train.py")),
        ("src/models/train_model.py", ("python", "src/models/train_model.py")),
        ("code/model/train.py", ("python", "code/model/train.py")),
        ("tests/train.py", None),
        ("venv/lib/train.py", None),
        ("examples/train.py", None),
        ("a/b/c/train.py", None),
    ],
)
def test_a_script_may_lie_in_any_folder_of_the_project(
    tmp_path: Path, file: str, command: tuple[str, ...] | None
) -> None:
    found = guessed(tmp_path, ALL, {file: "fit()\n"})
    assert (found["train"].command if "train" in found else None) == command


def test_the_images_own_program_stays_where_another_folder_has_one(tmp_path: Path) -> None:
    files = {"ml/train.py": "fit()\n", "main.py": "print(1)\n", "app.py": "app = FastAPI()\n"}
    own = f'{ALL}CMD ["python", "main.py"]\n'
    assert [*guessed(tmp_path, own, files)] == ["serve", "run"]
    del files["app.py"]
    (tmp_path / "app.py").unlink()
    assert [*guessed(tmp_path, own, files)] == ["run"]
    assert [*guessed(tmp_path, f"{ALL}{SERVED}", {**files, "app.py": "app = FastAPI()"})] == [
        "train",
        "serve",
    ]
    own = f'{ALL}CMD ["python", "-m", "ml.train"]\n'
    train = guessed(tmp_path, own, files)["train"]
    assert (train.entrypoint, train.command) == (None, None)


def test_a_script_that_is_further_up_comes_first(tmp_path: Path) -> None:
    files = {"ml/train.py": "fit()\n", "src/train.py": "fit()\n"}
    assert guessed(tmp_path, ALL, files)["train"].command == ("python", "src/train.py")


@pytest.mark.parametrize(
    ("steps", "code", "port"),
    [
        ("", "app.run(host='0.0.0.0', port=int(os.environ.get('PORT', 8080)))", 8080),
        ("ENV PORT=9001", "app.run(host='0.0.0.0', port=int(os.environ.get('PORT', 8080)))", 9001),
        ("", "PORT = 9002\nuvicorn.run(app, host='0.0.0.0', port=PORT)", 9002),
        ("", "demo.launch(server_name='0.0.0.0', server_port=7860)", 7860),
        ("EXPOSE 9003", "app.run(host='0.0.0.0', port=config.port)", 9003),
    ],
)
def test_a_server_is_asked_at_the_port_that_its_program_names(
    tmp_path: Path, steps: str, code: str, port: int
) -> None:
    own = f'{ALL}{steps}\nCMD ["python", "app.py"]\n'
    assert guessed(tmp_path, own, {"app.py": code})["serve"].port == port


def test_a_file_that_git_lfs_or_dvc_has_is_said_to_come_from_there(tmp_path: Path) -> None:
    files = {"train.py": "read_csv('rides.csv')\nfit()\n",
             "rides.csv": "version https://git-lfs.github.com/spec/v1\noid sha256:1\n"}  # fmt: skip
    lacks = guessed(tmp_path, ALL, files)["train"].lacks
    assert lacks == "it reads rides.csv, a pointer of Git LFS; `git lfs pull` brings the file"
    assert guessed(tmp_path, ALL, {**files, "rides.csv": "1\n"})["train"].lacks == ""
    files = {"train.py": "load('models/a/m.pkl')\nfit()\n"}
    none = "it reads models/a/m.pkl, which neither the image nor the project has"
    assert guessed(tmp_path, ALL, files)["train"].lacks == none
    for name in ("models/a/m.pkl.dvc", "models.dvc"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("outs: []\n")
        assert guessed(tmp_path, ALL, files)["train"].lacks == f"{none}; `dvc pull` brings it"
        (tmp_path / name).unlink()


@pytest.mark.parametrize(
    ("steps", "start", "lacks"),
    [
        ("COPY . .", '["python", "./train.py"]', "the image starts ./train.py, which it does not"),
        ("COPY . .", "python train.py --epochs 3", "the image starts train.py, which it does not"),
        ("COPY . .", '["./start.sh"]', "the image starts ./start.sh, which it does not have"),
        ("COPY . .", '["python", "model/train.py"]', ""),
        ("COPY model .", '["python", "train.py"]', ""),
        ("COPY . .\nRUN cp model/train.py .", '["python", "train.py"]', ""),
        ("COPY . .\nRUN git clone https://a.b/c .", '["python", "train.py"]', ""),
        ("COPY --from=other /srv .", '["python", "train.py"]', ""),
        ("COPY <<EOF train.py\nprint(1)\nEOF", '["python", "train.py"]', ""),
        ("WORKDIR $HOME\nCOPY . $HOME", '["python", "train.py"]', ""),
    ],
)
def test_a_program_that_is_not_where_the_image_starts_it_is_said(
    tmp_path: Path, steps: str, start: str, lacks: str
) -> None:
    files = {"model/train.py": "print(1)\n"}
    (train,) = guessed(tmp_path, f"{BASE}{steps}\nCMD {start}\n", files).values()
    assert train.lacks.startswith(lacks) if lacks else train.lacks == ""


def test_a_base_of_others_may_have_the_program(tmp_path: Path) -> None:
    dockerfile = 'FROM example/trainer:3\nCOPY . .\nCMD ["python", "train.py"]\n'
    assert guessed(tmp_path, dockerfile, {"README.md": ""})["train"].lacks == ""


def test_a_file_that_the_images_script_is_given_has_to_be_there(tmp_path: Path) -> None:
    dockerfile = f'{BASE}COPY . .\nENTRYPOINT ["./train.sh"]\nCMD ["config.yaml"]\n'
    files = {"train.sh": "if [ -f $1 ]; then python main.py $1; fi\n", "cfg/config.yaml": ""}
    assert "it reads config.yaml" in guessed(tmp_path, dockerfile, files)["train"].lacks
    (tmp_path / "config.yaml").write_text("")
    assert guessed(tmp_path, dockerfile, files)["train"].lacks == ""


def test_a_line_of_the_dockerfile_that_is_no_instruction_is_said(tmp_path: Path) -> None:
    dockerfile = f"{ALL}RUN python train.py\n\ngit \n"
    lacks = guessed(tmp_path, dockerfile, {"train.py": "print(1)\n"})["train"].lacks
    assert lacks == "line 6 of the Dockerfile, git, is no instruction"


def test_the_images_own_command_comes_before_a_console_script(tmp_path: Path) -> None:
    """It is known to start, and may be given more."""
    dockerfile = f'{ALL}RUN pip install .\nCMD ["python", "src/bikes/train.py", "epochs=3"]\n'
    files = {"src/bikes/train.py": "print(1)\n", "pyproject.toml": "[project]\n"}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    document = {"project": {"scripts": {"train": "bikes.train:main"}}}
    (train,) = guess_entrypoints(tmp_path, document, parse_dockerfile(dockerfile)).entrypoints
    assert (train.command, train.entrypoint) == (None, None)


def test_what_a_program_reads_through_its_modules_is_followed(tmp_path: Path) -> None:
    """By the folder that it hands to a function there."""
    files = {"predict.py": "import util\nutil.run('/model', '/in')\n",
             "util.py": "def load(path):\n    return read_csv(path)\ndef run(model, where):\n"
             "    load(os.path.join(model, 'weights.csv'))\n    print(where)\n"}  # fmt: skip
    dockerfile = f'{ALL}ENTRYPOINT ["python", "predict.py"]\n'
    found = guessed(tmp_path, dockerfile, files)["infer"]
    assert found.lacks.startswith("it reads /model/weights.csv, which neither")
    (tmp_path / "model").mkdir()
    (tmp_path / "model/weights.csv").write_text("1\n")
    with_model = dockerfile.replace("ENTRYPOINT", "COPY model /model\nENTRYPOINT")
    assert guessed(tmp_path, with_model, files)["infer"].lacks == ""


def test_what_a_script_reads_that_a_program_starts_is_followed(tmp_path: Path) -> None:
    run = 'if stage == "x":\n    path = "other.py"\nsubprocess.run(["python", path])\n'
    files = {"main.py": f"stage = os.getenv('S', 'y')\npath = 'score.py'\n{run}print(1)\n",
             "score.py": "read_csv('lost.csv')\n",
             "other.py": "read_csv('never.csv')\n"}  # fmt: skip
    dockerfile = f'{ALL}CMD ["python", "main.py"]\n'
    found = guessed(tmp_path, dockerfile, files)["run"]
    assert found.lacks.startswith("it reads lost.csv, which neither")
    first = "subprocess.run(['python', 'make.py'])\n"
    files |= {"make.py": "x.to_csv('lost.csv')\n", "main.py": first + files["main.py"]}
    assert guessed(tmp_path, dockerfile, files)["run"].lacks == ""
