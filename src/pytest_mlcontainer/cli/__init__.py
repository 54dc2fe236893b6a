"""The command `mlcontainer`: what the plugin knows, without pytest."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from pytest_mlcontainer.cli.clean import clean
from pytest_mlcontainer.cli.doctor import examine
from pytest_mlcontainer.cli.init import init
from pytest_mlcontainer.cli.surroundings import here
from pytest_mlcontainer.errors import MlContainerError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        0 when all is well, 1 when something failed or is missing; a wrong option ends with 2.
    """
    arguments = _parser().parse_args(argv)
    try:
        return _dispatch(arguments)
    except MlContainerError as error:
        print(error, file=sys.stderr)
        return 1


def _dispatch(arguments: argparse.Namespace) -> int:
    if arguments.command == "init":
        return init(arguments.folder, only_print=arguments.print)
    world = here(os.environ)
    if arguments.command == "clean":
        return clean(world, arguments.engine, dry_run=arguments.dry_run)
    return examine(world, arguments.engine)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mlcontainer", description="Containers of machine-learning projects, under test."
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    text = "say whether everything that a run needs is here, and what to do if not"
    doctor = commands.add_parser("doctor", help=text, description=text)

    text = "write a first [tool.mlcontainer] into pyproject.toml, from what the project holds"
    init_parser = commands.add_parser("init", help=text, description=text)
    init_parser.add_argument("folder", nargs="?", type=Path, default=Path(), metavar="FOLDER")
    init_parser.add_argument("--print", action="store_true", help="only print it")

    text = "remove what killed or kept runs left on the engine and in the cache"
    clean_parser = commands.add_parser("clean", help=text, description=text)
    clean_parser.add_argument("--dry-run", action="store_true", help="only say what would go")

    for each in (doctor, clean_parser):
        each.add_argument(
            "--engine", metavar="URL|CONTEXT", help="this engine instead of the default one"
        )
    return parser
