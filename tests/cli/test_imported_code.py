"""What a program needs through the project's own modules, which run when it imports them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.guessing import ALL, guesses

SERVED = 'CMD ["uvicorn", "app.main:app", "--host", "0.0.0.0"]\n'
NO_FILE = "which neither the image nor the project has"


def lacks(root: Path, dockerfile: str, files: dict[str, str]) -> str:
    (guess,) = guesses(root, dockerfile, files).entrypoints
    return guess.lacks


@pytest.mark.parametrize(
    ("main", "service", "said"),
    [
        ("from app import service", "model = load('m.pkl')", f"it reads m.pkl, {NO_FILE}"),
        ("from app.service import predict", "model = load('m.pkl')\ndef predict(): pass",
         f"it reads m.pkl, {NO_FILE}"),
        ("import app.service", "TOKEN = os.environ['TOKEN']",
         "it asks for the variable TOKEN, which the image does not set"),
        ("from app.service import get\nmodel = get()", "def get():\n    return load('m.pkl')",
         f"it reads m.pkl, {NO_FILE}"),
        ("from app.service import get\n@app.on_event('startup')\ndef at():\n    get()",
         "def get():\n    return os.environ['TOKEN']",
         "it asks for the variable TOKEN, which the image does not set"),
        # What runs when somebody asks the server, or never, is no hindrance to its start.
        ("from app.service import get\n@app.get('/')\ndef at():\n    get()",
         "def get():\n    return load('m.pkl')", ""),
        ("from app import service", "def get():\n    return load('m.pkl')", ""),
        ("from app import service", "if __name__ == '__main__':\n    load('m.pkl')", ""),
        ("from app import service", "try:\n    m = load('m.pkl')\nexcept X:\n    m = None", ""),
        ("from app import service", "model = load('kept.pkl')", ""),
        ("from app import service", "x = (", ""),
        ("def late():\n    from app import service", "model = load('m.pkl')", ""),
    ],
)  # fmt: skip
def test_a_server_needs_what_its_modules_need_when_they_are_imported(
    tmp_path: Path, main: str, service: str, said: str
) -> None:
    files = {"app/main.py": f"app = FastAPI()\n{main}\n", "app/service.py": f"{service}\n",
             "app/__init__.py": "", "kept.pkl": "1"}  # fmt: skip
    assert lacks(tmp_path, f"{ALL}{SERVED}", files) == said


def test_a_program_needs_what_the_modules_that_it_calls_need(tmp_path: Path) -> None:
    """Through several of them, around in a ring, and from beside the script; what one of them
    writes, another one may read."""
    files = {
        "src/train.py": "import data\nif __name__ == '__main__':\n    data.rides()\n",
        "src/data.py": "import files\ndef rides():\n    return files.table()\n",
        "src/files.py": "import data\ndef table():\n    return read_csv('rides.csv')\n",
    }
    assert lacks(tmp_path, ALL, files) == f"it reads rides.csv, {NO_FILE}"
    files["src/data.py"] += "def make():\n    x.to_csv('./rides.csv')\n"
    assert lacks(tmp_path, ALL, files) == ""
