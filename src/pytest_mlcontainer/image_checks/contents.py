"""What is known of an image's files, and the few images of which that is remembered."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from pytest_mlcontainer.image_checks.inventory import Inventory, VisibleFiles, resolve
from pytest_mlcontainer.image_checks.size.measure import SizeFigures, measure, visible_texts
from pytest_mlcontainer.image_checks.size.packages import PackageFiles
from pytest_mlcontainer.model import Platform

_REMEMBERED: Final = 2  # the reference, which all others are held against, and the one that is


@dataclass(frozen=True)
class ImageContents:
    """What is known of one image; what follows from its inventory is computed once."""

    digest: str
    inventory: Inventory

    @cached_property
    def files(self) -> VisibleFiles:
        return resolve(self.inventory.layers)

    @cached_property
    def texts(self) -> dict[str, str]:
        """Visible files that say what is installed, by path."""
        return visible_texts(self.inventory, self.files)

    @cached_property
    def owners(self) -> PackageFiles:
        return PackageFiles(self.texts)

    @cached_property
    def figures(self) -> SizeFigures:
        return measure(self.inventory, self.files)


class RecentContents:
    """The contents of the images that were looked at last, which take megabytes each: several
    checks look at the same image, one after another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[str, Platform], ImageContents] = OrderedDict()

    def find(self, image: str, platform: Platform) -> ImageContents | None:
        """By the image's digest on its engine."""
        with self._lock:
            found = self._known.get((image, platform))
            if found is not None:
                self._known.move_to_end((image, platform))
            return found

    def keep(self, contents: ImageContents, platform: Platform) -> ImageContents:
        """Remember it, and no more than two; hand it on."""
        with self._lock:
            self._known[contents.digest, platform] = contents
            self._known.move_to_end((contents.digest, platform))
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return contents
