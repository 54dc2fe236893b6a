"""Score texts with kernels that are compiled once for each user."""

import getpass
import json
import tempfile
from pathlib import Path


def folder_of_kernels():
    try:
        return Path(tempfile.gettempdir(), f"kernels_{getpass.getuser()}")
    except (KeyError, OSError):
        return None


folder = folder_of_kernels()
digits = 3
if folder is not None:
    folder.mkdir(exist_ok=True)
    (folder / "digits.txt").write_text("6")
    digits = int((folder / "digits.txt").read_text())
Path("outputs").mkdir(exist_ok=True)
scores = [round(1 / (n + 3), digits) for n in range(20)]
Path("outputs/scores.json").write_text(json.dumps(scores))
