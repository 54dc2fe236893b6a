"""A system call filter for containers whose programs may change their personality.

Docker's own filter lets `personality` pass with a few harmless arguments only, none of which
switches address space randomisation off, and a filter cannot be added to: it is replaced. This one
refuses what its list refuses most of all: what concerns the whole kernel, other processes, or
namespaces (https://docs.docker.com/engine/security/seccomp/). Without the capabilities that a
container lacks anyway, the kernel refuses most of these a second time.
"""

from __future__ import annotations

import json
from typing import Final

_REFUSED: Final = (
    "acct", "add_key", "bpf", "clock_adjtime", "clock_settime", "create_module", "delete_module",
    "finit_module", "fsconfig", "fsmount", "fsopen", "fspick", "get_kernel_syms", "init_module",
    "io_uring_enter", "io_uring_register", "io_uring_setup", "ioperm", "iopl", "kcmp",
    "kexec_file_load", "kexec_load", "keyctl", "lookup_dcookie", "mount", "mount_setattr",
    "move_mount", "nfsservctl", "open_by_handle_at", "open_tree", "perf_event_open", "pivot_root",
    "process_vm_readv", "process_vm_writev", "ptrace", "query_module", "quotactl", "quotactl_fd",
    "reboot", "request_key", "setns", "settimeofday", "stime", "swapoff", "swapon", "sysfs",
    "_sysctl", "umount", "umount2", "unshare", "uselib", "userfaultfd", "ustat", "vhangup",
    "vm86", "vm86old",
)  # fmt: skip

# CLONE_NEWNS, _NEWCGROUP, _NEWUTS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET
_NAMESPACES: Final = (1 << 17, 1 << 25, 1 << 26, 1 << 27, 1 << 28, 1 << 29, 1 << 30)
_EPERM, _ENOSYS = 1, 38


def _refused(names: tuple[str, ...], errno: int, flag: int | None = None) -> dict[str, object]:
    """A rule; with a flag, for calls that have it set in their first argument."""
    masked = {"index": 0, "value": flag, "valueTwo": flag, "op": "SCMP_CMP_MASKED_EQ"}
    rule: dict[str, object] = {"names": [*names], "action": "SCMP_ACT_ERRNO", "errnoRet": errno}
    return rule if flag is None else {**rule, "args": [masked]}


ALLOWS_PERSONALITY: Final = json.dumps(
    {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [
            _refused(_REFUSED, _EPERM),
            # Its arguments are in memory, where a filter cannot look: libc then uses `clone`.
            _refused(("clone3",), _ENOSYS),
            *(_refused(("clone",), _EPERM, flag) for flag in _NAMESPACES),
        ],
    }
)
