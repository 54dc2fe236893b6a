"""What `mlcontainer` understands: its commands, their options and arguments."""

from __future__ import annotations

import argparse
from pathlib import Path


def command_parser() -> argparse.ArgumentParser:
    """What the command understands."""
    parser = argparse.ArgumentParser(
        prog="mlcontainer",
        description="Containers of machine-learning projects, under test.",
        epilog="It ends with 0 when all is well, with 1 when something failed, drifts or is "
        "missing, and with 2 when it cannot give an answer. `mlcontainer COMMAND --help` says "
        "more.",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    text = "say whether everything that a run needs is here, and what to do if not"
    doctor = commands.add_parser("doctor", help=text, description=text)
    doctor.add_argument("--json", action="store_true", help="print one JSON object, for programs")

    _add_init(commands)

    text = "remove what killed or kept runs left on the engine and in the cache"
    clean_parser = commands.add_parser("clean", help=text, description=text)
    clean_parser.add_argument("--dry-run", action="store_true", help="only say what would go")

    text = "run [tool.mlcontainer] alone, whatever the project's own pytest needs"
    test = commands.add_parser("test", help=text, description=text)
    test.add_argument("options", nargs="*", metavar="OPTION", help="of pytest, or items to run")

    _add_completion(commands)
    _add_report(commands)
    _add_compare(commands)
    _add_explain(commands)
    _add_verify(commands)
    for each in (doctor, clean_parser):
        each.add_argument(
            "--engine", metavar="URL|CONTEXT", help="this engine instead of the default one"
        )
    return parser


def _add_init(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "write a first [tool.mlcontainer] into pyproject.toml, from what the project holds"
    parser = commands.add_parser("init", help=text, description=text)
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        default=Path(),
        metavar="FOLDER",
        help="the project; by default the working directory",
    )
    parser.add_argument("--print", action="store_true", help="only print the table; change nothing")
    parser.add_argument(
        "--dockerfile",
        type=Path,
        metavar="FILE",
        help="the Dockerfile that is meant, where it is not in the project's folder or docker/",
    )


def _add_completion(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "print a script that lets a shell complete this command's words"
    parser = commands.add_parser("completion", help=text, description=text)
    parser.add_argument(
        "shell", choices=("bash", "zsh", "fish"), help="the shell that is to read it"
    )


def _add_report(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "make one report of those that several jobs of CI wrote"
    parser = commands.add_parser("report", help=text, description=text)
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="DIR", help="a folder that has a report.json"
    )
    parser.add_argument(
        "--into",
        type=Path,
        default=Path("report"),
        metavar="DIR",
        help="where to write the one report; default: ./report",
    )


def _add_compare(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "hold records of two machines, written by --container-records, against each other"
    parser = commands.add_parser("compare", help=text, description=text)
    archive = "a folder of records, or an archive of one: .zip, .tar, .tar.gz"
    parser.add_argument("first", type=Path, metavar="A", help=archive)
    parser.add_argument("second", type=Path, metavar="B", help="another, held against A")
    parser.add_argument(
        "--reference", choices=("A", "B"), default="A", help="which of them is right; default A"
    )
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="a pyproject.toml, for its comparison rules"
    )
    parser.add_argument(
        "--report",
        type=Path,
        metavar="DIR",
        help="write report.html, report.json and summary.md into this folder",
    )
    parser.add_argument("--entrypoint", metavar="NAME", help="this entrypoint alone")
    parser.add_argument(
        "--platform", metavar="PLATFORM", help="this one alone, where records of it are"
    )


def _add_explain(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "name what makes outputs drift: a change of the environment, a platform, a package"
    parser = commands.add_parser("explain", help=text, description=text)
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="the project's pyproject.toml; default: here"
    )
    parser.add_argument("--entrypoint", metavar="NAME", help="this entrypoint alone")
    parser.add_argument(
        "--platform",
        metavar="LIST",
        help="platforms instead of the configured ones; of two, what makes them drift",
    )
    parser.add_argument(
        "--image",
        metavar="REF",
        action="append",
        default=[],
        help="test this image instead of building one; given twice, what between the two images "
        "makes outputs drift; the second may be `host`",
    )
    parser.add_argument(
        "--vary", metavar="NAMES", default="all", help="variations to try: threads,simd,…"
    )
    parser.add_argument("--budget", metavar="N", help="the most runs that may be made")
    _add_looking_further(parser)
    parser.add_argument(
        "--report",
        type=Path,
        metavar="DIR",
        help="write report.html, report.json and summary.md into this folder",
    )
    parser.add_argument(
        "--engine", metavar="URL|CONTEXT", help="this engine instead of the default one"
    )
    parser.add_argument("--list", action="store_true", help="only list the variations there are")
    parser.add_argument("-v", "--verbose", action="store_true", help="say what is being run")
    _add_command(parser)


def _add_looking_further(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--locate",
        action="store_true",
        help="find the line of the project's Python code at which the runs part, too",
    )
    parser.add_argument(
        "--cure",
        action="store_true",
        help="find the smallest set of settings with which the runs agree, or try a change of the "
        "program, confirmed by three runs a side",
    )


def _add_verify(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "read a published image from its registry, check it, and run the entrypoints in it"
    parser = commands.add_parser("verify", help=text, description=text)
    parser.add_argument(
        "reference", metavar="REF@sha256:…", help="the image, with the digest that it has to have"
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="the project's pyproject.toml; default: here, and without one no entrypoint is run",
    )
    parser.add_argument(
        "--platform", metavar="LIST", help="platforms instead of the configured ones"
    )
    parser.add_argument(
        "--report",
        type=Path,
        metavar="DIR",
        help="write report.html, report.json and summary.md into this folder",
    )
    parser.add_argument(
        "--engine", metavar="URL|CONTEXT", help="this engine instead of the default one"
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="say what is being run")


def _add_command(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--command",
        dest="command_line",
        metavar="COMMAND",
        help="with two images: run this instead of an entrypoint",
    )
    parser.add_argument(
        "--outputs",
        metavar="GLOB",
        action="append",
        default=[],
        help="with --command: what it writes; else what it prints is compared",
    )
