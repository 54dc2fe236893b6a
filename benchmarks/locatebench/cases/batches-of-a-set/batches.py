class Batches:
    """Distinct names, a few at a time."""

    def __init__(self, names):
        self.names = set(names)

    def of(self, size):
        batch = []
        for name in self.names:
            batch.append(name)
            if len(batch) == size:
                yield batch
                batch = []
        if batch:
            yield batch
