"""Reads a dataset that lies in several files of one folder."""

import json
import os


def build_dataset(path):
    files = [os.path.join(path, name) for name in os.listdir(path)]
    for file in files:
        with open(file) as lines:
            yield from (json.loads(line) for line in lines)
