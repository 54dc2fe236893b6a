"""What `mlcontainer init` takes for an entrypoint: a command that can start, or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_mlcontainer.cli.guesses import guess_entrypoints
from pytest_mlcontainer.dockerfile import parse_dockerfile
from tests.cli.guessing import ALL, guessed

BASE = "FROM python:3.13-slim\n"
RUNS = "print('trained')\n"


@pytest.mark.parametrize(
    ("dockerfile", "file", "command"),
    [
        (ALL, "train.py", ("python", "train.py")),
        (ALL, "src/train.py", ("python", "src/train.py")),
        (f"{BASE}COPY train.py /\n", "train.py", ("python", "train.py")),
        (f"{BASE}COPY . /srv\n", "train.py", ("python", "srv/train.py")),
        (f"{BASE}WORKDIR /app\nCOPY . /srv\n", "train.py", ("python", "/srv/train.py")),
        (f"{BASE}WORKDIR /app\nCOPY src/ .\n", "src/train.py", ("python", "train.py")),
        (f"{BASE}WORKDIR /app\nCOPY src ./src\n", "src/train.py", ("python", "src/train.py")),
        (f"{BASE}WORKDIR /app\nCOPY *.py ./\n", "train.py", ("python", "train.py")),
        (f"{BASE}WORKDIR /app\nCOPY train.py main.py\n", "train.py", ("python", "main.py")),
        (f"{BASE}WORKDIR /app\nCOPY src/*.py ./\n", "src/train.py", ("python", "train.py")),
        (f"{BASE}WORKDIR /app\nCOPY $SOURCES ./\n", "train.py", ("python", "train.py")),
        (f"{BASE} AS made\nCOPY . /app\n{BASE}WORKDIR /app\nCOPY --from=made /app /app\n",
         "train.py", ("python", "train.py")),
        (f"{BASE}COPY requirements.txt /\n", "train.py", None),
        (f"{BASE}ADD apex /apex/\nWORKDIR /apex\n", "train.py", None),
        (f"{BASE}COPY src/*.py ./\n", "src/deep/../train.txt", None),
        (f"{BASE}RUN git clone x && pip install y\n", "train.py", None),
    ],
)  # fmt: skip
def test_a_script_is_named_as_the_image_has_it_or_not_at_all(
    tmp_path: Path, dockerfile: str, file: str, command: tuple[str, ...] | None
) -> None:
    (tmp_path / "src/deep").mkdir(parents=True)
    found = guessed(tmp_path, dockerfile, {file: RUNS})
    assert (found["train"].command if "train" in found else None) == command


@pytest.mark.parametrize(
    ("install", "there"),
    [
        ("RUN pip install .", True),
        ("RUN pip install --no-cache-dir -e .", True),
        ("RUN pip3 install '.[gpu]'", True),
        ("RUN python -m pip install /src", True),
        ("RUN cd /src && uv pip install --system dist/*.whl", True),
        ("RUN uv sync --frozen --no-install-project\nCOPY . .\nRUN uv sync --frozen", True),
        ("RUN <<EOF\npip install numpy\npip install .\nEOF", True),
        ("RUN python setup.py install", True),
        ("RUN pip install -r ./requirements.txt", False),
        ("RUN pip install --requirement /tmp/requirements.txt numpy", False),
        ("RUN pip install numpy", False),
        ("RUN uv sync --frozen --no-install-project", False),
        ("RUN poetry install --no-root", False),
        ('CMD ["bikes-train"]', True),
        ("", False),
    ],
)
def test_a_console_script_is_there_where_the_project_is_installed(
    tmp_path: Path, install: str, there: bool
) -> None:
    document = {"project": {"scripts": {"bikes-train": "bikes.cli:train"}}}
    found = guessed(tmp_path, f"{BASE}ENV PATH=/app/.venv/bin:$PATH\n{install}\n", {}, document)
    assert ("train" in found) == there
    if there and "CMD" not in install:
        assert found["train"].command == ("bikes-train",)


@pytest.mark.parametrize(
    ("steps", "through"),
    [
        ("RUN uv sync --frozen", ("uv", "run", "--no-sync")),
        ("ENV PATH=/app/.venv/bin:$PATH\nRUN uv sync", ()),
        ("ENV UV_PROJECT_ENVIRONMENT=/usr/local\nRUN uv sync", ()),
        ('RUN uv sync\nCMD ["uv", "run", "serve.py"]', ("uv", "run")),
        ("RUN poetry install", ("poetry", "run")),
        ("RUN poetry config virtualenvs.create false && poetry install", ()),
        ("ENV POETRY_VIRTUALENVS_CREATE=false\nRUN poetry install", ()),
        ("RUN pip install numpy", ()),
    ],
)
def test_a_script_is_started_in_the_environment_that_has_its_packages(
    tmp_path: Path, steps: str, through: tuple[str, ...]
) -> None:
    found = guessed(tmp_path, f"{ALL}{steps}\n", {"train.py": RUNS})
    assert found["train"].command == (*through, "python", "train.py")


@pytest.mark.parametrize(
    "own",
    [
        'ENTRYPOINT ["python3", "-X", "utf8", "app.py"]',
        'CMD ["python3", "-u", "/app/app.py"]',
        "CMD gunicorn -b 0.0.0.0:8000 app:server",
        'ENTRYPOINT ["/tini", "--"]\nCMD ["streamlit", "run", "app.py"]',
    ],
)
def test_what_the_image_starts_by_itself_is_left_to_it(tmp_path: Path, own: str) -> None:
    found = guessed(tmp_path, f"{ALL}{own}\n", {"app.py": "app.run()\n"})
    assert (found["serve"].entrypoint, found["serve"].command) == (None, None)


@pytest.mark.parametrize(
    "own", ["", 'CMD ["python3"]', 'ENTRYPOINT ["python3.10"]', "CMD bash", 'CMD ["/bin/bash"]']
)
def test_an_image_that_starts_nothing_has_no_entrypoint(tmp_path: Path, own: str) -> None:
    assert guessed(tmp_path, f"{ALL}{own}\n", {}) == {}


@pytest.mark.parametrize(
    ("own", "note"),
    [
        ('EXPOSE 7000\nENTRYPOINT ["rembg"]\nCMD ["--help"]',
         "rembg --help only helps: a run needs `command` and `port` where it is a server"),
        ('CMD ["python", "cluster.py", "--help"]',
         "python cluster.py --help only helps: a run needs `command`"),
    ],
)  # fmt: skip
def test_a_command_that_only_helps_is_no_entrypoint(tmp_path: Path, own: str, note: str) -> None:
    assert guessed(tmp_path, f"{ALL}{own}\n", {"cluster.py": RUNS}) == {}
    assert guess_entrypoints(tmp_path, {}, parse_dockerfile(f"{ALL}{own}\n")).notes == (note,)


@pytest.mark.parametrize(
    "code",
    [
        "import argparse\n\ndef main():\n    print(1)\n\nif __name__ == '__main__':\n    main()\n",
        "import numpy as np\nx = np.load('x.npy')\nmodel = fit(x)\n",
        "def f():\n    pass\n\nfor each in range(3):\n    f()\n",
        "print 'python 2'\n",
        "import sys\n\ndef main(): ...\n\nmain()\n",
    ],
)
def test_a_program_is_taken(tmp_path: Path, code: str) -> None:
    assert "train" in guessed(tmp_path, ALL, {"train.py": code})


@pytest.mark.parametrize(
    "code",
    [
        "",
        "import logging\n\nlogging.basicConfig()\nlog = logging.getLogger()\n\ndef train(): ...\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import x\n\nclass Trainer: ...\n",
        "import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('data')\nrun()\n",
        "p.add_argument('--data', type=str, required=True)\nmain()\n",
        "import sys\nprint(open(sys.argv[1]).read())\n",
        "@click.command()\n@click.argument('config')\ndef main(config): ...\n\nmain()\n",
        "def main(data: str = typer.Argument(...)): ...\n\ntyper.run(main)\n",
    ],
)
def test_a_module_that_only_defines_or_needs_arguments_is_not(tmp_path: Path, code: str) -> None:
    assert guessed(tmp_path, ALL, {"train.py": code}) == {}


def test_what_needs_arguments_is_named(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("p.add_argument('--data', required=True)\nmain()\n")
    found = guess_entrypoints(tmp_path, {}, parse_dockerfile(ALL))
    assert found.notes == ("train.py cannot be started without --data",)


@pytest.mark.parametrize(
    "code",
    [
        "parser.add_argument('data', nargs='?')\nmain()\n",
        "parser.add_argument('--data', required=False)\nmain()\n",
        "import sys\nname = sys.argv[1] if len(sys.argv) > 1 else 'x'\nmain(name)\n",
        "@click.argument('config', default='c.yaml')\ndef main(config): ...\n\nmain()\n",
    ],
)
def test_arguments_that_may_be_left_out_are_no_hindrance(tmp_path: Path, code: str) -> None:
    assert "train" in guessed(tmp_path, ALL, {"train.py": code})


@pytest.mark.parametrize(
    ("file", "code", "command"),
    [
        ("app.py", "app = Flask(__name__)\napp.run(host='0.0.0.0')\n", ("python", "app.py")),
        ("app.py", "import gradio as gr\ndemo.launch()\n", ("python", "app.py")),
        ("app.py", "api = FastAPI(title='x')\n",
         ("python", "-m", "uvicorn", "app:api", "--host", "0.0.0.0", "--port", "9000")),
        ("src/app.py", "app: FastAPI = fastapi.FastAPI()\n",
         ("python", "-m", "uvicorn", "app:app", "--app-dir", "src", "--host", "0.0.0.0",
          "--port", "9000")),
        ("app.py", "app = Flask(__name__)\n",
         ("python", "-m", "flask", "--app", "app.py", "run", "--host", "0.0.0.0", "--port",
          "9000")),
        ("app.py", "import streamlit as st\nst.title('x')\n",
         ("python", "-m", "streamlit", "run", "app.py", "--server.headless", "true",
          "--server.port", "9000")),
        ("app.py", "def predict(): ...\n", None),
        ("app.py", "import subprocess\nsubprocess.run(['ls'])\n", None),
    ],
)  # fmt: skip
def test_a_server_is_started_as_its_framework_does(
    tmp_path: Path, file: str, code: str, command: tuple[str, ...] | None
) -> None:
    found = guessed(tmp_path, f"{ALL}EXPOSE 9000\n", {file: code})
    assert (found["serve"].command if "serve" in found else None) == command


@pytest.mark.parametrize(
    ("steps", "python"),
    [
        ("RUN apt-get update && apt-get install -y python3 python3-pip", "python3"),
        ("RUN apk add --no-cache python3", "python3"),
        ("RUN apt-get install -y python3 && ln -sf /usr/bin/python3 /usr/bin/python", "python"),
        ("RUN apt-get install -y python3 python-is-python3", "python"),
        ("RUN apt-get install -y python3-venv && python3 -m venv /venv", "python"),
        ("RUN apt-get install -y git && echo python3", "python"),
    ],
)
def test_python_is_called_as_the_image_calls_it(tmp_path: Path, steps: str, python: str) -> None:
    found = guessed(tmp_path, f"FROM ubuntu:24.04\n{steps}\nCOPY . .\n", {"train.py": RUNS})
    assert found["train"].command == (python, "train.py")


@pytest.mark.parametrize(
    ("code", "outputs"),
    [
        ('torch.save(x, "models/a.pt")', ("models/*",)),
        ('out_dir = "results"', ("results/*",)),
        ('Path("checkpoints").mkdir()', ("checkpoints/*",)),
        ('os.path.join(here, "out")', ("out/*",)),
        ('root / "artifacts"', ("artifacts/*",)),
        ('add_argument("--to", default="output")', ("output/*",)),
        ('checkpoint["model"] = model', ()),
        ('log({"results": 1})', ()),
        ('mlflow.sklearn.log_model(m, artifact_path="model")', ()),
        ('model_path = "model"', ("model/*",)),
    ],
)
def test_a_folder_is_named_where_a_path_is_expected(
    tmp_path: Path, code: str, outputs: tuple[str, ...]
) -> None:
    found = guessed(tmp_path, ALL, {"train.py": f"{code}\nmain()\n"})
    assert found["train"].outputs == outputs


@pytest.mark.parametrize(
    ("text", "health"),
    [
        ('@app.get("/up")', "/up"),
        ('@app.get("/upload")', "/"),
        ('@app.get("/api/v1/health")', "/api/v1/health"),
        ('@app.get("/readyz")', "/readyz"),
        ('@app.get("/healthcheck")', "/healthcheck"),
        ('@app.get("/health/live")', "/health/live"),
        ('@app.get("/live-scores")', "/"),
        ('@app.get("/predict")', "/"),
    ],
)
def test_the_health_path_is_one_that_says_so(tmp_path: Path, text: str, health: str) -> None:
    found = guessed(tmp_path, f"{ALL}EXPOSE 8000\nCMD serve-it\n", {"api/main.py": text})
    assert found["serve"].health == health


FLASK = """app = Flask("rides")
@app.route("/predict", methods=["POST"])
def predict():
    with open("seen.json", "w") as file:
        file.write("1")
"""


@pytest.mark.parametrize(
    "own",
    [
        'ENTRYPOINT ["gunicorn", "--bind=0.0.0.0:9696", "predict:app"]',
        'EXPOSE 9696\nCMD ["uvicorn", "predict:app", "--host", "0.0.0.0"]',
    ],
)
def test_a_module_that_the_images_server_loads_is_no_program_that_ends(
    tmp_path: Path, own: str
) -> None:
    assert [*guessed(tmp_path, f"{ALL}{own}\n", {"predict.py": FLASK})] == ["serve"]


def test_the_health_path_is_none_of_another_server(tmp_path: Path) -> None:
    """A module that has all of its routes has no health path that stands elsewhere."""
    files = {"serving.py": FLASK, "simple.py": '@app.route("/ping", methods=["GET"])\n'}
    own = 'ENTRYPOINT ["gunicorn", "serving:app"]'
    assert guessed(tmp_path, f"{ALL}{own}\n", files)["serve"].health == "/"
    files["serving.py"] = f"{FLASK}app.register_blueprint(simple)\n"
    assert guessed(tmp_path, f"{ALL}{own}\n", files)["serve"].health == "/ping"


def test_a_function_that_the_base_image_calls_is_no_command(tmp_path: Path) -> None:
    """As in AWS Lambda's images, whose own program then waits for requests."""
    files = {"lambda_function.py": "def lambda_handler(event, context):\n    return event\n"}
    own = f'{ALL}CMD ["lambda_function.lambda_handler"]\n'
    assert guessed(tmp_path, own, files) == {}
    found = guess_entrypoints(tmp_path, {}, parse_dockerfile(own))
    assert found.notes == (
        "lambda_function.lambda_handler is a function, which the base image's own program calls",
    )
    assert [*guessed(tmp_path, f'{ALL}CMD ["run.sh"]\n', {"run.py": "def main():\n    pass\n"})]


@pytest.mark.parametrize(
    ("code", "outputs"),
    [
        ('open("metrics.json", "w")\ndf.to_csv("loss.csv", index=False)',
         ("metrics.json", "loss.csv")),
        ('with open("data/in.csv") as f: pass\nnp.savez("w.npz", w=w)', ("w.npz",)),
        ('joblib.dump(model, "model.joblib")\nplt.savefig("cm.png")', ("model.joblib", "cm.png")),
        ('pickle.dump(model, open("model.pkl", mode="wb"))', ("model.pkl",)),
        ('open("/tmp/x.json", "w")\nopen(f"{run}.json", "w")\nopen("in.json")', ()),
        ('df.to_csv("outputs/loss.csv")\ndf.to_csv("other.csv")', ("outputs/*",)),
        ('Path("matrix.json").write_text("1")', ("matrix.json",)),
        ('(Path("build") / "report.html").write_text("1")', ("build/report.html",)),
        ('table.write_parquet("train.parquet")', ("train.parquet",)),
        ('base = sqlite3.connect("a.db")\ntable.to_sql("t", base)', ("a.db",)),
        ('base = sqlite3.connect("a.db")\nbase.execute("INSERT INTO t VALUES (1)")', ("a.db",)),
    ],
)  # fmt: skip
def test_files_that_a_program_writes_by_name_are_its_outputs(
    tmp_path: Path, code: str, outputs: tuple[str, ...]
) -> None:
    assert guessed(tmp_path, ALL, {"train.py": f"{code}\n"})["train"].outputs == outputs


@pytest.mark.parametrize(
    ("own", "port", "env"),
    [
        ("CMD uvicorn a:app --host 0.0.0.0 --port 5001", 5001, ()),
        ('EXPOSE 80\nCMD ["gunicorn", "-b", ":5002", "a:app"]', 5002, ()),
        ('CMD ["gunicorn", "--bind=0.0.0.0:9696", "--workers", "4", "a:app"]', 9696, ()),
        ("CMD uvicorn a:app --port ${PORT:-5003}", 5003, ()),
        ("CMD uvicorn a:app --port $PORT", 8000, (("PORT", "8000"),)),
        ("EXPOSE 7000\nCMD uvicorn a:app --port ${PORT}", 7000, (("PORT", "7000"),)),
        ("ENV PORT=7001\nEXPOSE 7001\nCMD uvicorn a:app --port $PORT", 7001, ()),
        ('CMD ["python", "predict.py"]', 9697, ()),
        ("EXPOSE 7000\nCMD uvicorn predict:app", 8000, ()),  # it does not know of EXPOSE
        ("EXPOSE 7000\nENV UVICORN_PORT=7002\nCMD uvicorn predict:app", 7002, ()),
        ("CMD flask --app predict run --host=0.0.0.0", 5000, ()),
        ("ENV FLASK_RUN_PORT=7003\nCMD flask --app predict run --host=0.0.0.0", 7003, ()),
        ("CMD gunicorn -b 0.0.0.0 predict:app", 8000, ()),
        ("EXPOSE 7004\nCMD gunicorn -c settings.py predict:app", 7004, ()),
        ("ENV PORT=7005\nCMD gunicorn -b :$PORT predict:app", 7005, ()),
    ],
)
def test_a_server_is_asked_at_the_port_that_its_command_names(
    tmp_path: Path, own: str, port: int, env: tuple[tuple[str, str], ...]
) -> None:
    files = {"predict.py": f'{FLASK}app.run(host="0.0.0.0", port=9697)\n'}
    found = guessed(tmp_path, f"{ALL}{own}\n", files)
    assert [*found] == ["serve"]
    assert (found["serve"].port, found["serve"].env) == (port, env)


def test_the_images_own_program_that_needs_arguments_is_none(tmp_path: Path) -> None:
    files = {"batch.py": "import sys\nyear = int(sys.argv[1])\n"}
    own = f'{ALL}ENTRYPOINT ["python", "batch.py"]\n'
    assert guessed(tmp_path, own, files) == {}
    notes = guess_entrypoints(tmp_path, {}, parse_dockerfile(own)).notes
    assert notes == ("python batch.py cannot be started without sys.argv[1]",)


NO_FILE = "which neither the image nor the project has"


@pytest.mark.parametrize(
    ("steps", "code", "lacks"),
    [
        ("", "read_csv('rides.csv')", f"it reads rides.csv, {NO_FILE}"),
        ("", "PATH = Path('in') / 'a.npy'\nnp.load(PATH)", f"it reads in/a.npy, {NO_FILE}"),
        ("", "open(os.path.join('in', 'a.txt'))", f"it reads in/a.txt, {NO_FILE}"),
        ("", "p.add_argument('--csv', default='a.csv')\nread_csv(args.csv)",
         f"it reads a.csv, {NO_FILE}"),
        ("", "if not exists('a.csv'):\n    raise X\nread_csv('a.csv')",
         f"it reads a.csv, {NO_FILE}"),
        ("", "try:\n    df = read_csv('a.csv')\nexcept X:\n    log()\nfit(df)",
         f"it reads a.csv, {NO_FILE}"),
        ("", "read_csv('Kept.csv')", f"it reads Kept.csv, {NO_FILE}"),
        ("", "read_csv('/data/a.csv')", f"it reads /data/a.csv, {NO_FILE}"),
        ("", "os.environ['TOKEN']", "it asks for the variable TOKEN, which the image does not set"),
        ("", "fetch_openml('titanic')",
         "it gets fetch_openml over a network, which a run has only with `network`"),
        ("", "read_csv('https://example.org/a.csv')",
         "it gets https://example.org/a.csv over a network, which a run has only with `network`"),
        ("", "MNIST('.', download=True)",
         "it gets MNIST over a network, which a run has only with `network`"),
        ("", "AutoModel.from_pretrained('bert-base')",
         "it gets bert-base over a network, which a run has only with `network`"),
        ("ENV MLFLOW_TRACKING_URI=http://mlflow:5000", "import mlflow",
         "MLFLOW_TRACKING_URI names http://mlflow:5000, and a run has no such server"),
    ],
)  # fmt: skip
def test_what_a_run_does_not_have_is_said_instead_of_a_command_that_fails(
    tmp_path: Path, steps: str, code: str, lacks: str
) -> None:
    files = {"train.py": f"{code}\nmain()\n", "kept.csv": "1"}
    assert guessed(tmp_path, f"{ALL}{steps}\n", files)["train"].lacks == lacks


@pytest.mark.parametrize(
    ("steps", "code"),
    [
        ("", "read_csv('kept.csv')"),
        ("", "read_csv('./kept.csv')"),
        ("", "read_csv('/app/kept.csv')"),
        ("", "open('/etc/hosts')"),
        ("", "df.to_csv('a.csv')\nread_csv('a.csv')"),
        ("", "if exists('a.csv'):\n    read_csv('a.csv')"),
        ("", "if not exists('a.csv'):\n    make()\nread_csv('a.csv')"),
        ("", "try:\n    df = read_csv('a.csv')\nexcept X:\n    df = made()"),
        ("", "model = None\ntry:\n    model = load('a.pkl')\nexcept X:\n    log()"),
        ("RUN wget https://example.org/a.csv", "read_csv('a.csv')"),
        ("RUN python make.py", "read_csv('a.csv')\nload_dataset('b')"),
        ("ENV TOKEN=x", "os.environ['TOKEN']"),
        ("", "os.environ['SEED'] = '1'\nprint(os.environ['SEED'])"),
        ("", "os.environ.get('TOKEN')"),
        ("", "AutoModel.from_pretrained('./local')"),
        ("ENV MLFLOW_TRACKING_URI=http://mlflow:5000", "import numpy"),
        ("", "print 'python 2', open('a.csv')"),
        ("", "x = " + "(" * 150 + ")" * 150),
    ],
)
def test_what_is_there_or_may_be_missing_is_no_hindrance(
    tmp_path: Path, steps: str, code: str
) -> None:
    files = {"train.py": f"{code}\nmain()\n", "kept.csv": "1"}
    assert guessed(tmp_path, f"{ALL}{steps}\n", files)["train"].lacks == ""


def test_a_file_that_the_build_leaves_out_is_an_input(tmp_path: Path) -> None:
    files = {"train.py": "read_csv('rides.csv')\n", "rides.csv": "1", ".dockerignore": "*.csv\n"}
    train = guessed(tmp_path, ALL, files)["train"]
    assert (train.lacks, train.unmet.inputs) == ("", ("rides.csv",))


def test_a_server_gets_what_training_writes_and_fails_without(tmp_path: Path) -> None:
    """Unless training cannot start either; a server may ask a network, which it has."""
    server = "model = load('model.pkl')\nload_dataset('x')\napp = FastAPI()\n"
    own = f'{ALL}CMD ["uvicorn", "app:app", "--host", "0.0.0.0"]\n'
    files = {"app.py": server, "train.py": "dump(fit(), open('model.pkl', 'wb'))\n"}
    served = guessed(tmp_path, own, files)["serve"]
    assert (served.needs, served.lacks) == (("train",), "")
    files["train.py"] = f"read_csv('rides.csv')\n{files['train.py']}"
    found = guessed(tmp_path, own, files)
    assert found["train"].lacks == f"it reads rides.csv, {NO_FILE}"
    assert (found["serve"].needs, found["serve"].lacks) == ((), f"it reads model.pkl, {NO_FILE}")


@pytest.mark.parametrize(
    ("own", "code", "lacks"),
    [
        ("CMD uvicorn a:app", "", "uvicorn listens on 127.0.0.1 alone, because its command names no"
         " host"),
        ("CMD uvicorn a:app --host 0.0.0.0", "", ""),
        ("ENV UVICORN_HOST=0.0.0.0\nCMD uvicorn a:app", "", ""),
        ("CMD gunicorn -b :80 a:app", "", ""),
        ("CMD flask run --host=0.0.0.0", "", ""),
        ("CMD streamlit run a.py", "", ""),
        ("CMD python a.py", "app = Flask(1)\napp.run(debug=True)",
         "app.run() names no host, and so listens on 127.0.0.1 alone"),
        ("CMD python a.py", "app = Flask(1)\napp.run('x', host='0.0.0.0')", ""),
        ("CMD python a.py", "uvicorn.run(app, **options)", ""),
    ],
)  # fmt: skip
def test_a_server_that_only_its_container_reaches_is_left_out(
    tmp_path: Path, own: str, code: str, lacks: str
) -> None:
    found = guessed(tmp_path, f"{ALL}EXPOSE 80\n{own}\n", {"a.py": code})
    assert found["serve"].lacks == lacks


def test_a_server_listens_where_its_program_does_whatever_is_exposed(tmp_path: Path) -> None:
    own = f"{ALL}EXPOSE 5000\nCMD streamlit run app.py\n"
    assert guessed(tmp_path, own, {"app.py": "import streamlit\n"})["serve"].port == 8501


def test_the_images_own_script_is_what_its_code_says(tmp_path: Path) -> None:
    """A server without EXPOSE, and a batch of an image that exposes a port for nothing."""
    files = {"ask.py": "app = Flask(1)\napp.run(host='0.0.0.0', port=5001)\n", "batch.py": RUNS}
    served = guessed(tmp_path, f'{ALL}CMD ["python", "ask.py"]\n', files)
    assert [(name, guess.port) for name, guess in served.items()] == [("serve", 5001)]
    assert [*guessed(tmp_path, f'{ALL}EXPOSE 80\nCMD ["python", "batch.py"]\n', files)] == ["run"]


def test_arguments_that_the_image_gives_are_not_missing(tmp_path: Path) -> None:
    files = {"train.py": "p.add_argument('-d', '--data', required=True)\nmain()\n"}
    own = f'{ALL}ENTRYPOINT ["python", "train.py"'
    assert [*guessed(tmp_path, f'{own}, "--data", "/x"]\n', files)] == ["train"]
    assert guessed(tmp_path, f"{own}]\n", files) == {}


def test_the_stages_of_a_pipeline_that_lack_something_are_not_run_by_dvc_either(
    tmp_path: Path,
) -> None:
    files = {
        "dvc.yaml": "stages:\n  get:\n    cmd: python get.py\n    outs: [raw]\n",
        "get.py": "fetch_openml('titanic')\n",
    }
    own = f'{ALL}CMD ["dvc", "repro"]\n'
    assert guessed(tmp_path, own, files) == {}
    (note,) = guess_entrypoints(tmp_path, {}, parse_dockerfile(own)).notes
    assert note.startswith("stage get of dvc.yaml is not run: it gets fetch_openml over a network")


def test_compose_says_what_an_image_that_starts_nothing_is_for(tmp_path: Path) -> None:
    service = "services:\n  web:\n    build: .\n    command: gunicorn -b 0.0.0.0:80 a:app\n"
    found = guessed(tmp_path, ALL, {"docker-compose.yml": service})
    assert found["serve"].command == ("gunicorn", "-b", "0.0.0.0:80", "a:app")
    assert (found["serve"].port, found["serve"].source) == (80, "service web of docker-compose.yml")
    own = f'{ALL}CMD ["python", "b.py"]\n'
    assert [*guessed(tmp_path, own, {"b.py": RUNS})] == ["run"]


def test_what_is_saved_only_when_asked_for_is_no_output(tmp_path: Path) -> None:
    code = (
        "p.add_argument('--to', default='models')\n"
        "p.add_argument('--save', action='store_true')\nprint(1)\n"
        "if args.save:\n    dump(model, f'{args.to}/{name}')\n"
    )
    assert guessed(tmp_path, ALL, {"train.py": code})["train"].outputs == ("stdout",)
    logs = code.replace("print(1)", "logging.info('accuracy %s', accuracy)")
    assert guessed(tmp_path, ALL, {"train.py": logs})["train"].outputs == ("stderr",)
    says_nothing = code.replace("print(1)", "fit()")
    assert guessed(tmp_path, ALL, {"train.py": says_nothing})["train"].outputs == ()
    told = code.replace("action='store_true'", "default=True")
    assert guessed(tmp_path, ALL, {"train.py": told})["train"].outputs == ("models/*",)


@pytest.mark.parametrize(
    ("words", "lacks"),
    [
        ("rides.csv", f"it reads rides.csv, {NO_FILE}"),
        ("--data rides.csv --to p.csv", f"it reads rides.csv, {NO_FILE}"),
        ("kept.csv p.csv", ""),
        ("--to p.csv", ""),
    ],
)
def test_a_file_that_a_command_is_given_has_to_be_there(
    tmp_path: Path, words: str, lacks: str
) -> None:
    files = {"go.py": RUNS, "kept.csv": "1", "Makefile": f"train:\n\tpython go.py {words}\n"}
    assert guessed(tmp_path, ALL, files)["train"].lacks == lacks


@pytest.mark.parametrize(
    ("code", "port"),
    [
        ("app = Flask(1)\napp.run(host='0.0.0.0')\n", 5000),
        ("app = Flask(1)\napp.run(host='0.0.0.0', port=given)\n", 7000),
        ("app = Flask(1)\napp.run(host='0.0.0.0', **given)\n", 7000),
        ("app = FastAPI()\nuvicorn.run(app, host='0.0.0.0')\n", 8000),
        ("demo = gr.Interface(f)\ndemo.launch(server_name='0.0.0.0')\n", 7860),
        ("app = Dash(1)\napp.run(host='0.0.0.0')\n", 7000),
        ("application = Bottle()\napplication.run(host='0.0.0.0')\n", 7000),
    ],
)
def test_a_server_that_names_no_port_has_that_of_its_library(
    tmp_path: Path, code: str, port: int
) -> None:
    """Whatever EXPOSE says, which opens none; that counts where nobody knows the library's."""
    own = f'{ALL}EXPOSE 7000\nCMD ["python", "app.py"]\n'
    assert guessed(tmp_path, own, {"app.py": code})["serve"].port == port


def test_a_port_may_stand_in_settings(tmp_path: Path) -> None:
    own = f'{ALL}EXPOSE 7000\nCMD ["streamlit", "run", "app.py"]\n'
    files = {"app.py": "import streamlit\n", ".streamlit/config.toml": "[server]\nport = 7000\n"}
    assert guessed(tmp_path, own, files)["serve"].port == 7000


def test_what_add_unpacks_may_have_any_file(tmp_path: Path) -> None:
    for step, lacks in (("ADD", ""), ("COPY", "it reads data/iris.csv, which neither")):
        dockerfile = f'{ALL}{step} data.tar.gz .\nCMD ["python", "main.py"]\n'
        files = {"main.py": "print(read_csv('data/iris.csv'))\n", "data.tar.gz": ""}
        found = guessed(tmp_path, dockerfile, files)["run"]
        assert found.lacks.startswith(lacks) if lacks else found.lacks == ""


def test_what_a_package_runs_tells_what_it_writes(tmp_path: Path) -> None:
    """`python -m churn` starts `churn/__main__.py`, not `churn/__init__.py`."""
    files = {
        "churn/__init__.py": "",
        "churn/__main__.py": 'open("anomalies.json", "w").write("1")\n',
    }
    (found,) = guessed(tmp_path, f'{ALL}CMD ["python", "-m", "churn"]\n', files).values()
    assert found.outputs == ("anomalies.json",)


def test_a_module_that_a_program_imports_tells_what_it_writes(tmp_path: Path) -> None:
    """Where the program itself writes nothing that is known."""
    files = {
        "churn/__init__.py": "",
        "churn/__main__.py": "from churn.fit import main\nmain()\n",
        "churn/fit.py": 'def main():\n    open("scores.csv", "w").write("1")\n',
    }
    (found,) = guessed(tmp_path, f'{ALL}CMD ["python", "-m", "churn"]\n', files).values()
    assert found.outputs == ("scores.csv",)
    assert found.output_source == "a module that it imports writes scores.csv"
