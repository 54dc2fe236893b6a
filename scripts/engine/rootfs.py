"""A Debian root file system made by unpacking only, so that no foreign program has to run.

What the packages' maintainer scripts would have made is written here: accounts, the package
database (so that `apt-get install` works in a Dockerfile), alternatives, links.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from .problems import SetupError

# Documentation and translations are a third of the size, and slim images have none either.
EXCLUDED = (
    *("./usr/share/doc/*", "./usr/share/man/*", "./usr/share/locale/*", "./usr/share/info/*"),
    *("./usr/share/lintian/*", "./usr/share/bash-completion/*", "./usr/share/pixmaps/*"),
    *("./usr/share/applications/*", "*/libpython3*.a"),
)
DPKG_EXCLUDES = "".join(
    f"path-exclude /usr/share/{folder}/*\n"
    for folder in ("doc", "man", "locale", "info", "lintian")
)
SHELLS = ("/bin/sh", "/usr/bin/sh", "/bin/bash", "/usr/bin/bash", "/bin/dash", "/usr/bin/dash")
SESSION = "session required pam_permit.so\nsession required pam_unix.so\n"
PAM = {
    "common-auth": """\
auth [success=1 default=ignore] pam_unix.so nullok
auth requisite pam_deny.so
auth required pam_permit.so
""",
    "common-account": """\
account [success=1 new_authtok_reqd=done default=ignore] pam_unix.so
account requisite pam_deny.so
account required pam_permit.so
""",
    "common-password": """\
password [success=1 default=ignore] pam_unix.so obscure yescrypt
password requisite pam_deny.so
password required pam_permit.so
""",
    "common-session": SESSION,
    "common-session-noninteractive": SESSION,
}
FOLDERS = (
    *("var/log/apt", "var/cache/debconf", "var/cache/apt/archives/partial", "var/local"),
    *("var/lib/apt/lists/partial", "var/lib/pam", "run/lock", "tmp", "var/tmp"),
)


def run(command: Sequence[str | Path], purpose: str, stdin: int | None = None) -> str:
    """Run a program; its output, or an error that says what it was for."""
    done = subprocess.run(
        [str(part) for part in command], stdin=stdin, capture_output=True, text=True
    )
    if done.returncode:
        raise SetupError(
            f"{purpose} failed", done.stderr.strip()[-800:], "Free disk space and try again."
        )
    return done.stdout


def prepare(root: Path) -> None:
    """The links that make /bin and /usr/bin one folder must be there before the first package."""
    for name in ("bin", "sbin", "lib"):
        (root / "usr" / name).mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(f"usr/{name}")
    (root / "usr" / "lib64").mkdir()
    (root / "lib64").symlink_to("usr/lib64")


def unpack(package: Path, root: Path) -> tuple[str, ...]:
    """Unpack a package over `root`; the paths that it put there."""
    excludes = (f"--exclude={pattern}" for pattern in EXCLUDED)
    reader = subprocess.Popen(("dpkg-deb", "--fsys-tarfile", package), stdout=subprocess.PIPE)
    try:
        listing = run(
            (*("tar", "-xvf", "-", "-C", root, "--keep-directory-symlink"), *excludes),
            f"Unpacking {package.name}",
            reader.stdout.fileno() if reader.stdout else None,
        )
    finally:
        if reader.stdout:
            reader.stdout.close()
        reader.wait()
    return tuple("/." if line == "./" else line[1:].rstrip("/") for line in listing.splitlines())


def parse_control(text: str) -> dict[str, str]:
    """The fields of a control file that stand on one line."""
    lines = (line for line in text.splitlines() if line[:1].strip())
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def status_entry(control: str, conffiles: Iterable[tuple[str, str]]) -> str:
    """A package's entry in dpkg's database, as one that is installed and configured."""
    lines = control.rstrip("\n").split("\n")
    lines.insert(1, "Status: install ok installed")
    entries = [f" {path} {digest}" for path, digest in conffiles]
    if entries:
        lines += ["Conffiles:", *entries]
    return "\n".join(lines) + "\n"


class PackageDatabase:
    """dpkg's database in a root file system that dpkg has not made."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "var/lib/dpkg"
        self.entries: list[str] = []
        for name in ("info", "triggers", "updates", "parts", "alternatives"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)

    def add(self, package: Path, paths: Sequence[str]) -> None:
        """Record one unpacked package with its scripts, file list and triggers."""
        scratch = self.folder / "control.new"
        run(("dpkg-deb", "-e", package, scratch), f"Reading {package.name}")
        control = (scratch / "control").read_text()
        fields = parse_control(control)
        name = fields["Package"]
        if fields.get("Multi-Arch") == "same":
            name = f"{name}:{fields['Architecture']}"
        self.entries.append(status_entry(control, self._conffiles(scratch)))
        self._add_triggers(scratch / "triggers", name)
        for part in scratch.iterdir():
            if part.name != "control":
                part.rename(self.folder / "info" / f"{name}.{part.name}")
        (self.folder / "info" / f"{name}.list").write_text("\n".join(paths) + "\n")
        shutil.rmtree(scratch)

    def _conffiles(self, scratch: Path) -> list[tuple[str, str]]:
        listing = scratch / "conffiles"
        lines = listing.read_text().splitlines() if listing.exists() else []
        files = [(line, self.root / line[1:]) for line in lines if line.startswith("/")]
        # dpkg's own format asks for MD5 here; it guards against nothing but local edits.
        return [(n, hashlib.md5(p.read_bytes()).hexdigest()) for n, p in files if p.is_file()]

    def _add_triggers(self, listing: Path, name: str) -> None:
        lines = listing.read_text().splitlines() if listing.exists() else []
        for line in lines:
            verb, _, trigger = line.partition("#")[0].strip().partition(" ")
            if not verb.startswith("interest"):
                continue
            suffix = "/noawait" if verb.endswith("-noawait") else ""
            trigger = trigger.strip()
            path = self.folder / "triggers" / ("File" if trigger.startswith("/") else trigger)
            text = f"{trigger} {name}{suffix}\n" if path.name == "File" else f"{name}{suffix}\n"
            with path.open("a") as output:
                output.write(text)

    def write(self) -> None:
        """Write the status file and the files that dpkg expects beside it."""
        (self.folder / "status").write_text("\n".join(self.entries))
        (self.folder / "info" / "format").write_text("1\n")
        # Without triggers/Unincorp dpkg believes that triggers are new to it and runs them all.
        for name in ("available", "diversions", "statoverride", "triggers/Unincorp"):
            (self.folder / name).touch()


def finish(root: Path) -> None:
    """Write what the maintainer scripts of the base packages would have made."""
    _accounts(root)
    _copies(root)
    _links(root)
    files: dict[str, str] = {f"etc/pam.d/{name}": text for name, text in PAM.items()}
    files |= {
        "etc/shells": "".join(f"{shell}\n" for shell in SHELLS),
        "etc/timezone": "Etc/UTC\n",
        "etc/environment": "",
        "etc/dpkg/dpkg.cfg.d/slim": f"force-unsafe-io\n{DPKG_EXCLUDES}",
        "usr/sbin/policy-rc.d": "#!/bin/sh\nexit 101\n",
    }
    write_files(root, files)
    (root / "usr/sbin/policy-rc.d").chmod(0o755)
    for folder in FOLDERS:
        (root / folder).mkdir(parents=True, exist_ok=True)
    for folder in ("tmp", "var/tmp", "run/lock"):
        (root / folder).chmod(0o1777)


def write_files(root: Path, files: Mapping[str, str]) -> None:
    """Write text files below `root`."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def shadow_entries(passwd: str) -> str:
    """/etc/shadow for accounts that nobody can log in to."""
    names = (line.split(":")[0] for line in passwd.splitlines() if line)
    return "".join(f"{name}:*:20000:0:99999:7:::\n" for name in names)


def _accounts(root: Path) -> None:
    masters = root / "usr/share/base-passwd"
    passwd = (masters / "passwd.master").read_text().replace(":*:", ":x:")
    group = (masters / "group.master").read_text().replace(":*:", ":x:")
    if "_apt:" not in passwd:
        passwd += "_apt:x:42:65534::/nonexistent:/usr/sbin/nologin\n"
    gshadow = "".join(f"{line.split(':')[0]}:*::\n" for line in group.splitlines() if line)
    secret = {"etc/shadow": shadow_entries(passwd), "etc/gshadow": gshadow}
    write_files(root, {"etc/passwd": passwd, "etc/group": group, **secret})
    shadow_group = next(int(g.split(":")[2]) for g in group.splitlines() if g[:7] == "shadow:")
    for name in secret:
        (root / name).chmod(0o640)
        shutil.chown(root / name, 0, shadow_group)


def _copies(root: Path) -> None:
    """Configuration that packages carry elsewhere and copy when they are installed."""
    share = root / "usr/share"
    for target, source in {
        "etc/nsswitch.conf": share / "libc-bin/nsswitch.conf",
        "etc/profile": share / "base-files/profile",
        "root/.profile": share / "base-files/dot.profile",
        "root/.bashrc": share / "base-files/dot.bashrc",
        "etc/adduser.conf": share / "adduser/adduser.conf",
    }.items():
        if source.exists() and not (root / target).exists():
            (root / target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, root / target)
    if not (root / "etc/nsswitch.conf").exists():
        write_files(root, {"etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n"})
    certificates = share / "ca-certificates"
    names = sorted(str(p.relative_to(certificates)) for p in certificates.rglob("*.crt"))
    write_files(root, {"etc/ca-certificates.conf": "".join(f"{name}\n" for name in names)})


def _links(root: Path) -> None:
    for link, target in {
        "usr/bin/sh": "dash",
        "etc/alternatives/awk": "/usr/bin/mawk",
        "usr/bin/awk": "/etc/alternatives/awk",
        "etc/alternatives/which": "/usr/bin/which.debianutils",
        "usr/bin/which": "/etc/alternatives/which",
        "etc/localtime": "/usr/share/zoneinfo/Etc/UTC",
        "var/run": "/run",
        "var/lock": "/run/lock",
    }.items():
        path = root / link
        if not path.is_symlink() and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(target)
