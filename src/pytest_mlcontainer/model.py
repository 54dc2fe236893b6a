"""The product's nouns, as frozen values. No module state, no input or output.

Mappings are kept as tuples of pairs, so that a value can be hashed, compared and sent to another
process. Sizes are in bytes, times in seconds; a name says so where the type does not.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Union

Pairs = tuple[tuple[str, str], ...]
Scalar = Union[None, bool, int, float, str]


@dataclass(frozen=True)
class Platform:
    """An OCI platform such as `linux/arm64` or `linux/arm/v7`; or `HOST`, this machine's Python."""

    os: str
    architecture: str = ""
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)

    @property
    def slug(self) -> str:
        """The platform as part of a file name or an image tag: `linux-arm-v7`."""
        return str(self).replace("/", "-")


HOST = Platform("host")


class Emulation(enum.Enum):
    """What to do for a platform that the engine only emulates."""

    ALLOW = "allow"
    SKIP = "skip"
    FAIL = "fail"


class NeedsFrom(enum.Enum):
    """Whose outputs an entrypoint's `needs` are: the reference's, or the same platform's."""

    REFERENCE = "reference"
    SAME = "same"


class Keep(enum.Enum):
    """Which containers stay on the engine after a test, for debugging."""

    NONE = "none"
    FAILED = "failed"
    ALL = "all"


class Better(enum.Enum):
    """Which way a metric improves: a change that way is no drift."""

    HIGHER = "higher"
    LOWER = "lower"


class Free(enum.Enum):
    """What a method leaves undetermined, so that it does not count.

    SIGN: of each vector along the axis (eigenvectors, principal components). ORDER: of the vectors
    along the axis (clusters, components). LABELS: their names (which cluster is called 0).
    """

    SIGN = "sign"
    ORDER = "order"
    LABELS = "labels"


class Verdict(enum.Enum):
    """What a comparison says; `severity` orders them from harmless to broken."""

    IDENTICAL = "identical"
    EQUIVALENT = "equivalent"
    DRIFT = "drift"
    NONDETERMINISTIC = "nondeterministic"
    FAILED = "failed"

    @property
    def severity(self) -> int:
        return _SEVERITY[self]

    @property
    def passes(self) -> bool:
        return self in (Verdict.IDENTICAL, Verdict.EQUIVALENT)


_SEVERITY = {verdict: position for position, verdict in enumerate(Verdict)}


@dataclass(frozen=True)
class Target:
    """Where and how an entrypoint runs.

    Args:
        platform: the platform asked for.
        engine: URL of the engine or name of a docker context; None is the default engine.
        gpus: as `docker run --gpus`; None asks for no GPU.
        emulated: whether the engine runs the platform by emulation; None as long as that is not
            known, which is so while planning.
        variations: names of the variations applied.
    """

    platform: Platform
    engine: str | None = None
    gpus: str | None = None
    emulated: bool | None = None
    variations: tuple[str, ...] = ()

    def __str__(self) -> str:
        emulated = " (emulated)" if self.emulated else ""
        return f"{self.platform}{emulated}"


@dataclass(frozen=True)
class Tolerance:
    """When two values count as equivalent. `compare.tolerance` has the formula and its sources.

    Args:
        rtol: relative tolerance, × |expected|; None is the default of the expected value's dtype.
        atol: absolute tolerance in the value's own unit.
        scale: how many machine epsilons of the dtype, × the array's scale (its largest finite
            magnitude), an element may be off; None is the default multiple.
        ulp: if given, the only bound: units in the last place between the two values.
        margin: if given, the only bound: absolute difference allowed of a metric.
        better: with `margin`: changes in this direction always pass; None counts both directions.
        agreement: if given, the only bound: share of elements that have to be equal, 0 to 1.
        equivalence: if given, means over seeds have to be equivalent within this margin (TOST).
        calibrated: the bound is derived from repeats of the reference.
        exact: only identical values pass.
        ignore: not compared at all.
        patterns: regular expressions; what they match inside text does not count.
        key: names of the columns by which rows meet, in any order.
        unordered: rows (or elements) are compared in any order.
        free: what is left undetermined along `axis`.
        curve: name of the column or item that is the abscissa; the others are compared as curves
            over it, whose points need not be the same.
        equal_nan: NaN equals NaN at the same place.
        any_dtype, any_shape: another dtype, or another shape of the same size, is no difference.
    """

    rtol: float | None = None
    atol: float | None = None
    scale: float | None = None
    ulp: int | None = None
    margin: float | None = None
    better: Better | None = None
    agreement: float | None = None
    equivalence: float | None = None
    calibrated: bool = False
    exact: bool = False
    ignore: bool = False
    patterns: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    unordered: bool = False
    free: tuple[Free, ...] = ()
    axis: int = 0
    curve: str | None = None
    equal_nan: bool = True
    any_dtype: bool = False
    any_shape: bool = False


@dataclass(frozen=True)
class Rule:
    """A tolerance for the outputs (and items inside them) that match.

    Args:
        output: glob over output names, `outputs/*.npz`; `*` stops at `/`, `**` does not.
        item: glob over the items inside, `layer1/*` or `accuracy`; None matches every item.
        tolerance: what is allowed there.
    """

    output: str
    item: str | None
    tolerance: Tolerance

    def __str__(self) -> str:
        return self.output if self.item is None else f"{self.output}:{self.item}"


@dataclass(frozen=True)
class Server:
    """How a server entrypoint is reached: its port in the container and its health path."""

    port: int
    health: str = "/"
    startup_timeout_s: float = 60.0


@dataclass(frozen=True)
class Limits:
    """What a run may use, and what it is given.

    Args:
        timeout_s: wall clock; past it the run is killed.
        memory_bytes, cpus, shm_size_bytes: None leaves the engine's default.
        network: the engine's network, `none` by default so that a run cannot quietly fetch.
        gpus: as `docker run --gpus`.
        user: as `docker run --user`; None is the image's own user.
    """

    timeout_s: float = 600.0
    memory_bytes: int | None = None
    cpus: float | None = None
    shm_size_bytes: int | None = None
    network: str = "none"
    gpus: str | None = None
    user: str | None = None


@dataclass(frozen=True)
class Entrypoint:
    """A named command of the project.

    Args:
        name: `train`, `infer`, …
        command: arguments as after `docker run IMAGE`; empty uses the image's own CMD.
        entrypoint: replaces the image's ENTRYPOINT; None keeps it.
        inputs: project path → container path (relative ones: to the working directory), read-only.
        outputs: globs over what it writes, relative to the working directory or absolute.
        needs: entrypoints whose outputs it reads; they are put at the same paths.
        writable: container folders made before the run, writable by every user.
        workdir: replaces the image's WORKDIR; None keeps it.
        exit_codes: exit codes that count as success.
        server: set for an entrypoint that serves instead of ending.
        rules: comparison rules, the first that matches an item wins.
        names: regular expression → replacement, for names of outputs and of items in them, so
            that those called after times, hosts and ids meet their counterparts.
        repeat: runs on each target; their disagreement is the noise floor.
        seeds: values of the variable `seed_env`, one run on each target for every one.
    """

    name: str
    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = None
    inputs: Pairs = ()
    outputs: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    needs_from: NeedsFrom = NeedsFrom.REFERENCE
    env: Pairs = ()
    writable: tuple[str, ...] = ()
    workdir: str | None = None
    exit_codes: tuple[int, ...] = (0,)
    limits: Limits = Limits()
    server: Server | None = None
    rules: tuple[Rule, ...] = ()
    names: Pairs = ()
    repeat: int = 1
    seeds: tuple[str, ...] = ()
    seed_env: str = "SEED"


@dataclass(frozen=True)
class Secret:
    """A BuildKit secret: its id, and the file or environment variable of the host that holds it."""

    id: str
    file: Path | None = None
    env: str | None = None


@dataclass(frozen=True)
class BuildSettings:
    """How the project's image is built; `docker buildx build` has the same words.

    Args:
        context, dockerfile: absolute paths.
        before: host commands run once, in the project's folder, before the build.
        contexts: named build contexts; `{os}`, `{arch}`, `{variant}` stand for the platform's.
        builder: the buildx builder; None is the user's current one.
    """

    context: Path
    dockerfile: Path
    before: tuple[str, ...] = ()
    args: Pairs = ()
    contexts: Pairs = ()
    target: str | None = None
    secrets: tuple[Secret, ...] = ()
    cache_from: tuple[str, ...] = ()
    cache_to: tuple[str, ...] = ()
    builder: str | None = None
    timeout_s: float = 3600.0


@dataclass(frozen=True)
class Settings:
    """`[tool.mlcontainer]`, checked. `root` is the folder of `file`; every path is absolute.

    Args:
        baseline_limit_bytes: larger outputs are kept in a baseline as a summary.
    """

    file: Path
    name: str
    build: BuildSettings
    platforms: tuple[Platform, ...]
    reference: Platform
    emulation: Emulation = Emulation.ALLOW
    engines: tuple[tuple[Platform, str], ...] = ()
    entrypoints: tuple[Entrypoint, ...] = ()
    baseline_limit_bytes: int = 1 << 20

    @property
    def root(self) -> Path:
        return self.file.parent

    def entrypoint(self, name: str) -> Entrypoint | None:
        return next((entry for entry in self.entrypoints if entry.name == name), None)


@dataclass(frozen=True)
class Options:
    """What the command line changes. None leaves the configured value.

    Args:
        image: test this image reference instead of building.
        engines: engine for one platform, or, under the key None, for all others.
        repeat: runs on each target.
        records: folder that keeps every run.
        baseline: folder with the records that runs are held against; `update` writes them.
        report: folder for the reports.
    """

    platforms: tuple[Platform, ...] | None = None
    gpus: str | None = None
    image: str | None = None
    engines: tuple[tuple[Platform | None, str], ...] = ()
    keep: Keep = Keep.NONE
    repeat: int | None = None
    records: Path | None = None
    baseline: Path | None = None
    update: bool = False
    report: Path | None = None


@dataclass(frozen=True)
class ImageJob:
    """One image to have: built for (or, with `reference`, found on) the target's platform."""

    target: Target
    reference: str | None = None

    def __str__(self) -> str:
        return f"image[{self.target.platform}]"


@dataclass(frozen=True)
class RunJob:
    """One entrypoint on one target, with the jobs whose outputs it needs.

    Args:
        repeat: the same again under another number is another run.
        seed: the value of the entrypoint's `seed_env`, where that is not the first of its seeds.
    """

    entrypoint: Entrypoint
    target: Target
    image: ImageJob | None
    needs: tuple[RunJob, ...] = ()
    repeat: int = 0
    seed: str | None = None

    def __str__(self) -> str:
        parts = [str(self.target.platform), *self.target.variations]
        parts += [f"repeat {self.repeat}"] if self.repeat else []
        parts += [f"{self.entrypoint.seed_env}={self.seed}"] if self.seed is not None else []
        return f"{self.entrypoint.name}[{', '.join(parts)}]"


@dataclass(frozen=True)
class ServeJob:
    """One server entrypoint on one target: it has to start and answer."""

    entrypoint: Entrypoint
    target: Target
    image: ImageJob
    needs: tuple[RunJob, ...] = ()

    def __str__(self) -> str:
        return f"{self.entrypoint.name}[{self.target.platform}]"


@dataclass(frozen=True)
class RepeatsJob:
    """Several runs of the same on one target, held against one another.

    Args:
        varied: the reference, then the same under variations that must not matter; empty where
            no tolerance is calibrated.
    """

    runs: tuple[RunJob, ...]
    varied: tuple[RunJob, ...] = ()

    @property
    def entrypoint(self) -> Entrypoint:
        return self.runs[0].entrypoint

    def __str__(self) -> str:
        return f"{self.entrypoint.name}::repeats[{self.runs[0].target.platform}]"


@dataclass(frozen=True)
class CompareJob:
    """One entrypoint's outputs on one target, held against the reference target's.

    Args:
        repeats: of both sides, all of them; empty where each target runs once.
        seeds: the pairs for the seeds after the first, whose pair is `actual` and `expected`.
        varied: as in `RepeatsJob`.
    """

    actual: RunJob
    expected: RunJob
    repeats: tuple[RepeatsJob, ...] = ()
    seeds: tuple[tuple[RunJob, RunJob], ...] = ()
    varied: tuple[RunJob, ...] = ()

    @property
    def runs(self) -> tuple[RunJob, ...]:
        """All that have to be made, each once."""
        pairs = ((self.actual, self.expected), *self.seeds)
        every = [run for pair in pairs for run in pair]
        every += [run for job in self.repeats for run in job.runs]
        return tuple(dict.fromkeys((*every, *self.varied)))

    def __str__(self) -> str:
        return (
            f"{self.actual.entrypoint.name}::agrees"
            f"[{self.actual.target.platform} vs {self.expected.target.platform}]"
        )


@dataclass(frozen=True)
class BaselineJob:
    """One entrypoint's outputs on one target, held against what the project keeps of them."""

    actual: RunJob

    def __str__(self) -> str:
        return f"{self.actual.entrypoint.name}::baseline[{self.actual.target.platform}]"


Job = Union[ImageJob, RunJob, ServeJob, RepeatsJob, CompareJob, BaselineJob]


@dataclass(frozen=True)
class Image:
    """An image on an engine.

    Args:
        reference: what the engine knows it by (an id or a tag).
        digest: `sha256:…`, the image's id on its engine.
        platform: what its own configuration says; checked against the platform asked for.
        entrypoint, command, user, workdir: from its configuration.
        built: whether we made it (and may remove it).
    """

    reference: str
    digest: str
    platform: Platform
    size_bytes: int = 0
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    user: str = ""
    workdir: str = "/"
    built: bool = False
    notes: tuple[str, ...] = ()


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
    """

    name: str
    path: Path
    size_bytes: int
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    opened: Path | None = None
    summary: Path | None = None


@dataclass(frozen=True)
class Folder:
    """A folder that holds outputs, as it was in the container."""

    name: str
    mode: int = 0o755
    uid: int = 0
    gid: int = 0


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
        outputs: declared outputs found, by name; stdout and stderr are not among them.
        refused: what was written but not taken over, each with the reason.
        stdout, stderr: files with what it printed.
        workdir: the working directory it ran in, to which relative output names refer.
        duration_s: wall clock from start to exit.
        failure: None for a run that did its job.
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
    refused: tuple[str, ...] = ()
    image: str | None = None
    workdir: str = "/"
    facts: Facts = Facts()
    failure: Failure | None = None

    def output(self, name: str) -> Path:
        """Path of the output called `name`.

        Raises:
            KeyError: there is none; the message lists those there are.
        """
        for output in self.outputs:
            if output.name == name:
                return output.path
        there = ", ".join(output.name for output in self.outputs) or "none"
        raise KeyError(f"{self.entrypoint} on {self.target} wrote no {name!r}; outputs: {there}")


@dataclass(frozen=True)
class Element:
    """One element that differs, with both values as text.

    Args:
        index: where it is; a line or byte number for text and bytes.
        error: |actual − expected|; None where values have no distance.
    """

    index: tuple[int, ...]
    actual: str
    expected: str
    error: float | None = None


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

    @property
    def where(self) -> str:
        return f"{self.output}:{self.item}" if self.item else self.output


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
class Cause:
    """A smallest set of changes that makes a drift come and go, and how that was shown."""

    names: tuple[str, ...]
    runs: int
    evidence: str


@dataclass(frozen=True)
class Outcome:
    """What came of one comparison of two runs.

    Args:
        differences: one for each item compared, identical ones too; worst first.
        facts: names of environment facts that differ, with the reference's and the target's value,
            most suspicious first.
        notes: rules that matched nothing, what was not compared and why.
        against: what the reference is, where it is not just another platform of the session:
            "the baseline", "other repeats", "A's record".
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


@dataclass(frozen=True)
class Owner:
    """The process that owns what we make on an engine, and that must be alive for it to stay.

    Args:
        session: id shared by all workers of one pytest run.
        host: the machine's name; `pid` and `pid_start` (its start time in the kernel's clock
            ticks since boot, as text) name the process there, so that a reused pid is told apart.
    """

    session: str
    host: str
    pid: int
    pid_start: str

    def labels(self) -> dict[str, str]:
        """The labels that everything of this owner carries on an engine."""
        return {
            LABEL: "true",
            f"{LABEL}.session": self.session,
            f"{LABEL}.host": self.host,
            f"{LABEL}.pid": str(self.pid),
            f"{LABEL}.pid-start": self.pid_start,
        }


LABEL = "pytest-mlcontainer"
PRINTED = ("stdout", "stderr")  # names of what a run prints, where it wrote no such file
