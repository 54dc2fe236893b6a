"""Which parts of two values are compared with each other: curves, vectors, labels, images."""
