import json
from pathlib import Path


def save(result, name="result"):
    """Write the result where outputs are."""
    Path("outputs").mkdir(exist_ok=True)
    Path(f"outputs/{name}.json").write_text(json.dumps(result))
