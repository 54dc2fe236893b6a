"""Hours, by a pool of threads."""

from concurrent.futures import ThreadPoolExecutor

from output import save
from work import hour_of

moments = [1_700_000_000 + 4_321 * n for n in range(80)]
with ThreadPoolExecutor(max_workers=3) as pool:
    hours = list(pool.map(hour_of, moments))
save({"mean": sum(hours) / len(hours), "best": max(set(hours), key=hours.count)})
