"""The command `mlcontainer`: what the plugin knows, without pytest."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from pytest_mlcontainer.errors import MlContainerError
from pytest_mlcontainer.report.escape import escape

_LONGEST_LINE = 2000


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        0 when all is well, 1 when something failed, drifts or is missing; a wrong option, and
        records that cannot be read, end with 2.
    """
    arguments = _parser().parse_args(argv)
    try:
        return _dispatch(arguments)
    except MlContainerError as error:
        print(_shown(error), file=sys.stderr)
        return 1


def _dispatch(arguments: argparse.Namespace) -> int:
    # Each command imports what it needs: comparing works without docker, and starts fast.
    if arguments.command == "compare":
        return _compare(arguments)
    if arguments.command == "init":
        from pytest_mlcontainer.cli.init import init

        return init(arguments.folder, only_print=arguments.print)
    from pytest_mlcontainer.cli.clean import clean
    from pytest_mlcontainer.cli.doctor import examine
    from pytest_mlcontainer.cli.surroundings import here

    world = here(os.environ)
    if arguments.command == "clean":
        return clean(world, arguments.engine, dry_run=arguments.dry_run)
    return examine(world, arguments.engine)


def _compare(arguments: argparse.Namespace) -> int:
    """2 also for records that cannot be read, so that 1 always means a result."""
    from pytest_mlcontainer.cli.compare import Asked, compare

    values = vars(arguments)
    try:
        return compare(Asked(**{name: values[name] for name in Asked.__annotations__}))
    except MlContainerError as error:
        print(_shown(error), file=sys.stderr)
        return 2


def _shown(error: MlContainerError) -> str:
    """Errors quote records and logs, so that each line is escaped."""
    return "\n".join(escape(line, _LONGEST_LINE) for line in str(error).split("\n"))


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

    _add_compare(commands)
    for each in (doctor, clean_parser):
        each.add_argument(
            "--engine", metavar="URL|CONTEXT", help="this engine instead of the default one"
        )
    return parser


def _add_compare(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "hold records of two machines, written by --container-records, against each other"
    parser = commands.add_parser("compare", help=text, description=text)
    archive = "a folder of records, or an archive of one: .zip, .tar, .tar.gz"
    parser.add_argument("first", type=Path, metavar="A", help=archive)
    parser.add_argument("second", type=Path, metavar="B", help="another")
    parser.add_argument(
        "--reference", choices=("A", "B"), default="A", help="which of them is right; default A"
    )
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="a pyproject.toml, for its comparison rules"
    )
    parser.add_argument(
        "--report", type=Path, metavar="DIR", help="write report.json and its like there"
    )
    parser.add_argument("--entrypoint", metavar="NAME", help="this entrypoint alone")
    parser.add_argument(
        "--platform", metavar="PLATFORM", help="this one alone, where records of it are"
    )
