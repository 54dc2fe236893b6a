"""Number the words of a corpus in the order of their first appearance."""

import json
from pathlib import Path

vocabulary: dict[str, int] = {}
documents = []
for folder, _, names in Path("corpus").walk():
    for name in names:
        words = (folder / name).read_text(encoding="utf-8").split()
        documents.append((name, [vocabulary.setdefault(word, len(vocabulary)) for word in words]))

Path("outputs").mkdir(exist_ok=True)
Path("outputs/vocabulary.json").write_text(json.dumps(vocabulary))
Path("outputs/ids.json").write_text(json.dumps(dict(sorted(documents))))
