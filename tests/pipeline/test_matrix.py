from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlcontainer import matrix
from pytest_mlcontainer.errors import MlContainerError
from pytest_mlcontainer.model import (
    ALL_VARIATIONS,
    HOST,
    BuildSettings,
    CompareJob,
    Entrypoint,
    ImageJob,
    Job,
    Limits,
    NeedsFrom,
    Options,
    Platform,
    Rule,
    RunJob,
    ServeJob,
    Server,
    Settings,
    Target,
    Tolerance,
    VariesJob,
)

AMD64 = Platform("linux", "amd64")
ARM64 = Platform("linux", "arm64")
ARMV7 = Platform("linux", "arm", "v7")

TRAIN = Entrypoint("train", outputs=("model/*",))
INFER = Entrypoint("infer", outputs=("predictions.npz",), needs=("train",))
CHECK = Entrypoint("check")
API = Entrypoint("api", needs=("train",), server=Server(8000))


def settings_with(
    *entrypoints: Entrypoint,
    platforms: tuple[Platform, ...] = (AMD64, ARM64),
    reference: Platform = AMD64,
    engines: tuple[tuple[Platform, str], ...] = (),
) -> Settings:
    return Settings(
        file=Path("/project/pyproject.toml"),
        name="bikes",
        build=BuildSettings(Path("/project"), Path("/project/Dockerfile")),
        platforms=platforms,
        reference=reference,
        engines=engines,
        entrypoints=entrypoints,
    )


def names(settings: Settings, options: Options = Options()) -> list[str]:  # noqa: B008
    return [str(job) for job in matrix.plan(settings, options)]


class TestPlan:
    def test_the_order_fails_early(self) -> None:
        """Images, then runs in the order of their needs, servers among them, then comparisons."""
        assert names(settings_with(API, INFER, CHECK, TRAIN)) == [
            "image[linux/amd64]",
            "image[linux/arm64]",
            "check[linux/amd64]",
            "check[linux/arm64]",
            "train[linux/amd64]",
            "train[linux/arm64]",
            "api[linux/amd64]",
            "api[linux/arm64]",
            "infer[linux/amd64]",
            "infer[linux/arm64]",
            "train::agrees[linux/arm64 vs linux/amd64]",
            "infer::agrees[linux/arm64 vs linux/amd64]",
        ]

    def test_the_reference_goes_first(self) -> None:
        """What everything is held against is known before the rest is run."""
        assert names(settings_with(TRAIN, platforms=(ARM64, AMD64, ARMV7))) == [
            "image[linux/amd64]",
            "image[linux/arm64]",
            "image[linux/arm/v7]",
            "train[linux/amd64]",
            "train[linux/arm64]",
            "train[linux/arm/v7]",
            "train::agrees[linux/arm64 vs linux/amd64]",
            "train::agrees[linux/arm/v7 vs linux/amd64]",
        ]

    def test_one_platform_has_nothing_to_compare(self) -> None:
        """A single platform is built and run."""
        assert names(settings_with(TRAIN, platforms=(AMD64,))) == [
            "image[linux/amd64]",
            "train[linux/amd64]",
        ]

    def test_without_entrypoints_there_are_images(self) -> None:
        """A project may only want to know that its image builds."""
        assert names(settings_with()) == ["image[linux/amd64]", "image[linux/arm64]"]

    def test_host_has_no_image_and_no_server(self) -> None:
        """On host the entrypoints run by themselves; a server needs a container."""
        assert names(settings_with(TRAIN, API, platforms=(AMD64, HOST))) == [
            "image[linux/amd64]",
            "train[linux/amd64]",
            "train[host]",
            "api[linux/amd64]",
            "train::agrees[host vs linux/amd64]",
        ]
        job = matrix.run_job(settings_with(TRAIN), Options(gpus="all"), "train", HOST)
        assert job == RunJob(TRAIN, Target(HOST), None)

    def test_no_outputs_no_comparison(self) -> None:
        """An entrypoint that declares no outputs is run and not compared."""
        jobs = matrix.plan(settings_with(CHECK), Options())
        assert not any(isinstance(job, CompareJob) for job in jobs)

    @pytest.mark.parametrize(
        ("options", "asked"),
        [
            (Options(), True),  # two platforms
            (Options(platforms=(AMD64,)), False),
            (Options(platforms=(AMD64,), repeat=2), True),
            (Options(platforms=(AMD64,), vary=ALL_VARIATIONS), True),
            (Options(platforms=(AMD64,), baseline=Path("baseline")), True),
        ],
    )
    def test_what_was_asked_for_and_compares_nothing_is_said(
        self, options: Options, asked: bool
    ) -> None:
        """A pass that tested nothing says so."""
        settings = settings_with(CHECK, TRAIN)
        check, train = (
            matrix.run_job(settings, options, name, AMD64) for name in ("check", "train")
        )
        said = matrix.uncompared(check, settings, options)
        assert bool(said) is asked
        assert all(note.startswith("check: nothing of it is compared") for note in said)
        assert matrix.uncompared(train, settings, options) == ()

    def test_what_is_printed_is_compared_between_repeats_and_with_a_baseline(self) -> None:
        """As between platforms, where a rule names it."""
        says = replace(CHECK, rules=(Rule("stdout", "", Tolerance()),))
        options = Options(platforms=(AMD64,), repeat=2, baseline=Path("baseline"))
        found = names(settings_with(says), options)
        assert found[-2:] == ["check::repeats[linux/amd64]", "check::baseline[linux/amd64]"]
        assert (
            matrix.uncompared(
                matrix.run_job(settings_with(says), options, "check", AMD64),
                settings_with(says),
                options,
            )
            == ()
        )

    def test_a_comparison_holds_the_planned_runs(self) -> None:
        """Comparing needs no run beyond those of the plan."""
        jobs = matrix.plan(settings_with(TRAIN, INFER), Options())
        runs = [job for job in jobs if isinstance(job, RunJob)]
        for job in jobs:
            if isinstance(job, CompareJob):
                assert job.actual in runs
                assert job.expected in runs


class TestPlatforms:
    def test_options_replace_the_list(self) -> None:
        """`--container-platform` says which platforms there are; each counts once."""
        settings = settings_with(TRAIN)
        options = Options(platforms=(ARMV7, ARM64, ARMV7))
        assert matrix.platforms(settings, options) == (ARMV7, ARM64)
        assert matrix.platforms(settings, Options()) == (AMD64, ARM64)

    def test_the_reference_stays_if_it_is_selected(self) -> None:
        """Order on the command line does not change what is held against what."""
        options = Options(platforms=(ARM64, AMD64))
        assert matrix.reference_platform(settings_with(), options) == AMD64

    def test_a_deselected_reference_is_replaced(self) -> None:
        """The first platform selected is the reference then, for needs as well."""
        settings, options = settings_with(TRAIN, INFER), Options(platforms=(ARMV7, ARM64))
        assert matrix.reference_platform(settings, options) == ARMV7
        job = matrix.run_job(settings, options, "infer", ARM64)
        assert [need.target.platform for need in job.needs] == [ARMV7]


class TestVaries:
    def test_each_entrypoint_that_writes_varies_on_the_reference(self) -> None:
        """After all comparisons; not what writes nothing, nor servers."""
        settings = settings_with(TRAIN, CHECK, INFER, API)
        found = names(settings, Options(vary=ALL_VARIATIONS))
        assert found[-4:] == [
            "train::agrees[linux/arm64 vs linux/amd64]",
            "infer::agrees[linux/arm64 vs linux/amd64]",
            "train::varies[linux/amd64]",
            "infer::varies[linux/amd64]",
        ]
        assert found[:-2] == names(settings)

    def test_what_is_printed_varies_where_a_rule_compares_it(self) -> None:
        """An entrypoint without outputs may well be compared."""
        says = replace(CHECK, rules=(Rule("stdout", "", Tolerance()),))
        found = names(settings_with(says, platforms=(AMD64,)), Options(vary=("threads",)))
        assert found[-1] == "check::varies[linux/amd64]"

    @pytest.mark.parametrize(
        ("configured", "option", "expected"),
        [
            ((), None, []),
            (ALL_VARIATIONS, None, [None]),
            (("user",), None, [("user",)]),
            (("user",), ALL_VARIATIONS, [None]),
            ((), ("threads", "simd"), [("threads", "simd")]),
        ],
    )
    def test_the_option_replaces_what_is_configured(
        self,
        configured: tuple[str, ...],
        option: tuple[str, ...] | None,
        expected: list[tuple[str, ...] | None],
    ) -> None:
        """None stands for all that apply; of no names there is no item at all."""
        settings = settings_with(replace(TRAIN, vary=configured), platforms=(AMD64,))
        jobs = matrix.plan(settings, Options(vary=option))
        assert [job.names for job in jobs if isinstance(job, VariesJob)] == expected

    @pytest.mark.parametrize(("option", "runs"), [(None, 12), (5, 5)])
    def test_so_does_the_budget(self, option: int | None, runs: int) -> None:
        """The most runs that a search may make."""
        entry = replace(TRAIN, vary=("user",), vary_budget=12)
        jobs = matrix.plan(settings_with(entry, platforms=(HOST,)), Options(budget=option))
        (job,) = (job for job in jobs if isinstance(job, VariesJob))
        assert job.budget == runs
        assert job.run.target == Target(HOST)


class TestNeeds:
    def test_needs_are_the_references_runs(self) -> None:
        """By default training's drift does not reach inference."""
        settings = settings_with(TRAIN, INFER)
        job = matrix.run_job(settings, Options(), "infer", ARM64)
        assert job.needs == (matrix.run_job(settings, Options(), "train", AMD64),)

    def test_needs_may_be_the_same_platforms(self) -> None:
        """With needs-from = "same" each platform uses what it made itself."""
        infer = Entrypoint("infer", needs=("train",), needs_from=NeedsFrom.SAME)
        settings = settings_with(TRAIN, infer)
        job = matrix.run_job(settings, Options(), "infer", ARM64)
        assert job.needs == (matrix.run_job(settings, Options(), "train", ARM64),)

    def test_a_server_needs_runs_too(self) -> None:
        """A server serves what training wrote."""
        settings = settings_with(TRAIN, API)
        job = matrix.serve_job(settings, Options(), "api", ARM64)
        assert job == ServeJob(
            API,
            Target(ARM64),
            ImageJob(Target(ARM64)),
            (matrix.run_job(settings, Options(), "train", AMD64),),
        )


class TestTarget:
    @pytest.mark.parametrize(
        ("asked", "configured", "expected"),
        [
            ((), (), None),
            ((), ((ARM64, "ssh://box"),), "ssh://box"),
            ((), ((AMD64, "ssh://box"),), None),
            (((None, "all"),), ((ARM64, "ssh://box"),), "all"),
            (((None, "all"), (ARM64, "arm")), ((ARM64, "ssh://box"),), "arm"),
            (((AMD64, "amd"),), (), None),
        ],
    )
    def test_the_most_particular_engine_wins(
        self,
        asked: tuple[tuple[Platform | None, str], ...],
        configured: tuple[tuple[Platform, str], ...],
        expected: str | None,
    ) -> None:
        """The command line's for the platform, its own for all, the configured one, the default."""
        settings = settings_with(TRAIN, engines=configured)
        options = Options(engines=asked)
        job = matrix.run_job(settings, options, "train", ARM64)
        assert job.target.engine == expected
        assert job.image is not None
        assert job.image.target.engine == expected

    @pytest.mark.parametrize(("asked", "expected"), [(None, "1"), ("all", "all"), ("none", None)])
    def test_gpus_come_from_the_command_line_first(
        self, asked: str | None, expected: str | None
    ) -> None:
        """`--gpus` replaces the configured request, and `none` takes it back."""
        settings = settings_with(Entrypoint("train", limits=Limits(gpus="1")))
        job = matrix.run_job(settings, Options(gpus=asked), "train", AMD64)
        assert job.target.gpus == expected

    def test_one_image_serves_runs_with_and_without_gpus(self) -> None:
        """GPUs belong to a run; the image is the same one."""
        settings = settings_with(TRAIN, Entrypoint("gpu", limits=Limits(gpus="all")))
        jobs = matrix.plan(settings, Options())
        images = {job.image for job in jobs if isinstance(job, RunJob)}
        assert images == {job for job in jobs if isinstance(job, ImageJob)}

    def test_a_given_image_is_found_instead_of_built(self) -> None:
        """`--container-image` reaches every image job."""
        job = matrix.image_job(settings_with(), Options(image="app:1"), ARM64)
        assert job == ImageJob(Target(ARM64), "app:1")


class TestBadNames:
    def test_an_unknown_entrypoint_gets_the_nearest_name(self) -> None:
        """The error names what was asked for, the nearest entrypoint, and all there are."""
        with pytest.raises(MlContainerError) as caught:
            matrix.run_job(settings_with(TRAIN, INFER), Options(), "trian", AMD64)
        assert caught.value.what == "no entrypoint of pyproject.toml has this name"
        assert caught.value.value == "trian"
        assert caught.value.remedy == (
            "did you mean train? declared in [tool.mlcontainer.entrypoints]: train, infer"
        )

    def test_no_entrypoints_at_all(self) -> None:
        """A project without any says so."""
        with pytest.raises(MlContainerError) as caught:
            matrix.run_job(settings_with(), Options(), "train", AMD64)
        assert caught.value.remedy == "declared in [tool.mlcontainer.entrypoints]: none"

    def test_a_server_is_not_run_to_its_end(self) -> None:
        """A run of a server would never return."""
        with pytest.raises(MlContainerError) as caught:
            matrix.run_job(settings_with(TRAIN, API), Options(), "api", AMD64)
        assert caught.value.what == "this entrypoint is a server and cannot be run to its end"
        assert caught.value.value == "api"
        assert caught.value.remedy == "start it with the fixture inference_server"

    def test_what_ends_is_not_served(self) -> None:
        """An entrypoint without a port cannot be waited for."""
        with pytest.raises(MlContainerError) as caught:
            matrix.serve_job(settings_with(TRAIN), Options(), "train", AMD64)
        assert caught.value.what == "this entrypoint is not a server"
        assert caught.value.value == "train"
        assert caught.value.remedy.startswith("give it the port it listens on (port = 8000)")

    def test_host_has_no_image(self) -> None:
        """Asking for the image of host, as a server there does, is an error."""
        with pytest.raises(MlContainerError) as caught:
            matrix.serve_job(settings_with(TRAIN, API), Options(), "api", HOST)
        assert caught.value.what == (
            "the platform host runs without a container, so it has no image"
        )
        assert caught.value.value == "host"
        assert caught.value.remedy == "ask for a container platform, such as linux/amd64"


@st.composite
def projects(draw: st.DrawFn) -> tuple[Settings, Options]:
    """Entrypoints in any order with needs in no circle, on any selection of platforms."""
    entries: list[Entrypoint] = []
    for number in range(draw(st.integers(0, 5))):
        ending = [entry.name for entry in entries if entry.server is None]
        server = draw(st.sampled_from([None, None, Server(80)]))
        entries.append(
            Entrypoint(
                name=f"e{number}",
                outputs=() if server else draw(st.sampled_from([(), ("out/*",)])),
                needs=tuple(draw(st.lists(st.sampled_from(ending), unique=True)) if ending else ()),
                needs_from=draw(st.sampled_from(NeedsFrom)),
                server=server,
            )
        )
    choices = st.lists(st.sampled_from([AMD64, ARM64, ARMV7, HOST]), min_size=1)
    selected = tuple(draw(choices))
    settings = settings_with(
        *draw(st.permutations(entries)), platforms=selected, reference=selected[-1]
    )
    asked = draw(st.one_of(st.none(), choices))
    return settings, Options(platforms=None if asked is None else tuple(asked))


class TestAnyProject:
    @given(project=projects())
    def test_every_job_comes_after_what_it_uses(self, project: tuple[Settings, Options]) -> None:
        """Whatever the needs and platforms: images, needed and compared runs come before."""
        done: set[Job] = set()
        for job in matrix.plan(*project):
            if isinstance(job, (RunJob, ServeJob)):
                assert job.image is None or job.image in done
                assert done.issuperset(job.needs)
            if isinstance(job, CompareJob):
                assert {job.actual, job.expected} <= done
            assert job not in done
            done.add(job)

    @given(project=projects())
    def test_the_plan_is_the_same_each_time(self, project: tuple[Settings, Options]) -> None:
        """Workers that plan by themselves agree."""
        assert matrix.plan(*project) == matrix.plan(*project)

    @given(project=projects())
    def test_every_entrypoint_is_planned_on_every_platform(
        self, project: tuple[Settings, Options]
    ) -> None:
        """Nothing is left out but servers on host."""
        settings, options = project
        planned = {str(job) for job in matrix.plan(settings, options)}
        for entry in settings.entrypoints:
            for platform in matrix.platforms(settings, options):
                served_on_host = entry.server is not None and platform == HOST
                assert (f"{entry.name}[{platform}]" in planned) is not served_on_host
