"""What is asked of the recorder."""

import json
import os

ASKED = "asked.json"
FOLDER = "MLCONTAINER_RECORDING"  # names the folder with that file


def asked():
    """It as it was written; nothing where there is none."""
    try:
        with open(os.path.join(os.environ[FOLDER], ASKED), encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return {}
