"""A small neural network that reads handwritten digits, trained with JAX."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_digits

OUTPUTS = Path("outputs")
SIZES = (64, 32, 10)
EPOCHS = 12
BATCH = 64
RATE = 0.1

Weights = list[tuple[jax.Array, jax.Array]]


def main(command: str) -> None:
    OUTPUTS.mkdir(exist_ok=True)
    {"train": train, "infer": infer}[command]()


def train() -> None:
    images, digits, _, _ = split()
    weights = start(jax.random.key(0))
    step = jax.jit(jax.value_and_grad(loss))
    order = np.random.default_rng(0)
    history = []
    for _ in range(EPOCHS):
        losses = []
        shuffled = order.permutation(len(images))
        for first in range(0, len(images) - BATCH + 1, BATCH):
            chosen = shuffled[first : first + BATCH]
            value, slopes = step(weights, images[chosen], digits[chosen])
            weights = jax.tree.map(lambda at, slope: at - RATE * slope, weights, slopes)
            losses.append(float(value))
        history.append({"loss": float(np.mean(losses))})
    named = {
        f"{kind}{at}": np.asarray(values)
        for at, layer in enumerate(weights)
        for kind, values in zip(("weight", "bias"), layer, strict=True)
    }
    np.savez(OUTPUTS / "weights.npz", **named)
    (OUTPUTS / "history.json").write_text(json.dumps(history))


def infer() -> None:
    _, _, images, digits = split()
    with np.load(OUTPUTS / "weights.npz") as kept:
        weights = [
            (jnp.asarray(kept[f"weight{at}"]), jnp.asarray(kept[f"bias{at}"]))
            for at in range(len(SIZES) - 1)
        ]
    probabilities = np.asarray(jax.nn.softmax(scores(weights, images)))
    predicted = probabilities.argmax(axis=1)
    np.savez(OUTPUTS / "predictions.npz", probability=probabilities, label=predicted)
    accuracy = float((predicted == digits).mean())
    (OUTPUTS / "metrics.json").write_text(json.dumps({"accuracy": accuracy}))


def split() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Images and digits for training, then for testing."""
    data = load_digits()
    images = (data.data / 16).astype(np.float32)
    return images[:1400], data.target[:1400], images[1400:], data.target[1400:]


def start(key: jax.Array) -> Weights:
    keys = jax.random.split(key, len(SIZES) - 1)
    return [
        (jax.random.normal(each, (wide, narrow)) / np.sqrt(wide), jnp.zeros(narrow))
        for each, wide, narrow in zip(keys, SIZES, SIZES[1:], strict=False)
    ]


def scores(weights: Weights, images: jax.Array | np.ndarray) -> jax.Array:
    *hidden, (last, offset) = weights
    for weight, bias in hidden:
        images = jnp.tanh(images @ weight + bias)
    return images @ last + offset


def loss(weights: Weights, images: jax.Array, digits: jax.Array) -> jax.Array:
    logs = jax.nn.log_softmax(scores(weights, images))
    return -jnp.take_along_axis(logs, digits[:, None], axis=1).mean()


if __name__ == "__main__":
    main(sys.argv[1])
