"""The pure parts of `scripts/engine`: what it reads, decides and refuses.

That it brings an engine up is shown by every test that uses one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from scripts.engine import (
    bases,
    cli,
    daemons,
    emulation,
    environment,
    folders,
    layout,
    links,
    machine,
    network,
    packages,
    private,
    processes,
    python_layer,
    registry,
    rootfs,
)
from scripts.engine.problems import SetupError

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"

DEB822 = """\
Types: deb deb-src
# an archive of the past
URIs: http://mirror.test/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /keys/debian.gpg

Types: deb
URIs: http://mirror.test/security
Suites: bookworm-security
Components: main

Types: deb
Enabled: no
URIs: http://mirror.test/never
Suites: bookworm
Components: main

Types: deb
URIs: http://third.test/
Suites: nodistro
Components: main
"""


class TestSources:
    def test_deb822_entries_are_read_with_all_fields(self) -> None:
        first, second, third = packages.parse_deb822(DEB822)
        assert first == packages.Source(
            ("http://mirror.test/debian",),
            ("bookworm", "bookworm-updates"),
            ("main",),
            "/keys/debian.gpg",
        )
        assert second.suites == ("bookworm-security",)
        assert third.suites == ("nodistro",)

    def test_a_key_written_into_the_entry_stays_whole(self) -> None:
        text = "Types: deb\nURIs: u\nSuites: s\nComponents: c\nSigned-By:\n -----BEGIN\n .\n abc\n"
        (source,) = packages.parse_deb822(text)
        assert source.signed_by == "\n -----BEGIN\n .\n abc"
        assert packages.parse_deb822(source.as_text()) == (source,)

    @pytest.mark.parametrize(
        ("line", "expected"),
        [
            (
                "deb http://m.test/debian bookworm main contrib",
                packages.Source(("http://m.test/debian",), ("bookworm",), ("main", "contrib")),
            ),
            (
                "deb [arch=amd64 signed-by=/k.gpg] https://m.test jammy main # old",
                packages.Source(("https://m.test",), ("jammy",), ("main",), "/k.gpg"),
            ),
        ],
    )
    def test_one_line_entries_are_read(self, line: str, expected: packages.Source) -> None:
        assert packages.parse_one_line(f"# comment\n{line}\ndeb-src x y z\n") == (expected,)

    def test_another_release_keeps_the_mirror_and_the_kind_of_suite(self) -> None:
        source = packages.Source(("u",), ("bookworm", "bookworm-updates", "bookwormish"), ("main",))
        assert source.for_release("bookworm", "trixie").suites == (
            "trixie",
            "trixie-updates",
            "bookwormish",
        )

    def test_third_parties_are_left_out(self) -> None:
        own = packages.release_sources(packages.parse_deb822(DEB822), "bookworm")
        assert [source.suites[0] for source in own] == ["bookworm", "bookworm-security"]

    def test_a_machine_without_its_release_in_the_sources_is_told_so(self) -> None:
        with pytest.raises(SetupError, match="names no source for this release: trixie"):
            packages.release_sources(packages.parse_deb822(DEB822), "trixie")

    def test_discs_are_no_sources(self, tmp_path: Path) -> None:
        (tmp_path / "sources.list").write_text(
            "deb cdrom:[x]/ bookworm main\ndeb http://m bookworm main\n"
        )
        assert [s.uris for s in packages.machine_sources(tmp_path)] == [("http://m",)]

    def test_only_packages_of_the_own_release_are_offered(self) -> None:
        listing = (
            " libelf1t64 | 0.195-1 | http://m.test/debian forky/main amd64 Packages\n"
            "  libseccomp2 | 2.5 | http://m.test/debian bookworm/main amd64 Packages\n"
            "  runc | 1.1 | http://m.test/security bookworm-security/main amd64 Packages\n"
        )
        assert packages.parse_madison(listing, "bookworm") == {"libseccomp2", "runc"}


ROUTES = """\
Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	010200C0	0003	0	0	0	00000000	0	0	0
br0	0000920A	00000000	0001	0	0	0	0080FFFF	0	0	0
"""


class TestNetwork:
    def test_routes_are_read_without_the_default_route(self) -> None:
        assert network.parse_routes(ROUTES) == (network.Network("10.146.0.0/17"),)

    def test_name_servers_are_taken_addresses(self) -> None:
        text = "search test\nnameserver 10.255.255.53\nnameserver ::1\n"
        assert network.parse_nameservers(text) == (network.Network("10.255.255.53/32"),)

    def test_the_range_overlaps_nothing_that_is_taken(self) -> None:
        taken = [network.Network("10.60.0.0/17"), network.Network("10.61.3.0/24")]
        assert network.free_range(taken, 0) == network.Network("10.62.0.0/16")

    def test_a_machine_that_uses_all_of_10_is_told_so(self) -> None:
        with pytest.raises(SetupError, match="No free address range"):
            network.free_range([network.Network("10.0.0.0/8")], 7)

    def test_bridge_and_networks_share_the_range_without_overlap(self) -> None:
        pool = network.Network("10.62.0.0/16")
        bridge, others = network.bridge_network(pool), network.networks_pool(pool)
        assert not bridge.overlaps(others)
        assert bridge.subnet_of(pool)
        assert others.subnet_of(pool)

    def test_every_rule_names_our_range_and_us(self) -> None:
        for rule in network.rules(network.Network("10.62.0.0/16"), "mlc-1"):
            assert "10.62.0.0/16" in rule
            assert "mlc-1" in rule


ENTRY = """\
enabled
interpreter /x/qemu-aarch64-static
flags: {flags}
offset 0
magic 7f454c460201010000000000000000000200{machine}
mask ffffffffffffff00fffffffffffffffffeffffff
"""
ARM64 = next(a for a in emulation.ARCHITECTURES if a.debian == "arm64")


class TestEmulation:
    @pytest.mark.parametrize("flags", ["F", "POCF", "OCF"])
    def test_a_fixed_handler_serves_containers(self, flags: str) -> None:
        assert emulation.handles(ENTRY.format(flags=flags, machine="b700"), ARM64)

    @pytest.mark.parametrize(
        "entry",
        [
            ENTRY.format(flags="", machine="b700"),
            ENTRY.format(flags="F", machine="f300"),
            ENTRY.format(flags="F", machine="b700").replace("enabled", "disabled"),
            "",
        ],
        ids=["not fixed", "another architecture", "disabled", "empty"],
    )
    def test_other_handlers_do_not(self, entry: str) -> None:
        assert not emulation.handles(entry, ARM64)

    def test_an_entry_that_goes_with_another_engine_or_cluster_does_not_do(
        self, tmp_path: Path
    ) -> None:
        """Two checkouts: the one that is taken down first must not end the other's emulation."""
        for name in ("mlc-00000001", "mlk-00000001"):
            (tmp_path / name).write_text(ENTRY.format(flags="F", machine="b700"))
        assert emulation.handler(ARM64, tmp_path) == "mlc-00000001"
        assert emulation.handler(ARM64, tmp_path, own="mlc-00000002") is None
        assert emulation.handler(ARM64, tmp_path, own="mlk-00000001") == "mlk-00000001"
        (tmp_path / "qemu-aarch64").write_text(ENTRY.format(flags="POCF", machine="b700"))
        assert emulation.handler(ARM64, tmp_path, own="mlc-00000002") == "qemu-aarch64"

    def test_magic_and_mask_have_the_length_of_an_elf_header(self) -> None:
        assert {len(a.magic) for a in emulation.ARCHITECTURES} == {len(emulation.MASK)} == {40}


class TestProcesses:
    def test_the_start_time_is_found_behind_a_name_with_blanks_and_brackets(self) -> None:
        numbers = " ".join(str(n) for n in range(4, 30))
        stat = f"42 (a) b (c) S {numbers}"
        assert processes.parse_started_ticks(stat) == 22
        assert processes.parse_state(stat) == "S"

    def test_another_process_with_the_same_pid_is_not_ours(self) -> None:
        me = processes.identify(os.getpid())
        assert me is not None
        assert processes.is_running(me)
        assert not processes.is_running(processes.Daemon(me.pid, me.started_ticks - 1, me.boot))
        assert not processes.is_running(processes.Daemon(me.pid, me.started_ticks, "last boot"))

    def test_a_daemon_survives_the_state_file(self) -> None:
        daemon = processes.Daemon(1, 2, "b")
        assert processes.daemon_from_json(daemon.as_json()) == daemon
        assert processes.daemon_from_json({"pid": 1}) is None
        assert processes.daemon_from_json(None) is None

    def test_the_last_words_are_those_before_the_end_or_before_a_stack(self) -> None:
        lines = [f"line {n}" for n in range(20)]
        assert processes.last_words("\n".join(lines)).splitlines() == lines[12:]
        broken = [*lines, "panic: no space left", "", "goroutine 1 [running]:", "main.main()"]
        assert processes.last_words("\n".join(broken)).splitlines()[-1] == "panic: no space left"
        assert processes.last_words("") == ""

    def test_a_started_daemon_is_found_by_its_argument_and_stopped(self, tmp_path: Path) -> None:
        command = ("sleep", "61.25")
        daemon = processes.start(command, os.environ, tmp_path / "log")
        try:
            until = time.monotonic() + 10
            # The kernel shows a new program's arguments a moment after it has started.
            while not processes.running_with("sleep", "61.25") and time.monotonic() < until:
                time.sleep(0.01)
            assert daemon in processes.running_with("sleep", "61.25")
            assert daemon not in processes.running_with("dockerd", "61.25")
            assert daemon in processes.started_with("61.25", "another")
            assert daemon not in processes.started_with("61.2", "another")
        finally:
            processes.stop(daemon, 5)
        assert not processes.is_running(daemon)


class TestLayout:
    def test_two_directories_share_no_name_outside_of_them(self, tmp_path: Path) -> None:
        one, two = layout.Layout(tmp_path / "a"), layout.Layout(tmp_path / "b")
        assert one.ident != two.ident
        assert len(one.ident) < 16, "a network interface's name has at most 15 characters"

    def test_a_path_too_long_for_sockets_is_refused_before_anything_is_made(self) -> None:
        with pytest.raises(SetupError, match=r"Set ENGINE_DIR to one at least \d+ bytes shorter"):
            layout.layout_from({"ENGINE_DIR": "/tmp/" + "x" * 90})

    def test_an_unknown_store_is_refused(self) -> None:
        with pytest.raises(SetupError, match="Unknown ENGINE_STORE: zfs"):
            layout.store_from({"ENGINE_STORE": "zfs"})

    def test_a_folder_with_other_things_in_it_is_never_taken(self, tmp_path: Path) -> None:
        (tmp_path / "thesis.tex").touch()
        with (
            pytest.raises(SetupError, match="in use for something else"),
            folders.only_one(layout.Layout(tmp_path)),
        ):
            pass
        assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]

    def test_two_runs_follow_one_another_even_when_the_first_deletes_all(
        self, tmp_path: Path
    ) -> None:
        where = layout.Layout(tmp_path / "engine")
        order = []

        def second() -> None:
            with folders.only_one(where):
                order.append("second")

        with folders.only_one(where):
            other = threading.Thread(target=second)
            other.start()
            other.join(0.2)
            order.append("first")
            daemons.remove_folder(where.base)
        other.join(10)
        assert order == ["first", "second"]
        assert (where.base / where.marker).exists()

    def test_a_broken_state_file_counts_as_none(self, tmp_path: Path) -> None:
        where = layout.Layout(tmp_path)
        folders.write_state(where, {"store": "overlay2"})
        assert folders.read_state(where) == {"store": "overlay2"}
        where.state_file.write_text('{"store": ')
        assert folders.read_state(where) == {}


class TestPrivateEngine:
    def test_os_release_is_read_with_and_without_quotes(self) -> None:
        text = 'ID=debian\nPRETTY_NAME="Debian 12"\n\nVERSION_CODENAME=bookworm\n'
        fields = private.parse_os_release(text)
        assert fields["PRETTY_NAME"] == "Debian 12"
        assert fields["VERSION_CODENAME"] == "bookworm"

    def test_wishes_are_read_and_bad_ones_refused(self) -> None:
        assert private.wish_from({}) == private.Wish(None, None)
        wish = private.wish_from({"ENGINE_STORE": "overlay2", "ENGINE_GPU_HOOK": "0"})
        assert wish == private.Wish("overlay2", False)
        with pytest.raises(SetupError, match="Unknown ENGINE_GPU_HOOK: maybe"):
            private.wish_from({"ENGINE_GPU_HOOK": "maybe"})

    def test_everything_that_is_in_the_way_is_named_at_once(self, tmp_path: Path) -> None:
        release = tmp_path / "os-release"
        release.write_text('ID=fedora\nPRETTY_NAME="Fedora 44"\n')
        with pytest.raises(SetupError) as caught:
            private.check_machine("no engine answers at unix:///x", release)
        message = str(caught.value)
        assert "no engine answers at unix:///x" in message
        assert "this is Fedora 44" in message
        assert "set DOCKER_HOST" in message

    @pytest.mark.parametrize("store", layout.STORES)
    def test_dockerd_keeps_to_the_engines_directory(self, store: str, tmp_path: Path) -> None:
        where = layout.Layout(tmp_path)
        pool = network.Network("10.62.0.0/16")
        config = daemons.configuration(where, daemons.Choice(store, False), pool, 5000)
        for key in ("data-root", "exec-root", "pidfile"):
            assert config[key].startswith(f"{tmp_path}/")
        assert config["bridge"] == where.ident
        assert config["iptables"] is False
        assert config["features"]["containerd-snapshotter"] is (store == "containerd")

    def test_down_without_an_engine_says_so(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        # Not below tmp_path, which may be too long for sockets; nothing is made there.
        monkeypatch.setenv("ENGINE_DIR", f"/tmp/no-engine-{os.getpid()}")
        assert cli.main(["down"]) == 0
        assert "no private engine" in capsys.readouterr().err
        assert cli.main(["env"]) == 1
        assert "make engine-up" in capsys.readouterr().err

    def test_only_links_that_still_are_ours_are_removed(self, tmp_path: Path) -> None:
        folder = tmp_path / "plugins"
        folder.mkdir()
        ours, theirs = folder / "ours", folder / "theirs"
        ours.symlink_to("/engine/bin/x")
        theirs.symlink_to("/opt/y")
        recorded = {str(ours): "/engine/bin/x", str(theirs): "/engine/bin/y"}
        links.remove({"links": recorded, "folders": [str(folder)]})
        assert [path.name for path in folder.iterdir()] == ["theirs"]

    def test_the_free_port_is_the_preferred_one_unless_it_is_taken(self) -> None:
        first = network.free_port(0)
        assert network.free_port(first) == first


class TestBaseImages:
    @pytest.mark.parametrize(
        "name",
        [
            *("python3.11", "libpython3.11-stdlib", "python3.11-venv", "libpython3.11-dev"),
            *("python3", "python3-minimal", "libpython3-stdlib", "python3-pip-whl"),
        ],
    )
    def test_pythons_own_packages_are_moved(self, name: str) -> None:
        assert python_layer.is_python_package(name, "3.11")

    @pytest.mark.parametrize("name", ["python3-yaml", "libpython3.12", "media-types", "python3x11"])
    def test_other_packages_are_installed(self, name: str) -> None:
        assert not python_layer.is_python_package(name, "3.11")

    def test_an_unpacked_package_counts_as_installed(self) -> None:
        entry = rootfs.status_entry(
            "Package: bash\nArchitecture: amd64\n", [("/etc/bash.bashrc", "d41d")]
        )
        assert entry.splitlines() == [
            "Package: bash",
            "Status: install ok installed",
            "Architecture: amd64",
            "Conffiles:",
            " /etc/bash.bashrc d41d",
        ]

    def test_control_fields_are_read_without_their_continuations(self) -> None:
        text = "Package: x\nDescription: short\n long: text\n .\nMulti-Arch: same\n"
        fields = rootfs.parse_control(text)
        assert fields == {"Package": "x", "Description": "short", "Multi-Arch": "same"}

    def test_nobody_can_log_in(self) -> None:
        text = "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1::/:/bin/sh\n"
        assert rootfs.shadow_entries(text).splitlines() == [
            "root:*:20000:0:99999:7:::",
            "daemon:*:20000:0:99999:7:::",
        ]

    def test_pip_gets_all_its_names(self, tmp_path: Path) -> None:
        path = tmp_path / "entry_points.txt"
        path.write_text("[console_scripts]\npip = pip._internal.cli.main:main\n[other]\na = b:c\n")
        names = python_layer.commands(path, "3.13")
        assert set(names) == {"pip", "pip3", "pip3.13"}

    def test_certificates_are_split_without_what_stands_between(self) -> None:
        begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
        one, two = f"{begin}\nAAA\n{end}\n", f"{begin}\nBBB\n{end}\n"
        assert machine.split_certificates(f"# first\n{one}\n# second\n{two}") == (one, two)
        assert machine.split_certificates(f"{begin}\ncut off") == ()

    def test_pip_indexes_on_disk_and_with_passwords_stay_here(self, tmp_path: Path) -> None:
        config = tmp_path / "pip.conf"
        config.write_text(
            "[global]\nindex-url = https://index.test/simple\n"
            "extra-index-url = file:///opt/x https://u:secret@index.test/simple\n"
        )
        configs = (str(config),)
        text = machine.pip_settings({}, configs)
        assert text == "[global]\nindex-url = https://index.test/simple\n"
        assert "http://env.test" in machine.pip_settings(
            {"PIP_INDEX_URL": "http://env.test"}, configs
        )
        config.write_text("[global]\nextra-index-url = file:///opt/x\n")
        assert machine.pip_settings({}, configs) == ""

    def test_apts_way_to_the_mirrors_is_taken_over_and_nothing_else(self) -> None:
        dump = (
            'APT::Architecture "amd64";\nAcquire "";\nAcquire::http::Proxy "http://p:1";\n'
            'Acquire::Check-Date "false";\nAcquire::Languages "none";\nAcquire::http "";\n'
        )
        assert machine.acquire_settings(dump).splitlines() == [
            'Acquire::http::Proxy "http://p:1";',
            'Acquire::Check-Date "false";',
        ]

    def test_another_mirror_of_debian_can_be_named(self) -> None:
        (source,) = machine.debian_sources(
            "noble", "trixie", {"ENGINE_DEBIAN_MIRROR": "http://m.test/debian"}
        )
        assert source.uris == ("http://m.test/debian",)
        assert source.suites == ("trixie", "trixie-updates")

    def test_each_image_has_the_tags_of_the_official_one(self) -> None:
        tags = {tag for base in bases.BASES for tag in base.tags}
        assert tags == {"3.13-slim", "3.13-slim-trixie", "3.11-slim", "3.11-slim-bookworm"}

    def test_certificates_are_named_only_where_the_machine_has_some(self) -> None:
        assert any(e.startswith("PIP_CERT=") for e in bases.image_config("3.13.5", True)["Env"])
        plain = bases.image_config("3.13.5", False)
        assert not any("CERT" in entry for entry in plain["Env"])
        assert "PYTHON_VERSION=3.13.5" in plain["Env"]

    def test_the_same_files_make_the_same_layer(self, tmp_path: Path) -> None:
        layers = []
        for name in ("one", "two"):
            root = tmp_path / name
            (root / "etc").mkdir(parents=True)
            for file in ("b", "a") if name == "one" else ("a", "b"):
                (root / "etc" / file).write_text(file)
            layers.append(registry.pack(root, tmp_path / f"{name}.tar.gz"))
        assert layers[0].descriptor == layers[1].descriptor
        assert layers[0].diff_id == layers[1].diff_id


class TestEnvironment:
    def test_a_python_that_is_too_old_or_incomplete_is_named_with_the_remedy(self) -> None:
        assert "make PYTHON=" in environment.what_is_missing((3, 10), True)
        assert "python3-venv" in environment.what_is_missing((3, 12), False)
        assert environment.what_is_missing((3, 11), True) == ""

    def test_pip_is_tried_where_uv_fails(self) -> None:
        *_, last = environment.steps(Path(".venv"))
        assert ["uv" in command for command in last] == [True, False]


def test_the_package_runs_as_a_folder() -> None:
    command = (sys.executable, str(SCRIPTS / "engine"), "--help")
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "ENGINE_STORE" in done.stdout
