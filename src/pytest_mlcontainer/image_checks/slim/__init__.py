"""The check `slim`: what entrypoints open of the image, and a slimmer image that serves as well."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from pytest_mlcontainer.dockerfile import read_dockerfile
from pytest_mlcontainer.errors import NothingChecked
from pytest_mlcontainer.image_checks.contents import ImageContents
from pytest_mlcontainer.image_checks.environment.installed import look_inside
from pytest_mlcontainer.image_checks.inputs import CheckInputs
from pytest_mlcontainer.image_checks.reading import contents_of
from pytest_mlcontainer.image_checks.slim.dockerfile import SlimDockerfile, slim_dockerfile
from pytest_mlcontainer.image_checks.slim.opened import OpenedInImage
from pytest_mlcontainer.image_checks.slim.unneeded import Unneeded, unneeded
from pytest_mlcontainer.image_checks.trials import EntrypointTrials, WatchedRun
from pytest_mlcontainer.model import (
    CheckReport,
    CheckRow,
    CheckTable,
    ImageFinding,
    Platform,
    Severity,
)
from pytest_mlcontainer.storage import shown_size, why_unwritable
from pytest_mlcontainer.wording import first_and_count

_MOST_ROWS: Final = 100
_SHELL: Final = "bin/sh"
_LINK: Final = "https://docs.docker.com/build/building/best-practices/#use-multi-stage-builds"


@dataclass(frozen=True)
class _Proposal:
    """A slimmer image that was built, and in which all entrypoints wrote the same.

    Args:
        saved_bytes: by which its layers together are smaller.
    """

    dockerfile: SlimDockerfile
    left_out: tuple[Unneeded, ...]
    total_bytes: int
    saved_bytes: int


def check_slim(inputs: CheckInputs) -> CheckReport:
    """Watch what entrypoints open; have an image built without the rest, and try them in it.

    Raises:
        NothingChecked: there is no entrypoint to watch, or not all that one opens can be seen.
        MlContainerError: the image cannot be had.
    """
    platform, trials = inputs.platform, inputs.trials
    assert platform is not None
    assert trials is not None
    inputs.log("watching what entrypoints open")
    watched = trials.watch()
    _check_seen(watched)
    contents = contents_of(inputs, platform)
    opened = OpenedInImage(contents.files, {path for each in watched for path in each.paths})
    problem = _why_nothing(inputs, watched, opened)
    notes = [f"no slimmer image is proposed: {problem}"] if problem else []
    proposal = None if problem else _propose(inputs, trials, contents, opened, notes)
    findings = [] if proposal is None else [_finding(inputs, platform, proposal, notes)]
    size = _Sizes(contents, opened)
    tables = [CheckTable("what no entrypoint opened", tuple(_rows(contents, opened)))]
    if proposal is not None:
        rows = (CheckRow(each.title, each.size_bytes, ", ".join(each.names))
                for each in proposal.left_out)  # fmt: skip
        tables.append(CheckTable("left out of the slimmer image", tuple(rows)))
    return replace(
        inputs.report(tuple(findings), tuple(notes)),
        headline=size.headline(proposal),
        figures=(
            ("opened_bytes", size.opened_bytes),
            ("unopened_bytes", size.unopened_bytes),
            ("opened_files", size.opened_files),
            ("saved_bytes", None if proposal is None else proposal.saved_bytes),
        ),
        tables=tuple(tables),
        tables_shown=True,
    )


class _Sizes:
    """How much of what a container sees was opened."""

    def __init__(self, contents: ImageContents, opened: OpenedInImage) -> None:
        entries = [each.entry for each in contents.files.files]
        used = [each for each in entries if each.path in opened.files]
        self.opened_files = len(used)
        self.opened_bytes = sum(each.size_bytes for each in used)
        self.unopened_bytes = sum(each.size_bytes for each in entries) - self.opened_bytes

    def headline(self, proposal: _Proposal | None) -> str:
        every = shown_size(self.opened_bytes + self.unopened_bytes)
        said = f"entrypoints open {shown_size(self.opened_bytes)} of {every}"
        if proposal is None:
            return said
        return f"{said}; an image of {shown_size(proposal.total_bytes)} serves them as well"


def _check_seen(watched: tuple[WatchedRun, ...]) -> None:
    if not watched:
        raise NothingChecked(
            "there is no run to watch",
            "the project has no entrypoint that ends by itself",
            "declare one in [tool.mlcontainer.entrypoints], or leave the check out: slim = false",
        )
    for each in watched:
        if each.unseen:
            raise NothingChecked(
                "it cannot be seen what entrypoints open",
                f"{each.entrypoint}: {each.unseen}",
                "leave the check out here: [tool.mlcontainer.image] slim = false",
            )


def _why_nothing(
    inputs: CheckInputs, watched: tuple[WatchedRun, ...], opened: OpenedInImage
) -> str:
    """Why trying a slimmer image would prove nothing; "" where it would."""
    for each in watched:
        if each.unlike:
            return f"{each.entrypoint}: {each.unlike}"
    servers = [each.name for each in inputs.settings.entrypoints if each.server is not None]
    if servers:
        return (
            f"what {first_and_count(servers, 3)} opens depends on what it is asked, and nobody "
            "asks it here"
        )
    if not any(opened.followed(f"/{_SHELL}")):
        return "the image has no shell, and without one nothing can be removed in a build"
    return ""


def _propose(
    inputs: CheckInputs,
    trials: EntrypointTrials,
    contents: ImageContents,
    opened: OpenedInImage,
    notes: list[str],
) -> _Proposal | None:
    """All that may go at once; where that does harm, each group alone, and what does none."""
    platform = inputs.platform
    assert platform is not None
    keep = inputs.check.value("keep")
    image, engine = inputs.image(platform), inputs.engine(platform)
    installed = look_inside(engine, image, inputs.settings.entrypoints, inputs.cache)
    groups = unneeded(contents, opened, installed, keep if isinstance(keep, tuple) else ())
    if not groups:
        notes.append("no package and no cache of a megabyte or more could be left out as a whole")
        return None
    trial = _Trial(inputs, trials, contents, notes)
    found = trial.proposal(groups)
    if found is not None or len(groups) == 1:
        return found
    alone = tuple(each for each in groups if trial.proposal((each,)) is not None)
    return trial.proposal(alone) if alone else None


@dataclass(frozen=True)
class _Trial:
    """Builds images that leave things out; `notes` gets why one is none."""

    inputs: CheckInputs
    trials: EntrypointTrials
    contents: ImageContents
    notes: list[str]

    def proposal(self, left_out: tuple[Unneeded, ...]) -> _Proposal | None:
        """None where the image cannot be built, is no smaller, or serves otherwise."""
        inputs, titles = self.inputs, " and ".join(each.title for each in left_out)
        platform = inputs.platform
        assert platform is not None
        inputs.log(f"building an image without {titles}")
        image, build = inputs.image(platform), inputs.settings.build
        original = read_dockerfile(build.dockerfile) if image.built else None
        files = frozenset(each.entry.path for each in self.contents.files.files)
        written = slim_dockerfile(original, image, build, left_out, files)
        tried = self.trials.try_image(written.text)
        made = tried.image
        if made is None or tried.problem:
            self.notes.append(f"without {titles}: {tried.problem}")
            return None
        after = contents_of(replace(inputs, image=lambda _platform: made), platform)
        total = after.inventory.size_bytes
        saved = self.contents.inventory.size_bytes - total
        if saved <= 0:
            self.notes.append(f"without {titles} the image is no smaller")
            return None
        return _Proposal(written, left_out, total, saved)


def _finding(
    inputs: CheckInputs, platform: Platform, proposal: _Proposal, notes: list[str]
) -> ImageFinding:
    image, named = inputs.image(platform), proposal.dockerfile.renamed
    dockerfile, root = inputs.settings.build.dockerfile, inputs.settings.root
    within = dockerfile.is_relative_to(root)
    place = dockerfile.relative_to(root).as_posix() if within else str(dockerfile)
    saved = shown_size(proposal.saved_bytes)
    return ImageFinding(
        "SL001",
        Severity.WARNING,
        f"an image that is {saved} smaller was built, and every entrypoint wrote the same in it",
        place=place if image.built else image.reference,
        line=named if image.built else None,
        why="\n".join(_why(proposal)),
        mend="\n".join(_mend(proposal.dockerfile, _write(inputs, proposal, notes))),
        cost_bytes=proposal.saved_bytes,
        link=_LINK,
    )


def _why(proposal: _Proposal) -> Iterator[str]:
    for each in proposal.left_out:
        size = shown_size(each.size_bytes)
        yield f"without {each.title} ({size}): {first_and_count(each.names, 5)}"
    yield "it has one layer, so that it shares none with other images of the same base"
    yield "what an entrypoint does not do in these runs was not tried"


def _mend(dockerfile: SlimDockerfile, file: str) -> Iterator[str]:
    """What to write; whoever installs none of it in the first place needs no further stage."""
    what = f"take {file}, beside the report" if file else "--container-report=DIR writes it whole"
    named = f"the stage at line {dockerfile.renamed} is called `{dockerfile.stage}`, and "
    yield f"install none of it, or {what}: {named if dockerfile.renamed else ''}these lines are new"
    yield from dockerfile.added.splitlines()


def _write(inputs: CheckInputs, proposal: _Proposal, notes: list[str]) -> str:
    """Writes the Dockerfile as a whole, where there is a report that it can stand beside.

    Returns:
        The file's name; "" where it is not there.
    """
    folder, platform = inputs.report_folder, inputs.platform
    if folder is None or platform is None:
        return ""
    file = folder / f"slim-{platform.slug}.Dockerfile"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file.write_text(proposal.dockerfile.text, encoding="utf-8")
    except OSError as error:
        notes.append(f"{file.name} cannot be written: {why_unwritable(folder, error)}")
        return ""
    return file.name


def _rows(contents: ImageContents, opened: OpenedInImage) -> Iterator[CheckRow]:
    """Packages, and folders of no package, by what of them was not opened."""
    unopened: Counter[str] = Counter()
    every: Counter[str] = Counter()
    for each in contents.files.files:
        path, size = each.entry.path, each.entry.size_bytes
        package = contents.owners.owner(path)
        name = f"/{'/'.join(path.split('/')[:2])}" if package is None else str(package)
        every[name] += size
        unopened[name] += 0 if path in opened.files else size
    for name, size in unopened.most_common(_MOST_ROWS):
        if size:
            opened_size = every[name] - size
            note = f"{shown_size(opened_size)} of it opened" if opened_size else "nothing opened"
            yield CheckRow(name, size, note)
