"""What a cluster is made of: the one table of versions, and the Debian packages."""

from __future__ import annotations

from scripts.engine.packages import Selection

# The newest Kubernetes whose kubelet takes a machine with cgroup v1, when it is told to.
KUBERNETES = "v1.34.4"
# For this private cluster only: nothing of it is ever shipped.
KUBE_ROUTER = "v2.1.0"
# Debian's release that the helper image's static busybox is from: the wget of the one before it
# ends with a segmentation fault.
BUSYBOX_RELEASE = "trixie"
# To be raised when the same versions are built in another way.
RECIPE = 1

KUBERNETES_PROGRAMS = (
    *("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kubectl"),
)

# Debian 12's containerd 1.6 and etcd 3.4 are too old; these need no newer libc than it has.
# Every other release takes its own.
FROM_OTHER_RELEASE = {
    "bookworm": {
        "containerd": "trixie",
        "etcd-server": "trixie",
        "containernetworking-plugins": "trixie",
    }
}
PACKAGES = (
    *("containerd", "runc", "etcd-server", "containernetworking-plugins", "docker-registry"),
    *("iptables", "ipset", "conntrack", "nftables", "iproute2", "openssl"),
    # qemu-user-static became a name for qemu-user in newer releases.
    *("qemu-user-static", "qemu-user"),
)
LIBRARIES = (
    *("libseccomp2", "libip4tc2", "libip6tc2", "libxtables12", "libnftnl11", "libmnl0"),
    *("libnetfilter-conntrack3", "libnfnetlink0", "libipset13", "libnftables1", "libjansson4"),
    *("libedit2", "libbsd0", "libmd0", "libbpf1", "libelf1", "libelf1t64", "libcap2"),
    *("libtirpc3", "libtirpc3t64"),
)


def selection(codename: str) -> Selection:
    """The packages of a cluster on a release of Debian or Ubuntu."""
    return Selection(PACKAGES, LIBRARIES, FROM_OTHER_RELEASE.get(codename, {}))
