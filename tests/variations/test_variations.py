"""Which variations there are, what each picks in a situation, and what a project's sources hint at.

All of it is data: no engine is asked.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_mlcontainer.errors import MlContainerError
from pytest_mlcontainer.explain.search_rounds import plan_rounds
from pytest_mlcontainer.model import (
    HOST,
    Entrypoint,
    Facts,
    Family,
    Knobs,
    Limits,
    NotExercised,
    Pairs,
    Platform,
    Scalar,
    Server,
    Situation,
    Variation,
)
from pytest_mlcontainer.testing import usual_situation
from pytest_mlcontainer.variations import (
    FAMILIES,
    apart_pairs,
    choose,
    kept_by_image,
    kin_pairs,
    pins,
    suspect,
    together,
    wanted,
)
from pytest_mlcontainer.variations.masks import MASKS

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")
RISCV = Platform("linux", "riscv64")
BY_NAME = {family.name: family for family in FAMILIES}
GIB = 1 << 30

TRAIN = Entrypoint("train", ("python", "train.py"), outputs=("out/*",))


def situation(
    platform: Platform = AMD64,
    facts: dict[str, Scalar] | None = None,
    env: Pairs = (),
    image_env: Pairs = (),
    entry: Entrypoint = TRAIN,
    leaked: Pairs = (),
    workdir: str = "/app",
) -> Situation:
    """A usual one: Debian's Python with NumPy and PyTorch; `facts` of None are not known."""
    entry = replace(entry, env=(*entry.env, *env))
    found = usual_situation(
        platform, facts=facts or {}, entry=entry, image_env=image_env, leaked=leaked
    )
    image = None if found.image is None else replace(found.image, workdir=workdir)
    return replace(found, image=image)


def usual(name: str, **fields: Any) -> Situation:
    """The usual one, or for what only an emulated platform has, one that is emulated."""
    if name == "cpu-model":
        return situation(ARM64, {"env.QEMU_CPU": "neoverse-n1"}, **fields)
    return situation(**fields)


def limited(**limits: object) -> Situation:
    return situation(entry=Entrypoint("train", limits=Limits(**limits)))  # type: ignore[arg-type]


def chosen(name: str, at: Situation) -> Variation:
    choice = BY_NAME[name].choose(at)
    assert isinstance(choice, Variation), choice
    assert choice.name == name
    return choice


def refused(name: str, at: Situation) -> str:
    choice = BY_NAME[name].choose(at)
    assert isinstance(choice, NotExercised), choice
    return choice.why


NO_FACTS: dict[str, Scalar] = dict.fromkeys(dict(usual_situation().facts.values))

SETTINGS = [
    ("threads", situation(), "1"),
    ("threads", situation(facts={"blas.threads": 1}), "2"),
    ("threads", situation(facts={"blas.threads": 1, "openmp.threads": 4}), "1"),
    ("threads", situation(facts={"blas.threads": None, "cpu.usable": 1}), "2"),
    ("threads", situation(RISCV), "1"),
    ("blas-kernel", situation(), "Nehalem"),
    ("blas-kernel", situation(facts={"blas.kernel": "Nehalem"}), "Haswell"),
    ("blas-kernel", situation(facts={"blas.kernel": None}), "Nehalem"),
    ("blas-kernel", situation(ARM64, {"blas.kernel": "neoversen1"}), "ARMV8"),
    ("blas-kernel", situation(ARM64, {"blas.kernel": "armv8"}), "NEOVERSEN1"),
    ("blas-kernel", situation(HOST), "Nehalem"),
    ("simd", situation(), "least"),
    ("simd", situation(ARM64), "least"),
    ("libm", situation(), "least"),
    ("precision", situation(), "other"),
    ("hash-seed", situation(), "0"),
    ("hash-seed", situation(facts={"python.hash_randomization": False}), "1"),
    ("file-order", situation(), "reverse"),
    ("clock", situation(ARM64), "+401d"),
    ("timezone", situation(), "Pacific/Kiritimati"),
    ("timezone", situation(facts={"timezone.offset_s": 9 * 3600}), "Pacific/Pago_Pago"),
    ("timezone", situation(facts={"timezone.data": False}), "<+14>-14"),
    (
        "timezone",
        situation(facts={"timezone.data": False, "timezone.offset_s": 36000}),
        "<-11>11",
    ),
    ("cpus", situation(), "1"),
    ("hostname", situation(), "gpu-node-17"),
    ("locale", situation(), "de_DE.UTF-8"),
    ("locale", situation(facts={"locale.available": "en_US.UTF-8"}), "en_US.UTF-8"),
    ("locale", situation(facts={"locale.decimal": ","}), "en_US.UTF-8"),
    (
        "locale",
        situation(facts={"locale.available": "de_DE.UTF-8 sv_SE.UTF-8", "env.LANG": "de_DE.UTF-8"}),
        "sv_SE.UTF-8",
    ),
    ("locale", situation(image_env=(("LANG", "C.UTF-8"),)), "de_DE.UTF-8"),
    ("encoding", situation(), "POSIX"),
    ("encoding", situation(facts={"locale.encoding": "ANSI_X3.4-1968"}), "UTF-8"),
    ("encoding", situation(image_env=(("LANG", ""),)), "POSIX"),
    ("user", situation(), "12345:12345"),
    ("user", situation(facts={"user.id": 12345}), "23456:23456"),
    ("user", limited(user="12345:100"), "23456:23456"),
    ("home", situation(), "/nonexistent"),
    ("home", situation(facts={"user.home": "/nonexistent"}), "/nonexistent-home"),
    ("env", situation(), "leaked"),
    ("env", situation(HOST), "unset"),
    ("network", situation(), "internal"),
    ("network", limited(network="bridge"), "none"),
    ("read-only", situation(), "root"),
    ("memory", situation(), "1g"),
    ("memory", limited(memory_bytes=4 * GIB), "1g"),
    ("memory", limited(memory_bytes=GIB), "512m"),
    ("memory", situation(facts={"memory.limit_bytes": 3 * GIB // 2}), "768m"),
    ("shm", situation(), "1g"),
    ("shm", limited(shm_size_bytes=2 * GIB), "64m"),
    ("shm", situation(facts={"memory.shm_bytes": GIB}), "64m"),
    ("workdir", situation(), "/mlcontainer-elsewhere"),
    ("workdir", situation(image_env=(("PATH", "/app/.venv/bin:/bin"),)), "/mlcontainer-elsewhere"),
    ("workdir", situation(image_env=(("APP", "/application:/srv/app"),)), "/mlcontainer-elsewhere"),
    ("nofile", situation(), "1024"),
    ("nofile", situation(facts={"process.nofile": 1024}), "1048576"),
    ("cpu-model", situation(ARM64, {"env.QEMU_CPU": "neoverse-n1"}), "cortex-a57"),
    ("cpu-model", situation(ARM64, {"env.QEMU_CPU": "cortex-a57"}), "neoverse-n1"),
    ("umask", situation(), "0077"),
    ("umask", situation(facts={"user.umask": "0o77"}), "0022"),
    ("aslr", situation(), "off"),
]

REFUSED = [
    ("threads", situation(facts=NO_FACTS), "no OpenMP, OpenBLAS or MKL in the image"),
    ("blas-kernel", situation(facts=NO_FACTS), "no OpenBLAS or MKL in the image"),
    ("blas-kernel", situation(HOST, NO_FACTS), "no OpenBLAS or MKL on this machine"),
    ("blas-kernel", situation(RISCV), "no settings are known for riscv64"),
    ("simd", situation(facts=NO_FACTS), "no NumPy, PyTorch or oneDNN in the image"),
    ("simd", situation(RISCV), "no settings are known for riscv64"),
    ("simd", situation(facts={"cpu.flags": "sse4_2"}), "the processor has no AVX2 that could"),
    ("libm", situation(facts={"libc": "musl"}), "no glibc in the image"),
    ("libm", situation(facts={"libc": None}), "no glibc in the image"),
    ("libm", situation(facts={"libc": "glibc 2.17"}), "glibc 2.17 is too old for it"),
    ("libm", situation(facts={"cpu.flags": None, "machine": "x"}, platform=ARM64), "amd64 only"),
    ("libm", situation(facts={"cpu.flags": "sse4_2"}), "the processor has neither FMA nor AVX2"),
    ("precision", situation(facts={"package.torch": None}), "no oneDNN (PyTorch, TensorFlow)"),
    ("precision", situation(RISCV), "no settings are known for riscv64"),
    ("hash-seed", situation(facts=NO_FACTS), "no Python in the image"),
    ("hash-seed", situation(HOST, NO_FACTS), "no Python on this machine"),
    ("file-order", situation(RISCV), "no library to preload for linux/riscv64"),
    ("clock", situation(RISCV), "no library to preload for linux/riscv64"),
    ("cpus", situation(facts={"cpu.usable": 1}), "there is one processor anyway"),
    ("cpus", situation(HOST, {"cpu.usable": None}), "needs a container"),
    ("hostname", limited(network="container:other"), "shares the network"),
    (
        "locale",
        situation(facts={"locale.available": ""}),
        "no other locale in the image (locale -a",
    ),
    ("locale", situation(facts={"locale.available": None}), "no other locale in the image"),
    ("locale", situation(env=(("LANG", "de_DE.UTF-8"),)), "the project sets LANG itself"),
    ("encoding", situation(facts=NO_FACTS), "no Python in the image"),
    ("encoding", situation(image_env=(("PYTHONUTF8", "1"),)), "the image sets PYTHONUTF8 itself"),
    ("encoding", situation(image_env=(("LANG", "C.UTF-8"),)), "the image sets LANG itself"),
    (
        "network",
        situation(entry=Entrypoint("serve", server=Server(8000))),
        "a server has to be reached",
    ),
    ("read-only", situation(facts={"files.root_read_only": True}), "is read-only anyway"),
    ("memory", situation(facts={"memory.total_bytes": GIB}), "the machine has no more than 1g"),
    ("memory", limited(memory_bytes=100 << 20), "it is limited to 100m anyway"),
    ("workdir", situation(workdir="/"), "the working directory is /"),
    (
        "workdir",
        situation(entry=Entrypoint("t", ("python", "/app/train.py"))),
        "the command names /app",
    ),
    (
        "workdir",
        situation(entry=Entrypoint("t", ("python", "t.py", "--out=/app/out"))),
        "the command names /app",
    ),
    (
        "workdir",
        situation(entry=Entrypoint("t", ("t",), inputs=(("data", "/app/data"),))),
        "an input names /app",
    ),
    ("workdir", situation(image_env=(("MODEL", "/app/m.bin"),)), "MODEL names /app"),
    (
        "workdir",
        situation(entry=Entrypoint("t", ("t",), outputs=("/out/*",))),
        "outputs are absolute paths",
    ),
    ("nofile", situation(HOST), "needs a container"),
    (
        "nofile",
        situation(facts={"process.nofile": 512, "process.nofile_hard": 512}),
        "the engine allows no more than 512",
    ),
    ("cpu-model", situation(), "no CPU is emulated"),
    ("cpu-model", situation(ARM64), "no CPU is emulated"),
    (
        "cpu-model",
        situation(ARM64, {"env.QEMU_CPU": "max"}, env=(("QEMU_CPU", "max"),)),
        "the project sets QEMU_CPU itself",
    ),
    ("umask", situation(facts={"program.sh": None}), "no shell in the image"),
    ("aslr", situation(facts={"process.aslr": "off"}), "not randomised anyway"),
    (
        "aslr",
        situation(facts={"program.setarch": None, "python.version": None}),
        "neither setarch nor Python in the image",
    ),
]


class TestSettings:
    @pytest.mark.parametrize(("name", "at", "setting"), SETTINGS)
    def test_what_is_picked_is_not_what_there_is(
        self, name: str, at: Situation, setting: str
    ) -> None:
        """A variation that changes nothing would pass for one that does no harm."""
        assert chosen(name, at).setting == setting

    @pytest.mark.parametrize(("name", "at", "why"), REFUSED)
    def test_why_nothing_is_picked_is_said(self, name: str, at: Situation, why: str) -> None:
        """ "Not exercised" without a reason cannot be acted on."""
        assert why in refused(name, at)

    def test_every_family_is_held_by_both_tables(self) -> None:
        """So that a new family comes with its settings and its refusals."""
        assert {name for name, _at, _setting in SETTINGS} == set(BY_NAME)
        never = {"timezone", "home", "user", "shm", "env"}  # any image has them
        assert {name for name, _at, _why in REFUSED} == set(BY_NAME) - never

    @pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
    def test_every_variation_can_prove_itself(self, family: Family) -> None:
        """One without a witness would count as tried whatever it did."""
        (choice,) = [at for name, at, _s in SETTINGS if name == family.name][:1]
        variation = chosen(family.name, choice)

        assert variation.witness
        assert not any(name.startswith("env.") for name in variation.witness)
        assert variation.knobs != Knobs()

    @pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
    @pytest.mark.parametrize("platform", [AMD64, ARM64, RISCV, HOST], ids=str)
    def test_a_family_answers_even_where_nothing_is_known(
        self, family: Family, platform: Platform
    ) -> None:
        """An image may have neither a Python nor a shell."""
        empty = Situation(platform, Facts(), Entrypoint("train"))

        assert isinstance(family.choose(empty), (Variation, NotExercised))
        assert family.pin is None or isinstance(family.pin(empty), (Variation, NotExercised))

    def test_what_needs_a_container_is_not_picked_on_the_host(self) -> None:
        """There is none that it could be done to."""
        varied, others = choose(FAMILIES, situation(HOST))

        assert not any(variation.knobs.needs_container for variation in varied)
        assert not any(variation.knobs.preload for variation in varied)
        assert {name for name, why in others if why == "needs a container"} == {
            "aslr", "clock", "file-order", "hostname", "memory", "network", "nofile",
            "read-only", "shm", "user", "workdir",
        }  # fmt: skip
        assert {variation.name for variation in varied} >= {"threads", "cpus", "umask", "env"}


class TestPinned:
    @pytest.mark.parametrize("name", sorted(BY_NAME))
    def test_what_the_project_sets_itself_stays(self, name: str) -> None:
        """It is the same wherever the project runs, so it is no source of drift."""
        env = chosen(name, usual(name)).knobs.env
        pinned = usual(name, image_env=tuple((each, "theirs") for each, _value in env))

        choice = BY_NAME[name].choose(pinned)

        if isinstance(choice, NotExercised):
            assert re.fullmatch(r"the image sets .* itself|.* them itself", choice.why)
        elif name == "libm":
            assert choice.knobs.env[0][1].startswith("theirs:glibc.cpu.hwcaps=")
        elif name in ("clock", "file-order"):
            assert choice.knobs.env == env  # the variables are our own
        else:
            assert choice.knobs.env == ()
            assert choice.knobs != Knobs()

    def test_of_several_variables_the_others_are_set(self) -> None:
        """A project that sets one of four leaves three to the machine."""
        variation = chosen("threads", situation(env=(("OMP_NUM_THREADS", "1"),)))

        assert [name for name, _value in variation.knobs.env] == [
            "OPENBLAS_NUM_THREADS",
            "MKL_NUM_THREADS",
            "NUMEXPR_NUM_THREADS",
        ]

    def test_the_reason_names_all_of_them(self) -> None:
        """Whoever reads it shall find the lines that set them."""
        env = (("OPENBLAS_CORETYPE", "Haswell"), ("MKL_CBWR", "AVX2"))

        assert refused("blas-kernel", situation(env=env)) == (
            "the project sets OPENBLAS_CORETYPE and MKL_CBWR itself"
        )

    def test_a_tunable_of_the_project_is_not_overruled(self) -> None:
        """glibc takes the last of two settings of one tunable."""
        env = (("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-AVX512F"),)

        assert refused("libm", situation(image_env=env)) == ("the image sets GLIBC_TUNABLES itself")

    @pytest.mark.parametrize("name", sorted(BY_NAME))
    def test_what_the_image_sets_gives_way_to_a_name(self, name: str) -> None:
        """A pin in one image hides what shows on the host, so whoever names a variation gets it."""
        env = chosen(name, usual(name)).knobs.env
        pinned = tuple((each, "theirs") for each, _value in env)

        choice = chosen(name, replace(usual(name, image_env=pinned), over_image=True))

        assert [each for each, _value in choice.knobs.env] == [each for each, _value in env]
        assert not {"theirs"} & {value for _name, value in choice.knobs.env}

    @pytest.mark.parametrize(
        ("name", "env"),
        [
            ("hash-seed", ("PYTHONHASHSEED", "0")),
            ("encoding", ("LANG", "C.UTF-8")),
            ("libm", ("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-AVX512F")),
        ],
    )
    def test_what_the_configuration_sets_never_does(self, name: str, env: tuple[str, str]) -> None:
        """It is the same on every platform, the host too; the image's is not."""
        over_image = replace(situation(image_env=(env,)), over_image=True)
        configured = replace(situation(env=(env,)), over_image=True)

        assert chosen(name, over_image).name == name
        assert refused(name, configured) == f"the project sets {env[0]} itself"

    def test_what_only_the_image_sets_is_listed_with_who_would_vary_it(self) -> None:
        """A pin that stays is said, also where the family has other variables to turn."""
        image_env = (("OMP_NUM_THREADS", "1"), ("LANG", "C.UTF-8"), ("PYTHONHASHSEED", "0"))
        at = situation(image_env=image_env, env=(("PYTHONHASHSEED", "0"),))

        assert kept_by_image(FAMILIES, at) == {
            "threads": (("OMP_NUM_THREADS", "1"),),
            "encoding": (("LANG", "C.UTF-8"),),
        }


class TestClock:
    @given(st.datetimes(datetime(2020, 1, 1), datetime(2060, 1, 1)))
    def test_every_part_of_a_date_becomes_another(self, now: datetime) -> None:
        """A program may look at any one of them."""
        knobs = chosen("clock", situation()).knobs
        later = now + timedelta(seconds=int(dict(knobs.env)["MLCONTAINER_CLOCK_OFFSET_S"]))

        assert knobs.preload
        for part in ("year", "month", "day", "hour", "minute"):
            assert getattr(later, part) != getattr(now, part), part
        assert later.weekday() != now.weekday()

    @pytest.mark.parametrize(
        ("date", "expected"),
        [("2026-11-24", "2026-11-24"), (None, "2025-01-15"), ("soon", "2025-01-15")],
    )
    def test_it_is_pinned_near_to_what_it_is(self, date: str | None, expected: str) -> None:
        """Far away, it could change what a program does; noon is one date in most time zones."""
        at = situation(facts={"clock.date": date})
        (pin,) = [each for each in pins(at) if each.name == "clock"]

        fixed = int(dict(pin.knobs.env)["MLCONTAINER_CLOCK_FIXED_S"])
        assert datetime.fromtimestamp(fixed, UTC).isoformat() == f"{expected}T12:00:00+00:00"
        assert pin.witness == (f"clock.date={expected}",)


class TestEnvironment:
    def test_what_leaks_from_the_machine_is_set(self) -> None:
        """A variable that the sources read is the likeliest to matter."""
        at = situation(leaked=(("BATCH_SIZE", "64"), ("DEBUG", "yes")))

        env = dict(chosen("env", at).knobs.env)
        assert env["BATCH_SIZE"] == "64"
        assert env["DEBUG"] == "yes"

    def test_what_other_families_vary_is_theirs(self) -> None:
        """Else a drift by threads would be laid at the door of `env`."""
        every = tuple(
            (name, "x")
            for family, at, _setting in SETTINGS
            if family != "env"
            for name, _value in chosen(family, at).knobs.env
        )

        env = dict(chosen("env", situation(leaked=every)).knobs.env)

        assert not set(env) & {name for name, _value in every}
        assert "x" not in env.values()

    def test_on_the_host_they_are_taken_away(self) -> None:
        """There they are already."""
        knobs = chosen("env", situation(HOST, leaked=(("BATCH_SIZE", "64"),))).knobs

        assert knobs.env == ()
        assert {"BATCH_SIZE", "USER", "CI"} <= set(knobs.unset)


class TestWrappers:
    def test_the_shell_that_sets_the_umask_becomes_the_command(self) -> None:
        """What it was started as must not end before the program does."""
        assert chosen("umask", situation(facts={"program.sh": "/usr/bin/sh"})).knobs.wrapper == (
            "/usr/bin/sh", "-c", 'umask 0077; exec "$@"', "sh",
        )  # fmt: skip

    def test_addresses_are_fixed_by_what_the_image_has(self) -> None:
        """BusyBox's setarch, that of musl images, does not know the option alone."""
        of_musl = situation(facts={"libc": "musl"})
        assert chosen("aslr", situation()).knobs.wrapper == ("/usr/bin/setarch", "-R")
        assert chosen("aslr", of_musl).knobs.wrapper[0] == "python3"
        assert chosen("aslr", of_musl).knobs.personality

    def test_processors_are_bound_by_the_engine_or_by_the_program(self) -> None:
        """There is no cpuset without a container."""
        assert chosen("cpus", situation()).knobs.cpuset == "0"
        on_host = chosen("cpus", situation(HOST)).knobs
        assert on_host.cpuset is None
        assert "sched_setaffinity" in on_host.wrapper[-1]


class TestTogether:
    @given(st.sets(st.sampled_from(sorted(BY_NAME))))
    def test_all_that_each_sets_is_set(self, names: set[str]) -> None:
        """In one run with several changes each of them takes effect."""
        varied = [chosen(name, usual(name)) for name in sorted(names - {"encoding"})]

        knobs = together(varied)

        for each in varied:
            assert set(each.knobs.env) <= set(knobs.env)
            assert "\0".join(each.knobs.wrapper) in "\0".join(knobs.wrapper)
            for field in ("hostname", "cpuset", "memory_bytes", "shm_size_bytes",
                          "nofile", "network", "user", "read_only", "workdir", "preload",
                          "personality"):  # fmt: skip
                assert not getattr(each.knobs, field) or (
                    getattr(each.knobs, field) == getattr(knobs, field)
                )
        assert len({name for name, _value in knobs.env}) == len(knobs.env)

    @pytest.mark.parametrize("platform", [AMD64, ARM64, HOST], ids=str)
    def test_no_two_turn_the_same_knob_another_way(self, platform: Platform) -> None:
        """One of them would not be varied, and count as tried. `apart` says so where it is so."""
        leaked = (("OMP_NUM_THREADS", "7"), ("LC_ALL", "tr_TR.UTF-8"), ("SEED", "3"))
        varied, _others = choose(FAMILIES, situation(platform, leaked=leaked))
        apart = apart_pairs(FAMILIES)

        for one, other in itertools.combinations(varied, 2):
            if frozenset((one.name, other.name)) not in apart:
                both = together((one, other))
                assert both.env == (*one.knobs.env, *other.knobs.env), (one, other)
                assert not set(one.knobs.unset) & {name for name, _value in other.knobs.env}
                assert replace(both, env=()) == replace(
                    together((other, one)), env=(), wrapper=both.wrapper, unset=both.unset
                )

    def test_those_that_hide_each_other_are_never_in_one_round(self) -> None:
        """All at once is three rounds, each of which takes all that it may."""
        names = [family.name for family in FAMILIES]
        pairs = apart_pairs(FAMILIES)

        planned = plan_rounds(names, {}, pairs)

        assert len(planned) == 3
        assert set().union(*planned) == set(names)
        for round_ in planned:
            assert not any(pair <= round_ for pair in pairs)
            assert all(
                any(pair <= round_ | {name} for pair in pairs)
                for name in set(names).difference(round_)
            )

    def test_variables_hide_the_home_only_where_they_may_name_one(self) -> None:
        """What machines set names no folder, so that two rounds will do; what leaks may."""
        usual, _others = choose(FAMILIES, situation(AMD64))
        cached, _others = choose(FAMILIES, situation(AMD64, leaked=(("HF_HOME", "/cache"),)))
        pair = frozenset(("env", "home"))

        assert pair in apart_pairs(FAMILIES) & apart_pairs(FAMILIES, cached)
        assert apart_pairs(FAMILIES, usual) == apart_pairs(FAMILIES) - {pair}
        names = [each.name for each in usual]
        assert len(plan_rounds(names, {}, apart_pairs(FAMILIES, usual))) == 2
        assert len(plan_rounds(names, {}, apart_pairs(FAMILIES, cached))) == 3

    def test_what_has_no_rival_is_beside_everything(self) -> None:
        """What only two variations do together would pass where each is in another round."""
        names = [family.name for family in FAMILIES]
        pairs = apart_pairs(FAMILIES)
        rivals = set().union(*pairs)

        planned = plan_rounds(names, {}, pairs)

        for name in set(names) - rivals:
            for other in set(names) - {name}:
                assert any({name, other} <= round_ for round_ in planned), (name, other)

    def test_what_often_works_together_is_together_in_a_round(self) -> None:
        """Where two variations have rivals, not every pair has a round; kin have one."""
        chosen = wanted(FAMILIES, None)
        weights = {family.name: family.weight for family in chosen}
        pairs, kin = apart_pairs(chosen), kin_pairs(chosen)

        planned = plan_rounds(list(weights), weights, pairs, kin)

        for pair in {frozenset(("home", "network")), frozenset(("locale", "timezone"))}:
            assert pair in kin
        named = {frozenset((each.name, name)) for each in chosen for name in each.kin}
        assert [pair for pair in named - pairs if not any(pair <= each for each in planned)] == []

    @given(
        st.sets(st.sampled_from("abcdefgh"), min_size=1),
        st.sets(st.frozensets(st.sampled_from("abcdefgh"), min_size=2, max_size=2)),
        st.dictionaries(st.sampled_from("abcdefgh"), st.floats(0, 10)),
    )
    @example({"a", "b", "c", "d"}, {frozenset("ab"), frozenset("ac")}, {"b": 9.0, "c": 9.0})
    def test_rounds_are_as_large_as_rivals_let_them(
        self, names: set[str], apart: set[frozenset[str]], weights: dict[str, float]
    ) -> None:
        """Whatever hides what: all are varied, no rivals together, and nothing could be added."""
        planned = plan_rounds(sorted(names), weights, apart)

        assert set().union(*planned) == names
        assert len(planned) <= len(names)
        for number, round_ in enumerate(planned):
            assert round_ - frozenset().union(*planned[:number]), "it has something new"
            assert not any(pair <= round_ for pair in apart)
            assert all(any(pair <= round_ | {n} for pair in apart) for n in names - round_)

    def test_what_hides_what_is_data(self) -> None:
        """Each pair is of families that there are, and says why; one of the two is enough."""
        for mask in MASKS:
            assert {mask.one, mask.other} <= BY_NAME.keys()
            assert mask.why
            pair = frozenset((mask.one, mask.other))
            assert pair in apart_pairs([BY_NAME[mask.one]]) & apart_pairs([BY_NAME[mask.other]])

    def test_a_family_of_a_plugin_may_say_what_hides_it(self) -> None:
        """It is told beside those that are known."""
        own = replace(BY_NAME["umask"], name="model-cache", apart=("home",))

        assert apart_pairs([own]) == {frozenset(("model-cache", "home"))}


class TestWanted:
    def test_all_are_those_that_need_no_asking_for(self) -> None:
        """Any two runs differ in their addresses, so that varying them shows nothing new."""
        assert {family.name for family in wanted(FAMILIES, None)} == set(BY_NAME) - {"aslr"}

    def test_names_pick(self) -> None:
        """In the order of the families, each once."""
        found = wanted(FAMILIES, ("aslr", "simd", "threads", "simd"))

        assert [family.name for family in found] == ["threads", "simd", "aslr"]

    def test_unknown_names_are_told_with_the_nearest(self) -> None:
        """All at once, so that one correction is enough."""
        with pytest.raises(MlContainerError) as caught:
            wanted(FAMILIES, ("hash_seed", "threads", "moon"))

        assert caught.value.value == "hash_seed, moon"
        assert caught.value.remedy.startswith("did you mean hash-seed? (known: threads, ")

    def test_names_are_unique_and_read_as_options(self) -> None:
        """They are labels, options and keys of reports."""
        assert len(BY_NAME) == len(FAMILIES)
        assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", name) for name in BY_NAME)


class TestPins:
    def test_what_differs_by_itself_can_be_held_still(self) -> None:
        """By one variation each, of the name that a report gives for the cause."""
        found = {str(pin) for pin in pins(situation())}

        assert found == {
            "threads=1",
            "hash-seed=0",
            "clock=2026-11-24",
            "hostname=mlcontainer",
            "aslr=off",
        }
        assert {family.name for family in FAMILIES if family.natural} <= {
            family.name for family in FAMILIES if family.pin is not None
        }

    def test_what_is_still_needs_no_pin(self) -> None:
        """A pin that changes nothing would only lengthen the search for the smallest."""
        facts: dict[str, Scalar] = {
            "blas.threads": 1,
            "python.hash_randomization": False,
            "process.aslr": "off",
        }

        assert {pin.name for pin in pins(situation(facts=facts))} == {"clock", "hostname"}

    def test_a_network_is_taken_away(self) -> None:
        """What is fetched can be another thing each time."""
        assert "network=none" in {str(pin) for pin in pins(limited(network="bridge"))}

    def test_a_pin_is_another_setting_than_nothing(self) -> None:
        """Pins hold still what is not held still otherwise: each has knobs and a witness."""
        for pin in pins(situation(ARM64)):
            assert pin.knobs != Knobs()
            assert pin.witness


FAULTS = [
    ("blas-kernel", "hidden = np.tanh(x @ w1 + b1)"),
    ("blas-kernel", "scores = users.dot(items.T)"),
    ("blas-kernel", "w = np.linalg.solve(a, b)"),
    ("threads", "torch.set_num_threads(int(cores))"),
    ("threads", "for i in prange(n):"),
    ("threads", "model = LogisticRegression(max_iter=20).fit(x, y)"),
    ("simd", "order = np.argsort(scores)[::-1]"),
    ("simd", "noise = torch.randn(4, 4)"),
    ("simd", "top = frame.sort_values('score').head(10)"),
    ("libm", "d = 2 * r * math.asin(math.sqrt(h))"),
    ("libm", "z = random.gauss(0.0, 1.0)"),
    ("precision", "y = nn.Conv2d(3, 8, 3)(x)"),
    ("precision", "with torch.autocast('cpu'):"),
    ("hash-seed", "vocabulary = list(set(words))"),
    ("hash-seed", "codes = {label: i for i, label in enumerate({row['town'] for row in rows})}"),
    ("hash-seed", "bucket = hash(token) % 1024"),
    ("file-order", "classes = os.listdir('data')"),
    ("file-order", "paths = glob.glob('data/*.png')"),
    ("file-order", "for path in Path('data').iterdir():"),
    ("file-order", "for folder, _, names in os.walk(root):"),
    ("clock", "now = pd.Timestamp.now()"),
    ("clock", "age = (datetime.now() - row.date).days"),
    ("clock", "seed = int(time.time())"),
    ("timezone", "hour = datetime.fromtimestamp(stamp).hour"),
    ("timezone", "stamp = datetime(2024, 1, 1).timestamp()"),
    ("cpus", "chunks = np.array_split(x, len(os.sched_getaffinity(0)))"),
    ("cpus", "workers = os.cpu_count() or 1"),
    ("cpus", "RandomForestClassifier(n_jobs=-1)"),
    ("hostname", "seed = zlib.crc32(socket.gethostname().encode())"),
    ("hostname", "node = platform.node()"),
    ("locale", "locale.setlocale(locale.LC_ALL, '')"),
    ("locale", "names.sort(key=locale.strxfrm)"),
    ("locale", "subprocess.run(['sort', 'names.txt'])"),
    ("encoding", "with open('reviews.txt') as file:"),
    ("encoding", "text = Path('reviews.txt').read_text()"),
    ("user", "name = getpass.getuser()"),
    ("user", "if os.getuid() != 0:"),
    ("home", "cache = Path.home() / '.cache' / 'weights'"),
    ("home", "path = os.path.expanduser('~/.config/model.json')"),
    ("env", "size = int(os.environ.get('BATCH_SIZE', 32))"),
    ("env", "size = os.environ['BATCH_SIZE']"),
    ("network", "weights = requests.get(URL, timeout=3).content"),
    ("network", "except urllib.error.URLError:"),
    ("read-only", "except OSError:"),
    ("read-only", "if os.access('/app', os.W_OK):"),
    ("memory", "free = psutil.virtual_memory().available"),
    ("memory", "except MemoryError:"),
    ("memory", "pages = os.sysconf('SC_PHYS_PAGES')"),
    ("shm", "loader = DataLoader(data, num_workers=4)"),
    ("shm", "block = shared_memory.SharedMemory(create=True, size=size)"),
    ("workdir", "info = {'source': str(Path(name).resolve())}"),
    ("workdir", "root = os.getcwd()"),
    ("nofile", "soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)"),
    ("cpu-model", "fast = 'avx2' in open('/proc/cpuinfo').read()"),
    ("umask", "mode = os.stat(path).st_mode & 0o777"),
    ("aslr", "rows.sort(key=id)"),
    ("aslr", "seed = id(model) % 1000"),
]
HARMLESS = [
    ("hash-seed", "vocabulary = sorted(set(words))"),
    ("hash-seed", "count = len(set(words))"),
    ("hash-seed", "axes.set(xlabel='epoch')"),
    ("hash-seed", "digest = hashlib.sha256(data).hexdigest()"),
    ("hash-seed", "lookup = {name: i for i, name in enumerate(names)}"),
    ("file-order", "classes = sorted(os.listdir('data'))"),
    ("file-order", "paths = sorted(Path('data').glob('*.png'))"),
    ("clock", "start = time.time()"),
    ("clock", "took = time.time() - start"),
    ("clock", "took = time.perf_counter() - start"),
    ("clock", "time.sleep(0.1)"),
    ("timezone", "day = datetime.fromtimestamp(stamp, tz=timezone.utc)"),
    ("timezone", "when = pd.to_datetime(frame['when'])"),
    ("cpus", "RandomForestClassifier(n_estimators=10, n_jobs=1)"),
    ("encoding", "with open('reviews.txt', encoding='utf-8') as file:"),
    ("encoding", "with open('model.bin', 'rb') as file:"),
    ("encoding", "with open('metrics.json', 'w') as file:"),
    ("encoding", "text = Path('a.txt').read_text(encoding='utf-8')"),
    ("env", "os.environ['OMP_NUM_THREADS'] = '1'"),
    ("simd", "order = np.argsort(scores, kind='stable')"),
    ("shm", "loader = DataLoader(data, num_workers=0)"),
    ("home", "weights = model.state_dict()"),
    ("network", "model = Net().eval()"),
    ("locale", "rows.sort(key=lambda row: row.name)"),
    ("user", "users = ratings['user'].unique()"),
    ("memory", "memory = []"),
    ("aslr", "grid(x)"),
    ("umask", "mask = x > 0"),
    ("nofile", "files = [open(path, 'rb') for path in paths]"),
    ("cpu-model", "model = models[cpu]"),
    ("precision", "half = len(x) // 2"),
    ("libm", "y = x ** 2"),
    ("blas-kernel", "@pytest.fixture"),
    ("blas-kernel", "mail = 'a@b.org'"),
    ("workdir", "model.resolve_names(x)"),
    ("hostname", "uniform = rng.uniform()"),
    ("threads", "threads = forum.threads"),
    ("read-only", "except ValueError:"),
]
SILENT = suspect(["x = 1"], FAMILIES)


class TestHints:
    @pytest.mark.parametrize(("name", "line"), FAULTS)
    def test_what_real_faults_look_like_is_suspected(self, name: str, line: str) -> None:
        """Each run that a search need not make is a minute of somebody's."""
        found = suspect([f"{line}\n"], FAMILIES)

        assert found[name] > 2 * BY_NAME[name].weight
        loud = sorted(found, key=lambda each: found[each] / SILENT[each], reverse=True)
        assert name in loud[:4]

    @pytest.mark.parametrize(("name", "line"), HARMLESS)
    def test_harmless_code_is_not(self, name: str, line: str) -> None:
        """A hint that matches everything orders nothing."""
        assert suspect([f"{line}\n"], FAMILIES)[name] == SILENT[name]

    def test_every_family_has_a_line_that_gives_it_away(self) -> None:
        """And one that does not, where a line could be taken for one."""
        assert {name for name, _line in FAULTS} == set(BY_NAME)

    def test_comments_docstrings_and_imports_are_no_uses(self) -> None:
        """They say what somebody thought of, not what the program does."""
        said = [
            "# socket.gethostname()\n",
            '"""Not socket.gethostname()."""\n',
            'def f():\n    """As gethostname() does.\n\n    gethostname()\n    """\n    return 1\n',
        ]

        assert suspect(said, FAMILIES)["hostname"] == SILENT["hostname"]
        imported = suspect(["from glob import glob\nfrom os import listdir\nx = 1\n"], FAMILIES)
        assert imported["file-order"] < suspect(["x = listdir('.')\n"], FAMILIES)["file-order"]

    def test_a_use_is_seen_over_line_breaks(self) -> None:
        """Formatters break lines where they like."""
        broken = (
            "seed = time.time(\n)\nfiles = sorted(\n    os.listdir(\n        'data'\n    )\n)\n"
        )

        found = suspect([broken], FAMILIES)

        assert found["clock"] > SILENT["clock"]
        assert found["file-order"] == SILENT["file-order"]

    def test_that_there_is_a_hint_counts_more_than_how_many(self) -> None:
        """A hundred lines of one kind are not a hundred times the suspicion."""
        one, many = (
            suspect(["seed = hash(x)\n" * count], FAMILIES)["hash-seed"] for count in (1, 100)
        )

        assert SILENT["hash-seed"] * 5 < one < many < 2 * one

    def test_a_telling_line_comes_before_numeric_code(self) -> None:
        """Products of matrices are in every project; asking for the host's name is not."""
        code = "import numpy as np\nw = a @ b\nv = np.exp(w).dot(c)\nn = socket.gethostname()\n"

        found = suspect([code], FAMILIES)

        assert max(found, key=lambda name: found[name]) == "hostname"

    def test_without_sources_the_weights_are_all_there_is(self) -> None:
        """An image alone has none."""
        assert suspect([], FAMILIES) == {family.name: family.weight for family in FAMILIES}

    @pytest.mark.parametrize(
        "text",
        ["def f(:\n  os.listdir('x')\n", "'''\nos.listdir('x')\n", "if 1:\n\tx\n  os.listdir(y)"],
    )
    def test_what_does_not_parse_is_read_by_lines(self, text: str) -> None:
        """A template or a notebook is no Python, and says something all the same."""
        assert suspect([text], FAMILIES)["file-order"] > SILENT["file-order"]

    @given(st.text())
    def test_any_text_is_read(self, text: str) -> None:
        """Sources are whatever a project has."""
        found = suspect([text], FAMILIES)

        assert set(found) == set(BY_NAME)
        assert all(value > 0 for value in found.values())

    def test_flags_of_one_hint_hold_for_it_alone(self) -> None:
        """Hints come from plugins, too, each an expression of its own."""
        family = Family("x", "x", lambda _at: NotExercised("x"), hints=("(?i)abc", "DEF"))

        found = {text: suspect([f"y = {text}\n"], [family])["x"] for text in ("aBc", "DEF", "def_")}

        assert found["aBc"] == found["DEF"] > found["def_"]
