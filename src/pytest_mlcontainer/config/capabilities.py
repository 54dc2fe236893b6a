"""Names of Linux capabilities, which are parts of what root may do (capabilities(7))."""

from __future__ import annotations

from typing import Final

from pytest_mlcontainer.config.values import parse_filled_text
from pytest_mlcontainer.config.words import show, suggest
from pytest_mlcontainer.errors import MlContainerError

ALL: Final = "ALL"
CAPABILITIES: Final = (
    "AUDIT_CONTROL", "AUDIT_READ", "AUDIT_WRITE", "BLOCK_SUSPEND", "BPF", "CHECKPOINT_RESTORE",
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "IPC_LOCK", "IPC_OWNER",
    "KILL", "LEASE", "LINUX_IMMUTABLE", "MAC_ADMIN", "MAC_OVERRIDE", "MKNOD", "NET_ADMIN",
    "NET_BIND_SERVICE", "NET_BROADCAST", "NET_RAW", "PERFMON", "SETFCAP", "SETGID", "SETPCAP",
    "SETUID", "SYSLOG", "SYS_ADMIN", "SYS_BOOT", "SYS_CHROOT", "SYS_MODULE", "SYS_NICE",
    "SYS_PACCT", "SYS_PTRACE", "SYS_RAWIO", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG",
    "WAKE_ALARM",
)  # fmt: skip
_PREFIX: Final = "CAP_"


def parse_capability(value: object) -> str:
    """One capability, or `ALL`, as after `docker run --cap-add`: with or without `CAP_`."""
    text = parse_filled_text(value)
    name = text.strip().upper().removeprefix(_PREFIX)
    if name != ALL and name not in CAPABILITIES:
        raise MlContainerError("not a capability", show(text), suggest(name, (*CAPABILITIES, ALL)))
    return name
