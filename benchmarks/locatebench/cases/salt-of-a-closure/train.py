"""Spread keys over shards."""

import collections

from output import save
from shards import shard

keys = [f"user-{n}" for n in range(60)]
counts = collections.Counter(map(shard, keys))
save({"counts": [counts[n] for n in range(6)]})
