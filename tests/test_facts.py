from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mlcontainer.facts import (
    MARKER,
    differing,
    machine_matches,
    parse_facts,
    probe_source,
    shell_probe,
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
