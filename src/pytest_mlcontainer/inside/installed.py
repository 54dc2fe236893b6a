"""Tells what is installed in a Python, and what markers of requirements mean there.

Sent into images as text and run there, on Pythons from 3.6 on; prints one line, a marker and JSON.
"""

import json
import os
import platform
import re
import sys

MARKER = "mlcontainer-installed:"
_FIELDS = ("Name", "Version", "License", "License-Expression", "Requires-Python")


def _text(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _names(folder):
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _headers(path):
    """Fields of a METADATA or PKG-INFO file, in their order; long ones are joined."""
    found = []  # type: list[list[str]]
    for line in _text(path).partition("\n\n")[0].splitlines():
        if line[:1] in (" ", "\t") and found:
            found[-1][1] += " " + line.strip()
        elif ":" in line:
            name, _, value = line.partition(":")
            found.append([name.strip(), value.strip()])
    return found


def _distribution(folder, name):
    place = os.path.join(folder, name)
    if name.endswith(".dist-info"):
        file = os.path.join(place, "METADATA")
    else:
        file = os.path.join(place, "PKG-INFO") if os.path.isdir(place) else place
    headers = _headers(file)
    told = {"site": folder}
    for key, value in reversed(headers):
        if key in _FIELDS:
            told[key] = value[:200]
    if not told.get("Name"):
        return None
    told["requires"] = [value for key, value in headers if key == "Requires-Dist"]
    told["extras"] = [value for key, value in headers if key == "Provides-Extra"]
    told["classifiers"] = [
        value for key, value in headers if key == "Classifier" and value.startswith("License ::")
    ]
    told["installer"] = _text(os.path.join(place, "INSTALLER")).strip()
    try:
        told["origin"] = json.loads(_text(os.path.join(place, "direct_url.json")) or "null")
    except ValueError:
        told["origin"] = None
    return told


def _distributions():
    """The first of each name on the path is the one that is imported."""
    found = {}
    for folder in dict.fromkeys(sys.path):
        for name in _names(folder):
            if name.endswith((".dist-info", ".egg-info")):
                told = _distribution(folder, name)
                key = re.sub(r"[-_.]+", "-", told["Name"]).lower() if told else ""
                if told and key not in found:
                    found[key] = told
    return list(found.values())


def _conda():
    """Builds of conda's packages, `numpy-1.26.4-py312h8753938_0`."""
    names = _names(os.path.join(sys.prefix, "conda-meta"))
    return [name[: -len(".json")] for name in names if name.endswith(".json")]


def _environment():
    implementation = sys.implementation
    version = "%d.%d.%d" % implementation.version[:3]
    return {
        "implementation_name": implementation.name,
        "implementation_version": version,
        "os_name": os.name,
        "platform_machine": platform.machine(),
        "platform_python_implementation": platform.python_implementation(),
        "platform_release": platform.release(),
        "platform_system": platform.system(),
        "platform_version": platform.version(),
        "python_full_version": platform.python_version(),
        "python_version": ".".join(platform.python_version_tuple()[:2]),
        "sys_platform": sys.platform,
    }


if __name__ == "__main__":
    print(
        MARKER
        + json.dumps(
            {
                "distributions": _distributions(),
                "environment": _environment(),
                "conda": _conda(),
                "prefix": sys.prefix,
            }
        )
    )
