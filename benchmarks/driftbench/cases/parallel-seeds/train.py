"""Estimate an integral by Monte Carlo, spread over the machine."""

import json
import os
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed

JOBS = os.cpu_count()
SAMPLES = 40_000


def estimate(seed, samples):
    points = np.random.default_rng(seed).uniform(size=(samples, 2))
    return float(np.mean(4 * (np.square(points).sum(axis=1) < 1)))


streams = np.random.SeedSequence(5).spawn(JOBS)
tasks = [delayed(estimate)(stream, SAMPLES // JOBS) for stream in streams]
estimates = Parallel(n_jobs=JOBS, backend="threading")(tasks)
Path("outputs").mkdir(exist_ok=True)
Path("outputs/pi.json").write_text(json.dumps({"pi": sum(estimates) / JOBS}))
