"""What was denied to a program that has no capabilities, and which setting would allow it."""

from __future__ import annotations

import re
from typing import Final

_DENIED: Final = re.compile(r"^.*(?:operation not permitted|permission denied).*$", re.M | re.I)
_NO_NEW_PRIVILEGES: Final = re.compile(r"no new privileges|effective uid is not 0", re.IGNORECASE)
_USUAL: Final[tuple[str, ...]] = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID")
_NEEDS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    (r"failed switching to|set(?:re|res)?[ug]id|set_?groups|initgroups|\bsu(?:-exec|do)?:|\bgosu\b"
     r"|setpriv", ("SETGID", "SETUID")),
    (r"chown|ownership|change owner", ("CHOWN",)),
    (r"chmod|changing permissions|preserving|utime|setting times", ("FOWNER",)),
    (r"\bbind\b|binding to|listen on", ("NET_BIND_SERVICE",)),
    (r"mknod", ("MKNOD",)),
    (r"chroot", ("SYS_CHROOT",)),
    (r"\bnice\b|setpriority|mempolicy|mbind|sched_set", ("SYS_NICE",)),
    (r"ptrace", ("SYS_PTRACE",)),
    (r"\bping\b|raw socket", ("NET_RAW",)),
    (r"mount", ("SYS_ADMIN",)),
)  # fmt: skip


def allow_denied(printed: str, table: str, *, root: bool | None) -> str:
    """The setting that allows what was denied; "" where nothing was, or no setting helps.

    Args:
        table: where the setting belongs.
        root: whether the program ran as root, who alone can have capabilities; None where that is
            not known.
    """
    if _NO_NEW_PRIVILEGES.search(printed):
        return (
            "programs gain no privileges here, so sudo and other setuid programs do not work: run "
            "as the user that is needed (user = …), or allow it with new-privileges = true and "
            f"the capabilities that it needs in {table}"
        )
    lines = _DENIED.findall(printed)
    if not lines or root is False:
        return ""
    denied = "\n".join(lines)
    # A traceback names the call in the lines above.
    needed = _needed(denied) or _needed(printed)
    if not needed:
        files = "operation not permitted" not in denied.lower()
        needed = ("DAC_OVERRIDE",) if files else _USUAL
    listed = ", ".join(f'"{name}"' for name in needed)
    return (
        "root has no capabilities here, so owners and modes of files hold for it too: where it "
        f"needs one, give it: capabilities = [{listed}] in {table}"
    )


def _needed(text: str) -> tuple[str, ...]:
    return next((names for signs, names in _NEEDS if re.search(signs, text, re.I)), ())
