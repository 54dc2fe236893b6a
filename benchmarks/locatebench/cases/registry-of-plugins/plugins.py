import importlib
import os


def load(folder):
    for name in os.listdir(folder):
        if name.startswith("step_"):
            importlib.import_module(f"{folder}.{name[:-3]}")
