class Table:
    """Readings by day."""

    def __init__(self, readings):
        self._readings = list(readings)

    @property
    def total(self):
        return sum(each.weight for each in self._readings)

    @property
    def peak(self):
        return max(self._readings, key=lambda each: each.weight).hour
