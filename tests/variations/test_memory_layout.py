"""A program that follows addresses drifts under any change, and no change is blamed for it."""

from __future__ import annotations

import json

from tests.sample_project import MakeProject

BY_ADDRESS = """\
import json, os

class Layer:
    def __init__(self, name):
        self.name = name

# So few that their order follows the lower bits of addresses, which runs have in common.
layers = {Layer(f"l{number}") for number in range(40)}
os.makedirs("outputs", exist_ok=True)
with open("outputs/order.json", "w") as file:
    json.dump([each.name for each in layers], file)
"""


def test_what_follows_addresses_is_named_as_that(project: MakeProject) -> None:
    """Variables that nothing reads make it drift, as whatever was varied does."""
    project.write(train=BY_ADDRESS)
    vary = "--container-vary=libm,home,umask,nofile,workdir"
    text = project.run("-k", "varies", vary, "--container-report=report").stdout.str()
    report = json.loads((project.root / "report" / "report.json").read_text())
    (found,) = [each for each in report["results"] if each["verdict"] == "drift"]
    assert [each["names"] for each in found["causes"]] == [["memory-layout"]], text
    assert "variables are added that nothing reads: drifts with it alone" in text
    assert "whether it does more cannot be told" in text
