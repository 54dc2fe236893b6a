"""What takes room that it need not take: told with its bytes, its place and the mend."""

from __future__ import annotations

import tarfile
from collections.abc import Iterable

import pytest

from pytest_mlcontainer.image_checks.inventory import Inventory
from pytest_mlcontainer.image_checks.size.findings import (
    SizeLimits,
    avoidable,
    between_platforms,
    over_budget,
    shown_limit,
)
from pytest_mlcontainer.image_checks.size.measure import measure
from pytest_mlcontainer.image_checks.size.recorded import change_between
from pytest_mlcontainer.model import ImageFinding, Severity
from tests.image_checks.saved_images import special
from tests.image_checks.test_size_figures import MB, Files, distribution, image, some

BIG = some(2 * MB, "big")
OTHER = some(3 * MB, "other")


def found(inventory: Inventory, base_layers: int = 0) -> list[ImageFinding]:
    return list(avoidable(inventory, measure(inventory), base_layers))


def only(findings: Iterable[ImageFinding]) -> ImageFinding:
    (finding,) = findings
    return finding


@pytest.mark.parametrize(
    ("files", "rule", "severity", "cost", "mend"),
    [
        (
            {"root/.cache/pip/a": BIG},
            "SZ004",
            Severity.WARNING,
            2 * MB,
            "--mount=type=cache,target=/root/.cache/pip pip install",
        ),
        ({"var/lib/apt/lists/a": OTHER}, "SZ004", Severity.WARNING, 3 * MB, "rm -rf /var/lib/apt"),
        ({"root/.cache/huggingface/hub/m": BIG}, "SZ007", Severity.INFO, 2 * MB, "add the rule"),
        ({"app/a": BIG, "app/b": BIG}, "SZ006", Severity.INFO, 2 * MB, "ln -sf /app/a /app/b"),
        (
            distribution("numpy", "2", {"numpy/tests/test_a.py": BIG}),
            "SZ008",
            Severity.INFO,
            2 * MB,
            "-name tests -prune",
        ),
        (
            {"app/__pycache__/a.cpython-313.pyc": BIG},
            "SZ009",
            Severity.INFO,
            2 * MB,
            "--no-compile",
        ),
    ],
)
def test_what_need_not_be_there_is_told(
    files: Files, rule: str, severity: Severity, cost: int, mend: str
) -> None:
    finding = only(found(image(files)))
    assert (finding.rule, finding.severity, finding.cost_bytes) == (rule, severity, cost)
    assert mend in finding.mend


@pytest.mark.parametrize(
    "files",
    [
        {"app/model.pt": BIG},
        {"root/.cache/pip/a": b"1" * 5000},
        {"app/a": BIG, "app/b": special(tarfile.LNKTYPE, "app/a")},
        distribution("a", "1", {"a/x.so": BIG, "b/x.so": BIG}),
    ],
)
def test_what_is_needed_or_small_is_not(files: Files) -> None:
    assert found(image(files)) == []


@pytest.mark.parametrize(
    ("upper", "what", "mend"),
    [
        (
            {"app/.wh.model": b""},
            "layer 2 deletes 2.0 MB that layer 1 still holds: /app/model",
            "delete in the same RUN",
        ),
        (
            {"app/model": BIG},
            "layer 2 holds 2.0 MB of layer 1 a second time: /app/model",
            "COPY --chown",
        ),
        (
            {"app/model": OTHER},
            "layer 2 replaces 2.0 MB of layer 1: /app/model",
            "install the wanted version at once",
        ),
    ],
)
def test_what_later_layers_hide_is_told_by_how_they_do_it(
    upper: Files, what: str, mend: str
) -> None:
    inventory = image({"app/model": BIG}, upper)
    finding = only(found(inventory))
    assert (finding.rule, finding.what, finding.cost_bytes) == ("SZ005", what, 2 * MB)
    assert finding.mend.startswith(mend) or mend in finding.mend
    assert "made by: RUN /bin/sh -c make # buildkit" in finding.why
    assert only(found(inventory, base_layers=1)).mend.startswith("the base brought the files")


def test_budgets_are_held_by_all_layers_and_by_each() -> None:
    inventory = image({"a": BIG}, {"b": OTHER})
    figures = measure(inventory)
    limits = SizeLimits(total_bytes=4 * MB, layer_bytes=5 * 2**19)
    total, layer = over_budget(inventory, figures, limits, None)
    assert (total.rule, total.cost_bytes) == ("SZ001", 1 * MB)
    assert total.what == "the image takes 5.0 MB, its budget is 4.0 MB"
    assert (layer.rule, layer.place) == ("SZ002", "layer 2")
    assert layer.what.startswith(
        "layer 2 takes 3.0 MB, the budget of a layer is 2,560 KiB (2.6 MB)"
    )
    exact = SizeLimits(total_bytes=5 * MB, layer_bytes=3 * MB)
    assert list(over_budget(inventory, figures, exact, None)) == []
    assert list(over_budget(inventory, figures, SizeLimits(), None)) == []


def test_growth_beyond_what_is_allowed_says_what_grew() -> None:
    inventory = image({"a": BIG})
    figures = measure(inventory)
    change = change_between({"/a": 1 * MB, "torch (python)": 9 * MB}, {"/a": 2 * MB, "/b": 10 * MB})
    finding = only(over_budget(inventory, figures, SizeLimits(growth=0.05), change))
    assert (finding.rule, finding.cost_bytes) == ("SZ003", 2 * MB)
    assert "grew by 20.0%" in finding.what
    assert "10 MB → 12 MB" in finding.what
    assert finding.why == "most of it: /b +10 MB, torch (python) −9.0 MB, /a +1.0 MB"
    assert list(over_budget(inventory, figures, SizeLimits(growth=0.2), change)) == []
    assert list(over_budget(inventory, figures, SizeLimits(growth=0.05), None)) == []


def test_platforms_that_differ_by_a_tenth_are_told() -> None:
    change = change_between({"/a": 100 * MB}, {"/a": 100 * MB, "nvidia-cudnn (python)": 700 * MB})
    finding = only(between_platforms(change, "linux/amd64", "linux/arm64"))
    assert (finding.rule, finding.cost_bytes) == ("SZ010", 700 * MB)
    assert finding.what == "for linux/amd64 the image takes 800 MB, for linux/arm64 100 MB"
    assert "nvidia-cudnn (python) +700 MB" in finding.why
    alike = change_between({"/a": 100 * MB}, {"/a": 105 * MB})
    assert list(between_platforms(alike, "a", "b")) == []


def test_limits_are_shown_as_they_were_written() -> None:
    assert shown_limit(4 << 30) == "4 GiB (4.3 GB)"
    assert shown_limit(250 << 20) == "250 MiB (262 MB)"
    assert shown_limit(1_500_000) == "1.5 MB"
