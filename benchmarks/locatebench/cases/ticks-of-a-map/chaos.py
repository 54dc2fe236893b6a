def iterate(x, steps):
    """The logistic map."""
    for _ in range(steps):
        x = 3.99 * x * (1.0 - x)
    return x
