"""Makes the checkpoints of Flax in this folder, with flax 0.12 and jax: `python make_flax.py`."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def main() -> None:
    """Write a checkpoint, and the same with its arrays cut in pieces as large ones are."""
    import jax.numpy as jnp
    from flax import serialization

    kernel = np.arange(12, dtype="f4").reshape(3, 4) / 8
    state = {
        "params": {"kernel": kernel, "bias": np.zeros(4, "f4")},
        "step": 7,
        "mu": jnp.asarray(kernel, jnp.bfloat16),
        "lr": np.float32(0.1),
        "z": 1 + 2j,
    }
    here = Path(__file__).parent
    (here / "flax.msgpack").write_bytes(serialization.msgpack_serialize(state))
    serialization.MAX_CHUNK_SIZE = 16
    (here / "flax-chunked.msgpack").write_bytes(serialization.msgpack_serialize(state))


if __name__ == "__main__":
    main()
