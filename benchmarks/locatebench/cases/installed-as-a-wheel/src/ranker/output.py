import json
from pathlib import Path


def save(result):
    """Write the result where outputs are."""
    Path("outputs").mkdir(exist_ok=True)
    Path("outputs/result.json").write_text(json.dumps(result))
