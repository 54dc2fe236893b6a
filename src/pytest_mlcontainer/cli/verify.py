"""`mlcontainer verify REF@sha256:…`: a published image, read whole, checked and run.

A front door to `--container-image` that insists on a digest, and says what was verified.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from platform import machine

from pytest_mlcontainer.cli.progress import following
from pytest_mlcontainer.cli.reporting import write
from pytest_mlcontainer.cli.setup import pipeline_setup
from pytest_mlcontainer.cli.verifying import Verified, carry_out
from pytest_mlcontainer.config import load, parse_options, parse_settings
from pytest_mlcontainer.config.image_names import parse_pinned_name
from pytest_mlcontainer.errors import MlContainerError
from pytest_mlcontainer.hooks import load_engines, schemes_of
from pytest_mlcontainer.matrix import plan, platforms
from pytest_mlcontainer.model import (
    HOST,
    ImageJob,
    ImageName,
    Options,
    Platform,
    PublishedImage,
    Settings,
    architecture_of,
)
from pytest_mlcontainer.pipeline import Pipeline
from pytest_mlcontainer.report.checks import megabytes
from pytest_mlcontainer.report.escape import escape

_WIDTH = 2000


@dataclass(frozen=True)
class VerifyArguments:
    """The command's arguments.

    Args:
        reference: `REF@sha256:…`.
        config: the `pyproject.toml` whose entrypoints are run, or its folder; None is the one of
            the working directory, where there is one.
        platform: as `--container-platform`.
        engine: URL or context name.
        report: folder for report.json and its like.
        verbose: whether each step is shown.
    """

    reference: str
    config: Path | None = None
    platform: str | None = None
    engine: str | None = None
    report: Path | None = None
    verbose: bool = False


def verify(asked: VerifyArguments) -> int:
    """Print what was verified, a line for each thing.

    Returns:
        0 where all of it is as it should be, else 1.

    Raises:
        MlContainerError: there is no digest, or the image cannot be had: the command ends with 2.
    """
    started = time.monotonic()
    name = parse_pinned_name(asked.reference)
    settings, has_table = _settings(asked)
    options = parse_options(
        machine(),
        prefix="--",
        platforms=asked.platform,
        image=name.at(name.digest),
        engines=() if asked.engine is None else (asked.engine,),
        schemes=schemes_of(load_engines),
    )
    with following(os.environ, verbose=asked.verbose) as tell:
        pipeline = Pipeline(pipeline_setup(os.environ, tell), options)
        try:
            published = tuple(pipeline.publishing.read(settings, name))
            options = _chosen(settings, options, published, has_table=has_table)
            print(escape(name.at(name.digest), _WIDTH), flush=True)
            done = tuple(_verified(pipeline, settings, options, published))
        finally:
            pipeline.close()
            pipeline.clean_up(last=True)
    print(_conclusion(name, published, done, has_table=has_table))
    if asked.report is not None:
        results = [pipeline.hidden.clean(result) for each in done for result in each.results]
        write(asked.report, results, time.monotonic() - started)
    return 0 if all(each.passed for each in done) else 1


def _settings(asked: VerifyArguments) -> tuple[Settings, bool]:
    """The project's settings; without a project, those of one that configures nothing."""
    file = asked.config or Path("pyproject.toml")
    file = file / "pyproject.toml" if file.is_dir() else file
    if asked.config is not None and not file.is_file():
        raise MlContainerError("there is no such file", str(file), "name it with --config FILE")
    found = load(file, machine(), schemes_of(load_engines)) if file.is_file() else None
    if found is not None:
        return found, True
    if asked.config is not None:
        remedy = "leave out --config: the image is checked, and no entrypoint is run"
        raise MlContainerError("no [tool.mlcontainer] table", str(file), remedy)
    return parse_settings({}, file, machine(), ""), False


def _chosen(
    settings: Settings,
    options: Options,
    published: tuple[PublishedImage, ...],
    *,
    has_table: bool,
) -> Options:
    """The platforms to run: those asked for, or configured, or this machine's own.

    Raises:
        MlContainerError: the image has none of them.
    """
    there = [each.platform for each in published]
    own = Platform("linux", architecture_of(machine()))
    wanted = [each for each in platforms(settings, options) if each != HOST]
    if options.platforms is None and not has_table:
        wanted = [own] if own in there else there[:1]
    missing = [each for each in wanted if each not in there]
    if missing:
        raise MlContainerError(
            "the published image has no such platform",
            ", ".join(map(str, missing)),
            f"it has {', '.join(map(str, there))}: choose with --platform",
        )
    return replace(options, platforms=tuple(wanted))


def _verified(
    pipeline: Pipeline,
    settings: Settings,
    options: Options,
    published: tuple[PublishedImage, ...],
) -> Iterator[Verified]:
    """Each thing as it is known, and printed."""
    for image in published:
        yield _printed(Verified(f"content[{image.platform}]", True, _content(image)))
    known = {each.platform: each for each in published}
    for job in plan(settings, options):
        pulled = known[job.target.platform] if isinstance(job, ImageJob) else None
        done = carry_out(pipeline, settings, job, pulled)
        yield _printed(
            replace(
                done, said=pipeline.hidden.text(done.said), more=pipeline.hidden.text(done.more)
            )
        )


def _printed(done: Verified) -> Verified:
    print(f"{done.name}  {done.word}  {escape(done.said, _WIDTH)}".rstrip(), flush=True)
    for line in done.more.splitlines():
        print(f"    {escape(line, _WIDTH)}".rstrip(), flush=True)
    return done


def _content(image: PublishedImage) -> str:
    layers = "1 layer" if len(image.layers) == 1 else f"{len(image.layers)} layers"
    attested = " and ".join(image.attested) if image.attested else "nothing"
    return (
        f"{layers}, {megabytes(image.size_bytes)}, read from the registry: all is as its digest "
        f"says; configuration {image.config}; attested: {attested}"
    )


def _conclusion(
    name: ImageName,
    published: tuple[PublishedImage, ...],
    done: tuple[Verified, ...],
    *,
    has_table: bool,
) -> str:
    """What may be relied on from now on, and what was not looked at."""
    failed = [each.name for each in done if not each.passed]
    if failed:
        return f"not verified: {', '.join(failed)} failed"
    passed = [each.name for each in done if each.word == "ok"]
    lines = [f"verified {name.digest}: {', '.join(passed)}"]
    skipped = [each.name for each in done if each.word == "skipped"]
    lines += [f"not looked at: {', '.join(skipped)}"] if skipped else []
    ran = {each.platform for each in done}
    alone = [str(each.platform) for each in published if each.platform not in ran]
    lines += [f"of {', '.join(alone)} the content alone, nothing was run"] if alone else []
    if not has_table:
        lines.append(
            "no entrypoint was run: there is no [tool.mlcontainer] here (--config FILE names one)"
        )
    return "\n".join(lines)
