"""What `scripts/cluster` plans, writes and refuses.

That it brings a cluster up is shown by every test in `tests/kubernetes`.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import ssl
import stat
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.cluster import (
    cache,
    certificates,
    cli,
    components,
    control_groups,
    layout,
    lifecycle,
    machine,
    nodes,
    packages,
    programs,
    versions,
)
from scripts.engine.emulation import ARCHITECTURES
from scripts.engine.network import Network
from scripts.engine.problems import SetupError

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "cluster"
POOL = Network("10.62.0.0/16")
openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl on PATH")


def cluster_in(folder: Path) -> layout.Cluster:
    ports = {**layout.PREFERRED_PORTS, layout.LOOPBACK_REGISTRY: 5001}
    where = layout.ClusterLayout(folder)
    built, unpacked = folder / "programs", folder / "packages"
    return layout.Cluster(where, built, unpacked, layout.Addresses(POOL), ports)


class TestLayout:
    def test_nodes_pods_and_services_share_the_range_without_overlap(self) -> None:
        addresses = layout.Addresses(POOL)
        subnets = (addresses.nodes, addresses.pods(1), addresses.pods(2), addresses.services)
        for number, subnet in enumerate(subnets):
            assert subnet.subnet_of(POOL)
            assert not any(subnet.overlaps(other) for other in subnets[number + 1 :])
        own = {addresses.host, addresses.node(1), addresses.node(2)}
        assert len(own) == 3
        assert all(Network(address).subnet_of(addresses.nodes) for address in own)

    def test_two_directories_share_no_name_outside_of_them(self, tmp_path: Path) -> None:
        one, two = cluster_in(tmp_path / "a"), cluster_in(tmp_path / "b")
        assert one.layout.ident != two.layout.ident
        for node in one.nodes:
            assert len(nodes.interface(one, node)) <= 15, "an interface's name has no more"

    def test_a_cluster_is_not_taken_for_an_engine(self, tmp_path: Path) -> None:
        """Both may lie in one folder's neighbourhood; bridges and entries must differ."""
        assert layout.ClusterLayout.prefix != "mlc-"
        assert layout.ClusterLayout(tmp_path).ident.startswith("mlk-")

    def test_a_path_too_long_for_sockets_is_refused_before_anything_is_made(self) -> None:
        with pytest.raises(SetupError, match=r"Set CLUSTER_DIR to one at least \d+ bytes shorter"):
            layout.layout_from({"CLUSTER_DIR": "/tmp/" + "x" * 90})

    def test_a_cluster_survives_the_state_file(self, tmp_path: Path) -> None:
        cluster = cluster_in(tmp_path)
        state = json.loads(json.dumps(cluster.as_state()))
        assert layout.cluster_from_state(cluster.layout, state) == cluster

    @pytest.mark.parametrize("lost", ["programs", "packages", "pool", "ports"])
    def test_a_state_of_a_run_that_was_killed_early_is_no_cluster(
        self, lost: str, tmp_path: Path
    ) -> None:
        cluster = cluster_in(tmp_path)
        state = cluster.as_state()
        del state[lost]
        assert layout.cluster_from_state(cluster.layout, state) is None


KUBERNETES_MODULE = """\
module k8s.io/kubernetes

go 1.24.0

godebug default=go1.24

require (
	k8s.io/api v0.0.0
	k8s.io/utils v0.0.0-20250604170112-4c0f3b243397
)

replace (
	k8s.io/api => ./staging/src/k8s.io/api
	k8s.io/apimachinery => ./staging/src/k8s.io/apimachinery
)
"""


class TestPrograms:
    def test_staged_modules_are_taken_as_they_were_released(self) -> None:
        lines = programs.module_text(KUBERNETES_MODULE, "v1.34.4").splitlines()
        assert "go 1.24.0" in lines
        assert "require k8s.io/kubernetes v1.34.4" in lines
        assert [line.strip() for line in lines if "=>" in line] == [
            "k8s.io/api => k8s.io/api v0.34.4",
            "k8s.io/apimachinery => k8s.io/apimachinery v0.34.4",
        ]

    def test_their_folder_is_named_after_all_that_makes_them_what_they_are(self) -> None:
        name = programs.folder_name()
        assert versions.KUBERNETES in name
        assert versions.KUBE_ROUTER in name
        assert name.endswith(f"-{versions.RECIPE}")

    def test_without_go_a_build_says_how_to_get_it(self, tmp_path: Path) -> None:
        with pytest.raises(SetupError, match="no Go to build Kubernetes with") as caught:
            programs.ensure(tmp_path / "cache", {"PATH": str(tmp_path)})
        assert "https://go.dev/doc/install" in str(caught.value)
        assert not (tmp_path / "cache" / programs.folder_name()).exists()

    @pytest.mark.parametrize(
        ("words", "remedy"),
        [
            ("go: go.mod requires go >= 1.24.0 (running go 1.19)", "Install Go 1.24 or newer"),
            ("write /tmp/go-build1/b001: no space left on device", "Free 6 GiB"),
            ("dial tcp: lookup proxy.test: no such host", "go env GOPROXY"),
        ],
    )
    def test_the_remedy_fits_what_go_says(self, words: str, remedy: str) -> None:
        assert remedy in programs.remedy(words)


class TestCache:
    def test_it_lies_where_the_user_wants_caches(self) -> None:
        chosen = cache.cache_root({"XDG_CACHE_HOME": "/c"})
        assert chosen == Path("/c/pytest-mlcontainer/cluster")
        # A relative path means nothing there, as the specification of these folders says.
        assert cache.cache_root({"XDG_CACHE_HOME": "c"}) == cache.cache_root({})

    def test_two_runs_make_a_folder_once(self, tmp_path: Path) -> None:
        calls = []
        begun = threading.Event()

        def make(folder: Path, _lock: int) -> None:
            calls.append(folder)
            begun.set()
            (folder / "program").write_text("built")

        wanted = tmp_path / "programs"
        others = [threading.Thread(target=cache.made_once, args=(wanted, make)) for _ in range(3)]
        for other in others:
            other.start()
        assert begun.wait(10)
        for other in others:
            other.join(10)
        assert len(calls) == 1
        assert (wanted / "program").read_text() == "built"

    def test_what_a_killed_run_left_half_made_is_made_anew(self, tmp_path: Path) -> None:
        half_made = tmp_path / "programs.new"
        half_made.mkdir()
        (half_made / "old").touch()
        made = cache.made_once(tmp_path / "programs", lambda folder, _: (folder / "new").touch())
        assert [path.name for path in made.iterdir()] == ["new"]
        assert not half_made.exists()

    def test_a_failure_leaves_no_folder_and_a_full_disk_is_said(self, tmp_path: Path) -> None:
        def fill(folder: Path, _lock: int) -> None:
            with Path("/dev/full").open("w") as full:
                full.write("x")

        with pytest.raises(SetupError, match="No space left on device") as caught:
            cache.made_once(tmp_path / "programs", fill)
        assert "XDG_CACHE_HOME" in str(caught.value)
        assert not (tmp_path / "programs").exists()

    def test_only_folders_that_had_to_be_made_are_removed_again(self, tmp_path: Path) -> None:
        root, machine_folder = tmp_path / "cache", tmp_path / "machine"
        theirs = machine_folder / "theirs"
        theirs.mkdir(parents=True)
        ours, full = machine_folder / "new" / "ours", machine_folder / "full"
        with cache.mount_points(root, (theirs, ours, full)):
            assert ours.is_dir()
        with cache.mount_points(root, (ours,)):
            pass
        (full / "log").touch()
        cache.remove_mount_points(root, in_use=lambda: True)
        assert ours.is_dir(), "another cluster is in it"
        cache.remove_mount_points(root, in_use=lambda: False)
        assert sorted(path.name for path in machine_folder.iterdir()) == ["full", "theirs"]
        assert list(root.iterdir()) == []


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> layout.Cluster:
    """A cluster with all its certificates, made by openssl."""
    cluster = cluster_in(tmp_path_factory.mktemp("signed"))
    certificates.make_all(cluster, os.environ)
    return cluster


def said(cluster: layout.Cluster, name: str, *what: str) -> str:
    """What openssl reads of a certificate."""
    path = cluster.layout.certificates / f"{name}.crt"
    command = ("openssl", "x509", "-in", str(path), "-noout", *what)
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@openssl
class TestCertificates:
    def test_all_are_signed_by_the_one_authority(self, signed: layout.Cluster) -> None:
        names = [identity.name for identity in certificates.plan_identities(signed)]
        folder = signed.layout.certificates
        command = ("openssl", "verify", "-x509_strict", "-CAfile", str(signed.layout.authority))
        done = subprocess.run(
            (*command, *(str(folder / f"{name}.crt") for name in names)),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.count(": OK") == len(names)

    @pytest.mark.parametrize(
        ("name", "user", "group"),
        [
            ("admin", "admin", "system:masters"),
            ("node2", "system:node:node2", "system:nodes"),
            ("scheduler", "system:kube-scheduler", ""),
            ("controller-manager", "system:kube-controller-manager", ""),
        ],
    )
    def test_they_say_who_their_holder_is(
        self, name: str, user: str, group: str, signed: layout.Cluster
    ) -> None:
        subject = said(signed, name, "-subject", "-nameopt", "multiline")
        pairs = (line.partition(" = ") for line in subject.splitlines())
        fields = {key.strip(): value for key, _, value in pairs}
        assert fields.get("commonName") == user
        assert fields.get("organizationName", "") == group

    def test_the_registry_answers_to_both_of_its_names(self, signed: layout.Cluster) -> None:
        names = said(signed, "registry", "-ext", "subjectAltName")
        assert "DNS:registry.test" in names
        assert f"IP Address:{signed.addresses.host}" in names
        assert "IP Address:127.0.0.1" in names

    def test_nobody_but_their_owner_reads_keys(self, signed: layout.Cluster) -> None:
        folder = signed.layout.certificates
        secrets = [*folder.glob("*.key"), *folder.glob("*.kubeconfig"), signed.layout.kubeconfig]
        assert len(secrets) > 15
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in secrets}
        assert set(modes.values()) == {0o600}, modes
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700

    def test_a_kubeconfig_holds_all_that_it_needs(self, signed: layout.Cluster) -> None:
        config = json.loads(signed.layout.kubeconfig.read_text())
        (cluster,), (user,) = config["clusters"], config["users"]
        assert cluster["cluster"]["server"] == f"https://{signed.addresses.host}:6443"
        folder = signed.layout.certificates
        for value, file in (
            (cluster["cluster"]["certificate-authority-data"], "ca.crt"),
            (user["user"]["client-certificate-data"], "admin.crt"),
            (user["user"]["client-key-data"], "admin.key"),
        ):
            assert base64.b64decode(value) == (folder / file).read_bytes()

    @pytest.mark.parametrize("known", [True, False])
    def test_a_server_lets_in_who_has_a_certificate_and_nobody_else(
        self, known: bool, signed: layout.Cluster
    ) -> None:
        """The handshake of etcd's clients, as Python's strictest settings do it."""
        folder = signed.layout.certificates
        server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(folder / "ca.crt"))
        server.verify_mode = ssl.CERT_REQUIRED
        server.load_cert_chain(folder / "registry.crt", folder / "registry.key")
        client = ssl.create_default_context(cafile=str(folder / "ca.crt"))
        client.verify_flags |= ssl.VERIFY_X509_STRICT
        if known:
            client.load_cert_chain(folder / "etcd-client.crt", folder / "etcd-client.key")
        assert handshake(server, client) is known


def handshake(server: ssl.SSLContext, client: ssl.SSLContext) -> bool:
    """Whether both ends agree, on a connection to 127.0.0.1."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                try:
                    with server.wrap_socket(connection, server_side=True) as secured:
                        secured.sendall(b"in")
                except (ssl.SSLError, OSError):
                    pass

        answering = threading.Thread(target=answer)
        answering.start()
        try:
            with (
                socket.create_connection(listening.getsockname(), timeout=10) as connection,
                client.wrap_socket(connection, server_hostname="127.0.0.1") as secured,
            ):
                return secured.recv(2) == b"in"
        except (ssl.SSLError, ConnectionError):
            return False
        finally:
            answering.join(10)


class TestComponents:
    def test_each_is_known_by_an_argument_in_the_clusters_directory(self, tmp_path: Path) -> None:
        cluster = cluster_in(tmp_path)
        for component in components.plan_components(cluster):
            assert component.mark in component.command
            assert component.mark.startswith(f"{tmp_path}/")
            assert component.mark in components.marks(cluster.layout)

    def test_processes_of_another_directory_are_not_known(self, tmp_path: Path) -> None:
        one, two = layout.ClusterLayout(tmp_path / "a"), layout.ClusterLayout(tmp_path / "b")
        assert components.marks(one).isdisjoint(components.marks(two))

    def test_nothing_listens_on_all_addresses_of_this_machine(self, tmp_path: Path) -> None:
        cluster = cluster_in(tmp_path)
        components.write_registry_configurations(cluster)
        for component in components.plan_components(cluster):
            if component.node is None and component.name not in ("registry", "registry-loopback"):
                assert "0.0.0.0" not in " ".join(component.command)
                assert cluster.addresses.host in " ".join(component.command)
        listening = {
            json.loads((tmp_path / f"{name}.json").read_text())["http"]["addr"].partition(":")[0]
            for name in ("registry", "registry-loopback")
        }
        assert listening == {cluster.addresses.host, "127.0.0.1"}

    def test_the_kubelet_of_the_other_architecture_is_built_for_it(self, tmp_path: Path) -> None:
        cluster = cluster_in(tmp_path)
        kubelets = [
            Path(component.command[0]).name
            for component in components.plan_components(cluster)
            if component.name.startswith("kubelet-")
        ]
        (_, emulated) = cluster.nodes
        assert kubelets == ["kubelet", f"kubelet-{emulated.architecture.debian}"]
        assert {node.architecture for node in cluster.nodes} == set(ARCHITECTURES)

    def test_a_kubelet_asks_the_api_server_who_may_do_what(self, tmp_path: Path) -> None:
        cluster = cluster_in(tmp_path)
        for node in cluster.nodes:
            nodes.write_configurations(cluster, node)
            config = json.loads((cluster.folder(node) / "kubelet.json").read_text())
            assert config["authentication"]["anonymous"] == {"enabled": False}
            assert config["authorization"] == {"mode": "Webhook"}
            assert config["address"] == cluster.addresses.node(node.number)

    def test_a_part_that_there_is_not_is_named_with_those_that_there_are(
        self, tmp_path: Path
    ) -> None:
        known = lifecycle.Starter(cluster_in(tmp_path), {})
        with pytest.raises(SetupError, match="no such part: kubelet-node3") as caught:
            lifecycle.component(known, "kubelet-node3")
        assert "kubelet-node2" in str(caught.value)

    def test_whoever_is_not_of_the_cluster_is_kept_out(self, tmp_path: Path) -> None:
        rules = nodes.rules(cluster_in(tmp_path))
        for chain in ("INPUT", "FORWARD"):
            of_chain = [" ".join(rule[2:]) for rule in rules if rule[:2] == ("filter", chain)]
            assert any(rule.startswith(f"-s {POOL} -d {POOL} ") for rule in of_chain)
            (drop,) = (rule for rule in of_chain if rule.endswith("DROP"))
            assert drop.startswith(f"! -s {POOL} -d {POOL} ")


class TestVersions:
    @pytest.mark.parametrize(
        ("name", "current"), [(None, True), ("programs-kubernetes-v1.0", False)]
    )
    def test_a_cluster_of_other_versions_is_not_taken_for_this_one(
        self, name: str | None, current: bool, tmp_path: Path
    ) -> None:
        """After a change of versions in the checkout; it is taken down and set up anew."""
        built, unpacked = tmp_path / (name or programs.folder_name()), tmp_path / "packages"
        cluster = replace(cluster_in(tmp_path), programs=built, packages=unpacked)
        built.mkdir()
        assert not lifecycle.is_current(cluster), "somebody removed the cache"
        unpacked.mkdir()
        assert lifecycle.is_current(cluster) is current


class TestControlGroups:
    def test_each_hierarchy_of_version_1_gets_both_nodes(self, tmp_path: Path) -> None:
        for name in ("memory", "cpuset", "unified"):
            (tmp_path / name).mkdir()
        (tmp_path / "cpuset" / "cpuset.cpus").write_text("0-1\n")
        control_groups.make("mlk-1", ("node1", "node2"), tmp_path)
        made = {str(p.relative_to(tmp_path)) for p in tmp_path.glob("**/node*")}
        assert made == {f"{each}/mlk-1/node{n}" for each in ("memory", "cpuset") for n in (1, 2)}

    def test_version_2_hands_down_the_controllers_that_there_are(self, tmp_path: Path) -> None:
        (tmp_path / "cgroup.controllers").write_text("cpu memory pids rdma\n")
        (tmp_path / "mlk-1").mkdir()
        (tmp_path / "mlk-1" / "cgroup.controllers").write_text("cpu memory pids\n")
        control_groups.make("mlk-1", ("node1",), tmp_path)
        for parent in (tmp_path, tmp_path / "mlk-1"):
            assert (parent / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"
        assert (tmp_path / "mlk-1" / "node1").is_dir()

    def test_a_machine_that_lets_none_be_made_is_told_so(self, tmp_path: Path) -> None:
        with pytest.raises(SetupError, match="control groups of the nodes cannot be made"):
            control_groups.make("mlk-1", ("node1",), tmp_path / "missing")


class TestMachine:
    def test_everything_that_is_in_the_way_is_named_at_once(self, tmp_path: Path) -> None:
        release = tmp_path / "os-release"
        release.write_text('ID=fedora\nPRETTY_NAME="Fedora 44"\n')
        with pytest.raises(machine.UnfitMachineError) as caught:
            machine.check_machine({"PATH": str(tmp_path)}, tmp_path, release, user=1000)
        message = str(caught.value)
        for word in ("this is Fedora 44", "root (this is user 1000)", "Go 1.24", "KUBECONFIG"):
            assert word in message

    def test_with_all_built_already_no_go_is_needed(self, tmp_path: Path) -> None:
        (tmp_path / programs.folder_name()).mkdir()
        assert programs.missing_go({"PATH": str(tmp_path)}, tmp_path) == ""

    def test_a_disk_without_room_is_named_before_anything_is_made(self, tmp_path: Path) -> None:
        more_than_any = 1 << 80
        with pytest.raises(SetupError, match="too little room for a cluster") as caught:
            machine.check_room(tmp_path, more_than_any)
        assert "CLUSTER_DIR" in str(caught.value)


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environ: Mapping[str, str] = {
        name: value
        for name, value in os.environ.items()
        if name not in ("KUBECONFIG", "CLUSTER_DIR", "XDG_CACHE_HOME")
    }
    return subprocess.run(
        (sys.executable, str(SCRIPT), *arguments),
        env={**environ, **variables},
        capture_output=True,
        text=True,
    )


@pytest.fixture
def nowhere() -> str:
    """A directory that is not there; below /tmp, as pytest's may be too long for sockets."""
    return f"/tmp/no-cluster-{os.getpid()}"


class TestCommand:
    def test_the_package_runs_as_a_folder(self) -> None:
        assert "CLUSTER_DIR" in run("--help").stdout

    def test_without_a_cluster_each_command_says_so(self, nowhere: str) -> None:
        down = run("down", CLUSTER_DIR=nowhere)
        assert (down.returncode, down.stdout) == (0, "")
        assert "no private cluster" in down.stderr
        for command in (("env",), ("stop", "etcd"), ("start", "etcd")):
            done = run(*command, CLUSTER_DIR=nowhere)
            assert done.returncode == 1
            assert "make cluster-up" in done.stderr
        assert not Path(nowhere).exists()

    def test_a_machine_without_go_is_told_so_and_that_is_no_failure(
        self, nowhere: str, tmp_path: Path
    ) -> None:
        """`.ci/run` leaves the tests on a cluster out where `check` ends with 3."""
        variables = {"CLUSTER_DIR": nowhere, "XDG_CACHE_HOME": str(tmp_path), "PATH": "/nowhere"}
        done = run("check", **variables)
        assert done.returncode == cli.UNFIT
        assert "Go 1.24 or newer" in done.stderr
        up = run("up", **variables)
        assert up.returncode == 1
        assert "Go 1.24 or newer" in up.stderr
        assert not Path(nowhere).exists(), "nothing is made before that"

    def test_the_cluster_of_kubeconfig_is_used_as_it_is(self, tmp_path: Path) -> None:
        config = tmp_path / "my cluster"
        config.write_text("{}")
        done = run("up", KUBECONFIG=str(config))
        assert done.returncode == 0
        assert done.stdout == f"export KUBECONFIG='{config}'\n"
        assert run("check", KUBECONFIG=str(config)).returncode == 0

    def test_a_kubeconfig_that_is_not_there_is_a_mistake(self, tmp_path: Path) -> None:
        """Not a reason to leave tests out, nor to set up another cluster."""
        for command in ("up", "check"):
            done = run(command, KUBECONFIG=str(tmp_path / "gone"))
            assert done.returncode == 1
            assert "KUBECONFIG names no file" in done.stderr


def test_the_helper_image_has_busybox_under_all_its_names(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "busybox").touch()
    packages.link_applets(tmp_path, "busybox\nsh\nwget\n")
    names = {path.name: path.is_symlink() for path in (tmp_path / "bin").iterdir()}
    assert names == {"busybox": False, "sh": True, "wget": True}
