"""Average by chunks."""

import functools

import pool
from output import save

values = [(n * 37) % 29 for n in range(101)]
split = functools.partial(pool.chunked, size=max(1, len(values) // (4 * pool.workers())))
save({"means": [sum(chunk) / len(chunk) for chunk in split(values)]})
