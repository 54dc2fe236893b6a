"""Average noisy rows."""

from augment import noisy
from output import save

rows = [n / 7 for n in range(50)]
total = 0.0
for value in noisy(rows):
    total += value
save({"mean": total / len(rows)})
