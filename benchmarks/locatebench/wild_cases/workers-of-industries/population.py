"""Synthetic people, and the industries that they work in."""

import random

import numpy as np


def employ(seed, people, industries):
    rng = np.random.default_rng(seed)
    numbers = rng.integers(0, len(industries) - 2, people)
    return [industries[each] for each in numbers]


def ensure_minimum_workers(jobs, industries):
    lacking = set(industries) - set(jobs)
    for industry in lacking:
        chosen = random.choice(range(len(jobs)))
        jobs[chosen] = industry
    return jobs
