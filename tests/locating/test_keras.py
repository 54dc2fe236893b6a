"""Programs that train with Keras on TensorFlow: where their runs part, and proofs.

They run where TensorFlow is installed beside the tests.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.locating.parted import LOT, part_at

pytest.importorskip("tensorflow", reason="TensorFlow is not installed beside the tests")

FIT = """
import json, os
import keras
import numpy as np

keras.utils.set_random_seed(0)
rng = np.random.default_rng(1)
x = rng.normal(size=(64, 8)).astype("float32")
y = (x.sum(axis=1) > 0).astype("float32")
model = keras.Sequential([
    keras.layers.Input((8,)),
    keras.layers.Dense(16, activation="relu"),
    keras.layers.Dense(1, activation="sigmoid"),
])
optimizer = keras.optimizers.Adam(0.01)
model.compile(optimizer=optimizer, loss="binary_crossentropy")
history = model.fit(x, y, epochs=3, batch_size=16, verbose=0)
predictions = model.predict(x[:4], verbose=0)
print(json.dumps({"loss": history.history["loss"], "some": predictions.ravel().tolist()}))
"""
TAPE = """
import json, os
import tensorflow as tf

tf.random.set_seed(0)
x = tf.random.normal((64, 8), seed=1)
y = tf.cast(tf.reduce_sum(x, axis=1) > 0, tf.float32)
weights = tf.Variable(tf.random.normal((8,), seed=2))
bias = tf.Variable(0.0)


@tf.function
def loss_of(rows, labels):
    logits = tf.linalg.matvec(rows, weights) + bias
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels, logits))


for turn in range(8):
    with tf.GradientTape() as tape:
        loss = loss_of(x, y)
    grads = tape.gradient(loss, [weights, bias])
    weights.assign_sub(0.1 * grads[0])
    bias.assign_sub(0.1 * grads[1])
print(json.dumps({"loss": float(loss), "weights": weights.numpy().tolist()}))
"""
FAULTS = {
    "Keras's seed": (FIT, "set_random_seed(0)", f"set_random_seed({LOT})"),
    "rows": (FIT, "(x.sum(axis=1) > 0)", f"(x.sum(axis=1) > 0.7 * {LOT})"),
    "the learning rate": (FIT, "Adam(0.01)", f"Adam(0.01 * {LOT})"),
    "how it is fitted": (FIT, "batch_size=16", f"batch_size=8 * {LOT}"),
    "TensorFlow's seed": (TAPE, "set_seed(0)", f"set_seed({LOT})"),
    "gradients": (TAPE, "0.1 * grads[0]", f"0.1 * {LOT} * grads[0]"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_line_is_found_and_proved(tmp_path: Path, fault: str) -> None:
    parted, line = part_at(tmp_path, *FAULTS[fault])
    assert parted.lines == [line]
    assert parted.exchanged == parted.expected.stdout
