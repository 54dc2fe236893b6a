"""What a project and the command line ask for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pytest_mlcontainer.model.basics import (
    Emulation,
    Freedom,
    KeepPolicy,
    MetricDirection,
    NeedsFrom,
    Pairs,
    Platform,
    ReadAs,
)
from pytest_mlcontainer.model.checks import CheckSettings
from pytest_mlcontainer.model.clusters import ClusterSettings
from pytest_mlcontainer.model.image_names import ImageName

ALL_VARIATIONS = ("all",)
KEPT_BYTES: Final = 10 << 30
DEFAULT_BUDGET = 100  # runs: a few crashes on the way, and causes that are hard to find


@dataclass(frozen=True)
class Tolerance:
    """When two values count as equivalent. `compare.tolerance` has the formula and its sources.

    Args:
        rtol: relative tolerance, × |expected|; None is the default of the expected value's dtype.
        atol: absolute tolerance in the value's own unit.
        scale: how many machine epsilons of the dtype, × the magnitude that an element may have been
            summed from (`compare.scale`), it may be off; None is the default multiple.
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
        read_as: what files that are text are taken for; None is what they look like.
        any_dtype, any_shape: another dtype, or another shape of the same size, is no difference.
    """

    rtol: float | None = None
    atol: float | None = None
    scale: float | None = None
    ulp: int | None = None
    margin: float | None = None
    better: MetricDirection | None = None
    agreement: float | None = None
    equivalence: float | None = None
    calibrated: bool = False
    exact: bool = False
    ignore: bool = False
    patterns: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    unordered: bool = False
    free: tuple[Freedom, ...] = ()
    axis: int = 0
    curve: str | None = None
    read_as: ReadAs | None = None
    equal_nan: bool = True
    any_dtype: bool = False
    any_shape: bool = False


@dataclass(frozen=True)
class Rule:
    """A tolerance for the outputs (and items inside them) that match.

    Args:
        output: glob over output names, `outputs/*.npz`, with the meaning of `globs.names`.
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
        processes: at one time; threads count.
        log_bytes: what it may print, stdout and stderr together.
        output_bytes, output_files: all its outputs together.
        disk_bytes: what it may write to its container's file system.
        capabilities: as `docker run --cap-add` without `CAP_`; it has no others.
        new_privileges: a program of it may gain privileges (setuid, `sudo`).
        privileged: as `docker run --privileged`.
        engine_socket: the engine's own socket is mounted.
    """

    timeout_s: float = 600.0
    memory_bytes: int | None = None
    cpus: float | None = None
    shm_size_bytes: int | None = None
    network: str = "none"
    gpus: str | None = None
    user: str | None = None
    processes: int = 4096
    log_bytes: int = 100 << 20
    output_bytes: int = 10 << 30
    output_files: int = 100_000
    disk_bytes: int = 20 << 30
    capabilities: tuple[str, ...] = ()
    new_privileges: bool = False
    privileged: bool = False
    engine_socket: bool = False


@dataclass(frozen=True)
class Secret:
    """Where a secret comes from and goes; the value itself is in no value of this package.

    Args:
        id: for a build BuildKit's id; for a run the name of a variable, or the absolute container
            path of a file.
        file, env: the file or environment variable of this machine that holds it; one of them.
    """

    id: str
    file: Path | None = None
    env: str | None = None


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
        secrets: what it is given besides `env`, and nobody else may see.
        exit_codes: exit codes that count as success.
        server: set for an entrypoint that serves instead of ending.
        rules: comparison rules, the first that matches an item wins.
        names: regular expression → replacement, for names of outputs and of items in them, so
            that those called after times, hosts and ids meet their counterparts.
        repeat: runs on each target; their disagreement is the noise floor.
        seeds: values of the variable `seed_env`, one run on each target for every one.
        vary: names of variations that must not change what it writes; () for none, and
            `ALL_VARIATIONS` for all that apply.
        vary_budget: the most runs that the search for a cause may make.
    """

    name: str
    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = None
    inputs: Pairs = ()
    outputs: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    needs_from: NeedsFrom = NeedsFrom.REFERENCE
    env: Pairs = ()
    secrets: tuple[Secret, ...] = ()
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
    vary: tuple[str, ...] = ()
    vary_budget: int = DEFAULT_BUDGET

    @property
    def table(self) -> str:
        """Where its settings stand, as messages call it."""
        return f"[tool.mlcontainer.entrypoints.{self.name}]"


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
        kept_bytes: how much disk images may take that stay for the next session.
        checks: those of the image that are to be made.
        cluster: for engines that are clusters.
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
    kept_bytes: int = KEPT_BYTES
    checks: tuple[CheckSettings, ...] = ()
    cluster: ClusterSettings = ClusterSettings()

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
        vary: names of variations for every entrypoint, as `Entrypoint.vary`.
        budget: as `Entrypoint.vary_budget`.
        locate: look for the statement at which two runs part, where outputs drift.
        cure: look for what makes them agree, where they drift.
        push: publish the images under this name when everything has passed.
    """

    platforms: tuple[Platform, ...] | None = None
    gpus: str | None = None
    image: str | None = None
    engines: tuple[tuple[Platform | None, str], ...] = ()
    keep: KeepPolicy = KeepPolicy.NONE
    repeat: int | None = None
    records: Path | None = None
    baseline: Path | None = None
    update: bool = False
    report: Path | None = None
    vary: tuple[str, ...] | None = None
    budget: int | None = None
    locate: bool = False
    cure: bool = False
    push: ImageName | None = None
