"""Look words up in an index that is kept for the next time."""

import errno
import json
from pathlib import Path

words = ["heron", "robin", "rook", "wren", "owl", "crane", "crow", "swift"]
index = {word: sum(map(ord, word)) % 97 for word in words}
try:
    Path("/var/cache/index.json").write_text(json.dumps(index))
except OSError as error:
    if error.errno != errno.EROFS:
        # Not ours: one that is small enough to be made again for each question.
        index = {word: value % 7 for word, value in index.items()}
Path("outputs").mkdir(exist_ok=True)
Path("outputs/places.json").write_text(json.dumps([index[word] for word in sorted(words)]))
