"""An embedding by attraction and repulsion, computed in parallel."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np


class Embedding:
    def __init__(self, jobs=None):
        self.jobs = jobs or len(os.sched_getaffinity(0))

    def fit(self, near, steps):
        rng = np.random.default_rng(0)
        places = rng.normal(size=(len(near), 2)).astype(np.float32)
        speed = np.zeros_like(places)
        parts = np.array_split(np.arange(len(near)), self.jobs)
        with ThreadPoolExecutor(self.jobs) as pool:
            for _ in range(steps):
                forces = list(
                    pool.map(self.forces, [places] * self.jobs, [near] * self.jobs, parts)
                )
                speed = np.float32(0.8) * speed - np.float32(4) * sum(forces)
                places = places + speed
        return places

    def forces(self, places, near, part):
        found = np.zeros_like(places)
        for point in part:
            apart = places[point] - places
            weight = 1 / (1 + (apart**2).sum(axis=1, keepdims=True))
            pull = (near[point][:, None] * weight - weight**2 / 40) * apart
            found[point] += pull.sum(axis=0)
            found -= pull / 4
        return found
