"""Draw by key."""

import random

from memo import keyed
from output import save


@keyed
def draw(key, count):
    return [random.Random(key).random() for _ in range(count)]


save({"drawn": draw(3), "more": draw(5)})
