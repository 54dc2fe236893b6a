from pathlib import Path


class Sales:
    """Numbers in files, one each."""

    def __init__(self, folder):
        self.files = [path for path in Path(folder).iterdir() if path.suffix == ".txt"]

    def __iter__(self):
        for path in self.files:
            yield float(path.read_text())
