"""Where `config.stash` has the session; a module of its own, for it costs nothing to import."""

from __future__ import annotations

from typing import Final

import pytest

SESSION: Final = pytest.StashKey[object]()
