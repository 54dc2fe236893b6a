"""The command `mlcontainer`: what the plugin knows, without pytest."""

from __future__ import annotations

import argparse
import os
import select
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from platform import machine
from typing import TextIO

from pytest_mlcontainer.errors import MlContainerError
from pytest_mlcontainer.report.escape import escape

_LONGEST_LINE = 2000
_SIGPIPE = 128 + 13


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        0 when all is well, 1 when something failed, drifts or is missing; a wrong option, and
        records that cannot be read, end with 2; 141, as other programs that SIGPIPE ends, when
        whoever reads what is printed has gone (`| head`).
    """
    try:
        try:
            return _run(argv)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        unread = [stream for stream in (sys.stdout, sys.stderr) if _is_unread(stream)]
        if not unread:
            raise  # of something else that has gone, an engine for example
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in unread:
            os.dup2(nowhere, stream.fileno())  # Python flushes once more at its end
        return _SIGPIPE


def _run(argv: Sequence[str] | None) -> int:
    words = sys.argv[1:] if argv is None else list(argv)
    try:
        # Its options are pytest's, which argparse does not know.
        if words[:1] == ["test"] and not {"-h", "--help"} & set(words):
            from pytest_mlcontainer.cli.table_alone import run_table

            return run_table(words[1:], os.environ)
        return _dispatch(command_parser().parse_args(words))
    except MlContainerError as error:
        print(_shown(error), file=sys.stderr)
        return 1


def _is_unread(stream: TextIO) -> bool:
    """Whether a stream is a pipe that nobody reads any more."""
    try:
        poller = select.poll()
        poller.register(stream.fileno(), 0)
    except (OSError, ValueError):
        return False
    return any(event & (select.POLLERR | select.POLLHUP) for _number, event in poller.poll(0))


def _dispatch(arguments: argparse.Namespace) -> int:
    # Each command imports what it needs: comparing works without docker, and starts fast.
    if arguments.command == "compare":
        return _answered(_compare, arguments)
    if arguments.command == "init":
        from pytest_mlcontainer.cli.init import init

        return init(arguments.folder, only_print=arguments.print, dockerfile=arguments.dockerfile)
    if arguments.command == "explain":
        return _answered(_explain, arguments)
    if arguments.command == "verify":
        return _answered(_verify, arguments)
    if arguments.command == "completion":
        from pytest_mlcontainer.cli.completion import completion

        return completion(command_parser(), arguments.shell)
    if arguments.command == "report":
        return _answered(_merge_reports, arguments)
    from pytest_mlcontainer.cli.clean import clean
    from pytest_mlcontainer.cli.doctor import examine
    from pytest_mlcontainer.cli.surroundings import here

    world = here(os.environ)
    if arguments.command == "clean":
        return clean(world, arguments.engine, dry_run=arguments.dry_run)
    return examine(world, arguments.engine, as_json=arguments.json)


def _compare(arguments: argparse.Namespace) -> int:
    from pytest_mlcontainer.cli.compare import CompareArguments, compare

    values = vars(arguments)
    return compare(
        CompareArguments(**{name: values[name] for name in CompareArguments.__annotations__})
    )


def _merge_reports(arguments: argparse.Namespace) -> int:
    from pytest_mlcontainer.cli.merge_reports import merge_reports

    return merge_reports(arguments.folders, arguments.into)


def _verify(arguments: argparse.Namespace) -> int:
    from pytest_mlcontainer.cli.verify import VerifyArguments, verify

    values = vars(arguments)
    return verify(
        VerifyArguments(**{name: values[name] for name in VerifyArguments.__annotations__})
    )


def _explain(arguments: argparse.Namespace) -> int:
    if arguments.list:
        from pytest_mlcontainer.cli.explain import list_variations

        return list_variations()
    if len(arguments.image) > 1 or arguments.command_line:
        return _explain_images(arguments)
    return _explain_project(arguments)


def _answered(give: Callable[[argparse.Namespace], int], arguments: argparse.Namespace) -> int:
    """Its answer; 2 where it can give none, so that 1 always means a result."""
    try:
        return give(arguments)
    except MlContainerError as error:
        print(_shown(error), file=sys.stderr)
        return 2


def _explain_project(arguments: argparse.Namespace) -> int:
    from pytest_mlcontainer.cli.explain import ExplainArguments, explain

    return explain(
        ExplainArguments(
            config=arguments.config or Path("pyproject.toml"),
            entrypoint=arguments.entrypoint,
            platform=arguments.platform,
            image=next(iter(arguments.image), None),
            vary=arguments.vary,
            budget=arguments.budget,
            engine=arguments.engine,
            report=arguments.report,
            verbose=arguments.verbose,
            locate=arguments.locate,
            cure=arguments.cure,
        )
    )


def _explain_images(arguments: argparse.Namespace) -> int:
    from pytest_mlcontainer.cli.explain_images import BUDGET, ImageArgs, explain_images
    from pytest_mlcontainer.config import parse_options

    if arguments.cure:
        raise MlContainerError(
            "what differs between two images is not cured by a setting",
            "--cure with --image given twice",
            "leave --cure out; where a package is the cause, pin its version",
        )
    budget = parse_options(machine(), prefix="--", budget=arguments.budget).budget
    return explain_images(
        ImageArgs(
            images=tuple(arguments.image),
            entrypoint=arguments.entrypoint,
            config=arguments.config,
            command=arguments.command_line,
            outputs=tuple(arguments.outputs),
            report=arguments.report,
            budget=BUDGET if budget is None else budget,
            engine=arguments.engine,
            verbose=arguments.verbose,
        )
    )


def _shown(error: MlContainerError) -> str:
    """Errors quote records and logs, so that each line is escaped."""
    return "\n".join(escape(line, _LONGEST_LINE) for line in str(error).split("\n"))


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
