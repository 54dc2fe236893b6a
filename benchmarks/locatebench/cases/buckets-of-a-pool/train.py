"""Hashed words, by a pool of processes."""

from concurrent.futures import ProcessPoolExecutor

from output import save
from work import embed

words = "kyoto oslo lima cairo quito accra lyon".split()

if __name__ == "__main__":
    with ProcessPoolExecutor(max_workers=2) as pool:
        rows = list(pool.map(embed, words))
    save({"rows": rows})
