"""Which run's pickles are opened where, and where what is found in them is kept."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from pytest_mlcontainer.matrix import image_job, platforms, reference_platform
from pytest_mlcontainer.model import HOST, ImageJob, Options, Output, Run, Settings
from pytest_mlcontainer.runs.opening import FAILURE, Opening, open_pickle

FOLDER = "opened"


def images_to_open_in(settings: Settings, options: Options, run: Run) -> tuple[ImageJob, ...]:
    """Images in the order to be tried: that of the run's platform, or, for a run on this machine,
    the reference's or the first there is.

    Where that platform is only emulated, the reference's comes before it, because starting Python
    and its packages takes ten times as long under emulation, and pickles are the same everywhere.
    """
    reference, own = reference_platform(settings, options), run.target.platform
    candidates = (reference, *platforms(settings, options))
    chosen = [platform for platform in candidates if platform != HOST][:1]
    if own != HOST:
        chosen = [*chosen, own] if run.target.emulated else [own]
    return tuple(image_job(settings, options, platform) for platform in dict.fromkeys(chosen))


def open_in_turn(openings: Iterable[Opening]) -> None:
    """Open one pickle in the first place where that can be done; all have the same folder."""
    for opening in openings:
        if (opening.folder / FAILURE).is_file():
            shutil.rmtree(opening.folder)
        open_pickle(opening)
        if not (opening.folder / FAILURE).is_file():
            return


def place_for(run: Run, output: Output, cache: Path, spare: Path) -> Path:
    """The folder for what is found in an output: in the run's record, if that is one of ours.

    Args:
        spare: folder to use instead for a record that was read from elsewhere, such as a baseline.
    """
    if not run.folder.is_relative_to(cache):
        return spare / FOLDER
    number = [each.name for each in run.outputs].index(output.name)
    return run.folder / FOLDER / str(number)


def note_for(run: Run, job: ImageJob) -> str:
    """What to know about the place; "" where it is the run's own."""
    own, place = run.target.platform, job.target.platform
    if own == place:
        return ""
    why = "a run on this machine has none" if own == HOST else f"{own} is only emulated here"
    return f"opened in the image for {place}, since {why}; versions of packages may differ"
