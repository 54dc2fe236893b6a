"""Count in batches."""

from batches import Batches
from output import save

batches = Batches(["ash", "birch", "cedar", "elm", "fir", "hazel", "larch", "maple", "oak", "pine"])
average = 0.0
for batch in batches.of(3):
    score = sum(len(name) for name in batch) / len(batch)
    average = 0.7 * average + 0.3 * score
save({"average": average})
