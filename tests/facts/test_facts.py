from __future__ import annotations

import ast
import json
import os
import platform
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import docker
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlcontainer.facts import (
    MARKER,
    differing,
    machine_matches,
    parse_facts,
    probe_source,
    probe_sources,
    shell_probe,
    suspicion,
    telling,
    took_effect,
    unfinished,
)
from pytest_mlcontainer.model import HOST, Facts, Platform

NAMES = st.text(st.sampled_from("abc.kernel"), min_size=1, max_size=8)
FACTS = st.dictionaries(NAMES, st.text(max_size=3) | st.integers() | st.none(), max_size=6).map(
    lambda values: Facts(tuple(sorted(values.items())))
)


def facts(**values: object) -> Facts:
    return Facts(tuple(sorted((name.replace("__", "."), value) for name, value in values.items())))  # type: ignore[misc]


def printed_by(*argv: str, path: str | None = None, **env: str) -> str:
    environ = {"PATH": os.environ["PATH"] if path is None else path, **env}
    return subprocess.run(
        argv, stdout=subprocess.PIPE, text=True, check=True, env=environ, timeout=60
    ).stdout


class TestProbe:
    def test_it_sees_what_python_sees(self) -> None:
        """Run as in an image: as text, by another process, with the standard library alone."""
        seen = parse_facts(printed_by(sys.executable, "-I", "-c", probe_source()))
        assert seen is not None
        assert seen.get("machine") == platform.machine()
        assert seen.get("python.version") == platform.python_version()
        assert seen.get("package.pytest") == pytest.__version__
        assert seen.get("cpu.count") == os.cpu_count()
        assert [name for name, _value in seen.values if name.startswith("unread.")] == []

    def test_it_loads_no_numerical_library(self) -> None:
        """Importing NumPy under emulation takes seconds, and some wheels crash."""
        code = f"{probe_source()}\nprint('numpy' in sys.modules)"
        assert printed_by(sys.executable, "-c", code).splitlines()[-1] == "False"

    def test_it_sees_the_variables_that_change_numbers(self) -> None:
        """And no others: an environment may hold secrets."""
        seen = parse_facts(
            printed_by(
                sys.executable, "-c", probe_source(), OMP_NUM_THREADS="3", API_TOKEN="secret"
            )
        )
        assert seen is not None
        assert seen.get("env.OMP_NUM_THREADS") == "3"
        assert "secret" not in str(seen)

    def test_it_sees_the_blas_kernel_that_numpy_uses(self) -> None:
        """By OpenBLAS's own interface; the variable that chooses a kernel shows in it."""
        seen = parse_facts(
            printed_by(
                sys.executable, "-c", probe_source(),
                OPENBLAS_NUM_THREADS="1", OPENBLAS_CORETYPE="Nehalem",
            )
        )  # fmt: skip
        assert seen is not None
        if platform.machine() == "x86_64":
            assert seen.get("blas.kernel") == "Nehalem"
        assert seen.get("blas.threads") == 1

    def test_a_fact_that_cannot_be_read_leaves_the_others(self) -> None:
        """It is named, with the reason."""
        code = probe_source().replace("platform.python_compiler()", "1 / 0")
        seen = parse_facts(printed_by(sys.executable, "-c", code))
        assert seen is not None
        assert "ZeroDivisionError" in str(seen.get("unread.python"))
        assert seen.get("machine") == platform.machine()

    def test_the_shell_finds_python(self) -> None:
        """As `/bin/sh -c SCRIPT probe SOURCE` in an image."""
        out = printed_by("/bin/sh", "-c", shell_probe(), "probe", probe_source())
        seen = parse_facts(out)
        assert seen is not None
        assert seen.get("python.version")

    def test_without_python_the_machine_is_known(self, tmp_path: Path) -> None:
        """The platform of an image is checked inside it, also of one that holds a Go program."""
        (tmp_path / "uname").symlink_to("/bin/uname")
        out = printed_by(
            "/bin/sh", "-c", shell_probe(), "probe", probe_source(), path=str(tmp_path)
        )
        seen = parse_facts(out)
        assert seen is not None
        assert seen.get("machine") == platform.machine()
        assert seen.get("python.version") is None

    def test_old_pythons_can_parse_it(self) -> None:
        """Images have what they have; 3.6 is the oldest that is promised."""
        for source in probe_sources(deep=True):
            ast.parse(source, feature_version=(3, 6))

    def test_names_of_variables_are_seen_and_no_values(self) -> None:
        """Not even where the second line of a value looks like a variable, or without Python."""
        secret = "s3cret\nHIDDEN=s3cret"
        script = shell_probe().replace("for python in python3 python", "for python in nothing")
        for argv in (
            (sys.executable, "-c", probe_source()),
            ("/bin/sh", "-c", script, "probe", probe_source()),
        ):
            out = printed_by(*argv, API_TOKEN=secret)
            assert "s3cret" not in out
            seen = parse_facts(out)
            assert seen is not None
            names = str(seen.get("environment.names")).split()
            assert "API_TOKEN" in names
            assert "HIDDEN" not in names

    def test_a_shell_and_python_see_the_same(self) -> None:
        """So that an image without Python can be held against one that has it."""
        env = {"TZ": "Asia/Tokyo", "LANG": "C", "OMP_NUM_THREADS": "1"}
        script = shell_probe().replace("for python in python3 python", "for python in nothing")
        by_shell = parse_facts(printed_by("/bin/sh", "-c", script, "probe", "", **env))
        by_python = parse_facts(printed_by(sys.executable, "-c", probe_source(), **env))
        assert by_shell is not None
        assert by_python is not None
        told = dict(by_shell.values)
        told.pop("environment.names")
        assert {name: by_python.get(name) for name in told} == told
        assert {
            "machine", "kernel", "distribution", "libc", "cpu.count", "cpu.usable", "host.name",
            "user.id", "env.TZ", "timezone.name",
        } <= set(told)  # fmt: skip

    def test_nothing_that_a_shell_reads_breaks_what_it_prints(self) -> None:
        """Quotes, backslashes, tabs and commands in a value stay a value."""
        awkward = "a\"b\\c\td $(echo ran) `echo ran` ' * %s"
        script = shell_probe().replace("for python in python3 python", "for python in nothing")
        seen = parse_facts(printed_by("/bin/sh", "-c", script, "probe", "", TZ=awkward))
        assert seen is not None
        assert seen.get("env.TZ") == awkward.replace('"', "'").replace("\\", "'")

    def test_packages_as_the_import_system_finds_them(self, tmp_path: Path) -> None:
        """Names normalised, the first on the path, and where one is from no index its origin."""
        first, second = tmp_path / "first", tmp_path / "second"
        for folder, version in ((first, "2.0+cpu"), (second, "1.0")):
            info = folder / f"Some_Pack.age-{version}.dist-info"
            info.mkdir(parents=True)
            text = f"Metadata-Version: 2.1\nName: Some_Pack.age\nVersion: {version}\n\nVersion: 9\n"
            (info / "METADATA").write_text(text)
        url = "https://user:pa55@example.org/p.git?token=pa55"
        vcs = {"vcs": "git", "commit_id": "abc"}
        (first / "Some_Pack.age-2.0+cpu.dist-info" / "direct_url.json").write_text(
            json.dumps({"url": url, "vcs_info": vcs})
        )
        (second / "old.egg-info").write_text("Name: old\nVersion: 3\n")
        path = os.pathsep.join((str(first), str(second)))
        seen = parse_facts(printed_by(sys.executable, "-c", probe_source(), PYTHONPATH=path))
        assert seen is not None
        assert seen.get("package.some-pack-age") == "2.0+cpu"
        assert seen.get("package.some-pack-age.origin") == "git+https://example.org/p.git@abc"
        assert seen.get("package.old") == "3"

    def test_packages_agree_with_importlib(self) -> None:
        """The head of the metadata says what all of it says."""
        seen = parse_facts(printed_by(sys.executable, "-I", "-c", probe_source()))
        assert seen is not None
        found = {
            name: value
            for name, value in seen.values
            if name.startswith("package.") and not name.endswith(".origin")
        }
        known: dict[str, object] = {}
        for each in metadata.distributions():
            name = re.sub("[-_.]+", "-", each.metadata["Name"]).lower()
            known.setdefault(f"package.{name}", each.version)
        assert found == known


class TestStages:
    def deep(self, numpy: str, folder: Path) -> tuple[Facts, int]:
        """A deep look, with a module `numpy` of this text, and the exit status."""
        (folder / "numpy.py").write_text(numpy)
        sources = probe_sources(deep=True)
        texts = [text.replace("_IMPORTING_S = 60", "_IMPORTING_S = 1") for text in sources]
        done = subprocess.run(
            [sys.executable, "-S", "-c", *texts],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=60,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(folder)},
        )  # fmt: skip
        seen = parse_facts(done.stdout)
        assert seen is not None
        return seen, done.returncode

    def test_networks_of_containers_are_no_fact_of_this_machine(
        self, engine: docker.APIClient
    ) -> None:
        """They come and go, and a baseline of a run on the host would change with each."""

        def interfaces() -> object:
            seen = parse_facts(printed_by(sys.executable, "-I", "-c", probe_source()))
            assert seen is not None
            return dict(seen.values)["network.interfaces"]

        before = interfaces()
        network = engine.create_network(f"facts-{os.getpid()}", driver="bridge")
        try:
            assert interfaces() == before
        finally:
            engine.remove_network(network["Id"])
        assert "lo" in str(before).split()

    def test_a_deep_look_sees_what_a_quick_one_does_and_more(self) -> None:
        """The same digests twice, of every canary that the packages here allow."""
        out = [printed_by(sys.executable, "-c", *probe_sources(deep=True), PYTHONHASHSEED="0")
               for _ in range(2)]  # fmt: skip
        seen, again = (parse_facts(each) for each in out)
        assert seen is not None
        assert again is not None
        assert seen.values == again.values
        assert {"machine", "numpy.simd", "numpy.build", "canary.libm", "canary.exp",
                "canary.matmul", "canary.sort", "canary.reduce", "canary.hash"} <= {
            name for name, _value in seen.values
        }  # fmt: skip
        assert not unfinished(seen)

    def test_a_crash_leaves_what_was_seen_before(self, tmp_path: Path) -> None:
        """And names the stage, and those that were still to come."""
        seen, status = self.deep("import os; os.kill(os.getpid(), 11)", tmp_path)
        assert status == -11
        assert seen.get("machine") == platform.machine()
        assert seen.get("canary.libm") is not None
        assert seen.get("unread.numpy") == "not finished"
        assert seen.get("unread.torch") == "not reached"
        assert unfinished(seen)

    def test_a_hang_is_given_up(self, tmp_path: Path) -> None:
        """Also where it blocks what Python itself could do about it."""
        seen, status = self.deep(
            "import signal, time; signal.pthread_sigmask(signal.SIG_BLOCK, {14})\n"
            "import ctypes; ctypes.PyDLL(None).sleep(50)",
            tmp_path,
        )
        assert status == 1
        assert seen.get("canary.libm") is not None
        assert seen.get("unread.numpy") == "not finished"

    def test_an_error_is_a_reason_and_no_end(self, tmp_path: Path) -> None:
        """A package may do anything when it is imported, also leave."""
        seen, status = self.deep("print('no line end', end=''); raise SystemExit(3)", tmp_path)
        assert status == 0
        assert seen.get("unread.numpy") == "SystemExit(3)"
        assert seen.get("unread.torch") is None
        assert not unfinished(seen)

    def test_further_stages_that_are_none(self) -> None:
        """The quick look is as it is without them."""
        seen = parse_facts(printed_by(sys.executable, "-c", probe_source(), "no stages"))
        assert seen is not None
        assert "SyntaxError" in str(seen.get("unread.further"))
        assert seen.get("python.version") == platform.python_version()

    def test_a_python_that_does_not_start_leaves_it_to_the_shell(self, tmp_path: Path) -> None:
        """With the status that says how it ended."""
        python = tmp_path / "python3"
        python.write_text("#!/bin/sh\nkill -11 $$\n")
        python.chmod(0o755)
        done = subprocess.run(
            ["/bin/sh", "-c", shell_probe(), "probe", probe_source()],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=60,
            env={"PATH": f"{tmp_path}:/bin:/usr/bin"},
        )  # fmt: skip
        assert done.returncode == 139
        seen = parse_facts(done.stdout, "killed by SIGSEGV")
        assert seen is not None
        assert seen.get("unread.python") == "not finished: killed by SIGSEGV"
        assert seen.get("distribution")


class TestParse:
    def test_the_facts_among_other_lines(self) -> None:
        """An image's Python may print before and after."""
        out = f'warning\n{MARKER}{{"b": 1, "a": null, "c": true, "d": [1]}}\nbye\n'
        assert parse_facts(out) == facts(a=None, b=1, c=True, d="[1]")

    @pytest.mark.parametrize(
        "out",
        ["", "no facts", f"{MARKER}{{", f"{MARKER}[]", f"{MARKER}{'[' * 100_000}", f" {MARKER}{{}}",
         f'{MARKER}{{"a": {"1" * 5000}}}'],
    )  # fmt: skip
    def test_none_in_what_is_none(self, out: str) -> None:
        """A container prints what it likes; that must not be more than no facts."""
        assert parse_facts(out) is None

    def test_values_stay_small_and_comparable(self) -> None:
        """A long text is cut, and NaN, which differs from itself, is text."""
        seen = parse_facts(f'{MARKER}{{"a": "{"x" * 10**6}", "b": NaN, "c": -Infinity}}')
        assert seen == facts(a="x" * 500, b="nan", c="-inf")

    def test_lines_add_up(self) -> None:
        """What was told first stays; of a stage counts what was said last; broken lines do not."""
        out = "\n".join(
            (f'{MARKER}{{"a": 1, "unread.x": "not reached", "unread.y": "not reached"}}',
             f'{MARKER}{{"unread.x": "not finished"}}', f"{MARKER}{{",
             f'{MARKER}{{"a": 2, "b": 3, "unread.x": null}}',
             f'{MARKER}{{"unread.y": "not finished"}}')
        )  # fmt: skip
        assert parse_facts(out) == facts(a=1, b=3, unread__y="not finished")
        killed = facts(a=1, b=3, unread__y="not finished: killed")
        assert parse_facts(out, "killed") == killed

    def test_the_shell_speaks_of_a_python_that_ended_badly(self) -> None:
        """Where Python had said what it sees, only the stage is unknown in which it ended."""
        out = f'{MARKER}{{"python.version": "3"}}\n{MARKER}{{"unread.python": "not finished"}}'
        assert parse_facts(out) == facts(python__version="3")

    def test_names_of_variables_are_not_cut(self) -> None:
        """Half of them would be a difference."""
        names = " ".join(f"NAME_{number}" for number in range(300))
        assert parse_facts(f'{MARKER}{{"environment.names": "{names}"}}') == facts(
            environment__names=names
        )

    @given(st.text())
    def test_any_output_can_be_read(self, out: str) -> None:
        """With the marker in front or without."""
        assert parse_facts(out) is None or MARKER in out
        parse_facts(MARKER + out)

    @given(FACTS)
    def test_what_the_probe_prints_comes_back(self, given_facts: Facts) -> None:
        """Names in order, whatever theirs was."""
        text = json.dumps(dict(reversed(given_facts.values)))
        assert parse_facts(f"{MARKER}{text}\n") == given_facts


class TestMachine:
    @pytest.mark.parametrize(
        ("machine", "wanted", "matches"),
        [
            ("x86_64", "linux/amd64", True),
            ("aarch64", "linux/arm64", True),
            ("aarch64", "linux/amd64", False),
            ("x86_64", "linux/arm64", False),
            ("x86_64", "linux/386", True),
            ("i686", "linux/386", True),
            ("i686", "linux/amd64", False),
            ("aarch64", "linux/arm/v7", True),
            ("armv7l", "linux/arm/v7", True),
            ("armv8l", "linux/arm64", False),
            ("riscv64", "linux/riscv64", True),
            ("ppc64le", "linux/s390x", False),
        ],
    )
    def test_the_machine_inside_is_the_platforms(
        self, machine: str, wanted: str, matches: bool
    ) -> None:
        """A 32-bit image on a 64-bit kernel sees that kernel; nothing else may differ."""
        assert machine_matches(facts(machine=machine), Platform(*wanted.split("/"))) is matches

    def test_what_was_not_seen_is_no_mismatch(self) -> None:
        """An image without a shell; and the host is what it is."""
        assert machine_matches(Facts(), Platform("linux", "arm64"))
        assert machine_matches(facts(machine="x86_64"), HOST)


class TestDiffering:
    def test_the_most_suspicious_comes_first(self) -> None:
        """The machine, the BLAS kernel, packages of both, the rest, packages of one; no folders."""
        actual = facts(
            machine="aarch64", blas__kernel="neoversen1", package__numpy="2.1", package__abc="1",
            cpu__model="x", folder="/a", kernel="6.1", user__id=1, python__platform="b",
            timezone__offset_s=0, unread__blas="OSError",
        )  # fmt: skip
        expected = facts(
            machine="x86_64", blas__kernel="Haswell", package__numpy="2.0", package__scipy="1",
            package__abc="1", cpu__model="y", folder="/b", kernel="6.2", user__id=0,
            python__platform="a", timezone__offset_s=3600,
        )  # fmt: skip
        assert differing(actual, expected) == (
            ("machine", "x86_64", "aarch64"),
            ("blas.kernel", "Haswell", "neoversen1"),
            ("package.numpy", "2.0", "2.1"),
            ("cpu.model", "y", "x"),
            ("timezone.offset_s", 3600, 0),
            ("package.scipy", "1", None),
        )

    def test_what_differs_between_any_two_runs_is_no_difference(self) -> None:
        """The date, a host name that the engine gave, and stages that were not read."""
        one = facts(clock__date="2026-01-01", host__name="0123456789ab", folder="/a")
        other = facts(clock__date="2026-01-02", host__name="ba9876543210", folder="/b")
        assert differing(one, other) == ()
        pods = [f"mlcontainer-15ee04283af34748914{each}-x2v9q" for each in "ab"]
        assert differing(facts(host__name=pods[0]), facts(host__name=pods[1])) == ()
        assert differing(facts(host__name="a"), facts(host__name="b")) == (("host.name", "b", "a"),)

    def test_of_names_of_variables_those_of_one_side(self) -> None:
        """Not two long lists."""
        one, other = facts(environment__names="A B C"), facts(environment__names="C B D")
        assert differing(one, other) == (("environment.names", "D", "A"),)
        assert differing(one, facts(environment__names="C A B")) == ()

    def test_what_one_probe_did_not_look_for_is_no_difference(self) -> None:
        """A deep look against a quick one, or a version of the probe that saw less."""
        quick = facts(machine="x86_64", unread__blas="not finished", package__a="1")
        deep = facts(machine="x86_64", canary__exp="1", files__listing="2", blas__kernel="Zen",
                     package__b="1", env__TZ="UTC")  # fmt: skip
        assert differing(quick, deep) == (
            ("env.TZ", "UTC", None), ("package.a", None, "1"), ("package.b", "1", None),
        )  # fmt: skip

    def test_evidence_comes_before_circumstances(self) -> None:
        """Canaries near the top, who ran it at the end; an origin beside its package."""
        names = ("machine", "canary.exp", "blas.kernel", "numpy.simd", "package.numpy",
                 "package.numpy.origin", "cpu.flags", "python.hash_seed", "locale.collation",
                 "user.umask", "network.interfaces", "host.name")  # fmt: skip
        one = Facts(tuple(sorted((name, "1") for name in names)))
        other = Facts(tuple(sorted((name, "2") for name in names)))
        assert tuple(name for name, _left, _right in differing(one, other)) == names

    def test_a_baseline_keeps_nothing_of_one_person(self) -> None:
        """It lies in a repository."""
        given_facts = facts(host__name="anna", user__home="/home/anna", environment__names="A",
                            clock__date="2026-01-01", machine="x86_64")  # fmt: skip
        assert telling(given_facts) == facts(machine="x86_64")

    @given(FACTS)
    def test_the_same_environment_does_not_differ(self, given_facts: Facts) -> None:
        """Nor does one of which nothing is known."""
        assert differing(given_facts, given_facts) == ()
        assert differing(given_facts, Facts()) == differing(Facts(), given_facts) == ()

    @given(FACTS, FACTS)
    def test_both_directions_name_the_same(self, one: Facts, other: Facts) -> None:
        """In the same order, with the values exchanged."""
        turned = tuple((name, right, left) for name, left, right in differing(one, other))
        assert turned == differing(other, one)


class TestTookEffect:
    @pytest.mark.parametrize(
        ("witness", "shown"),
        [
            (("blas.kernel",), "blas.kernel Haswell → Nehalem"),
            (("threads",), ""),
            (("threads", "blas.kernel"), "blas.kernel Haswell → Nehalem"),
            (("blas.",), "blas.kernel Haswell → Nehalem, blas.threads 2 → 1"),
            (("folder=/b",), "folder /a → /b"),
            (("folder=/c",), ""),
            (("machine=x86_64",), ""),
            (("env.TZ",), "env.TZ none → UTC"),
            (("canary.exp",), ""),
            (("python.hash_seed=0",), "python.hash_seed none → 0"),
            (("environment.names",), "environment.names -A +B"),
            (("numpy.simd",), "numpy.simd -V3 -V4"),
            (("files.listing",), "files.listing zmore, znew, zstd … → arch, cat, ls …"),
            (("canary.sort",), "canary.sort comes out otherwise"),
            ((), ""),
        ],
    )
    def test_a_witness_that_differs_shows_it(self, witness: tuple[str, ...], shown: str) -> None:
        """One is enough; a value that is demanded has to come; what one side never read is none."""
        before = facts(machine="x86_64", blas__kernel="Haswell", blas__threads=2, folder="/a",
                       python__hash_seed=None, environment__names="A C",
                       numpy__simd="V1 V2 V3 V4", canary__sort="00ff00ff",
                       files__listing="zmore, znew, zstd … (9ead9548)")  # fmt: skip
        after = facts(machine="x86_64", blas__kernel="Nehalem", blas__threads=1, folder="/b",
                      env__TZ="UTC", canary__exp="1", python__hash_seed="0",
                      environment__names="B C", numpy__simd="V1 V2", canary__sort="11ff00ff",
                      files__listing="arch, cat, ls … (0bb2160f)")  # fmt: skip
        assert took_effect(witness, before, after) == shown

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("arch, cat, ls … (9ead9548)", "arch, cat, ls … (0bb2160f)"),
            ("9ead9548", "0bb2160f"),  # as older records have it
            ("9ead9548", "arch, cat, ls … (0bb2160f)"),
        ],
    )
    def test_a_digest_is_no_order_to_show(self, one: str, other: str) -> None:
        """It says nothing to a reader."""
        before, after = facts(files__listing=one), facts(files__listing=other)
        assert took_effect(("files.listing",), before, after) == "files.listing in another order"
        assert differing(after, before) == (("files.listing", "one order", "another order"),)

    def test_the_names_that_come_first_are_shown(self) -> None:
        before = facts(files__listing="arch, cat … (9ead9548)")
        after = facts(files__listing="zmore, zip … (0bb2160f)")
        assert differing(after, before) == (("files.listing", "arch, cat …", "zmore, zip …"),)

    @given(FACTS, st.lists(NAMES).map(tuple))
    def test_nothing_takes_effect_where_nothing_changes(
        self, given_facts: Facts, witness: tuple[str, ...]
    ) -> None:
        """Whatever the witness."""
        assert took_effect(witness, given_facts, given_facts) == ""


class TestSuspicion:
    def test_canaries_convict_and_clear(self) -> None:
        """A kernel that is another but multiplies alike did nothing; libm computes otherwise."""
        before = facts(blas__kernel="Zen", canary__matmul="1", canary__libm="1", libc="glibc 2.36")
        after = facts(blas__kernel="Haswell", canary__matmul="1", canary__libm="2",
                      libc="glibc 2.41")  # fmt: skip
        found = suspicion(before, after)
        assert found["libm"] > 0.9 > 0.1 > found["blas-kernel"] > 0

    def test_without_canaries_facts_have_to_do(self) -> None:
        """And the more of them, the more."""
        before = facts(blas__kernel="Zen", machine="x86_64", blas__threads=2)
        kernel = facts(blas__kernel="Haswell", machine="x86_64", blas__threads=2)
        machine = facts(blas__kernel="neoversen1", machine="aarch64", blas__threads=2)
        some, more = suspicion(before, kernel), suspicion(before, machine)
        assert 1 > more["blas-kernel"] > some["blas-kernel"] > 0.5
        assert some["threads"] == some["simd"] == 0 < more["simd"]

    def test_packages_that_compute_are_suspected_first(self) -> None:
        """NumPy before a package for colours."""
        numpy = suspicion(facts(package__numpy="1"), facts(package__numpy="2"))
        colours = suspicion(facts(package__colorama="1"), facts(package__colorama="2"))
        assert numpy["dependency"] > colours["dependency"] > 0

    @given(FACTS, FACTS)
    def test_every_family_has_its_share(self, one: Facts, other: Facts) -> None:
        """Between 0 and 1, the same both ways, and 0 where nothing differs."""
        found = suspicion(one, other)
        assert found == suspicion(other, one)
        assert all(0 <= share <= 1 for share in found.values())
        assert set(suspicion(one, one).values()) == {0.0}
        assert len(found) == 27


def test_digests_of_canaries_are_told_as_results() -> None:
    """A digest says nothing to a reader; that another result came out does."""
    one, other = (
        facts(canary__exp="0a1b", blas__kernel="Zen"),
        facts(canary__exp="ffee", blas__kernel="Zen"),
    )
    assert differing(other, one) == (("canary.exp", "one result", "another result"),)
