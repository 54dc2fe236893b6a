"""The command."""

from ranker.hours import count_hours
from ranker.output import save


def main():
    counts = count_hours([1_700_000_000 + n * 4_321 for n in range(200)])
    best = max(range(24), key=counts.__getitem__)
    save({"counts": counts, "best": best})
