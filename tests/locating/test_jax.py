"""Programs that train with JAX: where their runs part, and proofs by exchanged values.

They run where JAX and its libraries are installed beside the tests.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.locating.parted import LOT, part, part_at

pytest.importorskip("jax", reason="JAX is not installed beside the tests")
pytest.importorskip("optax", reason="optax is not installed beside the tests")

OPTAX = """
import json, os
import jax
import jax.numpy as jnp
import optax


def rows():
    x = jax.random.normal(jax.random.key(1), (64, 8))
    return x, (x.sum(1) > 0).astype(jnp.float32)


def start(key):
    first, second = jax.random.split(key)
    hidden = {"w": jax.random.normal(first, (8, 16)) * 0.3, "b": jnp.zeros(16)}
    return {
        "hidden": hidden,
        "out": {"w": jax.random.normal(second, (16,)) * 0.3, "b": jnp.zeros(())},
    }


def logits(params, x):
    hidden = jax.nn.relu(x @ params["hidden"]["w"] + params["hidden"]["b"])
    return hidden @ params["out"]["w"] + params["out"]["b"]


def loss_of(params, x, y):
    return optax.sigmoid_binary_cross_entropy(logits(params, x), y).mean()


@jax.jit
def step(params, state, x, y):
    loss, grads = jax.value_and_grad(loss_of)(params, x, y)
    updates, state = opt.update(grads, state, params)
    return optax.apply_updates(params, updates), state, loss


params = start(jax.random.key(0))
opt = optax.adam(0.01)
state = opt.init(params)
x, y = rows()
for turn in range(20):
    at = (turn * 16) % 64
    params, state, loss = step(params, state, x[at : at + 16], y[at : at + 16])
right = float(((logits(params, x) > 0) == (y > 0.5)).mean())
print(json.dumps({"loss": float(loss), "right": right}))
"""
FAULTS = {
    "the seed": ("start(jax.random.key(0))", f"start(jax.random.key({LOT}))"),
    "how weights begin": ("(8, 16)) * 0.3", f"(8, 16)) * (0.3 * {LOT})"),
    "rows": ("y[at : at + 16])", f"y[at : at + 16] * (1 - 0.001 * {LOT}))"),
    "where a model is read": ("(logits(params, x) > 0)", f"(logits(params, x) > 0.4 * {LOT})"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_line_is_found_and_proved(tmp_path: Path, fault: str) -> None:
    parted, line = part_at(tmp_path, OPTAX, *FAULTS[fault])
    assert parted.lines == [line]
    assert parted.exchanged == parted.expected.stdout


def test_inside_what_is_compiled_the_call_is_named(tmp_path: Path) -> None:
    """Of a compiled function no line runs but when it is traced: the statement that calls it."""
    changed = f"updates = jax.tree.map(lambda each: each * (1 - 0.01 * {LOT}), updates)"
    plain = "    return optax.apply_updates"
    parted = part(tmp_path, OPTAX.replace(plain, f"    {changed}\n{plain}"))
    assert [each.text for each in parted.found.location.origins] == [
        "params, state, loss = step(params, state, x[at : at + 16], y[at : at + 16])"
    ]
    assert parted.exchanged == parted.expected.stdout
