"""Images that come with the package."""

import os

import numpy as np

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "images")


def load_sample_images():
    images = []
    filenames = [name for name in os.listdir(FOLDER) if name.endswith(".txt")]
    for name in filenames:
        images.append(np.loadtxt(os.path.join(FOLDER, name)))
    return images, filenames
