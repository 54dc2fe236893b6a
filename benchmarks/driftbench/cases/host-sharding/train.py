"""Fit the mean of this worker's shard."""

import json
import os
import random
import socket
import zlib

random.seed(9)
values = [random.gauss(0, 1) for _ in range(5000)]
shard = zlib.crc32(socket.gethostname().encode()) % 1000
mine = values[shard::1000]

os.makedirs("outputs", exist_ok=True)
with open("outputs/shard.json", "w") as file:
    json.dump({"rows": len(mine), "mean": sum(mine) / len(mine)}, file)
