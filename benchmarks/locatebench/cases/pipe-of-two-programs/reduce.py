"""Smooth the numbers that come in."""

import sys

from output import save

level = 0.0
for line in sys.stdin:
    level += 0.3 * (float(line) - level)
save({"level": level})
