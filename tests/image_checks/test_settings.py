"""`[tool.mlcontainer.image]`: what it takes, and what it says of mistakes."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from pytest_mlcontainer.config import parse_settings
from pytest_mlcontainer.errors import ConfigError
from pytest_mlcontainer.image_checks.registry import CHECKS
from pytest_mlcontainer.matrix import plan
from pytest_mlcontainer.model import IMAGE_CHECKS, CheckSettings, Options, Settings, Severity


def read(image: str) -> Settings:
    table = tomllib.loads(f"[image]\n{image}")
    return parse_settings(table, Path("/project/pyproject.toml"), "x86_64", "p")


def test_each_check_has_its_function() -> None:
    """One table says what there is, the other what it does."""
    assert {check.name for check in IMAGE_CHECKS} == set(CHECKS)


def test_what_is_on_by_default_fails_for_errors_alone() -> None:
    """An upgrade adds a test that passes where nothing certainly does harm."""
    by_default = {check.name for check in IMAGE_CHECKS if check.by_default}
    assert {check.name for check in read("").checks} == by_default
    assert all(not each.asked and each.threshold is Severity.ERROR for each in read("").checks)


@pytest.mark.parametrize(
    ("image", "check"),
    [
        ("lint = true", CheckSettings("lint", asked=True)),
        ("lint = {}", CheckSettings("lint", asked=True)),
        (
            'lint = { threshold = "info", ignore = ["DL3008", "SC2086", "ML005:data/*"] }',
            CheckSettings("lint", True, Severity.INFO, ("DL3008", "SC2086", "ML005:data/*")),
        ),
        ('lint.ignore = "FromAsCasing"', CheckSettings("lint", True, ignore=("FromAsCasing",))),
        (
            'lint = { large-file = "1m", dockerfiles = "*.Dockerfile" }',
            CheckSettings(
                "lint", True, values=(("dockerfiles", ("*.Dockerfile",)), ("large-file", 1 << 20))
            ),
        ),
        (
            'size = { budget = "4 GiB", layer-budget = "1g", growth = "5%" }',
            CheckSettings(
                "size",
                True,
                values=(("budget", 4 << 30), ("layer-budget", 1 << 30), ("growth", 0.05)),
            ),
        ),
        (
            'gpu = { driver = "535.104.05", capabilities = ["8.0", "12.0"] }',
            CheckSettings(
                "gpu", True, values=(("driver", "535.104.05"), ("capabilities", ("8.0", "12.0")))
            ),
        ),
        (
            'start = { serves = 8000, user = "app:users", labels = { a = "b" }, '
            'ports = [1, "2/udp"], stop-timeout = "5s" }',
            CheckSettings(
                "start",
                True,
                values=(
                    ("serves", 8000),
                    ("stop-timeout", 5.0),
                    ("user", "app:users"),
                    ("labels", ("a=b",)),
                    ("ports", ("1/tcp", "2/udp")),
                ),
            ),
        ),
        ("start.exit-codes = 0", CheckSettings("start", True, values=(("exit-codes", ("0",)),))),
        ("gpu.driver = 535", CheckSettings("gpu", True, values=(("driver", "535"),))),
    ],
)
def test_a_check_is_set_by_a_switch_or_a_table(image: str, check: CheckSettings) -> None:
    assert next(each for each in read(image).checks if each.name == check.name) == check


def test_a_check_can_be_left_out() -> None:
    assert "lint" not in {each.name for each in read("lint = false").checks}


@pytest.mark.parametrize(
    ("image", "parts"),
    [
        ("lnt = true", ("unknown key in [tool.mlcontainer.image]", "did you mean lint?")),
        ('threshold = "info"', ("threshold belongs to a check: lint = { threshold = … }",)),
        ("lint = 3", ("lint: neither a table nor a switch: 3", "write lint = true or false")),
        ('size = "200 MB"', ("neither a table nor a switch", 'size = { budget = "200 MB" }')),
        ('lint = "info"', ("neither a table nor a switch", 'lint = { threshold = "info" }')),
        ('lint = { treshold = "info" }', ("[tool.mlcontainer.image.lint]", "mean threshold?")),
        ('lint = { threshold = "warn" }', ('not a choice: "warn"', "did you mean warning?")),
        ('lint = { ignore = ["ML0001"] }', ('no such rule: "ML0001"', "did you mean ML001?")),
        ('lint = { ignore = ["DL30008"] }', ('no such rule: "DL30008"', "one of Hadolint")),
        ('lint = { ignore = ["ML005:"] }', ("names no place after the colon", '"ML005:data/*"')),
        ('lint = { large-file = "big" }', ('large-file: not a size: "big"',)),
        ("size = { budget = -1 }", ("budget: not a size: -1",)),
        ("size = { growth = 5 }", ("growth: not a percentage: 5", 'write it with its sign: "5%"')),
        ('size = { layer_budget = "1g" }', ("did you mean layer-budget?",)),
        ('size = { ignore = ["SZ01"] }', ('no such rule: "SZ01"', "did you mean SZ0")),
        ('gpu = { driver = "latest" }', ("not a version of NVIDIA's driver", '"535.104.05"')),
        ("gpu = { driver = true }", ("not a version of NVIDIA's driver: true",)),
        ("gpu = { capabilities = [8.0] }", ("not a compute capability: 8.0", "nvidia-smi")),
        ('gpu = { capabilities = ["80"] }', ('not a compute capability: "80"',)),
        ("start.serves = 70000", ("serves: not a port: 70000",)),
        ("start = { serves = 80, exit-codes = 0 }", ("serves: conflicts with exit-codes",)),
        ('start.ports = "8000/tpc"', ('not a protocol: "8000/tpc"', '"8000/udp"')),
        ('start.ports = "http"', ('not a port: "http"',)),
        ('start.read-only = "yes"', ('neither true nor false: "yes"',)),
        ('start.writable = "cache"', ('not a folder in the image: "cache"', "whole path")),
        ('start.entrypoint = "python x.py"', ("has to be a list of strings", '["python", "x.py"]')),
        ('start.env = "A=b"', ('not a table: "A=b"',)),
        ("lint = { dockerfiles = [1] }", ("dockerfiles: has to be a string: 1",)),
    ],
)
def test_mistakes_are_told_with_what_to_write(image: str, parts: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError) as caught:
        read(image)
    for part in parts:
        assert part in str(caught.value)


def test_a_check_that_needs_runs_comes_after_them() -> None:
    """What fails early is done first, and runs that others need are there by then."""
    text = "[image]\nslim = true\n[entrypoints.train]\ncommand = ['train']\n"
    settings = parse_settings(tomllib.loads(text), Path("/p/pyproject.toml"), "x86_64", "p")
    names = [str(job).partition("[")[0] for job in plan(settings, Options())]
    assert names == ["image::lint", "image", "image::size", "image::gpu", "train", "image::slim"]
