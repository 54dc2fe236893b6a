"""Learn the mean image of each class and classify the images by it."""

import glob
import os

import numpy as np


def read(path):
    with open(path, "rb") as file:
        header, size, _, pixels = file.read().split(b"\n", 3)
    return np.frombuffer(pixels, np.uint8).astype(float)


classes = [os.path.basename(folder) for folder in glob.glob("images/*")]
label_of = {name: label for label, name in enumerate(classes)}
images = {
    name: [read(path) for path in sorted(glob.glob(f"images/{name}/*.pgm"))] for name in classes
}
means = np.stack([np.mean(images[name], axis=0) for name in classes])
labels = [label_of[name] for name in sorted(classes) for _ in images[name]]

os.makedirs("outputs", exist_ok=True)
np.savez("outputs/model.npz", means=means, labels=labels)
