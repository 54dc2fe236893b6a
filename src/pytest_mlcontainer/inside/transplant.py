"""Say what an image holds, and replace some of it by what another image holds.

Runs inside images, as text given to whatever Python 3 they have (3.6 reads it too), and while
intermediate images are built; it imports nothing but the standard library, and nothing of ours.

    list               prints what is here, as JSON behind a marker
    list-packages      the same, without the files that belong to no package
    apply PLAN         does what the file says: `drop` distributions, `take` others, `folders`
    pack PLAN FOLDER   copies what the plan takes into a folder, from where `apply` can take it
    wheels FOLDER      prints which wheels are in it, and what was said where one could not be made
"""

import base64
import csv
import hashlib
import json
import os
import platform
import re
import shutil
import sys
import sysconfig
import zlib
from typing import Any

MARKER = "mlcontainer-contents:"
_PIECE = 1 << 20
_CODE = (".so", ".pyd", ".dylib")
_INFO = (".dist-info", ".egg-info")
# What installers note of an installation, which says nothing of what is installed.
_TOLD = ("METADATA", "PKG-INFO", "entry_points.txt", "requires.txt", "top_level.txt")
_NOT_PROJECT = ("__pycache__", ".git", ".venv", ".cache", "site-packages", "dist-packages")
_NOT_BASE = (
    "/proc", "/sys", "/dev", "/run", "/tmp", "/var/tmp", "/var/cache", "/var/log", "/var/run",
    "/var/lib/apt/lists", "/root/.cache", "/mlcontainer-donor", "/mlcontainer-plan",
    "/mlcontainer-wheels",
)  # fmt: skip
# Written anew by the engine, or by whatever was installed last.
_PASSING = (
    "/.dockerenv", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/etc/mtab",
    "/etc/ld.so.cache", "/etc/passwd-", "/etc/shadow-", "/etc/group-", "/etc/gshadow-",
)  # fmt: skip


def main(words: "list[str]") -> None:
    if words[0] == "list":
        _tell(contents())
    elif words[0] == "list-packages":
        _tell(contents(everything=False))
    elif words[0] == "apply":
        apply(_load(words[1]))
    elif words[0] == "pack":
        pack(_load(words[1]), words[2])
    elif words[0] == "wheels":
        _tell(wheels(words[1]))


def _tell(found: "dict[str, object]") -> None:
    text = json.dumps(found, sort_keys=True).encode("utf-8", "surrogateescape")
    print(MARKER + base64.b64encode(zlib.compress(text)).decode("ascii"))


def _load(path: str) -> "dict[str, Any]":
    with open(path, encoding="utf-8") as file:
        return json.load(file)


# What is here


def contents(everything: bool = True) -> "dict[str, object]":
    """Everything that can differ from another image, with digests of it; or packages alone."""
    workdir = os.path.realpath(os.getcwd())
    found = distributions(workdir)
    owned = set()
    for each in found:
        owned.update(each.pop("files"))
    inside = {}
    for path in project_files(workdir) if everything else ():
        if os.path.join(workdir, path) not in owned:
            inside[path] = _digest(os.path.join(workdir, path))
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "executable": sys.executable,
        "cache_tag": getattr(sys.implementation, "cache_tag", None),
        "machine": platform.machine(),
        "managed": os.path.exists(os.path.join(_stdlib(), "EXTERNALLY-MANAGED")),
        "site": _site(found),
        "workdir": workdir,
        "distributions": found,
        "project": inside,
        "base": _base(workdir, owned) if everything else {},
        "distribution": _release(),
        "libc": " ".join(platform.libc_ver()).strip(),
    }


def _stdlib() -> str:
    return sysconfig.get_paths()["stdlib"]


def _release() -> str:
    try:
        with open("/etc/os-release", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("PRETTY_NAME="):
                    return line.partition("=")[2].strip().strip('"')
    except OSError:
        pass
    return ""


def _site(found: "list[dict[str, Any]]") -> str:
    """The folder into which a package goes: where most are, or where Python would put it."""
    places = [str(each["site"]) for each in found if not each["own"]]
    if places:
        return max(sorted(set(places)), key=places.count)
    return os.path.realpath(sysconfig.get_paths()["purelib"])


def distributions(workdir: str) -> "list[dict[str, Any]]":
    """What is installed, each once: the first on the path, which is what an import finds."""
    found: dict[str, dict] = {}
    here = os.path.realpath(os.getcwd())
    for entry in sys.path:
        site = os.path.realpath(entry) if entry else here
        if not os.path.isdir(site) or (site == here and entry in ("", ".")):
            continue
        for name in sorted(os.listdir(site)):
            if name.endswith(_INFO):
                each = _distribution(site, name, workdir)
                if each is not None and each["name"] not in found:
                    found[each["name"]] = each
    return [found[name] for name in sorted(found)]


def _distribution(site: str, info: str, workdir: str) -> "dict | None":
    said = _headers(os.path.join(site, info))
    names, versions = said.get("name", []), said.get("version", [])
    if not names or not versions:
        return None
    files = owned_files("", site, info)
    tags = _headers(os.path.join(site, info), "WHEEL").get("tag", [])
    code = [path for path in files if path.endswith(_CODE) or ".so." in path]
    bound = any(".cpython-" in path for path in code) or any(
        re.match(r"cp\d+", tag.split("-")[1] if tag.count("-") else "") for tag in tags
    )
    return {
        "name": re.sub(r"[-_.]+", "-", names[0]).lower(),
        "version": versions[0],
        "site": site,
        "info": info,
        "digest": _content_digest(site, info, files),
        "compiled": bool(code),
        "bound": bool(code) and bound,
        "requires": said.get("requires-dist", []),
        "modules": sorted({_module(path) for path in files} - {""}),
        "own": _is_own(site, info, workdir),
        "files": [os.path.normpath(os.path.join(site, path)) for path in files],
    }


def _module(path: str) -> str:
    """The name that an import has to begin with to read this file; "" for none."""
    first = path.split("/")[0]
    if first in ("..", ".", "__pycache__", "bin") or first.endswith((*_INFO, ".libs", ".pth")):
        return ""
    return re.sub(r"\..*$", "", first)


def _is_own(site: str, info: str, workdir: str) -> bool:
    """Whether it is installed from, or is itself, a folder of the project in the image."""
    if workdir == "/":
        return False
    below = workdir + os.sep
    text = _text(os.path.join(site, info, "direct_url.json"))
    try:
        said = json.loads(text) if text else {}
    except ValueError:
        said = {}
    url = str(said.get("url", "")) if isinstance(said, dict) else ""
    if "dir_info" in said and (url[len("file://") :] + os.sep).startswith(below):
        return True
    parts = os.path.relpath(site, workdir).split(os.sep)
    inside = (site + os.sep).startswith(below)
    return inside and not {"site-packages", "dist-packages"} & set(parts)


def _headers(info: str, name: str = "") -> "dict[str, list[str]]":
    """The fields of a metadata file, up to its first empty line."""
    if name:
        text = _text(os.path.join(info, name))
    elif os.path.isdir(info):
        text = _text(os.path.join(info, "METADATA")) or _text(os.path.join(info, "PKG-INFO"))
    else:
        text = _text(info)
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if not line.strip():
            break
        key, colon, value = line.partition(":")
        if colon and not line[0].isspace():
            found.setdefault(key.strip().lower(), []).append(value.strip())
    return found


def owned_files(root: str, site: str, info: str) -> "list[str]":
    """The files of a distribution, relative to its site folder; byte code is left out.

    Where no RECORD lists them: the folders and modules that can be imported by its name.

    Args:
        root: what stands before all paths: "" here, the folder of another image's files there.
    """
    base = root + site
    record = _text(os.path.join(base, info, "RECORD"))
    if record:
        listed = [row[0] for row in csv.reader(record.splitlines()) if row]
    elif os.path.isfile(os.path.join(base, info, "installed-files.txt")):
        lines = _text(os.path.join(base, info, "installed-files.txt")).splitlines()
        listed = [os.path.join(info, line) for line in lines if line.strip()]
    else:
        listed = _importable(base, info)
    listed += _below(base, info)
    paths = {os.path.normpath(path) for path in listed if not path.endswith((".pyc", ".pyo"))}
    return sorted(path for path in paths if not os.path.isabs(path) and path != ".")


def _importable(base: str, info: str) -> "list[str]":
    names = _text(os.path.join(base, info, "top_level.txt")).split()
    if not names:
        names = [re.sub(r"-.*$", "", info[: info.rindex(".")])]
        names.append(names[0].lower().replace("-", "_"))
    found = []
    for name in names:
        found += [name + ".py"] if os.path.isfile(os.path.join(base, name + ".py")) else []
        found += _below(base, name) + _below(base, name + ".libs")
    return found


def _below(base: str, name: str) -> "list[str]":
    """All files in a folder, or the file itself, relative to `base`."""
    if os.path.isfile(os.path.join(base, name)):
        return [name]
    found = []
    for folder, folders, files in os.walk(os.path.join(base, name)):
        folders[:] = sorted(each for each in folders if each != "__pycache__")
        found += [os.path.relpath(os.path.join(folder, each), base) for each in sorted(files)]
    return found


def _content_digest(site: str, info: str, files: "list[str]") -> str:
    """Of what it brings; the same for pip and uv, wherever it was downloaded from."""
    record = _text(os.path.join(site, info, "RECORD"))
    known = {row[0]: row[1] for row in csv.reader(record.splitlines()) if len(row) > 1}
    total = hashlib.sha256()
    for path in files:
        told = path.startswith(info + "/")
        if path.startswith("..") or (told and os.path.basename(path) not in _TOLD):
            continue  # scripts name their Python in the first line
        digest = known.get(path) or _digest(os.path.join(site, path))
        total.update((path + "\0" + digest + "\n").encode("utf-8", "surrogateescape"))
    return total.hexdigest()[:16]


def project_files(workdir: str) -> "list[str]":
    """What the project's own folder holds, relative to it; of `/` only the files right in it."""
    found = []
    for folder, folders, files in os.walk(workdir):
        folders[:] = sorted(name for name in folders if _is_project(folder, name))
        if workdir == "/" or workdir.endswith("/mlcontainer-donor/"):
            folders[:] = []
        for name in sorted(files):
            path = os.path.join(folder, name)
            if name.endswith((".pyc", ".pyo")) or path in _PASSING:
                continue
            found.append(os.path.relpath(path, workdir))
    return found


def _is_project(folder: str, name: str) -> bool:
    environment = os.path.exists(os.path.join(folder, name, "pyvenv.cfg"))
    return name not in _NOT_PROJECT and not environment


def _base(workdir: str, owned: "set[str]") -> "dict[str, str]":
    """Everything else: the system, Python itself, libraries, what nobody's RECORD lists."""
    inside = "" if workdir == "/" else workdir
    mine = {os.path.join(workdir, path) for path in project_files(workdir)}
    found = {}
    for folder, folders, files in os.walk("/"):
        folders[:] = [
            name for name in folders
            if name != "__pycache__" and os.path.join(folder, name) not in _NOT_BASE
        ]  # fmt: skip
        linked = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        for name in files + linked:
            path = os.path.join(folder, name)
            if path in owned or path in mine or path in _PASSING or name.endswith(".pyc"):
                continue
            if inside and path.startswith(inside + "/") and "/site-packages/" not in path:
                continue
            found[path] = _digest(path)
    return found


def _digest(path: str) -> str:
    try:
        if os.path.islink(path):
            return "-> " + os.readlink(path)
        size = os.path.getsize(path)
        total = hashlib.sha256(str(size).encode())
        if not os.path.isfile(path):
            return "special"
        with open(path, "rb") as file:
            # All of it: weights that were trained further differ anywhere but at their ends.
            piece = file.read(_PIECE)
            while piece:
                total.update(piece)
                piece = file.read(_PIECE)
        return total.hexdigest()[:12]
    except OSError as error:
        return "unread: " + str(error.strerror)


# Replacing it


def apply(plan: "dict[str, Any]") -> None:
    """Change this image as the plan says.

    The plan has `donor` (the folder with the other image's files), `drop` (distributions that go:
    `site`, `info`), `take` (those that come: `site`, `info`, and `into`, the site folder here),
    `folders` (the project's: `from` there; `into` here, which is emptied; `to` here, which is
    filled), and the donor's `cache_tag` and `python`.
    """
    dropped: list[str] = []
    for each in plan["drop"]:
        for path in owned_files("", each["site"], each["info"]):
            dropped.append(os.path.normpath(os.path.join(each["site"], path)))
    for folder in plan["folders"]:
        for path in project_files(folder["into"]):
            dropped.append(os.path.join(folder["into"], path))
    for path in dropped:
        _remove(path)
    same = plan["cache_tag"] == getattr(sys.implementation, "cache_tag", None)
    for each in plan["take"]:
        paths = owned_files(plan["donor"], each["site"], each["info"])
        for path in paths:
            source = os.path.normpath(os.path.join(plan["donor"] + each["site"], path))
            _copy(plan, source, os.path.normpath(os.path.join(each["into"], path)), same)
    for folder in plan["folders"]:
        top = plan["donor"] + folder["from"]
        for path in project_files(top):
            source, target = os.path.join(top, path), os.path.join(folder["to"], path)
            _copy(plan, source, target, same)


def _remove(path: str) -> None:
    """The file, byte code made from it, and the folders that are empty without them."""
    folder, name = os.path.split(path)
    cache = os.path.join(folder, "__pycache__")
    if name.endswith(".py") and os.path.isdir(cache):
        for each in os.listdir(cache):
            if each.startswith(name[:-2]):
                os.remove(os.path.join(cache, each))
        _remove_empty(cache)
    if os.path.lexists(path) and (os.path.islink(path) or not os.path.isdir(path)):
        os.remove(path)
    while folder.count(os.sep) > 1 and folder != os.getcwd() and _remove_empty(folder):
        folder = os.path.dirname(folder)


def _remove_empty(folder: str) -> bool:
    if os.path.basename(folder) not in ("site-packages", "dist-packages", "bin"):
        try:
            os.rmdir(folder)
            return True
        except OSError:
            pass
    return False


def _copy(plan: "dict[str, Any]", source: str, target: str, byte_code: bool) -> None:
    """One file with its times and rights, and the byte code that belongs to it."""
    if not os.path.lexists(source) or os.path.isdir(source):
        return
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if os.path.lexists(target):
        os.remove(target)
    shutil.copy2(source, target, follow_symlinks=False)
    if os.path.basename(os.path.dirname(target)) == "bin":
        _repoint(target, plan["python"])
    folder, name = os.path.split(source)
    cache = os.path.join(folder, "__pycache__")
    if byte_code and name.endswith(".py") and os.path.isdir(cache):
        for each in os.listdir(cache):
            if each.startswith(name[:-2] + plan["cache_tag"]):
                place = os.path.join(os.path.dirname(target), "__pycache__")
                os.makedirs(place, exist_ok=True)
                shutil.copy2(os.path.join(cache, each), os.path.join(place, each))


def _repoint(script: str, python: str) -> None:
    """A script that names the donor's Python in its first line runs with the one here."""
    if os.path.islink(script):
        return
    with open(script, "rb") as file:
        first, rest = file.readline(), file.read()
    if first.startswith(b"#!") and python and python.encode() in first:
        status = os.stat(script)
        with open(script, "wb") as file:
            file.write(b"#!" + sys.executable.encode() + b"\n" + rest)
        os.utime(script, ns=(status.st_atime_ns, status.st_mtime_ns))


def pack(plan: "dict[str, Any]", folder: str) -> None:
    """The files of all that the plan takes, below `folder`, at their own paths."""
    plan = dict(plan, python="")
    for each in plan["take"]:
        for path in owned_files("", each["site"], each["info"]):
            source = os.path.normpath(os.path.join(each["site"], path))
            _copy(plan, source, folder + source, True)


def wheels(folder: str) -> "dict[str, object]":
    """For each package asked for: its wheel's path, or the last thing that was said."""
    found: dict[str, object] = {}
    for name in sorted(os.listdir(folder)):
        place = os.path.join(folder, name)
        if not os.path.isdir(place):
            continue
        made = sorted(each for each in os.listdir(place) if each.endswith(".whl"))
        lines = [line.strip() for line in _text(place + ".log").splitlines() if line.strip()]
        errors = [line for line in lines if line.lower().startswith("error")] or lines
        found[name] = {
            "wheel": os.path.join(place, made[0]) if made else "",
            "said": re.sub(r"^(?i:error):\s*", "", errors[-1])[:300] if errors else "",
        }
    return found


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError:
        return ""


if __name__ == "__main__":
    main(sys.argv[1:])
