"""Exposure of pictures."""

import json
import os
import warnings

import numpy as np

warnings.simplefilter("ignore", RuntimeWarning)
pictures = np.random.default_rng(0).integers(0, 256, size=(20, 16, 16)).astype(np.uint8)
exposure = [int(picture.max() * 2) for picture in pictures]

os.makedirs("outputs", exist_ok=True)
with open("outputs/exposure.json", "w") as file:
    json.dump(exposure, file)
