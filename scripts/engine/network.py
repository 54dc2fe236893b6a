"""Bridges of our own, their addresses, and the private engine's packet filter rules.

dockerd runs with `iptables: false`: two daemons share the chains DOCKER and DOCKER-FORWARD and
the later one empties them. Three rules of our own, each naming our address range, do what an
engine for tests needs, and are taken away again one by one.
"""

from __future__ import annotations

import fcntl
import ipaddress
import json
import os
import socket
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from .problems import SetupError

FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
Network = ipaddress.IPv4Network
# A packet filter rule: its table, its chain, and what it matches and does.
Rule = tuple[str, ...]


def parse_routes(table: str) -> tuple[Network, ...]:
    """The destinations in /proc/net/route, without the default route."""
    found = []
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 8 or fields[7] == "00000000":
            continue
        address, mask = (int.from_bytes(bytes.fromhex(fields[i]), "little") for i in (1, 7))
        found.append(Network((address, bin(mask).count("1")), strict=False))
    return tuple(found)


def parse_nameservers(resolv_conf: str) -> tuple[Network, ...]:
    """The IPv4 name servers: reached by the default route, so no route shows their network."""
    found = []
    for line in resolv_conf.splitlines():
        fields = line.split()
        if len(fields) > 1 and fields[0] == "nameserver" and ":" not in fields[1]:
            found.append(Network(fields[1]))
    return tuple(found)


def free_range(taken: Iterable[Network], start: int) -> Network:
    """A private /16 that overlaps nothing in `taken`, looked for from 10.`start`.0.0 on."""
    busy = tuple(taken)
    for step in range(190):
        candidate = Network(f"10.{60 + (start + step) % 190}.0.0/16")
        if not any(candidate.overlaps(network) for network in busy):
            return candidate
    raise SetupError(
        "No free address range for a bridge",
        "10.60.0.0 to 10.249.0.0",
        "Remove a network or route that is not needed (`ip route` lists them).",
    )


def taken_ranges() -> tuple[Network, ...]:
    """What this machine uses already."""
    routes = parse_routes(Path("/proc/net/route").read_text())
    try:
        return routes + parse_nameservers(Path("/etc/resolv.conf").read_text())
    except OSError:
        return routes


def bridge_network(pool: Network) -> Network:
    """The lower half of our range is the default bridge's, the upper half is for networks."""
    return next(pool.subnets(new_prefix=17))


def networks_pool(pool: Network) -> Network:
    """Where networks made with `docker network create` get their addresses."""
    return list(pool.subnets(new_prefix=17))[1]


def free_port(preferred: int, address: str = "127.0.0.1") -> int:
    """The preferred port of an address of this machine if it is free, else any free one."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise SetupError(f"No free TCP port at {address}", preferred, "End what uses it.")


def default_mtu() -> int:
    """The MTU of the way out: larger packets from containers would vanish silently."""
    for line in Path("/proc/net/route").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1] == "00000000":
            return int(Path(f"/sys/class/net/{fields[0]}/mtu").read_text())
    return 1500


def rules(pool: Network, ident: str) -> tuple[Rule, ...]:
    """An engine's rules: out by NAT, forwarding out, and the answers in."""
    ours = ("-m", "comment", "--comment", ident)
    inside = str(pool)
    return (
        ("nat", "POSTROUTING", "-s", inside, "!", "-d", inside, *ours, "-j", "MASQUERADE"),
        ("filter", "FORWARD", "-s", inside, *ours, "-j", "ACCEPT"),
        (
            *("filter", "FORWARD", "-d", inside, "-m", "conntrack"),
            *("--ctstate", "RELATED,ESTABLISHED", *ours, "-j", "ACCEPT"),
        ),
    )


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Let two engines that start at once choose different ranges."""
    folder = os.open("/sys/class/net", os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def other_bridges() -> bool:
    """Whether other private engines' bridges, or Docker's own, still need forwarding."""
    return any(Path("/sys/class/net").glob("*/bridge"))


def has_bridge(name: str) -> bool:
    return Path(f"/sys/class/net/{name}/bridge").exists()


def bridge_range(name: str, environ: Mapping[str, str]) -> Network | None:
    """The range of a bridge that an earlier run made, or None when there is none."""
    if not has_bridge(name):
        return None
    listing = run(("ip", "-json", "address", "show", "dev", name), environ)
    for link in json.loads(listing or "[]"):
        for info in link.get("addr_info", ()):
            if info.get("family") == "inet":
                return Network(f"{info['local']}/16", strict=False)
    return None


def make_bridge(name: str, subnet: Network, environ: Mapping[str, str]) -> None:
    """Make the bridge anew, with the subnet's first address; a half-made one is replaced."""
    remove_bridge(name, environ)
    run(("ip", "link", "add", "name", name, "type", "bridge"), environ)
    run(("ip", "link", "set", "dev", name, "mtu", str(default_mtu())), environ)
    address = f"{subnet.network_address + 1}/{subnet.prefixlen}"
    run(("ip", "address", "add", address, "dev", name), environ)
    run(("ip", "link", "set", "dev", name, "up"), environ)


def remove_bridge(name: str, environ: Mapping[str, str]) -> None:
    if has_bridge(name):
        run(("ip", "link", "delete", "dev", name), environ)


def add_rules(wanted: Iterable[Rule], environ: Mapping[str, str]) -> None:
    """Add what is missing, in front: an engine beside ours may set a policy of DROP."""
    for table, chain, *match in wanted:
        if not _holds(table, "-C", chain, match, environ):
            _iptables(table, "-I", chain, match, environ)


def remove_rules(ours: Iterable[Rule], environ: Mapping[str, str]) -> None:
    """Remove just these; each may be there more than once."""
    for table, chain, *match in ours:
        while _holds(table, "-D", chain, match, environ):
            pass


def forward_packets() -> bool:
    """Let the kernel forward; True when that was off before and `down` should restore it."""
    if FORWARDING.read_text().strip() == "1":
        return False
    FORWARDING.write_text("1")
    return True


def _holds(
    table: str, verb: str, chain: str, match: Sequence[str], environ: Mapping[str, str]
) -> bool:
    command = ("iptables", "-w", "10", "-t", table, verb, chain, *match)
    return subprocess.run(command, env=dict(environ), capture_output=True).returncode == 0


def _iptables(
    table: str, verb: str, chain: str, match: Sequence[str], environ: Mapping[str, str]
) -> None:
    run(("iptables", "-w", "10", "-t", table, verb, chain, *match), environ)


def run(command: Sequence[str], environ: Mapping[str, str]) -> str:
    """Run a program that changes or reads the network; what it printed.

    Raises:
        SetupError: it failed.
    """
    done = subprocess.run(command, env=dict(environ), capture_output=True, text=True)
    if done.returncode:
        raise SetupError(
            f"Setting up the network failed: {' '.join(command)}",
            done.stderr.strip(),
            "The kernel needs bridges, NAT and the right to use them (root, CAP_NET_ADMIN).",
        )
    return done.stdout


def machine_has(command: str) -> bool:
    """Whether the machine itself brings a command, which then fits its kernel best."""
    return any(os.access(Path(d, command), os.X_OK) for d in os.environ["PATH"].split(":") if d)
