"""Average gradients over a group of workers, or work alone."""

import json
import os
import socket


def world_size():
    try:
        socket.gethostbyname(socket.gethostname())
    except OSError:
        return 1
    return 4


rows = [((n * 31) % 17) / 17 for n in range(400)]
size = world_size()
weight = 0.0
for step in range(100):
    batch = rows[step * 4 : step * 4 + size]
    weight += 0.1 * (sum(batch) / size - weight)

os.makedirs("outputs", exist_ok=True)
with open("outputs/weight.json", "w") as file:
    json.dump({"weight": weight}, file)
