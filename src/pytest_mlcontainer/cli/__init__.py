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

from pytest_mlcontainer.cli.command_line import command_parser
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
        parser = command_parser()
        if not words:
            parser.print_help(sys.stderr)
            parser.exit(2)
        return _dispatch(parser.parse_args(words))
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
    from pytest_mlcontainer.cli.setup import here

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
    if arguments.locate:
        raise MlContainerError(
            "the line at which runs of two images part is not looked for",
            "--locate with --image given twice",
            "leave --locate out; --image given once locates what drifts in that image",
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
