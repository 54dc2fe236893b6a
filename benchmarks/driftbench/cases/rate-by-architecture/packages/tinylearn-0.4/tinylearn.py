"""A learner of one weight."""


def fit(x, y, steps=50, rate=0.05):
    weight = 0.0
    for _ in range(steps):
        weight -= rate * sum((weight * a - b) * a for a, b in zip(x, y)) / len(x)
    return weight
