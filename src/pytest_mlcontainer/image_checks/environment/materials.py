"""A bill of materials, and licences, of what is installed: files beside the session's report."""

from __future__ import annotations

import csv
import importlib.util
import io
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from packaging.requirements import InvalidRequirement, Requirement

from pytest_mlcontainer.image_checks.environment.installed import (
    InstalledPackage,
    InstalledSet,
    normalised,
)
from pytest_mlcontainer.image_checks.environment.locks import holds
from pytest_mlcontainer.model import Image

MISSING: Final = (
    "no bill of materials was written: pip install 'pytest-mlcontainer[sbom]' (CycloneDX)"
)
_UNKNOWN: Final = "unknown"


def write_materials(
    folder: Path, installed: InstalledSet, image: Image, project: str
) -> tuple[str, ...]:
    """Write `bom-PLATFORM.cdx.json` and `licences-PLATFORM.csv`; returns their names.

    The bill is left out where the library that makes it is not installed.

    Args:
        folder: made if need be.
        project: its name.

    Raises:
        OSError: they cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    texts = {f"licences-{image.platform.slug}.csv": licence_table(installed)}
    if importlib.util.find_spec("cyclonedx") is not None:
        bill = bill_of_materials(installed, image, project)
        texts[f"bom-{image.platform.slug}.cdx.json"] = bill
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return tuple(sorted(texts))


def licence_table(installed: InstalledSet) -> str:
    """Packages, versions and licences as CSV; a package that names none has `unknown`."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("package", "version", "licences"))
    for each in installed.packages:
        writer.writerow((each.name, each.version, "; ".join(each.licences) or _UNKNOWN))
    return out.getvalue()


def bill_of_materials(installed: InstalledSet, image: Image, project: str) -> str:
    """CycloneDX 1.6 as JSON: each package with its licences, origin and what it requires."""
    from cyclonedx.contrib.license.factories import LicenseFactory
    from cyclonedx.model import ExternalReference, ExternalReferenceType, XsUri
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output.json import JsonV1Dot6
    from packageurl import PackageURL

    def component(each: InstalledPackage) -> Component:
        url = PackageURL("pypi", name=each.name, version=each.version)
        references = []
        if each.origin:
            kind = ExternalReferenceType.DISTRIBUTION
            references.append(ExternalReference(type=kind, url=XsUri(each.origin)))
        return Component(
            type=ComponentType.LIBRARY,
            name=each.name,
            version=each.version,
            purl=url,
            bom_ref=str(url),
            licenses=[LicenseFactory().make_from_string(one) for one in each.licences[:1]],
            external_references=references,
        )

    # The same image has the same bill.
    bill = Bom(serial_number=uuid.uuid5(uuid.NAMESPACE_OID, image.digest))
    whole = Component(type=ComponentType.CONTAINER, name=project, version=image.digest)
    bill.metadata.component = whole
    made = {each.name: component(each) for each in installed.packages}
    for one in made.values():
        bill.components.add(one)
    bill.register_dependency(whole, made.values())
    environment = dict(installed.environment)
    for each in installed.packages:
        needs = [made[name] for name in sorted(_needed(each, environment)) if name in made]
        bill.register_dependency(made[each.name], needs)
    return str(JsonV1Dot6(bill).output_as_string(indent=1)) + "\n"


def _needed(package: InstalledPackage, environment: Mapping[str, str]) -> set[str]:
    found = set()
    for text in package.requires:
        try:
            one = Requirement(text)
        except InvalidRequirement:
            continue
        if holds("" if one.marker is None else str(one.marker), environment):
            found.add(normalised(one.name))
    return found - {package.name}
