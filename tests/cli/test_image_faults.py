"""An image that starts nothing: what it starts does nothing, or its Dockerfile says it wrongly."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.guessing import ALL, guesses

STARTS = f'{ALL}EXPOSE 5000\nCMD ["python", "app.py"]\n'


@pytest.mark.parametrize(
    ("code", "lacks"),
    [
        ("", "the image starts app.py, which is empty"),
        ("# import flask\n# app.run()\n", "the image starts app.py, which is empty"),
        ('"""Later."""\nimport os\n\nLIMIT = 3\n\nclass Model: ...\n',
         "the image starts app.py, which only defines"),
        ("import logging\nlog = logging.getLogger(__name__)\ndef fit(): ...\n",
         "the image starts app.py, which only defines"),
        ("app = FastAPI()\n@app.get('/')\ndef home(): ...\n",
         "the image starts app.py, which defines a server and does not start it"),
        ("model = joblib.load('m.pkl')\napp = Flask(__name__)\n@app.route('/')\ndef home(): ...\n",
         "the image starts app.py, which defines a server and does not start it"),
        ("app = Flask(__name__)\nif __name__ == '__main__':\n    app.run(host='0.0.0.0')\n", ""),
        ("app = Flask(__name__)\nif __name__ == '__main__':\n    serve(app, host='0.0.0.0')\n", ""),
        ("app = FastAPI()\nHypercorn(app).start()\n", ""),
        ("def fit(): ...\nmodel = fit()\n", ""),
        ("from main import app\n", ""),
        ("from sklearn import fit\nx = fit()\n", ""),
        ("print 'python 2'\n", ""),
    ],
)  # fmt: skip
def test_a_program_that_does_nothing_is_said(tmp_path: Path, code: str, lacks: str) -> None:
    files = {"app.py": code, "main.py": "print(1)\n", "m.pkl": ""}
    (found,) = guesses(tmp_path, STARTS, files).entrypoints
    assert found.lacks == lacks


@pytest.mark.parametrize(
    "start",
    [
        '["uvicorn", "app:app", "--host", "0.0.0.0"]',
        '["flask", "run", "--host", "0.0.0.0"]',
        '["python", "-m", "uvicorn", "app:app", "--host", "0.0.0.0"]',
    ],
)
def test_a_server_that_another_program_starts_need_not_start_itself(
    tmp_path: Path, start: str
) -> None:
    files = {"app.py": "app = FastAPI()\n"}
    (serve,) = guesses(tmp_path, f"{ALL}CMD {start}\n", files).entrypoints
    assert (serve.name, serve.lacks) == ("serve", "")


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("['python', 'run.py']", "single quotes"),
        ('["python",\u00a0"run.py"]', "no-break space, U+00A0"),
        ("[“python”, “run.py”]", "left double quotation mark, U+201C"),
        ('["python", "run.py",]', ""),
    ],
)
def test_a_command_that_is_no_json_is_said_as_it_was_meant(
    tmp_path: Path, written: str, reason: str
) -> None:
    for word in ("CMD", "ENTRYPOINT"):
        found = guesses(tmp_path, f"{ALL}{word} {written}\n", {"run.py": "dump(fit(), 'm.pkl')\n"})
        (run,) = found.entrypoints
        assert (run.name, run.command, run.lacks) == ("run", ("python", "run.py"), "")
        assert (run.entrypoint, run.outputs) == (() if word == "ENTRYPOINT" else None, ("m.pkl",))
        assert (
            f"{word} {written} is no JSON{f' ({reason})' if reason else ''}, so" in found.notes[0]
        )
    beside = f'{ALL}ENTRYPOINT ["python"]\nCMD {written.replace("python", "-u")}\n'
    (run,) = guesses(tmp_path, beside, {}).entrypoints
    assert (run.entrypoint, run.command) == (None, ("-u", "run.py"))


def test_a_command_that_nobody_understands_is_left_alone(tmp_path: Path) -> None:
    for written in ('["python", "run.py"', "[python, run.py]"):
        found = guesses(tmp_path, f"{ALL}CMD {written}\n", {"run.py": "fit()\n"})
        assert found.entrypoints == ()
        assert "no JSON" in found.notes[0]


SHELLS = ('["sh", "-c", "{}"]', '["/bin/bash", "-c", "{}"]', '["bash", "-lc", "{}"]', "{}")


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("line", "outputs", "lacks"),
    [
        ("python a.py && python b.py", ("a.csv", "b.csv"), ""),
        ("python a.py; python b.py", ("a.csv", "b.csv"), ""),
        ("cd /app && python b.py", ("b.csv",), "it reads a.csv, which neither"),
        ("python a.py && python c.py", (), "the image starts c.py, which it does not have"),
        ("cd src && python d.py", (), ""),
    ],
)
def test_what_a_shell_is_told_is_read(
    tmp_path: Path, shell: str, line: str, outputs: tuple[str, ...], lacks: str
) -> None:
    files = {"a.py": "x.to_csv('a.csv')\n", "b.py": "read_csv('a.csv')\nx.to_csv('b.csv')\n"}
    start = shell.replace("{}", line)
    (run,) = guesses(tmp_path, f"{ALL}CMD {start}\n", files).entrypoints
    assert (run.name, run.command) == ("run", None)
    assert run.outputs == outputs or lacks
    assert run.source == f"the image's own command: {line}"
    assert run.lacks.startswith(lacks) if lacks else run.lacks == ""


@pytest.mark.parametrize("shell", SHELLS)
def test_a_server_that_a_shell_is_told_to_start_is_one(tmp_path: Path, shell: str) -> None:
    files = {"a.py": "x.to_csv('a.csv')\n", "app.py": "app = FastAPI()\n"}
    for line, port in (
        ("python a.py && exec uvicorn app:app --host 0.0.0.0 --port 81", 81),
        ("gunicorn app:app -b 0.0.0.0:${PORT:-82}", 82),
    ):
        dockerfile = f"{ALL}CMD {shell.replace('{}', line)}\n"
        (serve,) = guesses(tmp_path, dockerfile, files).entrypoints
        assert (serve.name, serve.command, serve.port) == ("serve", None, port)


def test_the_images_own_program_is_one_also_beside_a_server(tmp_path: Path) -> None:
    files = {"app.py": "app = FastAPI()\n", "main.py": "dump(fit(), 'm.pkl')\n"}
    dockerfile = f'{ALL}CMD ["python", "main.py"]\n'
    found = {each.name: each for each in guesses(tmp_path, dockerfile, files).entrypoints}
    assert (found["run"].command, found["run"].outputs) == (None, ("m.pkl",))


@pytest.mark.parametrize("line", ["while true; do python a.py; done", "for i in 1 2; do run; done"])
def test_what_only_a_shell_understands_says_nothing(tmp_path: Path, line: str) -> None:
    (run,) = guesses(tmp_path, f"{ALL}CMD {line}\n", {"a.py": "x.to_csv('a.csv')\n"}).entrypoints
    assert (run.command, run.lacks) == (None, "")


def test_a_program_of_others_that_may_wait_is_none_beside_the_projects(tmp_path: Path) -> None:
    for start in ('["jupyter", "notebook", "--port=8888"]', '["./start.sh"]'):
        files = {"train.py": "dump(fit(), 'm.pkl')\n", "start.sh": "if true; then\nwait\nfi\n"}
        dockerfile = f"{ALL}CMD {start}\n"
        assert [each.name for each in guesses(tmp_path, dockerfile, files).entrypoints] == ["train"]
