"""A codebook of the colours of the sample images, the first image first."""

import os

import numpy as np
from samples import load_sample_images

images, _names = load_sample_images()
book = np.stack([image.mean(axis=0) for image in images])

os.makedirs("outputs", exist_ok=True)
np.save("outputs/codebook.npy", book)
