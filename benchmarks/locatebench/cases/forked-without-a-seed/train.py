"""Walks, by a pool."""

import multiprocessing

from output import save
from work import simulate

if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(2) as pool:
        ends = pool.map(simulate, range(8))
    save({"mean": sum(ends) / len(ends)})
