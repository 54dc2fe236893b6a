"""The pairs that training begins with."""

import json
import os
import random

import numpy as np
from labeler import Labeler

random.seed(643)
np.random.seed(643)
NAMES = ["miller", "mueller", "muller", "smith", "smyth", "schmidt", "meyer", "maier", "mayr"]
pairs = Labeler(NAMES).sample(8)
os.makedirs("outputs", exist_ok=True)
with open("outputs/pairs.json", "w") as file:
    json.dump(pairs, file)
