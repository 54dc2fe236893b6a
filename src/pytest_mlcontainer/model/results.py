"""Results of jobs: images, runs, differences, outcomes."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from pytest_mlcontainer.errors import NoSuchOutputError
from pytest_mlcontainer.model.basics import Pairs, Platform, Scalar, Verdict
from pytest_mlcontainer.model.clock_names import is_measured
from pytest_mlcontainer.model.cures import Cure
from pytest_mlcontainer.model.explanations import Cause, Explanation
from pytest_mlcontainer.model.plots import Plots
from pytest_mlcontainer.model.recordings import Location
from pytest_mlcontainer.model.targets import Target

BY_DTYPE = "dtype is part of the value"  # the rule of a difference in type
NOT_LISTED = "; not listed: "  # in a note: what follows are items by verdict that are only counted


@dataclass(frozen=True)
class Image:
    """An image on an engine.

    Args:
        reference: what the engine knows it by (an id or a tag).
        digest: `sha256:…`, the image's id on its engine.
        platform: what its own configuration says; checked against the platform asked for.
        entrypoint, command, user, workdir, env: from its configuration.
        built: whether we made it (and may remove it).
        layers: digests of its unpacked layers, the base's first; () where the engine says none.
        labels, ports, stop_signal: from its configuration; `8000/tcp`, `SIGTERM`.
        health: its HEALTHCHECK as the configuration has it, `("CMD-SHELL", "…")`; () for none.
        health_limit_s: within which that has turned healthy, or else unhealthy.
    """

    reference: str
    digest: str
    platform: Platform
    size_bytes: int = 0
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    user: str = ""
    workdir: str = "/"
    env: Pairs = ()
    built: bool = False
    notes: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    labels: Pairs = ()
    ports: tuple[str, ...] = ()
    stop_signal: str = ""
    health: tuple[str, ...] = ()
    health_limit_s: float = 0.0


@dataclass(frozen=True)
class Facts:
    """The environment of a run, read inside it: dotted names to values, sorted by name.

    `machine`, `python.version`, `package.numpy`, `blas.kernel`, `cpu.flags`, `libc`, …
    """

    values: tuple[tuple[str, Scalar], ...] = ()

    def get(self, name: str) -> Scalar:
        return dict(self.values).get(name)


@dataclass(frozen=True)
class Output:
    """One file that a run wrote.

    Args:
        name: as the rules see it: relative to the working directory, or absolute.
        path: where its bytes are on this machine.
        mode, uid, gid: as in the container, to put it back the same way for another run.
        opened: for a pickle: the folder with what was found in it inside the project's image;
            None where it was not opened.
        summary: for an output of a baseline that is too large to keep: the file with what was
            noted of it, which `path` then is, too.
        inherited: the run did not write it: it was there before, put there by what the run needs
            or part of the image, and is unchanged. Runs that need this one get it, too.
        mtime_ns: when it was changed, since the epoch, as precisely as is known; None where it is
            not.
    """

    name: str
    path: Path
    size_bytes: int
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    opened: Path | None = None
    summary: Path | None = None
    inherited: bool = False
    mtime_ns: int | None = None


@dataclass(frozen=True)
class Folder:
    """A folder that holds outputs, or is one that may be empty, as it was in the container.

    Args:
        name: absolute; relative to the working directory for a run without a container.
        mtime_ns: as of an output.
    """

    name: str
    mode: int = 0o755
    uid: int = 0
    gid: int = 0
    mtime_ns: int | None = None


@dataclass(frozen=True)
class Link:
    """A symbolic link among the outputs, whose content is kept under its own name too.

    Args:
        name: its path, and `target` where it leads; both as a folder's name.
    """

    name: str
    target: str


@dataclass(frozen=True)
class Failure:
    """Why a run did not do its job: the three parts of an error, as a value that can be stored."""

    what: str
    value: str
    remedy: str


@dataclass(frozen=True)
class Run:
    """One execution of an entrypoint on a target.

    Args:
        outputs: declared outputs found, by name, inherited ones too; stdout and stderr are not
            among them.
        folders, links: what there is beside files where the outputs are, for runs that need this.
        refused: what was written but not taken over, each with the reason.
        stdout, stderr: files with what it printed.
        workdir: the working directory it ran in, to which relative output names refer.
        duration_s: wall clock from start to exit.
        failure: None for a run that did its job.
        notes: what has to be known of a run that did its job all the same.
        folder: the record's folder on this machine.
    """

    id: str
    entrypoint: str
    target: Target
    exit_code: int | None
    duration_s: float
    folder: Path
    stdout: Path
    stderr: Path
    outputs: tuple[Output, ...] = ()
    folders: tuple[Folder, ...] = ()
    links: tuple[Link, ...] = ()
    refused: tuple[str, ...] = ()
    image: str | None = None
    workdir: str = "/"
    facts: Facts = Facts()
    failure: Failure | None = None
    notes: tuple[str, ...] = ()

    @property
    def written(self) -> tuple[Output, ...]:
        """The outputs that it wrote itself, which is what can be compared."""
        return tuple(output for output in self.outputs if not output.inherited)

    def output(self, name: str) -> Path:
        """Path of the output called `name`.

        Raises:
            NoSuchOutputError: there is none; the message has the nearest one. It is a KeyError.
        """
        for output in self.outputs:
            if output.name == name:
                return output.path
        names = [output.name for output in self.outputs]
        near = get_close_matches(str(name), names, n=1)
        raise NoSuchOutputError(
            f"{self.entrypoint} on {self.target} wrote no output of this name",
            str(name),
            f"{f'did you mean {near[0]}? ' if near else ''}there are: {', '.join(names) or 'none'}",
        )


@dataclass(frozen=True)
class Element:
    """One element that differs, with both values as text.

    Args:
        index: where it is; a line or byte number for text and bytes.
        error: |actual − expected|; None where values have no distance.
        excess: error ÷ what its bound allows, above 1 where it is beyond; None where no finite
            bound was asked.
    """

    index: tuple[int, ...]
    actual: str
    expected: str
    error: float | None = None
    excess: float | None = None


@dataclass(frozen=True)
class Difference:
    """One item's agreement with the reference, as numbers.

    Args:
        output: name of the output; `item` is the place inside it ("" for the whole file).
        max_abs: largest |actual − expected|, in the value's unit.
        max_rel: largest |actual − expected| / |expected| over elements with expected ≠ 0.
        max_ulp: largest distance in units in the last place.
        scale_error: max_abs / the largest finite |expected|.
        worst_index: where the rule is exceeded most (or, within it, where max_abs is).
        worst_actual, worst_expected: the two values there, as text.
        differing: elements that are not identical; `beyond`: those that exceed the tolerance.
        size: elements compared.
        rule: the tolerance applied, as text.
        note: what numbers cannot say: "dtype float64, expected float32", "only in linux/arm64".
        unit: what `differing`, `beyond` and `size` count: elements, lines, bytes; or items, where
            one difference stands for many items that are identical.
        quantiles: (share, error) pairs: so many of the elements that differ are off by no more.
        histogram: (low, high, count) of errors, low ≤ error < high, over elements that differ.
        elements: the worst few of them.
        noise: the largest error between repeats of the reference; None where it was not measured.
        typical: the median |expected| of the elements that differ, where the default tolerance was
            exceeded; None elsewhere.
        excuses: of text that differs in nothing else: names of what differs, "time", "duration".
        plots: what a report can draw of it; None for few elements and for what is identical.
        renames: of outputs that have another name in either run: `names` that bring them together.
        clock: whether what stands beside it says that a clock gave it (True, in a log of training)
            or that it is an axis of time (False); None where its name alone has to tell.
        free: what a method may leave open and what alone differs, as a rule has it:
            `free = "sign"`; "" elsewhere.
    """

    output: str
    item: str
    verdict: Verdict
    max_abs: float | None = None
    max_rel: float | None = None
    max_ulp: int | None = None
    scale_error: float | None = None
    worst_index: tuple[int, ...] | None = None
    worst_actual: str = ""
    worst_expected: str = ""
    differing: int = 0
    beyond: int = 0
    size: int = 0
    rule: str = ""
    note: str = ""
    unit: str = "elements"
    quantiles: tuple[tuple[float, float], ...] = ()
    histogram: tuple[tuple[float, float, int], ...] = ()
    elements: tuple[Element, ...] = ()
    noise: float | None = None
    typical: float | None = None
    excuses: tuple[str, ...] = ()
    renames: Pairs = ()
    plots: Plots | None = None
    clock: bool | None = None
    free: str = ""

    @property
    def where(self) -> str:
        return f"{self.output}:{self.item}" if self.item else self.output

    @property
    def is_measured(self) -> bool:
        """Whether a clock or the system gave it, by what stands beside it or by its name."""
        return is_measured(self.item, self.size) if self.clock is None else self.clock


@dataclass(frozen=True)
class Comparator:
    """A format that a plugin adds: how a file is recognised, and what is in it.

    Args:
        name: in a few letters, as reports call the format.
        read: path of a file → its items, by name: arrays, numbers, booleans and text. The name ""
            stands for a file that is one value. Whatever it raises makes the comparison of this
            file fail; it never passes.
        suffixes: file names that say so, `.avro`.
        recognises: whether a file of any name is of this format, given its path and its first
            4096 bytes; asked before `suffixes`.
    """

    name: str
    read: Callable[[Path], Mapping[str, object]]
    suffixes: tuple[str, ...] = ()
    recognises: Callable[[Path, bytes], bool] | None = None


@dataclass(frozen=True)
class Outcome:
    """The result of comparing two runs.

    Args:
        differences: one for each item compared, identical ones too; worst first.
        facts: names of environment facts that differ, with the reference's and the target's value,
            most suspicious first.
        notes: rules that matched nothing, what was not compared and why.
        against: what the reference is, where it is not just another platform of the session:
            "the baseline", "other repeats", "A's record".
        explanation: of a comparison whose cause was looked for.
        location: where the two runs part, where that was asked for.
        cure: what makes them agree, where that was asked for.
    """

    entrypoint: str
    target: Target
    reference: Target
    verdict: Verdict
    differences: tuple[Difference, ...] = ()
    causes: tuple[Cause, ...] = ()
    facts: tuple[tuple[str, Scalar, Scalar], ...] = ()
    notes: tuple[str, ...] = ()
    against: str = ""
    explanation: Explanation | None = None
    location: Location | None = None
    cure: Cure | None = None


class ChangeKind(enum.Enum):
    """What became of a record of the baseline."""

    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    REMOVED = "removed"


@dataclass(frozen=True)
class BaselineChange:
    """What `--container-update` did to one record.

    Args:
        place: the record's folder.
        outcome: the run held against what was kept before; None where there was nothing to read.
        added, removed: outputs that were not in it before, or no longer are.
    """

    kind: ChangeKind
    entrypoint: str
    target: Target
    place: Path
    outcome: Outcome | None = None
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    note: str = ""
