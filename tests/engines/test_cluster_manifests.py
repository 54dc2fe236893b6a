"""The Job that a cluster is given for a container."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from pytest_mlcontainer.engines import ContainerSpec
from pytest_mlcontainer.engines.kubernetes.labels import as_label, metadata, owner_notes
from pytest_mlcontainer.engines.kubernetes.manifests import BUSYBOX, PodPlan, plan_job
from pytest_mlcontainer.errors import EngineError, GpuError
from pytest_mlcontainer.model import ClusterSettings, Image, Limits, Owner, Platform

ARM64 = Platform("linux", "arm64")
USUAL = ClusterSettings()
OWNER = Owner("f" * 32, "machine.example/pid:[4026531836]", 12, "99@boot")
IMAGE = Image(
    "tests:1", "sha256:1", ARM64, entrypoint=("python",), command=("train.py",), user="1000"
)


def job(
    spec: ContainerSpec | None = None, settings: ClusterSettings = USUAL, **more: Any
) -> dict[str, Any]:
    plan = PodPlan(
        metadata=metadata(OWNER, "mlcontainer-1"),
        spec=spec or ContainerSpec("tests:1", ARM64),
        image=IMAGE,
        reference="registry.example/tests@sha256:2",
        settings=settings,
        **more,
    )
    return plan_job(plan)


def pod(*args: Any, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = job(*args, **more)["spec"]["template"]["spec"]
    return found


def program(*args: Any, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = pod(*args, **more)["containers"][0]
    return found


def test_a_job_is_never_repeated_and_ends_with_nobody_there() -> None:
    spec = ContainerSpec("tests:1", ARM64, limits=Limits(timeout_s=100.5))
    planned = job(spec)
    assert planned["spec"]["backoffLimit"] == 0
    assert planned["spec"]["template"]["spec"]["restartPolicy"] == "Never"
    assert planned["spec"]["template"]["spec"]["activeDeadlineSeconds"] == 101 + 1800
    assert planned["spec"]["activeDeadlineSeconds"] > 101 + 1800
    assert planned["spec"]["ttlSecondsAfterFinished"] > 0
    assert planned["spec"]["podFailurePolicy"]["rules"][0]["action"] == "FailJob"
    json.dumps(planned)


def test_a_pod_may_do_as_little_as_a_container() -> None:
    """What Pod Security calls restricted, for an image whose user is not root."""
    planned = pod()
    assert planned["automountServiceAccountToken"] is False
    assert planned["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for each in (*planned["initContainers"], *planned["containers"]):
        allowed = each["securityContext"]
        assert allowed["allowPrivilegeEscalation"] is False
        assert allowed["capabilities"]["drop"] == ["ALL"]
        assert allowed["runAsNonRoot"] is True
        assert not allowed.get("privileged")


def test_a_root_user_is_not_said_to_be_another() -> None:
    spec = ContainerSpec("tests:1", ARM64, limits=Limits(user="0"))
    assert "runAsNonRoot" not in program(spec)["securityContext"]
    spec = ContainerSpec("tests:1", ARM64, limits=Limits(user="1000:2000"))
    allowed = program(spec)["securityContext"]
    assert (allowed["runAsUser"], allowed["runAsGroup"]) == (1000, 2000)


@pytest.mark.parametrize(
    ("spec", "argv"),
    [
        (ContainerSpec("i", ARM64), ["python", "train.py"]),
        (ContainerSpec("i", ARM64, command=("infer.py",)), ["python", "infer.py"]),
        (ContainerSpec("i", ARM64, entrypoint=("sh",)), ["sh"]),
        (ContainerSpec("i", ARM64, entrypoint=("sh",), command=("-c", "x")), ["sh", "-c", "x"]),
    ],
)
def test_the_command_is_put_together_as_docker_does(spec: ContainerSpec, argv: list[str]) -> None:
    command = program(spec)["command"]
    assert command[0] == BUSYBOX
    assert command[-len(argv) :] == argv
    machines, bound = command[-len(argv) - 2 : -len(argv)]
    assert machines == "b700 2800", "machines whose programs arm64 runs"
    assert bound == "-", "it may use all processors"


def test_a_folder_is_copied_by_the_projects_image_before_its_program_starts() -> None:
    """Which may have the copy for reading only."""
    spec = ContainerSpec("tests:1", ARM64, cpuset="0", copy=("/app", "/there"), copy_read_only=True)
    (before, copying), (own, *_others) = pod(spec)["initContainers"], pod(spec)["containers"]
    assert (before["name"], copying["image"]) == ("prepare", own["image"])
    assert copying["command"][-2:] == ["/app", "/there"]
    mounted = [
        {each["mountPath"]: each.get("readOnly") for each in container["volumeMounts"]}["/there"]
        for container in (copying, own)
    ]
    assert mounted == [False, True]
    assert "bound" in own["command"]


def test_variables_are_what_they_are() -> None:
    """A cluster would put another variable in the place of `$(NAME)`, and `$` in that of `$$`."""
    spec = ContainerSpec("tests:1", ARM64, env=(("A", "$(PATH) $$"),), command=("echo $$",))
    assert program(spec)["env"] == [{"name": "A", "value": "$$(PATH) $$$$"}]
    assert program(spec)["command"][-1] == "echo $$$$"


def test_a_node_is_chosen_by_platform_and_by_what_the_project_says() -> None:
    settings = ClusterSettings(
        node_selector=(("pool", "ml"),),
        platform_node_selector=((ARM64, (("pool", "arm"), ("disk", "ssd"))),),
        tolerations='[{"key": "arm"}]',
        priority_class="low",
        queue="nightly",
        pull_secrets=("login",),
        service_account="runner",
    )
    planned = job(settings=settings)
    inner = planned["spec"]["template"]["spec"]
    assert inner["nodeSelector"] == {
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "arm64",
        "pool": "arm",
        "disk": "ssd",
    }
    assert inner["tolerations"] == [{"key": "arm"}]
    assert inner["priorityClassName"] == "low"
    assert inner["imagePullSecrets"] == [{"name": "login"}]
    assert inner["serviceAccountName"] == "runner"
    assert planned["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "nightly"


def test_limits_are_what_is_asked_for_and_disk_is_not_set_aside() -> None:
    limits = Limits(memory_bytes=1 << 30, cpus=1.5, gpus="2", shm_size_bytes=1 << 20)
    settings = ClusterSettings(gpu_resource="amd.com/gpu")
    found = program(ContainerSpec("i", ARM64, limits=limits), settings)["resources"]
    assert found["limits"]["memory"] == found["requests"]["memory"] == str(1 << 30)
    assert found["limits"]["cpu"] == "1500m"
    assert found["limits"]["amd.com/gpu"] == "2"
    assert found["limits"]["ephemeral-storage"] == str(limits.disk_bytes)
    assert found["requests"]["ephemeral-storage"] == "1Mi"


def test_gpus_are_told_by_their_number() -> None:
    for asked, count in (("all", "1"), ("4", "4")):
        spec = ContainerSpec("i", ARM64, limits=Limits(gpus=asked))
        assert program(spec)["resources"]["limits"]["nvidia.com/gpu"] == count
    with pytest.raises(GpuError, match="device=0"):
        job(ContainerSpec("i", ARM64, limits=Limits(gpus="device=0")))


@pytest.mark.parametrize(
    ("limits", "words"),
    [(Limits(user="app"), "by its number"), (Limits(engine_socket=True), "no socket")],
)
def test_what_a_pod_cannot_have_is_refused(limits: Limits, words: str) -> None:
    with pytest.raises(EngineError, match=words) as raised:
        job(ContainerSpec("i", ARM64, limits=limits))
    assert raised.value.remedy


def test_mounts_are_the_programs_to_read_and_the_keepers_to_fill() -> None:
    spec = ContainerSpec("i", ARM64, volumes=(("v", "/data"),), scratch=("/out",), confined=True)
    planned = pod(spec, ClusterSettings(claims=(("/models", "weights"),)))
    mounts = {each["mountPath"]: each for each in planned["containers"][0]["volumeMounts"]}
    assert mounts["/data"]["readOnly"] is True
    assert mounts["/models"]["readOnly"] is True
    assert "readOnly" not in mounts["/out"]
    assert "/tmp" in mounts
    assert planned["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True
    keeper = {each["mountPath"]: each for each in planned["containers"][1]["volumeMounts"]}
    assert "readOnly" not in keeper["/volumes/0"]
    assert keeper["/volumes/0"]["name"] == mounts["/data"]["name"]
    names = [each["name"] for each in planned["volumes"]]
    assert len(set(names)) == len(names)


def test_confined_takes_capabilities_and_privilege_away() -> None:
    limits = Limits(privileged=True, capabilities=("NET_RAW",), new_privileges=True)
    plain = program(ContainerSpec("i", ARM64, limits=limits))["securityContext"]
    assert plain["privileged"]
    assert plain["capabilities"]["add"] == ["NET_RAW"]
    confined = program(ContainerSpec("i", ARM64, limits=limits, confined=True))["securityContext"]
    assert "privileged" not in confined
    assert confined["capabilities"]["add"] == []
    assert confined["allowPrivilegeEscalation"] is False


def test_a_template_is_laid_over_key_by_key() -> None:
    settings = ClusterSettings(
        pod=json.dumps(
            {
                "metadata": {"annotations": {"side-car/inject": "false"}},
                "spec": {"runtimeClassName": "gvisor", "nodeSelector": {"zone": "a"}},
            }
        )
    )
    template = job(settings=settings)["spec"]["template"]
    assert template["spec"]["runtimeClassName"] == "gvisor"
    assert template["spec"]["nodeSelector"]["kubernetes.io/arch"] == "arm64"
    assert template["spec"]["nodeSelector"]["zone"] == "a"
    assert template["metadata"]["annotations"]["side-car/inject"] == "false"
    assert owner_notes(template)["pytest-mlcontainer.session"] == OWNER.session


def test_secrets_come_from_a_secret_and_not_from_the_manifest() -> None:
    assert program(secret="mlcontainer-1")["envFrom"] == [{"secretRef": {"name": "mlcontainer-1"}}]
    assert "envFrom" not in program()


def test_whose_a_thing_is_stands_in_it_whole() -> None:
    about = metadata(OWNER, "mlcontainer-1", called="volume one", kept=True)
    told = owner_notes({"metadata": about})
    assert told["pytest-mlcontainer.host"] == OWNER.host
    assert told["pytest-mlcontainer.pid-start"] == OWNER.pid_start
    assert told["pytest-mlcontainer.name"] == "volume one"
    assert about["labels"]["pytest-mlcontainer.keep"] == "true"


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("12:34@boot", "12_34_boot"),
        ("a" * 70, "a" * 63),
        ("-x-", "x"),
        ("a" * 62 + "..b", "a" * 62),
        ("", ""),
    ],
)
def test_any_text_becomes_a_label(text: str, label: str) -> None:
    assert as_label(text) == label


def test_a_network_is_told_by_a_label_that_the_policy_selects() -> None:
    for network in ("none", "bridge"):
        spec = ContainerSpec("i", ARM64, limits=replace(Limits(), network=network))
        labels = job(spec)["spec"]["template"]["metadata"]["labels"]
        assert labels["pytest-mlcontainer.network"] == network
