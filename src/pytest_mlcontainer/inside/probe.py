"""Read the environment it runs in, and print it as JSON objects behind a marker, one a line.

Sent into images as text and run there by whatever Python 3 they have, so it imports nothing but the
standard library, loads no numerical library as a module, and treats every fact as optional. Old
Pythons read it too: annotations are text, and paths are strings, as pathlib loads slowly.

What is safe to read comes first, in one line. Each stage that may crash or hang, because it loads
a library, has lines of its own around it: what was printed before stays known, and `unread.STAGE`
says what is not. Its first argument, if there is one, is the text of further stages.
"""

import ctypes
import faulthandler
import glob
import json
import locale
import os
import platform
import re
import resource
import sys
import sysconfig
import time
import zlib

MARKER = "mlcontainer-facts:"
UNFINISHED = "not finished"
NOT_REACHED = "not reached"
FLAGS = (
    "avx", "avx2", "avx512f", "fma", "sse4_2", "asimd", "sve", "bf16", "amx_tile", "avx_vnni",
    "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_bf16", "asimdhp", "asimddp", "i8mm", "sve2",
)  # fmt: skip
# Variables that change results and hold no secrets; of all others the name alone is a fact.
ENVIRONMENT = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "OPENBLAS_CORETYPE",
    "MKL_CBWR",
    "NPY_DISABLE_CPU_FEATURES",
    "ATEN_CPU_CAPABILITY",
    "ONEDNN_MAX_CPU_ISA",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "NVIDIA_TF32_OVERRIDE",
    "GLIBC_TUNABLES",
    "PYTHONHASHSEED",
    "PYTHONUTF8",
    "PYTHONCOERCECLOCALE",
    "PYTHON_CPU_COUNT",
    "TZ",
    "LC_ALL",
    "LANG",
    "QEMU_CPU",
    "CUDA_VISIBLE_DEVICES",
    "CUBLAS_WORKSPACE_CONFIG",
    "TF_DETERMINISTIC_OPS",
    "NVIDIA_VISIBLE_DEVICES",
)
# What a shell sets for whatever it starts.
_SHELLS_OWN = ("PWD", "OLDPWD", "SHLVL", "_")
_LOCALES = ("de_DE.UTF-8", "tr_TR.UTF-8", "fr_FR.UTF-8", "sv_SE.UTF-8", "en_US.UTF-8")
_LETTERS = ("a", "B", "z", "\u00e4")
# Not "/": its order changes with every folder that an engine makes in it.
_LISTED = ("/bin", "/etc", "/lib", "/usr/bin", "/usr/lib", "/usr/share")
_HEAD_BYTES = 4096
_NO_RANDOMISATION = 0x0040000
_LOADING_S = 20
_HWCAP, _HWCAP2 = 16, 26


def main() -> None:
    stages: list = list(_STAGES)
    found: dict[str, object] = {}
    try:
        stages += _further(sys.argv[1:])
    except Exception as error:
        found["unread.further"] = repr(error)[:200]
    found.update(("unread." + name, NOT_REACHED) for name, _limit, _read in stages)
    for read in _SAFE:
        found.update(_read(read.__name__.lstrip("_"), read))
    _say(found)
    for name, limit_s, read in stages:
        _say({"unread." + name: UNFINISHED})
        # By a thread of its own, not by Python's: a library that hangs may hold the interpreter.
        faulthandler.dump_traceback_later(limit_s, exit=True)
        found = dict({"unread." + name: None}, **_read(name, read))
        faulthandler.cancel_dump_traceback_later()
        _say(found)


def _further(texts):
    """The stages that texts define."""
    namespace: dict = {"__name__": "further", "STAGES": ()}
    for text in texts:
        exec(text, namespace)
    return namespace["STAGES"]


def _read(name, read):
    """What `read` finds, or why it finds nothing."""
    try:
        return read()
    except (Exception, SystemExit) as error:
        return {"unread." + name: repr(error)[:200]}


def _say(found: "dict[str, object]") -> None:
    # What a library prints may lack the end of its line.
    sys.stdout.write("\n" + MARKER + json.dumps(found, sort_keys=True) + "\n")
    sys.stdout.flush()


# The system


def _system() -> "dict[str, object]":
    release = {}
    for line in _text("/etc/os-release").splitlines():
        name, _equals, value = line.partition("=")
        release[name] = value.strip("\"'")
    return {
        "machine": platform.machine(),
        "kernel": platform.release(),
        "distribution": release.get("PRETTY_NAME"),
        "libc": " ".join(platform.libc_ver()).strip() or _musl(),
        "host.name": platform.node(),
    }


def _musl() -> "str | None":
    for path in glob.glob("/lib/ld-musl-*"):
        with open(path, "rb") as file:
            version = re.search(rb"\0(\d+\.\d+\.\d+)\0", file.read())
        return "musl " + version.group(1).decode() if version else "musl"
    return None


def _cpu() -> "dict[str, object]":
    seen: dict[str, str] = {}
    for line in _lines("/proc/cpuinfo"):
        name, _colon, value = line.partition(":")
        seen.setdefault(name.strip().lower(), value.strip())
        if not line.strip() and "processor" in seen:
            break  # the others are like the first, and there may be hundreds
    part = seen.get("cpu implementer", "") + "/" + seen.get("cpu part", "")
    # Emulated, a program sees the list of the machine below, which has a name of its own.
    arm = platform.machine().startswith(("aarch64", "arm"))
    flags = seen.get("features" if arm else "flags", "").split()
    # What the emulated CPU can do, by its own word; elsewhere the flags say it.
    vector = getattr(ctypes.CDLL(None), "getauxval", None) if "QEMU_CPU" in os.environ else None
    if vector is not None:
        vector.restype, vector.argtypes = ctypes.c_ulong, [ctypes.c_ulong]
    return {
        "cpu.hwcap": vector and "%x %x" % (vector(_HWCAP), vector(_HWCAP2)),
        "cpu.model": seen.get("model name") or (part if part != "/" else None),
        "cpu.flags": " ".join(flag for flag in FLAGS if flag in flags) or None,
        "cpu.count": os.cpu_count(),
        "cpu.usable": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
    }


def _memory() -> "dict[str, object]":
    raw = _text("/sys/fs/cgroup/memory.max") or _text("/sys/fs/cgroup/memory/memory.limit_in_bytes")
    limit = int(raw) if raw.strip().isdigit() else None
    total = re.search(r"^MemTotal:\s*(\d+) kB", _text("/proc/meminfo"), re.MULTILINE)
    shared = os.statvfs("/dev/shm") if os.path.isdir("/dev/shm") else None
    return {
        # Version 1 of cgroups writes "no limit" as a number near 2**63.
        "memory.limit_bytes": limit if limit is not None and limit < 2**60 else None,
        "memory.total_bytes": int(total.group(1)) * 1024 if total else None,
        "memory.shm_bytes": shared.f_blocks * shared.f_frsize if shared else None,
    }


def _files() -> "dict[str, object]":
    return {
        "folder": os.getcwd(),
        "files.root_read_only": bool(os.statvfs("/").f_flag & os.ST_RDONLY),
        "files.listing": _listing(),
    }


def _listing() -> str:
    """The names that come first, to be shown, and a digest of the order in all folders."""
    names = next((names for names in map(_unsorted, _LISTED) if names), [])
    first = [name.encode("ascii", "backslashreplace").decode() for name in names[:3]]
    orders = [_order(folder) for folder in _LISTED]
    return "%s \u2026 (%s)" % (", ".join(first), _digest(repr(orders).encode()))


def _unsorted(folder: str) -> "list[str]":
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _order(folder: str) -> "list[int]":
    """In which order the names in a folder come, as their places in the sorted order."""
    names = _unsorted(folder)
    places = {name: place for place, name in enumerate(sorted(names))}
    return [places[name] for name in names]


def _network() -> "dict[str, object]":
    routes = [line.split() for line in _lines("/proc/net/route")]
    ways_out = {route[0] for route in routes if route[1:2] == ["00000000"]}
    return {
        "network.interfaces": " ".join(sorted(_interfaces() | ways_out)),
        "network.route": " ".join(sorted(ways_out)) or None,
    }


def _interfaces() -> "set[str]":
    """Those a program has. A bridge and what is plugged into one come and go with containers."""
    folder = "/sys/class/net"
    return {
        name
        for name in os.listdir(folder)
        if not any(
            os.path.exists(os.path.join(folder, name, sort)) for sort in ("bridge", "brport")
        )
    }


def _process() -> "dict[str, object]":
    raw = _text("/proc/self/personality").strip()
    files = resource.getrlimit(resource.RLIMIT_NOFILE)
    off = bool(raw) and bool(int(raw, 16) & _NO_RANDOMISATION)
    off = off or _text("/proc/sys/kernel/randomize_va_space").strip() == "0"
    return {
        "process.aslr": "off" if off else "on" if raw else None,
        "process.nofile": files[0],
        "process.nofile_hard": files[1],
        "program.sh": _program("sh"),
        "program.setarch": _program("setarch"),
    }


def _program(name: str) -> "str | None":
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        path = os.path.join(folder, name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return None


# The user's surroundings


def _user() -> "dict[str, object]":
    umask = os.umask(0o022)
    os.umask(umask)
    return {
        "user.id": os.getuid(),
        "user.home": os.path.expanduser("~"),
        "user.umask": "%04o" % umask,
    }


def _clock() -> "dict[str, object]":
    return {
        "clock.date": time.strftime("%Y-%m-%d"),
        "timezone.name": os.environ.get("TZ"),
        "timezone.offset_s": -time.timezone,
        "timezone.data": os.path.exists("/usr/share/zoneinfo/Europe/Berlin"),
    }


def _locale() -> "dict[str, object]":
    found: dict[str, object] = {"locale.encoding": locale.getpreferredencoding(False)}
    before = locale.setlocale(locale.LC_ALL)
    try:
        # A locale that is not there leaves a program in the one that it started with.
        _set_locale("")
        found["locale.collation"], found["locale.decimal"] = _habits()
        _set_locale("C")
        plain = _habits()
        # musl takes any name, and changes nothing.
        there = [name for name in _LOCALES if _set_locale(name) and _habits() != plain]
        found["locale.available"] = " ".join(there) or None
    finally:
        locale.setlocale(locale.LC_ALL, before)
    return found


def _set_locale(name: str) -> bool:
    try:
        locale.setlocale(locale.LC_ALL, name)
    except locale.Error:
        return False
    return True


def _habits() -> "tuple[str, str]":
    """How letters are sorted, and what stands before decimals."""
    order = "<".join(sorted(_LETTERS, key=locale.strxfrm))
    return order, str(locale.localeconv()["decimal_point"])


def _environment() -> "dict[str, object]":
    found: dict[str, object] = {
        "env." + name: os.environ[name] for name in ENVIRONMENT if name in os.environ
    }
    names = set(os.environ).difference(_SHELLS_OWN)
    # Python sets it itself where no locale is chosen.
    if os.environ.get("LC_CTYPE") in ("C.UTF-8", "C.utf8", "UTF-8"):
        names.discard("LC_CTYPE")
    found["environment.names"] = " ".join(sorted(names))
    return found


# Python and its packages


def _python() -> "dict[str, object]":
    seed = os.environ.get("PYTHONHASHSEED")
    found: dict[str, object] = {
        "python.version": platform.python_version(),
        "python.implementation": platform.python_implementation(),
        "python.compiler": platform.python_compiler(),
        "python.platform": sysconfig.get_platform(),
        "python.hash_randomization": bool(sys.flags.hash_randomization),
        "python.hash_seed": seed,
    }
    if seed not in (None, "", "random"):
        found["canary.hash"] = str(hash("a"))
    return found


def _packages() -> "dict[str, object]":
    """By the heads of their metadata: the whole of it takes `importlib.metadata` ten times longer.

    The first on the path is the one that is imported.
    """
    found: dict[str, object] = {}
    for folder in sys.path:
        for place in _metadata(folder):
            head = _text(place, _HEAD_BYTES).partition("\n\n")[0]
            name, version = _field(head, "Name"), _field(head, "Version")
            fact = "package." + re.sub(r"[-_.]+", "-", name or "").lower()
            if name and fact not in found:
                found[fact] = version
                origin = _origin(os.path.join(os.path.dirname(place), "direct_url.json"))
                if origin:
                    found[fact + ".origin"] = origin
    return found


def _metadata(folder: str) -> "list[str]":
    """The metadata files of all that is installed in a folder of the path."""
    if folder.endswith(".egg"):
        return [os.path.join(folder, "EGG-INFO", "PKG-INFO")]
    places = []
    for name in _names(folder):
        if name.endswith(".dist-info"):
            places.append(os.path.join(folder, name, "METADATA"))
        elif name.endswith(".egg-info"):
            place = os.path.join(folder, name)
            places.append(os.path.join(place, "PKG-INFO") if os.path.isdir(place) else place)
    return places


def _field(head: str, name: str) -> "str | None":
    found = re.search("^" + name + r":[ \t]*(.*\S)", head, re.MULTILINE | re.IGNORECASE)
    return found.group(1) if found else None


def _origin(path: str) -> "str | None":
    """Where a package that is from no index is from; without what could be a password."""
    text = _text(path)
    if not text:
        return None
    raw = json.loads(text)
    url = re.sub(r"^([^:/?#]+://)[^/?#]*@", r"\1", str(raw.get("url", "")))
    url = re.sub(r"[?#].*", "", url)
    version = raw.get("vcs_info") or {}
    if version:
        return "%s+%s@%s" % (version.get("vcs"), url, version.get("commit_id"))
    return url


def _torch() -> "dict[str, object]":
    for folder in sys.path:
        text = _text(os.path.join(folder, "torch", "version.py"))
        if text:
            given = dict(re.findall(r"^(\w+)[^=\n]*=\s*(.+?)\s*$", text, re.MULTILINE))
            cuda = given.get("cuda", "None").strip("'\"")
            return {
                "torch.version": given.get("__version__", "").strip("'\"") or None,
                "torch.cuda": None if cuda == "None" else cuda,
            }
    return {}


def _cuda() -> "dict[str, object]":
    found: dict[str, object] = {}
    driver = re.search(r"Kernel Module.*?\s(\d[\d.]+)", _text("/proc/driver/nvidia/version"))
    if driver:
        found["cuda.driver"] = driver.group(1)
    places = [os.path.join(folder, "nvidia", "*", "lib") for folder in sys.path]
    places += [os.path.join(folder, "torch", "lib") for folder in sys.path]
    places += ["/usr/local/cuda*/lib64", "/usr/lib/*-linux-gnu"]
    names = {
        os.path.basename(os.path.realpath(path))
        for place in places
        for path in glob.glob(os.path.join(place, "libcudart*.so*"))
    }
    if names:
        found["cuda.runtime"] = " ".join(sorted(names))
    return found


# Libraries, by their own interfaces


def _blas() -> "dict[str, object]":
    """OpenBLAS: from the wheel of NumPy or SciPy, from the environment, or the system's.

    One that cannot be opened, or that has no such names, hides none of the others.
    """
    failed: list[str] = []
    for path in _libraries("*.libs/*openblas*", "libopenblas*.so*"):
        try:
            told = _ask_openblas(_opened(path))
        except OSError as error:
            failed.append(str(error)[:200])
            continue
        if told:
            return told
    return {"unread.blas": failed[0]} if failed else {}


def _ask_openblas(library: ctypes.CDLL) -> "dict[str, object]":
    for prefix in ("scipy_openblas", "openblas"):
        for suffix in ("64_", "_64", ""):
            core = getattr(library, prefix + "_get_corename" + suffix, None)
            threads = getattr(library, prefix + "_get_num_threads" + suffix, None)
            if core is None or threads is None:
                continue
            core.restype = ctypes.c_char_p
            return {
                "blas.kernel": core().decode("ascii", "replace"),
                "blas.threads": threads(),
            }
    return {}


def _openmp() -> "dict[str, object]":
    beside = ("*.libs/lib*omp*.so*", "torch/lib/lib*omp*.so*")
    for path in [path for pattern in beside for path in _libraries(pattern)]:
        threads = getattr(_opened(path), "omp_get_max_threads", None)
        if threads is not None:
            return {"openmp.threads": threads()}
    return {}


def _mkl() -> "dict[str, object]":
    for path in glob.glob(os.path.join(sys.prefix, "lib", "libmkl_rt.so*")):
        library = ctypes.CDLL(path)
        text = ctypes.create_string_buffer(200)
        library.MKL_Get_Version_String(text, len(text) - 1)
        return {
            "mkl.version": text.value.decode("ascii", "replace").strip(),
            "mkl.threads": library.MKL_Get_Max_Threads(),
            # The branch that it would take for bitwise equal results, or the one that it is set to.
            "mkl.branch": library.mkl_cbwr_get(-1),
        }
    return {}


def _opened(path: str) -> ctypes.CDLL:
    """A library, after those beside it that it needs.

    In wheels of NumPy and SciPy up to 1.26 and 1.12 it needs libgfortran, and has no path to it:
    the extension module that is loaded first brings both. One that is loaded is found by its name.

    Raises:
        OSError: it cannot be opened all the same.
    """
    # Elsewhere there are many others, and the loader knows the way to those.
    folder = os.path.dirname(path)
    beside = sorted(glob.glob(os.path.join(folder, "*.so*"))) if folder.endswith(".libs") else []
    waiting = [each for each in beside if each != path]
    while True:
        try:
            return ctypes.CDLL(path)
        except OSError:
            loaded = [each for each in waiting if _loads(each)]
            if not loaded:
                raise
            waiting = [each for each in waiting if each not in loaded]


def _loads(path: str) -> bool:
    try:
        ctypes.CDLL(path)
    except OSError:
        return False
    return True


def _libraries(beside: str, shared: str = "") -> "list[str]":
    """Libraries that packages bring along, then those of the environment and of the system."""
    places = [os.path.join(folder, beside) for folder in sys.path if folder]
    if shared:
        places += [
            os.path.join(folder, shared)
            for folder in (os.path.join(sys.prefix, "lib"), "/usr/lib", "/usr/lib/*", "/usr/lib64")
        ]
    return [path for place in places for path in sorted(glob.glob(place))]


# Reading


def _digest(data: bytes) -> str:
    return "%08x" % zlib.crc32(data)


def _names(folder: str) -> "list[str]":
    try:
        return sorted(os.listdir(folder or "."))
    except OSError:
        return []


def _lines(path: str):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            yield from file
    except OSError:
        return


def _text(path: str, limit: int = -1) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(limit)
    except OSError:
        return ""


_SAFE = (
    _system, _cpu, _memory, _files, _network, _process, _user, _clock, _locale, _environment,
    _python, _packages, _torch, _cuda,
)  # fmt: skip
# What each is called, after how many seconds it is given up, and what reads it.
_STAGES = (("blas", _LOADING_S, _blas), ("openmp", _LOADING_S, _openmp), ("mkl", _LOADING_S, _mkl))

if __name__ == "__main__":
    main()
