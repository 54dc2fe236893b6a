import json
import os

DEFAULTS = {"alpha": 0.5}


def read_settings():
    path = os.path.expanduser("~/.tuner.json")
    if not os.path.exists(path):
        return DEFAULTS
    with open(path) as file:
        return {**DEFAULTS, **json.load(file)}
