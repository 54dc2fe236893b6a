"""Where everything of one private engine lies; all of it follows from one directory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from .folders import ENGINE_PREFIX, StateFolder, chosen_base
from .problems import SetupError

STORES = ("containerd", "overlay2")


class Layout(StateFolder):
    """The paths and names of the private engine in `base`."""

    variable = "ENGINE_DIR"
    owner = "engine"
    marker = "engine.lock"
    prefix = ENGINE_PREFIX
    # containerd appends this much to our paths.
    longest_socket = "/exec/containerd/containerd-debug.sock"

    @property
    def root(self) -> Path:
        return self.base / "root"

    @property
    def cdi(self) -> Path:
        return self.base / "cdi"

    @property
    def bin(self) -> Path:
        return self.base / "bin"

    @property
    def socket(self) -> Path:
        return self.base / "docker.sock"

    @property
    def docker_host(self) -> str:
        return f"unix://{self.socket}"

    @property
    def exec_root(self) -> Path:
        return self.base / "exec"

    @property
    def containerd_socket(self) -> Path:
        return self.exec_root / "containerd" / "containerd.sock"

    @property
    def registry_data(self) -> Path:
        return self.base / "registry"

    def data_root(self, store: str) -> Path:
        return self.base / f"data-{store}"


def layout_from(environ: Mapping[str, str]) -> Layout:
    """The engine's directory: ENGINE_DIR, or .engine beside the scripts' folder."""
    return Layout(chosen_base(Layout, environ, ".engine"))


def store_from(environ: Mapping[str, str]) -> str | None:
    """The image store asked for with ENGINE_STORE, or None when none was named."""
    store = environ.get("ENGINE_STORE")
    if store and store not in STORES:
        raise SetupError("Unknown ENGINE_STORE", store, f"Use one of: {', '.join(STORES)}.")
    return store or None
