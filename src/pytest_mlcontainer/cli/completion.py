"""`mlcontainer completion`: a script that lets a shell complete the command's words."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import shtab


def completion(parser: argparse.ArgumentParser, shell: str) -> int:
    """Print the script for a shell."""
    for action in _actions(parser):
        if action.type is Path:
            complete: Any = shtab.DIRECTORY if action.metavar in ("DIR", "FOLDER") else shtab.FILE
            vars(action)["complete"] = complete
    print(shtab.complete(parser, shell))
    return 0


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """All options and words of the command, and of its commands."""
    for action in parser._actions:
        yield action
        choices = action.choices
        if isinstance(action, argparse._SubParsersAction) and isinstance(choices, dict):
            for each in choices.values():
                yield from _actions(each)
