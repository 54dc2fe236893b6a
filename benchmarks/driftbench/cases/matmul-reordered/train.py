"""Project images to their principal directions."""

from pathlib import Path

import numpy as np

rng = np.random.default_rng(0)
images = rng.normal(size=(600, 784)).astype(np.float32)
directions = rng.normal(size=(784, 64)).astype(np.float32)

Path("outputs").mkdir(exist_ok=True)
np.save("outputs/projected.npy", images @ directions)
