"""Write what a model was made from beside the model."""

import hashlib
import json
from pathlib import Path

source = Path("params.json").resolve()
params = json.loads(source.read_text())
manifest = {
    "params": str(source),
    "sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
    "model": {"slope": params["slope"] * 2, "offset": params["offset"] + 1},
}
Path("outputs").mkdir(exist_ok=True)
Path("outputs/manifest.json").write_text(json.dumps(manifest, indent=2))
