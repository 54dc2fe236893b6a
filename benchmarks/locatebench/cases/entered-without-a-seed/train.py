"""A bootstrap mean."""

from output import save
from sampling import Sampler

with Sampler([n * n for n in range(30)]) as sampler:
    means = [sum(sample) / len(sample) for sample in (sampler.draw(20) for _ in range(10))]
save({"mean": sum(means) / len(means)})
