"""Packages that were compiled for another Python: wheels for the Python of one image."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable

from pytest_mlcontainer.errors import BuildError
from pytest_mlcontainer.mixing.building import WHEELS, build_image
from pytest_mlcontainer.mixing.contents import Distribution, text_of, unpacked
from pytest_mlcontainer.mixing.hybrids import Wheels
from pytest_mlcontainer.mixing.looking import HybridTools, ask
from pytest_mlcontainer.mixing.sides import Side
from pytest_mlcontainer.model import Entrypoint, Settings
from pytest_mlcontainer.storage import digest

_WHEEL_S = 600  # to make one from source


def fetch_wheels(
    tools: HybridTools, settings: Settings, base: Side, wanted: Iterable[Distribution]
) -> Wheels:
    """Wheels of these packages for the Python of an image: from the index its pip knows, or built.

    One that cannot be had is no error.
    """
    packages = tuple(wanted)
    image = base.image
    if not packages or image is None:
        return Wheels()
    files = {"Dockerfile": _wheels_dockerfile(base, packages)}
    key = digest([image.digest, files["Dockerfile"], "wheels"])
    python = base.contents.minor
    try:
        made = build_image(tools, settings, image, key, files, ())
        raw = unpacked(ask(tools, made, Entrypoint("wheels"), ("wheels", WHEELS))[0]) or {}
    except BuildError as error:
        raw = {each.name: {"said": error.what} for each in packages}
        made = image
    paths, missing = [], []
    for each in packages:
        told = raw.get(each.name)
        told = told if isinstance(told, dict) else {}
        if text_of(told, "wheel"):
            paths.append((each.name, text_of(told, "wheel")))
            continue
        why = text_of(told, "said") or "pip said nothing"
        named = f"{each.name} {each.version}"
        text = f"{named} has no wheel for Python {python} and does not build: {why}"
        missing.append((each.name, text))
    return Wheels(made.reference, tuple(paths), tuple(missing))


def _wheels_dockerfile(base: Side, packages: tuple[Distribution, ...]) -> str:
    python = shlex.quote(base.contents.executable)
    lines = [f"mkdir -p {WHEELS}", "limit=; command -v timeout >/dev/null && limit='timeout "
             f"{_WHEEL_S}'"]  # fmt: skip
    for each in packages:
        wanted = shlex.quote(f"{each.name}=={each.version}")
        place = shlex.quote(f"{WHEELS}/{each.name}")
        lines.append(
            f"mkdir -p {place}; $limit {python} -m pip wheel --no-deps --no-cache-dir "
            f"--disable-pip-version-check -w {place} {wanted} >{place}.log 2>&1 || true"
        )
    run = json.dumps(["/bin/sh", "-c", "; ".join([*lines, "true"])])
    assert base.image is not None
    return f"FROM {base.image.reference}\nUSER root\nRUN {run}\n"
