from __future__ import annotations

import subprocess
from collections.abc import Iterator

import docker
import pytest

from pytest_mlcontainer.config.targets import parse_gpus
from pytest_mlcontainer.engines.docker.gpus import device_request

# As docker itself takes them.
DOCKERS_OWN = [
    "all",
    "2",
    "count=2",
    "count=all",
    '"device=0,1"',
    "device=GPU-3a23c669-1f69-c64e-cf85-44e9b07e7a2a",
    "capabilities=utility",
    'all,"capabilities=compute,utility"',
    '"device=0,1",capabilities=utility',
    "driver=nvidia,count=1",
    "driver=nvidia,device=1",
    'count=1,"options=visible=yes,mode=x"',
]


@pytest.fixture(scope="module")
def created(engine: docker.APIClient) -> Iterator[list[str]]:
    """Containers that a test creates; removed at the end."""
    made: list[str] = []
    yield made
    for container in made:
        engine.remove_container(container, force=True)


@pytest.mark.parametrize("spec", DOCKERS_OWN)
def test_docker_asks_for_the_same(engine: docker.APIClient, created: list[str], spec: str) -> None:
    """What `docker create --gpus SPEC` puts into a container's configuration is the oracle."""
    said = subprocess.run(
        ["docker", "create", "--gpus", spec, "python:3.13-slim", "true"],
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    created.append(said.stdout.strip())
    (theirs,) = engine.inspect_container(created[-1])["HostConfig"]["DeviceRequests"]
    assert {name: value or None for name, value in device_request(spec).items()} == {
        name: value or None for name, value in theirs.items()
    }


@pytest.mark.parametrize(
    ("bare", "quoted"),
    [
        ("device=0,1", '"device=0,1"'),
        ("device=0,1,capabilities=utility", '"device=0,1",capabilities=utility'),
        ("capabilities=compute,utility,2", '"capabilities=compute,utility",count=2'),
        ("capabilities=compute,utility,all", '"capabilities=compute,utility",all'),
        ("device=0,driver=nvidia", '"device=0","driver=nvidia"'),
    ],
)
def test_the_quotes_that_a_shell_eats_are_not_needed(bare: str, quoted: str) -> None:
    """`--gpus "device=0,1"` reaches us without them."""
    assert device_request(bare) == device_request(quoted)


def test_a_cdi_name_is_a_device_of_its_own_driver() -> None:
    """As `docker run --device nvidia.com/gpu=all` asks for it."""
    request = device_request("nvidia.com/gpu=all")
    assert (request["Driver"], request["DeviceIDs"]) == ("cdi", ["nvidia.com/gpu=all"])
    assert request["Count"] == 0


@pytest.mark.parametrize("spec", [*DOCKERS_OWN, "device=0,1", "nvidia.com/gpu=0"])
def test_what_the_configuration_takes_can_be_asked_for(spec: str) -> None:
    """So that no run fails over a value that was accepted before."""
    assert device_request(parse_gpus(spec)) == device_request(spec)


@pytest.mark.parametrize("spec", ["cout=2", "some", "device=0,x=1"])
def test_anything_else_is_an_error(spec: str) -> None:
    """Here as in the configuration, which finds it first."""
    with pytest.raises(ValueError):
        device_request(spec)
