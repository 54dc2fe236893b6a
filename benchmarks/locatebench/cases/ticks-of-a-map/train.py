"""Where a map goes."""

import numpy as np
from chaos import iterate
from output import save
from score import Scorer

size = 400_000
scorer = Scorer(size)
history = np.random.default_rng(9).normal(size=(8, size))
ends = []
for row in history:
    found = scorer.score(row)
    ends.append(iterate(abs(found) % 1.0, 120))
label = "high" if sum(ends) > len(ends) / 2 else "low"
save({"ends": ends, "label": label})
