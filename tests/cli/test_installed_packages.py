"""A server whose library the image does not install does not start."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_mlcontainer.cli.guesses import guess_entrypoints
from pytest_mlcontainer.dockerfile import parse_dockerfile

BASE = "FROM python:3.13-slim\nWORKDIR /app\nCOPY . .\n"
LISTED = "RUN pip install -r requirements.txt\n"
FLASK = "it imports flask, which the image does not install"


@pytest.mark.parametrize(
    ("dockerfile", "listed", "lacks"),
    [
        (f"{BASE}{LISTED}", "pandas\nnumpy\n", FLASK),
        (f"{BASE}RUN apt-get update && rm -rf /var/lib/apt/lists/*\n{LISTED}", "numpy\n", FLASK),
        (f"{BASE}RUN pip install -rrequirements.txt\n", "pandas\n", ""),
        (f"{BASE}RUN pip install numpy pandas\n", "flask\n", FLASK),
        (f"{BASE}", "flask\n", FLASK),
        (f"{BASE}{LISTED}", "pandas\nFlask==3.0\n", ""),
        (f"{BASE}{LISTED}", "flask-cors\n", ""),
        (f"{BASE}{LISTED}", "mlflow\n", ""),
        (f"{BASE}RUN pip install flask\n", "", ""),
        (f"{BASE}{LISTED}", "-r more.txt\n", ""),
        (f"{BASE}{LISTED}", "", ""),
        (f"{BASE}RUN pip install -r elsewhere.txt\n", "pandas\n", ""),
        (f"{BASE}RUN pip install .\n", "pandas\n", ""),
        (f"{BASE}RUN pip install --no-cache-dir -e .\n", "pandas\n", ""),
        (f"{BASE}RUN pip install $PACKAGES\n", "pandas\n", ""),
        (f"{BASE}RUN pip install pipenv && pipenv install --system\n", "pandas\n", ""),
        (f"{BASE}COPY --from=made /venv /venv\n{LISTED}", "pandas\n", ""),
        (f"{BASE}RUN apt-get install -y python3-flask\n", "pandas\n", ""),
        (f"{BASE.replace('python:', 'example/python:')}{LISTED}", "pandas\n", ""),
    ],
)
def test_a_library_that_is_not_installed_is_said(
    tmp_path: Path, dockerfile: str, listed: str, lacks: str
) -> None:
    code = "from flask import Flask\napp = Flask(__name__)\napp.run(host='0.0.0.0')\n"
    (tmp_path / "app.py").write_text(code)
    (tmp_path / "requirements.txt").write_text(listed)
    (serve,) = guess_entrypoints(tmp_path, {}, parse_dockerfile(dockerfile)).entrypoints
    assert (serve.name, serve.lacks) == ("serve", lacks)
