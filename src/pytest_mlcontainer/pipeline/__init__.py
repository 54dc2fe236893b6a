"""Composes images, runs and comparisons for one job each; knows nothing of pytest."""

from __future__ import annotations

from pytest_mlcontainer.compare.readers.pool import shared_pool
from pytest_mlcontainer.judging import compare_runs, needed_by
from pytest_mlcontainer.mixing.questions import ExperimentRuns
from pytest_mlcontainer.model import Options
from pytest_mlcontainer.pipeline.arithmetic import Arithmetic
from pytest_mlcontainer.pipeline.checks import Checks
from pytest_mlcontainer.pipeline.comparisons import Comparisons
from pytest_mlcontainer.pipeline.held_baselines import Baselines
from pytest_mlcontainer.pipeline.images import Images
from pytest_mlcontainer.pipeline.openings import Openings
from pytest_mlcontainer.pipeline.probes import Probes
from pytest_mlcontainer.pipeline.provisions import Provisions
from pytest_mlcontainer.pipeline.publishing import Publishing
from pytest_mlcontainer.pipeline.resources import PipelineResources
from pytest_mlcontainer.pipeline.runs import Runs, require
from pytest_mlcontainer.pipeline.searches import Searches
from pytest_mlcontainer.pipeline.servers import Servers
from pytest_mlcontainer.pipeline.setup import PipelineSetup
from pytest_mlcontainer.pipeline.slimming import Slimming
from pytest_mlcontainer.pipeline.unfinished import UnfinishedSearches
from pytest_mlcontainer.secrets import Redactor

__all__ = [
    "Pipeline",
    "PipelineSetup",
    "compare_runs",
    "needed_by",
    "require",
]


class Pipeline:
    """Everything that one pytest process does with engines; each result is made at most once.

    Its parts raise `MlContainerError`s, the same one again for the same job.

    Attributes:
        arithmetic: whether libraries compute right.
        images, runs, servers: make these.
        checks: of images, and of what they are made from.
        publishing: pushes images that were tested.
        openings: open the pickles among what runs wrote.
        comparisons, baselines: hold runs against one another, and against what is kept.
        searches: look for causes.
        experiments: what a search between two images needs.
    """

    def __init__(self, setup: PipelineSetup, options: Options) -> None:
        resources = self._resources = PipelineResources(setup, options)
        probes, provisions = Probes(resources), Provisions(resources)
        unfinished = UnfinishedSearches(setup.cache)
        self.arithmetic: Arithmetic = Arithmetic(resources, probes)
        self.images: Images = Images(resources, probes)
        self.publishing: Publishing = Publishing(resources, self.images)
        self.openings: Openings = Openings(resources, probes, self.images)
        self.runs: Runs = Runs(
            resources, probes, self.arithmetic, self.images, provisions, self.openings, unfinished
        )
        self.servers: Servers = Servers(
            resources, self.arithmetic, self.images, provisions, self.runs
        )
        self.comparisons: Comparisons = Comparisons(options, self.runs, self.openings)
        slimming = Slimming(resources, self.images, self.runs, self.comparisons)
        self.checks: Checks = Checks(resources, self.images, slimming)
        self.baselines: Baselines = Baselines(options, self.runs, self.openings)
        self.experiments: ExperimentRuns = ExperimentRuns(
            self.images.make,
            self.runs.make,
            self.runs.prefetch,
            self.openings.open_differing,
            self.images.hybrid_tools,
        )
        self.searches: Searches = Searches(
            resources, self.images, self.runs, self.openings, unfinished, self.experiments
        )
        shared_pool().divide(setup.processes)

    @property
    def hidden(self) -> Redactor:
        """Knows the secrets of all projects that were worked on so far."""
        return self._resources.secrets.hidden

    def kept(self) -> tuple[str, ...]:
        """Containers that stay on their engine for a look, those of workers too."""
        return self._resources.kept()

    def enter(self) -> None:
        """Have somebody who cleans up after this process; what makes things here does it itself.

        Raises:
            EngineError: this machine starts no more processes.
        """
        self._resources.enter()

    def close(self) -> None:
        """End what still runs. What others of this session use stays; see `clean_up`."""
        self._resources.close()

    def clean_up(self, *, last: bool) -> None:
        """Remove what this session made, workers included; `last` is for its very end."""
        self._resources.clean_up(last=last)
