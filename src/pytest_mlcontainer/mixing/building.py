"""Building hybrid images: image A with some of its packages, files or variables replaced by B's.

Files are moved from image to image, so that it works offline, and for versions that no index has
any more. Only what was compiled for another minor version of Python is asked of an index.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_mlcontainer import images
from pytest_mlcontainer.mixing.changes import Change, ImageChangeKind
from pytest_mlcontainer.mixing.contents import Contents, Distribution
from pytest_mlcontainer.mixing.hybrids import Hybrid, ImagePair
from pytest_mlcontainer.mixing.looking import HybridTools, run_here, script
from pytest_mlcontainer.model import BuildSettings, Image, Pairs, Settings
from pytest_mlcontainer.storage import digest
from pytest_mlcontainer.temporary import temporary_folder

DONOR, PLAN, WHEELS = "/mlcontainer-donor", "/mlcontainer-plan", "/mlcontainer-wheels"


def build_hybrid(tools: HybridTools, settings: Settings, pair: ImagePair, hybrid: Hybrid) -> str:
    """The reference of the hybrid image, built unless it was before.

    Raises:
        BuildError: it cannot be built.
    """
    base = hybrid.base.image
    assert base is not None
    if not hybrid.needs_build:
        return base.reference
    plan = json.dumps(transplant_plan(hybrid), sort_keys=True)
    donor = hybrid.donor.image.digest if hybrid.donor.image else str(pair.packed)
    key = digest([base.digest, donor, plan, hybrid.install, script()])
    contexts = () if pair.packed is None else (("donor", str(pair.packed)),)
    files = {"plan.json": plan, "transplant.py": script(), "Dockerfile": dockerfile(hybrid)}
    return build_image(tools, settings, base, key, files, contexts).reference


def transplant_plan(hybrid: Hybrid) -> dict[str, Any]:
    """What the script in the image is told to do; see `transplant.apply`."""
    base, donor = hybrid.base.contents, hybrid.donor.contents
    sites = {each.name: each.site for each in hybrid.drop}
    folders = []
    if hybrid.project:
        folders = [{"from": donor.workdir, "into": base.workdir, "to": donor.workdir}]
    return {
        "donor": DONOR,
        "drop": [{"site": each.site, "info": each.info} for each in hybrid.drop],
        "take": [_place(each, sites.get(each.name, base.site)) for each in hybrid.take],
        "folders": folders,
        "cache_tag": donor.cache_tag,
        "python": donor.executable,
    }


def dockerfile(hybrid: Hybrid) -> str:
    """How a hybrid image is built."""
    base, donor = hybrid.base.image, hybrid.donor.image
    assert base is not None
    python = hybrid.base.contents.executable
    lines = [f"FROM {base.reference}", "USER root"]
    giver = "donor"
    if donor is not None and donor.platform == base.platform:
        giver = donor.reference
    elif donor is not None:
        lines.insert(0, f"FROM --platform={donor.platform} {donor.reference} AS donor")
    if hybrid.install:
        pip = [python, "-m", "pip", "install", "--no-deps", "--no-index", "--force-reinstall"]
        pip += ["--disable-pip-version-check", "--no-cache-dir", "--root-user-action=ignore"]
        pip += ["--break-system-packages"] if hybrid.base.contents.managed else []
        mount = f"--mount=type=bind,from={hybrid.wheels},source={WHEELS},target={WHEELS}"
        lines.append(f"RUN {mount} {json.dumps([*pip, *hybrid.install])}")
    mounts = f"--mount=type=bind,from={giver},target={DONOR} --mount=type=bind,target={PLAN} "
    run = [python, "-I", "-S", "-B", f"{PLAN}/transplant.py", "apply", f"{PLAN}/plan.json"]
    lines.append(f"RUN {mounts}{json.dumps(run)}")
    lines += [f"USER {base.user}"] if base.user else []
    return "\n".join(lines) + "\n"


def pack_here(tools: HybridTools, found: Iterable[Change], contents: Contents) -> Path:
    """A folder with this machine's files of these packages, for builds to take them from.

    It goes with what else the session shares.
    """
    take = [change.after for change in found if change.kind is ImageChangeKind.PACKAGE]
    plan = {
        "take": [_place(each, "") for each in take if each is not None],
        "cache_tag": contents.cache_tag,
    }

    def make(folder: Path) -> str:
        file, packed = folder / "plan.json", folder / "packed"
        file.write_text(json.dumps(plan), encoding="utf-8")
        packed.mkdir()
        run_here(tools, folder, ("pack", str(file), str(packed)))
        return str(packed)

    place, _folder = tools.store.once("packed", digest([plan]), make)
    return Path(place)


def build_image(
    tools: HybridTools,
    settings: Settings,
    base: Image,
    key: str,
    files: Mapping[str, str],
    contexts: Pairs,
) -> Image:
    """An image for the platform of another one, built unless it was before.

    Args:
        key: of all that it depends on.
        files: names and texts of what the build may copy, its Dockerfile among them.
        contexts: further folders, by the names that the Dockerfile has for them.
    """

    def make(_folder: Path) -> object:
        with temporary_folder() as folder:
            for file, text in files.items():
                (folder / file).write_text(text, encoding="utf-8")
            build = BuildSettings(
                context=folder,
                dockerfile=folder / "Dockerfile",
                contexts=contexts,
                builder=settings.build.builder,
                timeout_s=settings.build.timeout_s,
            )
            project = replace(settings, build=build)
            with tools.building(f"hybrid[{base.platform}]") as progress:
                log = progress.say
                built = images.build(tools.engine, project, base.platform, key, tools.known, log)
            return images.image_to_json(built)

    raw, _folder = tools.store.once("environment", key, make)
    return images.image_from_json(raw)


def _place(each: Distribution, into: str) -> dict[str, str]:
    return {"site": each.site, "info": each.info, "into": into}
